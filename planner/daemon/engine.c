// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "planner/daemon/blend.h"
#include "planner/daemon/diff.h"
#include "planner/daemon/world.h"
#include "planner/io/fabric_load.h"
#include "planner/io/oracle_spec.h"
#include "planner/io/slurp.h"

/* Plans of up to this many QPs are polished before they are published, larger ones afterwards: the
 * answer to a dead link must not wait for the proof that it is a good one. */
#define POLISH_AT_ONCE 16384u
#define POLISH_GAIN    0.05

struct c4_engine {
	struct c4_engine_config config;
	struct c4_oracle *oracle;
	struct c4_source *source; /* the newest, NULL: none yet */
	struct c4_blend seen;	  /* connections */
	struct c4_world now;
	struct c4_links links;
	uint64_t rates;	  /* c4_fabric_rates() when the newest plan was made */
	uint64_t version; /* of the newest plan */
	bool known;	  /* … which is e->now, here or in an earlier run */
	bool restored;	  /* the state file was looked at */
};

struct c4_engine *c4_engine_new(const struct c4_engine_config *config, struct c4_oracle *oracle)
{
	struct c4_engine *e = calloc(1, sizeof *e);

	if (!e)
		return NULL;
	e->config = *config;
	e->oracle = oracle;
	return e;
}

void c4_engine_free(struct c4_engine *e)
{
	if (!e)
		return;
	c4_oracle_free(e->oracle);
	c4_source_free(e->source);
	c4_blend_release(&e->seen);
	c4_links_release(&e->links);
	c4_world_release(&e->now);
	free(e);
}

struct c4_oracle_stats c4_engine_ports(const struct c4_engine *e)
{
	return e->oracle ? e->oracle->stats : (struct c4_oracle_stats){0};
}

static void failed(struct c4_task *t, const char *why)
{
	t->failed = true;
	snprintf(t->why, sizeof t->why, "%s", why);
}

/* Reasons of several lines are told by their first. */
static void first_line(char *to, size_t n, const char *text)
{
	snprintf(to, n, "%.*s", (int)strcspn(text, "\n"), text);
}

/* ---- the fabric ------------------------------------------------------------------------------ */

/* Takes what was read, if it is another fabric than the one there is; else NULL. */
static struct c4_held_fabric *take_fabric(struct c4_engine *e, struct c4_task *t,
					  struct c4_fabric *f)
{
	struct c4_held_fabric *h = c4_held_fabric_new(f), *now = e->now.fabric;

	if (!h) {
		c4_fabric_release(f);
		failed(t, "out of memory");
		return NULL;
	}
	if (now && now->digest == h->digest && now->file_rates == h->file_rates &&
	    now->addresses == h->addresses) {
		c4_held_fabric_drop(h);
		return NULL;
	}
	t->links_forgotten = c4_links_apply(&e->links, &h->fabric);
	return h;
}

/* The fabric in the file if it is another than the one there is, else NULL. */
static struct c4_held_fabric *read_fabric(struct c4_engine *e, struct c4_task *t)
{
	struct c4_buf errors = {0};
	struct c4_fabric f;
	int rc = c4_fabric_load(&f, e->config.fabric, C4_FABRIC_GUESS, &errors);

	t->fabric.state = rc == -ENOENT ? C4_INPUT_MISSING : rc ? C4_INPUT_BAD : C4_INPUT_READ;
	first_line(t->fabric.why, sizeof t->fabric.why, c4_buf_str(&errors));
	c4_buf_release(&errors);
	return rc ? NULL : take_fabric(e, t, &f);
}

static int set_link(void *arg, uint32_t link, double now_gbps)
{
	struct c4_task *t = arg;

	return c4_upkeep_link(t->upkeep, link, now_gbps, t->now_ns);
}

static void report_links(struct c4_engine *e, struct c4_task *t, const struct c4_world *w)
{
	struct c4_fault fault;

	t->upkeep = w->upkeep;
	for (uint32_t i = 0; i < t->n_links; i++) {
		if (!c4_links_report(&e->links, &w->fabric->fabric, w->fabric->file_gbps,
				     &t->links[i], set_link, t, &fault))
			continue;
		t->links_refused++;
		snprintf(t->link_fault, sizeof t->link_fault, "%s", fault.what);
	}
}

/* ---- the demand ------------------------------------------------------------------------------ */

static bool keep_nothing(const struct c4_conn *c)
{
	(void)c;
	return false;
}

static bool keep_told(const struct c4_conn *c)
{
	return !c4_blend_is(c);
}

static int demand_from_source(struct c4_engine *e, struct c4_task *t, const struct c4_fabric *f,
			      struct c4_demand *d)
{
	int rc;

	if (!e->source)
		return -ENOENT;
	rc = c4_source_demand(e->source, f, d, &t->skipped, t->demand.why, sizeof t->demand.why);
	t->demand.state = rc ? C4_INPUT_BAD : C4_INPUT_READ;
	return rc;
}

/* What was told, of the newest source, else as it was. -ENOMEM. */
static int demand_told(struct c4_engine *e, struct c4_task *t, const struct c4_held_fabric *fabric,
		       struct c4_demand *d)
{
	struct c4_carry_side was = c4_world_side(&e->now);
	c4_carry_filter keep = NULL;

	if (!demand_from_source(e, t, &fabric->fabric, d))
		return 0;
	if (e->config.flows_only)
		keep = keep_nothing;
	else if (e->config.flows)
		keep = keep_told; /* what is seen is added again */
	return c4_carry_demand(&was, &fabric->fabric, keep, d);
}

/* The demand on a fabric: of the newest source, else the one there is, by names. NULL: no memory.
 */
static struct c4_held_demand *demand_on(struct c4_engine *e, struct c4_task *t,
					struct c4_held_fabric *fabric, bool first)
{
	struct c4_held_demand *h;
	struct c4_demand d;

	if (!t->source && !t->flows && fabric == e->now.fabric && !first)
		return c4_held_demand_hold(e->now.demand);
	if (demand_told(e, t, fabric, &d))
		return NULL;
	if (e->config.flows && c4_blend_add(&e->seen, &fabric->fabric, &d)) {
		c4_demand_release(&d);
		return NULL;
	}
	if (fabric == e->now.fabric && c4_demand_equal(&d, &e->now.demand->demand)) {
		c4_demand_release(&d);
		return c4_held_demand_hold(e->now.demand);
	}
	h = c4_held_demand_new(&d);
	if (!h)
		c4_demand_release(&d);
	return h;
}

/* ---- what an earlier run knew ------------------------------------------------------------------
 */

/* Once, when the first fabric is there. */
static void restore(struct c4_engine *e, struct c4_task *t, struct c4_held_fabric *fabric)
{
	struct c4_fault fault = {.what = ""};
	struct c4_state s = {0};
	struct c4_buf b = {0};
	int rc;

	if (e->restored || !e->config.state)
		return;
	e->restored = true;
	rc = c4_slurp(e->config.state, &b, &fault);
	if (!rc)
		rc = c4_state_decode(b.data, b.len, fabric, &s, &fault);
	if (s.version > e->version)
		e->version = s.version;
	if (!rc && !c4_world_adopt(&e->now, fabric, &s)) {
		c4_links_release(&e->links);
		e->links = s.links;
		s.links = (struct c4_links){0};
		t->links_forgotten = c4_links_apply(&e->links, &fabric->fabric);
		e->known = true;
		if (e->config.flows && c4_blend_adopt(&e->seen, fabric, &e->now.demand->demand))
			failed(t, "out of memory");
	}
	t->state.state = rc == -ENOENT ? C4_INPUT_MISSING : rc ? C4_INPUT_BAD : C4_INPUT_READ;
	first_line(t->state.why, sizeof t->state.why, fault.what);
	c4_state_release(&s);
	c4_buf_release(&b);
}

/* ---- planning -------------------------------------------------------------------------------- */

/* One step from e->now to next. */
struct step {
	struct c4_world next;
	struct c4_carry y;
	uint8_t *why; /* per QP of next */
	struct c4_fault fault;
};

static void step_release(struct step *s)
{
	c4_world_release(&s->next);
	c4_carry_release(&s->y);
	free(s->why);
}

/* Tells the oracle what was seen, unless it speaks of a fabric that is being left. */
static void learn(struct c4_engine *e, struct c4_task *t, const struct step *s)
{
	const struct c4_fabric *f = &s->next.fabric->fabric;
	bool can = e->oracle && e->oracle->ops->learn && s->next.fabric == t->seen_on;

	if (!can || !t->n_seen || c4_oracle_begin(e->oracle, f))
		return;
	for (uint32_t i = 0; i < t->n_seen; i++)
		if (c4_oracle_learn(e->oracle, t->seen[i].src, t->seen[i].dst, t->seen[i].sport,
				    &t->seen[i].path))
			t->seen_refused++;
}

/* Stale maps: what the oracle learned of them counts no more, and agents are told so. */
static void doubt(const struct c4_task *t, struct step *s)
{
	struct c4_fabric *f = &s->next.fabric->fabric;

	if (s->next.fabric != t->seen_on)
		return;
	for (uint32_t i = 0; i < t->n_doubts; i++)
		if (t->doubts[i] < f->n_switches)
			f->switches[t->doubts[i]].epoch++;
}

/*
 * What an oracle learned is told by numbers of the fabric it was learned on: with another fabric it
 * begins anew. -ENOMEM: it goes on without.
 */
static void change_oracle(struct c4_engine *e, const struct step *s)
{
	struct c4_oracle *fresh;

	if (!e->oracle || !e->oracle->ops->learn || s->next.fabric == e->now.fabric ||
	    s->next.fabric->digest == e->now.fabric->digest)
		return;
	if (c4_oracle_spec(e->oracle->ops->name, &fresh, NULL))
		fresh = NULL;
	c4_oracle_free(e->oracle);
	e->oracle = fresh;
}

static int give_ports(struct c4_engine *e, struct c4_world *w)
{
	int rc;

	if (!e->oracle)
		return 0;
	rc = c4_oracle_ports(e->oracle, &w->fabric->fabric, &w->demand->demand, &w->plan);
	c4_upkeep_set_ports(w->upkeep, &w->demand->demand, w->plan.routes);
	return rc;
}

static void go_over(struct c4_engine *e, struct step *s)
{
	c4_world_release(&e->now);
	e->now = s->next;
	s->next = (struct c4_world){0};
}

/* There was nothing but observations: they make a new version only if a route got another port. */
static bool only_seen(const struct c4_engine *e, const struct c4_task *t, const struct step *s)
{
	return e->known && t->n_seen && !t->n_links && !t->n_doubts && !t->polish &&
	       s->next.fabric == e->now.fabric && s->next.demand == e->now.demand &&
	       e->rates == c4_fabric_rates(&s->next.fabric->fabric);
}

/* The new plan is there: what is different? */
static int publish(struct c4_engine *e, struct c4_task *t, struct step *s)
{
	struct c4_planned was = {c4_world_side(&e->now), &e->now.plan, e->now.backups,
				 e->now.changed};
	struct c4_planned is = {c4_world_side(&s->next), &s->next.plan, s->next.backups, NULL};
	uint64_t version = e->version + 1 > t->now_version ? e->version + 1 : t->now_version;
	struct c4_delta *d =
		c4_delta_new(version, e->known ? e->version : 0, e->now.fabric, s->next.fabric);

	uint64_t different;

	if (!d)
		return -ENOMEM;
	different = c4_diff(&was, &s->y, &is, s->why, s->next.changed, d);
	if (!different && only_seen(e, t, s)) {
		c4_delta_drop(d);
		go_over(e, s);
		return 0;
	}
	t->edition = c4_edition_new(s->next.fabric, s->next.demand, &s->next.plan, s->next.backups,
				    s->next.changed, &e->links, d);
	if (!t->edition)
		return -ENOMEM;
	e->version = version;
	e->known = true;
	e->rates = c4_fabric_rates(&s->next.fabric->fabric);
	go_over(e, s);
	return 0;
}

static int polish(struct c4_engine *e, struct c4_task *t, struct step *s)
{
	if (s->next.plan.n_routes > POLISH_AT_ONCE && !t->polish) {
		t->unpolished = true;
		return 0;
	}
	return c4_world_polish(&s->next, POLISH_GAIN, &e->config.replan, &s->fault);
}

static int prepare(struct c4_engine *e, struct step *s)
{
	struct c4_carry_side was = c4_world_side(&e->now), is = c4_world_side(&s->next);

	s->why = malloc((size_t)is.demand->n_qps + 1);
	if (!s->why)
		return -ENOMEM;
	memset(s->why, C4_WHY_UNKNOWN, (size_t)is.demand->n_qps + 1);
	return c4_carry_init(&s->y, &was, &e->now.plan, e->now.backups, &is);
}

/* From e->now to s->next, whose fabric and demand are set. */
static int plan_next(struct c4_engine *e, struct c4_task *t, struct step *s)
{
	int rc = prepare(e, s);

	if (!rc)
		rc = c4_world_plan(&e->now, &s->next, &s->y, &e->config.replan, &s->fault);
	if (rc)
		return rc;
	change_oracle(e, s);
	doubt(t, s);
	learn(e, t, s);
	report_links(e, t, &s->next);
	c4_upkeep_tick(s->next.upkeep, t->now_ns);
	rc = c4_upkeep_reasons(s->next.upkeep, &s->next.demand->demand, s->why);
	if (!rc)
		rc = c4_world_refresh(&s->next);
	if (!rc)
		rc = polish(e, t, s);
	if (!rc)
		rc = give_ports(e, &s->next);
	return rc ? rc : publish(e, t, s);
}

/* ---- a task ---------------------------------------------------------------------------------- */

/* Time may have come for something: true if routes or rates are different. */
static bool look_at_clock(struct c4_engine *e, const struct c4_task *t)
{
	return c4_upkeep_tick(e->now.upkeep, t->now_ns) ||
	       e->rates != c4_fabric_rates(&e->now.fabric->fabric);
}

static bool anything_new(struct c4_engine *e, const struct c4_task *t, const struct step *s)
{
	if (s->next.fabric != e->now.fabric || s->next.demand != e->now.demand || !e->now.upkeep)
		return true;
	return t->n_links || t->n_seen || t->n_doubts || t->polish || look_at_clock(e, t);
}

/* The plan for this fabric, if anything is different. */
static void plan_on(struct c4_engine *e, struct c4_task *t, struct c4_held_fabric *fabric)
{
	struct step s = {.next = {.fabric = c4_held_fabric_hold(fabric)}};
	uint64_t began = c4_mono_ns();
	bool first = !e->now.fabric;

	c4_fault_set(&s.fault, 0, "out of memory");
	if (first && c4_world_begin(&e->now, fabric)) {
		failed(t, s.fault.what);
		goto release;
	}
	restore(e, t, fabric);
	s.next.demand = demand_on(e, t, fabric, first);
	if (!s.next.demand) {
		failed(t, s.fault.what);
	} else if (anything_new(e, t, &s)) {
		if (plan_next(e, t, &s))
			failed(t, s.fault.what);
		t->plan_ns = c4_mono_ns() - began;
	}
release:
	step_release(&s);
}

void c4_engine_run(struct c4_engine *e, struct c4_task *t)
{
	struct c4_held_fabric *fabric = NULL;

	if (t->source) {
		c4_source_free(e->source);
		e->source = t->source;
	}
	if (t->flows)
		c4_blend_set(&e->seen, t->seen_on, t->flows, t->n_flows);
	if (t->reload && e->config.fabric)
		fabric = read_fabric(e, t);
	if (!fabric)
		fabric = c4_held_fabric_hold(e->now.fabric);
	if (fabric)
		plan_on(e, t, fabric);
	c4_held_fabric_drop(fabric);
	t->source = NULL;
	t->flows = NULL;
}
