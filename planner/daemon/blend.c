// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/blend.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOB_SEVERAL UINT32_MAX

void c4_blend_release(struct c4_blend *b)
{
	c4_held_fabric_drop(b->on);
	free(b->v);
	*b = (struct c4_blend){0};
}

void c4_blend_set(struct c4_blend *b, struct c4_held_fabric *on, struct c4_flow_conn *v, uint32_t n)
{
	struct c4_blend next = {.on = c4_held_fabric_hold(on), .v = v, .n = n};

	c4_blend_release(b);
	*b = next;
}

bool c4_blend_is(const struct c4_conn *c)
{
	return !strncmp(c->id, C4_ELEPHANT_PREFIX, sizeof C4_ELEPHANT_PREFIX - 1);
}

int c4_blend_adopt(struct c4_blend *b, struct c4_held_fabric *on, const struct c4_demand *d)
{
	struct c4_flow_conn *v = malloc(((size_t)d->n_conns + 1) * sizeof *v);
	uint32_t n = 0;

	if (!v)
		return -ENOMEM;
	for (uint32_t i = 0; i < d->n_conns; i++) {
		const struct c4_conn *c = &d->conns[i];

		if (c4_blend_is(c))
			v[n++] = (struct c4_flow_conn){c->src, c->dst, c->weight, c->qps};
	}
	c4_blend_set(b, on, v, n);
	return 0;
}

/* ---- adding ---------------------------------------------------------------------------------- */

/* What the told demand says of hosts. */
struct told {
	const struct c4_fabric *f;
	struct c4_map pairs; /* source and destination host */
	uint32_t *job;	     /* per host: index + 1, JOB_SEVERAL, 0 none */
};

static uint64_t hosts_of(const struct c4_fabric *f, uint32_t src, uint32_t dst)
{
	return (uint64_t)f->nics[src].host << 32 | f->nics[dst].host;
}

static void note_job(struct told *t, uint32_t host, uint32_t job)
{
	if (!t->job[host])
		t->job[host] = job + 1;
	else if (t->job[host] != job + 1)
		t->job[host] = JOB_SEVERAL;
}

static int read_told(struct told *t, const struct c4_demand *d)
{
	int rc = 0;

	t->job = calloc((size_t)t->f->n_hosts + 1, sizeof *t->job);
	if (!t->job)
		return -ENOMEM;
	for (uint32_t i = 0; i < d->n_conns && !rc; i++) {
		const struct c4_conn *c = &d->conns[i];

		rc = c4_map_put(&t->pairs, hosts_of(t->f, c->src, c->dst), t);
		note_job(t, t->f->nics[c->src].host, c->job);
		note_job(t, t->f->nics[c->dst].host, c->job);
	}
	return rc;
}

static void told_release(struct told *t)
{
	c4_map_release(&t->pairs);
	free(t->job);
}

/* The name of a NIC as short as it is clear. */
static void put_nic(const struct c4_fabric *f, uint32_t nic, char *to, size_t n)
{
	const struct c4_host *h = &f->hosts[f->nics[nic].host];

	if (h->nics == 1)
		snprintf(to, n, "%s", h->name);
	else
		snprintf(to, n, "%s/%s", h->name, f->nics[nic].name);
}

static int64_t job_of(const struct told *t, const struct c4_flow_conn *x, struct c4_demand *d)
{
	uint32_t src = t->job[t->f->nics[x->src].host], dst = t->job[t->f->nics[x->dst].host];

	if (src && src != JOB_SEVERAL && src == dst)
		return src - 1;
	return c4_demand_job(d, C4_BLEND_JOB);
}

static int add_one(const struct told *t, const struct c4_flow_conn *x, struct c4_demand *d)
{
	char src[2 * C4_NAME_MAX + 2], dst[2 * C4_NAME_MAX + 2], id[sizeof src + sizeof dst + 8];
	struct c4_fault fault;
	int64_t rc;

	if (c4_map_get(&t->pairs, hosts_of(t->f, x->src, x->dst)))
		return 0;
	rc = job_of(t, x, d);
	if (rc < 0)
		return (int)rc;
	put_nic(t->f, x->src, src, sizeof src);
	put_nic(t->f, x->dst, dst, sizeof dst);
	snprintf(id, sizeof id, C4_ELEPHANT_PREFIX "%s>%s", src, dst);
	rc = c4_demand_add(d, id, (uint32_t)rc, x->src, x->dst, (double)x->weight, x->qps, &fault);
	return rc == -ENOMEM ? -ENOMEM : 0; /* too many: what was told comes first */
}

/* The same NIC of the fabric at hand, C4_NONE: there is none. */
static uint32_t renamed(const struct c4_blend *b, const struct c4_fabric *f, uint32_t nic)
{
	const struct c4_fabric *was = &b->on->fabric;
	char name[2 * C4_NAME_MAX + 2];

	if (was == f)
		return nic;
	snprintf(name, sizeof name, "%s/%s", was->hosts[was->nics[nic].host].name,
		 was->nics[nic].name);
	return c4_fabric_nic(f, name);
}

int c4_blend_add(const struct c4_blend *b, const struct c4_fabric *f, struct c4_demand *d)
{
	struct told t = {.f = f};
	int rc = b->n ? read_told(&t, d) : 0;

	for (uint32_t i = 0; i < b->n && !rc; i++) {
		struct c4_flow_conn x = b->v[i];

		x.src = renamed(b, f, x.src);
		x.dst = renamed(b, f, x.dst);
		if (x.src != C4_NONE && x.dst != C4_NONE)
			rc = add_one(&t, &x, d);
	}
	told_release(&t);
	return rc;
}
