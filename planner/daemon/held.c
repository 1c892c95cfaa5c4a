// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/held.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"

static uint64_t add_text(uint64_t h, const char *text)
{
	return c4_hash_bytes(h, text, strlen(text) + 1);
}

static uint64_t digest_of(const struct c4_fabric *f)
{
	uint64_t h = c4_hash_u64(f->n_switches, f->n_links);

	for (uint32_t i = 0; i < f->n_switches; i++)
		h = c4_hash_u64(add_text(h, f->switches[i].name), f->switches[i].tier);
	for (uint32_t i = 0; i < f->n_links; i++)
		h = c4_hash_u64(h, (uint64_t)f->links[i].a << 32 | f->links[i].b);
	for (uint32_t i = 0; i < f->n_hosts; i++)
		h = add_text(h, f->hosts[i].name);
	for (uint32_t i = 0; i < f->n_nics; i++) {
		const struct c4_nic *n = &f->nics[i];

		h = c4_hash_u64(add_text(h, n->name), (uint64_t)n->host << 32 | n->leaf);
		h = c4_hash_u64(h, (uint64_t)n->plane << 32 | n->rail);
	}
	return h;
}

/* What may be another without the network being another. */
static uint64_t addresses_of(const struct c4_fabric *f)
{
	uint64_t h = f->n_addresses;

	for (uint32_t i = 0; i < f->n_nics; i++) {
		uint32_t rate;

		memcpy(&rate, &f->nics[i].gbps, sizeof rate);
		h = c4_hash_u64(h, (uint64_t)f->nics[i].ipv4 << 32 | rate);
	}
	for (uint32_t i = 0; i < f->n_switches; i++)
		h = c4_hash_u64(h, (uint64_t)f->switches[i].address << 32 | f->switches[i].epoch);
	for (uint32_t i = 0; i < f->n_addresses; i++)
		h = c4_hash_u64(h, (uint64_t)f->addresses[i].next << 32 | f->addresses[i].ipv4);
	return h;
}

static int by_ipv4(const void *x, const void *y, void *arg)
{
	const struct c4_nic *nics = arg;
	uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;

	if (nics[a].ipv4 != nics[b].ipv4)
		return nics[a].ipv4 < nics[b].ipv4 ? -1 : 1;
	return a < b ? -1 : a > b;
}

/* NULL: no memory. */
static uint32_t *sort_nics(const struct c4_fabric *f, uint32_t *ret_n)
{
	uint32_t *v = malloc(((size_t)f->n_nics + 1) * sizeof *v), n = 0;

	if (!v)
		return NULL;
	for (uint32_t i = 0; i < f->n_nics; i++)
		if (f->nics[i].ipv4)
			v[n++] = i;
	qsort_r(v, n, sizeof *v, by_ipv4, f->nics);
	*ret_n = n;
	return v;
}

uint32_t c4_held_fabric_nic_at(const struct c4_held_fabric *h, uint32_t ipv4)
{
	const struct c4_nic *nics = h->fabric.nics;
	uint32_t low = 0, high = h->n_nic_by_ipv4;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (nics[h->nic_by_ipv4[mid]].ipv4 < ipv4)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == h->n_nic_by_ipv4 || nics[h->nic_by_ipv4[low]].ipv4 != ipv4)
		return C4_NONE;
	return h->nic_by_ipv4[low];
}

uint64_t c4_fabric_rates(const struct c4_fabric *f)
{
	uint64_t h = f->n_links;

	for (uint32_t i = 0; i < f->n_links; i++) {
		uint32_t bits[2];

		memcpy(&bits[0], &f->links[i].gbps, sizeof bits[0]);
		memcpy(&bits[1], &f->links[i].now_gbps, sizeof bits[1]);
		h = c4_mix64(h ^ ((uint64_t)bits[0] << 32 | bits[1]));
	}
	return h;
}

struct c4_held_fabric *c4_held_fabric_new(struct c4_fabric *f)
{
	struct c4_held_fabric *h = malloc(sizeof *h);
	float *gbps = malloc(((size_t)f->n_links + 1) * sizeof *gbps);
	uint32_t n_by_ipv4 = 0, *by = sort_nics(f, &n_by_ipv4);

	if (!h || !gbps || !by) {
		free(h);
		free(gbps);
		free(by);
		return NULL;
	}
	for (uint32_t i = 0; i < f->n_links; i++)
		gbps[i] = f->links[i].now_gbps;
	*h = (struct c4_held_fabric){
		.holders = 1,
		.digest = digest_of(f),
		.file_rates = c4_fabric_rates(f),
		.addresses = addresses_of(f),
		.nic_by_ipv4 = by,
		.n_nic_by_ipv4 = n_by_ipv4,
		.file_gbps = gbps,
		.fabric = *f,
	};
	c4_fabric_init(f);
	return h;
}

struct c4_held_demand *c4_held_demand_new(struct c4_demand *d)
{
	struct c4_held_demand *h = malloc(sizeof *h);

	if (!h)
		return NULL;
	*h = (struct c4_held_demand){.holders = 1, .demand = *d};
	c4_demand_init(d);
	return h;
}

struct c4_held_fabric *c4_held_fabric_hold(struct c4_held_fabric *h)
{
	if (h)
		__atomic_fetch_add(&h->holders, 1, __ATOMIC_RELAXED);
	return h;
}

struct c4_held_demand *c4_held_demand_hold(struct c4_held_demand *h)
{
	if (h)
		__atomic_fetch_add(&h->holders, 1, __ATOMIC_RELAXED);
	return h;
}

void c4_held_fabric_drop(struct c4_held_fabric *h)
{
	if (!h || __atomic_sub_fetch(&h->holders, 1, __ATOMIC_ACQ_REL))
		return;
	c4_fabric_release(&h->fabric);
	free(h->file_gbps);
	free(h->nic_by_ipv4);
	free(h);
}

void c4_held_demand_drop(struct c4_held_demand *h)
{
	if (!h || __atomic_sub_fetch(&h->holders, 1, __ATOMIC_ACQ_REL))
		return;
	c4_demand_release(&h->demand);
	free(h);
}

static bool same_conn(const struct c4_demand *a, const struct c4_demand *b, uint32_t i)
{
	const struct c4_conn *x = &a->conns[i], *y = &b->conns[i];

	return x->src == y->src && x->dst == y->dst && x->qps == y->qps && x->weight == y->weight &&
	       !strcmp(x->id, y->id) && !strcmp(a->jobs[x->job].name, b->jobs[y->job].name) &&
	       a->jobs[x->job].intensity == b->jobs[y->job].intensity;
}

bool c4_demand_equal(const struct c4_demand *a, const struct c4_demand *b)
{
	if (a->n_conns != b->n_conns || a->n_qps != b->n_qps)
		return false;
	for (uint32_t i = 0; i < a->n_conns; i++)
		if (!same_conn(a, b, i))
			return false;
	return true;
}

uint32_t c4_demand_find(const struct c4_demand *d, const char *id)
{
	const struct c4_strmap_entry *e = c4_strmap_find(&d->ids, id);

	return e && e->value ? (uint32_t)((uintptr_t)e->value - 1) : C4_NONE;
}
