// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/routes/elephants.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS   1000000000ull
#define LEAST_SHARE 0.01 /* of the NIC */
#define LEAST_GBPS  0.001
#define WEIGHT_MIN  (1.0 / 64)
#define MINOR	    0.125 /* sources below this part of the busiest one count so much */

void c4_elephants_release(struct c4_elephants *p)
{
	struct c4_map_entry *e;

	c4_map_for_each (e, &p->by_nics)
		free(e->value);
	c4_map_release(&p->by_nics);
	free(p->out_gbps);
	*p = (struct c4_elephants){.config = p->config};
}

static uint64_t key_of(uint32_t src, uint32_t dst)
{
	return (uint64_t)src << 32 | dst;
}

/* NULL: no room. */
static struct c4_elephant *pair_at(struct c4_elephants *p, uint32_t src, uint32_t dst)
{
	struct c4_elephant *x = c4_map_get(&p->by_nics, key_of(src, dst));

	if (x)
		return x;
	x = p->n < C4_ELEPHANTS_MAX ? calloc(1, sizeof *x) : NULL;
	if (!x || c4_map_put(&p->by_nics, key_of(src, dst), x)) {
		free(x);
		p->lost++;
		return NULL;
	}
	x->src = src;
	x->dst = dst;
	p->n++;
	return x;
}

/* ---- another fabric --------------------------------------------------------------------------
 */

static uint32_t renamed(const struct c4_fabric *was, const struct c4_fabric *is, uint32_t nic)
{
	char name[2 * C4_NAME_MAX + 2];

	snprintf(name, sizeof name, "%s/%s", was->hosts[was->nics[nic].host].name,
		 was->nics[nic].name);
	return c4_fabric_nic(is, name);
}

int c4_elephants_follow(struct c4_elephants *p, const struct c4_fabric *was,
			const struct c4_fabric *is)
{
	double *out = calloc((size_t)is->n_nics + 1, sizeof *out);
	struct c4_map old = p->by_nics;
	struct c4_map_entry *e;

	if (!out)
		return -ENOMEM;
	free(p->out_gbps);
	p->out_gbps = out;
	p->n_nics = is->n_nics;
	p->by_nics = (struct c4_map){0};
	p->n = 0;
	c4_map_for_each (e, &old) {
		struct c4_elephant *x = e->value, *to = NULL;
		uint32_t src = renamed(was, is, x->src), dst = renamed(was, is, x->dst);

		if (src != C4_NONE && dst != C4_NONE)
			to = pair_at(p, src, dst);
		if (to) {
			*to = *x;
			to->src = src;
			to->dst = dst;
		}
		free(x);
	}
	c4_map_release(&old);
	p->changed |= p->n > 0;
	return 0;
}

void c4_elephants_adopt(struct c4_elephants *p, const struct c4_demand *d, uint64_t now_ns)
{
	for (uint32_t i = 0; i < d->n_conns; i++) {
		const struct c4_conn *c = &d->conns[i];
		struct c4_elephant *x;

		if (strncmp(c->id, C4_ELEPHANT_PREFIX, sizeof C4_ELEPHANT_PREFIX - 1) != 0)
			continue;
		x = pair_at(p, c->src, c->dst);
		if (!x)
			continue;
		x->weight = c->weight;
		x->qps = c->qps < C4_ELEPHANT_QPS_MAX ? c->qps : C4_ELEPHANT_QPS_MAX;
		x->last_ns = x->qps_ns = now_ns;
	}
}

/* ---- a round --------------------------------------------------------------------------------- */

static double least(const struct c4_elephants *p, const struct c4_fabric *f, uint32_t src)
{
	double nic = (double)f->nics[src].gbps;

	if (p->config.least_gbps > 0)
		return p->config.least_gbps;
	return nic > 0 ? nic * LEAST_SHARE : LEAST_GBPS;
}

static void count(struct c4_elephants *p, const struct c4_fabric *f, uint32_t src, uint32_t dst,
		  double gbps, uint32_t connections)
{
	struct c4_elephant *x = gbps > 0 ? pair_at(p, src, dst) : NULL;

	if (!x)
		return;
	if (x->round != p->round) {
		x->gbps = 0;
		x->elephants = 0;
		x->round = p->round;
	}
	x->gbps += gbps;
	if (gbps >= least(p, f, src) * connections)
		x->elephants += connections;
	p->out_gbps[src] += gbps;
}

static void count_all(struct c4_elephants *p, const struct c4_fabric *f,
		      const struct c4_flows *flows, uint64_t now_ns)
{
	struct c4_map_entry *e;

	memset(p->out_gbps, 0, p->n_nics * sizeof *p->out_gbps);
	c4_map_for_each (e, &flows->by_key) {
		const struct c4_flow *x = e->value;
		uint32_t n = c4_flow_connections(x, now_ns);

		count(p, f, x->nic[0], x->nic[1], c4_flow_gbps(x, 0, now_ns), n);
		count(p, f, x->nic[1], x->nic[0], c4_flow_gbps(x, 1, now_ns), n);
	}
}

static double busiest(const struct c4_elephants *p)
{
	double most = 0;

	for (uint32_t i = 0; i < p->n_nics; i++)
		most = p->out_gbps[i] > most ? p->out_gbps[i] : most;
	return most;
}

/* By share, because where paths collide rates say what a flow got, not what it wants. */
static float weight_of(const struct c4_elephants *p, const struct c4_elephant *x, double most)
{
	double out = p->out_gbps[x->src], w = out > 0 ? x->gbps / out : 1;

	if (out < most * MINOR)
		w *= MINOR;
	w = exp2(round(log2(w)));
	return (float)(w < WEIGHT_MIN ? WEIGHT_MIN : w);
}

static void set_qps(struct c4_elephants *p, struct c4_elephant *x, uint64_t now_ns)
{
	uint32_t n = x->elephants ? x->elephants : 1;

	n = n < C4_ELEPHANT_QPS_MAX ? n : C4_ELEPHANT_QPS_MAX;
	if (n <= x->qps)
		x->more_ns = 0;
	else if (!x->more_ns)
		x->more_ns = now_ns;
	if (x->qps && n > x->qps && now_ns < x->more_ns + C4_ELEPHANT_MORE_NS)
		return;
	if (n >= x->qps || now_ns >= x->qps_ns + p->config.keep_ns) {
		p->changed |= n != x->qps;
		x->qps = n;
		x->qps_ns = now_ns;
	}
}

static void set_weight(struct c4_elephants *p, struct c4_elephant *x, float w, uint64_t now_ns)
{
	if (x->weight == w) {
		x->other_ns = 0;
		return;
	}
	if (!x->other_ns)
		x->other_ns = now_ns;
	if (x->weight > 0 && now_ns < x->other_ns + C4_ELEPHANT_STEADY_NS)
		return;
	x->weight = w;
	x->other_ns = 0;
	p->changed = true;
}

/* False: it is of no interest any more. */
static bool judge(struct c4_elephants *p, const struct c4_fabric *f, struct c4_elephant *x,
		  double most, uint64_t now_ns)
{
	bool enough = x->round == p->round && x->gbps >= least(p, f, x->src);

	if (enough) {
		x->last_ns = now_ns;
		x->above_ns = x->above_ns ? x->above_ns : now_ns;
		if (x->qps || now_ns >= x->above_ns + C4_ELEPHANT_PROVEN_NS) {
			set_weight(p, x, weight_of(p, x, most), now_ns);
			set_qps(p, x, now_ns);
		}
		return true;
	}
	x->above_ns = 0;
	x->other_ns = 0;
	if (x->qps)
		return now_ns < x->last_ns + p->config.keep_ns;
	return x->round == p->round;
}

static void forget(struct c4_elephants *p, struct c4_elephant *x)
{
	p->changed |= x->qps != 0;
	c4_map_del(&p->by_nics, key_of(x->src, x->dst));
	free(x);
	p->n--;
}

void c4_elephants_round(struct c4_elephants *p, const struct c4_fabric *f,
			const struct c4_flows *flows, uint64_t now_ns)
{
	struct c4_elephant *gone[256]; /* more go in the next round */
	struct c4_map_entry *e;
	uint32_t n = 0;
	double most;

	if (now_ns < p->next_ns || p->n_nics != f->n_nics)
		return;
	p->next_ns = now_ns + SECOND_NS / 2;
	p->round++;
	count_all(p, f, flows, now_ns);
	most = busiest(p);
	p->planned = 0;
	c4_map_for_each (e, &p->by_nics) {
		struct c4_elephant *x = e->value;

		if (!judge(p, f, x, most, now_ns) && n < 256)
			gone[n++] = x;
		p->planned += x->qps != 0;
	}
	for (uint32_t i = 0; i < n; i++)
		forget(p, gone[i]);
}

/* ---- the list -------------------------------------------------------------------------------- */

static int by_nics(const void *x, const void *y)
{
	const struct c4_flow_conn *a = x, *b = y;

	if (a->src != b->src)
		return a->src < b->src ? -1 : 1;
	return a->dst < b->dst ? -1 : a->dst > b->dst;
}

struct c4_flow_conn *c4_elephants_list(struct c4_elephants *p, uint32_t *ret_n)
{
	struct c4_flow_conn *v = malloc(((size_t)p->n + 1) * sizeof *v);
	struct c4_map_entry *e;
	uint32_t n = 0;

	if (!v)
		return NULL;
	c4_map_for_each (e, &p->by_nics) {
		const struct c4_elephant *x = e->value;

		if (x->qps)
			v[n++] = (struct c4_flow_conn){x->src, x->dst, x->weight, x->qps};
	}
	qsort(v, n, sizeof *v, by_nics);
	p->changed = false;
	*ret_n = n;
	return v;
}
