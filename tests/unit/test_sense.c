// SPDX-License-Identifier: BSD-3-Clause
/* From connections on known paths to slow links: each rule with what it finds and what it must not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "planner/model/sense/sense.h"

/* 4 leaves of 2 hosts, 4 spines; link = leaf · 4 + spine, host h under leaf h / 2. */
#define LEAVES 4u
#define SPINES 4u
#define HOSTS  8u
#define RATE   10.0f

struct net {
	struct c4_sense *s;
	struct c4_sense_flow flows[256];
	uint32_t n;
	float links[LEAVES * SPINES], nics[HOSTS];
	struct c4_sense_result r;
};

static int setup(void **state)
{
	static struct net n;

	n = (struct net){.s = c4_sense_new()};
	assert_non_null(n.s);
	for (uint32_t i = 0; i < LEAVES * SPINES; i++)
		n.links[i] = RATE;
	for (uint32_t i = 0; i < HOSTS; i++)
		n.nics[i] = RATE;
	*state = &n;
	return 0;
}

static int teardown(void **state)
{
	struct net *n = *state;

	c4_sense_free(n->s);
	return 0;
}

static uint32_t up(uint32_t leaf, uint32_t spine)
{
	return 2 * (leaf * SPINES + spine);
}

static uint32_t down(uint32_t leaf, uint32_t spine)
{
	return up(leaf, spine) + 1;
}

/* Busy for `busy` of the window, at gbps while it was. */
static struct c4_sense_flow *flow(struct net *n, uint32_t src, uint32_t dst, uint32_t spine,
				  double gbps, float busy)
{
	struct c4_sense_flow *f = &n->flows[n->n++];

	*f = (struct c4_sense_flow){
		.src = src,
		.dst = dst,
		.link = {up(src / 2, spine), down(dst / 2, spine)},
		.hops = 2,
		.gbps = gbps * (double)busy,
		.busy_gbps = gbps,
		.busy = busy,
	};
	return f;
}

/* A ring over all hosts that leaves each leaf once, and back: two flows per leaf and direction. */
static void healthy_ring(struct net *n)
{
	for (uint32_t h = 0; h < HOSTS; h++)
		flow(n, h, (h + 2) % HOSTS, h % SPINES, 9.5, 0.4f);
}

static void step(struct net *n)
{
	const struct c4_sense_input in = {
		.flows = n->flows, .n = n->n, .link_gbps = n->links, .nic_gbps = n->nics};

	assert_int_equal(c4_sense_step(n->s, &in, &n->r), 0);
}

static void steps(struct net *n, uint32_t times)
{
	while (times--)
		step(n);
}

static const struct c4_sense_finding *only_finding(const struct net *n)
{
	assert_int_equal(n->r.n_findings, 1);
	return &n->r.findings[0];
}

/* ---- slow links ------------------------------------------------------------------------------ */

/* Two hosts send over the slow uplink to different leaves: it alone explains both. */
static void slow_uplink(struct net *n)
{
	healthy_ring(n);
	n->n = 0;
	flow(n, 0, 2, 0, 0.5, 1);
	flow(n, 1, 4, 0, 0.5, 1);
	flow(n, 2, 5, 2, 9.5, 0.1f);
	flow(n, 3, 6, 3, 9.5, 0.1f);
	flow(n, 4, 7, 1, 9.5, 0.1f);
	flow(n, 5, 0, 2, 9.5, 0.1f);
	flow(n, 6, 1, 3, 9.5, 0.1f);
	flow(n, 7, 3, 1, 9.5, 0.1f);
}

static void test_slow_link_is_named(void **state)
{
	struct net *n = *state;
	const struct c4_sense_finding *f;

	slow_uplink(n);
	step(n);
	f = only_finding(n);
	assert_int_equal(f->link, up(0, 0));
	assert_false(f->confirmed); /* one window is nothing yet */
	steps(n, 2);
	f = only_finding(n);
	assert_int_equal(f->kind, C4_SENSE_SLOW);
	assert_true(f->confirmed);
	assert_int_equal(f->flows, 2);
	assert_true(f->gbps > 0.9 && f->gbps < 1.1); /* what both get together */
	assert_true(f->speed < 0.2 && f->peers > 0.9);
}

static void vary_peers(struct net *n)
{
	static const double gbps[] = {4.5, 9.5, 6.0, 8.5, 5.0, 7.5};

	for (uint32_t i = 2; i < n->n; i++)
		n->flows[i].busy_gbps = gbps[i - 2];
}

/* Short bursts are measured badly: healthy speeds from a half to one are still far from a tenth. */
static void test_peers_that_vary(void **state)
{
	struct net *n = *state;

	slow_uplink(n);
	vary_peers(n);
	steps(n, 3);
	assert_int_equal(only_finding(n)->link, up(0, 0));
	assert_true(only_finding(n)->confirmed);
}

/* … but not from a third. */
static void test_slow_within_their_spread(void **state)
{
	struct net *n = *state;

	slow_uplink(n);
	vary_peers(n);
	n->flows[0].busy_gbps = n->flows[1].busy_gbps = 1.4; /* of a half of the link each */
	n->flows[0].gbps = n->flows[1].gbps = 1.4;
	steps(n, 4);
	assert_int_equal(n->r.n_findings, 0);
}

/* In lock-step everybody waits for the slow link: the others are busy a twentieth of the time. */
static void test_peers_that_wait_for_it(void **state)
{
	struct net *n = *state;

	slow_uplink(n);
	for (uint32_t i = 2; i < n->n; i++) {
		n->flows[i].busy = 0.05f;
		n->flows[i].gbps = 9.5 * 0.05;
	}
	steps(n, 3);
	assert_int_equal(only_finding(n)->link, up(0, 0));
	assert_true(n->r.findings[0].confirmed);
}

static void test_two_of_four_windows_do_not_confirm(void **state)
{
	struct net *n = *state;

	for (int i = 0; i < 6; i++) {
		n->n = 0;
		if (i % 2)
			healthy_ring(n);
		else
			slow_uplink(n);
		step(n);
		for (uint32_t k = 0; k < n->r.n_findings; k++)
			assert_false(n->r.findings[k].confirmed);
	}
}

static void test_slow_but_within_margin_is_none(void **state)
{
	struct net *n = *state;

	slow_uplink(n);
	for (int i = 0; i < 2; i++) { /* 0.6 of what they could expect */
		n->flows[i].gbps = n->flows[i].busy_gbps = 3;
	}
	steps(n, 4);
	assert_int_equal(n->r.n_findings, 0);
}

/* All are equally slow: programs that do not send faster, or a slow network as a whole. */
static void test_uniformly_slow_is_none(void **state)
{
	struct net *n = *state;

	for (uint32_t h = 0; h < HOSTS; h++)
		flow(n, h, (h + 2) % HOSTS, h % SPINES, 1, 0.9f);
	steps(n, 4);
	assert_int_equal(n->r.n_findings, 0);
}

static void test_healthy_ring_is_none(void **state)
{
	struct net *n = *state;

	healthy_ring(n);
	steps(n, 4);
	assert_int_equal(n->r.n_findings, 0);
	assert_int_equal(n->r.n_watches, 0);
}

/* Another connection on the same link is as fast as any: something else is wrong. */
static void test_healthy_flow_exonerates(void **state)
{
	struct net *n = *state;

	slow_uplink(n);
	flow(n, 1, 6, 0, 9.0, 0.3f);
	steps(n, 4);
	for (uint32_t i = 0; i < n->r.n_findings; i++)
		assert_int_not_equal(n->r.findings[i].link, up(0, 0));
}

static void test_limited_flows_say_nothing(void **state)
{
	struct net *n = *state;

	slow_uplink(n);
	n->flows[0].limited = n->flows[1].limited = 0.9f;
	steps(n, 4);
	assert_int_equal(n->r.n_findings, 0);
}

static void test_idle_flows_say_nothing(void **state)
{
	struct net *n = *state;

	slow_uplink(n);
	n->flows[0].busy = n->flows[1].busy = 0.01f;
	steps(n, 4);
	assert_int_equal(n->r.n_findings, 0);
}

static void test_nobody_to_compare_with(void **state)
{
	struct net *n = *state;

	flow(n, 0, 2, 0, 0.5, 1);
	flow(n, 1, 4, 0, 0.5, 1);
	flow(n, 3, 7, 2, 9.5, 0.3f);
	steps(n, 4);
	assert_int_equal(n->r.n_findings, 0);
}

/* ---- doubt ----------------------------------------------------------------------------------- */

/* A host all of whose connections are slow is its own problem. */
static void test_slow_host_is_no_link(void **state)
{
	struct net *n = *state;

	flow(n, 0, 2, 0, 0.5, 1);
	flow(n, 0, 4, 1, 0.5, 1);
	flow(n, 1, 3, 2, 9.5, 0.2f);
	flow(n, 2, 5, 2, 9.5, 0.2f);
	flow(n, 3, 6, 3, 9.5, 0.2f);
	flow(n, 5, 7, 3, 9.5, 0.2f);
	steps(n, 4);
	assert_int_equal(n->r.n_findings, 0);
}

static void one_slow(struct net *n)
{
	flow(n, 0, 2, 0, 0.5, 1);
	for (uint32_t h = 1; h < HOSTS; h++)
		flow(n, h, (h + 2) % HOSTS, h % SPINES, 9.5, 0.2f);
	n->flows[4].link[0] = up(2, 1); /* h4 sends another way: nobody else uses spine 0 */
	n->flows[4].link[1] = down(3, 1);
}

/* Either link of the way, the sender or the receiver: who knows? Measure. */
static void test_doubt_wishes_a_watch(void **state)
{
	struct net *n = *state;

	one_slow(n);
	steps(n, 4);
	assert_true(n->r.n_watches == 1);
	assert_int_equal(n->r.watches[0], 0);
	assert_true(n->r.n_findings >= 1);
	for (uint32_t i = 0; i < n->r.n_findings; i++) {
		assert_false(n->r.findings[i].confirmed);
		assert_true(n->r.findings[i].alike > 0);
	}
}

static void set_rtt(struct c4_sense_flow *f, uint32_t leaf, uint32_t spine, uint32_t leaf2)
{
	f->rtt_us[0] = leaf;
	f->rtt_us[1] = spine;
	f->rtt_us[2] = leaf2;
}

static void check_jump(struct net *n, uint32_t leaf, uint32_t spine, uint32_t leaf2, uint32_t link)
{
	one_slow(n);
	set_rtt(&n->flows[0], leaf, spine, leaf2);
	steps(n, 3);
	assert_int_equal(only_finding(n)->link, link);
	assert_true(n->r.findings[0].confirmed);
}

static void test_jump_before_the_spine(void **state)
{
	check_jump(*state, 100, 20100, 20300, up(0, 0));
}

static void test_jump_behind_the_spine(void **state)
{
	check_jump(*state, 100, 200, 25000, down(1, 0));
}

static void check_no_jump(struct net *n, uint32_t leaf, uint32_t spine, uint32_t leaf2)
{
	one_slow(n);
	set_rtt(&n->flows[0], leaf, spine, leaf2);
	steps(n, 4);
	for (uint32_t i = 0; i < n->r.n_findings; i++)
		assert_false(n->r.findings[i].confirmed);
}

static void test_jump_at_the_host_is_no_link(void **state)
{
	check_no_jump(*state, 20000, 20100, 20200);
}

static void test_even_steps_are_no_jump(void **state)
{
	check_no_jump(*state, 1000, 2500, 4000);
}

static void test_small_jump_is_none(void **state)
{
	check_no_jump(*state, 10, 20, 150);
}

static void test_unknown_hop_is_no_jump(void **state)
{
	check_no_jump(*state, 100, 0, 20000);
}

/* Healthy connections of both hosts leave the two links; one on the uplink leaves the other. */
static void test_exoneration_leaves_one(void **state)
{
	struct net *n = *state;

	one_slow(n);
	flow(n, 0, 5, 1, 9.5, 0.2f); /* the sender is well */
	flow(n, 7, 2, 1, 9.5, 0.2f); /* so is the receiver */
	flow(n, 1, 6, 0, 9.0, 0.2f); /* and the uplink */
	steps(n, 3);
	assert_int_equal(only_finding(n)->link, down(1, 0));
	assert_true(n->r.findings[0].confirmed);
}

/* ---- congestion ------------------------------------------------------------------------------ */

/* Two elephants hashed to one link share its rate: it is full, not slow. */
static void collision(struct net *n)
{
	healthy_ring(n);
	n->n = 0;
	flow(n, 0, 2, 0, 4.7, 1);
	flow(n, 1, 4, 0, 4.7, 1);
	flow(n, 2, 5, 2, 9.5, 0.5f);
	flow(n, 3, 6, 3, 9.5, 0.5f);
	flow(n, 4, 7, 1, 9.5, 0.5f);
	flow(n, 5, 1, 2, 9.5, 0.5f);
}

static void test_collision_is_congestion(void **state)
{
	struct net *n = *state;
	const struct c4_sense_finding *f;

	collision(n);
	steps(n, 3);
	f = only_finding(n);
	assert_int_equal(f->kind, C4_SENSE_CONGESTED);
	assert_int_equal(f->link, up(0, 0));
	assert_true(f->confirmed);
	assert_true(f->gbps > 9);
}

static void test_full_link_alone_is_none(void **state)
{
	struct net *n = *state;

	collision(n);
	n->flows[1] = n->flows[5]; /* one connection less on it */
	n->n--;
	n->flows[0].gbps = n->flows[0].busy_gbps = 9.5;
	steps(n, 4);
	assert_int_equal(n->r.n_findings, 0);
}

/* Collision on a weak link: it carries a tenth, so it is slow all the same. */
static void test_shared_slow_link_is_slow(void **state)
{
	struct net *n = *state;

	collision(n);
	n->flows[0].gbps = n->flows[0].busy_gbps = 0.47;
	n->flows[1].gbps = n->flows[1].busy_gbps = 0.47;
	steps(n, 3);
	assert_int_equal(only_finding(n)->kind, C4_SENSE_SLOW);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void test_recovery_is_seen(void **state)
{
	struct net *n = *state;

	slow_uplink(n);
	steps(n, 4);
	assert_true(only_finding(n)->confirmed);
	n->n = 0;
	healthy_ring(n);
	flow(n, 0, 2, 0, 9.5, 0.3f);
	steps(n, 4);
	assert_int_equal(n->r.n_findings, 0);
}

/* A plan that knows the link's rate expects no more of it. */
static void test_known_rate_is_not_found_again(void **state)
{
	struct net *n = *state;

	slow_uplink(n);
	n->links[up(0, 0) / 2] = 1;
	steps(n, 4);
	assert_int_equal(only_finding(n)->kind, C4_SENSE_CONGESTED); /* full, for what it is */
}

static void test_forget(void **state)
{
	struct net *n = *state;

	slow_uplink(n);
	steps(n, 3);
	c4_sense_forget(n->s, up(0, 0) / 2);
	step(n);
	assert_false(only_finding(n)->confirmed);
}

static void test_nothing_at_all(void **state)
{
	struct net *n = *state;

	step(n);
	assert_int_equal(n->r.n_findings, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_slow_link_is_named),
		T(test_peers_that_vary),
		T(test_slow_within_their_spread),
		T(test_peers_that_wait_for_it),
		T(test_two_of_four_windows_do_not_confirm),
		T(test_slow_but_within_margin_is_none),
		T(test_uniformly_slow_is_none),
		T(test_healthy_ring_is_none),
		T(test_healthy_flow_exonerates),
		T(test_limited_flows_say_nothing),
		T(test_idle_flows_say_nothing),
		T(test_nobody_to_compare_with),
		T(test_slow_host_is_no_link),
		T(test_doubt_wishes_a_watch),
		T(test_jump_before_the_spine),
		T(test_jump_behind_the_spine),
		T(test_jump_at_the_host_is_no_link),
		T(test_even_steps_are_no_jump),
		T(test_small_jump_is_none),
		T(test_unknown_hop_is_no_jump),
		T(test_exoneration_leaves_one),
		T(test_collision_is_congestion),
		T(test_full_link_alone_is_none),
		T(test_shared_slow_link_is_slow),
		T(test_recovery_is_seen),
		T(test_known_rate_is_not_found_again),
		T(test_forget),
		T(test_nothing_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
