// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/msg_device.h"

static void write_gpu(struct c4_gpu *g, uint64_t now_ns, C4__V1__Gpu *m)
{
	c4__v1__gpu__init(m);
	m->index = g->index;
	m->bus = g->bus;
	m->name = g->name;
	m->sm_mhz = g->sm_mhz;
	m->sm_max_mhz = g->sm_max_mhz;
	m->throttle = g->throttle;
	m->celsius = g->celsius;
	m->watts = g->watts;
	m->ecc_volatile_uncorrected = g->ecc_uncorrected;
	m->nvlink_errors = g->nvlink_errors;
	m->xids = g->xids;
	m->last_xid = g->last_xid;
	m->last_xid_age_ns = g->xids && now_ns > g->last_xid_ns ? now_ns - g->last_xid_ns : 0;
}

static void write_nic(struct c4_nic *n, C4__V1__Nic *m)
{
	c4__v1__nic__init(m);
	m->name = n->name;
	m->rdma = n->rdma;
	m->up = n->up;
	m->mbps = n->mbps;
	m->tx_bytes = n->tx_bytes;
	m->rx_bytes = n->rx_bytes;
	m->errors = n->errors;
	m->drops = n->drops;
	m->retries = n->retries;
	m->cnps = n->cnps;
	m->pauses = n->pauses;
	m->downs = n->downs;
}

C4__V1__Gpu **c4_msg_gpus(struct c4_arena *arena, struct c4_devices *d, uint64_t now_ns,
			  size_t *ret_n)
{
	C4__V1__Gpu **list = c4_arena_alloc(arena, C4_GPUS_MAX * sizeof *list);
	C4__V1__Gpu *m = c4_arena_alloc(arena, C4_GPUS_MAX * sizeof *m);
	size_t n = 0;

	*ret_n = 0;
	if (!list || !m)
		return NULL;
	for (uint32_t i = 0; i < d->ngpus; i++) {
		if (!c4_devices_gpu_due(&d->gpu[i], now_ns))
			continue;
		write_gpu(&d->gpu[i].now, now_ns, &m[n]);
		list[n] = &m[n];
		n++;
	}
	*ret_n = n;
	return list;
}

C4__V1__Nic **c4_msg_nics(struct c4_arena *arena, struct c4_devices *d, uint64_t now_ns,
			  size_t *ret_n)
{
	C4__V1__Nic **list = c4_arena_alloc(arena, C4_NICS_MAX * sizeof *list);
	C4__V1__Nic *m = c4_arena_alloc(arena, C4_NICS_MAX * sizeof *m);
	size_t n = 0;

	*ret_n = 0;
	if (!list || !m)
		return NULL;
	for (uint32_t i = 0; i < d->nnics; i++) {
		if (!c4_devices_nic_due(&d->nic[i], now_ns))
			continue;
		write_nic(&d->nic[i].now, &m[n]);
		list[n] = &m[n];
		n++;
	}
	*ret_n = n;
	return list;
}
