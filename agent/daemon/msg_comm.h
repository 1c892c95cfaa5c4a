/* SPDX-License-Identifier: BSD-3-Clause */
/* msg_comm.h - what a target knows of communicators, as messages: Comm, Block, Conn. */
#ifndef C4_AGENT_MSG_COMM_H
#define C4_AGENT_MSG_COMM_H

#include "agent/daemon/msg.h"
#include "c4.pb-c.h"

/* Each adds to m. What was told is marked by c4_post_add(), once all of it fitted. */
void c4_msg_write_comms(struct c4_msg *d, C4__V1__Process *m);
void c4_msg_write_blocks(struct c4_msg *d, C4__V1__Process *m);
void c4_msg_write_conns(struct c4_msg *d, C4__V1__Process *m);

#endif
