// SPDX-License-Identifier: BSD-3-Clause
/* What an agent makes of a planner's answer, good and bad: plan, switches, pairs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>

#include <cmocka.h>

#include "tests/unit/agent_route.h"

static struct answer a;
static struct followed f;

static int teardown(void **state)
{
	(void)state;
	unfollow(&f);
	return 0;
}

static void test_plan(void **state)
{
	C4__V1__Peer peer = C4__V1__PEER__INIT, *peers = &peer;
	C4__V1__Watch watch = C4__V1__WATCH__INIT, *watches = &watch;
	uint32_t addresses[] = {PEER(2), PEER(1)};

	(void)state;
	answer_init(&a, 7);
	answer_route(&a, "x", PEER(1), false, 3);
	peer.n_addresses = 2;
	peer.addresses = addresses;
	peer.agent = 0x01020304;
	peer.helper_port = 4000;
	a.m.n_peers = 1;
	a.m.peers = &peers;
	watch.src = OURS;
	watch.proto = 6;
	watch.sport = 65000;
	a.m.n_watches = 1;
	a.m.watches = &watches;
	assert_int_equal(follow(&f, &a), 0);
	assert_int_equal(f.plan->version, 7);
	assert_true(f.plan->standing);
	assert_int_equal(f.plan->nroutes, 1);
	assert_int_equal(f.plan->routes[0].path[1], SPINE(3));
	assert_int_equal(c4_plan_peer(f.plan, PEER(1))->helper_port, 4000);
	assert_int_equal(c4_plan_peer(f.plan, PEER(2))->agent, 0x01020304);
	assert_null(c4_plan_peer(f.plan, PEER(3)));
	assert_int_equal(f.plan->watches[0].sport, 65000);
}

static void test_nothing_to_say(void **state)
{
	(void)state;
	assert_int_equal(c4_plan_decode("", 0, &f.plan), 0);
	assert_false(f.plan->standing);
	assert_int_equal(f.plan->nroutes + f.plan->nswitches + f.plan->npeers, 0);
	assert_null(c4_plan_peer(f.plan, 1));
}

static void refused(int rc)
{
	struct c4_plan *plan = (struct c4_plan *)&a;

	assert_int_equal(answer_decode(&a, &plan), rc);
	assert_ptr_equal(plan, &a);
}

static void test_lies(void **state)
{
	C4__V1__Peer peer = C4__V1__PEER__INIT, *peers = &peer;
	C4__V1__Watch watch = C4__V1__WATCH__INIT, *watches = &watch;
	char name[C4_PLAN_NAME_BYTES + 1];
	struct c4_plan *plan = NULL;

	(void)state;
	memset(name, 'n', C4_PLAN_NAME_BYTES);
	name[C4_PLAN_NAME_BYTES] = '\0';
	answer_init(&a, 1);
	answer_route(&a, "x", PEER(1), false, 1);
	a.paths[0][1] = 6; /* one behind the last switch */
	refused(-EBADMSG);
	a.paths[0][1] = 5;
	a.routes[0].id = name;
	refused(-E2BIG);
	a.routes[0].id = a.ids[0];
	a.m.plan_instance = name;
	refused(-E2BIG);
	a.m.plan_instance = name + 1; /* just fits */
	assert_int_equal(answer_decode(&a, &plan), 0);
	c4_plan_free(plan);
	a.m.n_peers = 1;
	a.m.peers = &peers;
	peer.helper_port = 65536;
	refused(-EBADMSG);
	a.m.n_peers = 0;
	a.m.n_watches = 1;
	a.m.watches = &watches;
	watch.proto = 1;
	refused(-EBADMSG);
	assert_int_equal(c4_plan_decode("\xff\xff\xff", 3, &plan), -EBADMSG);
}

static void test_too_much(void **state)
{
	static C4__V1__Route route, *routes[C4_PLAN_ROUTES_MAX + 1];
	C4__V1__RouteAnswer m = C4__V1__ROUTE_ANSWER__INIT;
	struct c4_plan *plan = NULL;
	uint8_t *data;
	size_t n;

	(void)state;
	c4__v1__route__init(&route);
	for (size_t i = 0; i <= C4_PLAN_ROUTES_MAX; i++)
		routes[i] = &route;
	m.routes = routes;
	m.n_routes = C4_PLAN_ROUTES_MAX + 1;
	n = c4__v1__route_answer__get_packed_size(&m);
	data = malloc(n);
	c4__v1__route_answer__pack(&m, data);
	assert_int_equal(c4_plan_decode(data, n, &plan), -E2BIG);
	m.n_routes--;
	n = c4__v1__route_answer__pack(&m, data);
	assert_int_equal(c4_plan_decode(data, n, &plan), 0);
	assert_int_equal(plan->nroutes, C4_PLAN_ROUTES_MAX);
	c4_plan_free(plan);
	free(data);
}

static void test_long_path(void **state)
{
	uint32_t path[] = {0, 1, 2, 3, 4, 5};

	(void)state;
	answer_init(&a, 1);
	answer_route(&a, "long", PEER(1), false, 1);
	a.routes[0].path = path;
	a.routes[0].n_path = 6;
	assert_int_equal(follow(&f, &a), 0);
	assert_int_equal(f.plan->too_long, 1);
	assert_null(c4_pairs_to(&f.pairs, PEER(1)));
	a.routes[0].n_path = 5; /* three tiers */
	assert_int_equal(follow(&f, &a), 0);
	assert_int_equal(c4_pairs_to(&f.pairs, PEER(1))->chosen, 3);
}

/* A switch is the same one wherever an answer has it, and its addresses are those of the last. */
static void test_switches(void **state)
{
	C4__V1__Switch *first;
	uint16_t spine1;

	(void)state;
	answer_init(&a, 1);
	assert_int_equal(follow(&f, &a), 0);
	spine1 = c4_hopmap_at(&f.map, SPINE_AT(1));
	assert_int_not_equal(spine1, 0);
	assert_int_equal(c4_hopmap_named(&f.map, "spine1"), spine1);
	first = a.switch_list[0];
	a.switch_list[0] = a.switch_list[SPINE(1)];
	a.switch_list[SPINE(1)] = first;
	a.addresses[SPINE(1)] = 99;
	assert_int_equal(follow(&f, &a), 0);
	assert_int_equal(c4_hopmap_at(&f.map, 99), spine1);
	assert_int_equal(c4_hopmap_at(&f.map, SPINE_AT(1)), 0);
	assert_int_equal(c4_hopmap_at(&f.map, 12345), 0);
}

static void test_paths(void **state)
{
	uint16_t three[] = {1, 2, 65535}, hole[] = {1, 0, 3};

	(void)state;
	assert_int_equal(c4_path_pack(three, 0), 0);
	assert_int_equal(c4_path_pack(three, 4), 0);
	assert_int_equal(c4_path_pack(hole, 3), 0);
	assert_int_equal(c4_path_pack(three, 3), 1 | 2 << 16 | 65535ull << 32);
	assert_int_equal(c4_path_reverse(c4_path_pack(three, 3)), 65535ull | 2 << 16 | 1ull << 32);
	assert_int_equal(c4_path_reverse(7), 7);
}

/* Only the switches on the way make an observation stale. */
static void test_stamps(void **state)
{
	const struct c4_pair *pair;
	uint64_t one, two;

	(void)state;
	answer_init(&a, 1);
	answer_route(&a, "x", PEER(1), false, 1);
	assert_int_equal(follow(&f, &a), 0);
	pair = c4_pairs_to(&f.pairs, PEER(1));
	one = c4_hopmap_stamp(&f.map, pair->near, over(&f, 1), pair->far);
	two = c4_hopmap_stamp(&f.map, pair->near, over(&f, 2), pair->far);
	a.switches[SPINE(2)].epoch++;
	assert_int_equal(follow(&f, &a), 0);
	pair = c4_pairs_to(&f.pairs, PEER(1));
	assert_int_equal(c4_hopmap_stamp(&f.map, pair->near, over(&f, 1), pair->far), one);
	assert_true(c4_hopmap_stamp(&f.map, pair->near, over(&f, 2), pair->far) > two);
	a.switches[LEAF(2)].epoch++;
	assert_int_equal(follow(&f, &a), 0);
	pair = c4_pairs_to(&f.pairs, PEER(1));
	assert_true(c4_hopmap_stamp(&f.map, pair->near, over(&f, 1), pair->far) > one);
}

static void test_pairs(void **state)
{
	const struct c4_pair *pair, *oneway;

	(void)state;
	answer_init(&a, 1);
	answer_route(&a, "b", PEER(1), false, 2);
	answer_route(&a, "c", PEER(1), true, 3);
	answer_route(&a, "a", PEER(1), false, 1);
	answer_route(&a, "d", PEER(2), true, 4);
	assert_int_equal(follow(&f, &a), 0);
	assert_int_equal(f.pairs.n, 2);
	pair = c4_pairs_to(&f.pairs, PEER(1));
	assert_int_equal(pair->nwishes, 2);
	assert_int_equal(pair->chosen, 1);
	assert_int_equal(pair->wish[0].fwd, over(&f, 1)); /* by name, not by place */
	assert_int_equal(pair->wish[0].bwd, over(&f, 3));
	assert_int_equal(pair->wish[1].fwd, over(&f, 2));
	assert_int_equal(pair->wish[1].bwd, 0);
	assert_string_equal(f.plan->routes[pair->wish[0].fwd_route - 1].id, "a");
	assert_string_equal(f.plan->routes[pair->wish[0].bwd_route - 1].id, "c");
	pair = c4_pairs_to(&f.pairs, PEER(2));
	assert_int_equal(pair->near, c4_hopmap_named(&f.map, "leaf1"));
	assert_int_equal(pair->far, c4_hopmap_named(&f.map, "leaf2"));
	assert_int_equal(pair->wish[0].fwd, 0);
	oneway = c4_pairs_oneway(&f.pairs, PEER(1));
	assert_int_equal(oneway->nwishes, 2);
	assert_int_equal(oneway->wish[0].bwd, 0);
	assert_int_equal(c4_pairs_oneway(&f.pairs, PEER(2))->nwishes, 0);
	assert_true(c4_pairs_has(&f.pairs, OURS, PEER(2)));
	assert_false(c4_pairs_has(&f.pairs, PEER(2), OURS));
	assert_false(c4_pairs_has(&f.pairs, OURS, PEER(3)));
}

/* Under one leaf, of others, without an end: nothing of ours to plan. */
static void test_no_pairs(void **state)
{
	C4__V1__Route *r;

	(void)state;
	answer_init(&a, 1);
	answer_route(&a, "same leaf", PEER(1), false, 1)->n_path = 1;
	r = answer_route(&a, "of others", PEER(2), false, 1);
	r->src = PEER(3);
	answer_route(&a, "to us", OURS, false, 1);
	answer_route(&a, "nowhere", 0, false, 1);
	assert_int_equal(follow(&f, &a), 0);
	assert_int_equal(f.pairs.n, 0);
}

static void test_more_than_slots(void **state)
{
	char id[8];

	(void)state;
	answer_init(&a, 1);
	for (uint32_t i = 0; i < C4_ROUTE_SLOTS + 3; i++) {
		snprintf(id, sizeof id, "r%02u", i);
		answer_route(&a, id, PEER(1), false, 1 + i % 4);
	}
	assert_int_equal(follow(&f, &a), 0);
	assert_int_equal(c4_pairs_to(&f.pairs, PEER(1))->nwishes, C4_ROUTE_SLOTS);
	assert_int_equal(f.pairs.shared, 3);
}

int main(void)
{
#define T(x) cmocka_unit_test_teardown(x, teardown)
	const struct CMUnitTest tests[] = {
		T(test_plan),	  T(test_nothing_to_say),  T(test_lies),
		T(test_too_much), T(test_long_path),	   T(test_switches),
		T(test_paths),	  T(test_stamps),	   T(test_pairs),
		T(test_no_pairs), T(test_more_than_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
