// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/state.h"

#include <endian.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"

#define MAGIC "C4PLANST"

/* All integers little endian. */
struct header {
	char magic[8];
	uint64_t format;
	uint64_t checksum; /* of everything behind it */
	uint64_t digest;   /* of the fabric */
	uint64_t version;  /* of the plan */
	uint64_t payload;  /* bytes behind the header */
	uint32_t n_jobs, n_conns, n_qps, n_links;
	double lower_bound, util_bound;
};

#define CHECKED_FROM offsetof(struct header, digest)

uint64_t c4_state_checksum(const void *from, size_t n)
{
	const char *data = from;
	uint64_t h = n, word = 0;

	for (; n >= sizeof word; data += sizeof word, n -= sizeof word) {
		memcpy(&word, data, sizeof word);
		h = c4_mix64(h ^ word);
	}
	return c4_hash_bytes(h, data, n);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void put_u16(struct c4_buf *out, uint16_t v)
{
	v = htole16(v);
	c4_buf_add(out, &v, sizeof v);
}

static void put_u32(struct c4_buf *out, uint32_t v)
{
	v = htole32(v);
	c4_buf_add(out, &v, sizeof v);
}

static void put_u64(struct c4_buf *out, uint64_t v)
{
	v = htole64(v);
	c4_buf_add(out, &v, sizeof v);
}

static void put_f32(struct c4_buf *out, float v)
{
	uint32_t bits;

	memcpy(&bits, &v, sizeof bits);
	put_u32(out, bits);
}

static void put_f64(struct c4_buf *out, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof bits);
	put_u64(out, bits);
}

static void put_text(struct c4_buf *out, const char *text)
{
	size_t n = strlen(text);

	if (n > UINT16_MAX) {
		out->failed = true;
		return;
	}
	put_u16(out, (uint16_t)n);
	c4_buf_add(out, text, n);
}

static void put_conns(const struct c4_demand *d, struct c4_buf *out)
{
	for (uint32_t i = 0; i < d->n_jobs; i++) {
		put_text(out, d->jobs[i].name);
		put_f64(out, d->jobs[i].intensity);
	}
	for (uint32_t i = 0; i < d->n_conns; i++) {
		const struct c4_conn *c = &d->conns[i];

		put_text(out, c->id);
		put_u32(out, c->job);
		put_u32(out, c->src);
		put_u32(out, c->dst);
		put_u32(out, c->qps);
		put_f32(out, c->weight);
	}
}

static void put_routes(const struct c4_edition *e, struct c4_buf *out)
{
	for (uint32_t i = 0; i < e->plan.n_routes; i++) {
		const struct c4_route *r = &e->plan.routes[i];
		const uint8_t small[4] = {r->state, r->parallel_up, r->parallel_down,
					  r->parallel_core};

		put_u16(out, r->up);
		put_u16(out, r->core);
		put_u16(out, r->down);
		put_u16(out, r->sport);
		c4_buf_add(out, small, sizeof small);
		put_f32(out, r->share);
		put_u64(out, e->changed[i]);
	}
}

static void put_links(const struct c4_links *l, struct c4_buf *out)
{
	for (uint32_t i = 0; i < l->n; i++) {
		put_text(out, l->v[i].a);
		put_text(out, l->v[i].b);
		put_u32(out, l->v[i].parallel);
		put_u32(out, l->v[i].sensed);
		put_f32(out, l->v[i].now_gbps);
		put_f32(out, l->v[i].file_gbps);
	}
}

static void put_header(const struct c4_edition *e, uint64_t payload, struct c4_buf *out)
{
	const struct c4_demand *d = e->demand ? &e->demand->demand : NULL;

	c4_buf_add(out, MAGIC, sizeof MAGIC - 1);
	put_u64(out, C4_STATE_FORMAT);
	put_u64(out, 0); /* the checksum comes last */
	put_u64(out, e->fabric ? e->fabric->digest : 0);
	put_u64(out, e->version);
	put_u64(out, payload);
	put_u32(out, d ? d->n_jobs : 0);
	put_u32(out, d ? d->n_conns : 0);
	put_u32(out, e->plan.n_routes);
	put_u32(out, e->links.n);
	put_f64(out, e->plan.lower_bound);
	put_f64(out, e->plan.util_bound);
}

void c4_state_encode(const struct c4_edition *e, struct c4_buf *out)
{
	struct c4_buf payload = {0};
	uint64_t sum;

	if (e->demand)
		put_conns(&e->demand->demand, &payload);
	put_routes(e, &payload);
	put_links(&e->links, &payload);
	put_header(e, payload.len, out);
	c4_buf_add(out, payload.data, payload.len);
	out->failed |= payload.failed;
	c4_buf_release(&payload);
	if (out->failed)
		return;
	sum = htole64(c4_state_checksum(out->data + CHECKED_FROM, out->len - CHECKED_FROM));
	memcpy(out->data + offsetof(struct header, checksum), &sum, sizeof sum);
}

/* ---- reading --------------------------------------------------------------------------------- */

struct reader {
	const char *at, *end;
	bool failed; /* it ended too early; what was read since is 0 */
};

static void get(struct reader *r, void *to, size_t n)
{
	if (r->failed || (size_t)(r->end - r->at) < n) {
		r->failed = true;
		memset(to, 0, n);
		return;
	}
	memcpy(to, r->at, n);
	r->at += n;
}

static uint16_t get_u16(struct reader *r)
{
	uint16_t v;

	get(r, &v, sizeof v);
	return le16toh(v);
}

static uint32_t get_u32(struct reader *r)
{
	uint32_t v;

	get(r, &v, sizeof v);
	return le32toh(v);
}

static uint64_t get_u64(struct reader *r)
{
	uint64_t v;

	get(r, &v, sizeof v);
	return le64toh(v);
}

static float get_f32(struct reader *r)
{
	uint32_t bits = get_u32(r);
	float v;

	memcpy(&v, &bits, sizeof v);
	return v;
}

static double get_f64(struct reader *r)
{
	uint64_t bits = get_u64(r);
	double v;

	memcpy(&v, &bits, sizeof v);
	return v;
}

/* Into to[size]; a text that does not fit fails. */
static const char *get_text(struct reader *r, char *to, size_t size)
{
	size_t n = get_u16(r);

	if (n >= size) {
		r->failed = true;
		n = 0;
	}
	get(r, to, n);
	to[n] = '\0';
	return to;
}

/* ---- checks ---------------------------------------------------------------------------------- */

static int corrupt(struct c4_fault *fault, const char *what)
{
	return c4_fault_set(fault, -EBADMSG, "corrupt: %s", what);
}

static int read_jobs(struct reader *r, uint32_t n, struct c4_demand *d, struct c4_fault *fault)
{
	char name[UINT16_MAX + 1];

	for (uint32_t i = 0; i < n; i++) {
		int64_t job = c4_demand_job(d, get_text(r, name, sizeof name));
		double intensity = get_f64(r);

		if (job == -ENOMEM)
			return c4_fault_set(fault, -ENOMEM, "out of memory");
		if (r->failed || job != i || !(intensity > 0) || isinf(intensity))
			return corrupt(fault, "jobs");
		d->jobs[i].intensity = intensity;
	}
	return 0;
}

static int read_conns(struct reader *r, uint32_t n, const struct c4_fabric *f, struct c4_demand *d,
		      struct c4_fault *fault)
{
	char id[UINT16_MAX + 1];

	for (uint32_t i = 0; i < n; i++) {
		struct c4_conn c = {.id = get_text(r, id, sizeof id)};
		int64_t rc;

		c.job = get_u32(r);
		c.src = get_u32(r);
		c.dst = get_u32(r);
		c.qps = get_u32(r);
		c.weight = get_f32(r);
		if (r->failed || c.src >= f->n_nics || c.dst >= f->n_nics)
			return corrupt(fault, "connections");
		rc = c4_demand_add(d, c.id, c.job, c.src, c.dst, (double)c.weight, c.qps, fault);
		if (rc == -ENOMEM)
			return -ENOMEM;
		if (rc < 0)
			return corrupt(fault, "a connection that cannot be");
	}
	return 0;
}

static struct c4_route read_route(struct reader *r)
{
	struct c4_route route;
	uint8_t small[4];

	route.up = get_u16(r);
	route.core = get_u16(r);
	route.down = get_u16(r);
	route.sport = get_u16(r);
	get(r, small, sizeof small);
	route.state = small[0];
	route.parallel_up = small[1];
	route.parallel_down = small[2];
	route.parallel_core = small[3];
	route.share = get_f32(r);
	return route;
}

static bool route_ok(const struct c4_fabric *f, const struct c4_conn *c, const struct c4_route *r)
{
	return r->share > 0 && r->share <= 1 && c4_route_fits(f, c, r);
}

static int read_routes(struct reader *r, const struct c4_fabric *f, struct c4_state *s,
		       struct c4_fault *fault)
{
	if (c4_plan_init(&s->plan, &s->demand))
		return c4_fault_set(fault, -ENOMEM, "out of memory");
	s->changed = calloc((size_t)s->demand.n_qps + 1, sizeof *s->changed);
	if (!s->changed)
		return c4_fault_set(fault, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < s->demand.n_conns; i++) {
		const struct c4_conn *c = &s->demand.conns[i];

		for (uint32_t q = c->first; q < c->first + c->qps; q++) {
			s->plan.routes[q] = read_route(r);
			s->changed[q] = get_u64(r);
			if (r->failed || !route_ok(f, c, &s->plan.routes[q]) ||
			    s->changed[q] > s->version)
				return corrupt(fault, "a route that cannot be");
		}
	}
	return 0;
}

static int read_links(struct reader *r, uint32_t n, struct c4_links *l, struct c4_fault *fault)
{
	if (n > C4_LINKS_MAX)
		return corrupt(fault, "links");
	l->v = calloc((size_t)n + 1, sizeof *l->v);
	if (!l->v)
		return c4_fault_set(fault, -ENOMEM, "out of memory");
	l->cap = n + 1;
	for (; l->n < n; l->n++) {
		struct c4_link_report *one = &l->v[l->n];

		get_text(r, one->a, sizeof one->a);
		get_text(r, one->b, sizeof one->b);
		one->parallel = get_u32(r);
		one->sensed = get_u32(r) != 0;
		one->now_gbps = get_f32(r);
		one->file_gbps = get_f32(r);
		if (r->failed || !(one->now_gbps >= 0) || !(one->file_gbps >= 0))
			return corrupt(fault, "links");
	}
	return 0;
}

static int check_header(const struct header *h, const char *data, size_t n, struct c4_fault *fault)
{
	if (memcmp(h->magic, MAGIC, sizeof h->magic) != 0)
		return corrupt(fault, "not a plan's state");
	if (le64toh(h->format) != C4_STATE_FORMAT)
		return c4_fault_set(fault, -EPROTO, "format %llu, expected %u",
				    (unsigned long long)le64toh(h->format), C4_STATE_FORMAT);
	if (le64toh(h->payload) != n - sizeof *h)
		return corrupt(fault, "truncated, or something follows");
	if (le64toh(h->checksum) != c4_state_checksum(data + CHECKED_FROM, n - CHECKED_FROM))
		return corrupt(fault, "checksum");
	if (le64toh(h->version) > C4_VERSION_MAX)
		return corrupt(fault, "version");
	return 0;
}

static int read_payload(struct reader *r, const struct header *h, const struct c4_fabric *f,
			struct c4_state *s, struct c4_fault *fault)
{
	int rc = read_jobs(r, le32toh(h->n_jobs), &s->demand, fault);

	if (!rc)
		rc = read_conns(r, le32toh(h->n_conns), f, &s->demand, fault);
	if (!rc && s->demand.n_qps != le32toh(h->n_qps))
		rc = corrupt(fault, "number of routes");
	if (!rc)
		rc = read_routes(r, f, s, fault);
	if (!rc)
		rc = read_links(r, le32toh(h->n_links), &s->links, fault);
	if (!rc && r->at != r->end)
		rc = corrupt(fault, "too long");
	return rc;
}

static double bound_of(uint64_t bits_le)
{
	uint64_t bits = le64toh(bits_le);
	double v;

	memcpy(&v, &bits, sizeof v);
	return v >= 0 && !isinf(v) ? v : 0;
}

int c4_state_decode(const void *data, size_t n, const struct c4_held_fabric *fabric,
		    struct c4_state *ret, struct c4_fault *fault)
{
	struct reader r = {.at = (const char *)data + sizeof(struct header),
			   .end = (const char *)data + n};
	struct c4_state s = {0};
	struct header h;
	uint64_t bits[2];
	int rc;

	*ret = s;
	if (n < sizeof h)
		return corrupt(fault, "truncated");
	memcpy(&h, data, sizeof h);
	rc = check_header(&h, data, n, fault);
	if (rc)
		return rc;
	s.version = ret->version = le64toh(h.version);
	if (le64toh(h.digest) != fabric->digest)
		return c4_fault_set(fault, -ESTALE, "made for another fabric");
	rc = read_payload(&r, &h, &fabric->fabric, &s, fault);
	if (rc) {
		c4_state_release(&s);
		return rc;
	}
	memcpy(bits, &h.lower_bound, sizeof bits);
	s.plan.lower_bound = bound_of(bits[0]);
	s.plan.util_bound = bound_of(bits[1]);
	*ret = s;
	return 0;
}

void c4_state_release(struct c4_state *s)
{
	c4_demand_release(&s->demand);
	c4_plan_release(&s->plan);
	c4_links_release(&s->links);
	free(s->changed);
	s->changed = NULL;
}
