// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/oracle/oracle_table.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/ds/vec.h"
#include "planner/model/eval/ecmp.h"

#define BUCKETS	 (1u << 16)
#define SURENESS 16.0 /* "unreachable" is wrong once in e^16 times */

struct table {
	struct c4_oracle base;
	struct c4_ecmp ecmp;
	struct c4_probe *probes;
	uint32_t n, cap, limit;
	uint32_t oldest; /* next to be overwritten, once full */
	uint32_t *heads; /* per bucket of pairs: first observation, index + 1 */
};

static uint32_t *head_of(const struct table *t, uint32_t src, uint32_t dst)
{
	return &t->heads[(uint32_t)c4_hash_u64(src, dst) & (BUCKETS - 1)];
}

/* The observation of the pair at i (index + 1) or after it in its bucket; NULL: no more. */
static struct c4_probe *of_pair(const struct table *t, uint32_t i, uint32_t src, uint32_t dst)
{
	for (; i; i = t->probes[i - 1].next)
		if (t->probes[i - 1].src == src && t->probes[i - 1].dst == dst)
			return &t->probes[i - 1];
	return NULL;
}

static struct c4_probe *first_probe(const struct table *t, uint32_t src, uint32_t dst)
{
	return of_pair(t, *head_of(t, src, dst), src, dst);
}

static struct c4_probe *next_probe(const struct table *t, const struct c4_probe *p)
{
	return of_pair(t, p->next, p->src, p->dst);
}

static struct c4_probe *find(const struct table *t, uint32_t src, uint32_t dst, uint16_t sport)
{
	struct c4_probe *p;

	for (p = first_probe(t, src, dst); p; p = next_probe(t, p))
		if (p->sport == sport)
			return p;
	return NULL;
}

/* ---- freshness --------------------------------------------------------------------------- */

uint64_t c4_probe_epochs(const struct c4_fabric *f, uint32_t leaf, const struct c4_path *path)
{
	uint64_t sum = 0;
	uint32_t at = leaf;

	for (uint32_t i = 0; i < path->hops; i++) {
		sum += f->switches[at].epoch;
		at = c4_link_peer(&f->links[path->link[i]], at);
	}
	return sum;
}

bool c4_probe_fresh(const struct c4_fabric *f, const struct c4_probe *p)
{
	for (uint32_t i = 0; i < p->path.hops; i++)
		if (!(f->links[p->path.link[i]].now_gbps > 0))
			return false;
	return p->epochs == c4_probe_epochs(f, f->nics[p->src].leaf, &p->path);
}

/* ---- learning ---------------------------------------------------------------------------- */

static void unlink_probe(struct table *t, uint32_t index)
{
	const struct c4_probe *gone = &t->probes[index];
	uint32_t *at = head_of(t, gone->src, gone->dst);

	while (*at != index + 1)
		at = &t->probes[*at - 1].next;
	*at = gone->next;
}

/* A place for one more: its index, or -ENOMEM. */
static int64_t take_place(struct table *t)
{
	struct c4_probe *grown;
	uint32_t index = t->oldest;

	if (t->n < t->limit) {
		grown = c4_vec_reserve(t->probes, &t->cap, t->n + 1, t->limit, sizeof *grown);
		if (!grown)
			return -ENOMEM;
		t->probes = grown;
		return t->n++;
	}
	unlink_probe(t, index);
	t->oldest = (t->oldest + 1) % t->limit;
	t->base.stats.lost++;
	return index;
}

static int table_learn(struct c4_oracle *o, uint32_t src, uint32_t dst, uint16_t sport,
		       const struct c4_path *seen)
{
	struct table *t = (struct table *)o;
	struct c4_probe *p = find(t, src, dst, sport);
	uint64_t epochs = c4_probe_epochs(o->fabric, o->fabric->nics[src].leaf, seen);
	uint32_t *head;
	int64_t index;

	if (p) {
		p->path = *seen;
		p->epochs = epochs;
		return 0;
	}
	index = take_place(t);
	if (index < 0)
		return (int)index;
	head = head_of(t, src, dst);
	t->probes[index] = (struct c4_probe){
		.src = src,
		.dst = dst,
		.epochs = epochs,
		.path = *seen,
		.next = *head,
		.sport = sport,
	};
	*head = (uint32_t)index + 1;
	return 0;
}

/* ---- answers ----------------------------------------------------------------------------- */

static int table_begin(struct c4_oracle *o, const struct c4_fabric *f)
{
	struct table *t = (struct table *)o;

	c4_ecmp_release(&t->ecmp);
	return c4_ecmp_init(&t->ecmp, f);
}

static int table_path(struct c4_oracle *o, uint32_t src, uint32_t dst, uint16_t sport,
		      struct c4_path *ret)
{
	const struct c4_probe *p = find((struct table *)o, src, dst, sport);

	if (!p || !c4_probe_fresh(o->fabric, p))
		return -EAGAIN;
	*ret = p->path;
	return 0;
}

/* The first open want for this path. */
static struct c4_want *wanting(struct c4_want *wants, uint32_t n, const struct c4_path *path)
{
	for (uint32_t i = 0; i < n; i++)
		if (wants[i].answer != C4_PORT_FOUND && c4_path_equal(&wants[i].path, path))
			return &wants[i];
	return NULL;
}

/* So many random ports show every one of n equally likely paths, but for once in e^SURENESS. */
static double enough(uint32_t paths)
{
	return paths * (log(paths > 1 ? paths : 2) + SURENESS);
}

static bool ever_seen(const struct table *t, uint32_t src, uint32_t dst, const struct c4_path *path)
{
	const struct c4_probe *p;

	for (p = first_probe(t, src, dst); p; p = next_probe(t, p))
		if (c4_path_equal(&p->path, path) && c4_probe_fresh(t->base.fabric, p))
			return true;
	return false;
}

static void give_up(struct table *t, uint32_t src, uint32_t dst, uint32_t tried,
		    struct c4_want *wants, uint32_t n)
{
	const struct c4_nic *nics = t->base.fabric->nics;
	bool all = tried == C4_PORTS, many;

	c4_ecmp_toward(&t->ecmp, nics[dst].leaf);
	many = tried >= enough(c4_ecmp_paths(&t->ecmp, nics[src].leaf));
	for (uint32_t i = 0; i < n; i++)
		if (wants[i].answer != C4_PORT_FOUND)
			wants[i].answer = all || (many && !ever_seen(t, src, dst, &wants[i].path))
						  ? C4_PORT_UNREACHABLE
						  : C4_PORT_UNKNOWN;
}

static void table_ports(struct c4_oracle *o, uint32_t src, uint32_t dst, struct c4_want *wants,
			uint32_t n)
{
	struct table *t = (struct table *)o;
	const struct c4_probe *p;
	uint32_t tried = 0;

	for (p = first_probe(t, src, dst); p; p = next_probe(t, p)) {
		struct c4_want *w;

		if (!c4_probe_fresh(o->fabric, p))
			continue;
		tried++;
		if (c4_oracle_taken(o, p->sport))
			continue;
		w = wanting(wants, n, &p->path);
		if (w)
			c4_oracle_take(o, w, p->sport);
	}
	give_up(t, src, dst, tried, wants, n);
}

static bool any_unknown(const struct c4_want *wants, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (wants[i].answer == C4_PORT_UNKNOWN)
			return true;
	return false;
}

static uint32_t table_probe(struct c4_oracle *o, uint32_t src, uint32_t dst,
			    const struct c4_want *wants, uint32_t n, uint16_t *ports, uint32_t cap)
{
	struct table *t = (struct table *)o;
	uint64_t known[C4_PORTS / 64] = {0};
	const struct c4_probe *p;
	uint32_t found = 0;

	if (!any_unknown(wants, n))
		return 0;
	for (p = first_probe(t, src, dst); p; p = next_probe(t, p)) {
		uint32_t bit = p->sport - C4_PORT_FIRST;

		if (c4_probe_fresh(o->fabric, p))
			known[bit / 64] |= (uint64_t)1 << (bit % 64);
	}
	for (uint32_t i = 0; i < C4_PORTS && found < cap; i++) {
		uint16_t port = c4_oracle_nth_port(src, dst, i);
		uint32_t bit = port - C4_PORT_FIRST;

		if (!(known[bit / 64] >> (bit % 64) & 1))
			ports[found++] = port;
	}
	return found;
}

/* ---- life -------------------------------------------------------------------------------- */

static void table_free(struct c4_oracle *o)
{
	struct table *t = (struct table *)o;

	c4_ecmp_release(&t->ecmp);
	free(t->heads);
	free(t->probes);
	free(t);
}

static const struct c4_oracle_ops ops = {
	.name = "table",
	.begin = table_begin,
	.path = table_path,
	.ports = table_ports,
	.learn = table_learn,
	.probe = table_probe,
	.free = table_free,
};

struct c4_oracle *c4_oracle_table_new(uint32_t cap)
{
	struct table *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->base.ops = &ops;
	t->limit = cap < 1 ? 1 : cap > C4_PROBES_MAX ? C4_PROBES_MAX : cap;
	t->heads = calloc(BUCKETS, sizeof *t->heads);
	if (!t->heads) {
		free(t);
		return NULL;
	}
	return &t->base;
}

const struct c4_probe *c4_oracle_table_all(const struct c4_oracle *o, uint32_t *n)
{
	const struct table *t = (const struct table *)o;

	*n = t->n;
	return t->probes;
}
