// SPDX-License-Identifier: BSD-3-Clause
/* What a hook records of calls: state while inside, records after, waits, polls; and when not. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/hook/record.h"
#include "common/base/segread.h"

#define KEY(i) (0x7f0000001000ULL + (uint64_t)(i)*0x180)

static char dir[64];
static struct c4_members group;
static struct c4_seg_reader reader;
static uint32_t slot;

static int setup(void **state)
{
	struct c4_comm_desc d = {.group = &group, .my_rank = 1, .name = "world"};

	(void)state;
	strcpy(dir, "/tmp/c4-record-XXXXXX");
	if (!mkdtemp(dir) || setenv("C4_RUNTIME_DIR", dir, 1) || c4_hook_open("test"))
		return -1;
	c4_members_init(&group);
	for (int32_t i = 0; i < 4; i++)
		c4_members_add(&group, 10 + i);
	slot = c4_comm_add(&d);
	c4_hook_start();
	return c4_seg_reader_open(&reader, c4_hook.seg.path);
}

static int teardown(void **state)
{
	(void)state;
	c4_seg_reader_close(&reader);
	c4_hook_finish();
	return rmdir(dir); /* empty: nobody wanted the segment */
}

static struct c4_seg_comm *comm(void)
{
	return &c4_hook.seg.comms[slot];
}

/* The one new event. */
static struct c4_event event(void)
{
	struct c4_event ev[8];

	assert_int_equal(c4_seg_read_events(&reader, ev, 8), 1);
	return ev[0];
}

/* A macro: the call must be opened in the frame that stays until it is closed. */
#define open_on(call, at)                                                                          \
	do {                                                                                       \
		assert_true(c4_call_open(call));                                                   \
		c4_call_on(call, at);                                                              \
	} while (0)

/* Time passes; how much is asked of the clock itself, not of the scheduler. */
static void pass(uint64_t ns)
{
	struct timespec t0, t;

	clock_gettime(CLOCK_MONOTONIC, &t0);
	do
		clock_gettime(CLOCK_MONOTONIC, &t);
	while ((uint64_t)(t.tv_sec - t0.tv_sec) * 1000000000u + (uint64_t)t.tv_nsec -
		       (uint64_t)t0.tv_nsec <
	       ns);
}

static const struct c4_op_args allreduce = {64, -1, C4_OP_ALLREDUCE, 7, 3};

static void test_blocking(void **state)
{
	struct c4_seg_thread t;
	struct c4_event ev;
	struct c4_call call;

	(void)state;
	open_on(&call, slot);
	c4_op_set(&call, allreduce);
	c4_coll_enter(&call, C4_OP_ALLREDUCE);
	assert_int_equal(comm()->entered, 1);
	assert_int_equal(comm()->finished, 0);
	assert_int_equal(c4_seg_read_thread(&reader, 0, &t), 0);
	assert_int_equal(t.tid, gettid());
	assert_int_equal(t.kind, C4_OP_ALLREDUCE);
	assert_int_equal(t.comm, slot);
	assert_int_equal(t.enter_ticks, comm()->enter_ticks);
	c4_coll_leave(&call, false);
	assert_int_equal(comm()->finished, 1);
	assert_int_equal(c4_seg_read_thread(&reader, 0, &t), 0);
	assert_int_equal(t.kind, C4_OP_NONE);
	assert_int_equal(t.calls, 1);
	ev = event();
	assert_int_equal(ev.comm, comm()->id);
	assert_int_equal(ev.opno, 0);
	assert_int_equal(ev.bytes, 64);
	assert_int_equal(ev.kind, C4_OP_ALLREDUCE);
	assert_int_equal(ev.root, -1);
	assert_int_equal(ev.flags, 0);
	assert_int_equal(ev.before_ticks, 0);
	assert_int_equal(t.inside_ticks, ev.leave_ticks - ev.enter_ticks);
}

static void test_error(void **state)
{
	struct c4_call call;

	(void)state;
	open_on(&call, slot);
	c4_op_set(&call, allreduce);
	c4_coll_enter(&call, C4_OP_ALLREDUCE);
	c4_coll_leave(&call, true);
	assert_int_equal(event().flags, C4_EV_ERROR);
	assert_int_equal(comm()->errors, 1);
}

/* Calls made inside a call are the library's own affair. */
static __attribute__((noinline)) bool opens_inside(void)
{
	volatile char deeper[256] = {0};
	struct c4_call inner;

	(void)deeper;
	return c4_call_open(&inner);
}

static void test_nested(void **state)
{
	struct c4_call call;

	(void)state;
	open_on(&call, slot);
	assert_false(opens_inside());
	c4_call_close(&call);
	assert_null(call.self);
}

static __attribute__((noinline)) void leave_by_jump(jmp_buf *out)
{
	struct c4_call call;

	open_on(&call, slot);
	c4_op_set(&call, allreduce);
	c4_coll_enter(&call, C4_OP_ALLREDUCE);
	longjmp(*out, 1);
}

/* An error handler may jump out of a call: the thread must not be deaf afterwards. */
static void test_jump_out(void **state)
{
	jmp_buf out;
	struct c4_call call;

	(void)state;
	if (!setjmp(out))
		leave_by_jump(&out);
	open_on(&call, slot);
	c4_op_set(&call, allreduce);
	c4_coll_enter(&call, C4_OP_ALLREDUCE);
	c4_coll_leave(&call, false);
	event();
	c4_comm_finish_op(comm(), slot, comm()->entered - 2);
	assert_int_equal(comm()->finished, comm()->entered);
}

static void test_no_slot(void **state)
{
	struct c4_seg_thread t;
	struct c4_call call;
	struct c4_event ev;

	(void)state;
	open_on(&call, C4_COMM_LOST);
	c4_op_set(&call, allreduce);
	c4_coll_enter(&call, C4_OP_ALLREDUCE);
	assert_int_equal(c4_seg_read_thread(&reader, 0, &t), 0);
	assert_int_equal(t.kind, C4_OP_ALLREDUCE); /* still seen inside … */
	assert_int_equal(t.comm, C4_SEG_NO_COMM);
	c4_coll_leave(&call, false);
	assert_int_equal(c4_seg_read_events(&reader, &ev, 1), 0); /* … but no record */
}

static void test_message(void **state)
{
	struct c4_seg_thread t;
	struct c4_call call;
	uint64_t p2p;

	(void)state;
	open_on(&call, slot);
	c4_p2p_sent(slot, 100);
	c4_p2p_enter(&call, C4_OP_SEND, 2, C4_NO_PEER);
	assert_int_equal(c4_seg_read_thread(&reader, 0, &t), 0);
	assert_int_equal(t.kind, C4_OP_SEND);
	assert_int_equal(t.flags, C4_THREAD_SENDING);
	assert_int_equal(t.npeers, 1);
	assert_int_equal(t.peers[0], 12);
	p2p = t.p2p_ticks;
	c4_p2p_leave(&call, false);
	assert_int_equal(comm()->p2p_sends, 1);
	assert_int_equal(comm()->p2p_send_bytes, 100);
	assert_int_equal(c4_seg_read_thread(&reader, 0, &t), 0);
	assert_int_equal(comm()->p2p_wait_ticks, t.p2p_ticks - p2p);
	open_on(&call, slot);
	c4_p2p_enter(&call, C4_OP_RECV, C4_NO_PEER, -1);
	assert_int_equal(c4_hook.seg.threads[0].peers[0], C4_ANY_PEER);
	c4_p2p_leave(&call, false);
}

/* ---- nonblocking ---------------------------------------------------------------------------- */

static void post(uint64_t key)
{
	struct c4_call call;

	open_on(&call, slot);
	c4_op_set(&call, allreduce);
	c4_post(&call);
	c4_posted(&call, key, NULL, 0);
}

static void wait_for(uint64_t key, uint64_t ns)
{
	int32_t cell = c4_request_take(key);
	struct c4_call call;

	assert_true(cell >= 0 && c4_call_open(&call));
	c4_wait_clear(&call);
	c4_wait_add(&call, c4_request_at(cell));
	c4_wait_enter(&call);
	pass(ns);
	c4_wait_leave(&call, false);
	c4_complete(&call, c4_request_at(cell), false);
	c4_request_drop(cell);
}

static void test_wait_that_waited(void **state)
{
	struct c4_event ev;
	uint64_t first = comm()->entered;

	(void)state;
	post(KEY(1));
	post(KEY(2));
	assert_int_equal(comm()->entered, first + 2);
	assert_int_equal(comm()->finished, first);
	wait_for(KEY(2), 50000);
	assert_int_equal(comm()->finished, first); /* the older one is open */
	ev = event();
	assert_int_equal(ev.opno, first + 1);
	assert_int_equal(ev.flags, C4_EV_NONBLOCKING | C4_EV_BLOCKED);
	wait_for(KEY(1), 0);
	assert_int_equal(comm()->finished, first + 2);
	assert_int_equal(event().flags & ~C4_EV_BLOCKED, C4_EV_NONBLOCKING);
}

static void test_wait_shows_the_collective(void **state)
{
	struct c4_request message = {.slot = (uint16_t)slot, .peer = 3, .kind = C4_OP_RECV};
	struct c4_call call;
	int32_t cell;

	(void)state;
	post(KEY(3));
	cell = c4_request_find(KEY(3));
	message.flags = C4_REQ_P2P | C4_REQ_ACTIVE;
	assert_true(c4_call_open(&call));
	c4_wait_clear(&call);
	c4_wait_add(&call, &message);
	c4_wait_add(&call, &message); /* a peer is named once */
	c4_wait_add(&call, c4_request_at(cell));
	c4_wait_enter(&call);
	assert_int_equal(c4_hook.seg.threads[0].kind, C4_OP_WAIT);
	assert_int_equal(c4_hook.seg.threads[0].opno, c4_request_at(cell)->opno);
	assert_int_equal(c4_hook.seg.threads[0].npeers, 1);
	assert_int_equal(c4_hook.seg.threads[0].peers[0], 13);
	c4_wait_leave(&call, false);
	wait_for(KEY(3), 0);
	event();
}

static void test_request_lost_sight_of(void **state)
{
	uint64_t entered = comm()->entered;

	(void)state;
	post(KEY(4));
	post(KEY(4)); /* the handle again: the first must be over */
	assert_int_equal(comm()->finished, entered + 1);
	post(0); /* failed */
	assert_int_equal(comm()->finished, entered + 1);
	c4_unfollow(KEY(4));
	assert_int_equal(comm()->finished, entered + 3);
	assert_int_equal(comm()->entered, entered + 3);
}

static void test_persistent(void **state)
{
	uint64_t entered = comm()->entered;
	struct c4_call call;
	int32_t cell;

	(void)state;
	open_on(&call, slot);
	c4_follow(&call, KEY(5), allreduce, C4_REQ_PERSISTENT);
	c4_call_close(&call);
	assert_int_equal(comm()->entered, entered);
	for (uint64_t i = 0; i < 3; i++) {
		open_on(&call, C4_COMM_LOST);
		c4_start(&call, KEY(5));
		c4_call_close(&call);
		assert_int_equal(comm()->entered, entered + i + 1);
		cell = c4_request_find(KEY(5));
		assert_true(c4_call_open(&call));
		c4_wait_clear(&call);
		c4_wait_enter(&call);
		c4_wait_leave(&call, false);
		c4_complete(&call, c4_request_at(cell), false);
		c4_complete(&call, c4_request_at(cell), false); /* inactive: nothing */
		assert_int_equal(event().opno, entered + i);
		assert_int_equal(comm()->finished, entered + i + 1);
	}
	c4_unfollow(KEY(5));
}

/* ---- polling -------------------------------------------------------------------------------- */

static void poll(struct c4_call *call, bool hit)
{
	assert_true(c4_call_open(call));
	c4_wait_clear(call);
	c4_call_on(call, slot);
	c4_poll_leave(call, hit, true);
}

static void test_polling_is_waiting(void **state)
{
	struct c4_seg_thread *line = &c4_hook.seg.threads[0];
	uint64_t inside;
	struct c4_call call;

	(void)state;
	c4_hook.poll_ticks = UINT64_MAX; /* however slow this machine is */
	inside = line->inside_ticks;
	poll(&call, false);
	assert_int_equal(line->kind, C4_OP_NONE); /* one look is no wait */
	assert_int_equal(line->inside_ticks, inside);
	pass(30000);
	poll(&call, false);
	assert_int_equal(line->kind, C4_OP_WAIT);
	assert_int_equal(line->flags, C4_THREAD_POLLING);
	assert_int_equal(line->leave_ticks - line->enter_ticks, line->inside_ticks - inside);
	poll(&call, true);
	assert_true(call.waited);
	assert_int_equal(line->kind, C4_OP_NONE);
	assert_int_equal(call.leave_ticks - call.enter_ticks, line->inside_ticks - inside);
}

static void test_rare_polls_are_not(void **state)
{
	uint64_t inside = c4_hook.seg.threads[0].inside_ticks;
	struct c4_call call;

	(void)state;
	c4_hook.poll_ticks = 1; /* the program did other things in between */
	for (int i = 0; i < 5; i++) {
		poll(&call, i == 4);
		pass(2000);
	}
	assert_false(call.waited);
	assert_int_equal(c4_hook.seg.threads[0].inside_ticks, inside);
}

static void test_another_call_ends_polling(void **state)
{
	struct c4_seg_thread *line = &c4_hook.seg.threads[0];
	struct c4_call call;

	(void)state;
	c4_hook.poll_ticks = UINT64_MAX;
	poll(&call, false);
	pass(1000);
	poll(&call, false);
	assert_int_equal(line->kind, C4_OP_WAIT);
	open_on(&call, slot);
	c4_p2p_enter(&call, C4_OP_RECV, C4_NO_PEER, 0);
	assert_int_equal(line->flags, 0);
	c4_p2p_leave(&call, false);
	poll(&call, true);
	assert_false(call.waited);
}

/* ---- threads and processes ------------------------------------------------------------------ */

static pthread_barrier_t together;

static void *visitor(void *arg)
{
	struct c4_call call;

	(void)arg;
	assert_true(c4_call_open(&call));
	c4_other_enter(&call, C4_OP_WAIT);
	pthread_barrier_wait(&together);
	c4_other_leave(&call);
	return NULL;
}

static void visit(unsigned int n)
{
	pthread_t id[C4_SEG_THREADS + 8];

	pthread_barrier_init(&together, NULL, n);
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(pthread_create(&id[i], NULL, visitor, NULL), 0);
	for (unsigned int i = 0; i < n; i++)
		pthread_join(id[i], NULL);
	pthread_barrier_destroy(&together);
}

static unsigned int lines_used(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < C4_SEG_THREADS; i++)
		n += c4_hook.seg.threads[i].tid != 0;
	return n;
}

static void test_lines_are_given_back(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++)
		visit(5);
	assert_int_equal(lines_used(), 6); /* ours, and the same five again and again */
	assert_int_equal(c4_hook.seg.hdr->lost[C4_LOST_THREADS], 0);
}

static void test_threads_beyond_the_table(void **state)
{
	(void)state;
	visit(C4_SEG_THREADS + 4); /* ours has a line already */
	assert_int_equal(lines_used(), C4_SEG_THREADS);
	assert_int_equal(c4_hook.seg.hdr->lost[C4_LOST_THREADS], 5);
}

static void test_forked_child_is_inert(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0) {
		struct c4_call call;

		_exit(c4_call_open(&call) ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(c4_hook_live());
}

static void test_errno_is_kept(void **state)
{
	struct c4_call call;

	(void)state;
	errno = 4711;
	open_on(&call, slot);
	c4_op_set(&call, allreduce);
	c4_coll_enter(&call, C4_OP_ALLREDUCE);
	c4_coll_leave(&call, false);
	post(KEY(9));
	wait_for(KEY(9), 0);
	assert_int_equal(c4_hook_open("test"), -EALREADY);
	assert_int_equal(errno, 4711);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocking),
		cmocka_unit_test(test_error),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_jump_out),
		cmocka_unit_test(test_no_slot),
		cmocka_unit_test(test_message),
		cmocka_unit_test(test_wait_that_waited),
		cmocka_unit_test(test_wait_shows_the_collective),
		cmocka_unit_test(test_request_lost_sight_of),
		cmocka_unit_test(test_persistent),
		cmocka_unit_test(test_polling_is_waiting),
		cmocka_unit_test(test_rare_polls_are_not),
		cmocka_unit_test(test_another_call_ends_polling),
		cmocka_unit_test(test_lines_are_given_back),
		cmocka_unit_test(test_threads_beyond_the_table),
		cmocka_unit_test(test_forked_child_is_inert),
		cmocka_unit_test(test_errno_is_kept),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
