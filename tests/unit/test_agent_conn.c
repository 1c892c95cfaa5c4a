// SPDX-License-Identifier: BSD-3-Clause
/* Connections: what is told when, within which budget, and what a bad table can do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>

#include <cmocka.h>

#include "agent/daemon/conn.h"
#include "agent/daemon/detail.h"
#include "agent/daemon/post.h"
#include "agent/daemon/target.h"
#include "c4.pb-c.h"
#include "tests/unit/agent_rank.h"

#define MS(x) ((uint64_t)(x)*1000000)

static char dir[64];
static struct rank rank;
static struct c4_target *target;
static struct c4_post_writer *writer;

static int setup(void **state)
{
	struct c4_seg_want want = {.hook = "nccl", .conns = true};

	(void)state;
	snprintf(dir, sizeof dir, "/tmp/c4-conn.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	rank_start_hooks(&rank, dir, 3, "n1", &want, 1);
	target = NULL;
	writer = c4_post_writer_new();
	return !writer;
}

static int teardown(void **state)
{
	(void)state;
	c4_target_close(target);
	c4_post_writer_free(writer);
	rank_release(&rank);
	return rmdir(dir);
}

static void adopt(void)
{
	c4_seg_publish(&rank.seg);
	assert_int_equal(c4_target_open(rank.seg.path, c4_mono_ns(), &target), 0);
}

/* The clock of the segment, so that a test may turn it: an instant in ticks. */
static uint64_t ticks_at(uint64_t ns)
{
	const struct c4_seg_header *h = rank.seg.hdr;

	return h->ticks0 + (uint64_t)((double)(ns - h->mono0_ns) / target->rate.ns_per_tick);
}

/* A connection of communicator 7 to `peer`. */
static struct c4_seg_conn *add_conn(uint32_t slot, int32_t peer)
{
	struct c4_seg_conn *c = &rank.seg.conns[slot];
	uint32_t gen = c->gen;

	*c = (struct c4_seg_conn){.gen = gen + 1, .comm = 7, .rank = 3, .peer = peer, .sends = 1};
	c->state = C4_COMM_LIVE;
	c->gen = gen + 2;
	return c;
}

/* It carries one more step, done at this instant. */
static void carry(uint32_t slot, uint64_t ns)
{
	struct c4_seg_conn *c = &rank.seg.conns[slot];

	c->posted++;
	c->transmitted++;
	c->done++;
	c->bytes += 1 << 19;
	c->busy_ticks += ticks_at(rank.seg.hdr->mono0_ns + 40000) - rank.seg.hdr->ticks0;
	c->gpu_ticks += 12345;
	c->peer_ticks += 54321;
	c->opno++;
	c->phase = C4_CONN_IDLE;
	c->change_ticks = ticks_at(ns);
}

/* It is stuck since this instant. */
static void stick(uint32_t slot, uint64_t ns)
{
	struct c4_seg_conn *c = &rank.seg.conns[slot];

	c->active = 1;
	c->posted++;
	c->phase = C4_CONN_SENDING;
	c->change_ticks = ticks_at(ns);
}

static void look(void)
{
	c4_conns_look(&target->conns, &target->seg);
}

/* The one process of a post made at this instant; *ret_bytes, if not NULL, is the post's length. */
static C4__V1__Post *post_at(uint64_t now_ns, size_t *ret_bytes)
{
	struct c4_post_head head = {.agent = "n1", .instance = 5, .seq = 1, .interval_ms = 500};
	C4__V1__Post *p;
	uint8_t *data;
	size_t len;

	look();
	c4_post_begin(writer);
	assert_true(c4_post_add(writer, target, now_ns));
	data = c4_post_finish(writer, &head, 16, &len);
	assert_non_null(data);
	p = c4__v1__post__unpack(NULL, len, data);
	free(data);
	assert_non_null(p);
	if (ret_bytes)
		*ret_bytes = len;
	return p;
}

static void drop(C4__V1__Post *p)
{
	c4__v1__post__free_unpacked(p, NULL);
}

/* How many connections a post made at this instant tells. */
static size_t told_at(uint64_t now_ns)
{
	C4__V1__Post *p = post_at(now_ns, NULL);
	size_t n = p->processes[0]->n_conns;

	drop(p);
	return n;
}

/* ---- what is told --------------------------------------------------------------------------- */

static void test_message(void **state)
{
	uint64_t now = c4_mono_ns() + MS(5000);
	const C4__V1__Conn *m;
	struct c4_seg_conn *c;
	C4__V1__Post *p;

	(void)state;
	adopt();
	c = add_conn(5, 9);
	c->channel = 2;
	c->flags = C4_CONN_FOREIGN;
	c->opno = 77;
	c->max_us = 1234;
	carry(5, now - MS(1500));
	stick(5, now - MS(1500));
	p = post_at(now, NULL);
	assert_int_equal(p->processes[0]->n_conns, 1);
	assert_int_equal(p->processes[0]->conns_late, 0);
	m = p->processes[0]->conns[0];
	assert_int_equal(m->comm, 7);
	assert_int_equal(m->rank, 3);
	assert_int_equal(m->peer, 9);
	assert_int_equal(m->channel, 2);
	assert_true(m->sends);
	assert_int_equal(m->flags, C4_CONN_FOREIGN);
	assert_int_equal(m->opno, 78);
	assert_int_equal(m->phase, C4_CONN_SENDING);
	assert_int_equal(m->active, 1);
	assert_in_range(m->still_ns, MS(1499), MS(1501));
	assert_int_equal(m->posted, 2);
	assert_int_equal(m->transmitted, 1);
	assert_int_equal(m->done, 1);
	assert_int_equal(m->bytes, 1 << 19);
	assert_in_range(m->busy_ns, 39000, 41000);
	assert_true(m->gpu_ns > 0 && m->peer_ns > m->gpu_ns);
	assert_int_equal(m->max_us, 1234);
	drop(p);
	assert_int_equal(told_at(now + MS(500)), 0); /* nothing new */
	carry(5, now + MS(600));
	assert_int_equal(told_at(now + MS(1000)), 1);
	c4_target_forget_posted(target);
	assert_int_equal(told_at(now + MS(1500)), 1);
}

/* Registered, but nothing has gone through yet: nothing to tell. */
static void test_unused(void **state)
{
	(void)state;
	adopt();
	add_conn(0, 1);
	assert_int_equal(told_at(c4_mono_ns()), 0);
	rank.seg.conns[0].state = C4_COMM_FREE;
	look();
	assert_null(target->conns.slots[0]);
	assert_int_equal(target->conns.nretired, 0);
}

/* A better clock rate must not turn the sums of time back. */
static void test_times_never_go_back(void **state)
{
	uint64_t now = c4_mono_ns() + MS(5000), busy;
	C4__V1__Post *p;

	(void)state;
	adopt();
	add_conn(0, 1);
	carry(0, now);
	p = post_at(now, NULL);
	busy = p->processes[0]->conns[0]->busy_ns;
	drop(p);
	target->rate.ns_per_tick *= 0.5;
	rank.seg.conns[0].active = 1;
	p = post_at(now, NULL);
	assert_int_equal(p->processes[0]->n_conns, 1);
	assert_int_equal(p->processes[0]->conns[0]->busy_ns, busy);
	drop(p);
}

/* ---- taken down ----------------------------------------------------------------------------- */

/* Freed, or its slot taken over, before its last steps were told: told once more, and at rest. */
static void test_retired_told_once(void **state)
{
	uint64_t now = c4_mono_ns() + MS(5000);
	C4__V1__Post *p;

	(void)state;
	adopt();
	add_conn(0, 1);
	add_conn(1, 2);
	carry(0, now);
	carry(1, now);
	assert_int_equal(told_at(now), 2);
	carry(0, now);
	stick(0, now);
	look();
	add_conn(0, 8); /* a new one in its place */
	carry(1, now);
	look();
	rank.seg.conns[1].state = C4_COMM_FREE;
	p = post_at(now, NULL);
	assert_int_equal(p->processes[0]->n_conns, 2);
	for (int i = 0; i < 2; i++) {
		const C4__V1__Conn *m = p->processes[0]->conns[i];

		assert_int_equal(m->done, 2);
		assert_int_equal(m->active, 0);
		assert_int_equal(m->phase, C4_CONN_IDLE);
	}
	drop(p);
	assert_int_equal(target->conns.nretired, 0);
	assert_int_equal(told_at(now), 0);
}

/* Told inside an operation, then freed without any change: the collector must not think it waits.
 */
static void test_retired_inside(void **state)
{
	uint64_t now = c4_mono_ns() + MS(5000);
	C4__V1__Post *p;

	(void)state;
	adopt();
	add_conn(0, 1);
	stick(0, now);
	assert_int_equal(told_at(now), 1);
	rank.seg.conns[0].state = C4_COMM_FREE;
	p = post_at(now, NULL);
	assert_int_equal(p->processes[0]->n_conns, 1);
	assert_int_equal(p->processes[0]->conns[0]->active, 0);
	drop(p);
}

/* Counters that went back without a new registration: another connection for all we know. */
static void test_counters_go_back(void **state)
{
	uint64_t now = c4_mono_ns() + MS(5000);

	(void)state;
	adopt();
	add_conn(0, 1);
	carry(0, now);
	carry(0, now);
	look();
	rank.seg.conns[0].bytes = 5;
	look();
	assert_int_equal(target->conns.nretired, 1);
}

/* ---- order and budget ----------------------------------------------------------------------- */

/* The stuck one first, then the resting one, and the moving ones only from what is left. */
static void test_urgency(void **state)
{
	uint64_t now = c4_mono_ns() + MS(5000);
	C4__V1__Post *p;

	(void)state;
	adopt();
	for (uint32_t i = 0; i < 100; i++) {
		add_conn(i, (int32_t)i);
		carry(i, now);
	}
	told_at(now);
	for (uint32_t i = 0; i < 100; i++)
		carry(i, now);
	carry(98, now - MS(1200));
	stick(99, now - MS(1200));
	p = post_at(now, NULL);
	assert_true(p->processes[0]->n_conns >= 2);
	assert_int_equal(p->processes[0]->conns[0]->peer, 99);
	assert_int_equal(p->processes[0]->conns[1]->peer, 98);
	assert_int_equal(p->processes[0]->n_conns + p->processes[0]->conns_late, 100);
	assert_true(p->processes[0]->conns_late > 0);
	drop(p);
}

/* In a hang all of 64 connections are told in the next post, however busy it was before. */
static void test_hang_after_load(void **state)
{
	uint64_t now = c4_mono_ns() + MS(5000);

	(void)state;
	adopt();
	for (uint32_t i = 0; i < 64; i++)
		add_conn(i, (int32_t)i);
	for (int post = 0; post < 200; post++, now += MS(500)) {
		for (uint32_t i = 0; i < 64; i++)
			carry(i, now);
		told_at(now);
	}
	for (uint32_t i = 0; i < 64; i++)
		stick(i, now);
	assert_int_equal(told_at(now + MS(1100)), 64);
	assert_int_equal(target->conns.late, 0);
}

/*
 * A minute with 64 connections that all move all the time, 80 operations a second among so many
 * communicators: all that goes upstream stays below 2 kB/s, and no connection waits for its turn
 * longer than so many seconds.
 */
static void check_upstream(uint32_t comms, unsigned int patience_s)
{
	uint64_t start = c4_mono_ns() + MS(1000), now = start;
	size_t bytes = 0, len;
	uint64_t heard[64] = {0}, longest = 0;

	adopt();
	for (uint32_t i = 0; i < 64; i++)
		add_conn(i, (int32_t)i);
	for (uint32_t i = 0; i < comms; i++)
		rank_comm(&rank, i, 100 + i);
	for (int post = 0; post < 120; post++, now += MS(500)) {
		C4__V1__Post *p;

		for (uint32_t i = 0; i < 64; i++)
			carry(i, now);
		for (int op = 0; op < 40; op++)
			rank_op(&rank, (uint32_t)op % comms);
		c4_target_drain(target, now, MS(500));
		c4_fold_cut(target->fold, now, MS(2000));
		c4_target_look(target, now);
		p = post_at(now, &len);
		bytes += len;
		for (size_t i = 0; i < p->processes[0]->n_conns; i++) {
			uint64_t *last = &heard[p->processes[0]->conns[i]->peer];

			if (*last && now - *last > longest)
				longest = now - *last;
			*last = now;
		}
		drop(p);
	}
	for (uint32_t i = 0; i < 64; i++)
		assert_true(heard[i] > 0);
	print_message("64 connections, %u communicators: %.0f B/s upstream, each told again within "
		      "%.1f s\n",
		      comms, (double)bytes / 60, (double)longest / 1e9);
	assert_true(bytes / 60 < 2000);
	assert_true(longest < MS(1000.0 * patience_s));
}

static void test_upstream_budget(void **state)
{
	(void)state;
	check_upstream(4, 15);
}

static void test_upstream_of_ten_communicators(void **state)
{
	(void)state;
	check_upstream(10, 15);
}

/* What a member did in its last operations is told again only if it is something else; that its
 * program gave a communicator up is told at once. */
static void test_said_once(void **state)
{
	uint64_t now = c4_mono_ns() + MS(1000);
	C4__V1__Post *p;
	size_t len;

	(void)state;
	adopt();
	rank_comm(&rank, 0, 100);
	for (int post = 0; post < 4; post++, now += MS(500)) {
		for (int op = 0; op < 16; op++)
			rank_op(&rank, 0);
		rank.seg.comms[0].recent[3] = post < 3 ? 77 : 78;
		if (post == 3)
			rank.seg.comms[0].flags |= C4_COMM_ABORTED;
		c4_target_drain(target, now, MS(500));
		c4_target_look(target, now);
		p = post_at(now, &len);
		assert_int_equal(p->processes[0]->n_comms, 1);
		assert_int_equal(p->processes[0]->comms[0]->n_recent,
				 post == 0 || post == 3 ? C4_SEG_RECENT : 0);
		assert_int_equal(p->processes[0]->comms[0]->aborted, post == 3);
		drop(p);
	}
}

/* A process that has much else to tell leaves its connections little, but not nothing. */
static void test_busy_process(void **state)
{
	uint64_t now = c4_mono_ns() + MS(1000);
	size_t told = 0;

	(void)state;
	adopt();
	for (uint32_t i = 0; i < 64; i++)
		add_conn(i, (int32_t)i);
	for (int post = 0; post < 240; post++, now += MS(500)) {
		for (uint32_t i = 0; i < 64; i++)
			carry(i, now);
		look();
		c4_conns_pick(&target->conns, &target->rate, now, false);
		told += post < 60 ? 0 : target->conns.ndue; /* the budget was full at first */
		c4_conns_told(&target->conns, now, target->conns.ndue * 80, 3000);
	}
	assert_in_range(told * 80 / 90, C4_CONNS_RATE_MIN * 3 / 4, C4_CONNS_RATE_MIN * 5 / 4);
}

/* While the collector asks for detail, 64 busy connections are each told every few seconds. */
static void test_asked_for(void **state)
{
	uint64_t now = c4_mono_ns() + MS(1000);
	size_t told = 0;

	(void)state;
	adopt();
	for (uint32_t i = 0; i < 64; i++)
		add_conn(i, (int32_t)i);
	for (int post = 0; post < 240; post++, now += MS(500)) {
		for (uint32_t i = 0; i < 64; i++)
			carry(i, now);
		look();
		c4_conns_ask(&target->conns, post < 180 ? now + MS(2000) : 0);
		c4_conns_pick(&target->conns, &target->rate, now, false);
		told += post >= 60 && post < 180 ? target->conns.ndue : 0;
		c4_conns_told(&target->conns, now, target->conns.ndue * 80, 3000);
	}
	assert_true(told / 60 >= 64 / 3); /* a second */
	assert_in_range(told * 80 / 60, 0, C4_CONNS_RATE_ASKED * 5 / 4);
}

/* More than are read at a look, or fit a post: bounded each time, complete after a while. */
static void test_many(void **state)
{
	uint64_t now = c4_mono_ns() + MS(5000);
	size_t told = 0;

	(void)state;
	adopt();
	for (uint32_t i = 0; i < C4_SEG_CONNS; i++) {
		add_conn(i, (int32_t)i);
		stick(i, now - MS(2000));
	}
	for (int post = 0; post < 800 && told < C4_SEG_CONNS; post++, now += MS(500)) {
		size_t n = told_at(now);

		assert_true(n <= C4_CONNS_POST);
		told += n;
	}
	assert_int_equal(told, C4_SEG_CONNS);
}

/* The process is gone: its last words are not rationed, but bounded. */
static void test_last_words(void **state)
{
	uint64_t start = c4_mono_ns(), now = start + MS(5000);
	C4__V1__Post *p;

	(void)state;
	adopt();
	for (uint32_t i = 0; i < 1000; i++) {
		add_conn(i, (int32_t)i);
		carry(i, now);
	}
	stick(999, start);
	rank_end(&rank, SIGKILL);
	waitpid(rank.pid, NULL, 0);
	c4_target_end(target, c4_mono_ns());
	c4_target_conclude(target, c4_mono_ns());
	p = post_at(now, NULL);
	assert_int_equal(p->processes[0]->n_conns, C4_CONNS_POST);
	assert_int_equal(p->processes[0]->conns[0]->peer, 999);
	assert_int_equal(p->processes[0]->conns_late, 1000 - C4_CONNS_POST);
	drop(p);
}

/* ---- bad tables ----------------------------------------------------------------------------- */

/* The file may say what it likes about its table. */
static void test_absurd_table(void **state)
{
	struct c4_seg_header *h = rank.seg.hdr, good = *h;

	(void)state;
	c4_seg_publish(&rank.seg);
	h->conn_cap = UINT32_MAX;
	assert_int_equal(c4_target_open(rank.seg.path, c4_mono_ns(), &target), -EBADMSG);
	h->conn_cap = good.conn_cap;
	h->conn_bytes = 64;
	assert_int_equal(c4_target_open(rank.seg.path, c4_mono_ns(), &target), -EBADMSG);
	h->conn_bytes = good.conn_bytes;
	h->conn_off = (uint32_t)good.total_bytes;
	assert_int_equal(c4_target_open(rank.seg.path, c4_mono_ns(), &target), -EBADMSG);
	h->conn_off = 0;
	assert_int_equal(c4_target_open(rank.seg.path, c4_mono_ns(), &target), -EBADMSG);
	/* within the file, but more than we care to look at */
	h->conn_off = good.conn_off;
	assert_int_equal(truncate(rank.seg.path, (off_t)good.conn_off + 5000 * 128), 0);
	h->conn_cap = 5000;
	assert_int_equal(c4_target_open(rank.seg.path, c4_mono_ns(), &target), -EBADMSG);
}

/* Entries that cannot be: left out, the others told. */
static void test_absurd_entries(void **state)
{
	uint64_t now = c4_mono_ns() + MS(5000);

	(void)state;
	adopt();
	for (uint32_t i = 0; i < 7; i++) {
		add_conn(i, 1);
		carry(i, now);
	}
	rank.seg.conns[0].gen |= 1;
	rank.seg.conns[1].phase = 77;
	rank.seg.conns[2].rank = -5;
	rank.seg.conns[3].sends = 2;
	rank.seg.conns[4].state = 9;
	rank.seg.conns[5].change_ticks = UINT64_MAX;
	rank.seg.conns[5].busy_ticks = UINT64_MAX;
	assert_int_equal(told_at(now), 2);
}

/* The file was cut in the middle of the table: what was read stays, nothing new comes. */
static void test_truncated(void **state)
{
	uint64_t now = c4_mono_ns() + MS(5000);

	(void)state;
	adopt();
	add_conn(0, 1);
	carry(0, now);
	look();
	assert_int_equal(truncate(rank.seg.path, rank.seg.hdr->conn_off + 100), 0);
	look();
	assert_int_equal(target->conns.nretired, 0);
	assert_int_equal(told_at(now), 1);
	assert_int_equal(told_at(now), 0);
}

/* ---- detail --------------------------------------------------------------------------------- */

static void test_detail(void **state)
{
	uint64_t now;

	(void)state;
	adopt();
	assert_int_equal(rank.seg.hdr->detail_until, 0);
	now = c4_ticks(rank.seg.hdr->clock);
	assert_int_equal(c4_detail_ask(target, MS(2000)), 0);
	assert_true(rank.seg.hdr->detail_until > now);
	assert_in_range(
		(uint64_t)((double)(rank.seg.hdr->detail_until - now) * target->rate.ns_per_tick),
		MS(1990), MS(2500));
}

/* Nothing is written into files that are not (or no longer) what was opened. */
static void test_detail_refused(void **state)
{
	struct stat st;
	int fd;

	(void)state;
	adopt();
	assert_int_equal(truncate(rank.seg.path, 100), 0);
	assert_int_equal(c4_detail_ask(target, MS(2000)), -ESTALE);
	assert_int_equal(stat(rank.seg.path, &st), 0);
	assert_int_equal(st.st_size, 100);
	assert_int_equal(unlink(rank.seg.path), 0);
	assert_int_equal(c4_detail_ask(target, MS(2000)), -ENOENT);
	assert_int_equal(symlink("/etc/hostname", rank.seg.path), 0);
	assert_int_equal(c4_detail_ask(target, MS(2000)), -ELOOP);
	assert_int_equal(unlink(rank.seg.path), 0);
	fd = open(rank.seg.path, O_CREAT | O_EXCL | O_WRONLY, 0600);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	close(fd);
	assert_int_equal(c4_detail_ask(target, MS(2000)), -ESTALE);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_message),
		T(test_unused),
		T(test_times_never_go_back),
		T(test_retired_told_once),
		T(test_retired_inside),
		T(test_counters_go_back),
		T(test_urgency),
		T(test_hang_after_load),
		T(test_upstream_budget),
		T(test_upstream_of_ten_communicators),
		T(test_said_once),
		T(test_busy_process),
		T(test_asked_for),
		T(test_many),
		T(test_last_words),
		T(test_absurd_table),
		T(test_absurd_entries),
		T(test_truncated),
		T(test_detail),
		T(test_detail_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
