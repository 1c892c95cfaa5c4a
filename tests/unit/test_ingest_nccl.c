// SPDX-License-Identifier: BSD-3-Clause
/* What NCCL adds to posts: members that report themselves, parts, kernels, connections, devices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/health.h"
#include "collector/ingest.h"
#include "collector/judge.h"
#include "collector/membership.h"
#include "collector/rank.h"
#include "collector/vclock.h"
#include "tests/unit/collector_post.h"

#define S    1000000000ull
#define MS   1000000ull
#define WALL (1700000000ull * S)
#define COMM 0xc0deull

struct fixture {
	struct c4_stats stats;
	struct c4_model model;
	struct c4_ingest in;
	struct c4_ingest_answer answer;
	uint64_t now;
	uint64_t seq[8];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	c4_model_init(&f->model, &f->stats);
	c4_ingest_init(&f->in, &f->model, &f->stats);
	f->now = C4_VCLOCK_START;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	c4_ingest_release(&f->in);
	c4_model_release(&f->model);
	free(f);
	return 0;
}

static C4__V1__Post *begin(struct fixture *f, uint32_t rank)
{
	return post_new(100 + rank, ++f->seq[rank]);
}

static void sendp(struct fixture *f, C4__V1__Post *p)
{
	size_t n;
	uint8_t *buf = post_pack(p, &n);

	assert_int_equal(c4_ingest_post(&f->in, buf, n, f->now, WALL, &f->answer), C4_POST_OK);
	free(buf);
	post_free(p);
}

/* Rank of a world of `world` says that it is member `me` of COMM. */
static void introduce(struct fixture *f, uint32_t rank, uint32_t world, uint32_t size, uint32_t me)
{
	C4__V1__Post *p = begin(f, rank);
	C4__V1__Process *x = post_process(p, 1);

	post_identity(x, "train", rank, world);
	post_reported(post_comm(x, COMM, 0, 0), size, me);
	sendp(f, p);
}

static struct c4_job *job(struct fixture *f)
{
	return f->model.jobs[0];
}

static struct c4_comm *comm(struct fixture *f)
{
	return c4_map_get(&job(f)->comm_by_id, COMM);
}

static uint64_t refused(const struct fixture *f, enum c4_part_refusal why)
{
	return f->stats.parts_refused[why];
}

/* ---- members --------------------------------------------------------------------------------- */

static void test_members_report_themselves(void **state)
{
	struct fixture *f = *state;

	introduce(f, 2, 4, 3, 0);
	introduce(f, 0, 4, 3, 2);
	assert_false(job(f)->diag_comms[0].judged);
	assert_true(job(f)->diag_comms[0].gpu);
	assert_string_equal(comm(f)->name, "comm{…}");
	introduce(f, 3, 4, 3, 1);
	assert_true(job(f)->diag_comms[0].judged);
	assert_int_equal(comm(f)->ranks[0], 2);
	assert_int_equal(comm(f)->ranks[1], 3);
	assert_int_equal(comm(f)->ranks[2], 0);
	assert_string_equal(comm(f)->name, "comm{2,3,0}");
}

static void test_member_claimed_twice(void **state)
{
	struct fixture *f = *state;

	introduce(f, 0, 4, 2, 0);
	introduce(f, 1, 4, 2, 0);
	assert_int_equal(refused(f, C4_PART_MEMBER), 1);
	assert_int_equal(comm(f)->ranks[0], 0);
	assert_int_equal(comm(f)->known, 1);
	/* nor may one process sit in two places */
	introduce(f, 0, 4, 2, 1);
	assert_int_equal(refused(f, C4_PART_MEMBER), 1 + 1);
	assert_int_equal(comm(f)->ranks[1], -1);
	introduce(f, 2, 4, 2, 1);
	assert_true(job(f)->diag_comms[0].judged);
}

static void test_members_told_and_reported_do_not_mix(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p = begin(f, 1);
	C4__V1__Process *x = post_process(p, 1);

	introduce(f, 0, 2, 2, 0);
	post_identity(x, "train", 1, 2);
	post_members(post_comm(x, COMM, 0, 0), 2, 1, 0, 1);
	sendp(f, p);
	assert_int_equal(refused(f, C4_PART_COMM), 1);
}

static void test_names_are_completed_and_unique(void **state)
{
	struct fixture *f = *state;

	for (uint32_t rank = 0; rank < 2; rank++) {
		C4__V1__Post *p = begin(f, rank);
		C4__V1__Process *x = post_process(p, 1);

		post_identity(x, "train", rank, 2);
		for (uint64_t c = 1; c <= 3; c++)
			post_text(&post_reported(post_comm(x, c, 0, 0), 2, rank)->name, "dp");
		sendp(f, p);
	}
	assert_string_equal(job(f)->comms[0]->name, "dp");
	assert_string_equal(job(f)->comms[1]->name, "dp{0,1}");
	assert_string_equal(job(f)->comms[2]->name, "dp{0,1}#2");
}

/* Another process takes the rank: its seat is free until it says where it sits. */
static void test_replaced_member(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p;
	C4__V1__Process *x;

	introduce(f, 0, 2, 2, 0);
	introduce(f, 1, 2, 2, 1);
	p = begin(f, 1);
	x = post_process(p, 1);
	x->run = C4__V1__PROCESS__RUN__RUN_GONE;
	post_conn(x, COMM, 1, 0, true, 5);
	sendp(f, p);
	assert_true(comm(f)->conns.conns[0].send.known);
	p = begin(f, 1);
	x = post_process(p, 2);
	post_identity(x, "train", 1, 2)->pid = 4242;
	sendp(f, p);
	assert_false(job(f)->diag_comms[0].judged);
	assert_int_equal(comm(f)->ranks[1], -1);
	assert_false(comm(f)->conns.conns[0].send.known);
	p = begin(f, 1);
	post_reported(post_comm(post_process(p, 2), COMM, 0, 0), 2, 1);
	sendp(f, p);
	assert_true(job(f)->diag_comms[0].judged);
}

/* ---- kernels and parts ----------------------------------------------------------------------- */

static void test_kernels_age(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p;
	C4__V1__Comm *c;
	const struct c4_diag_member *m;

	introduce(f, 0, 1, 1, 0);
	p = begin(f, 0);
	c = post_comm(post_process(p, 1), COMM, 12, 9);
	c->gpu_started = 10;
	c->gpu_inside_ns = 300 * MS;
	c->api_calls = 13;
	c->async_error = 2;
	c->p2p_started = 1;
	sendp(f, p);
	f->now += S;
	c4_judge_refresh(job(f), f->now);
	m = &comm(f)->state[0];
	assert_int_equal(m->entered, 12);
	assert_int_equal(m->gpu_started, 10);
	assert_int_equal(m->gpu_inside_ns, 1300 * MS);
	assert_int_equal(m->inside_ns, 0);
	assert_int_equal(m->api_calls, 13);
	assert_int_equal(m->async_error, 2);
	assert_true(job(f)->now[0].gpu_p2p);
}

static void test_kernels_beyond_what_was_entered(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p;

	introduce(f, 0, 1, 1, 0);
	p = begin(f, 0);
	post_comm(post_process(p, 1), COMM, 12, 9)->gpu_started = 13;
	sendp(f, p);
	assert_int_equal(refused(f, C4_PART_COMM), 1);
	assert_int_equal(comm(f)->state[0].entered, 0);
}

/* The MPI hook's message is the process; the NCCL hook's adds to it and says nothing of its life.
 */
static void test_part_is_no_process(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p = begin(f, 0);
	C4__V1__Process *x = post_process(p, 1), *part = post_process(p, 1);

	post_identity(x, "train", 0, 2)->gpu = 4;
	post_text(&x->identity->hook, "mpi");
	post_thread(x, 0, 0, S);
	x->n_lost = 1;
	x->lost = calloc(1, sizeof *x->lost);
	x->lost[0] = 5;
	part->part = true;
	part->run = C4__V1__PROCESS__RUN__RUN_GONE;
	part->phase = C4_PHASE_ABORTED;
	part->cpu_permille = 0;
	part->alive_ns = 7;
	post_reported(post_comm(part, COMM, 8, 7), 2, 0);
	post_conn(part, COMM, 0, 1, true, 5);
	post_block(part, COMM, 0, 7, MS);
	sendp(f, p);
	assert_int_equal(c4_rank_state(&job(f)->ranks[0]), C4_RANK_RUNNING);
	assert_false(job(f)->now[0].aborted);
	assert_true(job(f)->now[0].mpi);
	assert_int_equal(job(f)->now[0].call.kind, C4_OP_ALLREDUCE);
	assert_int_equal(job(f)->ranks[0].alive_ns, S);
	assert_int_equal(job(f)->ranks[0].lost[0], 5);
	assert_int_equal(job(f)->ranks[0].gpu_index, 3);
	assert_int_equal(comm(f)->state[0].entered, 8);
	assert_int_equal(comm(f)->members[0].bytes, 7 << 20);
	assert_int_equal(comm(f)->conns.n, 1);
}

/* A second hook that knows only of an error does not undo what the first one counted. */
static void test_part_that_knows_less(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p = begin(f, 0);
	C4__V1__Process *x = post_process(p, 1), *part = post_process(p, 1);

	post_identity(x, "train", 0, 2);
	post_reported(post_comm(x, COMM, 8, 7), 2, 0);
	part->part = true;
	post_comm(part, COMM, 0, 0)->async_error = 3;
	sendp(f, p);
	assert_int_equal(comm(f)->state[0].entered, 8);
	assert_int_equal(comm(f)->state[0].async_error, 3);
	assert_int_equal(refused(f, C4_PART_COMM), 0);
}

/* The hook that counts operations does not take back what the other one told once. */
static void test_errors_and_aborts_stay(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p = begin(f, 0);
	C4__V1__Process *x = post_process(p, 1), *part = post_process(p, 1);
	C4__V1__Comm *c;

	post_identity(x, "train", 0, 2);
	post_reported(post_comm(x, COMM, 8, 7), 2, 0);
	part->part = true;
	c = post_comm(part, COMM, 0, 0);
	c->async_error = 6;
	c->aborted = true;
	sendp(f, p);
	p = begin(f, 0);
	post_comm(post_process(p, 1), COMM, 9, 8);
	sendp(f, p);
	assert_int_equal(comm(f)->state[0].entered, 9);
	assert_int_equal(comm(f)->state[0].async_error, 6);
	assert_true(comm(f)->state[0].aborted);
}

/* What is not told again is as before. */
static void test_recent_operations_stay(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p = begin(f, 0);
	C4__V1__Process *x = post_process(p, 1);
	C4__V1__Comm *c;

	post_identity(x, "train", 0, 2);
	c = post_comm(x, COMM, 8, 7);
	post_reported(c, 2, 0);
	free(c->recent);
	c->n_recent = C4_DIAG_RECENT;
	c->recent = calloc(C4_DIAG_RECENT, sizeof *c->recent);
	c->recent[3] = 77;
	sendp(f, p);
	p = begin(f, 0);
	c = post_comm(post_process(p, 1), COMM, 9, 8);
	free(c->recent);
	c->n_recent = 0;
	c->recent = NULL;
	sendp(f, p);
	assert_int_equal(comm(f)->state[0].entered, 9);
	assert_int_equal(comm(f)->state[0].recent[3], 77);
}

/* ---- connections ----------------------------------------------------------------------------- */

static void two_ranks(struct fixture *f)
{
	introduce(f, 0, 2, 2, 0);
	introduce(f, 1, 2, 2, 1);
}

static void test_ends_join(void **state)
{
	struct fixture *f = *state;
	const struct c4_diag_conn *k;

	two_ranks(f);
	for (uint32_t rank = 0; rank < 2; rank++) {
		C4__V1__Post *p = begin(f, rank);
		C4__V1__Conn *c =
			post_conn(post_process(p, 1), COMM, rank, !rank, rank == 0, 10 + rank);

		c->phase = rank ? C4_CONN_RECEIVING : C4_CONN_SENDING;
		c->active = 1;
		c->opno = 77;
		c->still_ns = 2 * S;
		sendp(f, p);
	}
	f->now += S;
	c4_judge_refresh(job(f), f->now);
	assert_int_equal(f->model.conns, 1);
	assert_int_equal(job(f)->diag_comms[0].nconns, 1);
	k = &job(f)->diag_comms[0].conns[0];
	assert_int_equal(k->src, 0);
	assert_int_equal(k->dst, 1);
	assert_int_equal(k->send.phase, C4_CONN_SENDING);
	assert_int_equal(k->recv.phase, C4_CONN_RECEIVING);
	assert_int_equal(k->send.transmitted, 20);
	assert_int_equal(k->recv.transmitted, 22);
	assert_int_equal(k->send.opno, 77);
	assert_int_equal(k->send.still_ns, 3 * S);
}

/* What the agent had no room for may well move: such a connection does not age. */
static void test_late_connections_do_not_age(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p;
	C4__V1__Process *x;

	two_ranks(f);
	p = begin(f, 0);
	x = post_process(p, 1);
	post_conn(x, COMM, 0, 1, true, 10)->still_ns = S;
	x->conns_late = 3;
	sendp(f, p);
	f->now += 5 * S;
	c4_judge_refresh(job(f), f->now);
	assert_int_equal(comm(f)->conns.conns[0].send.still_ns, S);
	p = begin(f, 0);
	post_process(p, 1);
	sendp(f, p);
	c4_judge_refresh(job(f), f->now);
	assert_int_equal(comm(f)->conns.conns[0].send.still_ns, 6 * S);
}

static void test_absurd_connections(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p;
	C4__V1__Process *x;

	two_ranks(f);
	p = begin(f, 0);
	x = post_process(p, 1);
	post_conn(x, COMM, 0, 0, true, 1);		      /* with itself */
	post_conn(x, COMM, 0, 2, true, 1);		      /* beyond the communicator */
	post_conn(x, COMM, 1, 0, true, 1);		      /* in another's place */
	post_conn(x, COMM, 0, 1, true, 1)->channel = 1 << 16; /* no such channel */
	post_conn(x, COMM, 0, 1, true, 1)->phase = 99;
	post_conn(x, COMM, 0, 1, true, 1)->busy_ns = UINT64_MAX;
	post_conn(x, COMM, 0, 1, true, 1)->still_ns = UINT64_MAX;
	post_conn(x, COMM, 0, 1, true, 1)->bytes = UINT64_MAX;
	sendp(f, p);
	assert_int_equal(refused(f, C4_PART_CONN), 8);
	assert_int_equal(f->model.conns, 0);
	assert_false(f->answer.resync);
}

static void test_connection_of_unknown_communicator(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p;

	two_ranks(f);
	p = begin(f, 0);
	post_conn(post_process(p, 1), COMM + 1, 0, 1, true, 1);
	sendp(f, p);
	assert_int_equal(refused(f, C4_PART_UNKNOWN_COMM), 1);
	assert_true(f->answer.resync);
	/* of one it only carries data for it may know the number before anybody else does */
	p = begin(f, 0);
	post_conn(post_process(p, 1), COMM + 1, 0, 1, true, 1)->flags = C4_CONN_FOREIGN;
	sendp(f, p);
	assert_int_equal(refused(f, C4_PART_UNKNOWN_COMM), 2);
	assert_false(f->answer.resync);
}

/* PXN: rank 2, no member at all, runs the connection of 0 and 1. */
static void test_connection_run_by_a_neighbour(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p;
	C4__V1__Process *x;

	introduce(f, 0, 4, 2, 0);
	introduce(f, 1, 4, 2, 1);
	p = begin(f, 2);
	x = post_process(p, 1);
	post_identity(x, "train", 2, 4);
	post_conn(x, COMM, 0, 1, true, 1)->flags = C4_CONN_FOREIGN;
	post_conn(x, COMM, 0, 1, true, 1);
	sendp(f, p);
	assert_int_equal(comm(f)->conns.n, 1);
	assert_true(comm(f)->conns.conns[0].send.known);
	assert_int_equal(comm(f)->conns.tracks[0][0].teller, 2);
	assert_int_equal(refused(f, C4_PART_UNKNOWN_COMM), 1);
}

static void test_connections_are_bounded(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p;
	C4__V1__Process *x;

	two_ranks(f);
	f->model.conns = C4_MODEL_CONNS - 1; /* the rest is elsewhere */
	p = begin(f, 0);
	x = post_process(p, 1);
	post_conn(x, COMM, 0, 1, true, 1);
	post_conn(x, COMM, 0, 1, true, 2)->channel = 1;
	post_conn(x, COMM, 0, 1, true, 2);
	sendp(f, p);
	assert_int_equal(refused(f, C4_PART_CONNS_FULL), 1);
	assert_int_equal(comm(f)->conns.n, 1);
	f->model.conns = 1;
}

static void test_freed_communicators_give_connections_back(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p;
	C4__V1__Process *x;

	introduce(f, 0, 1, 1, 0);
	p = begin(f, 0);
	x = post_process(p, 1);
	post_comm(x, COMM, 0, 0)->freed = true;
	sendp(f, p);
	assert_int_equal(f->model.conns, 0);
	two_ranks(f);
	p = begin(f, 0);
	post_conn(post_process(p, 1), COMM, 0, 1, true, 1);
	sendp(f, p);
	c4_model_tick(&f->model, f->now + 6 * S, 3600 * S);
	assert_int_equal(f->model.conns, 0);
	assert_int_equal(comm(f)->conns.n, 0);
	assert_int_equal(job(f)->diag_comms[0].nconns, 0);
}

/* ---- devices --------------------------------------------------------------------------------- */

static void tell_gpu(struct fixture *f, uint64_t ecc, uint64_t nvlink, uint32_t xid)
{
	C4__V1__Post *p = begin(f, 0);
	C4__V1__Gpu *g = post_gpu(p, 5, "0000:3b:00.0");

	g->ecc_volatile_uncorrected = ecc;
	g->nvlink_errors = nvlink;
	g->last_xid = xid;
	g->last_xid_age_ns = 2 * S;
	g->throttle = 0x40;
	post_process(p, 1);
	sendp(f, p);
}

static void test_gpu_of_a_rank(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p = begin(f, 0);
	C4__V1__Process *x = post_process(p, 1);
	const struct c4_diag_rank *d;

	/* the process sees its GPU as number 0, NVML as number 5: the bus tells */
	post_identity(x, "train", 0, 1)->gpu = 1;
	post_text(&x->identity->gpu_bus, "00000000:3B:00.0");
	sendp(f, p);
	d = &job(f)->now[0];
	c4_judge_refresh(job(f), f->now);
	assert_null(d->gpu);
	assert_int_equal(d->gpu_device, 1);
	tell_gpu(f, 1000, 7, 79);
	f->now += S;
	c4_judge_refresh(job(f), f->now);
	assert_non_null(d->gpu);
	assert_int_equal(d->gpu->index, 5);
	assert_int_equal(d->gpu->throttle, 0x40);
	assert_int_equal(d->gpu->last_xid_age_ns, 3 * S);
	/* old errors are not today's */
	assert_int_equal(d->gpu->ecc, 0);
	tell_gpu(f, 1003, 7, 79);
	assert_int_equal(d->gpu->ecc, 3);
	f->now += 40 * S;
	tell_gpu(f, 1003, 9, 79);
	assert_int_equal(d->gpu->ecc, 3);
	assert_int_equal(d->gpu->nvlink_errors, 2);
	f->now += 40 * S;
	tell_gpu(f, 1003, 9, 79);
	assert_int_equal(d->gpu->ecc, 0);
	/* a driver that was reset counts from zero */
	tell_gpu(f, 1, 0, 0);
	assert_int_equal(d->gpu->ecc, 0);
}

static void tell_nic(struct fixture *f, uint64_t errors, uint64_t bytes)
{
	C4__V1__Post *p = begin(f, 0);
	C4__V1__Nic *n = post_nic(p, "mlx5_0");

	n->errors = errors;
	n->tx_bytes = bytes;
	n->mbps = 200000;
	post_process(p, 1);
	sendp(f, p);
}

static void test_nics_of_a_node(void **state)
{
	struct fixture *f = *state;
	const struct c4_diag_health *h;

	introduce(f, 0, 1, 1, 0);
	tell_nic(f, 50, 1ull << 40);
	f->now += 10 * S;
	tell_nic(f, 54, (1ull << 40) + 4096);
	c4_judge_refresh(job(f), f->now);
	h = job(f)->now[0].health;
	assert_non_null(h);
	assert_int_equal(h->nnics, 1);
	assert_string_equal(h->nics[0].name, "mlx5_0");
	assert_int_equal(h->nics[0].errors, 4);
	assert_int_equal(h->nics[0].tx_bytes, 4096);
	assert_int_equal(h->nics[0].mbps, 200000);
	assert_true(h->nics[0].over_s > 9.9 && h->nics[0].over_s < 10.1);
}

static void test_devices_are_bounded(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p = begin(f, 0);

	for (uint32_t i = 0; i < C4_HEALTH_GPUS + 2; i++)
		post_gpu(p, i, "");
	for (uint32_t i = 0; i < C4_HEALTH_NICS + 3; i++) {
		char name[16];

		snprintf(name, sizeof name, "eth%u", i);
		post_nic(p, name);
	}
	post_nic(p, "");
	sendp(f, p);
	assert_int_equal(refused(f, C4_PART_DEVICES_FULL), 5);
	assert_int_equal(refused(f, C4_PART_DEVICE), 1);
	assert_int_equal(refused(f, C4_PART_OK), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_members_report_themselves),
		T(test_member_claimed_twice),
		T(test_members_told_and_reported_do_not_mix),
		T(test_names_are_completed_and_unique),
		T(test_replaced_member),
		T(test_kernels_age),
		T(test_kernels_beyond_what_was_entered),
		T(test_part_is_no_process),
		T(test_part_that_knows_less),
		T(test_errors_and_aborts_stay),
		T(test_recent_operations_stay),
		T(test_ends_join),
		T(test_late_connections_do_not_age),
		T(test_absurd_connections),
		T(test_connection_of_unknown_communicator),
		T(test_connection_run_by_a_neighbour),
		T(test_connections_are_bounded),
		T(test_freed_communicators_give_connections_back),
		T(test_gpu_of_a_rank),
		T(test_nics_of_a_node),
		T(test_devices_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
