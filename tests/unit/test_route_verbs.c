// SPDX-License-Identifier: BSD-3-Clause
/* Queue pairs of a verbs library without devices: labels, how it is found, live moves, and what the
 * agent hears of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
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

#include "agent/route/attach.h"
#include "agent/route/qps.h"
#include "agent/route/tell.h"
#include "agent/route/verbs.h"
#include "common/base/label.h"
#include "tests/route/maker.h"
#include "tests/route/verbs.h"

#define DST	"10.9.0.1"
#define OTHER	"10.9.0.7"
#define SRC	"10.9.0.2"
#define PORT	50000
#define MOVED	50100
#define MS	1000000ull
#define CONNECT (C4_IBV_STATE | C4_IBV_AV)
#define ROUNDS	30

static struct maker m;
static struct c4_route_dest *dest;
static struct fake_verbs *fake;
static void *library, *mlx5;
static int heard; /* the agent's socket */
static struct c4_ibv_device device = {.ibdev_path = "/nowhere"};
static struct c4_ibv_context context = {.device = &device, .cmd_fd = -1};
static int (*modify)(struct c4_ibv_qp *qp, struct c4_ibv_attr *attr, int mask);
static int (*destroy)(struct c4_ibv_qp *qp);

static void put_ip(uint8_t *gid, const char *ip)
{
	uint32_t word = inet_addr(ip);

	memset(gid, 0, 16);
	gid[10] = gid[11] = 0xff;
	memcpy(gid + 12, &word, 4);
}

static void *load(const char *name)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 64);
	void *p;

	assert_true(n > 0);
	path[n] = '\0';
	snprintf(strrchr(path, '/'), 64, "/../route/%s", name);
	p = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	assert_non_null(p);
	return p;
}

static int load_all(void **state)
{
	(void)state;
	library = load("libibverbs.so.1");
	mlx5 = load("libmlx5.so.1");
	fake = dlsym(library, "fake_verbs");
	*(struct fake_verbs **)dlsym(mlx5, "fake_mlx5_of") = fake;
	modify = (__typeof__(modify))dlvsym(library, "ibv_modify_qp", C4_IBV_VERSION);
	destroy = (__typeof__(destroy))dlvsym(library, "ibv_destroy_qp", C4_IBV_VERSION);
	maker_init(&m);
	heard = maker_listen(&m);
	c4_attach_init();
	return !fake || !modify || !destroy;
}

/* The next that the agent hears of a queue pair. */
static bool hear(struct c4_route_qp *ret)
{
	uint64_t end = c4_mono_ns() + 10000 * MS;
	struct timespec nap = {0, 1000000};
	char bytes[64];

	while (c4_mono_ns() < end) {
		ssize_t n = recv(heard, bytes, sizeof bytes, MSG_DONTWAIT);

		maker_beat(&m);
		if (n == (ssize_t)sizeof *ret) {
			memcpy(ret, bytes, sizeof *ret);
			return true;
		}
		if (n < 0)
			nanosleep(&nap, NULL);
	}
	return false;
}

static void hear_nothing_more(void)
{
	char bytes[64];

	while (recv(heard, bytes, sizeof bytes, MSG_DONTWAIT) >= 0)
		;
}

/* The table stays, as the thread that moves queue pairs does; it is empty again. */
static int set_up(void **state)
{
	(void)state;
	memset(m.peers, 0, C4_ROUTE_PEERS * sizeof *m.peers);
	memset(m.dests, 0, C4_ROUTE_DESTS * sizeof *m.dests);
	for (int i = 0; i < C4_ROUTE_STAT_MAX; i++)
		__atomic_store_n(&m.hdr->stats[i], 0, __ATOMIC_RELAXED);
	maker_beat(&m);
	maker_peer(&m, DST, SRC);
	dest = maker_dest(&m, C4_ROUTE_UDP, DST, C4_ROUTE_RDMA_PORT, SRC);
	maker_slot(dest, PORT, 2);
	maker_slot(dest, PORT + 10, 2);
	*fake = (struct fake_verbs){0};
	put_ip(fake->gid, SRC);
	hear_nothing_more();
	return 0;
}

static int clean_up(void **state)
{
	(void)state;
	close(heard);
	maker_release(&m);
	return 0;
}

/* ---- queue pairs ---------------------------------------------------------------------------- */

static struct c4_ibv_qp make_qp(void)
{
	return (struct c4_ibv_qp){
		.context = &context, .num = 17, .state = C4_IBV_INIT, .type = C4_IBV_RC};
}

static struct c4_ibv_attr towards(const char *dst)
{
	struct c4_ibv_attr a = {.state = C4_IBV_RTR, .ah = {.is_global = 1, .port_num = 1}};

	put_ip(a.ah.dgid, dst);
	return a;
}

static int connect_qp(struct c4_ibv_qp *qp)
{
	struct c4_ibv_attr a = towards(DST);

	maker_beat(&m);
	return modify(qp, &a, CONNECT);
}

static int start_qp(struct c4_ibv_qp *qp)
{
	struct c4_ibv_attr a = {.state = C4_IBV_RTS};

	return modify(qp, &a, C4_IBV_STATE);
}

static uint32_t last_label(void)
{
	uint32_t n = __atomic_load_n(&fake->calls, __ATOMIC_ACQUIRE);

	assert_true(n > 0 && n <= FAKE_CALLS);
	return fake->call[n - 1].label;
}

static uint64_t count(enum c4_route_stat stat)
{
	return maker_stat(&m, stat);
}

/* The agent has found that the path of this slot is reached by other ports now. */
static void move_slot(int slot, uint16_t first)
{
	__atomic_fetch_add(&dest->gen, 1, __ATOMIC_ACQ_REL);
	for (uint16_t i = 0; i < dest->slot[slot].nports; i++)
		__atomic_store_n(&dest->slot[slot].port[i], first + i, __ATOMIC_RELAXED);
	__atomic_fetch_add(&dest->slot[slot].moved, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&dest->gen, 1, __ATOMIC_RELEASE);
	maker_beat(&m);
	maker_changed(&m);
}

static bool comes_true(bool (*what)(uint64_t), uint64_t arg)
{
	uint64_t end = c4_mono_ns() + 10000 * MS;
	struct timespec nap = {0, 1000000};

	while (!what(arg)) {
		if (c4_mono_ns() > end)
			return false;
		maker_beat(&m);
		nanosleep(&nap, NULL);
	}
	return true;
}

static bool moved(uint64_t n)
{
	return count(C4_ROUTE_STAT_MOVED) >= n;
}

static bool stuck(uint64_t n)
{
	return count(C4_ROUTE_STAT_STUCK) >= n;
}

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

/* ---- what the agent hears ------------------------------------------------------------------- */

/* To a peer that is not planned, with the program's own label. */
static void connect_other(struct c4_ibv_qp *qp, uint32_t label)
{
	struct c4_ibv_attr a = towards(OTHER);

	a.ah.flow_label = label;
	a.dest_qp_num = 18;
	maker_beat(&m);
	assert_int_equal(modify(qp, &a, CONNECT | C4_IBV_DEST_QPN), 0);
	assert_int_equal(last_label(), label);
}

static void expect(const struct c4_route_qp *x, enum c4_route_qp_kind kind, const char *dst,
		   uint16_t sport, uint8_t slot)
{
	assert_int_equal(x->magic, C4_ROUTE_QP_MAGIC);
	assert_int_equal(x->version, C4_ROUTE_VERSION);
	assert_int_equal(x->kind, kind);
	assert_int_equal(x->src, maker_ip(SRC));
	assert_int_equal(x->dst, maker_ip(dst));
	assert_int_equal(x->sport, sport);
	assert_int_equal(x->slot, slot);
	assert_int_equal(x->qpn, 17);
	assert_int_equal(x->pid, getpid());
}

static void test_unplanned_are_told(void **state)
{
	struct c4_ibv_qp qp[2] = {make_qp(), make_qp()};
	struct c4_route_qp up[2], gone;

	(void)state;
	connect_other(&qp[0], 5);
	assert_true(hear(&up[0]));
	expect(&up[0], C4_ROUTE_QP_UP, OTHER, c4_label_to_port(5), C4_ROUTE_SLOTS);
	assert_int_equal(up[0].peer_qpn, 18);
	connect_other(&qp[1], 0);
	assert_true(hear(&up[1]));
	expect(&up[1], C4_ROUTE_QP_UP, OTHER, c4_label_to_port(17 * 18), C4_ROUTE_SLOTS);
	assert_int_not_equal(up[0].id, up[1].id);
	for (int i = 0; i < 2; i++) {
		destroy(&qp[i]);
		assert_true(hear(&gone));
		expect(&gone, C4_ROUTE_QP_GONE, OTHER, up[i].sport, C4_ROUTE_SLOTS);
		assert_true(gone.id == up[i].id);
	}
}

static void test_planned_are_told(void **state)
{
	struct c4_ibv_attr reset = {.state = C4_IBV_RESET};
	struct c4_ibv_qp qp = make_qp();
	struct c4_route_qp up, gone, again;

	(void)state;
	connect_qp(&qp);
	assert_true(hear(&up));
	expect(&up, C4_ROUTE_QP_UP, DST, PORT, 0);
	assert_int_equal(modify(&qp, &reset, C4_IBV_STATE), 0);
	assert_true(hear(&gone));
	expect(&gone, C4_ROUTE_QP_GONE, DST, PORT, 0);
	connect_qp(&qp);
	assert_true(hear(&again));
	assert_true(gone.id == up.id && again.id != up.id);
	destroy(&qp);
}

/* What cannot be, or was refused, is not there. */
static void test_nothing_is_told(void **state)
{
	struct c4_ibv_qp qp = make_qp(), ud = make_qp(), v6 = make_qp();
	struct c4_ibv_attr a = towards(OTHER), to_v6 = towards(OTHER);
	char bytes[64];

	(void)state;
	ud.type = 4;
	maker_beat(&m);
	assert_int_equal(modify(&ud, &a, CONNECT), 0);
	to_v6.ah.dgid[0] = 0xfe;
	assert_int_equal(modify(&v6, &to_v6, CONNECT), 0);
	fake->gid[0] = 0xfe;
	assert_int_equal(modify(&qp, &a, CONNECT), 0);
	put_ip(fake->gid, SRC);
	fake->refuse_label = 1;
	a.ah.flow_label = 5;
	errno = EBADF;
	assert_int_equal(modify(&qp, &a, CONNECT), EINVAL);
	assert_int_equal(errno, EBADF);
	destroy(&qp), destroy(&ud), destroy(&v6);
	assert_int_equal(recv(heard, bytes, sizeof bytes, MSG_DONTWAIT), -1);
}

/* While no agent lives nothing is said; the next one hears of all that there are. */
static void test_told_to_each_agent(void **state)
{
	struct c4_ibv_qp qp[2] = {make_qp(), make_qp()};
	struct c4_ibv_attr a = towards(OTHER);
	struct c4_route_qp up[3];
	char bytes[64];

	(void)state;
	connect_qp(&qp[0]);
	assert_true(hear(&up[0]));
	__atomic_store_n(&m.hdr->heartbeat_ns, 1, __ATOMIC_RELEASE);
	assert_int_equal(modify(&qp[1], &a, CONNECT), 0);
	assert_int_equal(recv(heard, bytes, sizeof bytes, MSG_DONTWAIT), -1);
	m.hdr->instance++;
	assert_true(hear(&up[1]) && hear(&up[2]));
	assert_int_equal(up[1].dst ^ up[2].dst, maker_ip(DST) ^ maker_ip(OTHER));
	destroy(&qp[0]), destroy(&qp[1]);
}

static void test_told_again_in_time(void **state)
{
	const uint64_t again = C4_ROUTE_QP_AGAIN_MS * MS;
	const struct c4_rtable t = {.hdr = m.hdr};
	const struct c4_qp_route r = {.told_instance = m.hdr->instance, .told_ns = again};
	const struct c4_qp_route other = {.told_instance = 0, .told_ns = again};

	(void)state;
	assert_false(c4_tell_due(&t, &r, again));
	assert_false(c4_tell_due(&t, &r, 2 * again - 1));
	assert_true(c4_tell_due(&t, &r, 2 * again));
	assert_true(c4_tell_due(&t, &other, again));
	assert_true(C4_ROUTE_QP_KEEP_MS >= 3 * C4_ROUTE_QP_AGAIN_MS);
}

/* A socket takes few datagrams at a time: who found it full is told of later. */
static void test_told_when_there_is_room(void **state)
{
	enum { MANY = 600 };
	static struct c4_ibv_qp qp[MANY];
	struct c4_route_qp up;

	(void)state;
	for (int i = 0; i < MANY; i++) {
		qp[i] = make_qp();
		qp[i].num = (uint32_t)i + 1;
		assert_int_equal(connect_qp(&qp[i]), 0);
	}
	for (uint64_t seen[MANY + 1] = {0}, n = 0; n < MANY;) {
		assert_true(hear(&up));
		assert_in_range(up.qpn, 1, MANY);
		n += !seen[up.qpn];
		seen[up.qpn] = up.id;
	}
	for (int i = 0; i < MANY; i++)
		destroy(&qp[i]);
}

static void test_told_when_moved(void **state)
{
	struct c4_ibv_qp qp = make_qp();
	struct c4_ibv_attr a = towards(DST);
	struct c4_route_qp up, again;

	(void)state;
	connect_qp(&qp), start_qp(&qp);
	assert_true(hear(&up));
	move_slot(0, MOVED);
	assert_true(hear(&again));
	expect(&again, C4_ROUTE_QP_UP, DST, MOVED, 0);
	assert_true(again.id == up.id);
	/* and by its program */
	a.state = C4_IBV_SQD;
	a.ah.flow_label = 77;
	modify(&qp, &(struct c4_ibv_attr){.state = C4_IBV_SQD}, C4_IBV_STATE);
	assert_int_equal(modify(&qp, &a, C4_IBV_AV), 0);
	assert_true(hear(&again));
	expect(&again, C4_ROUTE_QP_UP, DST, c4_label_to_port(77), 0);
	destroy(&qp);
}

static struct c4_route_dest *plan_other(const char *src)
{
	struct c4_route_dest *d;

	maker_peer(&m, OTHER, src);
	d = maker_dest(&m, C4_ROUTE_UDP, OTHER, C4_ROUTE_RDMA_PORT, src);
	maker_slot(d, MOVED, 2);
	maker_beat(&m);
	maker_changed(&m);
	return d;
}

/* Its peer was not planned when it was made. */
static void test_planned_later(void **state)
{
	struct c4_ibv_qp qp = make_qp(), waits = make_qp();
	struct c4_route_dest *d;
	struct c4_route_qp up;

	(void)state;
	connect_other(&qp, 5), start_qp(&qp);
	connect_other(&waits, 6); /* not yet in RTS */
	assert_true(hear(&up) && hear(&up));
	d = plan_other(SRC);
	assert_true(comes_true(moved, 1));
	assert_true(hear(&up));
	expect(&up, C4_ROUTE_QP_UP, OTHER, MOVED, 0);
	assert_int_equal(c4_label_to_port(fake->call[fake->calls - 2].label), MOVED);
	assert_int_equal(qp.state, C4_IBV_RTS);
	assert_int_equal(maker_claims(&d->slot[0]), 1);
	start_qp(&waits);
	maker_changed(&m);
	assert_true(comes_true(moved, 2));
	assert_int_equal(maker_claims(&d->slot[0]), 2);
	destroy(&qp), destroy(&waits);
	assert_int_equal(maker_claims(&d->slot[0]), 0);
}

/* A device that does not let it move is asked once; another card's queue pair is not meant. */
static void test_not_planned_later(void **state)
{
	struct c4_ibv_qp qp = make_qp(), card = make_qp(), right = make_qp();
	struct c4_route_dest *d;

	(void)state;
	fake->refuse_sqd = 1;
	connect_other(&qp, 5), start_qp(&qp);
	put_ip(fake->gid, "10.9.0.3");
	connect_other(&card, 5), start_qp(&card);
	put_ip(fake->gid, SRC);
	connect_other(&right, c4_label_of_port(MOVED + 1)), start_qp(&right);
	d = plan_other(SRC);
	assert_true(comes_true(stuck, 1));
	maker_changed(&m);
	maker_changed(&m);
	destroy(&qp), destroy(&card);
	assert_int_equal(maker_claims(&d->slot[0]), 1); /* it was right by chance */
	destroy(&right);
	assert_int_equal(maker_claims(&d->slot[0]), 0);
	assert_int_equal(count(C4_ROUTE_STAT_STUCK), 1);
	assert_int_equal(count(C4_ROUTE_STAT_MOVED), 0);
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
		TEST(test_doorbell),
		TEST(test_move_by_mlx5),
		TEST(test_destroyed_while_moved),
		TEST(test_more_than_fit),
		TEST(test_unplanned_are_told),
		TEST(test_planned_are_told),
		TEST(test_nothing_is_told),
		TEST(test_told_to_each_agent),
		TEST(test_told_again_in_time),
		TEST(test_told_when_there_is_room),
		TEST(test_told_when_moved),
		TEST(test_planned_later),
		TEST(test_not_planned_later),
	};

	return cmocka_run_group_tests(tests, load_all, clean_up);
}
