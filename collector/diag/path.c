// SPDX-License-Identifier: BSD-3-Clause
/*
 * path.c - slow-tx, slow-rx, slow-link, congestion: what stands out of the source × destination
 * matrices (hot.h) again and again.
 *
 * Suspected from the first window on, confirmed when it was hot in CONFIRM of the last LOOK_BACK
 * windows, or comes and goes over twice as many. A connection that is the only one of its source or
 * destination in its communicator (a ring) cannot be told from its ends there: other connections of
 * the same two ranks are asked, in all communicators of the job, then the interfaces of the two
 * nodes. What they do not tell apart is called slow-link, and said to be uncertain.
 * A verdict on a path is no hunch: none is told while its cell is covered by a source or
 * destination that is hot itself, or an end of it is a rank that is named slow (who comes late
 * serves its connections late, too). Where it is not far above what comes and goes elsewhere, or
 * nothing clears an end that queues for its cores, it must have been hot in all of the last eight
 * windows.
 *
 * Blocks that are hot from the first windows on are how the network is built (two kinds of
 * interfaces); only a change is congestion, and only if most of its cells stay the same.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/diag/health.h"
#include "collector/diag/hot.h"
#include "collector/diag/judge.h"
#include "collector/diag/verdict.h"
#include "common/base/hash.h"

#define CELLS_MIN     3u
#define CONFIRM	      3
#define FEW_CELLS     8u    /* of so few without witnesses, one window more */
#define LOOK_BACK     0x0fu /* windows, as bits of c4_hot_memory.seen */
#define CONFIRM_FLAP  4	    /* of the last eight: comes and goes */
#define STEADY	      8	    /* of the last eight, where noise must be excluded */
#define NOISE_FADES   0.97  /* a window */
#define ABOVE_NOISE   2.0   /* times what comes and goes elsewhere */
#define BLOCK_MIN     3	    /* hot cells that a block keeps over its windows */
#define QUEUES	      0.1   /* share of time a rank is ready and has no core */
#define SUSPICIOUS    0.04  /* excess of own work, as a share of the span: nearly a slow-rank */
#define USUAL_WINDOWS 3u
#define STALE_NS      30000000000u
#define WITNESS_CONNS (1u << 18) /* connections looked through for one window */
#define WITNESSES     16u	 /* communicators asked */
#define SPEED_DIFFERS 0.9

/* ---- whose side of a lone connection is slow? ------------------------------------------------ */

struct witness {
	uint32_t n, hot;
};

static bool is_hot(const struct c4_matrix *m, const struct c4_matrix_cell *c)
{
	return c->slow >= 1 + C4_HOT_MARGIN && c->slow - m->centre >= C4_HOT_MARGIN;
}

/* Other connections out of src and into dst, in one communicator. */
static void hear(const struct c4_matrix *m, int64_t src, int64_t dst, struct witness *out,
		 struct witness *in)
{
	for (uint32_t i = 0; i < m->n; i++) {
		const struct c4_matrix_cell *c = &m->cells[i];
		bool from = c->src == src, into = c->dst == dst;

		if (!c->used || from == into)
			continue;
		out->n += from;
		out->hot += from && is_hot(m, c);
		in->n += into;
		in->hot += into && is_hot(m, c);
	}
}

static void ask_others(struct c4_look *l, const struct c4_hot *h, uint32_t *left,
		       struct witness *out, struct witness *in)
{
	uint32_t asked = 0;

	for (uint32_t i = 0; i < l->job->ncomms && asked < WITNESSES; i++) {
		const struct c4_diag_comm *c = &l->job->comms[i];
		int64_t src, dst;
		struct c4_matrix m;

		if (!c->judged || !c->conn_serial || c->size < CELLS_MIN || c->nconns > *left)
			continue;
		src = c4_waits_member(c, h->src);
		dst = c4_waits_member(c, h->dst);
		if (src < 0 && dst < 0)
			continue;
		asked++;
		*left -= c->nconns;
		if (!c4_matrix_init(&m, c) && m.used >= CELLS_MIN)
			hear(&m, src, dst, out, in);
		c4_matrix_release(&m);
	}
}

static bool mostly_hot(const struct witness *w)
{
	return w->n && w->hot * 2 > w->n;
}

static bool slower_interface(const struct c4_diag_rank *a, const struct c4_diag_rank *b)
{
	double x = c4_health_slowest_mbps(a->health), y = c4_health_slowest_mbps(b->health);

	return x > 0 && y > 0 && x < SPEED_DIFFERS * y;
}

/* The end whose interface accuses itself while the other's does not. */
static enum c4_hot_kind side_by_interface(const struct c4_diag_job *job, const struct c4_hot *h)
{
	const struct c4_diag_rank *src = &job->ranks[h->src], *dst = &job->ranks[h->dst];
	bool a = c4_health_own_fault(src->health) || slower_interface(src, dst);
	bool b = c4_health_own_fault(dst->health) || slower_interface(dst, src);

	if (a == b || c4_same_place(job, h->src, h->dst))
		return C4_HOT_LINK;
	return a ? C4_HOT_TX : C4_HOT_RX;
}

/* Keeps of a link's ranks those of one side. */
static void keep_side(const struct c4_diag_job *job, struct c4_hot *h)
{
	int32_t end = h->kind == C4_HOT_TX ? h->src : h->dst;
	uint32_t n = 0;

	for (uint32_t i = 0; i < h->nranks; i++)
		if (c4_same_place(job, h->ranks[i], end))
			h->ranks[n++] = h->ranks[i];
	h->nranks = n;
}

/* A link may turn out to be one of its ends; *ret_sure: both ends' other connections are fine. */
static void tell_side(struct c4_look *l, struct c4_hot *h, uint32_t *left, bool *ret_sure)
{
	struct witness out = {0}, in = {0};

	ask_others(l, h, left, &out, &in);
	*ret_sure = true;
	if (mostly_hot(&out) && !mostly_hot(&in))
		h->kind = C4_HOT_TX;
	else if (mostly_hot(&in) && !mostly_hot(&out))
		h->kind = C4_HOT_RX;
	else if (!(out.n && in.n && !mostly_hot(&out)))
		h->kind = side_by_interface(l->job, h);
	if (h->kind == C4_HOT_LINK)
		*ret_sure = out.n && in.n && !mostly_hot(&out) && !mostly_hot(&in);
	else
		keep_side(l->job, h);
}

/* ---- what explains a slow path -----------------------------------------------------------------
 */

static bool is_path(const struct c4_hot *h)
{
	return h->kind == C4_HOT_LINK || h->kind == C4_HOT_NODE;
}

static bool names(const struct c4_verdict *v, int32_t rank)
{
	for (uint32_t i = 0; i < v->nranks; i++)
		if (v->ranks[i] == rank)
			return true;
	return false;
}

static bool named_slow(const struct c4_look *l, int32_t rank)
{
	for (uint32_t i = 0; i < l->out->n; i++) {
		const struct c4_verdict *v = &l->out->v[i];

		if ((v->kind == C4_INC_SLOW_RANK || v->kind == C4_INC_SLOW_NODE) && names(v, rank))
			return true;
	}
	return false;
}

/* It has more own work than its peers in some communicator: perhaps a slow-rank soon. */
static bool nearly_slow(const struct c4_look *l, int32_t rank)
{
	for (uint32_t i = 0; i < l->job->ncomms && i < WITNESSES; i++) {
		const struct c4_diag_comm *c = &l->job->comms[i];
		struct c4_comm_memory *cm;
		int64_t m;

		if (!c->judged || c->size <= 2 || (m = c4_waits_member(c, rank)) < 0)
			continue;
		cm = c4_memory_comm(l->memory, c->id, c->size, i);
		if (cm && cm->smoothed_ns && cm->smooth[m] >= SUSPICIOUS)
			return true;
	}
	return false;
}

/* An end that is slow by itself explains it. */
static bool explained(const struct c4_look *l, const struct c4_hot *h)
{
	return is_path(h) && (named_slow(l, h->src) || named_slow(l, h->dst));
}

/* Where no other connection clears them: an end that serves all of its connections late. */
static bool doubtful(const struct c4_look *l, const struct c4_hot *h, bool sure)
{
	const struct c4_diag_rank *r = l->job->ranks;

	if (sure)
		return false;
	return r[h->src].runqueue >= QUEUES || r[h->dst].runqueue >= QUEUES ||
	       nearly_slow(l, h->src) || nearly_slow(l, h->dst);
}

/* ---- memory of what was hot ------------------------------------------------------------------ */

static uint64_t place_hash(const struct c4_diag_job *job, int32_t rank)
{
	const char *node = job->ranks[rank].node;

	return node ? c4_hash_bytes(1, node, strlen(node)) : c4_mix64((uint64_t)rank);
}

/* Equal for the same fault in every window and communicator. */
static uint64_t key_of(const struct c4_diag_job *job, const struct c4_diag_comm *c,
		       const struct c4_hot *h)
{
	uint64_t src = place_hash(job, h->src), dst = place_hash(job, h->dst);

	if (src == dst) { /* within a node its ranks are the places */
		src = c4_mix64((uint64_t)h->src);
		dst = c4_mix64((uint64_t)h->dst);
	}
	switch (h->kind) {
	case C4_HOT_TX: return c4_hash_u64(2, src);
	case C4_HOT_RX: return c4_hash_u64(3, dst);
	case C4_HOT_NODE: return c4_hash_u64(4, place_hash(job, h->ranks[0]));
	case C4_HOT_LINK: return c4_hash_u64(c4_hash_u64(5, src), dst);
	default: return c4_hash_u64(6, c->id);
	}
}

static struct c4_hot_memory *kept(struct c4_path_memory *p, uint64_t key)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (p->hot[i].key == key)
			return &p->hot[i];
	if (!p->hot)
		p->hot = calloc(C4_HOT_KEPT, sizeof *p->hot);
	if (!p->hot || p->n == C4_HOT_KEPT)
		return NULL;
	p->hot[p->n] = (struct c4_hot_memory){.key = key};
	return &p->hot[p->n++];
}

static void keep(struct c4_look *l, const struct c4_diag_comm *c, struct c4_path_memory *p,
		 const struct c4_hot *h, bool sure)
{
	struct c4_hot_memory *k = kept(p, key_of(l->job, c, h));

	if (!k)
		return;
	if (!k->seen)
		k->first_ns =
			l->job->now_ns > c->conn_window_ns ? l->job->now_ns - c->conn_window_ns : 1;
	k->always = k->seen ? k->always & h->where : h->where;
	k->ever = k->seen ? k->ever | h->where : h->where;
	if (k->hot.kind == C4_HOT_BLOCK && __builtin_popcountll(k->always) < BLOCK_MIN) {
		k->always = k->ever = h->where; /* others than before: it begins anew */
		k->seen = 0;
	}
	k->hot = *h;
	k->sure = sure;
	k->seen |= 1;
}

static bool is_at(const struct c4_path_noise *n, const struct c4_hot *h)
{
	return n->level > 0 && n->src == h->src && n->dst == h->dst;
}

/* Paths and blocks that were hot and are not any more tell how much noise there is. */
static void learn_noise(struct c4_path_memory *p, const struct c4_hot *h)
{
	struct c4_path_noise now = {h->src, h->dst, h->slow - 1}, *n = p->noise;

	if (!is_path(h) && h->kind != C4_HOT_BLOCK)
		return;
	for (uint32_t i = 0; i < 2; i++)
		if (is_at(&n[i], h)) {
			n[i].level = fmax(n[i].level, now.level);
			return;
		}
	if (now.level > n[0].level || now.level > n[1].level)
		n[n[1].level < n[0].level] = now;
}

static uint32_t hits(const struct c4_hot_memory *k)
{
	return (uint32_t)__builtin_popcount(k->seen);
}

static uint32_t late_hits(const struct c4_hot_memory *k)
{
	return (uint32_t)__builtin_popcount(k->seen & LOOK_BACK);
}

static bool comes_and_goes(const struct c4_hot_memory *k)
{
	return (is_path(&k->hot) || k->hot.kind == C4_HOT_BLOCK) && late_hits(k) < CONFIRM;
}

static bool same_cell(const struct c4_hot *a, const struct c4_hot *b)
{
	return a->src == b->src && a->dst == b->dst;
}

/* The network's own, apart from this one's: it may also have been the worst of a block. */
static double noise_beside(const struct c4_path_memory *p, const struct c4_hot_memory *k)
{
	double level = 0;

	for (uint32_t i = 0; i < p->n; i++)
		if (comes_and_goes(&p->hot[i]) && !same_cell(&p->hot[i].hot, &k->hot))
			level = fmax(level, p->hot[i].hot.slow - 1);
	for (uint32_t i = 0; i < 2; i++)
		if (!is_at(&p->noise[i], &k->hot))
			level = fmax(level, p->noise[i].level);
	return level;
}

/* A window has passed: what was not hot in the last eight is forgotten. */
static void shift(struct c4_path_memory *p)
{
	uint32_t n = 0;

	p->noise[0].level *= NOISE_FADES;
	p->noise[1].level *= NOISE_FADES;
	for (uint32_t i = 0; i < p->n; i++) {
		if ((p->hot[i].seen & 3) == 2)
			learn_noise(p, &p->hot[i].hot);
		p->hot[i].seen = (uint8_t)(p->hot[i].seen << 1);
		if (p->hot[i].seen)
			p->hot[n++] = p->hot[i];
	}
	p->n = n;
}

/* True if a block is nothing new. */
static bool usual_block(struct c4_path_memory *p, const struct c4_hot *h, uint32_t n)
{
	bool block = n && h[0].kind == C4_HOT_BLOCK;

	if (!block)
		p->block_is_usual = false;
	else if (p->windows <= USUAL_WINDOWS)
		p->block_is_usual = true;
	return block && p->block_is_usual;
}

/* ---- one window ------------------------------------------------------------------------------ */

static void examine(struct c4_look *l, const struct c4_diag_comm *c, struct c4_path_memory *p)
{
	struct c4_hot hot[C4_HOT_MAX];
	uint32_t n, left = WITNESS_CONNS;
	struct c4_matrix m;

	if (c4_matrix_init(&m, c)) {
		l->out->failed = true;
	} else if (m.used >= CELLS_MIN) {
		p->worst = c4_matrix_worst(&m);
		p->windows++;
		n = c4_hot_find(l->job, c, &m, hot);
		shift(p);
		for (uint32_t i = 0; i < n && !usual_block(p, hot, n); i++) {
			bool sure = true;

			if (hot[i].kind == C4_HOT_LINK)
				tell_side(l, &hot[i], &left, &sure);
			if (!explained(l, &hot[i]))
				keep(l, c, p, &hot[i], sure);
		}
		if (!n)
			p->block_is_usual = false;
	}
	c4_matrix_release(&m);
}

static bool judgeable(const struct c4_diag_job *job, const struct c4_diag_comm *c)
{
	if (!c->judged || !c->members || !c->nconns || !c->conn_serial)
		return false;
	for (uint32_t i = 0; i < c->size; i++)
		if (c->members[i] < 0 || (uint32_t)c->members[i] >= job->nranks)
			return false;
	return true;
}

/* ---- verdicts -------------------------------------------------------------------------------- */

/* Most of its cells have been hot all the time. */
static bool one_block(const struct c4_hot_memory *k)
{
	return __builtin_popcountll(k->always) * 2 > __builtin_popcountll(k->ever);
}

static bool lasting(const struct c4_look *l, const struct c4_path_memory *p,
		    const struct c4_hot_memory *k)
{
	if (is_path(&k->hot) &&
	    (k->hot.slow - 1 < ABOVE_NOISE * noise_beside(p, k) || doubtful(l, &k->hot, k->sure)))
		return hits(k) >= STEADY;
	if (k->hot.kind == C4_HOT_BLOCK && !one_block(k))
		return false;
	if (k->hot.kind == C4_HOT_LINK && !k->sure && k->hot.of < FEW_CELLS)
		return late_hits(k) > CONFIRM;
	return late_hits(k) >= CONFIRM || hits(k) >= CONFIRM_FLAP;
}

/* A source or destination that has been hot twice of late, and has this path in it. */
static bool covered(const struct c4_look *l, const struct c4_path_memory *p,
		    const struct c4_hot_memory *k)
{
	for (uint32_t i = 0; i < p->n; i++) {
		const struct c4_hot_memory *o = &p->hot[i];
		bool tx = o->hot.kind == C4_HOT_TX, rx = o->hot.kind == C4_HOT_RX;

		if ((tx || rx) && (late_hits(o) > 1 || late_hits(o) >= late_hits(k)) &&
		    c4_same_place(l->job, o->hot.ranks[0], tx ? k->hot.src : k->hot.dst))
			return true;
	}
	return false;
}

static const struct {
	enum c4_incident_kind kind;
	double confidence;
} verdict_of[] = {
	[C4_HOT_TX] = {C4_INC_SLOW_TX, 0.9},	    [C4_HOT_RX] = {C4_INC_SLOW_RX, 0.9},
	[C4_HOT_LINK] = {C4_INC_SLOW_LINK, 0.9},    [C4_HOT_NODE] = {C4_INC_SLOW_TX, 0.75},
	[C4_HOT_BLOCK] = {C4_INC_CONGESTION, 0.85},
};

static double gbps(double ns_per_kib)
{
	return ns_per_kib > 0 ? 8192 / ns_per_kib : 0;
}

static void say_what(const struct c4_look *l, const struct c4_diag_comm *c,
		     const struct c4_hot_memory *k, struct c4_verdict *v)
{
	const struct c4_hot *h = &k->hot;
	const char *name = c->name && *c->name ? c->name : "(unnamed)";
	char who[128], link[C4_DIAG_LINK];

	c4_diag_link_name(l->job, h->src, h->dst, link, sizeof link);
	c4_verdict_who(v, who, sizeof who);
	switch (h->kind) {
	case C4_HOT_TX:
	case C4_HOT_RX:
		snprintf(v->nic, sizeof v->nic, "%s %s", v->node ? v->node : "?",
			 h->kind == C4_HOT_TX ? "sending" : "receiving");
		c4_verdict_say(v,
			       "%s %s at %.3g Gbit/s where %.3g are usual in comm %s: %.1f times "
			       "the time per byte, on %u of its connections",
			       who, h->kind == C4_HOT_TX ? "sends" : "receives",
			       gbps(h->ns_per_kib), gbps(h->usual_ns_per_kib), name, h->slow,
			       h->cells);
		break;
	case C4_HOT_NODE:
		snprintf(v->nic, sizeof v->nic, "%s", v->node ? v->node : "?");
		c4_verdict_say(v,
			       "connections into and out of %s take %.1f times the usual time per "
			       "byte in comm %s: its network interface, direction not known",
			       who, h->slow, name);
		break;
	case C4_HOT_LINK:
		memcpy(v->link, link, sizeof v->link);
		c4_verdict_say(v,
			       "the connection %s takes %.1f times the usual time per byte in comm "
			       "%s: %s",
			       link, h->slow, name,
			       k->sure ? "other connections of both ends are as usual"
				       : "either end or the path between, nothing else tells");
		break;
	case C4_HOT_BLOCK:
		c4_verdict_say(v,
			       "%u of %u connections of comm %s, from %u sources to %u "
			       "destinations, take up to %.1f times the usual time per byte: "
			       "they share something in the network",
			       h->cells, h->of, name, h->sources, h->destinations, h->slow);
		break;
	}
}

static void add_evidence(const struct c4_look *l, const struct c4_hot_memory *k,
			 struct c4_verdict *v)
{
	const struct c4_hot *h = &k->hot;
	uint32_t windows = hits(k);
	char link[C4_DIAG_LINK];

	c4_diag_link_name(l->job, h->src, h->dst, link, sizeof link);
	c4_verdict_evidence(v, "ns_per_kib", h->ns_per_kib, h->usual_ns_per_kib, windows,
			    "network time of %s", link);
	c4_verdict_evidence(v, "times_usual", h->slow, 1, windows, "per byte, the slowest of %u",
			    h->cells);
	c4_verdict_evidence(v, "hot_connections", h->cells, NAN, windows, "of %u that were judged",
			    h->of);
	c4_verdict_evidence(v, "gpu_wait_share", h->gpu_share, NAN, windows,
			    "of the sender's time there: it waited for its own GPU");
	if (late_hits(k) < CONFIRM)
		c4_verdict_evidence(v, "flapping", windows, NAN, windows,
				    "of the last 8 windows: it comes and goes");
}

static bool said(const struct c4_verdicts *list, enum c4_incident_kind kind, uint64_t key)
{
	for (uint32_t i = 0; i < list->n; i++)
		if (list->v[i].kind == kind && list->v[i].key == key)
			return true;
	return false;
}

/* Is an end of this link itself among those named? */
static bool end_named(const struct c4_look *l, const struct c4_hot *h)
{
	for (uint32_t i = 0; i < l->out->n; i++) {
		const struct c4_verdict *v = &l->out->v[i];
		int32_t end = v->kind == C4_INC_SLOW_TX ? h->src : h->dst;

		if ((v->kind == C4_INC_SLOW_TX || v->kind == C4_INC_SLOW_RX) && v->nranks &&
		    v->confirmed && c4_same_place(l->job, v->ranks[0], end))
			return true;
	}
	return false;
}

static void tell(struct c4_look *l, const struct c4_diag_comm *c, const struct c4_path_memory *p,
		 const struct c4_hot_memory *k)
{
	enum c4_incident_kind kind = verdict_of[k->hot.kind].kind;
	struct c4_verdict *v, probe = {.kind = kind};

	c4_verdict_rekey(&probe, k->key);
	if (said(l->out, kind, probe.key) || explained(l, &k->hot))
		return;
	if (is_path(&k->hot) && (covered(l, p, k) || end_named(l, &k->hot)))
		return;
	v = c4_verdict_add(l->out, l->job, kind, 0, k->hot.ranks,
			   k->hot.kind == C4_HOT_BLOCK ? 0 : k->hot.nranks);
	if (!v)
		return;
	v->key = probe.key;
	v->confirmed = lasting(l, p, k);
	v->confidence = verdict_of[k->hot.kind].confidence - (k->sure ? 0 : 0.2);
	v->since_ns = l->job->now_ns - k->first_ns;
	v->nwaiting = c->size > v->nranks ? c->size - v->nranks : 0;
	say_what(l, c, k, v);
	add_evidence(l, k, v);
}

/* Ends before links: a link of a slow end is not told beside it. */
static void tell_kept(struct c4_look *l, bool links)
{
	for (uint32_t i = 0; i < l->job->ncomms; i++) {
		const struct c4_diag_comm *c = &l->job->comms[i];
		struct c4_comm_memory *cm;

		if (!judgeable(l->job, c))
			continue;
		cm = c4_memory_comm(l->memory, c->id, c->size, i);
		if (!cm || l->job->now_ns - cm->path.changed_ns > STALE_NS)
			continue;
		for (uint32_t k = 0; k < cm->path.n; k++)
			if (is_path(&cm->path.hot[k].hot) == links)
				tell(l, c, &cm->path, &cm->path.hot[k]);
	}
}

void c4_judge_matrix(struct c4_look *l)
{
	for (uint32_t i = 0; i < l->job->ncomms; i++) {
		const struct c4_diag_comm *c = &l->job->comms[i];
		struct c4_comm_memory *cm;

		if (!judgeable(l->job, c))
			continue;
		cm = c4_memory_comm(l->memory, c->id, c->size, i);
		if (!cm) {
			l->out->failed = true;
			continue;
		}
		if (cm->path.serial == c->conn_serial)
			continue;
		cm->path.serial = c->conn_serial;
		cm->path.changed_ns = l->job->now_ns;
		examine(l, c, &cm->path);
	}
	tell_kept(l, false);
	tell_kept(l, true);
}
