// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/sense/fit.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/ds/vec.h"

#define BUSY_MIN      0.02f /* of the window: where all wait for a slow link, others hardly work */
#define LIMITED_MAX   0.3f  /* of the busy time */
#define SPEED_CAP     1.0   /* faster than expected is as expected */
#define HEALTHY	      0.7   /* of the peers' speed */
#define PEERS_MIN     2u    /* connections elsewhere to compare with */
#define SPREAD	      4.0   /* MADs of the ratios, scaled to a deviation, below the peers */
#define MAD_SCALE     1.4826
#define MAD_FLOOR     0.02  /* identical peers are not known that exactly */
#define FULL	      0.7   /* of its rate: a link that carries that is not slow */
#define CROWD	      1.5   /* connections busy at the same time */
#define CROWDED	      0.67  /* of the rate of those elsewhere */
#define JUMP	      4.0   /* over the next largest step of a way's round-trip times … */
#define JUMP_FLOOR_US 200.0 /* … and so much */

/* Places are directed links, and hosts' NICs as senders and receivers. */
#define KEY_TX(nic)    ((uint64_t)1 << 40 | (nic))
#define KEY_RX(nic)    ((uint64_t)2 << 40 | (nic))
#define PLACES_OF_FLOW (C4_SENSE_HOPS + 2)
#define NO_LINK	       UINT32_MAX

void c4_fit_release(struct c4_fit *x)
{
	c4_map_release(&x->index);
	free(x->places);
	free(x->speed);
	free(x->sorted);
	free(x->covers);
	*x = (struct c4_fit){0};
}

/* ---- places ---------------------------------------------------------------------------------- */

static struct c4_sense_link *place_of(const struct c4_fit *x, uint64_t key)
{
	uintptr_t i = (uintptr_t)c4_map_get(&x->index, key);

	return i ? &x->places[i - 1] : NULL;
}

/* The keys of all places that a flow passes. */
static uint32_t keys_of(const struct c4_sense_flow *f, uint64_t keys[PLACES_OF_FLOW])
{
	uint32_t n = 0;

	keys[n++] = KEY_TX(f->src);
	keys[n++] = KEY_RX(f->dst);
	for (uint32_t i = 0; i < f->hops && i < C4_SENSE_HOPS; i++)
		keys[n++] = f->link[i];
	return n;
}

static int add_place(struct c4_fit *x, const struct c4_sense_flow *f, uint64_t key)
{
	struct c4_sense_link *p = place_of(x, key), *grown;

	if (!p) {
		grown = c4_vec_reserve(x->places, &x->cap_places, x->n_places + 1,
				       PLACES_OF_FLOW * C4_SENSE_FLOWS_MAX, sizeof *grown);
		if (!grown)
			return -ENOMEM;
		x->places = grown;
		if (c4_map_put(&x->index, key, (void *)(uintptr_t)(x->n_places + 1)))
			return -ENOMEM;
		p = &x->places[x->n_places++];
		*p = (struct c4_sense_link){.link = key >> 40 ? NO_LINK : (uint32_t)key};
	}
	p->busy += (double)f->busy;
	p->most_busy = fmax(p->most_busy, (double)f->busy);
	p->sum_gbps += f->gbps;
	p->most_gbps = fmax(p->most_gbps, f->busy_gbps);
	return 0;
}

static int add_places(struct c4_fit *x, const struct c4_sense_input *in, uint32_t n)
{
	uint64_t keys[PLACES_OF_FLOW];
	int rc = 0;

	c4_map_release(&x->index);
	x->n_places = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t k = keys_of(&in->flows[i], keys);

		while (k-- && !rc)
			rc = add_place(x, &in->flows[i], keys[k]);
	}
	for (uint32_t i = 0; i < x->n_places; i++) {
		struct c4_sense_link *p = &x->places[i];

		p->low = fmax(p->sum_gbps, p->most_gbps);
		p->high = p->most_busy > 0 ? fmax(p->sum_gbps / fmin(p->most_busy, 1), p->low) : 0;
	}
	return rc;
}

/* ---- speeds ---------------------------------------------------------------------------------- */

static double rate_of(const struct c4_sense_input *in, uint64_t key)
{
	if (!(key >> 40))
		return (double)in->link_gbps[key / 2];
	return in->nic_gbps ? (double)in->nic_gbps[(uint32_t)key] : 0;
}

/* A fair share of the narrowest place on the way; 0: nothing is known. */
static double expected(const struct c4_fit *x, const struct c4_sense_input *in,
		       const struct c4_sense_flow *f)
{
	uint64_t keys[PLACES_OF_FLOW];
	uint32_t n = keys_of(f, keys);
	double least = 0;

	for (uint32_t i = 0; i < n; i++) {
		double rate = rate_of(in, keys[i]), share;

		if (!(rate > 0))
			continue;
		share = rate / fmax(place_of(x, keys[i])->busy, 1);
		least = least > 0 ? fmin(least, share) : share;
	}
	return least;
}

static bool says_something(const struct c4_sense_flow *f)
{
	return f->busy >= BUSY_MIN && f->limited <= LIMITED_MAX && f->gbps > 0 && f->busy_gbps > 0;
}

static void find_speeds(struct c4_fit *x, const struct c4_sense_input *in, uint32_t n)
{
	uint64_t keys[PLACES_OF_FLOW];

	for (uint32_t i = 0; i < n; i++) {
		const struct c4_sense_flow *f = &in->flows[i];
		double e = expected(x, in, f);
		uint32_t k = keys_of(f, keys);

		x->speed[i] = -1;
		if (!says_something(f) || !(e > 0))
			continue;
		x->speed[i] = fmin(f->busy_gbps / e, SPEED_CAP);
		while (k--) {
			struct c4_sense_link *p = place_of(x, keys[k]);

			p->flows++;
			p->best = fmax(p->best, x->speed[i]);
		}
	}
}

/* ---- comparing ------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, uint32_t n)
{
	qsort(v, n, sizeof *v, ascending);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static bool crosses(const struct c4_sense_flow *f, uint32_t link)
{
	for (uint32_t i = 0; i < f->hops && i < C4_SENSE_HOPS; i++)
		if (f->link[i] == link)
			return true;
	return false;
}

/*
 * How fast others are: median, and below what one is outside their spread. The spread is of
 * ratios: speeds end at 0, so that in plain differences a fairly wide spread would reach down to
 * there and nothing could ever be outside. False: too few.
 */
struct peers {
	double median, floor;
};

static bool peers_of(struct c4_fit *x, const struct c4_sense_input *in, uint32_t n, uint32_t link,
		     struct peers *ret)
{
	uint32_t m = 0;
	double mad;

	for (uint32_t i = 0; i < n; i++)
		if (x->speed[i] >= 0 && in->flows[i].hops && !crosses(&in->flows[i], link))
			x->sorted[m++] = x->speed[i];
	if (m < PEERS_MIN)
		return false;
	ret->median = median(x->sorted, m);
	for (uint32_t i = 0; i < m; i++)
		x->sorted[i] = fabs(log(x->sorted[i] / ret->median));
	mad = fmax(median(x->sorted, m), MAD_FLOOR);
	ret->floor = ret->median * exp(-SPREAD * MAD_SCALE * mad);
	return true;
}

static double speed_on(struct c4_fit *x, const struct c4_sense_input *in, uint32_t n, uint32_t link)
{
	uint32_t m = 0;

	for (uint32_t i = 0; i < n; i++)
		if (x->speed[i] >= 0 && crosses(&in->flows[i], link))
			x->sorted[m++] = x->speed[i];
	return m ? median(x->sorted, m) : 0;
}

/* The place is a link all of whose connections are slow. */
static bool all_slow(struct c4_fit *x, const struct c4_sense_input *in, uint32_t n,
		     const struct c4_sense_link *p, struct peers *ret)
{
	/* speeds are 1 at most: no peers could make more than that slow */
	if (p->link == NO_LINK || !p->flows || p->best > C4_SENSE_MARGIN * SPEED_CAP)
		return false;
	if (p->high > FULL * rate_of(in, p->link) || !peers_of(x, in, n, p->link, ret))
		return false;
	return p->best <= C4_SENSE_MARGIN * ret->median && p->best < ret->floor;
}

/* ---- explaining ------------------------------------------------------------------------------ */

/* Places that may be the cause: links that are all slow, hosts all of whose flows are slow. */
struct causes {
	struct c4_fit *x;
	const struct c4_sense_input *in;
	uint32_t n;
	double slow; /* speeds up to here are */
};

static bool is_slow(const struct causes *c, uint32_t flow)
{
	return c->x->speed[flow] >= 0 && c->x->speed[flow] <= c->slow;
}

static uint32_t *cover_of(const struct causes *c, uint64_t key)
{
	return &c->x->covers[place_of(c->x, key) - c->x->places];
}

/* A cause covers its slow flows, everything else nothing. */
static void find_covers(const struct causes *c, const bool *is_cause)
{
	uint64_t keys[PLACES_OF_FLOW];

	memset(c->x->covers, 0, c->x->n_places * sizeof *c->x->covers);
	for (uint32_t i = 0; i < c->n; i++) {
		uint32_t k = is_slow(c, i) ? keys_of(&c->in->flows[i], keys) : 0;

		while (k--) {
			uint32_t *cover = cover_of(c, keys[k]);

			*cover += is_cause[cover - c->x->covers];
		}
	}
}

/* Where the round-trip times of a way jump: 0 before its first switch, i before switch i + 1; -1:
 * nowhere, or they are not known. */
static int jump_of(const struct c4_sense_flow *f)
{
	double largest = 0, second = 0, before = 0;
	int at = -1;

	for (uint32_t i = 0; i <= f->hops && i <= C4_SENSE_HOPS; i++) {
		double step = (double)f->rtt_us[i] - before;

		if (!f->rtt_us[i])
			return -1;
		before = fmax(before, (double)f->rtt_us[i]);
		if (step > largest) {
			second = largest;
			largest = step;
			at = (int)i;
		} else {
			second = fmax(second, step);
		}
	}
	return largest >= JUMP * second && largest - second >= JUMP_FLOOR_US ? at : -1;
}

/* What best explains one slow flow. */
struct verdict {
	uint32_t link;	/* NO_LINK: a host, or in doubt */
	uint32_t alike; /* how many others explain as much */
};

static struct verdict explain(const struct causes *c, const struct c4_sense_flow *f)
{
	struct verdict v = {.link = NO_LINK};
	uint64_t keys[PLACES_OF_FLOW], best = 0;
	uint32_t n = keys_of(f, keys), most = 0, ties = 0;
	int jump = jump_of(f);

	for (uint32_t i = 0; i < n; i++) {
		uint32_t cover = *cover_of(c, keys[i]);

		if (cover > most) {
			most = cover;
			best = keys[i];
			ties = 0;
		} else if (cover && cover == most) {
			ties++;
		}
	}
	if (!most)
		return v;
	if (ties && jump > 0 && *cover_of(c, f->link[jump - 1]) == most) {
		v.link = f->link[jump - 1];
		return v;
	}
	v.alike = ties;
	for (uint32_t i = 0; i < f->hops && ties && best >> 40; i++)
		if (*cover_of(c, f->link[i]) == most)
			best = f->link[i]; /* a doubt is told of a link */
	v.link = best >> 40 ? NO_LINK : (uint32_t)best;
	return v;
}

static struct c4_fit_bad *bad_at(struct c4_fit *x, uint32_t link, enum c4_sense_kind kind)
{
	for (uint32_t i = 0; i < x->n_bad; i++)
		if (x->bad[i].link == link && x->bad[i].kind == kind)
			return &x->bad[i];
	if (x->n_bad == C4_SENSE_FINDINGS)
		return NULL;
	x->bad[x->n_bad] = (struct c4_fit_bad){.link = link, .kind = kind, .alike = UINT32_MAX};
	return &x->bad[x->n_bad++];
}

static void watch(struct c4_fit *x, uint32_t flow)
{
	if (x->n_watches < C4_SENSE_WATCHES)
		x->watches[x->n_watches++] = flow;
}

static void blame(const struct causes *c, uint32_t flow)
{
	struct verdict v = explain(c, &c->in->flows[flow]);
	struct c4_fit_bad *b;
	struct peers peers;

	if (v.alike)
		watch(c->x, flow);
	if (v.link == NO_LINK)
		return;
	b = bad_at(c->x, v.link, C4_SENSE_SLOW);
	if (!b)
		return;
	b->flows++;
	b->alike = v.alike < b->alike ? v.alike : b->alike;
	b->gbps = place_of(c->x, v.link)->high;
	if (b->flows > 1 || !peers_of(c->x, c->in, c->n, v.link, &peers))
		return;
	b->peers = peers.median;
	b->speed = speed_on(c->x, c->in, c->n, v.link);
}

/* Which places may be a cause; the fastest connection on the slow links sets what is slow. */
static void find_causes(struct causes *c, bool *is_cause)
{
	struct peers peers;

	for (uint32_t i = 0; i < c->x->n_places; i++) {
		is_cause[i] = all_slow(c->x, c->in, c->n, &c->x->places[i], &peers);
		if (is_cause[i])
			c->slow = fmax(c->slow, c->x->places[i].best);
	}
	for (uint32_t i = 0; i < c->x->n_places; i++) {
		const struct c4_sense_link *p = &c->x->places[i];

		if (p->link == NO_LINK && p->flows)
			is_cause[i] = p->best <= c->slow;
	}
}

static int find_slow(struct c4_fit *x, const struct c4_sense_input *in, uint32_t n)
{
	struct causes c = {.x = x, .in = in, .n = n, .slow = -1};
	bool *is_cause = calloc((size_t)x->n_places + 1, sizeof *is_cause);

	if (!is_cause)
		return -ENOMEM;
	find_causes(&c, is_cause);
	if (c.slow >= 0) {
		find_covers(&c, is_cause);
		for (uint32_t i = 0; i < n; i++)
			if (is_slow(&c, i) && in->flows[i].hops)
				blame(&c, i);
	}
	free(is_cause);
	return 0;
}

/* ---- congestion ------------------------------------------------------------------------------ */

/* Rates, not speeds: collisions are what makes a connection expect little. */
static double rate_median(struct c4_fit *x, const struct c4_sense_input *in, uint32_t n,
			  uint32_t link, bool on)
{
	uint32_t m = 0;

	for (uint32_t i = 0; i < n; i++)
		if (x->speed[i] >= 0 && in->flows[i].hops && crosses(&in->flows[i], link) == on)
			x->sorted[m++] = in->flows[i].busy_gbps;
	return m >= PEERS_MIN ? median(x->sorted, m) : 0;
}

static void find_congested(struct c4_fit *x, const struct c4_sense_input *in, uint32_t n)
{
	for (uint32_t i = 0; i < x->n_places; i++) {
		const struct c4_sense_link *p = &x->places[i];
		struct c4_fit_bad *b;
		double here, there;

		if (p->link == NO_LINK || p->flows < 2 || p->busy < CROWD ||
		    p->sum_gbps < FULL * rate_of(in, p->link))
			continue;
		here = rate_median(x, in, n, p->link, true);
		there = rate_median(x, in, n, p->link, false);
		if (here > CROWDED * there)
			continue;
		b = bad_at(x, p->link, C4_SENSE_CONGESTED);
		if (b)
			*b = (struct c4_fit_bad){
				p->link, C4_SENSE_CONGESTED, p->flows, 0, p->sum_gbps, here, there};
	}
}

/* ---- public ---------------------------------------------------------------------------------- */

static int reserve(struct c4_fit *x, uint32_t n)
{
	double *speed, *sorted;

	if (n <= x->cap_flows)
		return 0;
	speed = realloc(x->speed, n * sizeof *speed);
	if (speed)
		x->speed = speed;
	sorted = realloc(x->sorted, n * sizeof *sorted);
	if (sorted)
		x->sorted = sorted;
	if (!speed || !sorted)
		return -ENOMEM;
	x->cap_flows = n;
	return 0;
}

static int reserve_covers(struct c4_fit *x)
{
	uint32_t *grown = c4_vec_reserve(x->covers, &x->cap_covers, x->n_places,
					 PLACES_OF_FLOW * C4_SENSE_FLOWS_MAX, sizeof *grown);

	if (grown)
		x->covers = grown;
	return grown || !x->n_places ? 0 : -ENOMEM;
}

static void count_healthy(struct c4_fit *x, const struct c4_sense_input *in, uint32_t n)
{
	uint64_t keys[PLACES_OF_FLOW];

	for (uint32_t i = 0; i < n; i++) {
		uint32_t k = x->speed[i] >= HEALTHY ? keys_of(&in->flows[i], keys) : 0;

		while (k--)
			place_of(x, keys[k])->healthy++;
	}
}

int c4_fit_window(struct c4_fit *x, const struct c4_sense_input *in)
{
	uint32_t n = in->n < C4_SENSE_FLOWS_MAX ? in->n : C4_SENSE_FLOWS_MAX;
	int rc = reserve(x, n);

	x->n_bad = x->n_watches = 0;
	if (!rc)
		rc = add_places(x, in, n);
	if (!rc)
		rc = reserve_covers(x);
	if (rc)
		return rc;
	find_speeds(x, in, n);
	count_healthy(x, in, n);
	find_congested(x, in, n);
	return find_slow(x, in, n);
}
