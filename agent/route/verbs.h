/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * verbs.h - the real verbs behind our wrappers, and who asks for them how.
 *
 * Programs linked with libibverbs (Open MPI, UCX, perftest) call our ibv_modify_qp because we are
 * preloaded. NCCL takes it with dlvsym() from a handle of its own, where no preload is seen: so
 * dlvsym() is ours too and hands out the wrapper (dlvsym.c). Both lead to the same real calls:
 * those that a handle gave, else the next after ours, else those of a libibverbs that was loaded
 * privately.
 */
#ifndef C4_ROUTE_VERBS_H
#define C4_ROUTE_VERBS_H

#include "agent/route/ibv.h"

struct c4_verbs {
	int (*modify_qp)(struct c4_ibv_qp *qp, struct c4_ibv_attr *attr, int mask);
	int (*destroy_qp)(struct c4_ibv_qp *qp);
	int (*query_gid)(struct c4_ibv_context *c, uint8_t port, int index, uint8_t *gid);
};

/* The wrappers; what they return is what the real ones do: 0 or a positive errno. */
int c4_modify_qp(struct c4_ibv_qp *qp, struct c4_ibv_attr *attr, int mask) __asm__("ibv_modify_qp")
	__attribute__((visibility("default")));
int c4_destroy_qp(struct c4_ibv_qp *qp) __asm__("ibv_destroy_qp")
	__attribute__((visibility("default")));

/* Members may be NULL: there is none. Preserves errno. */
const struct c4_verbs *c4_verbs_real(void);

/* The wrapper for a call that a program found at `real` by itself; `real` where we have none, or
 * know another real one already: one wrapper cannot stand for two. */
void *c4_verbs_wrap(const char *name, void *real);

#endif
