// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/planner.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/clock.h"
#include "common/fmt.h"
#include "common/log.h"
#include "planner/daemon/state.h"

#define SECOND_NS     1000000000ull
#define SETTLED_NS    (10 * SECOND_NS) /* agents have told by then what there is */
#define GOSSIP_GAP_NS SECOND_NS	       /* nor is it made anew for each thing that an agent saw */
#define SAVE_GAP_NS   SECOND_NS /* a plan that changes all the time is not written all the time */

static const struct {
	const char *name, *effect;
} problems[] = {
#define C4_X(sym, name, effect) {name, effect},
	C4_PLANNER_PROBLEMS(C4_X)
#undef C4_X
};

const char *c4_planner_problem_name(enum c4_planner_problem which)
{
	return problems[which].name;
}

const char *c4_planner_standing(const struct c4_planner *p)
{
	if (!p->edition->fabric)
		return "no-fabric";
	return p->demanded ? "ok" : "no-demand";
}

/* Told once, and once more when it is over. why "": all is well. */
static void problem(struct c4_planner *p, enum c4_planner_problem which, const char *why)
{
	char *now = p->problems[which];

	if (!strncmp(now, why, sizeof p->problems[which] - 1))
		return;
	if (*why)
		c4_error("%s: %s: %s", problems[which].name, why, problems[which].effect);
	else
		c4_info("%s: well again", problems[which].name);
	snprintf(now, sizeof p->problems[which], "%s", why);
}

/* ---- planning --------------------------------------------------------------------------------
 */

static uint64_t next_version(const struct c4_planner *p)
{
	uint64_t wall_ms = c4_wall_ns() / 1000000;

	return wall_ms > p->edition->version ? wall_ms : p->edition->version + 1;
}

/* What agents saw goes to the worker. */
static void hand_over_gossip(struct c4_planner *p, uint64_t now_ns)
{
	struct c4_routes *r = &p->routes;

	free(p->plan.seen);
	p->plan.seen = r->seen;
	if (r->pairs.changed)
		p->plan.task.flows = c4_elephants_list(&r->pairs, &p->plan.task.n_flows);
	p->demanded |= p->plan.task.flows != NULL;
	p->plan.task.seen_on = r->edition ? r->edition->fabric : NULL;
	p->plan.task.seen = r->seen;
	p->plan.task.n_seen = r->n_seen;
	memcpy(p->plan.doubts, r->doubts, r->n_doubts * sizeof *r->doubts);
	p->plan.task.doubts = p->plan.doubts;
	p->plan.task.n_doubts = r->n_doubts;
	r->seen = NULL;
	r->n_seen = r->cap_seen = r->n_doubts = 0;
	c4_pause_for(&p->gossip, now_ns, GOSSIP_GAP_NS);
}

static void plan_begin(struct c4_planner *p, uint64_t now_ns)
{
	p->plan.task = (struct c4_task){
		.reload = p->reload,
		.source = p->news,
		.links = p->plan.reports,
		.n_links = p->n_reports,
		.polish = p->polish,
		.now_ns = now_ns,
		.now_version = next_version(p),
	};
	if (p->n_reports)
		memcpy(p->plan.reports, p->reports, p->n_reports * sizeof *p->reports);
	hand_over_gossip(p, now_ns);
	p->reload = p->polish = false;
	c4_pause_for(&p->clock, now_ns, SECOND_NS);
	p->news = NULL;
	p->n_reports = 0;
	p->plan.busy = true;
}

static void look_at_inputs(struct c4_planner *p, const struct c4_task *t)
{
	p->stats.fabric_errors += t->fabric.state == C4_INPUT_BAD;
	p->demanded |= t->demand.state == C4_INPUT_READ || t->state.state == C4_INPUT_READ;
	if (t->fabric.state != C4_INPUT_SAME) {
		p->fabric_missing = t->fabric.state == C4_INPUT_MISSING;
		problem(p, C4_PROBLEM_FABRIC, t->fabric.why);
	}
	if (t->demand.state != C4_INPUT_SAME)
		problem(p, C4_PROBLEM_DEMAND, t->demand.why);
	if (t->demand.state == C4_INPUT_READ)
		p->stats.skipped = t->skipped;
	if (t->state.state == C4_INPUT_BAD)
		c4_warn("state: %s: %s: ignored, planning begins anew", p->config.engine.state,
			t->state.why);
	if (t->state.state == C4_INPUT_READ && t->edition)
		p->adopted = t->edition->delta->follows;
	if (t->state.state == C4_INPUT_READ)
		c4_info("state: %s: going on with the plan in it", p->config.engine.state);
	if (t->links_forgotten)
		c4_info("fabric: %u reported links: the file now says something else, or has them "
			"no more: reports dropped",
			t->links_forgotten);
	if (t->links_refused)
		c4_warn("link: %u reports: %s: ignored", t->links_refused, t->link_fault);
	p->stats.link_refused += t->links_refused;
}

static const char *bound_text(const struct c4_plan *p, char text[48])
{
	if (isnan(p->lower_bound))
		return "bound not known yet";
	snprintf(text, 48, "bound %.6g", p->lower_bound);
	return text;
}

static void adopt_edition(struct c4_planner *p, struct c4_edition *e)
{
	const struct c4_delta *d = e->delta;
	char bound[48];

	c4_edition_drop(p->edition);
	p->edition = e;
	c4_journal_add(&p->journal, e->delta);
	if (c4_routes_follow(&p->routes, e, c4_mono_ns(), c4_wall_ns() / 1000000))
		c4_warn("routes: out of memory: agents are told the plan before");
	for (int i = 0; i < C4_SHIFT_MAX; i++)
		p->stats.moves[i] += d->by_reason[i];
	c4_info("plan: version %llu: %u routes, %u not placed, load %.6g (%s), %u moved",
		(unsigned long long)e->version, e->plan.n_routes, e->plan.n_unplaced,
		e->plan.max_load, bound_text(&e->plan, bound), d->n_moves + d->moves_untold);
}

static void plan_end(struct c4_planner *p)
{
	struct c4_task *t = &p->plan.task;

	p->plan.busy = false;
	look_at_inputs(p, t);
	problem(p, C4_PROBLEM_PLAN, t->failed ? t->why : "");
	p->stats.ports = c4_engine_ports(p->engine);
	if (t->plan_ns) {
		p->stats.plans++;
		p->stats.plan_ns += t->plan_ns;
		p->stats.last_plan_ns = t->plan_ns;
	}
	p->polish |= t->unpolished;
	if (t->edition)
		adopt_edition(p, t->edition);
	t->edition = NULL;
}

static void on_plan(uv_work_t *w)
{
	struct c4_planner *p = w->data;

	c4_engine_run(p->engine, &p->plan.task);
}

static void on_planned(uv_work_t *w, int status)
{
	struct c4_planner *p = w->data;

	(void)status; /* never cancelled */
	plan_end(p);
	c4_planner_tick(p, c4_mono_ns());
}

static bool gossip_wanted(const struct c4_planner *p, uint64_t now_ns)
{
	return (p->routes.n_seen || p->routes.n_doubts || p->routes.pairs.changed) &&
	       now_ns >= p->gossip.next_ns;
}

static bool plan_wanted(const struct c4_planner *p, uint64_t now_ns)
{
	return p->reload || p->news || p->n_reports || p->polish || gossip_wanted(p, now_ns) ||
	       (p->edition->fabric && now_ns >= p->clock.next_ns);
}

/* ---- the demand ------------------------------------------------------------------------------
 */

static void fetch_begin(struct c4_planner *p)
{
	p->fetch.opts.forced = p->fetch.forced;
	p->fetch.opts.patient = p->edition->plan.n_routes > 0;
	p->fetch.forced = false;
	p->fetch.busy = true;
}

static void fetch_run(struct c4_planner *p)
{
	p->fetch.why[0] = '\0';
	p->fetch.rc = c4_demand_feed_fetch(p->fetch.feed, &p->fetch.opts, &p->fetch.news,
					   p->fetch.why, sizeof p->fetch.why);
}

static void fetch_end(struct c4_planner *p, uint64_t now_ns)
{
	p->fetch.busy = false;
	p->stats.fetches++;
	if (p->fetch.rc) {
		p->stats.fetch_errors++;
		problem(p, C4_PROBLEM_SOURCE, p->fetch.why);
		c4_pause_longer(&p->fetch.pause, now_ns);
	} else {
		problem(p, C4_PROBLEM_SOURCE, "");
		c4_pause_for(&p->fetch.pause, now_ns, p->config.interval_ns);
	}
	if (p->fetch.news) {
		c4_source_free(p->news);
		p->news = p->fetch.news;
		p->fetch.news = NULL;
	}
}

static void on_fetch(uv_work_t *w)
{
	fetch_run(w->data);
}

static void on_fetched(uv_work_t *w, int status)
{
	struct c4_planner *p = w->data;
	uint64_t now_ns = c4_mono_ns();

	(void)status;
	fetch_end(p, now_ns);
	c4_planner_tick(p, now_ns);
}

static bool fetch_wanted(const struct c4_planner *p, uint64_t now_ns)
{
	return p->fetch.feed && (p->fetch.forced || now_ns >= p->fetch.pause.next_ns);
}

/* ---- the state file --------------------------------------------------------------------------
 */

static void save_run(struct c4_planner *p)
{
	struct c4_buf b = {0};

	c4_state_encode(p->save.edition, &b);
	p->save.rc = c4_state_write(p->config.engine.state, &b, &p->save.fault);
	c4_buf_release(&b);
}

static void save_end(struct c4_planner *p, uint64_t now_ns)
{
	p->save.busy = false;
	if (p->save.rc) {
		p->stats.save_errors++;
		problem(p, C4_PROBLEM_STATE, p->save.fault.what);
		c4_pause_longer(&p->save.pause, now_ns);
	} else {
		p->stats.saves++;
		p->save.saved = p->save.edition->version;
		problem(p, C4_PROBLEM_STATE, "");
		c4_pause_for(&p->save.pause, now_ns, SAVE_GAP_NS);
	}
	c4_edition_drop(p->save.edition);
	p->save.edition = NULL;
}

static void on_save(uv_work_t *w)
{
	save_run(w->data);
}

static void on_saved(uv_work_t *w, int status)
{
	struct c4_planner *p = w->data;

	(void)status;
	save_end(p, c4_mono_ns());
}

static bool save_needed(const struct c4_planner *p)
{
	return p->config.engine.state && p->edition->fabric && p->save.saved != p->edition->version;
}

/* ---- what is suspected -----------------------------------------------------------------------
 */

/* Links that connections showed to be slow are planned with what they carry. */
static void take_reports(struct c4_planner *p)
{
	struct c4_suspects *s = &p->routes.suspects;
	uint32_t left = 0;

	for (uint32_t i = 0; i < s->n_reports; i++) {
		struct c4_fault fault;
		int rc = c4_planner_report_link(p, &s->reports[i], &fault);

		if (rc == -EBUSY)
			s->reports[left++] = s->reports[i];
		else if (rc)
			c4_warn("link %s-%s: %s: not planned with", s->reports[i].a,
				s->reports[i].b, fault.what);
	}
	s->n_reports = left;
}

/* ---- public ---------------------------------------------------------------------------------- */

void c4_planner_tick(struct c4_planner *p, uint64_t now_ns)
{
	if (p->ending)
		return;
	c4_routes_tick(&p->routes, now_ns);
	p->demanded |= p->config.engine.flows_only && now_ns >= p->started_ns + SETTLED_NS;
	take_reports(p);
	c4_talk_tick(&p->talk, now_ns);
	if (!p->fetch.busy && fetch_wanted(p, now_ns)) {
		fetch_begin(p);
		uv_queue_work(p->loop, &p->fetch.work, on_fetch, on_fetched);
	}
	if (!p->edition->fabric && now_ns >= p->look.next_ns) {
		p->reload |= p->config.engine.fabric != NULL;
		c4_pause_for(&p->look, now_ns, p->config.interval_ns);
	}
	if (!p->plan.busy && plan_wanted(p, now_ns)) {
		plan_begin(p, now_ns);
		uv_queue_work(p->loop, &p->plan.work, on_plan, on_planned);
	}
	if (!p->save.busy && save_needed(p) && now_ns >= p->save.pause.next_ns) {
		p->save.edition = c4_edition_hold(p->edition);
		p->save.busy = true;
		uv_queue_work(p->loop, &p->save.work, on_save, on_saved);
	}
}

void c4_planner_reload(struct c4_planner *p)
{
	p->reload = p->fetch.forced = true;
	p->fetch.pause = (struct c4_pause){0};
}

static bool same_link(const struct c4_link_report *x, const struct c4_link_report *y)
{
	return x->parallel == y->parallel && !strcmp(x->a, y->a) && !strcmp(x->b, y->b);
}

int c4_planner_report_link(struct c4_planner *p, const struct c4_link_report *r,
			   struct c4_fault *fault)
{
	uint32_t i = 0;
	int rc;

	if (!p->edition->fabric)
		return c4_fault_set(fault, -EAGAIN, "no fabric yet");
	rc = c4_links_check(&p->edition->fabric->fabric, r, fault);
	if (rc)
		return rc;
	while (i < p->n_reports && !same_link(&p->reports[i], r))
		i++;
	if (i == C4_PLANNER_REPORTS)
		return c4_fault_set(fault, -EBUSY, "%u reports wait already", C4_PLANNER_REPORTS);
	p->stats.link_reports++;
	p->reports[i] = *r;
	if (i == p->n_reports)
		p->n_reports++;
	return 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

static bool begin_with_nothing(struct c4_planner *p, uint64_t wall_ns)
{
	const struct c4_plan none = {0};
	const struct c4_links no_links = {0};
	struct c4_delta *d = c4_delta_new(wall_ns / 1000000, 0, NULL, NULL);

	p->edition = d ? c4_edition_new(NULL, NULL, &none, NULL, NULL, &no_links, d) : NULL;
	p->reports = calloc(C4_PLANNER_REPORTS, sizeof *p->reports);
	p->plan.reports = calloc(C4_PLANNER_REPORTS, sizeof *p->plan.reports);
	return p->edition && p->reports && p->plan.reports;
}

static void name_instance(struct c4_planner *p, uint64_t wall_ns)
{
	uint64_t id;

	if (getrandom(&id, sizeof id, GRND_NONBLOCK) != sizeof id)
		id = wall_ns;
	snprintf(p->instance, sizeof p->instance, "%016llx", (unsigned long long)id);
}

static int open_feed(struct c4_planner *p)
{
	if (!p->config.demand && !p->config.collector)
		return 0;
	p->fetch.feed = c4_demand_feed_new(p->config.demand, p->config.collector);
	if (p->fetch.feed)
		return 0;
	return p->config.collector ? -EINVAL : -ENOMEM;
}

int c4_planner_init(struct c4_planner *p, uv_loop_t *loop, const struct c4_planner_config *config,
		    struct c4_oracle *oracle, uint64_t now_ns, uint64_t wall_ns)
{
	int rc;

	*p = (struct c4_planner){.loop = loop, .config = *config, .started_ns = now_ns};
	p->plan.work.data = p->fetch.work.data = p->save.work.data = p;
	name_instance(p, wall_ns);
	p->config.engine.flows = config->flows;
	p->config.engine.flows_only = config->flows && !config->demand && !config->collector;
	c4_routes_init(&p->routes, &(struct c4_routes_config){
					   .instance = p->instance,
					   .learns = oracle && oracle->ops->learn,
					   .demands = config->flows,
					   .pairs = config->pairs,
					   .hold_ns = config->engine.replan.hold_ns,
				   });
	rc = open_feed(p);
	if (!rc)
		rc = c4_talk_init(&p->talk, loop, &p->routes, config->collector);
	if (!rc && !begin_with_nothing(p, wall_ns))
		rc = -ENOMEM;
	if (!rc) {
		p->engine = c4_engine_new(&p->config.engine, oracle);
		rc = p->engine ? 0 : -ENOMEM;
	}
	if (rc) {
		c4_planner_release(p);
		return rc;
	}
	if (config->demand) { /* a file is there or not: nobody has to wait for it */
		fetch_begin(p);
		fetch_run(p);
		fetch_end(p, now_ns);
	}
	p->reload = true;
	plan_begin(p, now_ns);
	c4_engine_run(p->engine, &p->plan.task);
	plan_end(p);
	return 0;
}

void c4_planner_end(struct c4_planner *p)
{
	p->ending = true;
}

void c4_planner_release(struct c4_planner *p)
{
	if (p->edition && save_needed(p)) {
		p->save.edition = c4_edition_hold(p->edition);
		save_run(p);
		save_end(p, c4_mono_ns());
	}
	c4_engine_free(p->engine);
	c4_demand_feed_free(p->fetch.feed);
	c4_talk_release(&p->talk);
	c4_source_free(p->news);
	c4_journal_release(&p->journal);
	c4_edition_drop(p->edition);
	free(p->reports);
	free(p->plan.reports);
	free(p->plan.seen);
	c4_routes_release(&p->routes);
	*p = (struct c4_planner){0};
}
