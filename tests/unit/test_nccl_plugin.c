// SPDX-License-Identifier: BSD-3-Clause
/*
 * The profiler plugin at its limits, through the table that NCCL would find: what is full, what
 * never ends, what comes too late, what belongs to another process. Event streams of whole
 * operations, with NCCL's threads, are in tests/nccl.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/hook/comm.h"
#include "agent/hook/hook.h"
#include "agent/nccl/abi.h"
#include "c4/op.h"
#include "common/base/segread.h"

extern const struct c4_abi_profiler_v6 ncclProfiler_v6;
static const struct c4_abi_profiler_v6 *const nccl = &ncclProfiler_v6;

#define STEPS (C4_ABI_PROXY_OP | C4_ABI_PROXY_STEP)

static char dir[64];
static struct c4_seg_reader reader;
static int mask;
static uint64_t next_id = 100;

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/c4-nccl-XXXXXX");
	if (!mkdtemp(dir) || setenv("C4_RUNTIME_DIR", dir, 1) || unsetenv("RANK") ||
	    unsetenv("WORLD_SIZE") || setenv("C4_NCCL_DETAIL", "off", 1))
		return -1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	c4_seg_reader_close(&reader);
	c4_seg_unlink(&c4_hook.seg);
	return rmdir(dir);
}

/* ---- what NCCL does -------------------------------------------------------------------------- */

static void *open_comm(int ranks, int rank)
{
	void *ctx = NULL;

	assert_int_equal(nccl->init(&ctx, next_id++, &mask, "test", 1, ranks, rank, NULL), 0);
	assert_non_null(ctx);
	if (reader.toc.magic != C4_SEG_MAGIC)
		assert_int_equal(c4_seg_reader_open(&reader, c4_hook.seg.path), 0);
	return ctx;
}

static void *start(void *ctx, struct c4_abi_descr_v6 d)
{
	void *handle = (void *)1;

	assert_int_equal(nccl->start(ctx, &handle, &d), 0);
	assert_ptr_not_equal(handle, (void *)1);
	return handle;
}

static void *coll(void *ctx, uint8_t channels)
{
	start(ctx, (struct c4_abi_descr_v6){.type = C4_ABI_GROUP});
	return start(ctx, (struct c4_abi_descr_v6){.type = C4_ABI_COLL,
						   .coll = {.func = "AllReduce",
							    .dtype = "ncclFloat32",
							    .count = 256,
							    .channels = channels}});
}

static void kernel_for(void *ctx, void *op, uint8_t channel, uint64_t begin, uint64_t end)
{
	void *k = start(
		ctx, (struct c4_abi_descr_v6){.type = C4_ABI_KERNEL_CH,
					      .parent = op,
					      .kernel_ch = {.channel = channel, .gpu_ns = begin}});
	union c4_abi_args_v4 args = {.kernel_ch = {end}};

	nccl->state(k, C4_ABI_KERNEL_CH_STOP, &args);
	nccl->stop(k);
}

static void *proxy(void *ctx, void *op, uint8_t channel, int peer, bool sends)
{
	return start(ctx, (struct c4_abi_descr_v6){.type = C4_ABI_PROXY_OP,
						   .parent = op,
						   .proxy_op = {.pid = getpid(),
								.channel = channel,
								.peer = peer,
								.steps = 8,
								.is_send = sends}});
}

static void *step(void *op, int number)
{
	return start(NULL, (struct c4_abi_descr_v6){.type = C4_ABI_PROXY_STEP,
						    .parent = op,
						    .proxy_step = {number}});
}

static void state(void *handle, int s, uint64_t bytes)
{
	union c4_abi_args_v4 args = {.proxy_step = {bytes}};

	assert_int_equal(nccl->state(handle, s, &args), 0);
}

/* ---- what a reader sees ---------------------------------------------------------------------- */

static uint64_t lost(enum c4_seg_loss what)
{
	return c4_hook.seg.hdr->lost[what];
}

/* The live communicator; there is one. */
static struct c4_seg_comm comm_seen(void)
{
	struct c4_seg_comm c;

	for (uint32_t i = 0; i < C4_SEG_COMMS; i++)
		if (!c4_seg_read_comm(&reader, i, &c) && c.state == C4_COMM_LIVE)
			return c;
	fail_msg("no live communicator");
	return c;
}

/* The only live connection of this direction. */
static struct c4_seg_conn conn_seen(bool sends)
{
	struct c4_seg_conn c, found = {0};
	int n = 0;

	for (uint32_t i = 0; i < C4_SEG_CONNS; i++)
		if (!c4_seg_read_conn(&reader, i, &c) && c.state == C4_COMM_LIVE &&
		    c.sends == sends) {
			found = c;
			n++;
		}
	assert_int_equal(n, 1);
	return found;
}

static uint32_t live_conns(void)
{
	struct c4_seg_conn c;
	uint32_t n = 0;

	for (uint32_t i = 0; i < C4_SEG_CONNS; i++)
		n += !c4_seg_read_conn(&reader, i, &c) && c.state == C4_COMM_LIVE;
	return n;
}

/* ---- operations ------------------------------------------------------------------------------ */

static void test_largest_communicator_names_the_world(void **unused)
{
	void *pair, *world, *other;

	(void)unused;
	pair = open_comm(2, 1);
	assert_int_equal(c4_hook.seg.hdr->world_rank, 1);
	world = open_comm(16, 5);
	other = open_comm(16, 7);
	assert_int_equal(c4_hook.seg.hdr->world_rank, 5);
	assert_int_equal(c4_hook.seg.hdr->world_size, 16);
	assert_string_equal(c4_hook.seg.hdr->library, "NCCL, profiler API v6");
	nccl->finalize(pair);
	nccl->finalize(world);
	assert_int_equal(c4_hook.seg.hdr->phase, C4_PHASE_RUN);
	nccl->finalize(other);
	assert_int_equal(c4_hook.seg.hdr->phase, C4_PHASE_FINALIZED);
}

static void test_over_with_its_last_channel(void **unused)
{
	void *ctx = open_comm(4, 0), *op = coll(ctx, 2);

	(void)unused;
	assert_int_equal(c4_hook.seg.hdr->phase, C4_PHASE_RUN); /* again */
	nccl->stop(op);
	kernel_for(ctx, op, 3, 1000, 2000);
	assert_int_equal(comm_seen().finished, 0);
	assert_int_equal(comm_seen().gpu_started, 1);
	kernel_for(ctx, op, 4, 1000, 2000);
	assert_int_equal(comm_seen().finished, 1);
	kernel_for(ctx, op, 5, 1000, 2000); /* too late */
	nccl->stop(op);
	assert_int_equal(comm_seen().finished, 1);
	assert_int_equal(comm_seen().gpu_started, 1);
	nccl->finalize(ctx);
}

/* NCCL says 4 channels, 3 come: the next plan's kernel proves that it is over, not its own. */
static void test_fewer_channels_than_told(void **unused)
{
	void *ctx = open_comm(4, 0), *op[2];

	(void)unused;
	op[0] = coll(ctx, 4);
	nccl->stop(op[0]);
	op[1] = coll(ctx, 1);
	nccl->stop(op[1]);
	for (uint8_t ch = 0; ch < 3; ch++)
		kernel_for(ctx, op[0], ch, 1000, 2000);
	assert_int_equal(comm_seen().finished, 0);
	start(ctx, (struct c4_abi_descr_v6){
			   .type = C4_ABI_KERNEL_CH, .parent = op[1], .kernel_ch = {0, 3000}});
	assert_int_equal(comm_seen().finished, 1);
	assert_int_equal(comm_seen().gpu_started, 2);
	nccl->finalize(ctx);
}

/* More in flight than are followed: the oldest are given up, and counted. */
static void test_too_many_in_flight(void **unused)
{
	uint64_t before = lost(C4_LOST_OPS);
	void *ctx = open_comm(4, 0), *first = coll(ctx, 2);

	(void)unused;
	for (int i = 1; i < 1500; i++)
		nccl->stop(coll(ctx, 1));
	assert_int_equal(comm_seen().entered, 1500);
	assert_int_equal(comm_seen().finished, 1500 - 1008);
	assert_int_equal(lost(C4_LOST_OPS) - before, 1500 - 1008);
	assert_int_equal(lost(C4_LOST_REQUESTS), 0);
	/* the first, not even handed over when it was given up, does not begin a second time */
	kernel_for(ctx, first, 0, 1000, 2000);
	nccl->stop(first);
	assert_int_equal(comm_seen().gpu_started, 1500 - 1008);
	assert_int_equal(comm_seen().finished, 1500 - 1008);
	nccl->finalize(ctx);
}

static void test_pool_of_operations_is_full(void **unused)
{
	uint64_t before = lost(C4_LOST_OPS);
	void *ctx[10], *op;

	(void)unused;
	for (int k = 0; k < 10; k++) {
		ctx[k] = open_comm(4, 0);
		for (int i = 0; i < 1000; i++)
			coll(ctx[k], 1); /* not even handed over */
	}
	assert_int_equal(lost(C4_LOST_OPS) - before, 10000 - 8192);
	for (int k = 0; k < 10; k++)
		nccl->finalize(ctx[k]);
	ctx[0] = open_comm(4, 0);
	op = coll(ctx[0], 1);
	assert_non_null(op); /* closing gave all places back */
	kernel_for(ctx[0], op, 0, 1000, 2000);
	assert_int_equal(comm_seen().finished, 1);
	nccl->finalize(ctx[0]);
}

static void test_late_for_a_closed_communicator(void **unused)
{
	void *ctx = open_comm(4, 0), *op = coll(ctx, 2), *p = proxy(ctx, op, 0, 1, true),
	     *s = step(p, 0), *again;

	(void)unused;
	state(s, C4_ABI_SEND_GPU_WAIT, 0);
	nccl->finalize(ctx);
	again = open_comm(4, 0);
	nccl->stop(op);
	kernel_for(ctx, op, 0, 1000, 2000);
	state(s, C4_ABI_SEND_WAIT, 10);
	nccl->stop(s);
	nccl->stop(p);
	assert_null(step(p, 1));
	assert_null(proxy(ctx, op, 0, 1, true));
	assert_null(coll(ctx, 1));
	nccl->finalize(ctx);
	assert_int_equal(comm_seen().entered, 0);
	assert_int_equal(live_conns(), 0);
	nccl->finalize(again);
}

/* … nor the one that got its place in the table. */
static void test_late_for_a_place_in_use_again(void **unused)
{
	void *old = open_comm(4, 0), *again;

	(void)unused;
	nccl->finalize(old);
	for (uint32_t i = 1; i < C4_SEG_COMMS; i++)
		nccl->finalize(open_comm(4, 0));
	again = open_comm(4, 0);
	assert_ptr_not_equal(again, old);
	assert_null(coll(old, 1));
	assert_int_equal(comm_seen().entered, 0);
	nccl->finalize(old);
	assert_non_null(coll(again, 1));
	assert_int_equal(comm_seen().entered, 1);
	nccl->finalize(again);
}

/* ---- connections ----------------------------------------------------------------------------- */

static void test_oldest_step_is_shown(void **unused)
{
	void *ctx = open_comm(4, 0), *op = coll(ctx, 1), *p = proxy(ctx, op, 0, 1, true), *s[3];

	(void)unused;
	for (int i = 0; i < 3; i++) {
		s[i] = step(p, i);
		state(s[i], C4_ABI_SEND_GPU_WAIT, 0);
	}
	assert_int_equal(conn_seen(true).phase, C4_CONN_GPU_WAIT);
	state(s[0], C4_ABI_SEND_WAIT, 10);
	state(s[1], C4_ABI_SEND_PEER_WAIT, 0);
	assert_int_equal(conn_seen(true).phase, C4_CONN_SENDING);
	nccl->stop(s[0]);
	assert_int_equal(conn_seen(true).phase, C4_CONN_PEER_WAIT);
	assert_int_equal(conn_seen(true).posted, 1);
	assert_int_equal(conn_seen(true).done, 1);
	state(s[1], C4_ABI_SEND_WAIT, 20);
	nccl->stop(s[1]);
	assert_int_equal(conn_seen(true).phase, C4_CONN_GPU_WAIT);
	nccl->stop(s[1]); /* twice */
	assert_int_equal(conn_seen(true).done, 2);
	assert_int_equal(conn_seen(true).bytes, 30);
	nccl->finalize(ctx);
}

/* A step is never done before it was posted, whatever NCCL leaves out. */
static void test_states_left_out(void **unused)
{
	void *ctx = open_comm(4, 0), *op = coll(ctx, 1);
	struct c4_seg_conn c;

	(void)unused;
	nccl->stop(step(proxy(ctx, op, 0, 1, true), 0));
	c = conn_seen(true);
	assert_int_equal(c.posted, 1);
	assert_int_equal(c.done, 1);
	state(step(proxy(ctx, op, 0, 1, false), 0), C4_ABI_RECV_FLUSH_WAIT, 5);
	c = conn_seen(false);
	assert_int_equal(c.posted, 1);
	assert_int_equal(c.transmitted, 1);
	assert_int_equal(c.done, 0);
	nccl->finalize(ctx);
}

/* Equal ranks, peers and channels of two communicators are two connections. */
static void test_connections_are_a_communicators_own(void **unused)
{
	void *one = open_comm(4, 0), *two = open_comm(4, 0);
	void *first = proxy(one, coll(one, 1), 0, 1, true);
	void *second = proxy(two, coll(two, 1), 0, 1, true);

	(void)unused;
	state(step(first, 0), C4_ABI_SEND_WAIT, 10);
	assert_int_equal(live_conns(), 2);
	nccl->finalize(one);
	assert_int_equal(conn_seen(true).posted, 0);
	state(step(second, 0), C4_ABI_SEND_WAIT, 10);
	assert_int_equal(conn_seen(true).posted, 1);
	nccl->finalize(two);
}

static void test_table_of_connections_is_full(void **unused)
{
	uint64_t before = lost(C4_LOST_CONNS);
	void *ctx = open_comm(4096, 0), *op = coll(ctx, 1);
	uint32_t kept = 0;

	(void)unused;
	for (int peer = 0; peer < 4096; peer++) {
		void *p = proxy(ctx, op, 0, peer, true);

		kept += p != NULL;
		nccl->stop(p);
	}
	assert_int_equal(kept + lost(C4_LOST_CONNS) - before, 4096);
	assert_true(kept > C4_SEG_CONNS * 3 / 4 && kept <= C4_SEG_CONNS);
	assert_int_equal(live_conns(), kept);
	nccl->finalize(ctx);
	ctx = open_comm(4, 0); /* their places are free again */
	op = coll(ctx, 1);
	for (uint8_t ch = 0; ch < 64; ch++)
		assert_non_null(proxy(ctx, op, ch, 1, true));
	assert_int_equal(live_conns(), 64);
	nccl->finalize(ctx);
}

/* Collnet's and copying proxies begin and never end. */
static void test_proxies_that_never_end(void **unused)
{
	uint64_t before = lost(C4_LOST_OPS);
	void *ctx = open_comm(4, 0), *op, *p;

	(void)unused;
	for (int i = 0; i < 20000; i++) {
		op = coll(ctx, 1);
		p = proxy(ctx, op, 0, 1, false);
		assert_non_null(p);
		nccl->stop(op);
		kernel_for(ctx, op, 0, 1000, 2000);
	}
	assert_int_equal(lost(C4_LOST_OPS), before);
	assert_int_equal(comm_seen().finished, 20000);
	assert_non_null(step(p, 0));
	nccl->finalize(ctx);
	assert_int_equal(live_conns(), 0);
}

/* Under way when it went: their places are free again, whatever had begun. */
static void test_proxies_go_with_their_communicator(void **unused)
{
	uint64_t before = lost(C4_LOST_OPS);

	(void)unused;
	for (int n = 0; n < 5; n++) {
		void *ctx = open_comm(4, 0), *op = coll(ctx, 1);

		for (int i = 0; i < 1000; i++)
			assert_non_null(step(proxy(ctx, op, 0, 1, true), 0));
		nccl->finalize(ctx);
	}
	assert_int_equal(lost(C4_LOST_OPS), before);
}

/* PXN: the context is a number that another process of the node got for the same communicator. */
static void test_on_behalf_of_another_process(void **unused)
{
	void *ctx = open_comm(8, 0), *p;
	struct c4_abi_descr_v6 d = {.type = C4_ABI_PROXY_OP,
				    .parent = (void *)0xdeadbeef0,
				    .rank = 6,
				    .proxy_op = {.pid = getpid() + 1, .peer = 3, .is_send = 1}};
	struct c4_seg_conn c;

	(void)unused;
	p = start(ctx, d);
	state(step(p, 0), C4_ABI_SEND_WAIT, 100);
	c = conn_seen(true);
	assert_int_equal(c.comm, comm_seen().id);
	assert_int_equal(c.rank, 6);
	assert_int_equal(c.peer, 3);
	assert_int_equal(c.flags, C4_CONN_FOREIGN);
	assert_int_equal(c.posted, 1);
	nccl->stop(p);
	nccl->finalize(ctx);
	/* of a communicator that is not known here: kept apart */
	ctx = open_comm(8, 0);
	p = start((void *)0x7f0012345678, d);
	assert_non_null(p);
	assert_true(conn_seen(true).comm != comm_seen().id);
	nccl->stop(p);
	nccl->finalize(ctx);
}

/* Somebody makes a communicator and does not come to an end: ours is lost, the others go on. */
static void test_communicator_beside_one_being_made(void **unused)
{
	uint64_t before = lost(C4_LOST_COMMS);
	void *ctx = open_comm(4, 0), *none = (void *)1;
	int was = mask;

	(void)unused;
	assert_true(c4_comm_lock());
	assert_int_equal(nccl->init(&none, next_id++, &mask, "late", 1, 4, 0, NULL), 0);
	c4_comm_unlock();
	assert_null(none);
	assert_int_equal(mask, was);
	assert_int_equal(lost(C4_LOST_COMMS), before + 1);
	assert_non_null(coll(ctx, 1));
	assert_null(coll(none, 1));
	nccl->finalize(ctx);
}

static void test_detail_on_demand(void **unused)
{
	struct c4_abi_descr_v6 call = {.type = C4_ABI_COLL_API};
	void *ctx = open_comm(4, 0);

	(void)unused;
	assert_int_equal(mask & STEPS, 0);
	assert_true(mask & C4_ABI_COLL && mask & C4_ABI_KERNEL_CH && mask & C4_ABI_CE_COLL);
	c4_hook.seg.hdr->detail_until = UINT64_MAX;
	start(ctx, call);
	assert_int_equal(mask & STEPS, STEPS);
	assert_int_equal(c4_hook.seg.hdr->detail_now, mask);
	c4_hook.seg.hdr->detail_until = 1;
	start(ctx, call);
	assert_int_equal(mask & STEPS, 0);
	assert_int_equal(comm_seen().api_calls, 2);
	call.coll_api.captured = true; /* goes into a graph */
	start(ctx, call);
	assert_int_equal(comm_seen().api_calls, 2);
	nccl->finalize(ctx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_largest_communicator_names_the_world),
		cmocka_unit_test(test_over_with_its_last_channel),
		cmocka_unit_test(test_fewer_channels_than_told),
		cmocka_unit_test(test_too_many_in_flight),
		cmocka_unit_test(test_pool_of_operations_is_full),
		cmocka_unit_test(test_late_for_a_closed_communicator),
		cmocka_unit_test(test_late_for_a_place_in_use_again),
		cmocka_unit_test(test_oldest_step_is_shown),
		cmocka_unit_test(test_states_left_out),
		cmocka_unit_test(test_connections_are_a_communicators_own),
		cmocka_unit_test(test_table_of_connections_is_full),
		cmocka_unit_test(test_proxies_that_never_end),
		cmocka_unit_test(test_proxies_go_with_their_communicator),
		cmocka_unit_test(test_on_behalf_of_another_process),
		cmocka_unit_test(test_communicator_beside_one_being_made),
		cmocka_unit_test(test_detail_on_demand),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
