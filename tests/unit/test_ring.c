// SPDX-License-Identifier: BSD-3-Clause
/* The event ring: many writers, one reader in step or behind, what is lost is counted. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/hash.h"
#include "common/base/segment.h"
#include "common/base/segread.h"

#define WRITERS	   4
#define PER_WRITER 60000u
#define BATCH	   512

static char dir[64];
static struct c4_seg seg;
static struct c4_seg_reader reader;

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/c4-ring-XXXXXX");
	if (!mkdtemp(dir) || c4_seg_create(&seg, dir))
		return -1;
	c4_seg_publish(&seg);
	return c4_seg_reader_open(&reader, seg.path);
}

static int teardown(void **state)
{
	(void)state;
	c4_seg_reader_close(&reader);
	c4_seg_unlink(&seg);
	c4_seg_close(&seg);
	return rmdir(dir);
}

/* Every field follows from (writer, number): a torn record cannot look whole. */
static struct c4_event make_event(uint64_t writer, uint64_t number)
{
	uint64_t h = c4_hash_u64(writer, number);

	return (struct c4_event){
		.comm = writer + 1,
		.opno = number,
		.enter_ticks = h,
		.leave_ticks = h + 1,
		.before_ticks = h + 2,
		.bytes = h + 3,
		.kind = (uint8_t)h,
		.flags = (uint8_t)(h >> 8),
		.slot = (uint16_t)(h >> 16),
		.root = (int32_t)(uint32_t)(h >> 32),
	};
}

/* Counted, not asserted on the spot: a failed assertion would unmap the ring under the writers. */
static uint32_t torn, disordered;

static void check_event(const struct c4_event *ev, uint64_t next[WRITERS])
{
	struct c4_event want = make_event(ev->comm - 1, ev->opno);
	uint64_t w = ev->comm - 1;

	want.stamp = ev->stamp;
	if (memcmp(ev, &want, sizeof want) != 0 || w >= WRITERS) {
		torn++;
		return;
	}
	disordered += ev->opno < next[w];
	next[w] = ev->opno + 1;
}

static uint32_t writing; /* writers that are not done yet */

static void *writer(void *arg)
{
	uint64_t me = (uint64_t)(uintptr_t)arg;

	for (uint64_t i = 0; i < PER_WRITER; i++) {
		struct c4_event ev = make_event(me, i);

		c4_seg_push(&seg, &ev);
	}
	__atomic_fetch_sub(&writing, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* Drains what is there; each writer's events come in order. */
static uint64_t drain(uint64_t next[WRITERS])
{
	struct c4_event ev[BATCH];
	uint64_t got = 0;
	long n;

	while ((n = c4_seg_read_events(&reader, ev, BATCH)) > 0) {
		for (long i = 0; i < n; i++)
			check_event(&ev[i], next);
		got += (uint64_t)n;
	}
	torn += n < 0;
	return got;
}

static void test_many_writers(void **state)
{
	uint64_t next[WRITERS] = {0}, got = 0;
	pthread_t id[WRITERS];

	(void)state;
	__atomic_store_n(&writing, WRITERS, __ATOMIC_RELAXED);
	for (uintptr_t i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&id[i], NULL, writer, (void *)i), 0);
	while (__atomic_load_n(&writing, __ATOMIC_ACQUIRE))
		got += drain(next);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(id[i], NULL);
	/* a writer that slept for a whole lap has put its old record over a newer one: a hole that
	 * only the end of the writers tells from a record under way */
	reader.owner_gone = 1;
	got += drain(next);
	assert_int_equal(torn, 0);
	assert_int_equal(disordered, 0);
	/* nothing appears twice, nothing vanishes uncounted */
	assert_int_equal(got + reader.lost, WRITERS * PER_WRITER);
	assert_int_equal(seg.hdr->head, WRITERS * PER_WRITER);
}

static void push_n(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		struct c4_event ev = make_event(0, i);

		c4_seg_push(&seg, &ev);
	}
}

static void test_reader_in_step_loses_nothing(void **state)
{
	uint64_t next[WRITERS] = {0}, got = 0;

	(void)state;
	for (int i = 0; i < 5; i++) {
		push_n(C4_SEG_EVENTS - 7);
		next[0] = 0;
		got += drain(next);
	}
	assert_int_equal(got, 5 * (C4_SEG_EVENTS - 7));
	assert_int_equal(reader.lost, 0);
}

static void test_overrun_is_counted(void **state)
{
	uint64_t next[WRITERS] = {0}, got;

	(void)state;
	push_n(3 * C4_SEG_EVENTS + 100);
	got = drain(next);
	assert_int_equal(got, C4_SEG_EVENTS);
	assert_int_equal(reader.lost, 2 * C4_SEG_EVENTS + 100);
	assert_int_equal(next[0], 3 * C4_SEG_EVENTS + 100);
}

/* The reader waits for a writer in the middle of a record, and goes on when it is done. */
static void test_half_written(void **state)
{
	uint64_t next[WRITERS] = {0};

	(void)state;
	push_n(3);
	__atomic_store_n(&seg.ring[1].stamp, C4_STAMP_BUSY, __ATOMIC_RELEASE);
	assert_int_equal(drain(next), 1);
	assert_int_equal(drain(next), 0);
	__atomic_store_n(&seg.ring[1].stamp, 2, __ATOMIC_RELEASE);
	assert_int_equal(drain(next), 2);
	assert_int_equal(reader.lost, 0);
}

/* A head that jumps (a foreign hand in the file) is loss, not a loop. */
static void test_absurd_head(void **state)
{
	struct c4_event ev[BATCH];
	uint64_t next[WRITERS] = {0};

	(void)state;
	push_n(10);
	assert_int_equal(drain(next), 10);
	__atomic_store_n(&seg.hdr->head, 1ULL << 60, __ATOMIC_RELAXED);
	for (int i = 0; i < 100; i++)
		assert_true(c4_seg_read_events(&reader, ev, BATCH) >= 0);
	assert_true(reader.lost > 1ULL << 59);
	__atomic_store_n(&seg.hdr->head, 3, __ATOMIC_RELAXED);
	assert_true(c4_seg_read_events(&reader, ev, BATCH) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_many_writers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reader_in_step_loses_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_overrun_is_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_half_written, setup, teardown),
		cmocka_unit_test_setup_teardown(test_absurd_head, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
