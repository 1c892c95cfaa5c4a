// SPDX-License-Identifier: BSD-3-Clause
/*
 * New flow labels for queue pairs that live: what rxe (Linux 6.1) lets one do, and what not.
 *
 * The path of a queue pair can be changed in the state SQD only, and by these masks only:
 *	AV			also while it drains: what it sends again takes the new path
 *	STATE|AV (SQD to SQD)	once it has drained; PORT or TIMEOUT may be changed with it
 * RTS to RTS with AV, RTS to SQD with AV, SQD to RTS with AV, CUR_STATE with AV and PATH_MTU with
 * AV are refused (EINVAL). step_trial asks for all of them.
 *
 * A queue pair in SQD ends what it has begun (it drains: sq_draining of ibv_query_qp), and holds
 * back what is posted and not begun, and what is posted later. While it drains, every change of its
 * state is refused, the way back to RTS, too: so one that is on a dead path leaves it with AV
 * alone, or not at all (step_rescue). Back in RTS it does not go on with what it held back, not
 * until somebody rings its doorbell: a program that only waits would wait for ever (step_held).
 *
 * That all is acknowledged it only finds when it looks in its queue, so a doorbell helps here, too.
 * And while it drains its retransmit timer is not wound up again by what comes: if it fires in the
 * moment in which an acknowledgement is taken, and what is left was lost, it drains for ever. That
 * takes a timer as short as a round trip; nothing but ERR leads out of it.
 *
 * The responder's half goes on all the time; its acknowledgements use this end's label, too.
 */
#include "qp.h"

#include <rdma/ib_user_verbs.h>

#include <errno.h>
#include <unistd.h>

#define DRAIN_S	   10
#define RESCUED	   4 /* messages that are under way on the dead path */
#define BIG_BYTES  30000
#define SOON_US	   300000
#define IN_TIME_US 5000000

static int set_state(struct ibv_qp *qp, enum ibv_qp_state state)
{
	struct ibv_qp_attr attr = {.qp_state = state};

	return verbs.modify_qp(qp, &attr, IBV_QP_STATE);
}

static int set_path(const struct flow *f, enum ibv_qp_state state, uint32_t label, int mask)
{
	struct ibv_qp_attr attr = {
		.qp_state = state,
		.cur_qp_state = state,
		.ah_attr = path_to(f, label),
		.port_num = 1,
		.path_mtu = IBV_MTU_1024,
		.timeout = me.ack_timeout,
	};

	return verbs.modify_qp(f->qp, &attr, mask);
}

static int draining(struct ibv_qp *qp)
{
	struct ibv_qp_attr attr = {.sq_draining = 1};
	struct ibv_qp_init_attr init;

	return verbs.query_qp(qp, &attr, IBV_QP_STATE, &init) || attr.sq_draining;
}

static void wait_drained(struct ibv_qp *qp)
{
	long end = now_us() + DRAIN_S * 1000000L;

	while (draining(qp) && now_us() < end)
		;
}

/* Rings the doorbell of a queue pair without posting anything. */
static int kick(struct ibv_qp *qp)
{
	struct ib_uverbs_post_send_resp answer;
	struct {
		struct ib_uverbs_cmd_hdr header;
		struct ib_uverbs_post_send body;
	} order = {
		.header = {.command = IB_USER_VERBS_CMD_POST_SEND,
			   .in_words = sizeof(order) / 4,
			   .out_words = sizeof(answer) / 4},
		.body = {.response = (uintptr_t)&answer,
			 .qp_handle = qp->handle,
			 .wqe_size = sizeof(struct ibv_send_wr)},
	};

	return write(qp->context->cmd_fd, &order, sizeof(order)) == sizeof(order) ? 0 : errno;
}

/* Back to work; refused for as long as it drains. */
static int resume(struct ibv_qp *qp)
{
	long end = now_us() + DRAIN_S * 1000000L;
	int error;

	do
		error = set_state(qp, IBV_QPS_RTS);
	while (error == EINVAL && now_us() < end);
	return error ? error : kick(qp);
}

static int relabel(struct flow *f, uint32_t label)
{
	int error = set_state(f->qp, IBV_QPS_SQD);
	int back;

	if (error)
		return error;
	error = set_path(f, IBV_QPS_SQD, label, IBV_QP_AV);
	if (!error)
		f->label = label;
	back = resume(f->qp);
	return error ? error : back;
}

void relabel_all(const char *labels)
{
	uint32_t label = 0;

	if (me.name != 'A')
		return;
	for (unsigned i = 0; i < me.flows; i++) {
		struct flow *f = &me.flow[i];
		long began = now_us();

		label = next_label(&labels, label);
		f->error = relabel(f, label);
		f->us = now_us() - began;
		me.failed |= f->error != 0;
	}
}

/* ---- what may be changed -------------------------------------------------------------------- */

enum { AV = IBV_QP_AV, ST = IBV_QP_STATE, CU = IBV_QP_CUR_STATE };

static const struct trial {
	const char *name;
	enum ibv_qp_state from, to;
	int mask;
} trials[] = {
	{"RTS, AV alone", IBV_QPS_RTS, IBV_QPS_RTS, AV},
	{"RTS->RTS STATE|AV", IBV_QPS_RTS, IBV_QPS_RTS, ST | AV},
	{"RTS->RTS STATE|CUR_STATE|AV", IBV_QPS_RTS, IBV_QPS_RTS, ST | CU | AV},
	{"RTS->SQD STATE|AV", IBV_QPS_RTS, IBV_QPS_SQD, ST | AV},
	{"RTS->SQD STATE|EN_SQD_ASYNC_NOTIFY", IBV_QPS_RTS, IBV_QPS_SQD,
	 ST | IBV_QP_EN_SQD_ASYNC_NOTIFY},
	{"RTS->SQD STATE|CUR_STATE", IBV_QPS_RTS, IBV_QPS_SQD, ST | CU},
	{"RTS->SQD STATE", IBV_QPS_RTS, IBV_QPS_SQD, ST},
	{"SQD, AV alone", IBV_QPS_SQD, IBV_QPS_SQD, AV},
	{"SQD->SQD STATE", IBV_QPS_SQD, IBV_QPS_SQD, ST},
	{"SQD->SQD STATE|AV", IBV_QPS_SQD, IBV_QPS_SQD, ST | AV},
	{"SQD->SQD STATE|CUR_STATE|AV", IBV_QPS_SQD, IBV_QPS_SQD, ST | CU | AV},
	{"SQD->SQD STATE|AV|PORT", IBV_QPS_SQD, IBV_QPS_SQD, ST | AV | IBV_QP_PORT},
	{"SQD->SQD STATE|AV|PATH_MTU", IBV_QPS_SQD, IBV_QPS_SQD, ST | AV | IBV_QP_PATH_MTU},
	{"SQD->SQD STATE|AV|TIMEOUT", IBV_QPS_SQD, IBV_QPS_SQD, ST | AV | IBV_QP_TIMEOUT},
	{"SQD->RTS STATE|AV", IBV_QPS_SQD, IBV_QPS_RTS, ST | AV},
	{"SQD->RTS STATE|CUR_STATE", IBV_QPS_SQD, IBV_QPS_RTS, ST | CU},
	{"SQD->RTS STATE", IBV_QPS_SQD, IBV_QPS_RTS, ST},
};

static void say_trial(const struct flow *f, const char *name, int error)
{
	struct ibv_qp_attr a = {0};
	struct ibv_qp_init_attr init;

	verbs.query_qp(f->qp, &a, IBV_QP_STATE | IBV_QP_AV, &init);
	say("{\"step\":\"trial\",\"name\":\"%s\",\"error\":%d,\"state\":%d,\"label\":%u}\n", name,
	    error, (int)a.qp_state, a.ah_attr.grh.flow_label);
}

/* B's part of a step in which only A does something. */
static int is_audience(void)
{
	if (me.name == 'B')
		for (int k = 0; k < RECEIVES; k++)
			post_recv(0);
	barrier();
	if (me.name == 'B')
		barrier();
	return me.name == 'B';
}

void step_trial(void)
{
	struct flow *f = &me.flow[0];
	uint32_t label = 0x100;

	if (is_audience())
		return;
	for (size_t k = 0; k < sizeof(trials) / sizeof(*trials); k++) {
		const struct trial *t = &trials[k];

		set_state(f->qp, t->from);
		wait_drained(f->qp);
		say_trial(f, t->name, set_path(f, t->to, label++, t->mask));
	}
	set_state(f->qp, IBV_QPS_RTS);
	barrier();
}

/* What is posted in SQD: when does it go? */
void step_held(void)
{
	struct flow *f = &me.flow[0];
	int posted, in_sqd, in_rts, kicked;

	if (is_audience())
		return;
	set_state(f->qp, IBV_QPS_SQD);
	wait_drained(f->qp);
	posted = post_send(0, 1000);
	in_sqd = came_within(SOON_US);
	set_state(f->qp, IBV_QPS_RTS);
	in_rts = in_sqd ? 0 : came_within(SOON_US);
	kick(f->qp);
	kicked = in_sqd || in_rts ? 0 : came_within(IN_TIME_US);
	say("{\"step\":\"held\",\"posted\":%d,\"in_sqd\":%d,\"in_rts\":%d,\"kicked\":%d}\n", posted,
	    in_sqd, in_rts, kicked);
	barrier();
}

/* The path is dead, and sends are under way on it: the errors of each way out, and what came. */
void step_rescue(const char *args)
{
	struct flow *f = &me.flow[0];
	uint32_t label = next_label(&args, 0);
	int before, drains, state_av, rts, av, back, came = 0;

	if (is_audience())
		return;
	for (int k = 0; k < RESCUED; k++)
		post_send(0, BIG_BYTES);
	before = came_within(SOON_US);
	set_state(f->qp, IBV_QPS_SQD);
	drains = draining(f->qp);
	state_av = set_path(f, IBV_QPS_SQD, label, ST | AV);
	rts = set_state(f->qp, IBV_QPS_RTS);
	av = set_path(f, IBV_QPS_SQD, label, AV);
	back = resume(f->qp);
	while (came < RESCUED && came_within(IN_TIME_US) > 0)
		came++;
	say("{\"step\":\"rescue\",\"before\":%d,\"draining\":%d,\"state_av\":%d,\"rts\":%d,"
	    "\"av\":%d,\"back\":%d,\"came\":%d}\n",
	    before, drains, state_av, rts, av, back, came);
	barrier();
}
