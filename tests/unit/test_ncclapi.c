// SPDX-License-Identifier: BSD-3-Clause
/* What the hook on NCCL's calls records of communicators, with stand-ins for NCCL and the CUDA
 * runtime behind it: creation, errors, aborts, threads, children, the plugin beside it. */
#include <pthread.h>
#include <sys/wait.h>

#include "agent/nccl/api/life.h"
#include "tests/unit/ncclapi_scene.h"

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
		cmocka_unit_test(test_errors_and_aborts),
		cmocka_unit_test(test_two_communicators_on_two_threads),
		cmocka_unit_test(test_child_records_nothing),
		cmocka_unit_test(test_steps_aside),
	};

	return cmocka_run_group_tests(tests, scene_setup, scene_teardown);
}
