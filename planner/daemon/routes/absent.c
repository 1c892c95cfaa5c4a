// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/routes/absent.h"

#include "common/base/hash.h"
#include "common/base/label.h"
#include "common/log.h"

#define UDP	     17u
#define TRACE_PORT   33434u /* traceroute's: nobody listens there */
#define SURVEY_NS    1500000000ull
#define SURVEYS	     8u /* at a time: others watch, too */
#define CONNS_LOOKED 256u

void c4_absent_release(struct c4_absent *x)
{
	c4_absence_free(x->absence);
	*x = (struct c4_absent){0};
}

void c4_absent_follow(struct c4_absent *x, const struct c4_fabric *f)
{
	c4_absence_free(x->absence);
	x->absence = c4_absence_new(f);
	if (!x->absence)
		c4_warn("routes: out of memory: dead links are not looked for");
}

void c4_absent_note(struct c4_absent *x, const struct c4_edition *e, uint32_t src, uint32_t dst,
		    const struct c4_path *path, bool drawn)
{
	const struct c4_fabric *f = &e->fabric->fabric;
	struct c4_absence_draw d = {.src = src, .dst = dst, .via = C4_NONE, .drawn = drawn};

	if (!x->absence || (path && !path->hops))
		return;
	if (path)
		d.via = f->links[path->link[0]].b; /* the lower end is the leaf */
	c4_absence_note(x->absence, e->rates, &d);
}

/* ---- accusing -------------------------------------------------------------------------------- */

static void accuse(struct c4_suspects *s, const struct c4_edition *e,
		   const struct c4_absence_found *found, uint64_t now_ns)
{
	const struct c4_fabric *f = &e->fabric->fabric;
	const struct c4_link *l = &f->links[found->link];
	uint32_t n, at = c4_fabric_links_between(f, l->a, l->b, &n);

	for (uint32_t i = 0; i < n; i++) /* one of parallel links stands for all */
		c4_suspects_accuse(s, e,
				   &(struct c4_suspect_word){
					   .link = 2 * f->link_of[at + i],
					   .dead = true,
					   .pairs = (uint32_t)found->draws,
					   .alike = !found->certain,
				   },
				   now_ns);
}

/* ---- looking for them ------------------------------------------------------------------------ */

static uint64_t roll(struct c4_absent *x)
{
	return x->random = c4_mix64(x->random + 0x9e3779b97f4a7c15ull);
}

/* Whether this connection could go over a link of this leaf, and somebody can trace it. */
static bool suits(const struct c4_edition *e, const struct c4_agents *agents,
		  const struct c4_conn *c, uint32_t leaf)
{
	const struct c4_nic *src = &e->fabric->fabric.nics[c->src];
	const struct c4_nic *dst = &e->fabric->fabric.nics[c->dst];
	const struct c4_agent *a = c4_agents_at(agents, src->host);

	return (src->leaf == leaf) != (dst->leaf == leaf) && src->ipv4 && dst->ipv4 && a && a->raw;
}

/* A planned connection into or out of the leaf, any of them; NULL: none was found. */
static const struct c4_conn *conn_at(struct c4_absent *x, const struct c4_edition *e,
				     const struct c4_agents *agents, uint32_t leaf)
{
	const struct c4_demand *d = e->demand ? &e->demand->demand : NULL;
	uint32_t n = d ? d->n_conns : 0;

	for (uint32_t i = 0; n && i < CONNS_LOOKED; i++) {
		const struct c4_conn *c = &d->conns[roll(x) % n];

		if (suits(e, agents, c, leaf))
			return c;
	}
	return NULL;
}

/* Asks for one more port, if that is among those of this round. */
static void survey(struct c4_absent *x, struct c4_suspects *s, const struct c4_edition *e,
		   const struct c4_conn *c, uint64_t now_ns)
{
	const struct c4_nic *src, *dst;
	uint16_t port = (uint16_t)(C4_PORT_FIRST + roll(x) % (65536u - C4_PORT_FIRST));
	struct c4_watch w;

	src = &e->fabric->fabric.nics[c->src];
	dst = &e->fabric->fabric.nics[c->dst];
	w.key = c4_flow_key_of(src->ipv4, port, dst->ipv4, TRACE_PORT, UDP, &w.from);
	w.host = src->host;
	w.until_ns = now_ns + SURVEY_NS;
	c4_watches_add(&s->watches, &w);
}

static bool met(const struct c4_absent *x, const struct c4_fabric *f, uint32_t link)
{
	const struct c4_link *l = &f->links[link];

	return c4_absence_met(x->absence, c4_fabric_link(f, l->a, l->b, 0));
}

static void look_for(struct c4_absent *x, struct c4_suspects *s, const struct c4_edition *e,
		     const struct c4_agents *agents, uint64_t now_ns)
{
	const struct c4_fabric *f = &e->fabric->fabric;
	uint32_t begin = s->n ? x->turn++ % s->n : 0, surveys = 0;

	for (uint32_t k = 0; k < s->n; k++) { /* nobody is dropped here */
		struct c4_suspect *v = &s->v[(begin + k) % s->n];
		const struct c4_conn *c;

		if (!v->dead || v->state == C4_SUSPECT_CLEARED)
			continue;
		if (met(x, f, v->link / 2)) {
			c4_suspects_acquit(s, v->link);
			continue;
		}
		c = conn_at(x, e, agents, f->links[v->link / 2].a);
		if (!c)
			continue;
		v->bad_ns = now_ns; /* its turn comes */
		if (surveys++ < SURVEYS)
			survey(x, s, e, c, now_ns);
	}
}

void c4_absent_look(struct c4_absent *x, struct c4_suspects *s, const struct c4_edition *e,
		    const struct c4_agents *agents, uint64_t now_ns)
{
	struct c4_absence_found found[C4_ABSENCE_FOUND_MAX];
	uint32_t n;

	if (!x->absence || now_ns < x->looked_ns + C4_ABSENT_LOOK_NS)
		return;
	x->looked_ns = now_ns;
	n = c4_absence_find(x->absence, e->rates, found);
	for (uint32_t i = 0; i < n; i++)
		accuse(s, e, &found[i], now_ns);
	look_for(x, s, e, agents, now_ns);
}
