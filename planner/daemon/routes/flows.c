// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/routes/flows.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"

void c4_flows_clear(struct c4_flows *f)
{
	struct c4_map_entry *e;

	c4_map_for_each (e, &f->by_key)
		free(e->value);
	c4_map_release(&f->by_key);
	f->n = 0;
}

void c4_flows_release(struct c4_flows *f)
{
	c4_flows_clear(f);
}

/* ---- keys ------------------------------------------------------------------------------------ */

struct c4_flow_key c4_flow_key_of(uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport,
				  uint8_t proto, uint8_t *ret_from)
{
	bool turned = src > dst || (src == dst && sport > dport);
	struct c4_flow_key k = {.proto = proto};

	k.ip[turned] = src;
	k.port[turned] = sport;
	k.ip[!turned] = dst;
	k.port[!turned] = dport;
	*ret_from = turned;
	return k;
}

static uint64_t hash_of(const struct c4_flow_key *k)
{
	return c4_hash_u64((uint64_t)k->ip[0] << 32 | k->ip[1],
			   (uint64_t)k->port[0] << 32 | (uint64_t)k->port[1] << 8 | k->proto);
}

static bool same_key(const struct c4_flow_key *x, const struct c4_flow_key *y)
{
	return x->ip[0] == y->ip[0] && x->ip[1] == y->ip[1] && x->port[0] == y->port[0] &&
	       x->port[1] == y->port[1] && x->proto == y->proto;
}

struct c4_flow *c4_flows_find(const struct c4_flows *f, const struct c4_flow_key *k)
{
	struct c4_flow *found = c4_map_get(&f->by_key, hash_of(k));

	return found && same_key(&found->key, k) ? found : NULL;
}

struct c4_flow *c4_flows_at(struct c4_flows *f, const struct c4_flow_key *k, bool *ret_fresh)
{
	struct c4_flow *x = c4_map_get(&f->by_key, hash_of(k));

	*ret_fresh = !x;
	if (x)
		return same_key(&x->key, k) ? x : NULL; /* two of one hash: the first stays */
	if (f->n >= C4_FLOWS_MAX)
		return NULL;
	x = calloc(1, sizeof *x);
	if (!x || c4_map_put(&f->by_key, hash_of(k), x)) {
		free(x);
		return NULL;
	}
	x->key = *k;
	f->n++;
	return x;
}

/* ---- time ------------------------------------------------------------------------------------ */

static bool silent(const struct c4_flow *f, uint64_t now_ns)
{
	uint64_t last =
		f->end[0].seen_ns > f->end[1].seen_ns ? f->end[0].seen_ns : f->end[1].seen_ns;

	return now_ns >= last + C4_FLOW_SILENT_NS;
}

/* Removing moves entries of the map: some at a time, found first. */
static uint32_t find_silent(const struct c4_flows *f, struct c4_flow **some, uint32_t cap,
			    uint64_t now_ns)
{
	struct c4_map_entry *e;
	uint32_t n = 0;

	c4_map_for_each (e, &f->by_key) {
		if (n == cap)
			break;
		if (silent(e->value, now_ns))
			some[n++] = e->value;
	}
	return n;
}

void c4_flows_expire(struct c4_flows *f, uint64_t now_ns)
{
	struct c4_flow *some[512];
	uint32_t n = find_silent(f, some, 512, now_ns); /* the next tick finds more */

	for (uint32_t i = 0; i < n; i++) {
		c4_map_del(&f->by_key, hash_of(&some[i]->key));
		free(some[i]);
	}
	f->n -= n;
}

uint32_t c4_flow_connections(const struct c4_flow *f, uint64_t now_ns)
{
	uint32_t most = 1;

	for (unsigned end = 0; end < 2; end++)
		if (c4_flow_fresh(f, end, now_ns) && f->end[end].connections > most)
			most = f->end[end].connections;
	return most;
}

double c4_flow_gbps(const struct c4_flow *f, unsigned from, uint64_t now_ns)
{
	double sent = c4_flow_fresh(f, from, now_ns) ? f->end[from].sent_gbps : 0;
	double got = c4_flow_fresh(f, !from, now_ns) ? f->end[!from].got_gbps : 0;

	return sent > got ? sent : got;
}
