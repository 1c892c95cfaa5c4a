// SPDX-License-Identifier: BSD-3-Clause
/* Queue pairs of a verbs library without devices: labels, how it is found, live moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>

#if __has_include(<infiniband/verbs.h>)
#include <infiniband/verbs.h>
#undef ibv_query_gid
#define HAVE_VERBS 1
#endif
#if __has_include(<rdma/ib_user_verbs.h>)
#include <rdma/ib_user_verbs.h>
#endif

#include "agent/route/qps.h"
#include "tests/unit/verbs_scene.h"

#define ROUNDS 30

/* ---- layouts -------------------------------------------------------------------------------- */

#define SAME(ours, theirs, a, b)                                                                   \
	assert_int_equal(offsetof(struct ours, a), offsetof(struct theirs, b))

static void test_layouts(void **state)
{
	(void)state;
#ifdef HAVE_VERBS
	assert_int_equal(sizeof(struct c4_ibv_ah), sizeof(struct ibv_ah_attr));
	SAME(c4_ibv_ah, ibv_ah_attr, flow_label, grh.flow_label);
	SAME(c4_ibv_ah, ibv_ah_attr, sgid_index, grh.sgid_index);
	SAME(c4_ibv_ah, ibv_ah_attr, traffic_class, grh.traffic_class);
	SAME(c4_ibv_ah, ibv_ah_attr, is_global, is_global);
	SAME(c4_ibv_ah, ibv_ah_attr, port_num, port_num);
	assert_int_equal(sizeof(struct c4_ibv_attr), sizeof(struct ibv_qp_attr));
	SAME(c4_ibv_attr, ibv_qp_attr, state, qp_state);
	SAME(c4_ibv_attr, ibv_qp_attr, dest_qp_num, dest_qp_num);
	SAME(c4_ibv_attr, ibv_qp_attr, ah, ah_attr);
	SAME(c4_ibv_attr, ibv_qp_attr, alt_ah, alt_ah_attr);
	SAME(c4_ibv_attr, ibv_qp_attr, timeout, timeout);
	SAME(c4_ibv_attr, ibv_qp_attr, rate_limit, rate_limit);
	SAME(c4_ibv_qp, ibv_qp, context, context);
	SAME(c4_ibv_qp, ibv_qp, handle, handle);
	SAME(c4_ibv_qp, ibv_qp, num, qp_num);
	SAME(c4_ibv_qp, ibv_qp, state, state);
	SAME(c4_ibv_qp, ibv_qp, type, qp_type);
	SAME(c4_ibv_context, ibv_context, device, device);
	SAME(c4_ibv_context, ibv_context, cmd_fd, cmd_fd);
	SAME(c4_ibv_device, ibv_device, name, name);
	SAME(c4_ibv_device, ibv_device, ibdev_path, ibdev_path);
	assert_int_equal(C4_IBV_RTR, IBV_QPS_RTR);
	assert_int_equal(C4_IBV_SQD, IBV_QPS_SQD);
	assert_int_equal(C4_IBV_UC, IBV_QPT_UC);
	assert_int_equal(C4_IBV_AV, IBV_QP_AV);
	assert_int_equal(C4_IBV_DEST_QPN, IBV_QP_DEST_QPN);
	assert_int_equal(C4_IBV_RATE_LIMIT, IBV_QP_RATE_LIMIT);
	assert_int_equal(sizeof(struct ibv_send_wr), C4_IB_WR_BYTES);
	assert_int_equal(IB_USER_VERBS_CMD_POST_SEND, C4_IB_POST_SEND);
	assert_int_equal(sizeof(struct c4_ib_post_send),
			 sizeof(struct ib_uverbs_cmd_hdr) + sizeof(struct ib_uverbs_post_send));
	assert_int_equal(offsetof(struct c4_ib_post_send, handle),
			 sizeof(struct ib_uverbs_cmd_hdr) +
				 offsetof(struct ib_uverbs_post_send, qp_handle));
#else
	print_message("skipped: no <infiniband/verbs.h>\n");
	skip();
#endif
}

/* ---- how we are found ----------------------------------------------------------------------- */

const char *c4_test_next_of_first(void *which);

static void test_wrapper_from_a_handle(void **state)
{
	void *(*query)(void) = (__typeof__(query))dlvsym(library, "ibv_query_gid", C4_IBV_VERSION);

	(void)state;
	assert_ptr_equal(modify, c4_modify_qp);
	assert_ptr_equal(destroy, c4_destroy_qp);
	assert_ptr_equal(query, dlsym(library, "ibv_query_gid"));
	assert_null(dlvsym(library, "ibv_modify_qp", "IBVERBS_9.9"));
	assert_null(dlvsym(library, "ibv_no_such_call", C4_IBV_VERSION));
	assert_null(dlvsym(mlx5, "ibv_modify_qp", C4_IBV_VERSION));
	assert_non_null(dlvsym(mlx5, "mlx5dv_is_supported", "MLX5_1.17"));
}

/* libc sees who asked, as if we were not there: who comes next depends on it. */
static void test_others_questions(void **state)
{
	(void)state;
	assert_string_equal(c4_test_next_of_first(RTLD_NEXT), "libsecond");
	assert_string_equal(c4_test_next_of_first(RTLD_DEFAULT), "libfirst");
}

/* ---- labels --------------------------------------------------------------------------------- */

static void test_labels(void **state)
{
	struct c4_ibv_qp qp[3] = {make_qp(), make_qp(), make_qp()};
	struct c4_ibv_attr a = towards(DST);
	static const uint16_t expected[] = {PORT, PORT + 10, PORT};

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(modify(&qp[i], &a, CONNECT), 0);
		assert_int_equal(c4_label_to_port(last_label()), expected[i]);
		assert_int_equal(a.ah.flow_label, 0); /* the program's own is as it was */
		assert_int_equal(qp[i].state, C4_IBV_RTR);
	}
	assert_int_equal(count(C4_ROUTE_STAT_LABELLED), 3);
	assert_int_equal(maker_claims(&dest->slot[0]), 2);
	for (int i = 0; i < 3; i++)
		assert_int_equal(destroy(&qp[i]), 0);
	assert_int_equal(maker_claims(&dest->slot[0]), 0);
	assert_int_equal(maker_claims(&dest->slot[1]), 0);
	assert_int_equal(fake->destroyed, 3);
}

static void expect_unlabelled(struct c4_ibv_qp qp, struct c4_ibv_attr a, int mask)
{
	a.ah.flow_label = 5;
	maker_beat(&m);
	assert_int_equal(modify(&qp, &a, mask), 0);
	assert_int_equal(last_label(), 5);
	assert_int_equal(count(C4_ROUTE_STAT_LABELLED), 0);
	destroy(&qp);
}

static void test_near_misses(void **state)
{
	struct c4_ibv_qp qp = make_qp(), ud = make_qp();
	struct c4_ibv_attr other = towards(OTHER), v6 = towards(DST), local = towards(DST),
			   init = towards(DST);

	(void)state;
	ud.type = 4;
	expect_unlabelled(ud, towards(DST), CONNECT);
	expect_unlabelled(qp, other, CONNECT);
	v6.ah.dgid[0] = 0xfe;
	expect_unlabelled(qp, v6, CONNECT);
	local.ah.is_global = 0;
	expect_unlabelled(qp, local, CONNECT);
	expect_unlabelled(qp, towards(DST), C4_IBV_STATE);
	init.state = C4_IBV_INIT;
	expect_unlabelled(qp, init, CONNECT);
	put_ip(fake->gid, "10.9.0.3"); /* another card */
	expect_unlabelled(qp, towards(DST), CONNECT);
	put_ip(fake->gid, SRC);
	for (int i = 0; i < 2; i++)
		for (int k = 0; k < 2; k++)
			dest->slot[i].port[k] = 4000; /* no label stands for it */
	expect_unlabelled(qp, towards(DST), CONNECT);
}

static void test_label_refused(void **state)
{
	struct c4_ibv_qp qp = make_qp();

	(void)state;
	fake->refuse_label = 1;
	assert_int_equal(connect_qp(&qp), 0);
	assert_int_equal(fake->calls, 2);
	assert_int_equal(last_label(), 0);
	assert_int_equal(maker_claims(&dest->slot[0]), 0);
	assert_int_equal(count(C4_ROUTE_STAT_LABELLED), 0);
	destroy(&qp);
}

/* A queue pair that is used again is counted once. */
static void test_reset(void **state)
{
	struct c4_ibv_qp qp = make_qp();
	struct c4_ibv_attr reset = {.state = C4_IBV_RESET};

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(connect_qp(&qp), 0);
		assert_int_equal(maker_claims(&dest->slot[0]), 1);
		assert_int_equal(modify(&qp, &reset, C4_IBV_STATE), 0);
		assert_int_equal(maker_claims(&dest->slot[0]), 0);
	}
	destroy(&qp);
}

/* ---- moves ---------------------------------------------------------------------------------- */

static void test_move_by_pause(void **state)
{
	struct c4_ibv_qp qp = make_qp(), other = make_qp();

	(void)state;
	fake->draining = 5;
	connect_qp(&qp), start_qp(&qp);
	connect_qp(&other), start_qp(&other);
	assert_int_equal(fake->calls, 4);
	move_slot(0, MOVED);
	assert_true(comes_true(moved, 1));
	assert_int_equal(fake->call[4].state, C4_IBV_SQD);
	assert_ptr_equal(fake->call[4].qp, &qp);
	assert_int_equal(fake->call[5].mask, C4_IBV_AV);
	assert_int_equal(c4_label_to_port(fake->call[5].label), MOVED);
	assert_int_equal(fake->calls, 4 + 2 + 6);
	assert_int_equal(qp.state, C4_IBV_RTS);
	assert_int_equal(count(C4_ROUTE_STAT_MOVED), 1); /* the other is of another slot */
	destroy(&qp), destroy(&other);
}

/* Its own port is still among the slot's: nothing is done. Before RTS: not yet. */
static void test_moves_that_can_wait(void **state)
{
	struct c4_ibv_qp qp = make_qp();

	(void)state;
	connect_qp(&qp);
	move_slot(0, MOVED);
	move_slot(1, MOVED + 10);
	start_qp(&qp);
	maker_changed(&m);
	assert_true(comes_true(moved, 1));
	move_slot(0, MOVED - 1); /* MOVED is the second one now */
	move_slot(0, MOVED + 20);
	assert_true(comes_true(moved, 2));
	assert_int_equal(count(C4_ROUTE_STAT_MOVED), 2);
	destroy(&qp);
}

static void test_device_refuses(void **state)
{
	(void)state;
	for (int what = 0; what < 2; what++) {
		struct c4_ibv_qp qp = make_qp();
		uint16_t from = (uint16_t)(PORT + 1000 * what);

		fake->refuse_sqd = what == 0;
		fake->refuse_av = what == 1;
		move_slot(0, from), move_slot(1, from + 10);
		connect_qp(&qp), start_qp(&qp);
		move_slot(0, from + 100);
		assert_true(comes_true(stuck, (uint64_t)what + 1));
		assert_int_equal(qp.state, C4_IBV_RTS);
		destroy(&qp);
	}
	assert_int_equal(count(C4_ROUTE_STAT_MOVED), 0);
}

static bool runs_again(uint64_t qp)
{
	return __atomic_load_n(&((struct c4_ibv_qp *)(uintptr_t)qp)->state, __ATOMIC_RELAXED) ==
	       C4_IBV_RTS;
}

/* It drains for so long that its owner would have had to wait: it comes back all the same. */
static void test_long_drain(void **state)
{
	struct c4_ibv_qp qp = make_qp();

	(void)state;
	connect_qp(&qp), start_qp(&qp);
	__atomic_store_n(&fake->draining, 400, __ATOMIC_RELAXED);
	move_slot(0, MOVED);
	assert_true(comes_true(moved, 1));
	assert_true(comes_true(runs_again, (uintptr_t)&qp));
	assert_int_equal(fake->draining, 0);
	destroy(&qp);
}

/* Many on a path that swallows all: the last one is not kept until each of the others has drained. */
static void test_many_drain(void **state)
{
	enum { MANY = 32, PATIENCE_MS = 20 };
	static struct c4_ibv_qp qp[MANY];
	uint64_t began;

	(void)state;
	for (int i = 0; i < MANY; i++) {
		qp[i] = make_qp();
		connect_qp(&qp[i]), start_qp(&qp[i]);
	}
	__atomic_store_n(&fake->draining, FAKE_FOR_EVER, __ATOMIC_RELAXED);
	began = c4_mono_ns();
	move_slot(0, MOVED), move_slot(1, MOVED + 10);
	assert_true(comes_true(moved, MANY));
	assert_true(c4_mono_ns() - began < MANY * PATIENCE_MS * MS / 2);
	__atomic_store_n(&fake->draining, 0, __ATOMIC_RELAXED);
	for (int i = 0; i < MANY; i++) {
		assert_true(comes_true(runs_again, (uintptr_t)&qp[i]));
		destroy(&qp[i]);
	}
}

/* Soft-RoCE has to be told to look at its queue again; others must not be. */
static void test_doorbell(void **state)
{
	struct c4_ib_post_send order;
	char parent[sizeof m.dir + 8];
	struct c4_ibv_qp qp = make_qp();
	int fd[2];

	(void)state;
	assert_int_equal(pipe2(fd, O_NONBLOCK | O_CLOEXEC), 0);
	context.cmd_fd = fd[1];
	qp.handle = 77;
	snprintf(device.ibdev_path, sizeof device.ibdev_path, "%s", m.dir);
	snprintf(parent, sizeof parent, "%s/parent", m.dir);
	connect_qp(&qp), start_qp(&qp);
	move_slot(0, MOVED);
	assert_true(comes_true(moved, 1));
	assert_int_equal(read(fd[0], &order, sizeof order), -1);
	close(open(parent, O_CREAT | O_RDWR | O_CLOEXEC, 0600));
	fake->draining = 1; /* that it has drained, too, only shows when it looks */
	move_slot(0, MOVED + 10);
	assert_true(comes_true(moved, 2));
	assert_int_equal(read(fd[0], &order, sizeof order), sizeof order);
	assert_int_equal(read(fd[0], &order, sizeof order), sizeof order);
	assert_int_equal(order.command, C4_IB_POST_SEND);
	assert_int_equal(order.in_words * 4, sizeof order);
	assert_int_equal(order.handle, 77);
	assert_int_equal(order.wr_count, 0);
	unlink(parent);
	destroy(&qp);
	close(fd[0]), close(fd[1]);
	context.cmd_fd = -1;
}

static bool mlx5_has(uint64_t port)
{
	return __atomic_load_n(&fake->mlx5_port, __ATOMIC_ACQUIRE) == port;
}

static void test_move_by_mlx5(void **state)
{
	struct c4_ibv_qp qp = make_qp();

	(void)state;
	fake->is_mlx5 = 1;
	connect_qp(&qp), start_qp(&qp);
	move_slot(0, MOVED);
	assert_true(comes_true(mlx5_has, MOVED));
	assert_true(comes_true(moved, 1));
	assert_int_equal(fake->calls, 2); /* the send queue never paused */
	destroy(&qp);
}

static void *keep_moving(void *arg)
{
	struct timespec nap = {0, 200000};

	for (uint16_t i = 0; !__atomic_load_n((bool *)arg, __ATOMIC_RELAXED); i++) {
		move_slot(i % 2, (uint16_t)(MOVED + 20 * (i % 100)));
		nanosleep(&nap, NULL);
	}
	return NULL;
}

/* A queue pair is never changed by two at a time, nor after its end. */
static void test_destroyed_while_moved(void **state)
{
	bool stop = false;
	pthread_t agent;

	(void)state;
	fake->hold_us = 300;
	pthread_create(&agent, NULL, keep_moving, &stop);
	for (int i = 0; i < ROUNDS; i++) {
		struct c4_ibv_qp *qp = malloc(sizeof *qp);

		*qp = make_qp();
		fake->guarded = qp;
		assert_int_equal(connect_qp(qp), 0);
		start_qp(qp);
		for (int k = 0; k < i % 4; k++)
			start_qp(qp);
		assert_int_equal(destroy(qp), 0);
		fake->guarded = NULL;
		free(qp);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(agent, NULL);
	assert_int_equal(fake->crossed, 0);
	assert_int_equal(fake->destroyed, ROUNDS);
	assert_int_equal(maker_claims(&dest->slot[0]), 0);
}

static void test_more_than_fit(void **state)
{
	static struct c4_ibv_qp qp[C4_QPS + 64];

	(void)state;
	for (size_t i = 0; i < sizeof qp / sizeof qp[0]; i++) {
		qp[i] = make_qp();
		assert_int_equal(connect_qp(&qp[i]), 0);
	}
	assert_int_equal(count(C4_ROUTE_STAT_LABELLED), C4_QPS + 64);
	assert_true(count(C4_ROUTE_STAT_STUCK) >= 64); /* those it cannot remember */
	assert_int_equal(count(C4_ROUTE_STAT_UNTOLD), count(C4_ROUTE_STAT_STUCK));
	for (size_t i = 0; i < sizeof qp / sizeof qp[0]; i++)
		assert_int_equal(destroy(&qp[i]), 0);
	for (uint32_t i = 0; i < C4_QPS; i++)
		assert_null(c4_qps_hold_at(i));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, set_up)
	const struct CMUnitTest tests[] = {
		TEST(test_layouts),
		TEST(test_wrapper_from_a_handle),
		TEST(test_others_questions),
		TEST(test_labels),
		TEST(test_near_misses),
		TEST(test_label_refused),
		TEST(test_reset),
		TEST(test_move_by_pause),
		TEST(test_moves_that_can_wait),
		TEST(test_device_refuses),
		TEST(test_long_drain),
		TEST(test_many_drain),
		TEST(test_doorbell),
		TEST(test_move_by_mlx5),
		TEST(test_destroyed_while_moved),
		TEST(test_more_than_fit),
	};

	return cmocka_run_group_tests(tests, load_all, clean_up);
}
