// SPDX-License-Identifier: BSD-3-Clause
/* Connections that agents see, and the demand that follows from them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "planner/daemon/blend.h"
#include "planner/daemon/routes/flows.h"
#include "planner/daemon/routes/elephants.h"
#include "planner/model/fabric/clos.h"

#define S	 1000000000ull
#define KEEP_NS	 (60 * S)
#define ADDRESS0 0x0A000001u

/* 8 hosts under 2 leaves, one NIC each, of 100 Gb/s. */
struct scene {
	struct c4_fabric f;
	struct c4_flows flows;
	struct c4_elephants pairs;
	uint64_t now_ns;
};

static int setup(void **state)
{
	static const struct c4_clos shape = {.leaves = 2,
					     .spines = 2,
					     .hosts_per_leaf = 4,
					     .rails = 1,
					     .planes = 1,
					     .gbps = 100};
	struct scene *s = calloc(1, sizeof *s);

	c4_fabric_init(&s->f);
	assert_int_equal(c4_clos_make(&s->f, &shape, NULL), 0);
	for (uint32_t i = 0; i < s->f.n_nics; i++) {
		s->f.nics[i].ipv4 = ADDRESS0 + i;
		s->f.nics[i].gbps = 100;
	}
	s->pairs.config.keep_ns = KEEP_NS;
	assert_int_equal(c4_elephants_follow(&s->pairs, NULL, &s->f), 0);
	s->now_ns = 1000 * S;
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	c4_flows_release(&s->flows);
	c4_elephants_release(&s->pairs);
	c4_fabric_release(&s->f);
	free(s);
	return 0;
}

/* What host `at` says of its connection sport → dport with host `to`. */
static struct c4_flow *hear(struct scene *s, uint32_t at, uint16_t sport, uint32_t to,
			    uint16_t dport, double sent, double got)
{
	uint8_t from;
	struct c4_flow_key k = c4_flow_key_of(ADDRESS0 + at, sport, ADDRESS0 + to, dport, 6, &from);
	bool fresh;
	struct c4_flow *f = c4_flows_at(&s->flows, &k, &fresh);

	assert_non_null(f);
	f->nic[from] = at;
	f->nic[!from] = to;
	f->end[from] =
		(struct c4_flow_end){.seen_ns = s->now_ns, .sent_gbps = sent, .got_gbps = got};
	return f;
}

/* Host 0 sends to host 5 over n connections, both ends tell. */
static void talk(struct scene *s, uint32_t n, double gbps)
{
	for (uint16_t i = 0; i < n; i++) {
		hear(s, 0, (uint16_t)(40000 + i), 5, 5000, gbps, 0);
		hear(s, 5, 5000, 0, (uint16_t)(40000 + i), 0, gbps * 0.98);
	}
}

static void wait(struct scene *s, uint64_t ns)
{
	s->now_ns += ns;
	c4_flows_expire(&s->flows, s->now_ns);
	c4_elephants_round(&s->pairs, &s->f, &s->flows, s->now_ns);
}

static void talk_for(struct scene *s, uint32_t seconds, uint32_t n, double gbps)
{
	while (seconds--) {
		talk(s, n, gbps);
		wait(s, S);
	}
}

static uint32_t planned(struct scene *s, struct c4_flow_conn *first)
{
	uint32_t n = 0;
	struct c4_flow_conn *v = c4_elephants_list(&s->pairs, &n);

	assert_non_null(v);
	if (n && first)
		*first = v[0];
	free(v);
	return n;
}

/* ---- connections -----------------------------------------------------------------------------
 */

static void test_both_ends_are_one(void **state)
{
	struct scene *s = *state;
	struct c4_flow *f = hear(s, 0, 40000, 5, 5000, 10, 0);

	assert_ptr_equal(hear(s, 5, 5000, 0, 40000, 0, 12), f);
	assert_int_equal(s->flows.n, 1);
	assert_true(c4_flow_gbps(f, 0, s->now_ns) == 12); /* the larger word */
	assert_true(c4_flow_gbps(f, 1, s->now_ns) == 0);
	assert_ptr_not_equal(hear(s, 0, 40001, 5, 5000, 1, 0), f);
}

static void test_old_words_count_no_more(void **state)
{
	struct scene *s = *state;
	struct c4_flow *f = hear(s, 0, 40000, 5, 5000, 10, 0);

	assert_true(c4_flow_gbps(f, 0, s->now_ns + C4_FLOW_FRESH_NS - 1) == 10);
	assert_true(c4_flow_gbps(f, 0, s->now_ns + C4_FLOW_FRESH_NS) == 0);
	c4_flows_expire(&s->flows, s->now_ns + C4_FLOW_SILENT_NS - 1);
	assert_int_equal(s->flows.n, 1);
	c4_flows_expire(&s->flows, s->now_ns + C4_FLOW_SILENT_NS);
	assert_int_equal(s->flows.n, 0);
}

static void test_more_than_fit(void **state)
{
	struct scene *s = *state;
	struct c4_flow_key k = {.ip = {1, 2}, .proto = 6};
	bool fresh;

	for (uint32_t i = 0; i < C4_FLOWS_MAX; i++) {
		k.ip[1] = 2 + i;
		assert_non_null(c4_flows_at(&s->flows, &k, &fresh));
	}
	k.ip[0] = 0;
	assert_null(c4_flows_at(&s->flows, &k, &fresh));
	k.ip[0] = 1;
	assert_non_null(c4_flows_at(&s->flows, &k, &fresh)); /* those that are there stay */
	assert_false(fresh);
}

/* ---- pairs ----------------------------------------------------------------------------------- */

static void test_elephants_are_planned(void **state)
{
	struct scene *s = *state;
	struct c4_flow_conn c;

	talk_for(s, 2, 3, 10);
	assert_int_equal(planned(s, NULL), 0); /* not proven yet */
	talk_for(s, 1, 3, 10);
	assert_int_equal(planned(s, &c), 1);
	assert_int_equal(c.src, 0);
	assert_int_equal(c.dst, 5);
	assert_int_equal(c.qps, 3);
	assert_true(c.weight == 1);
}

static void test_mice_are_not(void **state)
{
	struct scene *s = *state;

	talk_for(s, 5, 1, 0.9); /* below 1 % of 100 Gb/s */
	assert_int_equal(planned(s, NULL), 0);
	talk_for(s, 3, 1, 1.1);
	assert_int_equal(planned(s, NULL), 1);
}

static void test_unknown_nic_counts_a_megabit(void **state)
{
	struct scene *s = *state;

	s->f.nics[0].gbps = 0;
	talk_for(s, 5, 1, 0.0009);
	assert_int_equal(planned(s, NULL), 0);
	talk_for(s, 3, 1, 0.0011);
	assert_int_equal(planned(s, NULL), 1);
}

static void test_a_burst_is_not_enough(void **state)
{
	struct scene *s = *state;

	for (int i = 0; i < 4; i++) {
		talk_for(s, 2, 1, 50);
		talk_for(s, 1, 1, 0);
	}
	assert_int_equal(planned(s, NULL), 0);
}

static void test_kept_after_the_last_traffic(void **state)
{
	struct scene *s = *state;

	talk_for(s, 4, 1, 50);
	wait(s, KEEP_NS - 2 * S);
	assert_int_equal(planned(s, NULL), 1);
	wait(s, 4 * S);
	assert_int_equal(planned(s, NULL), 0);
	assert_int_equal(s->pairs.n, 0);
}

static void test_qps_grow_when_they_stay_and_shrink_late(void **state)
{
	struct scene *s = *state;
	struct c4_flow_conn c;

	talk_for(s, 4, 2, 10);
	talk_for(s, 3, 4, 10); /* a run ends and another begins: they overlap in the reports */
	talk_for(s, 1, 2, 10);
	planned(s, &c);
	assert_int_equal(c.qps, 2);
	talk_for(s, 7, 4, 10);
	planned(s, &c);
	assert_int_equal(c.qps, 4);
	talk_for(s, 10, 1, 10);
	planned(s, &c);
	assert_int_equal(c.qps, 4);
	talk_for(s, KEEP_NS / S + 5, 1, 10);
	planned(s, &c);
	assert_int_equal(c.qps, 1);
	talk_for(s, 7, 100, 1.5);
	planned(s, &c);
	assert_int_equal(c.qps, C4_ELEPHANT_QPS_MAX);
}

/* Queue pairs of one port: one flow, and each end sees its own. */
static void test_connections_of_one_flow(void **state)
{
	struct scene *s = *state;
	struct c4_flow_conn c;
	struct c4_flow *f = NULL;

	for (int i = 0; i < 4; i++, wait(s, S)) {
		f = hear(s, 0, 50000, 5, 4791, 3.9, 0);
		f->end[0].connections = 4; /* 1 Gb/s each would be enough */
	}
	assert_int_equal(planned(s, &c), 1);
	assert_int_equal(c.qps, 1);
	for (int i = 0; i < 10; i++, wait(s, S)) {
		f = hear(s, 0, 50000, 5, 4791, 4.1, 0);
		f->end[0].connections = 4;
	}
	assert_int_equal(planned(s, &c), 1);
	assert_int_equal(c.qps, 4);
	assert_int_equal(c4_flow_connections(f, s->now_ns), 4);
	assert_int_equal(c4_flow_connections(f, s->now_ns + C4_FLOW_FRESH_NS), 1);
}

static void test_weight_is_the_share_of_the_source(void **state)
{
	struct scene *s = *state;
	struct c4_flow_conn c;

	for (int i = 0; i < 4; i++) {
		hear(s, 0, 1, 6, 2, 30, 0);
		hear(s, 0, 1, 7, 2, 40, 0);
		talk_for(s, 1, 1, 27);
	}
	assert_int_equal(planned(s, &c), 3);
	assert_true(c.weight == 0.25f); /* 27 of 97, to a power of two */
	s->pairs.changed = false;
	talk_for(s, 5, 1, 27); /* alone now: but not for long enough */
	assert_false(s->pairs.changed);
	talk_for(s, 12, 1, 27);
	planned(s, &c);
	assert_true(c.weight == 1);
}

static void test_nothing_new_changes_nothing(void **state)
{
	struct scene *s = *state;

	talk_for(s, 4, 2, 10);
	assert_true(s->pairs.changed);
	planned(s, NULL);
	talk_for(s, 30, 2, 11);
	assert_false(s->pairs.changed);
}

/* ---- beside what was told -------------------------------------------------------------------- */

struct told {
	struct c4_held_fabric *on;
	struct c4_demand d;
	struct c4_blend b;
};

static void blend(struct scene *s, struct told *t, uint32_t src, uint32_t dst)
{
	struct c4_flow_conn *v = malloc(sizeof *v);

	*v = (struct c4_flow_conn){src, dst, 0.5f, 2};
	if (!t->on)
		t->on = c4_held_fabric_new(&s->f);
	c4_blend_set(&t->b, t->on, v, 1);
	assert_int_equal(c4_blend_add(&t->b, &t->on->fabric, &t->d), 0);
}

static void told_release(struct told *t)
{
	c4_blend_release(&t->b);
	c4_demand_release(&t->d);
	c4_held_fabric_drop(t->on);
}

static void test_told_wins(void **state)
{
	struct told t = {0};

	c4_demand_init(&t.d);
	c4_demand_job(&t.d, "train");
	assert_true(c4_demand_add(&t.d, "c0", 0, 0, 5, 1, 1, NULL) >= 0);
	blend(*state, &t, 0, 5);
	assert_int_equal(t.d.n_conns, 1);
	blend(*state, &t, 5, 0); /* the way back is another thing */
	assert_int_equal(t.d.n_conns, 2);
	assert_string_equal(t.d.conns[1].id, "flow:h5>h0");
	assert_true(c4_blend_is(&t.d.conns[1]) && !c4_blend_is(&t.d.conns[0]));
	assert_int_equal(t.d.conns[1].job, 0); /* both hosts are of that job */
	told_release(&t);
}

static void test_hosts_of_several_jobs(void **state)
{
	struct told t = {0};

	c4_demand_init(&t.d);
	c4_demand_job(&t.d, "train");
	c4_demand_job(&t.d, "other");
	assert_true(c4_demand_add(&t.d, "c0", 0, 0, 5, 1, 1, NULL) >= 0);
	assert_true(c4_demand_add(&t.d, "c1", 1, 0, 6, 1, 1, NULL) >= 0);
	blend(*state, &t, 5, 0);
	assert_string_equal(t.d.jobs[t.d.conns[2].job].name, C4_BLEND_JOB);
	blend(*state, &t, 2, 3); /* hosts that nobody told of */
	assert_string_equal(t.d.jobs[t.d.conns[3].job].name, C4_BLEND_JOB);
	told_release(&t);
}

static void test_an_earlier_run(void **state)
{
	struct scene *s = *state;
	struct told t = {0};
	struct c4_flow_conn c;

	c4_demand_init(&t.d);
	blend(s, &t, 0, 5);
	c4_elephants_adopt(&s->pairs, &t.d, s->now_ns);
	assert_int_equal(planned(s, &c), 1);
	assert_int_equal(c.qps, 2);
	assert_true(c.weight == 0.5f);
	told_release(&t);
	/* the fabric went with it: pairs are numbers, of which nothing is asked here any more */
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_both_ends_are_one),
		T(test_old_words_count_no_more),
		T(test_more_than_fit),
		T(test_elephants_are_planned),
		T(test_mice_are_not),
		T(test_unknown_nic_counts_a_megabit),
		T(test_a_burst_is_not_enough),
		T(test_kept_after_the_last_traffic),
		T(test_qps_grow_when_they_stay_and_shrink_late),
		T(test_connections_of_one_flow),
		T(test_weight_is_the_share_of_the_source),
		T(test_nothing_new_changes_nothing),
		T(test_told_wins),
		T(test_hosts_of_several_jobs),
		T(test_an_earlier_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
