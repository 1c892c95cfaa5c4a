// SPDX-License-Identifier: BSD-3-Clause
#include "planner/cli/compare.h"

#include <errno.h>
#include <stdlib.h>

#include "planner/cli/churn.h"
#include "planner/cli/failure.h"

/* ---- trials ------------------------------------------------------------------------------ */

static int one_seed(const struct c4_comparison *c, uint64_t seed, struct c4_summing *sums,
		    struct c4_fault *fault)
{
	struct c4_world w;
	int rc = c->make(c->arg, &w, seed, fault);

	if (rc)
		return rc;
	for (uint32_t m = 0; rc == 0 && m < c->n_methods; m++) {
		struct c4_outcome o;

		rc = c4_trial_run(&w, &c->methods[m], seed, c->given, &o, fault);
		if (rc)
			break;
		rc = c4_summing_add(&sums[m], &o, w.d.n_conns);
		free(o.rates);
	}
	c4_world_release(&w);
	return rc;
}

int c4_compare(const struct c4_comparison *c, struct c4_rows *ret, struct c4_fault *fault)
{
	struct c4_summing sums[C4_ROWS_MAX] = {0};
	int rc = 0;

	*fault = (struct c4_fault){.what = "out of memory"};
	for (uint64_t seed = 1; rc == 0 && seed <= c->seeds; seed++)
		rc = one_seed(c, seed, sums, fault);
	for (uint32_t m = 0; m < c->n_methods; m++)
		ret->row[m] = c4_summing_end(&sums[m], c->methods[m].name, c->job_gbps);
	ret->n = c->n_methods;
	return rc;
}

#define ECMP(k)                                                                                    \
	{                                                                                          \
		"ECMP", C4_ROUTING_ECMP, (k), C4_KNOWS_HASH                                        \
	}
#define EXACT(k)                                                                                   \
	{                                                                                          \
		"exact", C4_ROUTING_EXACT, (k), C4_KNOWS_HASH                                      \
	}
#define BASELINES                                                                                  \
	ECMP(1), ECMP(4), ECMP(8), ECMP(16), {"greedy", C4_ROUTING_GREEDY, 1, C4_KNOWS_HASH},      \
		{"greedy, k matched", C4_ROUTING_GREEDY, 0, C4_KNOWS_HASH},                        \
	{                                                                                          \
		"two choices", C4_ROUTING_TWO_CHOICES, 1, C4_KNOWS_HASH                            \
	}

static const struct c4_method usual[] = {
	BASELINES, EXACT(1), {"exact, k matched", C4_ROUTING_EXACT, 0, C4_KNOWS_HASH}};

static const struct c4_method fault_rows[] = {
	BASELINES,
	EXACT(1),
	EXACT(4),
	EXACT(7),
	EXACT(8),
	{"exact, k matched", C4_ROUTING_EXACT, 0, C4_KNOWS_HASH},
	{"exact, weighted", C4_ROUTING_WEIGHTED, 8, C4_KNOWS_HASH},
};

static const struct c4_method oracle_rows[] = {
	ECMP(1),
	{"exact, hash known", C4_ROUTING_EXACT, 1, C4_KNOWS_HASH},
	{"exact, wrong seeds", C4_ROUTING_EXACT, 1, C4_KNOWS_WRONG},
	{"exact, probe table", C4_ROUTING_EXACT, 1, C4_KNOWS_TABLE},
	{"exact, learned hash", C4_ROUTING_EXACT, 1, C4_KNOWS_LINEAR},
};

#define COUNT(a) ((uint32_t)(sizeof(a) / sizeof *(a)))

static int make_scene(void *arg, struct c4_world *w, uint64_t seed, struct c4_fault *fault)
{
	return c4_world_make(w, arg, seed, fault);
}

int c4_compare_scene(const struct c4_scene *s, struct c4_rows *ret, struct c4_fault *fault)
{
	struct c4_comparison c = {.methods = usual,
				  .n_methods = COUNT(usual),
				  .seeds = s->seeds,
				  .job_gbps = s->job_gbps,
				  .make = make_scene,
				  .arg = (void *)(uintptr_t)s};

	if (s->rows == C4_ROWS_CHURN)
		return c4_churn_run(s->seeds, ret, fault);
	if (s->rows == C4_ROWS_FAILURE)
		return c4_failure_run(s, s->seeds, ret, fault);
	if (s->rows == C4_ROWS_FAULT) {
		c.methods = fault_rows;
		c.n_methods = COUNT(fault_rows);
	} else if (s->rows == C4_ROWS_ORACLES) {
		c.methods = oracle_rows;
		c.n_methods = COUNT(oracle_rows);
	}
	return c4_compare(&c, ret, fault);
}
