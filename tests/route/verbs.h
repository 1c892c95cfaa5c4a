/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * verbs.h - libibverbs and mlx5's addition to it, without devices: what they were told, and how
 * they answer. One state per process, in libibverbs.so.1; any thread.
 */
#ifndef C4_TEST_ROUTE_VERBS_H
#define C4_TEST_ROUTE_VERBS_H

#include <stdint.h>

#include "agent/route/ibv.h"

#define FAKE_CALLS    64
#define FAKE_FOR_EVER UINT32_MAX

struct fake_call {
	struct c4_ibv_qp *qp;
	uint32_t state, label;
	int mask, rc;
};

struct fake_verbs {
	struct fake_call call[FAKE_CALLS]; /* of ibv_modify_qp */
	uint32_t calls;			   /* atomic; more than FAKE_CALLS are not kept */
	uint32_t destroyed;		   /* atomic */
	uint32_t busy;			   /* atomic: threads inside ibv_modify_qp for `guarded` */
	struct c4_ibv_qp *guarded;
	uint32_t crossed;  /* atomic: `guarded` was used by two at a time, or after its end */
	uint32_t hold_us;  /* how long ibv_modify_qp takes */
	uint32_t draining; /* atomic: so many times RTS is refused in SQD, or FAKE_FOR_EVER */
	int refuse_label;  /* INIT to RTR with any label */
	int refuse_sqd;	   /* the device cannot pause */
	int refuse_av;	   /* … or not change the address then */
	int bare_av;	   /* 0: the address may be changed alone; 1: the state must be named */
	int is_mlx5;
	uint16_t mlx5_port; /* as last set */
	uint8_t gid[16];    /* of every port */
};

#endif
