// SPDX-License-Identifier: BSD-3-Clause
/* What the hook on NCCL's calls records of operations, with stand-ins for NCCL and the CUDA runtime
 * behind it: times by events, groups, captures, what is in flight. */
#include <errno.h>
#include <pthread.h>

#include "tests/unit/ncclapi_scene.h"

static double ms_of(uint64_t ticks)
{
	struct c4_tick_rate rate;

	c4_tick_rate_init(&rate, c4_hook.clock, c4_hook.seg.hdr->ticks0, c4_hook.seg.hdr->mono0_ns);
	return (double)c4_ticks_to_ns(&rate, ticks) / 1e6;
}

/* The one new event of a communicator's member. */
static struct c4_event event_of(const struct c4_seg_comm *c)
{
	uint16_t slot = (uint16_t)(c - c4_hook.seg.comms);
	struct c4_event ev[64], found = {0};
	long n = c4_seg_read_events(&reader, ev, 64);
	int mine = 0;

	for (long i = 0; i < n; i++) {
		mine += ev[i].slot == slot;
		if (ev[i].slot == slot)
			found = ev[i];
	}
	assert_int_equal(mine, 1);
	return found;
}

/* The other member runs in a thread of its own, so that calls really wait. */
static void *reduce_alone(void *arg)
{
	all_reduce(pair[1], *(size_t *)arg, streams[1]);
	return NULL;
}

static void test_operations_are_timed_on_the_gpu(void **state)
{
	struct c4_seg_comm *c;
	struct c4_event ev;

	(void)state;
	pair_make();
	c = comm_of(pair[0]);
	pair_reduce(256);
	assert_int_equal(c->entered, 2);
	assert_int_equal(c->finished, 1);
	assert_int_equal(c->gpu_started, 1); /* nobody has looked */
	assert_int_equal(c->bytes, 1024);
	assert_int_equal(c->kind, C4_OP_ALLREDUCE);
	ask(pair[0]);
	assert_int_equal(c->finished, 1); /* still running */
	pass_stream(streams[0]);
	ask(pair[0]);
	assert_int_equal(c->finished, 2);
	assert_int_equal(c->gpu_started, 2);
	ev = event_of(c);
	assert_int_equal(ev.opno, 1);
	assert_int_equal(ev.kind, C4_OP_ALLREDUCE);
	assert_int_equal(ev.bytes, 1024);
	assert_int_equal(ev.flags, C4_EV_GPU);
	assert_true(ms_of(ev.leave_ticks - ev.enter_ticks) >= KERNEL_MS * 0.999);
	assert_true(ev.leave_ticks <= c4_ticks(c4_hook.clock));
	pair_drop();
}

/* Back to back on one stream: each begins where the one before ended, whoever looks when. */
static void test_times_follow_each_other(void **state)
{
	struct c4_event ev[8], mine[3];
	uint64_t own = 0;
	long n, k = 0;

	(void)state;
	pair_make();
	for (int i = 0; i < 3; i++)
		pair_reduce(1);
	pass_stream(streams[0]);
	ask(pair[0]);
	n = c4_seg_read_events(&reader, ev, 8);
	for (long i = 0; i < n; i++)
		if (&c4_hook.seg.comms[ev[i].slot] == comm_of(pair[0]) && k < 3)
			mine[k++] = ev[i];
	assert_int_equal(k, 3);
	for (long i = 0; i < 3; i++) {
		assert_int_equal(mine[i].opno, i + 1);
		own = mine[i].leave_ticks - mine[i].enter_ticks;
		assert_true(ms_of(own) > KERNEL_MS * 0.999);
		if (i)
			assert_true(ms_of(mine[i].enter_ticks - mine[i - 1].leave_ticks) < 0.1);
		assert_true(mine[i].before_ticks == mine[0].before_ticks); /* nothing elsewhere */
	}
	pair_drop();
}

static void *ask_once(void *comm)
{
	ask(comm);
	return NULL;
}

/* Who issues and then goes away cannot tell that a kernel runs; who keeps watch can. */
static void test_running_is_for_watchers_to_tell(void **state)
{
	struct c4_seg_comm *c;
	pthread_t watcher;

	(void)state;
	pair_make();
	c = comm_of(pair[0]);
	pair_reduce(1);
	ask(pair[0]);
	assert_int_equal(c->gpu_started, 1);
	setenv("STANDIN_KERNEL_US", "200000", 1);
	pass_stream(streams[0]);
	pair_reduce(1);
	pthread_create(&watcher, NULL, ask_once, pair[0]);
	pthread_join(watcher, NULL);
	setenv("STANDIN_KERNEL_US", "2000", 1);
	assert_int_equal(c->finished, 2);
	assert_int_equal(c->gpu_started, 3);
	assert_true(c->gpu_start_ticks <= c4_ticks(c4_hook.clock));
	pair_drop();
	skip_events();
}

/* The late one is inside for the kernel alone, the other since it came. */
static void test_waiting_is_inside(void **state)
{
	struct c4_event early, late;
	pthread_t thread;
	size_t count = 1;

	(void)state;
	pair_make();
	pthread_create(&thread, NULL, reduce_alone, &count);
	thread_inside(C4_OP_ALLREDUCE);
	standinStreamExtend(streams[0], c4_mono_ns() + 50000000); /* 50 ms of other work */
	assert_int_equal(all_reduce(pair[0], 1, streams[0]), 0);
	pthread_join(thread, NULL);
	pass_stream(streams[0]);
	ask(pair[0]);
	late = event_of(comm_of(pair[0]));
	ask(pair[1]);
	early = event_of(comm_of(pair[1]));
	assert_true(ms_of(late.leave_ticks - late.enter_ticks) < KERNEL_MS + 1);
	assert_true(ms_of(early.leave_ticks - early.enter_ticks) > KERNEL_MS + 20);
	pair_drop();
}

static void test_captured_operations_are_left_alone(void **state)
{
	struct c4_seg_comm *c;

	(void)state;
	pair_make();
	c = comm_of(pair[0]);
	for (int i = 0; i < 2; i++)
		standinStreamCapture(streams[i], 1);
	pair_reduce(1);
	assert_int_equal(c->entered, 1);
	assert_int_equal(c->api_calls, 1);
	standinStreamCapture(streams[0], 0);
	/* another thread's capture is no obstacle, and does not come to harm */
	pair_reduce(1);
	assert_int_equal(c->entered, 2);
	standinStreamCapture(streams[1], 0);
	pass_stream(streams[0]);
	ask(pair[0]);
	assert_int_equal(event_of(c).flags, C4_EV_GPU);
	pair_drop();
}

/* The runtime's last error is the program's to find, errno too. */
static void test_manners(void **state)
{
	int error;

	(void)state;
	pair_make();
	pair_reduce(1);
	ask(pair[0]); /* not ready: an error to the runtime */
	assert_int_equal(cudaPeekAtLastError(), 0);
	cudaEventElapsedTime(NULL, &(uint64_t){0}, &(uint64_t){0});
	error = cudaPeekAtLastError();
	assert_int_not_equal(error, 0);
	pair_reduce(1);
	assert_int_equal(cudaGetLastError(), error);
	pass_stream(streams[0]);
	errno = 4711;
	ask(pair[0]);
	assert_int_equal(errno, 4711);
	pair_drop();
	skip_events();
}

/* With an error pending we do not touch the GPU: times are the host's. */
static void test_host_times(void **state)
{
	struct c4_event ev;

	(void)state;
	pair_make();
	cudaEventElapsedTime(NULL, &(uint64_t){0}, &(uint64_t){0});
	pair_reduce(1);
	cudaGetLastError();
	ask(pair[0]);
	ev = event_of(comm_of(pair[0]));
	assert_int_equal(ev.flags, C4_EV_HOST);
	assert_true(ev.leave_ticks > ev.enter_ticks);
	pair_drop();
}

static void test_nested_calls_count_once(void **state)
{
	struct c4_seg_comm *c;

	(void)state;
	pair_make();
	c = comm_of(pair[0]);
	ncclGroupStart();
	for (int i = 0; i < 2; i++)
		ncclBcast(NULL, 8, ncclInt8, 1, pair[i], streams[i]);
	ncclGroupEnd();
	assert_int_equal(c->entered, 2);
	assert_int_equal(c->kind, C4_OP_BCAST);
	assert_int_equal(c->root, 1);
	assert_int_equal(c->bytes, 8);
	pair_drop();
	skip_events();
}

static void test_messages_are_counted(void **state)
{
	struct c4_seg_comm *c;

	(void)state;
	pair_make();
	c = comm_of(pair[0]);
	ncclSend(NULL, 2, ncclFloat32, 1, pair[0], NULL);
	ncclRecv(NULL, 3, ncclFloat32, 1, pair[0], NULL);
	assert_int_equal(c->p2p_sends, 1);
	assert_int_equal(c->p2p_send_bytes, 8);
	assert_int_equal(c->p2p_recv_bytes, 12);
	assert_int_equal(c->entered, 1);
	pair_drop();
}

/* More in flight than there is room for: counted as lost, never waited for. */
static void test_more_in_flight_than_room(void **state)
{
	uint64_t lost = c4_hook.seg.hdr->lost[C4_LOST_OPS];
	struct c4_seg_comm *c;

	(void)state;
	pair_make();
	c = comm_of(pair[0]);
	standinStreamExtend(streams[0], c4_mono_ns() + 50000000);
	for (int i = 0; i < 300; i++)
		pair_reduce(1);
	assert_int_equal(c->entered, 301);
	assert_true(c4_hook.seg.hdr->lost[C4_LOST_OPS] > lost);
	assert_int_equal(c->finished, 1); /* those without a place do not overtake the others */
	pair_drop();
	skip_events();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_operations_are_timed_on_the_gpu),
		cmocka_unit_test(test_times_follow_each_other),
		cmocka_unit_test(test_running_is_for_watchers_to_tell),
		cmocka_unit_test(test_waiting_is_inside),
		cmocka_unit_test(test_captured_operations_are_left_alone),
		cmocka_unit_test(test_manners),
		cmocka_unit_test(test_host_times),
		cmocka_unit_test(test_nested_calls_count_once),
		cmocka_unit_test(test_messages_are_counted),
		cmocka_unit_test(test_more_in_flight_than_room),
	};

	return cmocka_run_group_tests(tests, scene_setup, scene_teardown);
}
