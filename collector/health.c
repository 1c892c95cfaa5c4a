// SPDX-License-Identifier: BSD-3-Clause
#include "collector/health.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "collector/text.h"
#include "collector/vclock.h"

#define HALF_MINUTE_NS (30ull * 1000000000)

/* A device's counters in one order; each is shown as its growth since `from`. */
enum { ECC, NVLINK, XIDS, GPU_COUNTERS };
enum { TX, RX, ERRORS, DROPS, RETRIES, CNPS, PAUSES, DOWNS, NIC_COUNTERS };
#define COUNTERS_MAX NIC_COUNTERS

/* from is between half a minute and a minute old, but for a device's first minute. */
struct minute {
	uint64_t from[COUNTERS_MAX], next[COUNTERS_MAX];
	uint64_t from_ns, next_ns;
};

struct c4_health {
	struct c4_diag_health now;
	struct c4_diag_gpu gpus[C4_HEALTH_GPUS];
	struct c4_diag_nic nics[C4_HEALTH_NICS];
	struct minute gpu_minutes[C4_HEALTH_GPUS], nic_minutes[C4_HEALTH_NICS];
	uint64_t xid_ns[C4_HEALTH_GPUS]; /* when the last one was, 0: never */
};

struct c4_health *c4_health_new(void)
{
	struct c4_health *h = calloc(1, sizeof *h);

	if (!h)
		return NULL;
	h->now.gpus = h->gpus;
	h->now.nics = h->nics;
	return h;
}

void c4_health_free(struct c4_health *h)
{
	free(h);
}

/* ---- counters -------------------------------------------------------------------------------- */

static bool went_back(const struct minute *m, const uint64_t *v, int n)
{
	for (int i = 0; i < n; i++)
		if (v[i] < m->next[i])
			return true;
	return false;
}

/* Takes the counters as they are now, leaves in v how far each has moved. */
static void minute_take(struct minute *m, uint64_t *v, int n, uint64_t now_ns)
{
	if (!m->from_ns || went_back(m, v, n)) {
		memcpy(m->from, v, (size_t)n * sizeof *v);
		memcpy(m->next, v, (size_t)n * sizeof *v);
		m->from_ns = m->next_ns = now_ns;
	}
	if (c4_vclock_since(now_ns, m->next_ns) >= HALF_MINUTE_NS) {
		memcpy(m->from, m->next, (size_t)n * sizeof *v);
		m->from_ns = m->next_ns;
		memcpy(m->next, v, (size_t)n * sizeof *v);
		m->next_ns = now_ns;
	}
	for (int i = 0; i < n; i++)
		v[i] -= m->from[i];
}

/* ---- GPUs ------------------------------------------------------------------------------------ */

/* "00000000:3B:00.0" and "0000:3b:00.0" are the same place. */
static bool same_bus(const char *a, const char *b)
{
	a += strspn(a, "0");
	b += strspn(b, "0");
	return *a && !strcasecmp(a, b);
}

static struct c4_diag_gpu *gpu_slot(struct c4_health *h, const C4__V1__Gpu *g)
{
	for (uint32_t i = 0; i < h->now.ngpus; i++)
		if (h->gpus[i].index == g->index)
			return &h->gpus[i];
	return h->now.ngpus < C4_HEALTH_GPUS ? &h->gpus[h->now.ngpus++] : NULL;
}

enum c4_part_refusal c4_health_gpu(struct c4_health *h, const C4__V1__Gpu *g, uint64_t now_ns)
{
	uint64_t v[COUNTERS_MAX] = {
		[ECC] = g->ecc_volatile_uncorrected,
		[NVLINK] = g->nvlink_errors,
		[XIDS] = g->xids,
	};
	struct c4_diag_gpu *out = gpu_slot(h, g);

	if (!out)
		return C4_PART_DEVICES_FULL;
	minute_take(&h->gpu_minutes[out - h->gpus], v, GPU_COUNTERS, now_ns);
	*out = (struct c4_diag_gpu){
		.index = g->index,
		.sm_mhz = g->sm_mhz,
		.sm_max_mhz = g->sm_max_mhz,
		.celsius = g->celsius,
		.watts = g->watts,
		.throttle = g->throttle,
		.ecc = v[ECC],
		.nvlink_errors = v[NVLINK],
		.xids = v[XIDS],
		.last_xid = g->last_xid,
	};
	c4_text_copy(out->bus, sizeof out->bus, g->bus);
	c4_text_copy(out->name, sizeof out->name, g->name);
	h->xid_ns[out - h->gpus] = g->last_xid ? c4_vclock_ago(now_ns, g->last_xid_age_ns) : 0;
	return C4_PART_OK;
}

const struct c4_diag_gpu *c4_health_find_gpu(const struct c4_health *h, const char *bus,
					     int32_t index)
{
	for (uint32_t i = 0; h && i < h->now.ngpus; i++)
		if (*bus ? same_bus(h->gpus[i].bus, bus) : (int64_t)h->gpus[i].index == index)
			return &h->gpus[i];
	return NULL;
}

/* ---- network interfaces ---------------------------------------------------------------------- */

static struct c4_diag_nic *nic_slot(struct c4_health *h, const char *name)
{
	for (uint32_t i = 0; i < h->now.nnics; i++)
		if (!strcmp(h->nics[i].name, name))
			return &h->nics[i];
	return h->now.nnics < C4_HEALTH_NICS ? &h->nics[h->now.nnics++] : NULL;
}

enum c4_part_refusal c4_health_nic(struct c4_health *h, const C4__V1__Nic *n, uint64_t now_ns)
{
	uint64_t v[COUNTERS_MAX] = {
		[TX] = n->tx_bytes,   [RX] = n->rx_bytes,     [ERRORS] = n->errors,
		[DROPS] = n->drops,   [RETRIES] = n->retries, [CNPS] = n->cnps,
		[PAUSES] = n->pauses, [DOWNS] = n->downs,
	};
	char name[sizeof h->nics->name];
	struct c4_diag_nic *out;

	if (!*c4_text_copy(name, sizeof name, n->name))
		return C4_PART_DEVICE;
	out = nic_slot(h, name);
	if (!out)
		return C4_PART_DEVICES_FULL;
	minute_take(&h->nic_minutes[out - h->nics], v, NIC_COUNTERS, now_ns);
	*out = (struct c4_diag_nic){
		.rdma = n->rdma,
		.up = n->up,
		.mbps = n->mbps,
		.tx_bytes = v[TX],
		.rx_bytes = v[RX],
		.errors = v[ERRORS],
		.drops = v[DROPS],
		.retries = v[RETRIES],
		.cnps = v[CNPS],
		.pauses = v[PAUSES],
		.downs = v[DOWNS],
	};
	memcpy(out->name, name, sizeof name);
	out->over_s = (double)c4_vclock_since(now_ns, h->nic_minutes[out - h->nics].from_ns) / 1e9;
	return C4_PART_OK;
}

const struct c4_diag_health *c4_health_now(struct c4_health *h, uint64_t now_ns)
{
	for (uint32_t i = 0; h && i < h->now.ngpus; i++)
		h->gpus[i].last_xid_age_ns =
			h->xid_ns[i] ? c4_vclock_since(now_ns, h->xid_ns[i]) : 0;
	return h ? &h->now : NULL;
}
