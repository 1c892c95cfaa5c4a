/* SPDX-License-Identifier: BSD-3-Clause */
/* msg_process.h - a target as message Process, or as a part of one (kin.h). */
#ifndef C4_AGENT_MSG_PROCESS_H
#define C4_AGENT_MSG_PROCESS_H

#include "agent/daemon/msg.h"
#include "c4.pb-c.h"

/* NULL: out of memory. Marks nothing as told. */
C4__V1__Process *c4_msg_process(struct c4_msg *d);

#endif
