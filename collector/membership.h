/* SPDX-License-Identifier: BSD-3-Clause */
/* membership.h - which communicators a job has, and which seats its ranks hold in them. */
#ifndef C4_COLLECTOR_MEMBERSHIP_H
#define C4_COLLECTOR_MEMBERSHIP_H

#include "collector/model.h"

/* The rank's seat in a communicator it told of; NULL: not told. */
struct c4_seat *c4_rank_seat(struct c4_rank *r, uint64_t comm_id);

/*
 * Makes the seat of rank r in a communicator, and the communicator if r is the first to tell of it.
 * A refusal is remembered in a seat without communicator. my_rank is where r says it sits.
 */
enum c4_part_refusal c4_rank_join(struct c4_model *m, struct c4_rank *r,
				  const struct c4_comm_identity *who, uint32_t my_rank,
				  uint64_t now_ns);

/* The place of a connection in c's table, made if it is new; -1 with the reason in *ret_why. */
int64_t c4_comm_conn(struct c4_model *m, struct c4_comm *c, const struct c4_conn_key *key,
		     uint64_t now_ns, enum c4_part_refusal *ret_why);

/* Forgets communicators that all members freed a while ago, if there are many. */
void c4_job_forget_comms(struct c4_model *m, struct c4_job *j, uint64_t now_ns);

#endif
