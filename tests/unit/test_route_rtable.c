// SPDX-License-Identifier: BSD-3-Clause
/* Reading the plan table: bounds, searches, claims; whatever the writer does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>

#include "agent/route/rtable.h"
#include "tests/route/maker.h"

#define THREADS 4
#define ROUNDS	2000
#define NOW	(50 * 1000000000ull)

static struct maker m;
static struct c4_rtable t;

static int set_up(void **state)
{
	(void)state;
	maker_init(&m);
	return c4_rtable_check(m.hdr, MAKER_BYTES, &t);
}

static int tear_down(void **state)
{
	(void)state;
	maker_release(&m);
	return 0;
}

static int check_with(size_t offset, uint64_t value, size_t size)
{
	struct c4_rtable unused = {0};

	memcpy((char *)m.hdr + offset, &value, size);
	int rc = c4_rtable_check(m.hdr, MAKER_BYTES, &unused);

	if (rc)
		assert_null(unused.hdr);
	maker_header(m.hdr, 1);
	return rc;
}

#define WITH(member, value)                                                                        \
	check_with(offsetof(struct c4_route_header, member), value, sizeof m.hdr->member)

static void test_bounds(void **state)
{
	struct c4_rtable unused;

	(void)state;
	assert_int_equal(c4_rtable_check(m.hdr, MAKER_BYTES, &unused), 0);
	assert_int_equal(WITH(magic, C4_ROUTE_MAGIC + 1), -EPROTO);
	assert_int_equal(WITH(version, C4_ROUTE_VERSION + 1), -EPROTO);
	assert_int_equal(WITH(header_bytes, 64), -EPROTO);
	assert_int_equal(WITH(total_bytes, MAKER_BYTES + 1), -EPROTO);
	assert_int_equal(WITH(peer_off, 0), -EPROTO);
	assert_int_equal(WITH(peer_off, sizeof(struct c4_route_header) + 4), -EPROTO);
	assert_int_equal(WITH(dest_off, 0xfffffff8), -EPROTO);
	assert_int_equal(WITH(dest_off, m.hdr->dest_off + 8), -EPROTO);
	assert_int_equal(WITH(peer_cap, 0), -EPROTO);
	assert_int_equal(WITH(dest_cap, 3000), -EPROTO);
	assert_int_equal(WITH(dest_cap, 2048), 0); /* a smaller one is one, too */
	assert_int_equal(WITH(peer_cap, 8192), -EPROTO);
	assert_int_equal(WITH(dest_bytes, 319), -EPROTO);
	for (size_t n = 0; n < sizeof *m.hdr; n += 8)
		assert_int_equal(c4_rtable_check(m.hdr, n, &unused), -EPROTO);
	assert_int_equal(c4_rtable_check(m.hdr, MAKER_BYTES - 1, &unused), -EPROTO);
}

static void test_heartbeat(void **state)
{
	(void)state;
	m.hdr->heartbeat_ns = NOW;
	assert_true(c4_rtable_live(&t, NOW));
	assert_true(c4_rtable_live(&t, NOW + C4_ROUTE_STALE_NS));
	assert_false(c4_rtable_live(&t, NOW + C4_ROUTE_STALE_NS + 1));
	assert_true(c4_rtable_live(&t, NOW - C4_ROUTE_STALE_NS));
	assert_false(c4_rtable_live(&t, NOW - C4_ROUTE_STALE_NS - 1)); /* another clock */
	m.hdr->heartbeat_ns = 0;
	assert_false(c4_rtable_live(&t, NOW));
}

static void test_peers(void **state)
{
	(void)state;
	maker_peer(&m, "10.0.0.1", "10.0.0.9");
	assert_int_equal(c4_rtable_peer(&t, maker_ip("10.0.0.1")), maker_ip("10.0.0.9"));
	assert_int_equal(c4_rtable_peer(&t, maker_ip("10.0.0.2")), 0);
	assert_int_equal(c4_rtable_peer(&t, 0), 0);
	assert_true(c4_rtable_local(&t, maker_ip("10.0.0.9")));
	assert_false(c4_rtable_local(&t, maker_ip("10.0.0.1")));
	assert_true(c4_rtable_local(&t, 0));
	/* a table without an empty place ends every search all the same */
	for (uint32_t i = 0; i < C4_ROUTE_PEERS; i++)
		m.peers[i] = (struct c4_route_peer){7, 8};
	assert_int_equal(c4_rtable_peer(&t, maker_ip("10.0.0.2")), 0);
	memset(m.peers, 0, C4_ROUTE_PEERS * sizeof *m.peers);
	assert_false(c4_rtable_local(&t, 0));
}

static int find(uint16_t dport, struct c4_route_dest *d)
{
	return c4_rtable_dest(&t, C4_ROUTE_TCP, maker_ip("10.0.0.1"), dport, NOW, d);
}

static void test_destinations(void **state)
{
	struct c4_route_dest d, *there = maker_dest(&m, C4_ROUTE_TCP, "10.0.0.1", 80, "10.0.0.9");

	(void)state;
	assert_int_equal(find(80, &d), -ENOENT); /* asked for, and long ago */
	there->until_ns = NOW + 1;
	assert_int_equal(find(80, &d), -EAGAIN);
	maker_slot(there, 61000, 3);
	assert_true(find(80, &d) >= 0);
	assert_int_equal(d.slot[0].port[2], 61002);
	assert_int_equal(find(81, &d), -ENOENT);
	assert_int_equal(c4_rtable_dest(&t, C4_ROUTE_UDP, maker_ip("10.0.0.1"), 80, NOW, &d),
			 -ENOENT);
	there->gen |= 1; /* its writer died there */
	assert_int_equal(find(80, &d), -ENOENT);
	there->gen++;
	there->nslots = 200;
	there->slot[0].nports = 60000;
	assert_true(find(80, &d) >= 0);
	assert_int_equal(d.nslots, C4_ROUTE_SLOTS);
	assert_int_equal(d.slot[0].nports, C4_ROUTE_PORTS);
	for (uint32_t i = 0; i < C4_ROUTE_DESTS; i++)
		m.dests[i].dst = maker_ip("10.0.0.1");
	assert_int_equal(find(99, &d), -ENOENT);
}

static void test_claims(void **state)
{
	struct c4_route_dest d, *there = maker_dest(&m, C4_ROUTE_TCP, "10.0.0.1", 80, "10.0.0.9");
	int at, taken[3] = {0};

	(void)state;
	maker_slot(there, 61000, 1);
	maker_slot(there, 0, 0);
	maker_slot(there, 61010, 1);
	at = find(80, &d);
	for (int i = 0; i < 6; i++)
		taken[c4_rtable_claim(&t, at, &d, 0, NOW)]++;
	assert_int_equal(taken[0], 3);
	assert_int_equal(taken[1], 0); /* no port */
	assert_int_equal(taken[2], 3);
	assert_int_equal(there->slot[0].claim >> 16, NOW / 1000000);
	assert_int_equal(c4_rtable_claim(&t, at, &d, 1 << 2, NOW), 0);
	assert_int_equal(c4_rtable_claim(&t, at, &d, 1 << 0 | 1 << 2, NOW), -ENOENT);
	for (int i = 0; i < 9; i++)
		c4_rtable_unclaim(&t, at, 0, NOW);
	assert_int_equal(maker_claims(&there->slot[0]), 0); /* and not below */
	there->slot[0].claim = there->slot[2].claim = 0xffff;
	c4_rtable_claim(&t, at, &d, 0, NOW);
	assert_int_equal(maker_claims(&there->slot[0]), 0xffff); /* and not around */
}

static void *claim_much(void *arg)
{
	const struct c4_route_dest *d = arg;
	int at = (int)(c4_route_dest_hash(C4_ROUTE_TCP, d->dst, d->dport) % C4_ROUTE_DESTS);

	for (int i = 0; i < ROUNDS; i++) {
		int slot = c4_rtable_claim(&t, at, d, 0, NOW);

		if (i % 2)
			c4_rtable_unclaim(&t, at, slot, NOW);
	}
	return NULL;
}

static void test_claims_of_many(void **state)
{
	struct c4_route_dest d, *there = maker_dest(&m, C4_ROUTE_TCP, "10.0.0.1", 80, "10.0.0.9");
	pthread_t thread[THREADS];
	unsigned int sum = 0;

	(void)state;
	for (uint16_t i = 0; i < C4_ROUTE_SLOTS; i++)
		maker_slot(there, (uint16_t)(61000 + 10 * i), 1);
	assert_true(find(80, &d) >= 0);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, claim_much, &d);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	for (int i = 0; i < (int)C4_ROUTE_SLOTS; i++)
		sum += maker_claims(&there->slot[i]);
	assert_int_equal(sum, THREADS * ROUNDS / 2);
}

static bool stop_writing; /* atomic */

/* All ports of a slot are the same at any time but while it is written. */
static void *rewrite(void *arg)
{
	struct c4_route_dest *d = arg;

	for (uint16_t port = 61000; !__atomic_load_n(&stop_writing, __ATOMIC_RELAXED); port++) {
		__atomic_store_n(&d->gen, d->gen + 1, __ATOMIC_SEQ_CST);
		for (size_t i = 0; i < sizeof d->slot / 8; i++)
			__atomic_store_n((uint64_t *)(void *)d->slot + i,
					 port * 0x0001000100010001ull, __ATOMIC_SEQ_CST);
		__atomic_store_n(&d->gen, d->gen + 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void test_copies_are_whole(void **state)
{
	struct c4_route_dest d, *there = maker_dest(&m, C4_ROUTE_TCP, "10.0.0.1", 80, "10.0.0.9");
	pthread_t writer;

	(void)state;
	maker_slot(there, 1, 1);
	memset(there->slot, 0, sizeof there->slot);
	pthread_create(&writer, NULL, rewrite, there);
	for (int good = 0; good < ROUNDS;) {
		if (find(80, &d) < 0)
			continue;
		good++;
		for (int i = 0; i < (int)C4_ROUTE_PORTS; i++)
			assert_int_equal(d.slot[0].port[i], d.slot[0].port[0]);
	}
	__atomic_store_n(&stop_writing, true, __ATOMIC_RELAXED);
	pthread_join(writer, NULL);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_bounds),	     TEST(test_heartbeat), TEST(test_peers),
		TEST(test_destinations),     TEST(test_claims),	   TEST(test_claims_of_many),
		TEST(test_copies_are_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
