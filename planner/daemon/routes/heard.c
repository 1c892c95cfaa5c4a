// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/routes/heard.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/ds/vec.h"
#include "common/log.h"
#include "planner/model/sense/blame.h"

#define UDP	   17u
#define LEAST_GBPS 0.001 /* of a TCP connection: less is no part of what is slow */
#define WELL_SHARE 0.25f /* of the accused pairs' excess */
#define ENTRIES	   (1u << 20)

/* A directed link that a rating's traffic crosses. */
struct crossing {
	uint32_t rating, link;
};

/* A rating and what is known of its connections. */
struct rated {
	uint32_t ways;		    /* connections of known way */
	bool rdma, hidden;	    /* hidden: some way is not known */
	struct c4_heard_pair *pair; /* NULL: not accused */
};

struct work {
	struct c4_heard *h;
	struct c4_suspects *s;
	const struct c4_edition *e;
	const struct c4_fabric *f;
	const struct c4_ratings *r;
	uint64_t now_ns;
	struct c4_map first; /* source and destination host → first rating + 1 */
	struct rated *rated;
	struct crossing *crossings;
	uint32_t n, cap;
	uint32_t *links; /* those of the crossings, each once a rating */
	struct c4_blame_pair *pairs;
	bool failed;
};

const char *c4_heard_state_name(enum c4_heard_state s)
{
	static const char *const names[] = {
#define C4_X(sym, name) name,
		C4_HEARD_STATES(C4_X)
#undef C4_X
	};

	return names[s];
}

void c4_heard_clear(struct c4_heard *h)
{
	h->n = 0;
}

/* ---- which way a pair goes ------------------------------------------------------------------- */

static uint64_t key_of(uint32_t src, uint32_t dst)
{
	return (uint64_t)src << 32 | dst;
}

static bool is_near(uint32_t rail, const struct c4_nic *nic)
{
	return rail == C4_NONE || rail == nic->rail;
}

static void cross(struct work *w, uint32_t rating, uint32_t link)
{
	struct crossing *grown =
		c4_vec_reserve(w->crossings, &w->cap, w->n + 1, ENTRIES, sizeof *grown);

	w->failed |= !grown;
	if (!grown)
		return;
	w->crossings = grown;
	w->crossings[w->n++] = (struct crossing){rating, link};
}

static void add_way(struct work *w, uint32_t rating, struct c4_flow *x, uint8_t from)
{
	uint32_t src = w->f->nics[x->nic[from]].leaf, dst = w->f->nics[x->nic[!from]].leaf;
	const struct c4_path *p = &x->way[from].path;
	uint32_t links[C4_HOPS_MAX];

	if (!p->hops && src != dst) {
		w->rated[rating].hidden = true;
		c4_watches_flow(&w->s->watches, w->f, x, from, w->now_ns);
	}
	w->rated[rating].ways++;
	c4_path_directed(w->f, src, p, links);
	for (uint32_t i = 0; i < p->hops; i++)
		cross(w, rating, links[i]);
}

static bool carries(const struct work *w, const struct c4_flow *x, uint8_t from)
{
	if (!c4_flow_fresh(x, from, w->now_ns))
		return false;
	return x->key.proto == UDP || x->end[from].sent_gbps >= LEAST_GBPS;
}

typedef void use_fn(struct work *w, uint32_t rating, struct c4_flow *x, uint8_t from);

/* For each rating that this direction of a connection is part of. */
static void for_ratings(struct work *w, struct c4_flow *x, uint8_t from, use_fn *use)
{
	const struct c4_nic *src = &w->f->nics[x->nic[from]], *dst = &w->f->nics[x->nic[!from]];
	uintptr_t i = (uintptr_t)c4_map_get(&w->first, key_of(src->host, dst->host));

	if (!i || !carries(w, x, from))
		return;
	for (i--; i < w->r->n; i++) {
		const struct c4_rating *r = &w->r->v[i];

		if (r->src != src->host || r->dst != dst->host)
			return;
		if (is_near(r->src_rail, src) && is_near(r->dst_rail, dst))
			use(w, (uint32_t)i, x, from);
	}
}

static void note_rdma(struct work *w, uint32_t rating, struct c4_flow *x, uint8_t from)
{
	(void)from;
	w->rated[rating].rdma |= x->key.proto == UDP;
}

/* A job that has queue pairs between two hosts sends its data over them. */
static void note_way(struct work *w, uint32_t rating, struct c4_flow *x, uint8_t from)
{
	if (w->rated[rating].rdma == (x->key.proto == UDP))
		add_way(w, rating, x, from);
}

static void for_flows(struct work *w, const struct c4_flows *flows, use_fn *use)
{
	struct c4_map_entry *m;

	c4_map_for_each (m, &flows->by_key) {
		for_ratings(w, m->value, 0, use);
		for_ratings(w, m->value, 1, use);
	}
}

/* Those of two hosts are neighbours. */
static int index_ratings(struct work *w)
{
	for (uint32_t i = w->r->n; i-- > 0;) {
		const struct c4_rating *r = &w->r->v[i];

		if (c4_map_put(&w->first, key_of(r->src, r->dst), (void *)(uintptr_t)(i + 1)))
			return -ENOMEM;
	}
	return 0;
}

static int by_rating(const void *a, const void *b)
{
	const struct crossing *x = a, *y = b;

	if (x->rating != y->rating)
		return x->rating < y->rating ? -1 : 1;
	return x->link < y->link ? -1 : x->link > y->link;
}

/* Each link once per rating, where blame looks for them. */
static int lay_out(struct work *w)
{
	uint32_t n = 0;

	w->links = malloc(((size_t)w->n + 1) * sizeof *w->links);
	w->pairs = calloc((size_t)w->r->n + 1, sizeof *w->pairs);
	if (!w->links || !w->pairs)
		return -ENOMEM;
	if (w->n)
		qsort(w->crossings, w->n, sizeof *w->crossings, by_rating);
	for (uint32_t i = 0; i < w->n; i++) {
		struct c4_blame_pair *p = &w->pairs[w->crossings[i].rating];

		if (i && !by_rating(&w->crossings[i - 1], &w->crossings[i]))
			continue;
		if (!p->n++)
			p->first = n;
		w->links[n++] = w->crossings[i].link;
	}
	return 0;
}

static int find_ways(struct work *w, const struct c4_flows *flows)
{
	w->rated = calloc((size_t)w->r->n + 1, sizeof *w->rated);
	if (!w->rated || index_ratings(w))
		return -ENOMEM;
	for_flows(w, flows, note_rdma);
	for_flows(w, flows, note_way);
	return w->failed ? -ENOMEM : lay_out(w);
}

/* ---- who says what --------------------------------------------------------------------------- */

static bool same_ends(const struct c4_heard_pair *p, const struct c4_rating *r)
{
	return p->src == r->src && p->dst == r->dst && p->src_rail == r->src_rail &&
	       p->dst_rail == r->dst_rail;
}

static struct c4_heard_pair *remembered(struct c4_heard *h, const struct c4_rating *r)
{
	for (uint32_t i = 0; i < h->n; i++)
		if (same_ends(&h->v[i], r))
			return &h->v[i];
	if (h->n == C4_HEARD_MAX) {
		h->lost++;
		return NULL;
	}
	h->v[h->n] = (struct c4_heard_pair){
		.src = r->src, .dst = r->dst, .src_rail = r->src_rail, .dst_rail = r->dst_rail};
	return &h->v[h->n++];
}

static bool has_link(const struct c4_heard_pair *p, uint32_t link)
{
	for (uint32_t i = 0; i < p->n_links; i++)
		if (p->link[i] == link)
			return true;
	return false;
}

static bool still_crosses(const struct work *w, const struct c4_blame_pair *b,
			  const struct c4_heard_pair *p)
{
	for (uint32_t i = b->first; i < b->first + b->n; i++)
		if (has_link(p, w->links[i]))
			return true;
	return false;
}

/* Whether anybody else's word stands against it. */
static bool others_accuse(const struct work *w, uint32_t link)
{
	for (uint32_t i = 0; i < w->h->n; i++)
		if (w->h->v[i].state == C4_HEARD_ACCUSES && has_link(&w->h->v[i], link))
			return true;
	return false;
}

/* It is slow whichever way it takes. */
static void retract(struct work *w, struct c4_heard_pair *p)
{
	const struct c4_host *hosts = w->f->hosts;

	p->state = C4_HEARD_ENDS;
	for (uint32_t i = 0; i < p->n_links; i++)
		if (!others_accuse(w, p->link[i]))
			c4_suspects_acquit(w->s, p->link[i]);
	p->n_links = 0;
	c4_info("%s>%s: %.1f times the usual time on another way, too: not the network's",
		hosts[p->src].name, hosts[p->dst].name, (double)p->slow);
}

/* What an accused pair says of the links it takes now. */
static enum c4_blame_word word_of(struct work *w, uint32_t i)
{
	struct c4_heard_pair *p = w->rated[i].pair;
	const struct c4_blame_pair *b = &w->pairs[i];

	p->heard_ns = w->now_ns;
	p->slow = w->r->v[i].slow;
	if (p->state == C4_HEARD_ENDS)
		return C4_BLAME_SILENT;
	if (!b->n || w->rated[i].hidden) {
		p->state = p->n_links ? p->state : C4_HEARD_UNSEEN;
		return C4_BLAME_SILENT;
	}
	if (!p->n_links || still_crosses(w, b, p)) {
		p->left_ns = 0;
		p->state = C4_HEARD_DOUBT; /* unless something is found */
		return C4_BLAME_SLOW;
	}
	p->state = C4_HEARD_LEFT;
	p->left_ns = p->left_ns ? p->left_ns : w->now_ns;
	if (w->now_ns >= p->left_ns + C4_HEARD_SETTLE_NS)
		retract(w, p);
	return C4_BLAME_SILENT;
}

/* What the least slow of the accused takes more than usual. */
static float least_excess(const struct c4_ratings *r)
{
	float least = 0;

	for (uint32_t i = 0; i < r->n; i++)
		if (r->v[i].accused && (least == 0 || r->v[i].slow - 1 < least))
			least = r->v[i].slow - 1;
	return least;
}

/* It shows little of what it would if just one of its ways were as slow. */
static bool is_well(const struct rated *x, const struct c4_rating *r, float excess)
{
	float most = fmaxf(excess * WELL_SHARE, (C4_RATING_SLOW - 1) / 2);

	return x->ways && r->slow - 1 <= most / (float)x->ways;
}

static void give_words(struct work *w)
{
	float excess = least_excess(w->r);

	for (uint32_t i = 0; i < w->r->n; i++)
		if (w->r->v[i].accused)
			w->rated[i].pair = remembered(w->h, &w->r->v[i]);
	for (uint32_t i = 0; i < w->r->n; i++) {
		struct c4_blame_pair *b = &w->pairs[i];

		b->slow = (double)w->r->v[i].slow;
		if (w->rated[i].pair)
			b->word = word_of(w, i);
		else if (is_well(&w->rated[i], &w->r->v[i], excess))
			b->word = C4_BLAME_WELL;
	}
}

/* ---- what follows ---------------------------------------------------------------------------- */

/*
 * Times the usual that the link itself takes: of k connections that share a pair's bytes evenly, one
 * that takes x times the usual makes all of them together take 1 + (x - 1) / k.
 */
static double times_alone(const struct work *w, uint32_t i)
{
	uint32_t k = w->rated[i].ways, n = w->r->v[i].connections;

	k = n && n < k ? n : k;
	return 1 + (w->pairs[i].slow - 1) * k;
}

static bool crosses(const struct work *w, uint32_t i, uint32_t link)
{
	const struct c4_blame_pair *b = &w->pairs[i];

	for (uint32_t k = b->first; k < b->first + b->n; k++)
		if (w->links[k] == link)
			return true;
	return false;
}

static void note_accusation(struct c4_heard_pair *p, uint32_t link)
{
	p->state = C4_HEARD_ACCUSES;
	if (!has_link(p, link) && p->n_links < C4_HEARD_LINKS)
		p->link[p->n_links++] = link;
}

static void accuse(struct work *w, const struct c4_blame_finding *f)
{
	struct c4_suspect_word word = {
		.link = f->link, .pairs = f->pairs, .alike = f->alike, .shared = true};
	bool planned = f->alike < C4_HEARD_LINKS;

	for (uint32_t i = 0; i < w->r->n; i++) {
		double times;

		if (w->pairs[i].word != C4_BLAME_SLOW || !crosses(w, i, f->link))
			continue;
		times = times_alone(w, i);
		if (word.times == 0 || times < word.times)
			word.times = times;
		word.shared &= w->r->v[i].shared;
		if (word.n_hosts < C4_SUSPECT_PAIRS) {
			word.hosts[word.n_hosts][0] = w->r->v[i].src;
			word.hosts[word.n_hosts++][1] = w->r->v[i].dst;
		}
		if (planned)
			note_accusation(w->rated[i].pair, f->link);
	}
	c4_suspects_accuse(w->s, w->e, &word, w->now_ns);
}

static void forget(struct c4_heard *h, uint64_t now_ns)
{
	for (uint32_t i = h->n; i-- > 0;)
		if (now_ns >= h->v[i].heard_ns + C4_HEARD_FORGET_NS)
			h->v[i] = h->v[--h->n];
}

static int take(struct work *w, const struct c4_flows *flows)
{
	struct c4_blame_finding found[C4_BLAME_FINDINGS];
	int n;

	if (find_ways(w, flows))
		return -ENOMEM;
	give_words(w);
	n = c4_blame(&(struct c4_blame_input){w->pairs, w->r->n, w->links}, found);
	for (int i = 0; i < n; i++)
		accuse(w, &found[i]);
	return n < 0 ? n : 0;
}

int c4_heard_take(struct c4_heard *h, struct c4_suspects *s, const struct c4_edition *e,
		  const struct c4_flows *flows, const struct c4_ratings *r, uint64_t now_ns)
{
	struct work w = {.h = h, .s = s, .e = e, .f = &e->fabric->fabric, .r = r, .now_ns = now_ns};
	int rc = r->n ? take(&w, flows) : 0;

	forget(h, now_ns);
	c4_map_release(&w.first);
	free(w.rated);
	free(w.crossings);
	free(w.links);
	free(w.pairs);
	return rc;
}
