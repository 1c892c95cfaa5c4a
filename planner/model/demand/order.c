// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/demand/order.h"

#include <errno.h>
#include <stdlib.h>

#include "common/ds/map.h"
#include "planner/model/demand/pattern.h"

/* What a host is sorted by: its pod and leaves as numbers in order of first mention. */
struct key {
	struct c4_order_host host;
	uint32_t at;  /* in the list as given */
	uint32_t pod; /* C4_NONE: unknown host */
	const uint32_t *leaves;
	uint32_t n_leaves;
};

struct sorter {
	const struct c4_fabric *f;
	struct key *keys;
	uint32_t *leaves; /* all keys' leaves in one piece */
	uint32_t *seen;	  /* switch → number + 1, 0: not mentioned */
	uint32_t n_seen;
	struct c4_map pods; /* net and pod → number + 1 */
};

static int by_rail(const struct c4_nic *a, const struct c4_nic *b)
{
	if (a->rail != b->rail)
		return a->rail < b->rail ? -1 : 1;
	return a->plane < b->plane ? -1 : a->plane > b->plane;
}

/* A host's NICs are few and mostly in order: insertion. */
static void sort_nics(const struct c4_fabric *f, uint32_t host, uint32_t *nics)
{
	const struct c4_host *h = &f->hosts[host];

	for (uint32_t i = 0; i < h->nics; i++) {
		uint32_t k = i, nic = h->nic + i;

		for (; k && by_rail(&f->nics[nic], &f->nics[nics[k - 1]]) < 0; k--)
			nics[k] = nics[k - 1];
		nics[k] = nic;
	}
}

static uint64_t pod_key(const struct c4_fabric *f, uint32_t leaf)
{
	return (uint64_t)f->switches[leaf].net << 32 | f->switches[leaf].pod;
}

static int number_pod(struct sorter *s, uint32_t leaf, uint32_t *ret)
{
	uint64_t key = pod_key(s->f, leaf);
	uintptr_t known = (uintptr_t)c4_map_get(&s->pods, key);

	if (!known) {
		known = (uintptr_t)s->pods.used + 1;
		if (c4_map_put(&s->pods, key, (void *)known))
			return -ENOMEM;
	}
	*ret = (uint32_t)known - 1;
	return 0;
}

/* Fills in the key; its leaves go to `room`, one per NIC. */
static int describe(struct sorter *s, struct key *k, uint32_t *room)
{
	const struct c4_fabric *f = s->f;
	uint32_t n = k->host.host == C4_NONE ? 0 : f->hosts[k->host.host].nics;

	k->pod = C4_NONE;
	k->leaves = room;
	k->n_leaves = n;
	if (!n)
		return 0;
	sort_nics(f, k->host.host, room);
	if (number_pod(s, f->nics[room[0]].leaf, &k->pod))
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t *number = &s->seen[f->nics[room[i]].leaf];

		if (!*number)
			*number = ++s->n_seen;
		room[i] = *number;
	}
	return 0;
}

static int compare(const void *x, const void *y)
{
	const struct key *a = x, *b = y;

	if (a->pod != b->pod)
		return a->pod < b->pod ? -1 : 1;
	for (uint32_t i = 0; i < a->n_leaves && i < b->n_leaves; i++)
		if (a->leaves[i] != b->leaves[i])
			return a->leaves[i] < b->leaves[i] ? -1 : 1;
	return a->at < b->at ? -1 : a->at > b->at;
}

static uint64_t count_nics(const struct c4_fabric *f, const struct c4_order_host *hosts, uint32_t n)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += hosts[i].host == C4_NONE ? 0 : f->hosts[hosts[i].host].nics;
	return sum;
}

static int sort(struct sorter *s, struct c4_order_host *hosts, uint32_t n)
{
	uint32_t *room = s->leaves;

	for (uint32_t i = 0; i < n; i++) {
		s->keys[i] = (struct key){.host = hosts[i], .at = i};
		if (describe(s, &s->keys[i], room))
			return -ENOMEM;
		room += s->keys[i].n_leaves;
	}
	qsort(s->keys, n, sizeof *s->keys, compare);
	for (uint32_t i = 0; i < n; i++)
		hosts[i] = s->keys[i].host;
	return 0;
}

int c4_order_sort(const struct c4_fabric *f, struct c4_order_host *hosts, uint32_t n)
{
	struct sorter s = {.f = f};
	int rc = -ENOMEM;

	s.keys = malloc((n + 1) * sizeof *s.keys);
	s.leaves = malloc((count_nics(f, hosts, n) + 1) * sizeof *s.leaves);
	s.seen = calloc(f->n_switches + 1, sizeof *s.seen);
	if (s.keys && s.leaves && s.seen)
		rc = sort(&s, hosts, n);
	free(s.keys);
	free(s.leaves);
	free(s.seen);
	c4_map_release(&s.pods);
	return rc;
}

/* ---- crossings ------------------------------------------------------------------------------- */

uint32_t c4_order_first_nic(const struct c4_fabric *f, uint32_t host)
{
	const struct c4_host *h = &f->hosts[host];
	uint32_t best = h->nics ? h->nic : C4_NONE;

	for (uint32_t i = h->nic; i < h->nic + h->nics; i++)
		if (by_rail(&f->nics[i], &f->nics[best]) < 0)
			best = i;
	return best;
}

static void count_connections(const struct c4_fabric *f, uint32_t from, uint32_t to,
			      struct c4_crossings *c)
{
	const struct c4_host *h = &f->hosts[from];

	for (uint32_t i = h->nic; i < h->nic + h->nics; i++) {
		uint32_t twin = c4_pattern_twin(f, i, to);

		if (twin == C4_NONE)
			continue;
		c->spine += f->nics[i].leaf != f->nics[twin].leaf;
		c->core += pod_key(f, f->nics[i].leaf) != pod_key(f, f->nics[twin].leaf);
	}
}

static uint32_t first_leaf(const struct c4_fabric *f, uint32_t host)
{
	uint32_t nic = host == C4_NONE ? C4_NONE : c4_order_first_nic(f, host);

	return nic == C4_NONE ? C4_NONE : f->nics[nic].leaf;
}

void c4_order_count(const struct c4_fabric *f, const struct c4_order_host *hosts, uint32_t n,
		    struct c4_crossings *ret)
{
	*ret = (struct c4_crossings){0};
	for (uint32_t i = 0; n > 1 && i < n; i++) {
		uint32_t from = hosts[i].host, to = hosts[(i + 1) % n].host;
		uint32_t a = first_leaf(f, from), b = first_leaf(f, to);

		if (a == C4_NONE || b == C4_NONE) {
			ret->unknown++;
			continue;
		}
		ret->leaf += a != b;
		ret->pod += pod_key(f, a) != pod_key(f, b);
		count_connections(f, from, to, ret);
	}
}
