// SPDX-License-Identifier: BSD-3-Clause
/* Communicator table of a hook: identity, handles, members, progress, and what happens when full.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/hook/comm.h"
#include "common/base/clock.h"
#include "common/base/segread.h"

#define KEY(i) (0x7f0000001000ULL + (uint64_t)(i)*0x200)

static char dir[64];
static struct c4_members group, other;
static uint32_t made; /* different member lists so far: each test uses its own */

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/c4-comm-XXXXXX");
	if (!mkdtemp(dir) || setenv("C4_RUNTIME_DIR", dir, 1))
		return -1;
	return c4_hook_open("test");
}

static int teardown(void **state)
{
	(void)state;
	c4_seg_unlink(&c4_hook.seg);
	return rmdir(dir);
}

static void fill(struct c4_members *m, int32_t first, int32_t stride, uint32_t n)
{
	c4_members_init(m);
	for (uint32_t i = 0; i < n; i++)
		c4_members_add(m, first + (int32_t)i * stride);
}

static uint32_t add_intra(uint32_t my_rank)
{
	struct c4_comm_desc d = {.group = &group, .my_rank = my_rank};

	return c4_comm_add(&d);
}

static uint64_t id_of(uint32_t slot)
{
	return c4_hook.seg.comms[slot].id;
}

static void retire_all(void)
{
	for (uint32_t i = 0; i < C4_SEG_COMMS; i++)
		if (c4_hook.seg.comms[i].state == C4_COMM_LIVE)
			c4_comm_retire(i);
}

static void test_identity(void **state)
{
	uint32_t a, b, c;

	(void)state;
	fill(&group, 0, 1, 8);
	a = add_intra(3);
	b = add_intra(3); /* the same members once more */
	fill(&group, 0, 1, 7);
	c = add_intra(3);
	assert_true(id_of(a) && id_of(a) != id_of(b) && id_of(a) != id_of(c));
	assert_int_equal(c4_hook.seg.comms[a].size, 8);
	assert_int_equal(c4_hook.seg.comms[a].my_rank, 3);
	assert_int_equal(c4_hook.seg.comms[a].gen & 1, 0);
	/* order matters: rank i here is another process than rank i there */
	fill(&group, 7, -1, 8);
	assert_true(id_of(add_intra(0)) != id_of(a));
	retire_all();
}

/* The two sides see the groups the other way round. */
static void test_intercommunicator_sides_agree(void **state)
{
	struct c4_comm_desc ours = {.group = &group, .other = &other, .my_rank = 1};
	struct c4_comm_desc theirs = {.group = &other, .other = &group, .my_rank = 2};
	uint32_t a, b;
	int32_t peer_a, peer_b;

	(void)state;
	fill(&group, 100, 1, 3);
	fill(&other, 200, 1, 4);
	a = c4_comm_add(&ours);
	b = c4_comm_add(&theirs);
	/* this process plays both sides, so the second is the second of its kind; elsewhere both
	 * are first. Members in the same order is what makes that id equal too. */
	assert_int_equal(c4_hook.seg.comms[a].size, 7);
	assert_int_equal(c4_hook.seg.comms[b].size, 7);
	assert_int_equal(c4_hook.seg.comms[a].flags, C4_COMM_INTER);
	assert_memory_equal(&c4_hook.seg.runs[c4_hook.seg.comms[a].run_first],
			    &c4_hook.seg.runs[c4_hook.seg.comms[b].run_first],
			    2 * sizeof(struct c4_seg_run));
	assert_true(c4_hook.seg.comms[a].my_rank != c4_hook.seg.comms[b].my_rank);
	/* ranks in calls are the other group's */
	peer_a = c4_comm_world_rank(a, 3);
	peer_b = c4_comm_world_rank(b, 2);
	assert_int_equal(peer_a, 203);
	assert_int_equal(peer_b, 102);
	assert_int_equal(c4_comm_world_rank(a, 4), C4_ANY_PEER);
	retire_all();
}

static void test_world_ranks(void **state)
{
	uint32_t slot;

	(void)state;
	c4_members_init(&group);
	for (int32_t i = 0; i < 500; i++)
		c4_members_add(&group, i * i);
	slot = add_intra(0);
	for (int32_t i = 0; i < 500; i++)
		assert_int_equal(c4_comm_world_rank(slot, i), i * i);
	assert_int_equal(c4_comm_world_rank(slot, 500), C4_ANY_PEER);
	assert_int_equal(c4_comm_world_rank(slot, -1), C4_ANY_PEER);
	assert_int_equal(c4_comm_world_rank(C4_COMM_LOST, 0), C4_ANY_PEER);
	retire_all();
}

static void test_foreign_members(void **state)
{
	(void)state;
	fill(&group, 0, 1, 3);
	c4_members_add(&group, C4_FOREIGN_PEER);
	assert_int_equal(c4_hook.seg.comms[add_intra(0)].flags, C4_COMM_FOREIGN);
	retire_all();
}

static void test_handles(void **state)
{
	(void)state;
	assert_int_equal(c4_comm_find(KEY(1)), C4_COMM_UNKNOWN);
	assert_int_equal(c4_comm_bind(KEY(1), 5), 0);
	assert_int_equal(c4_comm_bind(KEY(2), C4_COMM_ALONE), 0);
	assert_int_equal(c4_comm_find(KEY(1)), 5);
	assert_int_equal(c4_comm_find(KEY(2)), C4_COMM_ALONE);
	assert_int_equal(c4_comm_bind(KEY(1), 6), 0); /* the handle was given out again */
	assert_int_equal(c4_comm_find(KEY(1)), 6);
	c4_comm_unbind(KEY(1));
	c4_comm_unbind(KEY(1));
	assert_int_equal(c4_comm_find(KEY(1)), C4_COMM_UNKNOWN);
	assert_true(c4_comm_bind(0, 1) < 0);
	assert_true(c4_comm_bind(1ULL << 48 | 8, 1) < 0);
	c4_comm_unbind(KEY(2));
	for (int i = 0; i < 256; i++)
		assert_int_equal(c4_comm_bind(KEY(i), (uint32_t)i), 0);
	for (int i = 0; i < 256; i++)
		assert_int_equal(c4_comm_find(KEY(i)), i);
	for (int i = 0; i < 256; i++)
		c4_comm_unbind(KEY(i));
}

static void test_full_bucket_is_refused(void **state)
{
	uint64_t key, bucket = c4_comm_bucket(KEY(0));
	int n = 0;

	(void)state;
	for (key = KEY(0); n < 17; key += 0x10) {
		if (c4_comm_bucket(key) != bucket)
			continue;
		assert_int_equal(c4_comm_bind(key, 1) == 0, n < 16);
		n++;
	}
	for (key = KEY(0); n > 0; key += 0x10)
		if (c4_comm_bucket(key) == bucket) {
			c4_comm_unbind(key);
			n--;
		}
}

/* Live ones beyond the table are counted; freed ones make room, but only when it is needed. */
static void test_full_table(void **state)
{
	uint64_t lost = c4_hook.seg.hdr->lost[C4_LOST_COMMS];
	uint32_t slots[C4_SEG_COMMS];

	(void)state;
	retire_all();
	fill(&group, 1000, 1, 4);
	for (uint32_t i = 0; i < C4_SEG_COMMS; i++) {
		slots[i] = add_intra(0);
		assert_true(slots[i] < C4_SEG_COMMS);
	}
	assert_int_equal(add_intra(0), C4_COMM_LOST);
	assert_int_equal(c4_hook.seg.hdr->lost[C4_LOST_COMMS], lost + 1);
	c4_comm_retire(slots[7]);
	assert_int_equal(c4_hook.seg.comms[slots[7]].state, C4_COMM_DEAD);
	assert_int_equal(add_intra(0), slots[7]);
	retire_all();
}

static void test_members_that_do_not_fit(void **state)
{
	uint64_t lost = c4_hook.seg.hdr->lost[C4_LOST_RUNS];
	uint32_t slot;

	(void)state;
	retire_all();
	c4_members_init(&group);
	for (int32_t i = 0; i < 20000; i++)
		c4_members_add(&group, i * i);
	assert_int_equal(group.nruns, -1);
	slot = add_intra(0);
	assert_true(c4_hook.seg.comms[slot].flags & C4_COMM_TRUNCATED);
	assert_int_equal(c4_hook.seg.comms[slot].size, 20000);
	assert_int_equal(c4_hook.seg.hdr->lost[C4_LOST_RUNS], lost + 1);
	assert_int_equal(c4_comm_world_rank(slot, 3), C4_ANY_PEER);
	retire_all();
}

/* Places in the run table are reused, and no two live communicators share any. */
static void test_run_space(void **state)
{
	uint32_t slot[3];

	(void)state;
	retire_all();
	for (int round = 0; round < 50; round++)
		for (int k = 0; k < 3; k++) {
			if (round)
				c4_comm_retire(slot[k]);
			c4_members_init(&group);
			for (int32_t i = 0; i < 400 + 97 * k; i++)
				c4_members_add(&group, i * i + round + k);
			slot[k] = add_intra(0);
			assert_int_equal(c4_hook.seg.comms[slot[k]].flags, 0);
			for (int j = 0; round && j < 3; j++)
				assert_int_equal(c4_comm_world_rank(slot[j], 20),
						 400 + round - (j > k) + j);
		}
	retire_all();
}

/* The library names the communicator and not its members. */
static void test_given_identity(void **state)
{
	struct c4_comm_given g = {
		.id = 4711, .size = 16, .my_rank = 9, .flags = C4_COMM_GPU, .name = "dp"};
	uint64_t lost = c4_hook.seg.hdr->lost[C4_LOST_COMMS];
	const struct c4_seg_comm *c;
	uint32_t slot;

	(void)state;
	retire_all();
	slot = c4_comm_add_given(&g);
	c = &c4_hook.seg.comms[slot];
	assert_int_equal(c->id, 4711);
	assert_int_equal(c->size, 16);
	assert_int_equal(c->my_rank, 9);
	assert_int_equal(c->flags, C4_COMM_GPU | C4_COMM_REPORTED);
	assert_int_equal(c->run_count, 0);
	assert_int_equal(c->state, C4_COMM_LIVE);
	assert_int_equal(c->gen & 1, 0);
	assert_string_equal(c->name, "dp");
	assert_true(c->created_ticks > 0);
	assert_int_equal(c4_comm_world_rank(slot, 0), C4_ANY_PEER);
	g.name = NULL;
	for (uint32_t i = 1; i < C4_SEG_COMMS; i++)
		assert_string_equal(c4_hook.seg.comms[c4_comm_add_given(&g)].name, "");
	assert_int_equal(c4_comm_add_given(&g), C4_COMM_LOST);
	assert_int_equal(c4_hook.seg.hdr->lost[C4_LOST_COMMS], lost + 1);
	retire_all();
}

static void test_names(void **state)
{
	char longer[64];
	uint32_t slot;

	(void)state;
	memset(longer, 'n', sizeof longer);
	fill(&group, 3000, 1, 2);
	slot = add_intra(0);
	c4_comm_name(slot, "tensor", SIZE_MAX);
	assert_string_equal(c4_hook.seg.comms[slot].name, "tensor");
	c4_comm_name(slot, longer, sizeof longer);
	assert_int_equal(strlen(c4_hook.seg.comms[slot].name), 27);
	c4_comm_name(C4_COMM_LOST, "nobody", 6);
	retire_all();
}

/* ---- progress ------------------------------------------------------------------------------- */

static uint64_t enter(uint32_t slot)
{
	struct c4_seg_comm *c = &c4_hook.seg.comms[slot];

	return __atomic_fetch_add(&c->entered, 1, __ATOMIC_SEQ_CST);
}

static void finish(uint32_t slot, uint64_t opno)
{
	c4_comm_finish_op(&c4_hook.seg.comms[slot], slot, opno);
}

static void test_progress_out_of_order(void **state)
{
	struct c4_seg_comm *c;
	uint32_t slot;

	(void)state;
	fill(&group, 4000 + (int32_t)made++, 1, 2);
	slot = add_intra(0);
	c = &c4_hook.seg.comms[slot];
	for (int i = 0; i < 5; i++)
		enter(slot);
	finish(slot, 2);
	finish(slot, 1);
	assert_int_equal(c->finished, 0); /* the oldest is open */
	finish(slot, 0);
	assert_int_equal(c->finished, 3);
	finish(slot, 4);
	assert_int_equal(c->finished, 3);
	finish(slot, 3);
	assert_int_equal(c->finished, 5);
	retire_all();
}

/* One whose completion we never saw: at the limit the count goes on without it, and says so. */
static void test_progress_of_a_lost_operation(void **state)
{
	uint64_t lost = c4_hook.seg.hdr->lost[C4_LOST_REQUESTS];
	struct c4_seg_comm *c;
	uint32_t slot;

	(void)state;
	fill(&group, 5000 + (int32_t)made++, 1, 2);
	slot = add_intra(0);
	c = &c4_hook.seg.comms[slot];
	enter(slot);
	for (uint64_t i = 1; i < 3 * C4_OPEN_OPS; i++) {
		uint64_t opno = enter(slot);

		if (opno - c->finished >= C4_OPEN_OPS - 1)
			c4_comm_make_room(slot);
		finish(slot, opno);
	}
	assert_int_equal(c->finished, 3 * C4_OPEN_OPS);
	assert_int_equal(c4_hook.seg.hdr->lost[C4_LOST_REQUESTS], lost + 1);
	retire_all();
}

#define RACERS 4
#define RACES  20000

static uint32_t race_slot;
static uint64_t race_next;

/* Each takes numbers and finishes them at once: whatever the order, none is left behind. */
static void *racer(void *arg)
{
	uint64_t opno;

	(void)arg;
	while ((opno = __atomic_fetch_add(&race_next, 1, __ATOMIC_SEQ_CST)) < RACES) {
		struct c4_seg_comm *c = &c4_hook.seg.comms[race_slot];
		uint64_t seen = __atomic_load_n(&c->entered, __ATOMIC_SEQ_CST);

		while (seen < opno + 1 &&
		       !__atomic_compare_exchange_n(&c->entered, &seen, opno + 1, false,
						    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			;
		/* no more open than the table follows: beyond it, losing count is allowed */
		while (opno - __atomic_load_n(&c->finished, __ATOMIC_SEQ_CST) >= C4_OPEN_OPS - 1)
			;
		finish(race_slot, opno);
	}
	return NULL;
}

static void test_progress_of_many_threads(void **state)
{
	pthread_t id[RACERS];

	(void)state;
	fill(&group, 6000 + (int32_t)made++, 1, 2);
	race_slot = add_intra(0);
	for (int i = 0; i < RACERS; i++)
		assert_int_equal(pthread_create(&id[i], NULL, racer, NULL), 0);
	for (int i = 0; i < RACERS; i++)
		pthread_join(id[i], NULL);
	assert_int_equal(c4_hook.seg.comms[race_slot].finished, RACES);
	retire_all();
}

/* ---- under a reader ------------------------------------------------------------------------- */

static int stop_reading;

static void *maker(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3000; i++) {
		uint32_t slot;

		fill(&group, i, 1, (uint32_t)(2 + i % 5));
		slot = add_intra(0);
		c4_comm_name(slot, i % 2 ? "odd" : "even", 4);
		c4_comm_retire(slot);
	}
	__atomic_store_n(&stop_reading, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void test_reader_sees_whole_slots(void **state)
{
	struct c4_seg_reader r;
	struct c4_seg_comm c;
	pthread_t id;

	(void)state;
	assert_int_equal(c4_seg_reader_open(&r, c4_hook.seg.path), 0);
	assert_int_equal(pthread_create(&id, NULL, maker, NULL), 0);
	while (!__atomic_load_n(&stop_reading, __ATOMIC_ACQUIRE))
		for (uint32_t i = 0; i < 8; i++)
			if (!c4_seg_read_comm(&r, i, &c))
				assert_true(c.id && c.size >= 2 && c.run_count >= 1);
	pthread_join(id, NULL);
	c4_seg_reader_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_intercommunicator_sides_agree),
		cmocka_unit_test(test_world_ranks),
		cmocka_unit_test(test_foreign_members),
		cmocka_unit_test(test_handles),
		cmocka_unit_test(test_full_bucket_is_refused),
		cmocka_unit_test(test_full_table),
		cmocka_unit_test(test_members_that_do_not_fit),
		cmocka_unit_test(test_run_space),
		cmocka_unit_test(test_given_identity),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_progress_out_of_order),
		cmocka_unit_test(test_progress_of_a_lost_operation),
		cmocka_unit_test(test_progress_of_many_threads),
		cmocka_unit_test(test_reader_sees_whole_slots),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
