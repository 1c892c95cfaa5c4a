// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/routes/rdmarate.h"

#include "common/base/clock.h"

/* On a worker. */
static void read_ports(uv_work_t *work)
{
	struct c4_rdmarate *r = work->data;

	if (r->find)
		c4_rdmaports_find(&r->reading, r->root);
	c4_rdmaports_read(&r->reading, r->root, c4_mono_ns());
}

static void take_ports(uv_work_t *work, int status)
{
	struct c4_rdmarate *r = work->data;

	r->under_way = false;
	if (!status) {
		r->before = r->now;
		r->now = r->reading;
	}
	if (r->idle)
		r->idle(r->arg);
}

void c4_rdmarate_read(struct c4_rdmarate *r, bool missing, uint64_t now_ns)
{
	uint64_t age_ns = now_ns - r->found_ns;

	if (r->under_way)
		return;
	r->find = !r->found_ns || age_ns >= C4_RDMARATE_FIND_NS ||
		  (missing && age_ns >= C4_RDMARATE_MISS_NS);
	if (r->find)
		r->found_ns = now_ns;
	r->work.data = r;
	r->under_way = !uv_queue_work(r->loop, &r->work, read_ports, take_ports);
}
