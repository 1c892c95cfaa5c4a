/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * links.h - what was reported of links since the fabric file was written: a bounded table.
 *
 * A report stands until another one says that the link has the rate of the file again, or the file
 * itself says something new of it. Names are kept, not indices: a report survives a new fabric
 * file. Parallel links are told apart by their order in the file. Pure, one thread.
 */
#ifndef C4_PLANNER_LINKS_H
#define C4_PLANNER_LINKS_H

#include "planner/model/fabric/fabric.h"

#define C4_LINKS_MAX 4096u /* reports that stand */

struct c4_link_report {
	char a[C4_NAME_MAX + 1], b[C4_NAME_MAX + 1];
	uint32_t parallel; /* which of the links between a and b */
	float now_gbps;
	float file_gbps; /* what the fabric file said of it when it was reported */
	bool sensed;	 /* the planner found it out by itself (routes/suspects.h) */
};

struct c4_links {
	struct c4_link_report *v;
	uint32_t n, cap;
};

void c4_links_release(struct c4_links *l);
int c4_links_copy(struct c4_links *to, const struct c4_links *from); /* 0 or -ENOMEM */

#define C4_PARALLEL_ALL UINT32_MAX

/* Tells a link's new rate to whoever keeps the plan. 0 or a negative errno. */
typedef int (*c4_links_set)(void *arg, uint32_t link, double now_gbps);

/*
 * Gives the link that r names r->now_gbps, or each of those between a and b (C4_PARALLEL_ALL);
 * r->file_gbps is not looked at, file[link] is what the fabric file says. Calls set() for each.
 * 0; -ENOENT no such link, -EINVAL a rate that cannot be, -E2BIG, with the reason in *fault and
 * nothing changed; or what set() returned.
 */
int c4_links_report(struct c4_links *l, const struct c4_fabric *f, const float *file,
		    const struct c4_link_report *r, c4_links_set set, void *arg,
		    struct c4_fault *fault);

/* The same answer, but for -E2BIG and -ENOMEM, without doing anything; present rates are not looked
 * at. */
int c4_links_check(const struct c4_fabric *f, const struct c4_link_report *r,
		   struct c4_fault *fault);

/* Sets what stands on a fabric just read; forgets reports on links that are gone or of which the
 * file now says something else. Returns how many were forgotten. */
uint32_t c4_links_apply(struct c4_links *l, struct c4_fabric *f);

#endif
