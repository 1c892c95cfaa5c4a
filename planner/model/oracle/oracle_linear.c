// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/oracle/oracle_linear.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "planner/model/eval/ecmp.h"
#include "planner/model/oracle/oracle_table.h"

#define PORT_BITS 14u
#define HOPS_LOG  8u /* at most 2^8 next hops: more are left to the table */
#define HOPS	  (1u << HOPS_LOG)
#define VERIFY	  8u
#define NO_NUMBER 0xFFFFu

enum leaf_state { LEAF_UNKNOWN, LEAF_TRUSTED, LEAF_REFUTED };

/* What was learned about one leaf; NULL: nothing yet. */
struct leaf {
	enum leaf_state state;
	uint32_t epoch; /* of the leaf, when this became its state */
	uint32_t n;	/* next hops */
	uint32_t link[HOPS];
	uint16_t number_of[HOPS];   /* of link[i] */
	uint16_t column[PORT_BITS]; /* A */
};

struct linear {
	struct c4_oracle base;
	struct c4_oracle *table;
	struct c4_ecmp ecmp;
	struct leaf **leaves; /* per switch */
	uint32_t n_leaves;
};

/* Ports that learning would still like to see. */
struct wish {
	uint16_t *ports;
	uint32_t n, cap;
};

static void wish_for(struct wish *w, uint16_t port)
{
	if (w && w->n < w->cap)
		w->ports[w->n++] = port;
}

/* ---- where the leaf alone decides ---------------------------------------------------------- */

/* Next hops of the pair's leaf if they are a power of two and all there is to choose, else none. */
static struct c4_ecmp_group choices(struct linear *l, uint32_t src, uint32_t dst)
{
	const struct c4_nic *nics = l->base.fabric->nics;
	struct c4_ecmp_group g;

	c4_ecmp_toward(&l->ecmp, nics[dst].leaf);
	g = c4_ecmp_group(&l->ecmp, nics[src].leaf);
	if (g.n < 2 || g.n > HOPS || (g.n & (g.n - 1)) ||
	    c4_ecmp_paths(&l->ecmp, nics[src].leaf) != g.n)
		g.n = 0;
	return g;
}

static uint32_t index_of(const struct leaf *k, uint32_t link)
{
	uint32_t i = 0;

	while (i < k->n && k->link[i] != link)
		i++;
	return i;
}

/* The next hops are those that were learned. */
static bool same_hops(const struct leaf *k, const struct c4_ecmp_group *g)
{
	for (uint32_t i = 0; i < g->n; i++)
		if (index_of(k, g->members[i].link) == k->n)
			return false;
	return g->n == k->n;
}

/* What is known of the leaf in its present epoch; NULL: nothing. */
static struct leaf *leaf_of(const struct linear *l, uint32_t s)
{
	struct leaf *k = l->leaves[s];

	return k && k->epoch == l->base.fabric->switches[s].epoch ? k : NULL;
}

static bool trusted_for(struct linear *l, uint32_t src, uint32_t dst, struct c4_ecmp_group *g)
{
	const struct leaf *k = leaf_of(l, l->base.fabric->nics[src].leaf);

	*g = choices(l, src, dst);
	return g->n && k && k->state == LEAF_TRUSTED && same_hops(k, g);
}

/* ---- learning a leaf ------------------------------------------------------------------------ */

/* The first link of an observed port, C4_NONE and a wish if it was not observed. */
static uint32_t hop_of(struct linear *l, uint32_t src, uint32_t dst, uint16_t port, struct wish *w)
{
	struct c4_path path;

	if (c4_oracle_path(l->table, src, dst, port, &path) == 0)
		return path.link[0];
	wish_for(w, port);
	return C4_NONE;
}

/* A draft while it is being learned. */
struct draft {
	struct leaf leaf;
	uint32_t src, dst;
	uint16_t port;		 /* its hop has number 0 */
	uint16_t delta_of[HOPS]; /* to a port whose hop has this number */
	uint32_t known;		 /* numbers given: 0 … known - 1, a power of two */
};

enum lesson { LESSON_OK, LESSON_OPEN, LESSON_REFUTED };

static enum lesson give_number(struct draft *d, uint32_t link, uint32_t number)
{
	uint32_t i = index_of(&d->leaf, link);

	if (i == d->leaf.n || d->leaf.number_of[i] != NO_NUMBER)
		return LESSON_REFUTED;
	d->leaf.number_of[i] = (uint16_t)number;
	return LESSON_OK;
}

/* Bit `bit` leads to a hop without number: it doubles what is numbered. */
static enum lesson double_numbers(struct linear *l, struct draft *d, uint32_t bit, struct wish *w)
{
	enum lesson all = LESSON_OK;

	if (d->known == d->leaf.n)
		return LESSON_REFUTED;
	for (uint32_t x = 0; x < d->known; x++) {
		uint16_t delta = (uint16_t)(d->delta_of[x] ^ 1u << bit);
		uint32_t link = hop_of(l, d->src, d->dst, d->port ^ delta, w);

		d->delta_of[d->known + x] = delta;
		if (link == C4_NONE)
			all = LESSON_OPEN;
		else if (give_number(d, link, d->known + x))
			return LESSON_REFUTED;
	}
	d->leaf.column[bit] = (uint16_t)d->known;
	d->known *= 2;
	return all;
}

static enum lesson learn_bit(struct linear *l, struct draft *d, uint32_t bit, struct wish *w)
{
	uint32_t link = hop_of(l, d->src, d->dst, (uint16_t)(d->port ^ 1u << bit), w), i;

	if (link == C4_NONE)
		return LESSON_OPEN;
	i = index_of(&d->leaf, link);
	if (i == d->leaf.n)
		return LESSON_REFUTED;
	if (d->leaf.number_of[i] == NO_NUMBER)
		return double_numbers(l, d, bit, w);
	d->leaf.column[bit] = d->leaf.number_of[i];
	return LESSON_OK;
}

static uint32_t apply(const struct leaf *k, uint32_t port)
{
	uint32_t number = 0;

	for (uint32_t bit = 0; bit < PORT_BITS; bit++)
		if (port >> bit & 1)
			number ^= k->column[bit];
	return number;
}

/* The ports every pair is asked for: one tells its constant, the other checks it. */
static uint16_t sample(uint32_t src, uint32_t dst, uint32_t i)
{
	uint16_t first = c4_oracle_start(src, dst), second = c4_oracle_nth_port(src, dst, 0);

	if (i == 0)
		return first;
	return second != first ? second : c4_oracle_nth_port(src, dst, 1);
}

static enum lesson verify(struct linear *l, const struct draft *d, struct wish *w)
{
	enum lesson all = LESSON_OK;

	for (uint32_t i = 0; i < VERIFY; i++) {
		uint16_t other = i ? (uint16_t)c4_hash_u64(d->port, i) : sample(d->src, d->dst, 1);
		uint16_t delta = (other ^ d->port) & (C4_PORTS - 1);
		uint32_t link = hop_of(l, d->src, d->dst, d->port ^ delta, w);

		if (link == C4_NONE)
			all = LESSON_OPEN;
		else if (index_of(&d->leaf, link) == d->leaf.n ||
			 d->leaf.number_of[index_of(&d->leaf, link)] != apply(&d->leaf, delta))
			return LESSON_REFUTED;
	}
	return all;
}

static void open_draft(struct draft *d, const struct c4_ecmp_group *g, uint32_t src, uint32_t dst)
{
	*d = (struct draft){.src = src, .dst = dst, .known = 1, .leaf.n = g->n};
	for (uint32_t i = 0; i < g->n; i++) {
		d->leaf.link[i] = g->members[i].link;
		d->leaf.number_of[i] = NO_NUMBER;
	}
	d->port = c4_oracle_start(src, dst);
}

/* Learns from what the table holds of this pair; wishes for what is missing. */
static enum lesson study(struct linear *l, struct draft *d, struct wish *w)
{
	uint32_t link = hop_of(l, d->src, d->dst, d->port, w);
	enum lesson all = LESSON_OK;

	if (link == C4_NONE)
		all = LESSON_OPEN;
	else if (give_number(d, link, 0))
		return LESSON_REFUTED;
	for (uint32_t bit = 0; bit < PORT_BITS; bit++) {
		enum lesson one;

		if (all == LESSON_OPEN) { /* numbers depend on it: only say what else is needed */
			hop_of(l, d->src, d->dst, (uint16_t)(d->port ^ 1u << bit), w);
			continue;
		}
		one = learn_bit(l, d, bit, w);
		if (one == LESSON_REFUTED)
			return one;
		all = one;
	}
	if (all == LESSON_OPEN)
		return all;
	return d->known == d->leaf.n ? verify(l, d, w) : LESSON_REFUTED;
}

static void keep(struct linear *l, uint32_t s, const struct leaf *learned, enum leaf_state state)
{
	if (!l->leaves[s])
		l->leaves[s] = malloc(sizeof **l->leaves);
	if (!l->leaves[s])
		return; /* to be learned again */
	*l->leaves[s] = *learned;
	l->leaves[s]->state = state;
	l->leaves[s]->epoch = l->base.fabric->switches[s].epoch;
}

/* Tries to learn the pair's leaf if nothing is known of it in this epoch. */
static void try_learning(struct linear *l, uint32_t src, uint32_t dst, struct wish *w)
{
	uint32_t s = l->base.fabric->nics[src].leaf;
	struct c4_ecmp_group g;
	struct draft d;

	if (leaf_of(l, s))
		return;
	g = choices(l, src, dst);
	if (!g.n)
		return;
	open_draft(&d, &g, src, dst);
	switch (study(l, &d, w)) {
	case LESSON_OK: keep(l, s, &d.leaf, LEAF_TRUSTED); break;
	case LESSON_REFUTED: keep(l, s, &d.leaf, LEAF_REFUTED); break;
	case LESSON_OPEN: break;
	}
}

/* ---- predicting ---------------------------------------------------------------------------- */

/* The pair's constant c, or NO_NUMBER while its samples are not both known. A wrong check refutes
 * the leaf. */
static uint32_t constant_of(struct linear *l, uint32_t src, uint32_t dst, struct wish *w)
{
	struct leaf *k = leaf_of(l, l->base.fabric->nics[src].leaf);
	uint32_t c[2];

	for (uint32_t i = 0; i < 2; i++) {
		uint16_t port = sample(src, dst, i);
		uint32_t link = hop_of(l, src, dst, port, w), at = index_of(k, link);

		c[i] = at < k->n ? k->number_of[at] ^ apply(k, port) : NO_NUMBER;
	}
	if (c[0] == NO_NUMBER || c[1] == NO_NUMBER)
		return NO_NUMBER;
	if (c[0] != c[1]) {
		k->state = LEAF_REFUTED;
		l->base.stats.refuted++;
		return NO_NUMBER;
	}
	return c[0];
}

/* The way on from the leaf: no further choices (choices()). */
static void complete(struct linear *l, const struct c4_ecmp_member *first, struct c4_path *path)
{
	uint32_t at = first->to;

	path->hops = 0;
	path->link[path->hops++] = first->link;
	while (at != l->ecmp.leaf) {
		struct c4_ecmp_group g = c4_ecmp_group(&l->ecmp, at);

		path->link[path->hops++] = g.members[0].link;
		at = g.members[0].to;
	}
}

static const struct c4_ecmp_member *member_of(const struct leaf *k, const struct c4_ecmp_group *g,
					      uint32_t number)
{
	for (uint32_t i = 0; i < g->n; i++)
		if (k->number_of[index_of(k, g->members[i].link)] == number)
			return &g->members[i];
	return NULL; /* not reached: the numbers are a permutation */
}

static int predict(struct linear *l, uint32_t src, uint32_t dst, uint16_t sport,
		   struct c4_path *ret)
{
	const struct leaf *k;
	struct c4_ecmp_group g;
	uint32_t c;

	if (!trusted_for(l, src, dst, &g))
		return -EAGAIN;
	c = constant_of(l, src, dst, NULL);
	if (c == NO_NUMBER)
		return -EAGAIN;
	k = leaf_of(l, l->base.fabric->nics[src].leaf);
	complete(l, member_of(k, &g, apply(k, sport) ^ c), ret);
	return 0;
}

/* ---- the oracle ---------------------------------------------------------------------------- */

static int linear_begin(struct c4_oracle *o, const struct c4_fabric *f)
{
	struct linear *l = (struct linear *)o;
	struct leaf **grown;

	if (f->n_switches > l->n_leaves) {
		grown = realloc(l->leaves, f->n_switches * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		memset(grown + l->n_leaves, 0, (f->n_switches - l->n_leaves) * sizeof(*grown));
		l->leaves = grown;
		l->n_leaves = f->n_switches;
	}
	c4_ecmp_release(&l->ecmp);
	if (c4_ecmp_init(&l->ecmp, f))
		return -ENOMEM;
	return c4_oracle_begin(l->table, f);
}

static int linear_path(struct c4_oracle *o, uint32_t src, uint32_t dst, uint16_t sport,
		       struct c4_path *ret)
{
	struct linear *l = (struct linear *)o;

	if (c4_oracle_path(l->table, src, dst, sport, ret) == 0)
		return 0;
	try_learning(l, src, dst, NULL);
	return predict(l, src, dst, sport, ret);
}

/* A free port with this first hop: the search of one in n, n a power of two and all reached. */
static void solve(struct linear *l, struct c4_want *w, uint32_t start, uint32_t c)
{
	const struct leaf *k = leaf_of(l, start);
	uint32_t at = index_of(k, w->path.link[0]), from = c4_oracle_start(w->path.link[0], c);

	if (at == k->n) {
		w->answer = C4_PORT_UNREACHABLE;
		return;
	}
	for (uint32_t i = 0; i < C4_PORTS; i++) {
		uint16_t port = (uint16_t)(C4_PORT_FIRST | (from + i));

		if (apply(k, port) == (k->number_of[at] ^ c) && !c4_oracle_taken(&l->base, port)) {
			c4_oracle_take(&l->base, w, port);
			return;
		}
	}
	w->answer = C4_PORT_UNREACHABLE;
}

static void linear_ports(struct c4_oracle *o, uint32_t src, uint32_t dst, struct c4_want *wants,
			 uint32_t n)
{
	struct linear *l = (struct linear *)o;
	struct c4_ecmp_group g;
	uint32_t c = NO_NUMBER;

	memcpy(l->table->used, o->used, sizeof o->used);
	l->table->ops->ports(l->table, src, dst, wants, n);
	memcpy(o->used, l->table->used, sizeof o->used);
	memset(l->table->used, 0, sizeof o->used);
	try_learning(l, src, dst, NULL);
	if (trusted_for(l, src, dst, &g))
		c = constant_of(l, src, dst, NULL);
	for (uint32_t i = 0; c != NO_NUMBER && i < n; i++)
		if (wants[i].answer != C4_PORT_FOUND)
			solve(l, &wants[i], o->fabric->nics[src].leaf, c);
}

static int linear_learn(struct c4_oracle *o, uint32_t src, uint32_t dst, uint16_t sport,
			const struct c4_path *seen)
{
	struct linear *l = (struct linear *)o;
	struct leaf *k = leaf_of(l, o->fabric->nics[src].leaf);
	struct c4_path expected;

	if (k && k->state == LEAF_TRUSTED && predict(l, src, dst, sport, &expected) == 0 &&
	    !c4_path_equal(&expected, seen)) {
		k->state = LEAF_REFUTED;
		o->stats.refuted++;
	}
	return c4_oracle_learn(l->table, src, dst, sport, seen);
}

static uint32_t linear_probe(struct c4_oracle *o, uint32_t src, uint32_t dst,
			     const struct c4_want *wants, uint32_t n, uint16_t *ports, uint32_t cap)
{
	struct linear *l = (struct linear *)o;
	struct wish w = {.ports = ports, .cap = cap};
	struct c4_ecmp_group g;
	uint32_t open = 0;

	for (uint32_t i = 0; i < n; i++)
		open += wants[i].answer == C4_PORT_UNKNOWN;
	try_learning(l, src, dst, &w); /* to its end: what it costs is saved at the next pair */
	if (w.n == 0 && open && trusted_for(l, src, dst, &g))
		constant_of(l, src, dst, &w);
	if (w.n || !open)
		return w.n;
	return l->table->ops->probe(l->table, src, dst, wants, n, ports, cap);
}

static void linear_free(struct c4_oracle *o)
{
	struct linear *l = (struct linear *)o;

	for (uint32_t i = 0; i < l->n_leaves; i++)
		free(l->leaves[i]);
	free(l->leaves);
	c4_ecmp_release(&l->ecmp);
	c4_oracle_free(l->table);
	free(l);
}

static const struct c4_oracle_ops ops = {
	.name = "linear",
	.begin = linear_begin,
	.path = linear_path,
	.ports = linear_ports,
	.learn = linear_learn,
	.probe = linear_probe,
	.free = linear_free,
};

struct c4_oracle *c4_oracle_linear_new(uint32_t cap)
{
	struct linear *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	l->base.ops = &ops;
	l->table = c4_oracle_table_new(cap);
	if (!l->table) {
		free(l);
		return NULL;
	}
	return &l->base;
}

struct c4_oracle *c4_oracle_linear_table(struct c4_oracle *o)
{
	return ((struct linear *)o)->table;
}

bool c4_oracle_linear_trusts(struct c4_oracle *o, uint32_t leaf)
{
	const struct leaf *k = leaf_of((struct linear *)o, leaf);

	return k && k->state == LEAF_TRUSTED;
}
