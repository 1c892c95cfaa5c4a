// SPDX-License-Identifier: BSD-3-Clause
/* One process under watch: what is read of it, what posts say, and what a bad segment can do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <poll.h>

#include <cmocka.h>

#include "agent/daemon/post.h"
#include "agent/daemon/target.h"
#include "c4.pb-c.h"
#include "tests/unit/agent_rank.h"

#define SLOW_NS 500000000ull

static char dir[64];
static struct rank rank;
static struct c4_target *target;
static struct c4_post_writer *writer;

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/c4-target.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	rank_start(&rank, dir, 3, "n1");
	target = NULL;
	writer = c4_post_writer_new();
	return !writer;
}

static int teardown(void **state)
{
	(void)state;
	c4_target_close(target);
	c4_post_writer_free(writer);
	rank_release(&rank);
	return rmdir(dir);
}

static int adopt(void)
{
	return c4_target_open(rank.seg.path, c4_mono_ns(), &target);
}

static void look(void)
{
	uint64_t now = c4_mono_ns();

	c4_target_drain(target, now, SLOW_NS);
	c4_target_look(target, now);
}

/* The post with this one target, decoded; free it with c4__v1__post__free_unpacked(). */
static C4__V1__Post *post(void)
{
	struct c4_post_head head = {.agent = "n1", .instance = 5, .seq = 1, .interval_ms = 500};
	C4__V1__Post *p;
	uint8_t *data;
	size_t len;

	c4_post_begin(writer);
	assert_true(c4_post_add(writer, target, c4_mono_ns()));
	data = c4_post_finish(writer, &head, 16, &len);
	assert_non_null(data);
	p = c4__v1__post__unpack(NULL, len, data);
	free(data);
	assert_non_null(p);
	assert_int_equal(p->n_processes, 1);
	return p;
}

static void drop(C4__V1__Post *p)
{
	c4__v1__post__free_unpacked(p, NULL);
}

/* It waits in read(2), or is just about to. */
static bool is_alive(const C4__V1__Process *m)
{
	return m->run == C4__V1__PROCESS__RUN__RUN_SLEEPING ||
	       m->run == C4__V1__PROCESS__RUN__RUN_RUNNING;
}

static void publish_and_adopt(void)
{
	rank_comm(&rank, 0, 11);
	c4_seg_publish(&rank.seg);
	assert_int_equal(adopt(), 0);
}

static void test_unpublished(void **state)
{
	(void)state;
	assert_int_equal(adopt(), -EAGAIN);
	c4_seg_publish(&rank.seg);
	assert_int_equal(adopt(), 0);
}

static void test_refused(void **state)
{
	(void)state;
	rank.seg.hdr->version = C4_SEG_VERSION + 1;
	c4_seg_publish(&rank.seg);
	assert_int_equal(adopt(), -EPROTO);
	rank.seg.hdr->version = C4_SEG_VERSION;
	rank.seg.hdr->ticks0 = UINT64_MAX; /* a clock that has not run yet */
	assert_int_equal(adopt(), -EBADMSG);
	if (rank.seg.hdr->clock != C4_CLOCK_MONO_NS) { /* a clock a million times too slow */
		rank.seg.hdr->ticks0 = c4_ticks(rank.seg.hdr->clock) - 1000;
		rank.seg.hdr->mono0_ns = 1;
		assert_int_equal(adopt(), -EBADMSG);
	}
	rank.seg.hdr->magic = 1;
	assert_int_equal(adopt(), -EBADMSG);
}

/* Identity and communicators once; then only what changed. */
static void test_first_post(void **state)
{
	C4__V1__Process *m;
	C4__V1__Post *p;

	(void)state;
	publish_and_adopt();
	rank_op(&rank, 0);
	look();
	p = post();
	assert_int_equal(p->instance, 5);
	m = p->processes[0];
	assert_non_null(m->identity);
	assert_int_equal(m->identity->rank, 3);
	assert_string_equal(m->identity->node, "n1");
	assert_int_equal(m->phase, C4_PHASE_RUN);
	assert_true(is_alive(m));
	assert_int_equal(m->n_comms, 1);
	assert_int_equal(m->comms[0]->id, 11);
	assert_non_null(m->comms[0]->identity);
	assert_string_equal(m->comms[0]->identity->name, "comm11");
	assert_int_equal(m->comms[0]->identity->n_members, 1);
	assert_int_equal(m->comms[0]->finished, 1);
	assert_int_equal(m->comms[0]->inside_ns, 0);
	assert_int_equal(m->n_blocks, 1);
	assert_int_equal(m->blocks[0]->bus_bytes, 1500); /* 2·3/4·1000 */
	assert_int_equal(m->blocks[0]->alg_bytes, 1000);
	assert_int_equal(m->calls, 1);
	assert_int_equal(m->n_threads, 0);
	assert_true(m->outside_ns > 0);
	drop(p);
	look();
	p = post();
	assert_null(p->processes[0]->identity);
	assert_int_equal(p->processes[0]->n_comms + p->processes[0]->n_blocks, 0);
	drop(p);
}

static void test_resync(void **state)
{
	C4__V1__Post *p;

	(void)state;
	publish_and_adopt();
	look();
	drop(post());
	c4_target_forget_posted(target);
	p = post();
	assert_non_null(p->processes[0]->identity);
	assert_int_equal(p->processes[0]->n_comms, 1);
	assert_non_null(p->processes[0]->comms[0]->identity);
	drop(p);
}

/* The library knows better than the environment did: told again, once it has settled. */
static void test_identity_changes(void **state)
{
	uint64_t made = rank.seg.hdr->mono0_ns;
	C4__V1__Post *p;

	(void)state;
	rank.seg.hdr->phase = C4_PHASE_INIT;
	rank.seg.hdr->world_rank = -1;
	publish_and_adopt();
	assert_false(c4_target_has_rank(target));
	assert_false(c4_target_presentable(target, made + 60000000000u));
	rank.seg.hdr->world_rank = 3;
	look();
	assert_true(c4_target_has_rank(target));
	assert_false(c4_target_presentable(target, made + 1000000));
	assert_true(c4_target_presentable(target, made + 3000000000u)); /* hangs in its start */
	rank.seg.hdr->phase = C4_PHASE_RUN;
	look();
	assert_true(c4_target_presentable(target, made + 1000000));
	drop(post());
	snprintf(rank.seg.hdr->library, sizeof rank.seg.hdr->library, "MPI of tomorrow");
	look();
	p = post();
	assert_non_null(p->processes[0]->identity);
	assert_string_equal(p->processes[0]->identity->library, "MPI of tomorrow");
	drop(p);
	rank.seg.hdr->world_rank = 4; /* of 4 */
	look();
	assert_false(c4_target_has_rank(target));
}

/* Inside an operation: told with its age in every post, the thread once it takes long. */
static void test_inside(void **state)
{
	struct c4_seg_thread *t = &rank.seg.threads[0];
	C4__V1__Process *m;
	C4__V1__Post *p;

	(void)state;
	publish_and_adopt();
	rank_enter(&rank, 0);
	t->npeers = 20;
	t->peers[0] = 2;
	look();
	drop(post());
	/* as if it had entered a second ago: no test needs to wait */
	rank.seg.comms[0].enter_ticks -= (uint64_t)(1e9 / target->rate.ns_per_tick);
	t->enter_ticks = rank.seg.comms[0].enter_ticks;
	look();
	p = post();
	m = p->processes[0];
	assert_int_equal(m->n_comms, 1);
	assert_null(m->comms[0]->identity);
	if (target->rate.ticks0 < t->enter_ticks) {
		assert_true(m->comms[0]->inside_ns >= 900000000u);
		assert_int_equal(m->n_threads, 1);
		assert_int_equal(m->threads[0]->comm, 11);
		assert_int_equal(m->threads[0]->kind, C4_OP_ALLREDUCE);
		assert_int_equal(m->threads[0]->npeers, 20);
		assert_int_equal(m->threads[0]->n_peers, C4_SEG_PEERS);
		assert_int_equal(m->threads[0]->peers[0], 2);
		assert_int_equal(m->outside_ns, 0);
	}
	drop(p);
}

/* A slot changes hands between two looks: the old communicator is still told to be freed. */
static void test_comm_reused(void **state)
{
	C4__V1__Process *m;
	C4__V1__Post *p;

	(void)state;
	publish_and_adopt();
	look();
	drop(post());
	rank_comm(&rank, 0, 22);
	look();
	p = post();
	m = p->processes[0];
	assert_int_equal(m->n_comms, 2);
	assert_int_equal(m->comms[0]->id, 11);
	assert_true(m->comms[0]->freed);
	assert_int_equal(m->comms[1]->id, 22);
	assert_non_null(m->comms[1]->identity);
	drop(p);
	rank.seg.comms[0].state = C4_COMM_DEAD;
	look();
	p = post();
	assert_int_equal(p->processes[0]->n_comms, 1);
	assert_true(p->processes[0]->comms[0]->freed);
	drop(p);
	rank.seg.comms[0].state = C4_COMM_FREE;
	look();
	p = post();
	assert_int_equal(p->processes[0]->n_comms, 0);
	drop(p);
}

/* Members that do not add up are left out, and said to be. */
static void test_members_absurd(void **state)
{
	C4__V1__CommIdentity *id;
	C4__V1__Post *p;

	(void)state;
	rank_comm(&rank, 0, 11);
	rank.seg.runs[0].count = UINT32_MAX;
	rank_comm(&rank, 1, 12);
	rank.seg.comms[1].run_first = UINT32_MAX;
	c4_seg_publish(&rank.seg);
	assert_int_equal(adopt(), 0);
	p = post();
	assert_int_equal(p->processes[0]->n_comms, 2);
	for (int i = 0; i < 2; i++) {
		id = p->processes[0]->comms[i]->identity;
		assert_int_equal(id->n_members, 0);
		assert_true(id->flags & C4_COMM_TRUNCATED);
	}
	drop(p);
}

/* Adopted late: what the ring no longer holds is not a loss of ours. A later overrun is. */
static void test_overrun(void **state)
{
	C4__V1__Post *p;

	(void)state;
	rank_comm(&rank, 0, 11);
	for (uint32_t i = 0; i < C4_SEG_EVENTS + 1000; i++)
		rank_op(&rank, 0);
	c4_seg_publish(&rank.seg);
	assert_int_equal(adopt(), 0);
	look();
	p = post();
	assert_int_equal(p->processes[0]->lost_events, 0);
	drop(p);
	for (uint32_t i = 0; i < C4_SEG_EVENTS + 1000; i++)
		rank_op(&rank, 0);
	look();
	p = post();
	assert_int_equal(p->processes[0]->lost_events, 1000);
	drop(p);
	assert_true(target->period_ns < SLOW_NS); /* and it is drained faster from now on */
}

/* A ring that fills fast shortens the pause between drains, a quiet one lengthens it again. */
static void test_drain_pace(void **state)
{
	uint64_t pace = SLOW_NS;

	(void)state;
	publish_and_adopt();
	look();
	assert_true(target->period_ns <= SLOW_NS);
	for (int k = 0; k < 3; k++) {
		for (uint32_t i = 0; i < C4_SEG_EVENTS / 3; i++)
			rank_op(&rank, 0);
		target->period_ns = pace;
		look();
		assert_true(target->period_ns == pace / 2);
		pace /= 2;
	}
	for (int k = 0; k < 10; k++)
		look();
	assert_true(target->period_ns == SLOW_NS);
}

/* The file shrinks under the reader: no signal, the process stays under watch. */
static void test_truncated(void **state)
{
	C4__V1__Post *p;

	(void)state;
	publish_and_adopt();
	rank_op(&rank, 0);
	look();
	drop(post());
	assert_int_equal(truncate(rank.seg.path, 100), 0);
	look();
	look();
	assert_true(target->broken);
	p = post();
	assert_true(is_alive(p->processes[0]));
	drop(p);
}

static void await_end(void)
{
	struct pollfd p = {.fd = target->pidfd, .events = POLLIN};
	siginfo_t info;

	if (p.fd >= 0)
		assert_int_equal(poll(&p, 1, 10000), 1);
	else
		waitid(P_PID, (id_t)rank.pid, &info, WEXITED | WNOWAIT);
}

static void test_killed(void **state)
{
	C4__V1__Process *m;
	C4__V1__Post *p;

	(void)state;
	publish_and_adopt();
	rank_op(&rank, 0);
	rank_enter(&rank, 0);
	rank_end(&rank, SIGKILL);
	await_end();
	c4_target_end(target, c4_mono_ns() - 5000000);
	c4_target_conclude(target, c4_mono_ns());
	p = post();
	m = p->processes[0];
	assert_int_equal(m->run, C4__V1__PROCESS__RUN__RUN_GONE);
	assert_true(m->wait_status_known);
	assert_int_equal(m->wait_status, SIGKILL);
	assert_true(m->gone_age_ns >= 5000000 && m->gone_age_ns < 5000000000u);
	assert_int_equal(m->n_blocks, 1);
	assert_int_equal(m->comms[0]->entered, 2); /* a killed rank still testifies */
	assert_int_equal(m->comms[0]->finished, 1);
	drop(p);
	c4_target_drop_file(target);
	assert_int_equal(access(rank.seg.path, F_OK), -1);
	look(); /* harmless without a file */
}

/* It was dead before we came: found out at once, dated by its last sign of life. */
static void test_dead_on_arrival(void **state)
{
	C4__V1__Post *p;

	(void)state;
	rank_comm(&rank, 0, 11);
	rank_op(&rank, 0);
	c4_seg_publish(&rank.seg);
	rank_end(&rank, SIGKILL);
	waitpid(rank.pid, NULL, 0);
	assert_int_equal(adopt(), 0);
	assert_true(target->gone);
	assert_int_equal(target->pidfd, -1);
	c4_target_conclude(target, c4_mono_ns());
	p = post();
	assert_int_equal(p->processes[0]->run, C4__V1__PROCESS__RUN__RUN_GONE);
	assert_int_equal(p->processes[0]->n_blocks, 1);
	drop(p);
}

/* Somebody else has its pid now. */
static void test_pid_reused(void **state)
{
	(void)state;
	rank.seg.hdr->start_jiffies -= 1;
	publish_and_adopt();
	assert_true(target->gone);
	assert_false(target->status_known);
}

/* Another file took the name: not ours to remove. */
static void test_name_reused(void **state)
{
	int fd;

	(void)state;
	publish_and_adopt();
	assert_int_equal(unlink(rank.seg.path), 0);
	fd = open(rank.seg.path, O_CREAT | O_EXCL | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	c4_target_drop_file(target);
	assert_int_equal(access(rank.seg.path, F_OK), 0);
}

static void test_stopped(void **state)
{
	C4__V1__Post *p;
	int status;

	(void)state;
	publish_and_adopt();
	kill(rank.pid, SIGSTOP);
	waitpid(rank.pid, &status, WUNTRACED);
	look();
	p = post();
	assert_int_equal(p->processes[0]->run, C4__V1__PROCESS__RUN__RUN_STOPPED);
	drop(p);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_unpublished),	 T(test_refused),	   T(test_first_post),
		T(test_resync),		 T(test_identity_changes), T(test_inside),
		T(test_comm_reused),	 T(test_members_absurd),   T(test_overrun),
		T(test_drain_pace),	 T(test_truncated),	   T(test_killed),
		T(test_dead_on_arrival), T(test_pid_reused),	   T(test_name_reused),
		T(test_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
