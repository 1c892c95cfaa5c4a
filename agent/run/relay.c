// SPDX-License-Identifier: BSD-3-Clause
#include "agent/run/relay.h"

#include <stdbool.h>

#define MOMENT_MS 20
#define SIGNALS	  64

void c4_relay_init(struct c4_relay *r, uv_loop_t *loop, const struct c4_job *job)
{
	*r = (struct c4_relay){.job = job};
	c4_witness_start(&r->witness);
	uv_timer_init(loop, &r->timer);
	r->timer.data = r;
}

static void on_moment(uv_timer_t *timer)
{
	struct c4_relay *r = timer->data;

	for (int number = 1; number <= SIGNALS; number++)
		if (r->waiting >> (number - 1) & 1 && !c4_witness_saw(&r->witness, number))
			c4_job_signal(r->job, number);
	r->waiting = 0;
}

void c4_relay_take(struct c4_relay *r, const struct c4_signal *signal)
{
	if (signal->from_terminal || c4_witness_saw(&r->witness, signal->number))
		return;
	if (!r->waiting)
		uv_timer_start(&r->timer, on_moment, MOMENT_MS, 0);
	r->waiting |= 1ull << (signal->number - 1);
}

void c4_relay_release(struct c4_relay *r)
{
	c4_witness_stop(&r->witness);
}
