// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/links.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/ds/vec.h"

void c4_links_release(struct c4_links *l)
{
	free(l->v);
	*l = (struct c4_links){0};
}

int c4_links_copy(struct c4_links *to, const struct c4_links *from)
{
	*to = (struct c4_links){0};
	if (!from->n)
		return 0;
	to->v = c4_vec_reserve(NULL, &to->cap, from->n, C4_LINKS_MAX, sizeof *to->v);
	if (!to->v)
		return -ENOMEM;
	memcpy(to->v, from->v, from->n * sizeof *to->v);
	to->n = from->n;
	return 0;
}

/* The links a report is about, as c4_fabric_links_between(); 0 in *ret_n: there are none. */
static uint32_t links_named(const struct c4_fabric *f, const struct c4_link_report *r,
			    uint32_t *ret_n)
{
	uint32_t a = c4_fabric_switch(f, r->a), b = c4_fabric_switch(f, r->b), first;

	*ret_n = 0;
	if (a == C4_NONE || b == C4_NONE)
		return 0;
	first = c4_fabric_links_between(f, a, b, ret_n);
	if (r->parallel == C4_PARALLEL_ALL)
		return first;
	first += r->parallel;
	*ret_n = r->parallel < *ret_n;
	return first;
}

/* ---- reports --------------------------------------------------------------------------------- */

static bool same_link(const struct c4_link_report *x, const struct c4_link_report *y)
{
	return x->parallel == y->parallel && ((!strcmp(x->a, y->a) && !strcmp(x->b, y->b)) ||
					      (!strcmp(x->a, y->b) && !strcmp(x->b, y->a)));
}

static struct c4_link_report *find(const struct c4_links *l, const struct c4_link_report *r)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (same_link(&l->v[i], r))
			return &l->v[i];
	return NULL;
}

static void forget(struct c4_links *l, struct c4_link_report *r)
{
	*r = l->v[--l->n];
}

/* What stands of one link; there is room for it. */
static void note(struct c4_links *l, const struct c4_link_report *r)
{
	struct c4_link_report *old = find(l, r);

	if (old && r->now_gbps == r->file_gbps)
		forget(l, old);
	else if (old)
		*old = *r;
	else if (r->now_gbps != r->file_gbps)
		l->v[l->n++] = *r;
}

static int check(const struct c4_fabric *f, const struct c4_link_report *r, uint32_t first,
		 uint32_t n, struct c4_fault *fault)
{
	if (!n)
		return c4_fault_set(fault, -ENOENT, "no link between '%s' and '%s'", r->a, r->b);
	for (uint32_t i = first; i < first + n; i++) {
		float most = f->links[f->link_of[i]].gbps;

		if (!(r->now_gbps >= 0 && r->now_gbps <= most)) /* NaN too */
			return c4_fault_set(fault, -EINVAL,
					    "now_gbps is %g, expected 0 (dead) to %g (nominal)",
					    (double)r->now_gbps, (double)most);
	}
	return 0;
}

int c4_links_check(const struct c4_fabric *f, const struct c4_link_report *r,
		   struct c4_fault *fault)
{
	uint32_t n, first = links_named(f, r, &n);

	return check(f, r, first, n, fault);
}

int c4_links_report(struct c4_links *l, const struct c4_fabric *f, const float *file,
		    const struct c4_link_report *r, c4_links_set set, void *arg,
		    struct c4_fault *fault)
{
	struct c4_link_report one = *r, *grown;
	uint32_t n, first = links_named(f, r, &n);
	int rc = check(f, r, first, n, fault);

	if (rc)
		return rc;
	grown = c4_vec_reserve(l->v, &l->cap, l->n + n, C4_LINKS_MAX, sizeof *grown);
	if (!grown)
		return c4_fault_set(fault, -E2BIG, "more than %u links differ from the fabric file",
				    C4_LINKS_MAX);
	l->v = grown;
	for (uint32_t i = 0; i < n && !rc; i++) {
		uint32_t link = f->link_of[first + i];

		one.parallel = r->parallel == C4_PARALLEL_ALL ? i : r->parallel;
		one.file_gbps = file[link];
		note(l, &one);
		rc = set(arg, link, (double)r->now_gbps);
	}
	return rc ? c4_fault_set(fault, rc, "out of memory") : 0;
}

uint32_t c4_links_apply(struct c4_links *l, struct c4_fabric *f)
{
	uint32_t forgotten = 0;

	for (uint32_t i = l->n; i-- > 0;) {
		struct c4_link_report *r = &l->v[i];
		uint32_t n, first = links_named(f, r, &n);
		struct c4_link *link = n ? &f->links[f->link_of[first]] : NULL;

		if (link && link->now_gbps == r->file_gbps && r->now_gbps <= link->gbps) {
			link->now_gbps = r->now_gbps;
		} else {
			forget(l, r);
			forgotten++;
		}
	}
	return forgotten;
}
