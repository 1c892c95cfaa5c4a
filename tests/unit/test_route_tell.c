// SPDX-License-Identifier: BSD-3-Clause
/* What the agent hears of queue pairs, planned or not, and how they join a plan made later. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "agent/route/tell.h"
#include "tests/unit/verbs_scene.h"

/* ---- hearing -------------------------------------------------------------------------------- */

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

/* ---- told ----------------------------------------------------------------------------------- */

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

/* ---- joining -------------------------------------------------------------------------------- */

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
		TEST(test_unplanned_are_told), TEST(test_planned_are_told),
		TEST(test_nothing_is_told),    TEST(test_told_to_each_agent),
		TEST(test_told_again_in_time), TEST(test_told_when_there_is_room),
		TEST(test_told_when_moved),    TEST(test_planned_later),
		TEST(test_not_planned_later),
	};

	return cmocka_run_group_tests(tests, load_all, clean_up);
}
