// SPDX-License-Identifier: BSD-3-Clause
/* The plan table as its readers find it: file, peers, destinations, claims. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/daemon/routes/plantable.h"
#include "tests/unit/agent_route.h"

#define MS 1000000ull

static char dir[64];
static struct c4_plantable table;
static struct c4_pairs pairs;

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/c4-table.XXXXXX");
	return !mkdtemp(dir) || c4_plantable_open(&table, dir, "n1", 77, 5000);
}

static int teardown(void **state)
{
	(void)state;
	c4_plantable_close(&table);
	c4_pairs_release(&pairs);
	return rmdir(dir);
}

/* As a process looks for it. */
static const struct c4_route_peer *look_peer(uint32_t dst)
{
	uint32_t at = c4_route_peer_hash(dst) % C4_ROUTE_PEERS;

	for (; table.peers[at].dst; at = (at + 1) % C4_ROUTE_PEERS)
		if (table.peers[at].dst == dst)
			return &table.peers[at];
	return NULL;
}

static const struct c4_route_dest *look_dest(uint8_t proto, uint32_t dst, uint16_t dport)
{
	uint32_t at = c4_route_dest_hash(proto, dst, dport) % C4_ROUTE_DESTS;

	for (; table.dests[at].dst; at = (at + 1) % C4_ROUTE_DESTS)
		if (table.dests[at].dst == dst && table.dests[at].dport == dport &&
		    table.dests[at].proto == proto)
			return &table.dests[at];
	return NULL;
}

static void set_peers(uint32_t first, uint32_t n, uint64_t version)
{
	c4_pairs_release(&pairs);
	pairs.v = calloc(n ? n : 1, sizeof *pairs.v);
	pairs.n = n;
	for (uint32_t i = 0; i < n; i++) {
		pairs.v[i] = (struct c4_pair){.src = OURS, .dst = first + i};
		c4_map_put(&pairs.by_dst, first + i, (void *)(uintptr_t)(i + 1));
	}
	c4_plantable_set_peers(&table, &pairs, version);
}

static void test_file(void **state)
{
	char path[128];
	struct stat st;

	(void)state;
	snprintf(path, sizeof path, "%s/routes-n1.tbl", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal((uint64_t)st.st_size, table.hdr->total_bytes);
	assert_int_equal(table.hdr->magic, C4_ROUTE_MAGIC);
	assert_int_equal(table.hdr->version, C4_ROUTE_VERSION);
	assert_int_equal(table.hdr->wait_us, 5000);
	assert_int_equal(table.hdr->pid, getpid());
	assert_true(table.hdr->heartbeat_ns);
	assert_true(table.hdr->dest_off + C4_ROUTE_DESTS * sizeof(struct c4_route_dest) <=
		    table.hdr->total_bytes);
	c4_plantable_close(&table);
	assert_int_equal(stat(path, &st), -1);
}

/* What an agent that died left is replaced; what another one made since is not removed. */
static void test_two_agents(void **state)
{
	struct c4_plantable other;
	struct stat st;

	(void)state;
	assert_int_equal(c4_plantable_open(&other, dir, "n1", 78, 5000), 0);
	assert_int_equal(table.hdr->magic, C4_ROUTE_MAGIC); /* still mapped, its own */
	c4_plantable_close(&table);
	assert_int_equal(stat(other.path, &st), 0);
	c4_plantable_close(&other);
	assert_int_equal(stat(other.path, &st), -1);
}

static void test_no_directory(void **state)
{
	struct c4_plantable other;

	(void)state;
	assert_int_equal(c4_plantable_open(&other, "/nowhere/at/all", "n1", 1, 1), -ENOENT);
	assert_null(other.hdr);
	c4_plantable_close(&other);
}

static void test_peers(void **state)
{
	(void)state;
	set_peers(1000, C4_ROUTE_PEERS / 2, 5);
	assert_int_equal(table.hdr->plan_version, 5);
	for (uint32_t i = 0; i < C4_ROUTE_PEERS / 2; i++)
		assert_int_equal(look_peer(1000 + i)->src, OURS);
	assert_null(look_peer(999));
	set_peers(1000 + 1024, C4_ROUTE_PEERS / 2, 6); /* half of them others */
	for (uint32_t i = 0; i < 1024; i++)
		assert_null(look_peer(1000 + i));
	for (uint32_t i = 0; i < C4_ROUTE_PEERS / 2; i++)
		assert_non_null(look_peer(1000 + 1024 + i));
	assert_int_equal(table.npeers, C4_ROUTE_PEERS / 2);
	set_peers(0, 0, 7);
	for (uint32_t i = 0; i < C4_ROUTE_PEERS; i++)
		assert_int_equal(table.peers[i].dst, 0);
}

static void test_dest(void **state)
{
	struct c4_fill fill = {.nslots = 2};
	struct c4_route_dest *d = c4_plantable_add(&table, 6, PEER(1), 80, OURS, 9);

	(void)state;
	assert_ptr_equal(look_dest(6, PEER(1), 80), d);
	assert_int_equal(d->nslots, 0);
	assert_int_equal(d->until_ns, 9);
	assert_int_equal(d->gen % 2, 0);
	fill.slot[1].nports = 1;
	fill.slot[1].port[0] = 61000;
	c4_plantable_fill(d, &fill, OURS, 2);
	assert_int_equal(d->nslots, 2);
	assert_int_equal(d->slot[1].port[0], 61000);
	assert_int_equal(d->slot[0].moved, 0);
	assert_int_equal(d->slot[1].moved, 1);
	assert_int_equal(d->gen % 2, 0);
	c4_plantable_give_up(d, 11);
	assert_int_equal(d->nslots, 0);
	assert_int_equal(d->until_ns, 11);
	assert_null(look_dest(17, PEER(1), 80));
	assert_null(look_dest(6, PEER(1), 81));
}

static uint32_t empty_places(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < C4_ROUTE_DESTS; i++)
		n += !table.dests[i].dst;
	return n;
}

static struct c4_route_dest *live[C4_ROUTE_DESTS / 2];

static void expect_found(uint32_t n)
{
	assert_true(empty_places() >= C4_ROUTE_DESTS / 4);
	assert_int_equal(empty_places(), C4_ROUTE_DESTS - table.ndests - table.nmarks);
	for (uint32_t i = 0; i < n; i++)
		if (live[i])
			assert_ptr_equal(look_dest(6, live[i]->dst, live[i]->dport), live[i]);
}

/* Returns how many were refused of the many that came, each in place of another one. */
static uint32_t churn(uint32_t n, uint32_t rounds)
{
	uint32_t refused = 0;

	for (uint32_t i = 0; i < n; i++) {
		live[i] = c4_plantable_add(&table, 6, PEER(1), (uint16_t)i, OURS, 0);
		assert_non_null(live[i]);
	}
	for (uint32_t round = 0; round < rounds; round++) {
		uint32_t dst = PEER(3 + round);

		for (uint32_t i = round % 2; i < n; i += 2) {
			if (live[i])
				c4_plantable_remove(&table, live[i]);
			live[i] = c4_plantable_add(&table, 6, dst, (uint16_t)i, OURS, 0);
			refused += !live[i];
			assert_ptr_equal(look_dest(6, dst, (uint16_t)i), live[i]);
		}
		expect_found(n);
	}
	for (uint32_t i = 0; i < n; i++)
		if (live[i])
			c4_plantable_remove(&table, live[i]);
	assert_int_equal(table.ndests, 0);
	assert_int_equal(table.nmarks, 0);
	return refused;
}

/* Destinations do not move, whatever goes around them, and searches always end: however often
 * places change hands, there are empty ones. */
static void test_come_and_go(void **state)
{
	(void)state;
	assert_int_equal(churn(C4_ROUTE_DESTS / 4, 100), 0);
	churn(C4_ROUTE_DESTS / 2, 40); /* as full as may be, some find no place */
}

static void test_full(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < C4_ROUTE_DESTS / 2; i++)
		assert_non_null(c4_plantable_add(&table, 6, PEER(1), (uint16_t)i, OURS, 0));
	assert_null(c4_plantable_add(&table, 6, PEER(2), 1, OURS, 0));
}

static uint64_t claim(uint64_t ms, uint32_t n)
{
	return ms << 16 | n;
}

static void test_claims(void **state)
{
	struct c4_route_slot s = {.claim = claim(10000, 3)};

	(void)state;
	assert_int_equal(c4_plantable_claimed(&s), 3);
	/* settling: it was changed a moment ago */
	assert_false(c4_plantable_correct(&s, 1, (10000 + C4_ROUTE_SETTLE_MS - 1) * MS));
	assert_int_equal(c4_plantable_claimed(&s), 3);
	assert_true(c4_plantable_correct(&s, 1, (10000 + C4_ROUTE_SETTLE_MS) * MS));
	assert_int_equal(c4_plantable_claimed(&s), 1);
	assert_false(c4_plantable_correct(&s, 1, 20000 * MS)); /* right already */
	s.claim = claim(~0ull >> 16, 7); /* of a time that is to come: no process wrote that */
	assert_true(c4_plantable_correct(&s, 0, 30000 * MS));
	assert_int_equal(s.claim, claim(30000, 0));
	assert_true(c4_plantable_correct(&s, 1u << 20, 40000 * MS));
	assert_int_equal(c4_plantable_claimed(&s), 0xffff);
}

static void test_generation(void **state)
{
	uint32_t before = table.hdr->generation;

	(void)state;
	c4_plantable_wake(&table);
	assert_int_equal(table.hdr->generation, before + 1);
	c4_plantable_beat(&table, 4711);
	assert_int_equal(table.hdr->heartbeat_ns, 4711);
}

int main(void)
{
#define T(x) cmocka_unit_test_setup_teardown(x, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_file),  T(test_two_agents), T(test_no_directory),
		T(test_peers), T(test_dest),	   T(test_come_and_go),
		T(test_full),  T(test_claims),	   T(test_generation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
