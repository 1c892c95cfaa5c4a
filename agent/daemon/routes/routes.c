// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/routes/routes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/daemon/routes/asks.h"
#include "agent/daemon/routes/connwatch.h"
#include "agent/daemon/routes/dests.h"
#include "agent/daemon/routes/helper.h"
#include "agent/daemon/routes/locals.h"
#include "agent/daemon/routes/planlink.h"
#include "agent/daemon/routes/qpairs.h"
#include "agent/daemon/routes/rdmarate.h"
#include "agent/daemon/routes/report.h"
#include "agent/daemon/routes/verify.h"
#include "common/base/clock.h"
#include "common/log.h"

#define MS_NS	      1000000ull
#define BEAT_MS	      (C4_ROUTE_BEAT_NS / MS_NS)
#define REPORT_MS     1000u
#define REPORT_MIN_MS 100u /* between two, whatever the news */
#define REPORT_MAX_MS 10000u
#define PUMP_MS	      4u     /* while something is being looked for */
#define WAIT_US	      50000u /* that a process waits for an answer */
#define PROBE_WARN    "no probes"

struct c4_routes {
	struct c4_routes_config config;
	struct c4_planlink *link;
	struct c4_plan *plan; /* NULL: none yet */
	struct c4_plan_watch watches[C4_PLAN_WATCHES_MAX];
	uint32_t nwatches;

	struct c4_locals locals;
	struct c4_hopmap hopmap;
	struct c4_pairs pairs;
	struct c4_plantable table;
	struct c4_prober prober;
	struct c4_rawprober raw;
	struct c4_helper helper;
	struct c4_findings findings;
	struct c4_findings_mark told;
	struct c4_dests dests;
	struct c4_asks asks;
	struct c4_qpairs qpairs;
	struct c4_rdmarate rdmarate;
	struct c4_connwatch connwatch;
	struct c4_verify verify;

	uint64_t interval_ns, reported_ns, looked_ns;
	bool finishing, last_sent;
	uint32_t seeking; /* searches when last logged */

	uv_timer_t beat, pump;
	uv_check_t after_poll;
	uv_async_t news;
};

/* ---- reports -------------------------------------------------------------------------------- */

static void send_report(struct c4_routes *r, uint64_t now_ns)
{
	struct c4_report report = {
		.node = r->config.node,
		.instance = r->config.instance,
		.plan = r->plan,
		.addresses = r->locals.address,
		.naddresses = r->locals.n,
		.findings = &r->findings,
		.flows = r->connwatch.flows,
		.nflows = r->connwatch.nflows,
		.helper_port = c4_rawprober_able(&r->raw) ? r->helper.port : 0,
		.raw = c4_rawprober_able(&r->raw),
		.probes_sent = r->prober.sent + r->raw.sent,
		.last = r->finishing,
		.now_ns = now_ns,
	};
	size_t len = 0;
	void *data = c4_report_encode(&report, &len);

	if (!data)
		return;
	r->told = c4_findings_mark(&r->findings);
	r->reported_ns = now_ns;
	if (!c4_planlink_send(r->link, data, len))
		free(data);
	else
		r->last_sent = r->finishing;
	r->connwatch.nflows = 0; /* told; the next look is another interval */
}

#define N(x) ((unsigned long long)(x))
static void log_counts(const struct c4_routes *r)
{
	const struct c4_dests_counts *c = &r->dests.counts;

	c4_debug("routes: %u peers, %u destinations: %llu asks (%llu refused, %llu bad), "
		 "%llu searches of %llu ports, %llu fills, %llu slots unreachable, %llu evicted",
		 r->pairs.n, r->table.ndests, N(c->asks), N(c->refused), N(r->asks.bad),
		 N(c->searches), N(c->ports), N(c->fills), N(c->unreachable), N(c->evicted));
	c4_debug("routes: %llu probes, %llu silent, %llu arrived; raw %llu, %llu silent; helper: "
		 "%llu questions, %llu unanswered, %llu answers, %llu refused, %llu bad",
		 N(r->prober.sent), N(r->prober.silent), N(r->prober.arrived), N(r->raw.sent),
		 N(r->raw.silent), N(r->helper.questions), N(r->helper.unanswered),
		 N(r->helper.answers), N(r->helper.refused), N(r->helper.bad));
	c4_debug("routes: %llu samples, %llu wrong, %llu doubts, %llu watches; %llu findings lost, "
		 "%llu connections not seen, %llu claims corrected",
		 N(r->verify.samples), N(r->verify.wrong), N(r->verify.doubts),
		 N(r->verify.watches), N(r->findings.lost), N(r->connwatch.crowded),
		 N(c->corrected));
	c4_debug("routes: %u queue pairs of %u processes, %llu without room, %llu ended with "
		 "theirs, %llu not spoken of any more",
		 r->qpairs.n, r->qpairs.owners.used, N(r->qpairs.crowded), N(r->qpairs.ended),
		 N(r->qpairs.expired));
}
#undef N

static void report_if_due(struct c4_routes *r, uint64_t now_ns)
{
	bool news = r->findings.n || r->findings.ndoubts;
	uint64_t age_ns = now_ns - r->reported_ns;

	if (c4_planlink_busy(r->link))
		return;
	if (age_ns + BEAT_MS * MS_NS / 2 < (news ? REPORT_MIN_MS * MS_NS : r->interval_ns))
		return;
	send_report(r, now_ns);
}

/* ---- the plan ------------------------------------------------------------------------------- */

/* Our addresses or the plan are others than before. */
static void apply(struct c4_routes *r, uint64_t now_ns)
{
	struct c4_pairs pairs;
	int rc;

	if (!r->plan)
		return;
	rc = c4_hopmap_take(&r->hopmap, r->plan);
	if (!rc)
		rc = c4_pairs_make(&pairs, r->plan, &r->hopmap, r->locals.address, r->locals.n);
	if (rc) {
		c4_warn("plan %llu: %s: not followed", (unsigned long long)r->plan->version,
			strerror(-rc));
		return;
	}
	c4_pairs_release(&r->pairs);
	r->pairs = pairs;
	c4_plantable_set_peers(&r->table, &r->pairs, r->plan->version);
	c4_dests_replan(&r->dests, now_ns);
	c4_plantable_wake(&r->table);
	c4_debug("plan %llu: %u routes, %u peers", (unsigned long long)r->plan->version,
		 r->plan->nroutes, r->pairs.n);
}

static void take_plan(struct c4_routes *r, struct c4_plan *plan, uint64_t now_ns)
{
	uint64_t ms = plan->interval_ms ? plan->interval_ms : REPORT_MS;
	bool keep = plan->unchanged || (!plan->standing && r->plan && r->plan->standing);

	r->interval_ns = (ms < REPORT_MIN_MS   ? REPORT_MIN_MS
			  : ms > REPORT_MAX_MS ? REPORT_MAX_MS
					       : ms) *
			 MS_NS;
	r->nwatches = plan->nwatches;
	memcpy(r->watches, plan->watches, plan->nwatches * sizeof r->watches[0]);
	if (keep) {
		c4_plan_free(plan);
		return;
	}
	c4_plan_free(r->plan);
	r->plan = plan;
	for (uint32_t i = 0; i < r->connwatch.nflows; i++)
		r->connwatch.flows[i].route = 0; /* a place in the old one */
	apply(r, now_ns);
}

static void on_news(uv_async_t *h)
{
	struct c4_routes *r = h->data;
	struct c4_planlink_news news;

	if (!r->link)
		return;
	c4_planlink_news(r->link, &news);
	if (!news.ended)
		return;
	if (news.delivered)
		c4_findings_told(&r->findings, r->told);
	if (r->finishing && !r->last_sent)
		send_report(r, c4_mono_ns()); /* one was under way when the end came */
	if (news.plan && !r->finishing)
		take_plan(r, news.plan, c4_mono_ns());
	else
		c4_plan_free(news.plan);
	if (r->finishing && c4_routes_settled(r))
		r->config.settled(r->config.arg);
}

static void notify(void *arg)
{
	struct c4_routes *r = arg;

	uv_async_send(&r->news);
}

/* ---- the way back --------------------------------------------------------------------------- */

static bool ask_back(void *arg, const struct c4_dest *d, const uint16_t *ports, uint32_t n)
{
	struct c4_routes *r = arg;
	const struct c4_plan_peer *peer = c4_plan_peer(r->plan, d->dst);
	struct c4_help q = {.proto = d->proto,
			    .ttls = d->pair->chosen,
			    .n = (uint8_t)n,
			    .from = d->dst,
			    .to = d->src,
			    .sport = d->dport};

	if (!peer || n > C4_HELP_PORTS || !n)
		return false;
	memcpy(q.port, ports, n * sizeof q.port[0]);
	return c4_helper_ask(&r->helper, peer->agent, peer->helper_port, &q,
			     (uint64_t)d->serial << 16 | d->index);
}

static void tell_back(struct c4_routes *r, const struct c4_help *x, uint32_t i)
{
	struct c4_finding found = {
		.flow = {x->from, x->to, x->sport, x->port[i], x->proto, (uint8_t)(x->ttls + 1)},
		.nhops = (uint8_t)(x->ttls + 1),
		.at_ns = c4_mono_ns()};

	for (uint32_t k = 0; k < x->ttls; k++)
		found.hop[k + 1].address = x->hop[i][k];
	c4_findings_add(&r->findings, &found);
}

static uint64_t path_back(const struct c4_routes *r, const struct c4_help *x, uint32_t i)
{
	uint16_t numbers[C4_HELP_TTLS];

	for (uint32_t k = 0; k < x->ttls; k++)
		numbers[k] = c4_hopmap_at(&r->hopmap, x->hop[i][k]);
	return c4_path_pack(numbers, x->ttls);
}

/* What the peer told of ports that were not asked for is no harm: a port nobody looks for. */
static void on_answered(void *arg, uint64_t tag, const struct c4_help *question,
			const struct c4_help *answer)
{
	struct c4_routes *r = arg;
	uint16_t index = tag & 0xffff, serial = tag >> 16 & 0xffff;

	for (uint32_t i = 0; i < question->n; i++) {
		bool told = answer && i < answer->n && answer->port[i] == question->port[i];

		if (told)
			tell_back(r, answer, i);
		c4_dests_back(&r->dests, index, serial, question->port[i],
			      told ? path_back(r, answer, i) : 0);
	}
}

static bool is_planned(void *arg, uint32_t ours, uint32_t theirs)
{
	const struct c4_routes *r = arg;

	return c4_pairs_has(&r->pairs, ours, theirs);
}

/* ---- the loop ------------------------------------------------------------------------------- */

static void on_pump(uv_timer_t *h)
{
	struct c4_routes *r = h->data;

	c4_dests_pump(&r->dests, c4_mono_ns());
	if (!r->dests.nseeking)
		uv_timer_stop(&r->pump);
}

/* Whatever came may have begun a search, or let one go on. */
static void on_after_poll(uv_check_t *h)
{
	struct c4_routes *r = h->data;

	if (r->finishing || !r->dests.nseeking)
		return;
	c4_dests_pump(&r->dests, c4_mono_ns());
	if (r->dests.nseeking && !uv_is_active((uv_handle_t *)&r->pump))
		uv_timer_start(&r->pump, on_pump, PUMP_MS, PUMP_MS);
}

static void on_ask(void *arg, const struct c4_route_ask *ask)
{
	struct c4_routes *r = arg;

	if (!r->finishing)
		c4_dests_ask(&r->dests, ask, c4_mono_ns());
}

static void on_qp(void *arg, const struct c4_route_qp *qp, uint32_t pid)
{
	struct c4_routes *r = arg;

	if (!r->finishing)
		c4_qpairs_take(&r->qpairs, qp, pid, c4_mono_ns());
}

static void each_second(struct c4_routes *r, uint64_t now_ns)
{
	struct c4_connwatch_scene scene = {
		.locals = &r->locals,
		.plan = r->plan,
		.dests = &r->dests,
		.qpairs = &r->qpairs,
		.ports_before = &r->rdmarate.before,
		.ports = &r->rdmarate.now,
	};

	if (c4_locals_read(&r->locals))
		apply(r, now_ns);
	c4_qpairs_sweep(&r->qpairs, now_ns);
	c4_connwatch_look(&r->connwatch, &scene, now_ns);
	if (r->qpairs.n)
		c4_rdmarate_read(&r->rdmarate, r->connwatch.port_missing, now_ns);
	c4_dests_review(&r->dests, now_ns);
	if (r->seeking != (uint32_t)r->dests.counts.searches)
		log_counts(r);
	r->seeking = (uint32_t)r->dests.counts.searches;
}

static void on_beat(uv_timer_t *h)
{
	struct c4_routes *r = h->data;
	uint64_t now_ns = c4_mono_ns();

	if (r->finishing)
		return;
	c4_plantable_beat(&r->table, now_ns);
	if (now_ns - r->looked_ns + BEAT_MS * MS_NS / 2 >= r->interval_ns) {
		r->looked_ns = now_ns;
		each_second(r, now_ns);
	}
	c4_verify_tick(&r->verify, r->watches, r->nwatches, now_ns);
	report_if_due(r, now_ns);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void init_dests(struct c4_routes *r)
{
	r->dests.table = &r->table;
	r->dests.prober = &r->prober;
	r->dests.hopmap = &r->hopmap;
	r->dests.pairs = &r->pairs;
	r->dests.findings = &r->findings;
	r->dests.ask_back = ask_back;
	r->dests.arg = r;
	c4_dests_init(&r->dests);
	c4_verify_init(&r->verify, &r->dests, &r->prober, &r->raw);
}

static void start_handles(struct c4_routes *r)
{
	uv_loop_t *loop = r->config.loop;

	uv_timer_init(loop, &r->beat);
	uv_timer_init(loop, &r->pump);
	uv_check_init(loop, &r->after_poll);
	uv_async_init(loop, &r->news, on_news);
	r->beat.data = r->pump.data = r->after_poll.data = r->news.data = r;
	uv_timer_start(&r->beat, on_beat, 0, BEAT_MS);
	uv_check_start(&r->after_poll, on_after_poll);
}

/* A reading of RDMA ports has ended: it may be what the end waits for. */
static void on_idle(void *arg)
{
	struct c4_routes *r = arg;

	if (r->finishing && r->link && c4_routes_settled(r))
		r->config.settled(r->config.arg);
}

/* What must be there before any handle is in the loop. */
static int open_parts(struct c4_routes *r)
{
	const struct c4_routes_config *c = &r->config;
	struct c4_planlink_config link = {c->planner, notify, r};
	int rc = c4_findings_init(&r->findings);

	if (!rc)
		rc = c4_plantable_open(&r->table, c->runtime_dir, c->node, c->instance, WAIT_US);
	if (rc) {
		c4_error("%s: %s: no plan table", r->table.path, strerror(-rc));
		return rc;
	}
	r->link = c4_planlink_start(&link);
	if (r->link)
		return 0;
	c4_error("planner %s: not a usable address", c->planner);
	return -EINVAL;
}

/* Whatever is missing, the rest is of use. */
static void start_probers(struct c4_routes *r)
{
	struct c4_helper_config helper = {&r->raw, is_planned, on_answered, r};
	int rc = c4_prober_init(&r->prober, r->config.loop);

	if (rc)
		c4_warn("routes: %s: nothing can be probed", strerror(-rc));
	rc = c4_rawprober_init(&r->raw, r->config.loop);
	if (rc)
		c4_info("routes: %s: live connections are not probed, nor ways back",
			strerror(-rc));
	rc = c4_helper_open(&r->helper, r->config.loop, &helper);
	if (rc)
		c4_warn("routes: %s: other agents are not asked", strerror(-rc));
}

int c4_routes_start(const struct c4_routes_config *config, struct c4_routes **ret)
{
	struct c4_routes *r = calloc(1, sizeof *r);
	struct c4_asks_config asks = {config->runtime_dir, config->node, on_ask, on_qp, r};
	int rc;

	if (!r)
		return -ENOMEM;
	r->config = *config;
	r->rdmarate.loop = config->loop;
	r->rdmarate.root = config->sysfs;
	r->rdmarate.idle = on_idle;
	r->rdmarate.arg = r;
	r->interval_ns = REPORT_MS * MS_NS;
	r->asks.fd = r->prober.epoll = r->helper.fd = r->raw.in = r->raw.out = -1;
	rc = open_parts(r);
	if (rc) {
		c4_plantable_close(&r->table);
		c4_findings_release(&r->findings);
		free(r);
		return rc;
	}
	start_handles(r);
	init_dests(r);
	start_probers(r);
	rc = c4_connwatch_open(&r->connwatch);
	if (rc)
		c4_warn("routes: %s: connections are not seen", strerror(-rc));
	rc = c4_asks_open(&r->asks, config->loop, &asks);
	if (rc)
		c4_warn("routes: %s: nobody can ask for them", strerror(-rc));
	*ret = r;
	return 0;
}

void c4_routes_finish(struct c4_routes *r)
{
	if (!r || r->finishing)
		return;
	r->finishing = true;
	uv_timer_stop(&r->pump);
	c4_asks_close(&r->asks);
	c4_plantable_close(&r->table);
	send_report(r, c4_mono_ns());
}

bool c4_routes_busy(const struct c4_routes *r)
{
	return r && c4_rdmarate_busy(&r->rdmarate);
}

bool c4_routes_settled(struct c4_routes *r)
{
	return !r || (r->last_sent && !c4_planlink_busy(r->link) && !c4_routes_busy(r));
}

bool c4_routes_stop(struct c4_routes *r, uint64_t patience_ns)
{
	struct c4_planlink *link = r ? r->link : NULL;

	if (!link)
		return true;
	r->link = NULL;
	c4_asks_close(&r->asks);
	c4_plantable_close(&r->table);
	return c4_planlink_stop(link, patience_ns) && !c4_routes_busy(r);
}

void c4_routes_free(struct c4_routes *r)
{
	if (!r)
		return;
	c4_connwatch_close(&r->connwatch);
	c4_qpairs_release(&r->qpairs);
	c4_dests_release(&r->dests);
	c4_asks_release(&r->asks);
	c4_helper_release(&r->helper);
	c4_rawprober_release(&r->raw);
	c4_prober_release(&r->prober);
	c4_pairs_release(&r->pairs);
	c4_hopmap_release(&r->hopmap);
	c4_findings_release(&r->findings);
	c4_plan_free(r->plan);
	free(r);
}
