// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "planner/daemon/diff.h"
#include "planner/daemon/state.h"
#include "planner/io/fabric_load.h"
#include "planner/io/slurp.h"
#include "planner/model/assign.h"

/* A plan and what it is a plan of; fabric NULL: nothing yet. */
struct world {
	struct c4_held_fabric *fabric;
	struct c4_held_demand *demand;
	struct c4_plan plan;
	uint64_t *changed;
};

struct c4_engine {
	struct c4_engine_paths paths;
	struct c4_oracle *oracle;
	struct c4_source *source; /* the newest, NULL: none yet */
	struct world now;
	struct c4_links links;
	uint64_t file_rates; /* c4_fabric_rates() of the fabric as the file has it */
	uint64_t version;    /* of the newest plan */
	bool known;	     /* … which is e->now, here or in an earlier run */
	bool restored;	     /* the state file was looked at */
};

static void world_release(struct world *w)
{
	c4_held_fabric_drop(w->fabric);
	c4_held_demand_drop(w->demand);
	c4_plan_release(&w->plan);
	free(w->changed);
	*w = (struct world){0};
}

static struct c4_carry_side side_of(const struct world *w)
{
	return (struct c4_carry_side){&w->fabric->fabric, &w->demand->demand};
}

struct c4_engine *c4_engine_new(const struct c4_engine_paths *paths, struct c4_oracle *oracle)
{
	struct c4_engine *e = calloc(1, sizeof *e);

	if (!e)
		return NULL;
	e->paths = *paths;
	e->oracle = oracle;
	return e;
}

void c4_engine_free(struct c4_engine *e)
{
	if (!e)
		return;
	c4_oracle_free(e->oracle);
	c4_source_free(e->source);
	c4_links_release(&e->links);
	world_release(&e->now);
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

static bool same_as_before(struct c4_engine *e, const struct c4_held_fabric *h)
{
	return e->now.fabric && e->now.fabric->digest == h->digest &&
	       e->file_rates == c4_fabric_rates(&h->fabric);
}

/* The fabric in the file if it is another than the one there is, else NULL. */
static struct c4_held_fabric *read_fabric(struct c4_engine *e, struct c4_task *t)
{
	struct c4_buf errors = {0};
	struct c4_held_fabric *h;
	struct c4_fabric f;
	int rc = c4_fabric_load(&f, e->paths.fabric, C4_FABRIC_GUESS, &errors);

	t->fabric.state = rc == -ENOENT ? C4_INPUT_MISSING : rc ? C4_INPUT_BAD : C4_INPUT_READ;
	first_line(t->fabric.why, sizeof t->fabric.why, c4_buf_str(&errors));
	c4_buf_release(&errors);
	if (rc)
		return NULL;
	h = c4_held_fabric_new(&f);
	if (!h) {
		c4_fabric_release(&f);
		failed(t, "out of memory");
		return NULL;
	}
	if (same_as_before(e, h)) {
		c4_held_fabric_drop(h);
		return NULL;
	}
	e->file_rates = c4_fabric_rates(&h->fabric);
	return h;
}

static void report_links(struct c4_engine *e, struct c4_task *t, struct c4_fabric *f,
			 struct c4_cause *cause)
{
	struct c4_fault fault;

	for (uint32_t i = 0; i < t->n_links; i++) {
		int effect = c4_links_report(&e->links, f, &t->links[i], &fault);

		if (effect < 0) {
			t->links_refused++;
			snprintf(t->link_fault, sizeof t->link_fault, "%s", fault.what);
		}
		cause->slowed |= effect == C4_LINK_DIED || effect == C4_LINK_SLOWED;
		cause->repaired |= effect == C4_LINK_QUICKENED;
	}
}

/* ---- the demand ------------------------------------------------------------------------------ */

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

/* The demand on a fabric: of the newest source, else the one there is, by names. NULL: no memory.
 */
static struct c4_held_demand *demand_on(struct c4_engine *e, struct c4_task *t,
					struct c4_held_fabric *fabric)
{
	struct c4_carry_side was = side_of(&e->now);
	struct c4_held_demand *h;
	struct c4_demand d;

	if (!t->source && fabric == e->now.fabric)
		return c4_held_demand_hold(e->now.demand);
	if (demand_from_source(e, t, &fabric->fabric, &d) &&
	    c4_carry_demand(&was, &fabric->fabric, &d))
		return NULL;
	if (fabric == e->now.fabric && c4_demand_equal(&d, was.demand)) {
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

static bool adopt(struct c4_engine *e, struct c4_held_fabric *fabric, struct c4_state *s,
		  struct c4_cause *cause)
{
	struct c4_held_demand *demand = c4_held_demand_new(&s->demand);

	if (!demand)
		return false;
	world_release(&e->now);
	e->now = (struct world){c4_held_fabric_hold(fabric), demand, s->plan, s->changed};
	s->plan = (struct c4_plan){0};
	s->changed = NULL;
	e->known = true;
	c4_links_release(&e->links);
	e->links = s->links;
	s->links = (struct c4_links){0};
	c4_links_apply(&e->links, &fabric->fabric);
	cause->fabric |= c4_fabric_rates(&fabric->fabric) != s->rates;
	return true;
}

/* Once, when the first fabric is there. True if the plan in the file is the one to go on with. */
static bool restore(struct c4_engine *e, struct c4_task *t, struct c4_held_fabric *fabric,
		    struct c4_cause *cause)
{
	struct c4_fault fault = {.what = ""};
	struct c4_state s = {0};
	struct c4_buf b = {0};
	bool adopted = false;
	int rc;

	if (e->restored || !e->paths.state)
		return false;
	e->restored = true;
	rc = c4_slurp(e->paths.state, &b, &fault);
	if (!rc)
		rc = c4_state_decode(b.data, b.len, fabric, &s, &fault);
	if (s.version > e->version)
		e->version = s.version;
	if (!rc)
		adopted = adopt(e, fabric, &s, cause);
	t->state.state = rc == -ENOENT ? C4_INPUT_MISSING : rc ? C4_INPUT_BAD : C4_INPUT_READ;
	snprintf(t->state.why, sizeof t->state.why, "%s", fault.what);
	c4_state_release(&s);
	c4_buf_release(&b);
	return adopted;
}

/* ---- planning -------------------------------------------------------------------------------- */

/* Loads and utilisations of routes as they are. */
static int measure(const struct c4_carry_side *is, struct c4_plan *p)
{
	double *load = malloc((2 * (size_t)is->fabric->n_links + 1) * sizeof *load);

	if (!load)
		return -ENOMEM;
	c4_plan_measure(is->fabric, is->demand, p, load);
	free(load);
	return 0;
}

/* The carried routes are the plan. */
static int keep_plan(const struct world *was, const struct c4_carry *y,
		     const struct c4_carry_side *is, struct c4_plan *p)
{
	if (p->n_routes)
		memcpy(p->routes, y->plan.routes, p->n_routes * sizeof *p->routes);
	p->lower_bound = was->plan.lower_bound;
	p->util_bound = was->plan.util_bound;
	return measure(is, p);
}

static int make_plan(const struct c4_carry *y, const struct c4_carry_side *is, struct c4_plan *p,
		     struct c4_fault *fault)
{
	const struct c4_assign_opts opts = {.previous = &y->plan};
	int rc = c4_assign(is->fabric, is->demand, &opts, p, fault);

	for (uint32_t i = 0; !rc && i < p->n_routes; i++)
		p->routes[i].sport = y->plan.routes[i].sport; /* kept where it is still right */
	return rc;
}

static int give_ports(struct c4_engine *e, const struct c4_carry_side *is, struct c4_plan *p)
{
	if (e->oracle)
		return c4_oracle_ports(e->oracle, is->fabric, is->demand, p);
	for (uint32_t i = 0; i < p->n_routes; i++)
		p->routes[i].sport = 0;
	return 0;
}

/* Publishes what `next` is and makes it the present. */
static int publish(struct c4_engine *e, struct c4_task *t, struct world *next,
		   const struct c4_carry *y, const struct c4_cause *cause)
{
	struct c4_planned was = {side_of(&e->now), &e->now.plan}, is = {side_of(next), &next->plan};
	uint64_t version = e->version + 1 > t->now_version ? e->version + 1 : t->now_version;
	struct c4_delta *d =
		c4_delta_new(version, e->known ? e->version : 0, e->now.fabric, next->fabric);

	if (!d)
		return -ENOMEM;
	c4_diff(&was, y, &is, cause, e->now.changed, next->changed, d);
	t->edition = c4_edition_new(next->fabric, next->demand, &next->plan, next->changed,
				    c4_fabric_rates(&next->fabric->fabric), &e->links, d);
	if (!t->edition)
		return -ENOMEM;
	e->version = version;
	e->known = true;
	world_release(&e->now);
	e->now = *next;
	*next = (struct world){0};
	return 0;
}

/* From e->now to next, whose fabric and demand are set. */
static int plan_next(struct c4_engine *e, struct c4_task *t, struct world *next, bool keep,
		     const struct c4_cause *cause, struct c4_fault *fault)
{
	struct c4_carry_side was = side_of(&e->now), is = side_of(next);
	uint64_t began = c4_mono_ns();
	struct c4_carry y;
	int rc;

	c4_fault_set(fault, 0, "out of memory");
	rc = c4_carry_init(&y, &was, &e->now.plan, &is);
	if (rc)
		return rc;
	next->changed = calloc((size_t)is.demand->n_qps + 1, sizeof *next->changed);
	rc = next->changed ? c4_plan_init(&next->plan, is.demand) : -ENOMEM;
	if (!rc)
		rc = keep ? keep_plan(&e->now, &y, &is, &next->plan)
			  : make_plan(&y, &is, &next->plan, fault);
	if (!rc)
		rc = give_ports(e, &is, &next->plan);
	t->plan_ns = c4_mono_ns() - began;
	if (!rc)
		rc = publish(e, t, next, &y, cause);
	c4_carry_release(&y);
	return rc;
}

/* ---- a task ---------------------------------------------------------------------------------- */

/* An empty plan on this fabric, for the first one to follow. */
static int begin(struct c4_engine *e, struct c4_held_fabric *fabric)
{
	struct c4_demand none;

	c4_demand_init(&none);
	e->now.demand = c4_held_demand_new(&none);
	e->now.changed = calloc(1, sizeof *e->now.changed);
	if (!e->now.demand || !e->now.changed) {
		world_release(&e->now);
		return -ENOMEM;
	}
	e->now.fabric = c4_held_fabric_hold(fabric);
	return 0;
}

/* The plan for this fabric, if anything is different. */
static void plan_on(struct c4_engine *e, struct c4_task *t, struct c4_held_fabric *fabric)
{
	struct world next = {.fabric = c4_held_fabric_hold(fabric)};
	bool first = !e->now.fabric, restored;
	struct c4_fault fault = {.what = "out of memory"};
	struct c4_cause cause = {0};

	if (first && begin(e, fabric)) {
		failed(t, fault.what);
		goto release;
	}
	restored = restore(e, t, fabric, &cause);
	if (fabric != e->now.fabric) {
		cause.fabric = true;
		t->links_forgotten = c4_links_apply(&e->links, &fabric->fabric);
	}
	report_links(e, t, &fabric->fabric, &cause);
	next.demand = demand_on(e, t, fabric);
	if (!next.demand) {
		failed(t, fault.what);
		goto release;
	}
	cause.demand = next.demand != e->now.demand;
	restored &= !cause.fabric && !cause.demand && !cause.slowed && !cause.repaired;
	if (first || restored || cause.fabric || cause.demand || cause.slowed || cause.repaired)
		if (plan_next(e, t, &next, restored, &cause, &fault))
			failed(t, fault.what);
release:
	world_release(&next);
}

void c4_engine_run(struct c4_engine *e, struct c4_task *t)
{
	struct c4_held_fabric *fabric = NULL;

	if (t->source) {
		c4_source_free(e->source);
		e->source = t->source;
	}
	if (t->reload && e->paths.fabric)
		fabric = read_fabric(e, t);
	if (!fabric)
		fabric = c4_held_fabric_hold(e->now.fabric);
	if (fabric)
		plan_on(e, t, fabric);
	c4_held_fabric_drop(fabric);
	t->source = NULL;
}
