/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * relay.h - passes signals that we got on to the job, unless it got them as well. Event loop
 * thread only; the storage must outlive the loop.
 *
 * A signal waits a moment before it is passed on: timeout(1) signals us first and our group right
 * after, and only then the witness knows. Signals of one number within that moment are one, as
 * they are for the kernel while one is pending.
 */
#ifndef C4_RUN_RELAY_H
#define C4_RUN_RELAY_H

#include <stdint.h>
#include <uv.h>

#include "agent/run/job.h"
#include "agent/run/signals.h"
#include "agent/run/witness.h"

struct c4_relay {
	struct c4_witness witness;
	const struct c4_job *job; /* borrowed */
	uint64_t waiting;	  /* bit n-1: signal n */
	uv_timer_t timer;
};

/* To be called before there are other threads. */
void c4_relay_init(struct c4_relay *r, uv_loop_t *loop, const struct c4_job *job);
void c4_relay_take(struct c4_relay *r, const struct c4_signal *signal);
void c4_relay_release(struct c4_relay *r);

#endif
