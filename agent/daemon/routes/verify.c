// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/routes/verify.h"

#include <errno.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/log.h"

#define TTL_FIRST   2u
#define WRONG_DOUBT 2u	/* wrong samples that make a doubt */
#define CALM_TRIES  16u /* samples after which a single wrong one is forgotten */

void c4_verify_init(struct c4_verify *v, struct c4_dests *dests, struct c4_prober *prober,
		    struct c4_rawprober *raw)
{
	*v = (struct c4_verify){.dests = dests, .prober = prober, .raw = raw};
	c4_bucket_init(&v->bucket, C4_PROBE_RATE, C4_PROBE_BURST);
}

/* ---- doubts --------------------------------------------------------------------------------- */

/* The one that has been quiet for longest gives way. */
static struct c4_verify_source *source_of(struct c4_verify *v, uint32_t address)
{
	struct c4_verify_source *oldest = &v->source[0];

	for (uint32_t i = 0; i < C4_VERIFY_SOURCES; i++) {
		if (v->source[i].address == address)
			return &v->source[i];
		if (v->source[i].doubted_ns < oldest->doubted_ns)
			oldest = &v->source[i];
	}
	*oldest = (struct c4_verify_source){.address = address};
	return oldest;
}

static void doubt(struct c4_verify *v, struct c4_verify_source *s, uint64_t now_ns)
{
	struct c4_finding_doubt d = {s->address, s->dst, s->wrong, s->tried};

	s->tried = s->wrong = 0;
	v->suspicious = false;
	s->doubted_ns = now_ns;
	v->doubts++;
	c4_info("routes: %u of %u ports take other paths than they did: all are probed anew",
		d.wrong, d.tried);
	c4_findings_doubt(v->dests->findings, &d);
	c4_dests_distrust(v->dests, d.src, now_ns);
}

static void judge(struct c4_verify *v, const struct c4_trace *t, bool right)
{
	struct c4_verify_source *s = source_of(v, t->flow.src);
	uint64_t now_ns = c4_mono_ns();

	v->samples++;
	s->tried++;
	if (!right) {
		v->wrong++;
		s->wrong++;
		s->dst = t->flow.dst;
	} else if (s->tried >= CALM_TRIES) {
		s->tried = s->wrong = 0;
	}
	v->suspicious = s->wrong != 0;
	if (s->wrong >= WRONG_DOUBT && now_ns - s->doubted_ns >= C4_VERIFY_DOUBT_NS)
		doubt(v, s, now_ns);
}

/* ---- a trace -------------------------------------------------------------------------------- */

static void tell(struct c4_verify *v, const struct c4_trace *t)
{
	struct c4_finding x = {
		.flow = t->flow, .nhops = t->last, .live = t->raw, .at_ns = c4_mono_ns()};

	memcpy(x.hop, t->hop, sizeof x.hop);
	c4_findings_add(v->dests->findings, &x);
}

static void end_sample(struct c4_verify *v, struct c4_trace *t)
{
	uint16_t numbers[C4_HOPS_CHOSEN_MAX];
	struct c4_dest *d = t->dest < v->dests->n ? v->dests->dest[t->dest] : NULL;
	struct c4_portpath *x;
	uint64_t path;

	if (!d || d->serial != t->dest_serial || !d->pair)
		return;
	x = c4_pathcache_find(&d->cache, t->flow.sport);
	for (uint8_t ttl = t->first; ttl <= t->last; ttl++)
		numbers[ttl - t->first] = c4_hopmap_at(v->dests->hopmap, t->hop[ttl - 1].address);
	path = c4_path_pack(numbers, (uint32_t)(t->last - t->first + 1));
	if (path && x && !t->expected && !x->fwd) {
		x->fwd = path;
		x->fwd_at = c4_hopmap_stamp(v->dests->hopmap, d->pair->near, path, d->pair->far);
		tell(v, t);
		return;
	}
	if (!path || !x || x->fwd != t->expected) {
		v->unanswered++; /* or known better by now */
		return;
	}
	if (path != t->expected)
		tell(v, t);
	judge(v, t, path == t->expected);
}

static void end_trace(struct c4_verify *v, struct c4_trace *t)
{
	t->on = false;
	if (t->watch)
		tell(v, t);
	else
		end_sample(v, t);
}

static void on_hop(void *arg, uint64_t tag, const struct c4_hop *hop);

static int send_one(struct c4_verify *v, struct c4_trace *t, uint8_t ttl)
{
	struct c4_probe probe = t->flow;
	struct c4_probe_client client = {
		on_hop, v, (uint64_t)t->serial << 32 | (uint64_t)(t - v->trace) << 8 | ttl};

	probe.ttl = ttl;
	if (!t->raw)
		return c4_prober_send(v->prober, &probe, &client);
	if (!c4_bucket_take(&v->bucket, c4_mono_ns()))
		return -EAGAIN;
	return c4_rawprober_send(v->raw, &probe, &client, t->watch);
}

static void keep_best(struct c4_hop *best, const struct c4_hop *hop)
{
	if (hop->address && (!best->address || hop->rtt_us < best->rtt_us))
		*best = *hop;
}

/* A raw trace has all its packets under way at once; one of ours holds the port for each in turn.
 */
static void on_hop(void *arg, uint64_t tag, const struct c4_hop *hop)
{
	struct c4_verify *v = arg;
	struct c4_trace *t = &v->trace[tag >> 8 & (C4_VERIFY_TRACES - 1)];
	uint8_t ttl = tag & 0xff;

	if (!t->on || t->serial != tag >> 32)
		return;
	keep_best(&t->hop[ttl - 1], hop);
	if (!t->raw && ttl < t->last && hop->address && !send_one(v, t, (uint8_t)(ttl + 1)))
		return;
	if (!--t->waiting)
		end_trace(v, t);
}

static void start_trace(struct c4_verify *v, struct c4_trace *t)
{
	t->on = true;
	t->serial = ++v->serial;
	t->waiting = 1; /* ours: no answer ends it before all are sent */
	for (uint8_t ttl = t->first; ttl <= (t->raw ? t->last : t->first); ttl++)
		for (uint8_t i = 0; i < t->tries; i++)
			t->waiting += !send_one(v, t, ttl);
	if (t->waiting == 1)
		t->on = false; /* nothing could be sent: nothing is known */
	else
		t->waiting--;
}

static struct c4_trace *free_trace(struct c4_verify *v)
{
	for (uint32_t i = 0; i < C4_VERIFY_TRACES; i++)
		if (!v->trace[i].on)
			return &v->trace[i];
	return NULL;
}

/* ---- samples -------------------------------------------------------------------------------- */

/* A published port whose path is known, another one each time; every second time one that is in
 * use if we may ask for such a one. */
static const struct c4_portpath *sample_of(const struct c4_verify *v, const struct c4_dest *d)
{
	bool raw = c4_rawprober_able(v->raw);
	const struct c4_portpath *found = NULL;

	for (uint32_t i = 0; i < d->cache.n; i++) {
		const struct c4_portpath *x = &d->cache.v[(i + v->turn * 7) % d->cache.n];

		if (!x->slot || !x->fwd || (x->busy && !raw))
			continue;
		if (x->busy == (v->turn % 2 == 0))
			return x;
		if (!found)
			found = x;
	}
	return found;
}

/* False: no room. */
static bool trace_port(struct c4_verify *v, const struct c4_dest *d, const struct c4_portpath *x)
{
	struct c4_trace *t = free_trace(v);

	if (!t)
		return false;
	*t = (struct c4_trace){
		.raw = x->busy || (d->proto == C4_ROUTE_UDP && c4_rawprober_able(v->raw)),
		.flow = {d->src, d->dst, x->port, d->dport, d->proto, 0},
		.first = TTL_FIRST,
		.last = (uint8_t)(TTL_FIRST + d->pair->chosen - 1),
		.tries = 1,
		.expected = x->fwd,
		.dest = d->index,
		.dest_serial = d->serial,
	};
	start_trace(v, t);
	return t->on;
}

/* Only where somebody is or was of late: what nobody uses may be wrong until it is used. */
static bool is_worth(const struct c4_dest *d, uint64_t now_ns)
{
	return d && d->pair && d->told.nslots && !d->seek.on &&
	       now_ns - d->used_ns < C4_DESTS_KEEP_NS;
}

/* The next destination in turn, the same one again if it is the only one. */
static const struct c4_dest *next_dest(struct c4_verify *v, uint64_t now_ns)
{
	const struct c4_dests *s = v->dests;

	for (uint32_t i = 0; i < s->n; i++) {
		const struct c4_dest *d = s->dest[++v->place % s->n];

		if (is_worth(d, now_ns))
			return d;
	}
	return NULL;
}

static void take_samples(struct c4_verify *v, uint64_t now_ns)
{
	for (uint32_t i = 0; i < C4_VERIFY_SAMPLES; i++) {
		const struct c4_dest *d = next_dest(v, now_ns);
		const struct c4_portpath *x;

		if (!d)
			return;
		v->turn++;
		x = sample_of(v, d);
		if (x)
			trace_port(v, d, x);
	}
}

/* Where connections that live go now, after what was known of it was forgotten. */
static void relearn(struct c4_verify *v)
{
	struct c4_dests *s = v->dests;

	s->relearn = false;
	for (uint32_t i = 0; i < s->n; i++) {
		const struct c4_dest *d = s->dest[i];

		if (!d || !d->pair || d->proto != C4_ROUTE_TCP)
			continue;
		for (uint32_t k = 0; k < d->cache.n; k++) {
			const struct c4_portpath *x = &d->cache.v[k];

			if (x->busy && x->slot && !x->fwd && !trace_port(v, d, x)) {
				s->relearn = true; /* the rest when there is room */
				return;
			}
		}
	}
}

/* ---- watches -------------------------------------------------------------------------------- */

static void watch(struct c4_verify *v, const struct c4_plan_watch *w)
{
	struct c4_trace *t = free_trace(v);
	const struct c4_pair *pair = c4_pairs_to(v->dests->pairs, w->dst);

	if (!t || !pair || pair->src != w->src)
		return;
	*t = (struct c4_trace){
		.raw = true,
		.watch = true,
		.flow = {w->src, w->dst, w->sport, w->dport, w->proto, 0},
		.first = 1,
		.last = (uint8_t)(pair->chosen + 2),
		.tries = C4_VERIFY_TRIES,
	};
	start_trace(v, t);
	v->watches++;
}

void c4_verify_tick(struct c4_verify *v, const struct c4_plan_watch *watches, uint32_t nwatches,
		    uint64_t now_ns)
{
	if (now_ns - v->sampled_ns >= (v->suspicious ? C4_VERIFY_HURRY_NS : C4_VERIFY_PERIOD_NS)) {
		v->sampled_ns = now_ns;
		take_samples(v, now_ns);
	}
	if (v->dests->relearn && c4_rawprober_able(v->raw))
		relearn(v);
	if (!nwatches || !c4_rawprober_able(v->raw) || now_ns - v->watched_ns < C4_VERIFY_WATCH_NS)
		return;
	v->watched_ns = now_ns;
	for (uint32_t i = 0; i < nwatches; i++)
		watch(v, &watches[i]);
}
