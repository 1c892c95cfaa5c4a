// SPDX-License-Identifier: BSD-3-Clause
/*
 * What people and programs hand to the planner besides a fabric: demands, plans to start from, host
 * files, the collector's answers. The first byte says which.
 */
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "planner/io/demand_json.h"
#include "planner/io/demand_live.h"
#include "planner/io/hostfile.h"
#include "planner/io/plan_read.h"
#include "planner/io/ratings.h"
#include "planner/model/fabric/clos.h"

/* Two pods of two leaves, two hosts a leaf: every kind of route, and few enough hosts that a
 * short all-to-all stays small. */
static struct c4_fabric *fabric(void)
{
	static const struct c4_clos shape = {.leaves = 4,
					     .spines = 2,
					     .hosts_per_leaf = 2,
					     .rails = 1,
					     .planes = 1,
					     .pods = 2,
					     .gbps = 400};
	static struct c4_fabric f;
	struct c4_fault fault;

	if (!f.n_switches) {
		c4_fabric_init(&f);
		if (c4_clos_make(&f, &shape, &fault))
			abort();
	}
	return &f;
}

static void read_demand(const char *text, size_t n, struct c4_buf *errors)
{
	struct c4_demand d;
	uint32_t qps = 0;

	if (c4_demand_json_read(&d, fabric(), "fuzz", text, n, errors)) {
		if (!errors->len)
			abort(); /* refused without a reason */
		return;
	}
	for (uint32_t i = 0; i < d.n_conns; i++) {
		if (d.conns[i].first != qps || d.conns[i].src >= fabric()->n_nics ||
		    d.conns[i].dst >= fabric()->n_nics || d.conns[i].job >= d.n_jobs)
			abort();
		qps += d.conns[i].qps;
	}
	if (qps != d.n_qps)
		abort();
	c4_demand_release(&d);
}

static void read_plan(const char *text, size_t n, struct c4_buf *errors)
{
	struct c4_demand d;
	struct c4_fault fault;
	struct c4_plan p;
	uint64_t unknown;

	c4_demand_init(&d);
	c4_demand_job(&d, "j");
	c4_demand_add(&d, "a", 0, 0, 7, 1, 2, &fault);
	c4_demand_add(&d, "b", 0, 0, 2, 1, 1, &fault);
	if (!c4_plan_read_onto(fabric(), &d, "fuzz", text, n, &p, &unknown, errors)) {
		double load[2 * 64];

		if (fabric()->n_links > 64)
			abort();
		c4_plan_measure(fabric(), &d, &p, load);
		c4_plan_release(&p);
	}
	c4_demand_release(&d);
}

static void read_hosts(const char *text, size_t n, struct c4_buf *errors)
{
	struct c4_roster list = {0};

	if (!c4_roster_parse_file(&list, "fuzz", text, n, errors)) {
		c4_roster_find(&list, fabric());
		if (c4_order_sort(fabric(), list.hosts, list.n))
			abort();
	}
	c4_roster_release(&list);
}

/* The same as incidents and matrices of their jobs. */
static void rate(const json_t *all, struct c4_buf *notes)
{
	const char *jobs[C4_RATINGS_JOBS];
	struct c4_ratings r = {0};
	int n = c4_ratings_jobs(all, jobs);

	for (int i = 0; i < n; i++)
		(void)c4_ratings_add(&r, fabric(),
				     &(struct c4_ratings_source){jobs[i], all, all, all}, notes);
	c4_ratings_close(&r);
	for (uint32_t i = 0; i < r.n; i++)
		if (r.v[i].src >= fabric()->n_hosts || r.v[i].dst >= fabric()->n_hosts)
			abort();
	c4_ratings_release(&r);
}

static void read_live(const char *text, size_t n, struct c4_buf *notes)
{
	json_t *both = json_loadb(text, n, JSON_DISABLE_EOF_CHECK, NULL);
	struct c4_live_counts counts;
	struct c4_demand d;

	if (both && !c4_demand_live(&d, fabric(), both, both, &counts, notes))
		c4_demand_release(&d);
	rate(both, notes);
	json_decref(both);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const readers[])(const char *text, size_t n, struct c4_buf *errors) = {
		read_demand, read_plan, read_hosts, read_live};
	struct c4_buf errors = {0};

	if (size)
		readers[data[0] % 4]((const char *)data + 1, size - 1, &errors);
	c4_buf_release(&errors);
	return 0;
}
