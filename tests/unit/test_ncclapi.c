// SPDX-License-Identifier: BSD-3-Clause
/* What the hook on NCCL's calls records, with stand-ins for NCCL and the CUDA runtime behind it:
 * creation, operations timed by events, groups, captures, errors, aborts, threads, children. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/hook/comm.h"
#include "agent/hook/thread.h"
#include "agent/nccl/api/life.h"
#include "c4/op.h"
#include "common/base/clock.h"
#include "common/base/segread.h"
#include "tests/nccl/fake/cudart.h"
#include "tests/nccl/fake/nccl.h"

#define KERNEL_MS 2

static char dir[64];
static struct c4_seg_reader reader;

static int setup(void **state)
{
	int version;

	(void)state;
	strcpy(dir, "/tmp/c4-ncclapi-XXXXXX");
	if (!mkdtemp(dir) || setenv("C4_RUNTIME_DIR", dir, 1) || setenv("STANDIN_DIR", dir, 1) ||
	    setenv("STANDIN_KERNEL_US", "2000", 1))
		return -1;
	unsetenv("OMPI_COMM_WORLD_RANK");
	unsetenv("RANK");
	if (c4_hook.seg.base || ncclGetVersion(&version) || !c4_hook.seg.base)
		return -1; /* nothing before the first call, then a segment */
	return c4_seg_reader_open(&reader, c4_hook.seg.path);
}

static int teardown(void **state)
{
	char command[96];

	(void)state;
	c4_seg_reader_close(&reader);
	snprintf(command, sizeof command, "rm -r %s", dir);
	return system(command);
}

static struct c4_seg_comm *comm_of(ncclComm_t comm)
{
	uint32_t slot = c4_comm_find((uintptr_t)comm);

	assert_true(slot < C4_SEG_COMMS);
	return &c4_hook.seg.comms[slot];
}

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

static void skip_events(void)
{
	struct c4_event ev[64];

	while (c4_seg_read_events(&reader, ev, 64) > 0)
		;
}

/* Until the stream has done what it has; the stand-in's clock is the host's. */
static void pass_stream(void *stream)
{
	uint64_t end = standinStreamEnd(stream);

	while (c4_mono_ns() <= end)
		;
}

static int ask(ncclComm_t comm)
{
	int error;

	assert_int_equal(ncclCommGetAsyncError(comm, &error), 0);
	return error;
}

static int all_reduce(ncclComm_t comm, size_t count, void *stream)
{
	return ncclAllReduce(NULL, NULL, count, ncclFloat32, ncclSum, comm, stream);
}

/* ---- a communicator of two, both of this process: NCCL allows it in groups ------------------- */

static ncclComm_t pair[2];
static void *streams[2];

static void pair_make(void)
{
	ncclUniqueId id;

	ncclGetUniqueId(&id);
	ncclGroupStart();
	for (int i = 0; i < 2; i++) {
		cudaStreamCreate(&streams[i]);
		assert_int_equal(ncclCommInitRank(&pair[i], 2, id, i), 0);
	}
	assert_int_equal(ncclGroupEnd(), 0);
	skip_events();
}

static void streams_drop(void)
{
	for (int i = 0; i < 2; i++)
		cudaStreamDestroy(streams[i]);
}

static void pair_drop(void)
{
	for (int i = 0; i < 2; i++)
		ncclCommDestroy(pair[i]);
	streams_drop();
}

static void pair_reduce(size_t count)
{
	ncclGroupStart();
	for (int i = 0; i < 2; i++)
		assert_int_equal(all_reduce(pair[i], count, streams[i]), 0);
	assert_int_equal(ncclGroupEnd(), 0);
}

/* The other member runs in a thread of its own, so that calls really wait. */
static void *reduce_alone(void *arg)
{
	all_reduce(pair[1], *(size_t *)arg, streams[1]);
	return NULL;
}

/* ---- creation ------------------------------------------------------------------------------- */

static void test_creation(void **state)
{
	struct c4_seg_comm *c;

	(void)state;
	pair_make();
	c = comm_of(pair[1]);
	assert_string_equal(c4_hook.seg.hdr->hook, "nccl-api");
	assert_string_equal(c4_hook.seg.hdr->library, "NCCL 2.28.9");
	assert_int_equal(c4_hook.seg.hdr->world_size, 2);
	assert_int_equal(c->size, 2);
	assert_int_equal(c->my_rank, 1);
	assert_int_equal(c->flags, C4_COMM_GPU | C4_COMM_REPORTED);
	assert_int_equal(c->entered, 1);
	assert_int_equal(c->finished, 1);
	assert_int_equal(c->kind, C4_OP_COMM_CREATE);
	assert_true(c->id == comm_of(pair[0])->id); /* all members say the same */
	pair_drop();
	assert_int_equal(c->state, C4_COMM_DEAD);
}

static void *join_late(void *arg)
{
	assert_int_equal(ncclCommInitRank(&pair[1], 2, *(ncclUniqueId *)arg, 1), 0);
	return NULL;
}

/* Looks at what other threads write, as an agent does. */
#define ONLOOKER __attribute__((no_sanitize("thread")))

ONLOOKER static struct c4_seg_comm *creating(void)
{
	for (;;)
		for (uint32_t i = 0; i < C4_SEG_COMMS; i++) {
			struct c4_seg_comm *c = &c4_hook.seg.comms[i];

			if (c->state == C4_COMM_LIVE &&
			    __atomic_load_n(&c->entered, __ATOMIC_ACQUIRE) == 1)
				return c;
		}
}

ONLOOKER static struct c4_seg_thread *thread_inside(uint8_t kind)
{
	for (;;)
		for (uint32_t i = 0; i < C4_SEG_THREADS; i++)
			if (__atomic_load_n(&c4_hook.seg.threads[i].kind, __ATOMIC_ACQUIRE) == kind)
				return &c4_hook.seg.threads[i];
}

/* Before all members are there, those who are show where they wait. */
ONLOOKER static void test_creation_is_seen_from_its_beginning(void **state)
{
	struct c4_seg_thread *line;
	struct c4_seg_comm *c;
	pthread_t thread;
	ncclUniqueId id;

	(void)state;
	ncclGetUniqueId(&id);
	pthread_create(&thread, NULL, join_late, &id);
	c = creating();
	assert_int_equal(c->my_rank, 1);
	assert_int_equal(c->finished, 0);
	line = thread_inside(C4_OP_COMM_CREATE);
	assert_ptr_equal(&c4_hook.seg.comms[line->comm], c);
	assert_int_equal(line->opno, 0);
	assert_int_equal(ncclCommInitRank(&pair[0], 2, id, 0), 0);
	pthread_join(thread, NULL);
	assert_int_equal(c->finished, 1);
	assert_int_equal(line->kind, C4_OP_NONE);
	ncclCommDestroy(pair[0]);
	ncclCommDestroy(pair[1]);
}

static void test_nonblocking_creation(void **state)
{
	ncclUniqueId id;
	int any;

	(void)state;
	ncclGetUniqueId(&id);
	assert_int_equal(ncclCommInitRankConfig(&pair[0], 2, id, 0, &any), ncclInProgress);
	assert_int_equal(ask(pair[0]), ncclInProgress);
	assert_int_equal(comm_of(pair[0])->entered, 1);
	assert_int_equal(comm_of(pair[0])->finished, 0);
	assert_int_equal(ncclCommInitRankConfig(&pair[1], 2, id, 1, &any), ncclInProgress);
	for (int i = 0; i < 2; i++) {
		while (ask(pair[i]) == ncclInProgress)
			;
		assert_int_equal(comm_of(pair[i])->finished, 1);
		ncclCommDestroy(pair[i]);
	}
}

static void test_failed_creation_is_no_communicator(void **state)
{
	ncclUniqueId id = {"/no/such/directory/at/all"};
	uint32_t live = 0;

	(void)state;
	assert_int_not_equal(ncclCommInitRank(&pair[0], 2, id, 0), 0);
	for (uint32_t i = 0; i < C4_SEG_COMMS; i++)
		live += c4_hook.seg.comms[i].state == C4_COMM_LIVE;
	assert_int_equal(live, 0);
}

static void test_who_waits_for_nobody_is_not_recorded(void **state)
{
	const int devices[] = {0, 1};
	ncclUniqueId id;

	(void)state;
	ncclGetUniqueId(&id);
	assert_int_equal(ncclCommInitRank(&pair[0], 1, id, 0), 0);
	assert_int_equal(c4_comm_find((uintptr_t)pair[0]), C4_COMM_ALONE);
	ncclCommDestroy(pair[0]);
	assert_int_equal(ncclCommInitAll(pair, 2, devices), 0);
	assert_int_equal(c4_comm_find((uintptr_t)pair[1]), C4_COMM_ALONE);
	ncclCommDestroy(pair[0]);
	ncclCommDestroy(pair[1]);
}

struct splitter {
	pthread_t thread;
	int rank, color;
	ncclComm_t child;
};

static void *split(void *arg)
{
	struct splitter *s = arg;

	assert_int_equal(ncclCommSplit(pair[s->rank], s->color, 1 - s->rank, &s->child, NULL), 0);
	return NULL;
}

static void split_pair(struct splitter s[2], int color0, int color1)
{
	for (int i = 0; i < 2; i++) {
		s[i] = (struct splitter){.rank = i, .color = i ? color1 : color0};
		pthread_create(&s[i].thread, NULL, split, &s[i]);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(s[i].thread, NULL);
}

static void test_split(void **state)
{
	struct splitter s[2];
	uint64_t first;

	(void)state;
	pair_make();
	split_pair(s, 4, 4);
	assert_int_equal(comm_of(pair[0])->entered, 2);
	assert_int_equal(comm_of(pair[0])->finished, 2);
	first = comm_of(s[0].child)->id;
	assert_true(first == comm_of(s[1].child)->id && first != comm_of(pair[0])->id);
	assert_int_equal(comm_of(s[0].child)->my_rank, 1); /* by key */
	ncclCommDestroy(s[0].child);
	ncclCommDestroy(s[1].child);
	split_pair(s, 4, 4);
	assert_true(comm_of(s[0].child)->id != first);
	ncclCommDestroy(s[0].child);
	ncclCommDestroy(s[1].child);
	split_pair(s, -1, 4); /* one stays out, the other is alone */
	assert_null(s[0].child);
	assert_int_equal(c4_comm_find((uintptr_t)s[1].child), C4_COMM_ALONE);
	ncclCommDestroy(s[1].child);
	pair_drop();
}

/* ---- operations ----------------------------------------------------------------------------- */

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

/* ---- errors --------------------------------------------------------------------------------- */

static void test_errors_and_aborts(void **state)
{
	struct c4_seg_comm *c;

	(void)state;
	pair_make();
	c = comm_of(pair[0]);
	setenv("STANDIN_ERROR_AFTER", "1", 1);
	pair_reduce(1);
	unsetenv("STANDIN_ERROR_AFTER");
	assert_int_equal(ask(pair[0]), ncclRemoteError);
	assert_int_equal(c->async_error, ncclRemoteError);
	assert_int_equal(ncclCommAbort(pair[0]), 0);
	assert_true(c->flags & C4_COMM_ABORTED);
	assert_int_equal(c->state, C4_COMM_DEAD);
	c = comm_of(pair[1]);
	assert_int_equal(all_reduce(pair[1], 1, streams[1]), ncclRemoteError);
	assert_int_equal(c->errors, 1);
	assert_int_equal(ncclCommRevoke(pair[1], 0), ncclInvalidUsage); /* the stand-in has none */
	ncclCommDestroy(pair[1]);
	streams_drop();
	skip_events();
}

/* ---- threads and processes ------------------------------------------------------------------ */

#define ROUNDS 500

static void *run_ring(void *arg)
{
	ncclUniqueId id;
	ncclComm_t comm[2];
	void *stream[2];

	(void)arg;
	ncclGetUniqueId(&id);
	ncclGroupStart();
	for (int i = 0; i < 2; i++) {
		cudaStreamCreate(&stream[i]);
		ncclCommInitRank(&comm[i], 2, id, i);
	}
	ncclGroupEnd();
	for (int k = 0; k < ROUNDS; k++) {
		ncclGroupStart();
		for (int i = 0; i < 2; i++)
			all_reduce(comm[i], 4, stream[i]);
		ncclGroupEnd();
	}
	for (int i = 0; i < 2; i++) {
		ncclCommDestroy(comm[i]);
		cudaStreamDestroy(stream[i]);
	}
	return NULL;
}

static int watching; /* atomic */

/* As a framework's watchdog does. */
static void *watch(void *comm)
{
	while (__atomic_load_n(&watching, __ATOMIC_RELAXED))
		ask(comm);
	return NULL;
}

static void test_two_communicators_on_two_threads(void **state)
{
	pthread_t ring[2], watchdog;

	(void)state;
	setenv("STANDIN_KERNEL_US", "10", 1);
	pair_make();
	watching = 1;
	pthread_create(&watchdog, NULL, watch, pair[0]);
	for (int i = 0; i < 2; i++)
		pthread_create(&ring[i], NULL, run_ring, NULL);
	for (int k = 0; k < ROUNDS; k++)
		pair_reduce(4);
	for (int i = 0; i < 2; i++)
		pthread_join(ring[i], NULL);
	__atomic_store_n(&watching, 0, __ATOMIC_RELAXED);
	pthread_join(watchdog, NULL);
	pass_stream(streams[0]);
	while (comm_of(pair[0])->finished < comm_of(pair[0])->entered)
		ask(pair[0]);
	assert_int_equal(comm_of(pair[0])->entered, ROUNDS + 1);
	pair_drop();
	setenv("STANDIN_KERNEL_US", "2000", 1);
	skip_events();
}

static void test_child_records_nothing(void **state)
{
	struct c4_seg_comm *c;
	uint64_t before;
	int status;
	pid_t pid;

	(void)state;
	pair_make();
	c = comm_of(pair[0]);
	before = c->entered;
	pid = fork();
	if (!pid) {
		pair_reduce(1);
		_exit(ask(pair[0]));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(c->entered, before);
	assert_int_equal(c->state, C4_COMM_LIVE);
	pair_drop();
}

/* ---- the plugin beside us ------------------------------------------------------------------- */

/* Its segment appears while a communicator is created: from then on operations are its to record,
 * creation and errors are not. Last: there is no way back. */
static void test_steps_aside(void **state)
{
	struct c4_seg theirs = {0};
	struct c4_seg_comm *c;

	(void)state;
	assert_true(c4_api_watching());
	assert_int_equal(c4_seg_create_for(&theirs, dir, &(struct c4_seg_want){.hook = "nccl"}), 0);
	pair_make();
	assert_false(c4_api_watching());
	c = comm_of(pair[0]);
	assert_int_equal(c->entered, 1);
	assert_int_equal(c->finished, 1);
	setenv("STANDIN_ERROR_AFTER", "1", 1);
	pair_reduce(1);
	assert_int_equal(c->entered, 1);
	ask(pair[0]);
	assert_int_equal(c->async_error, ncclRemoteError);
	ncclCommAbort(pair[0]);
	assert_int_equal(all_reduce(pair[1], 1, streams[1]), ncclRemoteError);
	assert_int_equal(comm_of(pair[1])->errors, 1);
	ncclCommDestroy(pair[1]);
	streams_drop();
	c4_seg_close(&theirs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_creation),
		cmocka_unit_test(test_creation_is_seen_from_its_beginning),
		cmocka_unit_test(test_nonblocking_creation),
		cmocka_unit_test(test_failed_creation_is_no_communicator),
		cmocka_unit_test(test_who_waits_for_nobody_is_not_recorded),
		cmocka_unit_test(test_split),
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
		cmocka_unit_test(test_errors_and_aborts),
		cmocka_unit_test(test_two_communicators_on_two_threads),
		cmocka_unit_test(test_child_records_nothing),
		cmocka_unit_test(test_steps_aside),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
