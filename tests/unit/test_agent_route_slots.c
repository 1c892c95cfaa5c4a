// SPDX-License-Identifier: BSD-3-Clause
/* What is known of ports, when it is forgotten, and which ports go into which slot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/daemon/routes/slots.h"
#include "tests/unit/agent_route.h"

static struct answer a;
static struct followed f;
static struct c4_pathcache cache;
static struct c4_fill fill;

static int setup(void **state)
{
	(void)state;
	answer_init(&a, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	c4_pathcache_release(&cache);
	unfollow(&f);
	return 0;
}

static const struct c4_pair *pair(void)
{
	return c4_pairs_to(&f.pairs, PEER(1));
}

/* Spines of the way there and back; 0: not known. */
static struct c4_portpath *note(uint16_t port, uint32_t there, uint32_t back)
{
	struct c4_portpath *x = c4_pathcache_at(&cache, pair(), port);

	x->fwd = there ? over(&f, there) : 0;
	x->fwd_at = c4_hopmap_stamp(&f.map, pair()->near, x->fwd, pair()->far);
	x->bwd = back ? over(&f, back) : 0;
	x->bwd_at = c4_hopmap_stamp(&f.map, pair()->far, x->bwd, pair()->near);
	return x;
}

static void expect_ports(uint32_t slot, const uint16_t *ports, uint32_t n)
{
	assert_int_equal(fill.slot[slot].nports, n);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(fill.slot[slot].port[i], ports[i]);
}
#define EXPECT(slot, ...)                                                                          \
	expect_ports(slot, (const uint16_t[]){__VA_ARGS__},                                        \
		     sizeof(const uint16_t[]){__VA_ARGS__} / sizeof(uint16_t))

/* Both ways as planned, then the way there; nothing else. */
static void test_order(void **state)
{
	(void)state;
	answer_route(&a, "out", PEER(1), false, 1);
	answer_route(&a, "in", PEER(1), true, 2);
	follow(&f, &a);
	note(100, 1, 3);
	note(101, 2, 2);
	note(102, 1, 2);
	note(103, 1, 0);
	note(104, 3, 1);
	c4_slots_fill(pair(), &cache, &fill);
	assert_int_equal(fill.nslots, 1);
	EXPECT(0, 102, 100, 103);
	assert_int_equal(fill.least, 3);
	assert_int_equal(fill.least_exact, 1);
}

/* Ports in use come last and do not count as there. */
static void test_busy(void **state)
{
	(void)state;
	answer_route(&a, "out", PEER(1), false, 1);
	follow(&f, &a);
	note(100, 1, 0)->busy = true;
	note(101, 1, 0);
	c4_slots_fill(pair(), &cache, &fill);
	EXPECT(0, 101, 100);
	assert_int_equal(fill.least_exact, 1);
}

/* A port that our own probe has bound cannot be had yet, whatever the other end told of it. */
static void test_probed(void **state)
{
	(void)state;
	answer_route(&a, "in", PEER(1), true, 2);
	follow(&f, &a);
	note(100, 0, 2)->flies = true;
	c4_slots_fill(pair(), &cache, &fill);
	assert_int_equal(fill.slot[0].nports, 0);
	note(100, 2, 2);
	cache.v[0].flies = false;
	c4_slots_fill(pair(), &cache, &fill);
	EXPECT(0, 100);
}

static void test_two_slots(void **state)
{
	(void)state;
	answer_route(&a, "a", PEER(1), false, 1);
	answer_route(&a, "b", PEER(1), false, 4);
	follow(&f, &a);
	note(100, 4, 0);
	note(101, 1, 0);
	note(102, 4, 0);
	c4_slots_fill(pair(), &cache, &fill);
	EXPECT(0, 101);
	EXPECT(1, 100, 102);
	assert_int_equal(fill.least, 1);
}

/* Two routes over one spine share its ports, none is in both slots, and none changes slots. */
static void test_same_path(void **state)
{
	(void)state;
	answer_route(&a, "a", PEER(1), false, 2);
	answer_route(&a, "b", PEER(1), false, 2);
	follow(&f, &a);
	for (uint16_t port = 100; port < 105; port++)
		note(port, 2, 0);
	c4_slots_fill(pair(), &cache, &fill);
	EXPECT(0, 100, 102, 104);
	EXPECT(1, 101, 103);
	c4_pathcache_find(&cache, 100)->slot = 2;
	c4_slots_fill(pair(), &cache, &fill);
	assert_int_equal(fill.slot[1].port[0], 100);
}

/* A port that fits one slot wholly is not spent on another that it fits half. */
static void test_exact_first(void **state)
{
	(void)state;
	answer_route(&a, "a", PEER(1), false, 1);
	answer_route(&a, "b", PEER(1), false, 1);
	answer_route(&a, "x", PEER(1), true, 3);
	answer_route(&a, "y", PEER(1), true, 4);
	follow(&f, &a);
	note(100, 1, 4);
	note(101, 1, 3);
	c4_slots_fill(pair(), &cache, &fill);
	EXPECT(0, 101);
	EXPECT(1, 100);
	assert_int_equal(fill.least_exact, 1);
}

static void test_only_back(void **state)
{
	(void)state;
	answer_route(&a, "in", PEER(1), true, 3);
	follow(&f, &a);
	note(100, 3, 1);		    /* the way there is of no interest */
	note(101, 1, 3);		    /* … and here neither */
	note(102, 3, 0);		    /* may yet be told */
	note(103, 3, 0)->bwd_failed = true; /* cannot be told: as the way there */
	c4_slots_fill(pair(), &cache, &fill);
	EXPECT(0, 101, 103);
	assert_int_equal(fill.least_exact, 1);
}

static void test_six_are_enough(void **state)
{
	(void)state;
	answer_route(&a, "a", PEER(1), false, 1);
	follow(&f, &a);
	for (uint16_t port = 100; port < 120; port++)
		note(port, 1, 0);
	c4_slots_fill(pair(), &cache, &fill);
	assert_int_equal(fill.slot[0].nports, C4_ROUTE_PORTS);
}

/* ---- the cache ------------------------------------------------------------------------------ */

static void test_epoch(void **state)
{
	(void)state;
	answer_route(&a, "a", PEER(1), false, 1);
	follow(&f, &a);
	note(100, 1, 2);
	note(101, 2, 2);
	assert_int_equal(c4_pathcache_expire(&cache, &f.map, pair(), false), 0);
	a.switches[SPINE(1)].epoch++;
	follow(&f, &a);
	assert_int_equal(c4_pathcache_expire(&cache, &f.map, pair(), false), 1);
	assert_int_equal(c4_pathcache_find(&cache, 100)->fwd, 0);
	assert_int_equal(c4_pathcache_find(&cache, 100)->bwd, over(&f, 2));
	assert_int_equal(c4_pathcache_find(&cache, 101)->fwd, over(&f, 2));
	a.switches[LEAF(1)].epoch++; /* it chooses for all */
	follow(&f, &a);
	assert_int_equal(c4_pathcache_expire(&cache, &f.map, pair(), false), 2);
	assert_int_equal(c4_pathcache_find(&cache, 101)->fwd, 0);
	c4_slots_fill(pair(), &cache, &fill);
	assert_int_equal(fill.least, 0);
}

static void test_distrust(void **state)
{
	struct c4_portpath *x;

	(void)state;
	answer_route(&a, "a", PEER(1), false, 1);
	follow(&f, &a);
	x = note(100, 1, 0);
	x->bwd_failed = true;
	c4_pathcache_tried(&cache, x);
	assert_int_equal(c4_pathcache_expire(&cache, &f.map, pair(), true), 1);
	assert_int_equal(x->fwd, 0);
	assert_false(x->bwd_failed);
	assert_int_equal(cache.tried + cache.nkinds, 0);
}

/* Bounded: what serves no slot goes first, what is published or in use stays. */
static void test_full(void **state)
{
	(void)state;
	answer_route(&a, "a", PEER(1), false, 1);
	follow(&f, &a);
	note(1, 1, 0)->slot = 1;
	note(2, 2, 0)->busy = true;
	note(3, 1, 0);
	for (uint16_t port = 100; cache.lost < 1000; port++)
		note(port, 2 + port % 3, 0);
	assert_int_equal(cache.n, C4_PATHCACHE_PORTS);
	assert_non_null(c4_pathcache_find(&cache, 1));
	assert_non_null(c4_pathcache_find(&cache, 2));
	assert_non_null(c4_pathcache_find(&cache, 3));
	for (uint32_t i = 0; i < cache.n; i++)
		cache.v[i].busy = true;
	assert_null(c4_pathcache_at(&cache, pair(), 50000));
}

/* So many coupons that a fifth kind of as many as the four seen would have shown. */
static void test_exhausted(void **state)
{
	(void)state;
	answer_route(&a, "a", PEER(1), false, 1);
	follow(&f, &a);
	for (uint16_t i = 0; i < 79; i++) {
		struct c4_portpath x = {.fwd = 1 + i % 4};

		c4_pathcache_tried(&cache, &x);
		assert_false(i >= 16 * 5 - 1 && !c4_pathcache_exhausted(&cache));
	}
	assert_false(c4_pathcache_exhausted(&cache));
	c4_pathcache_tried(&cache, &(struct c4_portpath){.fwd = 1});
	assert_true(c4_pathcache_exhausted(&cache));
	c4_pathcache_tried(&cache, &(struct c4_portpath){.fwd = 9}); /* there was a fifth */
	assert_false(c4_pathcache_exhausted(&cache));
}

int main(void)
{
#define T(x) cmocka_unit_test_setup_teardown(x, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_order),	   T(test_busy),	T(test_probed),	   T(test_two_slots),
		T(test_same_path), T(test_exact_first), T(test_only_back), T(test_six_are_enough),
		T(test_epoch),	   T(test_distrust),	T(test_full),	   T(test_exhausted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
