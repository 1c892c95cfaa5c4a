// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/devices.h"

#include <errno.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/log.h"

int c4_devices_init(struct c4_devices *d, uv_loop_t *loop, const struct c4_devices_config *config)
{
	struct c4_gpus *source = c4_gpus_new(config->nvml);

	if (!source)
		return -ENOMEM;
	*d = (struct c4_devices){.loop = loop, .config = *config, .source = source};
	d->gpu_reading.owner = d->nic_reading.owner = d;
	return 0;
}

void c4_devices_release(struct c4_devices *d)
{
	c4_gpus_free(d->source);
	d->source = NULL;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* On a worker. */
static void read_gpus(uv_work_t *work)
{
	struct c4_devices *d = work->data;

	d->gpus_read = c4_gpus_read(d->source, c4_mono_ns(), d->gpus);
}

/* On a worker. */
static void read_nics(uv_work_t *work)
{
	struct c4_devices *d = work->data;

	d->nics_read = c4_nics_read(&d->config.nics, d->nics);
}

static void end_reading(struct c4_devices_reading *r)
{
	r->under_way = false;
	if (r->owner->config.idle)
		r->owner->config.idle(r->owner->config.arg);
}

/* Places in the list are steady for GPUs: they are found once. */
static void take_gpus(uv_work_t *work, int status)
{
	struct c4_devices *d = work->data;

	if (!status) {
		d->ngpus = d->gpus_read;
		for (uint32_t i = 0; i < d->ngpus; i++)
			d->gpu[i].now = d->gpus[i];
	}
	end_reading(&d->gpu_reading);
}

/* Another interface has moved to this place: what was told is of no use. */
static void take_nic(struct c4_devices_nic *place, const struct c4_nic *read)
{
	if (strcmp(place->now.name, read->name) != 0)
		place->told_ns = 0;
	place->now = *read;
}

static void take_nics(uv_work_t *work, int status)
{
	struct c4_devices *d = work->data;

	if (!status) {
		d->nnics = d->nics_read < C4_NICS_MAX ? d->nics_read : C4_NICS_MAX;
		if (d->nics_read > C4_NICS_MAX && !d->crowded)
			c4_warn("%u network interfaces: the last %u are not watched", d->nics_read,
				d->nics_read - C4_NICS_MAX);
		d->crowded |= d->nics_read > C4_NICS_MAX;
		for (uint32_t i = 0; i < d->nnics; i++)
			take_nic(&d->nic[i], &d->nics[i]);
	}
	end_reading(&d->nic_reading);
}

static void begin_reading(struct c4_devices_reading *r, uv_work_cb read, uv_after_work_cb take,
			  uint64_t now_ns)
{
	if (r->under_way || (r->begun_ns && now_ns - r->begun_ns < C4_DEVICES_READ_NS))
		return;
	r->begun_ns = now_ns;
	r->work.data = r->owner;
	r->under_way = !uv_queue_work(r->owner->loop, &r->work, read, take);
}

void c4_devices_tick(struct c4_devices *d, uint64_t now_ns)
{
	begin_reading(&d->gpu_reading, read_gpus, take_gpus, now_ns);
	begin_reading(&d->nic_reading, read_nics, take_nics, now_ns);
}

bool c4_devices_busy(const struct c4_devices *d)
{
	return d->gpu_reading.under_way || d->nic_reading.under_way;
}

/* ---- telling -------------------------------------------------------------------------------- */

static bool overdue(uint64_t told_ns, uint64_t now_ns)
{
	return !told_ns || now_ns - told_ns >= C4_DEVICES_TELL_NS;
}

bool c4_devices_gpu_due(const struct c4_devices_gpu *g, uint64_t now_ns)
{
	return overdue(g->told_ns, now_ns) || memcmp(&g->now, &g->told, sizeof g->now) != 0;
}

bool c4_devices_nic_due(const struct c4_devices_nic *n, uint64_t now_ns)
{
	return overdue(n->told_ns, now_ns) || memcmp(&n->now, &n->told, sizeof n->now) != 0;
}

void c4_devices_told(struct c4_devices *d, uint64_t now_ns)
{
	for (uint32_t i = 0; i < d->ngpus; i++) {
		if (!c4_devices_gpu_due(&d->gpu[i], now_ns))
			continue;
		d->gpu[i].told = d->gpu[i].now;
		d->gpu[i].told_ns = now_ns;
	}
	for (uint32_t i = 0; i < d->nnics; i++) {
		if (!c4_devices_nic_due(&d->nic[i], now_ns))
			continue;
		d->nic[i].told = d->nic[i].now;
		d->nic[i].told_ns = now_ns;
	}
}

void c4_devices_forget_told(struct c4_devices *d)
{
	for (uint32_t i = 0; i < C4_GPUS_MAX; i++)
		d->gpu[i].told_ns = 0;
	for (uint32_t i = 0; i < C4_NICS_MAX; i++)
		d->nic[i].told_ns = 0;
}
