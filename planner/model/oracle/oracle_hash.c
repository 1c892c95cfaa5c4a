// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/oracle/oracle_hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "planner/model/eval/ecmp.h"

#define SYNTHETIC_NET 0x0A000000u
#define TURN_BITS     8u
#define VIEWS	      64u

/*
 * A search may go through all ports. Hardly one takes more than PATIENCE times as many tries as
 * there are paths, unless its path cannot be reached. What goes beyond that is bounded for all
 * searches together; once it is used up they stop there and leave their wants unknown.
 */
#define PATIENCE    4u
#define SPARE_TRIES (1u << 26)

/* How one switch sees one pair. */
struct view {
	uint32_t at; /* the switch, C4_NONE: empty */
	uint32_t seed, turn;
	uint32_t at_port_0; /* linear kinds */
	uint64_t inverse;   /* of the group's size, for modulo() */
	struct c4_ecmp_group group;
};

struct hash_oracle {
	struct c4_oracle base;
	struct c4_hash_model model;
	struct c4_flowhash hash;
	struct c4_ecmp ecmp;
	uint64_t spare_tries;
	struct view views[VIEWS]; /* of the pair at work */
	uint32_t *first;	  /* per member of a leaf's group: wants that begin there … */
	uint32_t next[C4_PORTS];  /* … chained; index + 1 */
};

uint32_t c4_nic_address(const struct c4_fabric *f, uint32_t nic)
{
	return f->nics[nic].ipv4 ? f->nics[nic].ipv4 : SYNTHETIC_NET + nic + 1;
}

/* Begins work on a pair. */
static struct c4_tuple take_pair(struct hash_oracle *h, uint32_t src, uint32_t dst)
{
	c4_ecmp_toward(&h->ecmp, h->base.fabric->nics[dst].leaf);
	for (uint32_t i = 0; i < VIEWS; i++)
		h->views[i].at = C4_NONE;
	return (struct c4_tuple){
		.sip = c4_nic_address(h->base.fabric, src),
		.dip = c4_nic_address(h->base.fabric, dst),
		.dport = h->model.dport,
		.proto = h->model.proto,
	};
}

/* value % n by two multiplications (Lemire, Kaser, Kurz 2019); inverse = 2^64 / n, rounded up. */
static uint32_t modulo(uint32_t value, uint64_t inverse, uint32_t n)
{
	return (uint32_t)(((unsigned __int128)(inverse * value) * n) >> 64);
}

static struct view make_view(struct hash_oracle *h, uint32_t s, const struct c4_tuple *pair)
{
	struct view v = {.at = s, .group = c4_ecmp_group(&h->ecmp, s), .seed = h->model.seed};

	if (v.group.n < 2)
		return v;
	v.inverse = UINT64_MAX / v.group.n + 1;
	if (!h->model.alike) {
		v.seed = (uint32_t)c4_hash_u64(h->model.seed, s);
		v.turn = TURN_BITS * (uint32_t)h->base.fabric->switches[s].tier;
		v.turn %= h->hash.bits;
	}
	if (c4_flowhash_linear(&h->hash))
		v.at_port_0 = c4_flowhash(&h->hash, v.seed, pair);
	return v;
}

/* The view of switch s, of the pair at work. */
static const struct view *view_of(struct hash_oracle *h, uint32_t s, const struct c4_tuple *pair)
{
	struct view *v = &h->views[s % VIEWS];

	if (v->at != s)
		*v = make_view(h, s, pair);
	return v;
}

static uint32_t hash_of(const struct hash_oracle *h, const struct view *v, struct c4_tuple *pair,
			uint16_t sport)
{
	uint32_t value;

	if (c4_flowhash_linear(&h->hash)) {
		value = c4_flowhash_port(&h->hash, v->at_port_0, sport);
	} else {
		pair->sport = sport;
		value = c4_flowhash(&h->hash, v->seed, pair);
		pair->sport = 0;
	}
	if (!v->turn)
		return value;
	value = value >> v->turn | value << (h->hash.bits - v->turn);
	return h->hash.bits == 16 ? value & 0xFFFF : value;
}

/* A dead member's buckets go to the living, the others stay where they are. */
static uint32_t resilient(const struct hash_oracle *h, const struct c4_ecmp_group *g,
			  uint32_t value)
{
	uint32_t bucket = value % h->model.resilient;
	const struct c4_ecmp_member *owner = &g->members[g->n + bucket % g->n_all];

	if (!owner->live)
		return (uint32_t)(c4_mix64(bucket) % g->n);
	for (uint32_t i = 0;; i++)
		if (g->members[i].link == owner->link)
			return i;
}

/* Index of the live member that a port takes; the group is not empty. */
static uint32_t choose(const struct hash_oracle *h, const struct view *v, struct c4_tuple *pair,
		       uint16_t sport)
{
	uint32_t value;

	if (v->group.n == 1)
		return 0;
	value = hash_of(h, v, pair, sport);
	return h->model.resilient ? resilient(h, &v->group, value)
				  : modulo(value, v->inverse, v->group.n);
}

static int hash_begin(struct c4_oracle *o, const struct c4_fabric *f)
{
	struct hash_oracle *h = (struct hash_oracle *)o;
	uint32_t most = 1;

	c4_ecmp_release(&h->ecmp);
	free(h->first);
	for (uint32_t s = 0; s < f->n_switches; s++)
		if (f->link_at[s + 1] - f->link_at[s] > most)
			most = f->link_at[s + 1] - f->link_at[s];
	h->first = calloc(most, sizeof *h->first);
	h->spare_tries = SPARE_TRIES;
	return h->first ? c4_ecmp_init(&h->ecmp, f) : -ENOMEM;
}

/* The rest of the way from switch `at`: appends to *path. */
static int follow(struct hash_oracle *h, uint32_t at, struct c4_tuple *pair, uint16_t sport,
		  struct c4_path *path)
{
	while (at != h->ecmp.leaf) {
		const struct view *v = view_of(h, at, pair);
		const struct c4_ecmp_member *m;

		if (!v->group.n)
			return -EHOSTUNREACH;
		m = &v->group.members[choose(h, v, pair, sport)];
		path->link[path->hops++] = m->link;
		at = m->to;
	}
	return 0;
}

static int hash_path(struct c4_oracle *o, uint32_t src, uint32_t dst, uint16_t sport,
		     struct c4_path *ret)
{
	struct hash_oracle *h = (struct hash_oracle *)o;
	struct c4_tuple pair = take_pair(h, src, dst);
	struct c4_path path = {.hops = 0};
	int rc;

	rc = follow(h, o->fabric->nics[src].leaf, &pair, sport, &path);
	if (rc == 0)
		*ret = path;
	return rc;
}

/* ---- search ------------------------------------------------------------------------------ */

/* Chains open wants by their first link; those that begin on no live link cannot be reached. */
static uint32_t chain(struct hash_oracle *h, const struct c4_ecmp_group *g, struct c4_want *wants,
		      uint32_t n)
{
	uint32_t open = 0;

	memset(h->first, 0, g->n * sizeof *h->first);
	for (uint32_t i = n; i-- > 0;) {
		uint32_t m = 0;

		if (wants[i].answer == C4_PORT_FOUND)
			continue;
		while (m < g->n && g->members[m].link != wants[i].path.link[0])
			m++;
		if (m == g->n) {
			wants[i].answer = C4_PORT_UNREACHABLE;
			continue;
		}
		h->next[i] = h->first[m];
		h->first[m] = i + 1;
		open++;
	}
	return open;
}

/* Gives the port to the first want of the chain that takes this path. */
static bool match(struct hash_oracle *h, uint32_t *chain_at, struct c4_want *wants,
		  const struct c4_path *path, uint16_t sport)
{
	for (uint32_t *at = chain_at; *at; at = &h->next[*at - 1]) {
		struct c4_want *w = &wants[*at - 1];

		if (!c4_path_equal(&w->path, path))
			continue;
		c4_oracle_take(&h->base, w, sport);
		*at = h->next[*at - 1];
		return true;
	}
	return false;
}

/* How many ports to try for `open` wants. */
static uint32_t tries_of(struct hash_oracle *h, uint32_t from_leaf, uint32_t open, uint32_t *sure)
{
	uint64_t paths = c4_ecmp_paths(&h->ecmp, from_leaf), most = paths * (PATIENCE + open);

	*sure = most < C4_PORTS ? (uint32_t)most : C4_PORTS;
	most = *sure + h->spare_tries;
	return most < C4_PORTS ? (uint32_t)most : C4_PORTS;
}

/* The next try from i on whose port begins a wanted path: the innermost loop, where hashing is
 * linear. Others are looked at one by one. */
static uint32_t skip(const struct hash_oracle *h, const struct view *leaf, uint32_t start,
		     uint32_t i, uint32_t tries)
{
	if (leaf->group.n < 2 || leaf->turn || h->model.resilient || !c4_flowhash_linear(&h->hash))
		return i;
	for (; i < tries; i++) {
		uint16_t sport = (uint16_t)(C4_PORT_FIRST | (start + i));
		uint32_t value = c4_flowhash_port(&h->hash, leaf->at_port_0, sport);

		if (h->first[modulo(value, leaf->inverse, leaf->group.n)])
			break;
	}
	return i;
}

/* Tries ports in turn: how many it took until no want was open, or `tries`. */
static uint32_t search(struct hash_oracle *h, const struct view *leaf, struct c4_tuple *pair,
		       uint32_t start, struct c4_want *wants, uint32_t *open, uint32_t tries)
{
	uint32_t i = 0;

	while (*open && (i = skip(h, leaf, start, i, tries)) < tries) {
		uint16_t sport = (uint16_t)(C4_PORT_FIRST | (start + i++));
		uint32_t choice = choose(h, leaf, pair, sport);
		const struct c4_ecmp_member *m;
		struct c4_path path = {.hops = 1};

		if (!h->first[choice] || c4_oracle_taken(&h->base, sport))
			continue;
		m = &leaf->group.members[choice];
		path.link[0] = m->link;
		if (follow(h, m->to, pair, sport, &path) == 0)
			*open -= match(h, &h->first[choice], wants, &path, sport);
	}
	return i;
}

static void hash_ports(struct c4_oracle *o, uint32_t src, uint32_t dst, struct c4_want *wants,
		       uint32_t n)
{
	struct hash_oracle *h = (struct hash_oracle *)o;
	struct c4_tuple pair = take_pair(h, src, dst);
	uint32_t from = o->fabric->nics[src].leaf, open, most, sure, tries;
	struct view leaf;

	leaf = *view_of(h, from, &pair);
	open = chain(h, &leaf.group, wants, n);
	if (!open)
		return;
	most = tries_of(h, from, open, &sure);
	tries = search(h, &leaf, &pair, c4_oracle_start(src, dst), wants, &open, most);
	h->spare_tries -= tries > sure ? tries - sure : 0;
	for (uint32_t i = 0; open && most == C4_PORTS && i < n; i++)
		if (wants[i].answer == C4_PORT_UNKNOWN)
			wants[i].answer = C4_PORT_UNREACHABLE;
}

static void hash_free(struct c4_oracle *o)
{
	struct hash_oracle *h = (struct hash_oracle *)o;

	c4_ecmp_release(&h->ecmp);
	free(h->first);
	free(h);
}

static const struct c4_oracle_ops ops = {
	.name = "hash",
	.begin = hash_begin,
	.path = hash_path,
	.ports = hash_ports,
	.free = hash_free,
};

struct c4_oracle *c4_oracle_hash_new(const struct c4_hash_model *model)
{
	struct hash_oracle *h = calloc(1, sizeof *h);

	if (!h)
		return NULL;
	h->base.ops = &ops;
	h->model = *model;
	if (!h->model.dport)
		h->model.dport = C4_ROCE_PORT;
	if (!h->model.proto)
		h->model.proto = C4_PROTO_UDP;
	if (h->model.resilient > C4_RESILIENT_MAX)
		h->model.resilient = C4_RESILIENT_MAX;
	c4_flowhash_init(&h->hash, model->kind);
	return &h->base;
}
