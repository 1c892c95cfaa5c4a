// SPDX-License-Identifier: BSD-3-Clause
/*
 * Which operations tell their steps: a few by number, the same on all members, whatever else a rank
 * does and however its program calls. Through the table that NCCL would find; the mask is read
 * where NCCL reads it, before it tells of the call.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/hook/hook.h"
#include "agent/nccl/abi.h"
#include "agent/nccl/detail.h"

extern const struct c4_abi_profiler_v6 ncclProfiler_v6;
static const struct c4_abi_profiler_v6 *const nccl = &ncclProfiler_v6;

#define STEPS (C4_ABI_PROXY_OP | C4_ABI_PROXY_STEP)
#define MANY  2000u

static char dir[64];
static int mask;
static uint64_t next_id = 100;

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/c4-detail-XXXXXX");
	if (!mkdtemp(dir) || setenv("C4_RUNTIME_DIR", dir, 1) || unsetenv("RANK") ||
	    unsetenv("WORLD_SIZE") || unsetenv("C4_NCCL_DETAIL"))
		return -1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	c4_seg_unlink(&c4_hook.seg);
	return rmdir(dir);
}

static void *open_comm(int rank)
{
	void *ctx = NULL;

	assert_int_equal(nccl->init(&ctx, next_id++, &mask, "test", 1, 4, rank, NULL), 0);
	return ctx;
}

static void *start(void *ctx, struct c4_abi_descr_v6 d)
{
	void *handle = (void *)1;

	assert_int_equal(nccl->start(ctx, &handle, &d), 0);
	return handle;
}

/* The proxies and all of an operation of one channel; whether its steps are told. */
static bool proxied(void *ctx, void *op, int read, int peer)
{
	void *p = NULL, *k;

	if (read & C4_ABI_PROXY_OP)
		p = start(ctx, (struct c4_abi_descr_v6){
				       .type = C4_ABI_PROXY_OP,
				       .parent = op,
				       .proxy_op = {.pid = getpid(), .peer = peer, .is_send = 1}});
	nccl->stop(op);
	k = start(ctx, (struct c4_abi_descr_v6){.type = C4_ABI_KERNEL_CH, .parent = op});
	nccl->stop(p);
	nccl->stop(k);
	return p != NULL;
}

static bool all_reduce(void *ctx, bool captured)
{
	int read = mask;
	void *op;

	start(ctx, (struct c4_abi_descr_v6){.type = C4_ABI_COLL_API,
					    .coll_api = {.captured = captured}});
	start(ctx, (struct c4_abi_descr_v6){.type = C4_ABI_GROUP});
	op = start(ctx, (struct c4_abi_descr_v6){.type = C4_ABI_COLL,
						 .coll = {.func = "AllReduce",
							  .dtype = "ncclFloat32",
							  .count = 256,
							  .channels = 1}});
	return proxied(ctx, op, read, 1);
}

static bool message(void *ctx, int peer, bool sends)
{
	int read = mask;
	void *op;

	start(ctx, (struct c4_abi_descr_v6){.type = C4_ABI_P2P_API});
	start(ctx, (struct c4_abi_descr_v6){.type = C4_ABI_GROUP});
	op = start(ctx, (struct c4_abi_descr_v6){.type = C4_ABI_P2P,
						 .p2p = {.func = sends ? "Send" : "Recv",
							 .dtype = "ncclFloat32",
							 .count = 256,
							 .peer = peer,
							 .channels = 1}});
	return proxied(ctx, op, read, peer);
}

/* ---- the choice ------------------------------------------------------------------------------ */

static void test_one_block_of_eight(void **unused)
{
	uint32_t n = 0, group = C4_DETAIL_BLOCK * C4_DETAIL_OF, at[C4_DETAIL_OF] = {0};

	(void)unused;
	for (uint64_t i = 0; i < C4_DETAIL_BLOCK; i++)
		assert_true(c4_prof_detail_chosen(i));
	for (uint64_t g = 1; g <= 800; g++) {
		n = 0;
		for (uint64_t i = g * group; i < (g + 1) * group; i++) {
			n += c4_prof_detail_chosen(i);
			at[i % group / C4_DETAIL_BLOCK] += c4_prof_detail_chosen(i);
		}
		assert_int_equal(n, C4_DETAIL_BLOCK);
	}
	/* at any place: a program's period does not fall in with it */
	for (uint32_t i = 0; i < C4_DETAIL_OF; i++)
		assert_in_range(at[i], 70 * C4_DETAIL_BLOCK, 130 * C4_DETAIL_BLOCK);
}

/* Exactly the chosen ones, the first of a block, too: the gate opens one call before. */
static void test_collectives_by_number(void **unused)
{
	void *ctx = open_comm(0);

	(void)unused;
	for (uint32_t i = 0; i < MANY; i++)
		assert_int_equal(all_reduce(ctx, false), c4_prof_detail_chosen(i));
	nccl->finalize(ctx);
}

/* Two members, between whose operations other communicators do this and that. */
static void test_members_choose_alike(void **unused)
{
	static bool told[2][MANY];

	(void)unused;
	for (int rank = 0; rank < 2; rank++) {
		void *ctx = open_comm(rank), *other = open_comm(0);

		for (uint32_t i = 0; i < MANY; i++) {
			for (uint32_t k = 0; k < (i * 7 + (uint32_t)rank * 3) % 4; k++)
				all_reduce(other, false);
			told[rank][i] = all_reduce(ctx, false);
		}
		nccl->finalize(other);
		nccl->finalize(ctx);
	}
	assert_memory_equal(told[0], told[1], sizeof told[0]);
	for (uint32_t i = 0; i < MANY; i++)
		assert_int_equal(told[0][i], c4_prof_detail_chosen(i));
}

/* The k-th sent to a peer is the k-th it receives, whatever both do besides. */
static void test_messages_by_peer(void **unused)
{
	static bool sent[MANY], got[MANY];
	void *ctx = open_comm(0);
	uint32_t n = 0;

	(void)unused;
	for (uint32_t i = 0; i < MANY; i++) {
		sent[i] = message(ctx, 1, true);
		message(ctx, 2, true);
		message(ctx, 2, false);
	}
	nccl->finalize(ctx);
	ctx = open_comm(1);
	for (uint32_t i = 0; i < MANY; i++) {
		message(ctx, 3, true);
		got[i] = message(ctx, 0, false);
	}
	nccl->finalize(ctx);
	for (uint32_t i = 0; i < MANY; i++) {
		/* the very first goes before the gate is known to be needed */
		assert_int_equal(sent[i], c4_prof_detail_chosen(i));
		assert_int_equal(got[i], sent[i]);
		n += sent[i];
	}
	assert_in_range(n, MANY / C4_DETAIL_OF * 8 / 10, MANY / C4_DETAIL_OF * 12 / 10);
}

/* What goes into a graph is captured with the gate open; a replay tells by its number. */
static void test_captured(void **unused)
{
	void *ctx = open_comm(0);
	uint32_t n = 0;
	int captured;

	(void)unused;
	for (uint32_t i = 0; i < 40; i++)
		all_reduce(ctx, false);
	start(ctx,
	      (struct c4_abi_descr_v6){.type = C4_ABI_COLL_API, .coll_api = {.captured = true}});
	captured = mask;
	assert_int_equal(captured & STEPS, STEPS);
	for (uint32_t i = 40; i < MANY; i++) {
		void *op = start(ctx, (struct c4_abi_descr_v6){.type = C4_ABI_COLL,
							       .coll = {.func = "AllReduce",
									.dtype = "ncclFloat32",
									.count = 256,
									.channels = 1}});
		bool told = proxied(ctx, op, captured, 1);

		assert_int_equal(told, c4_prof_detail_chosen(i));
		n += told;
	}
	assert_true(n > 0);
	nccl->finalize(ctx);
}

/* What the collector asks for is told whatever its number is. */
static void test_asked_for(void **unused)
{
	void *ctx = open_comm(0);

	(void)unused;
	c4_hook.seg.hdr->detail_until = UINT64_MAX;
	all_reduce(ctx, false);
	for (uint32_t i = 0; i < 200; i++)
		assert_true(all_reduce(ctx, false));
	c4_hook.seg.hdr->detail_until = 1;
	for (uint32_t i = 201; i < 400; i++)
		assert_int_equal(all_reduce(ctx, false), c4_prof_detail_chosen(i));
	nccl->finalize(ctx);
}

/* Between its blocks the gate is closed: steps cost nothing then. */
static void test_gate_is_closed_between(void **unused)
{
	void *ctx = open_comm(0);
	uint32_t open = 0;

	(void)unused;
	for (uint32_t i = 0; i < MANY; i++) {
		open += (mask & STEPS) != 0;
		all_reduce(ctx, false);
	}
	assert_in_range(open, 1, MANY / 5);
	nccl->finalize(ctx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_block_of_eight),
		cmocka_unit_test(test_gate_is_closed_between),
		cmocka_unit_test(test_collectives_by_number),
		cmocka_unit_test(test_members_choose_alike),
		cmocka_unit_test(test_messages_by_peer),
		cmocka_unit_test(test_captured),
		cmocka_unit_test(test_asked_for),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
