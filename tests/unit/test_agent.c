// SPDX-License-Identifier: BSD-3-Clause
/* The whole agent in a child process, ranks that are children too, and a collector that listens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <signal.h>
#include <time.h>

#include <cmocka.h>

#include "agent/daemon/agent.h"
#include "c4.pb-c.h"
#include "common/log.h"
#include "tests/unit/agent_rank.h"
#include "tests/unit/agent_sink.h"

#define RANKS_MAX 8
#define PATIENCE  15 /* seconds until a test gives up */

/* What the collector heard of one rank. */
struct heard {
	int identities;
	bool alive, gone, aborted;
	uint64_t gone_ns; /* on our clock */
	int32_t wait_status;
	uint64_t ops;
};

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	uint32_t rank_of[4096]; /* by handle, + 1 */
	struct heard ranks[RANKS_MAX];
	int posts;
	uint64_t bad_segments;
	uint64_t dropped;
	bool last;
	bool ask_resync;
} heard = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static char dir[64];
static struct sink sink;
static pid_t agent;

/* ---- the collector -------------------------------------------------------------------------- */

static void hear_process(const C4__V1__Process *m, uint64_t now_ns)
{
	struct heard *h;

	if (m->identity && m->identity->rank < RANKS_MAX) {
		heard.rank_of[m->handle % 4096] = m->identity->rank + 1;
		heard.ranks[m->identity->rank].identities++;
	}
	if (!heard.rank_of[m->handle % 4096])
		return;
	h = &heard.ranks[heard.rank_of[m->handle % 4096] - 1];
	for (size_t i = 0; i < m->n_blocks; i++)
		h->ops += m->blocks[i]->count;
	if (m->part)
		return;
	h->gone = m->run == C4__V1__PROCESS__RUN__RUN_GONE;
	h->alive = !h->gone;
	if (h->gone)
		h->gone_ns = now_ns - m->gone_age_ns;
	h->wait_status = m->wait_status_known ? m->wait_status : -1;
}

static int take(void *arg, const unsigned char *body, size_t len, unsigned char *answer,
		size_t *answer_len)
{
	C4__V1__Post *post = c4__v1__post__unpack(NULL, len, body);
	C4__V1__Answer reply = C4__V1__ANSWER__INIT;

	(void)arg;
	if (!post)
		return 400;
	pthread_mutex_lock(&heard.mutex);
	for (size_t i = 0; i < post->n_processes; i++)
		hear_process(post->processes[i], c4_mono_ns() - post->queued_ns);
	heard.posts++;
	heard.bad_segments = post->bad_segments;
	heard.dropped = post->dropped_posts;
	heard.last |= post->last;
	reply.resync = heard.ask_resync;
	heard.ask_resync = false;
	*answer_len = c4__v1__answer__pack(&reply, answer);
	pthread_cond_broadcast(&heard.changed);
	pthread_mutex_unlock(&heard.mutex);
	c4__v1__post__free_unpacked(post, NULL);
	return 200;
}

/* Waits until a condition over `heard` holds; posts wake it. */
#define AWAIT(condition)                                                                           \
	do {                                                                                       \
		struct timespec until;                                                             \
		int rc = 0;                                                                        \
                                                                                                   \
		clock_gettime(CLOCK_REALTIME, &until);                                             \
		until.tv_sec += PATIENCE;                                                          \
		pthread_mutex_lock(&heard.mutex);                                                  \
		while (!rc && !(condition))                                                        \
			rc = pthread_cond_timedwait(&heard.changed, &heard.mutex, &until);         \
		pthread_mutex_unlock(&heard.mutex);                                                \
		if (rc)                                                                            \
			fail_msg("never: %s", #condition);                                         \
	} while (0)

/* ---- the agent ------------------------------------------------------------------------------ */

static struct c4_agent_options options(void)
{
	return (struct c4_agent_options){.collector = sink.address,
					 .runtime_dir = dir,
					 .node = "n1",
					 .interval_ms = 100,
					 .ready_fd = -1};
}

/* Starts it and waits until it says that it is ready, or has ended. */
static pid_t start(struct c4_agent_options o)
{
	char word[6];
	int ready[2];
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		o.ready_fd = ready[1];
		_exit(c4_agent_run(&o));
	}
	close(ready[1]);
	if (read(ready[0], word, sizeof word) == sizeof word)
		assert_memory_equal(word, "ready\n", 6);
	close(ready[0]);
	return pid;
}

static int end(pid_t pid, int signo)
{
	int status;

	if (signo)
		kill(pid, signo);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int setup(void **state)
{
	(void)state;
	memset(heard.ranks, 0, sizeof heard.ranks);
	memset(heard.rank_of, 0, sizeof heard.rank_of);
	heard.posts = 0;
	heard.bad_segments = heard.dropped = 0;
	heard.last = heard.ask_resync = false;
	snprintf(dir, sizeof dir, "/tmp/c4-agent.XXXXXX");
	agent = 0;
	return !mkdtemp(dir) || !sink_start(&sink, 0, take, NULL);
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	if (agent > 0) {
		kill(agent, SIGKILL);
		waitpid(agent, NULL, 0);
	}
	sink_stop(&sink);
	snprintf(command, sizeof command, "rm -rf '%s'", dir);
	return system(command);
}

static const char *in_dir(const char *name)
{
	static char path[160];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static void start_rank(struct rank *r, int world_rank, const char *node)
{
	rank_start(r, dir, world_rank, node);
	rank_comm(r, 0, 11);
	c4_seg_publish(&r->seg);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_life(void **state)
{
	struct rank ours, theirs;

	(void)state;
	start_rank(&ours, 0, "n1");
	start_rank(&theirs, 1, "n2");
	agent = start(options());
	assert_int_equal(access(in_dir("agent-n1.lock"), F_OK), 0);
	AWAIT(heard.ranks[0].alive);
	for (int i = 0; i < 100; i++)
		rank_op(&ours, 0);
	assert_int_equal(end(agent, SIGTERM), 0);
	agent = 0;
	assert_true(heard.last);
	assert_int_equal(heard.ranks[0].ops, 100); /* drained to the end */
	assert_int_equal(heard.ranks[0].identities, 1);
	assert_int_equal(heard.ranks[1].identities, 0);
	assert_int_equal(access(in_dir("agent-n1.lock"), F_OK), -1);
	assert_int_equal(access(ours.seg.path, F_OK), 0); /* it lives: the next agent needs it */
	rank_release(&ours);
	rank_release(&theirs);
}

static void test_job_and_any_node(void **state)
{
	struct c4_agent_options o = options();
	struct rank a, b, other;

	(void)state;
	start_rank(&a, 0, "n1");
	start_rank(&b, 1, "n2");
	start_rank(&other, 2, "n1");
	snprintf(other.seg.hdr->job, sizeof other.seg.hdr->job, "another");
	o.any_node = true;
	o.job = "job";
	agent = start(o);
	assert_int_equal(access(in_dir("agent-any.lock"), F_OK), 0);
	AWAIT(heard.ranks[0].alive && heard.ranks[1].alive && heard.posts > 2);
	assert_int_equal(heard.ranks[2].identities, 0);
	rank_release(&a);
	rank_release(&b);
	rank_release(&other);
}

/* A segment that appears later is found; a corrupt one is counted once. */
static void test_finds(void **state)
{
	struct rank r;
	int fd;

	(void)state;
	agent = start(options());
	fd = open(in_dir("1-1.seg"), O_CREAT | O_WRONLY, 0600);
	assert_int_equal(write(fd, "this is no segment, is it?", 26), 26);
	close(fd);
	start_rank(&r, 0, "n1");
	AWAIT(heard.ranks[0].alive && heard.bad_segments > 0);
	heard.posts = 0;
	AWAIT(heard.posts > 3);
	assert_int_equal(heard.bad_segments, 1);
	rank_release(&r);
}

/* Deaths are told at once, not with the next tick, with the order kept and the statuses known. */
static void test_deaths(void **state)
{
	struct c4_agent_options o = options();
	struct rank r[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		start_rank(&r[i], i, "n1");
	o.interval_ms = 60000;
	agent = start(o);
	AWAIT(heard.ranks[0].alive && heard.ranks[1].alive && heard.ranks[2].alive);
	rank_op(&r[1], 0);
	rank_end(&r[1], SIGKILL);
	AWAIT(heard.ranks[1].gone);
	assert_int_equal(heard.ranks[1].ops, 1);
	rank_end(&r[2], SIGTERM);
	rank_end(&r[0], 0);
	AWAIT(heard.ranks[0].gone && heard.ranks[2].gone);
	assert_int_equal(heard.ranks[1].wait_status, SIGKILL);
	assert_int_equal(heard.ranks[2].wait_status, SIGTERM);
	assert_int_equal(heard.ranks[0].wait_status, 0);
	assert_true(heard.ranks[1].gone_ns < heard.ranks[0].gone_ns);
	assert_true(heard.ranks[1].gone_ns < heard.ranks[2].gone_ns);
	assert_int_equal(end(agent, SIGTERM), 0);
	agent = 0;
	for (int i = 0; i < 3; i++) { /* acknowledged: the files are of no more use */
		assert_int_equal(access(r[i].seg.path, F_OK), -1);
		rank_release(&r[i]);
	}
}

static void test_resync(void **state)
{
	struct rank r;

	(void)state;
	start_rank(&r, 0, "n1");
	agent = start(options());
	AWAIT(heard.ranks[0].identities == 1 && heard.posts > 3);
	assert_int_equal(heard.ranks[0].identities, 1);
	pthread_mutex_lock(&heard.mutex);
	heard.ask_resync = true;
	pthread_mutex_unlock(&heard.mutex);
	AWAIT(heard.ranks[0].identities == 2);
	rank_release(&r);
}

static void test_second_agent(void **state)
{
	struct c4_agent_options o = options();

	(void)state;
	agent = start(o);
	assert_int_equal(end(start(o), 0), C4_AGENT_EXIT_BUSY);
	o.node = "n2";
	assert_int_equal(end(start(o), SIGINT), 0);
}

static void test_idle_exit(void **state)
{
	struct c4_agent_options o = options();
	struct rank r;

	(void)state;
	start_rank(&r, 0, "n1");
	o.idle_exit_ms = 200;
	agent = start(o);
	AWAIT(heard.ranks[0].alive && heard.posts > 5);
	rank_end(&r, 0);
	assert_int_equal(end(agent, 0), 0);
	agent = 0;
	assert_true(heard.last && heard.ranks[0].gone);
	rank_release(&r);
}

/* No collector: it still ends, in time, with status 0. */
static void test_no_collector(void **state)
{
	struct c4_agent_options o = options();
	struct timespec a, b;
	struct rank r;

	(void)state;
	o.collector = "127.0.0.1:1";
	start_rank(&r, 0, "n1");
	agent = start(o);
	clock_gettime(CLOCK_MONOTONIC, &a);
	assert_int_equal(end(agent, SIGTERM), 0);
	clock_gettime(CLOCK_MONOTONIC, &b);
	agent = 0;
	assert_true(b.tv_sec - a.tv_sec <= 6);
	assert_int_equal(access(in_dir("agent-n1.lock"), F_OK), -1);
	rank_release(&r);
}

/* Somebody clears the runtime directory: known processes stay known, new ones are found. */
static void test_directory_removed(void **state)
{
	char command[128];
	struct rank a, b;

	(void)state;
	start_rank(&a, 0, "n1");
	agent = start(options());
	AWAIT(heard.ranks[0].alive);
	snprintf(command, sizeof command, "rm -rf '%s'", dir);
	assert_int_equal(system(command), 0);
	for (int i = 0; i < 10; i++)
		rank_op(&a, 0);
	AWAIT(heard.ranks[0].ops == 10);
	for (int n = heard.posts; access(in_dir("agent-n1.lock"), F_OK); n = heard.posts)
		AWAIT(heard.posts > n);
	start_rank(&b, 1, "n1");
	AWAIT(heard.ranks[1].alive);
	rank_release(&a);
	rank_release(&b);
}

/* MPI and NCCL in one process, and the agent killed in between: each time one process, one death.
 */
static void test_two_segments(void **state)
{
	static const struct c4_seg_want wants[] = {{.hook = "nccl", .conns = true},
						   {.hook = "mpi"}};
	struct rank r;

	(void)state;
	rank_start_hooks(&r, dir, 0, "n1", wants, 2);
	rank_comm(&r, 0, 11);
	c4_seg_publish(&r.seg);
	c4_seg_publish(&r.more[0]);
	agent = start(options());
	AWAIT(heard.ranks[0].alive);
	assert_int_equal(heard.ranks[0].identities, 1);
	end(agent, SIGKILL);
	agent = start(options());
	AWAIT(heard.ranks[0].identities == 2);
	for (int i = 0; i < 7; i++)
		rank_op(&r, 0);
	rank_end(&r, SIGKILL);
	AWAIT(heard.ranks[0].gone && heard.ranks[0].ops == 7);
	assert_int_equal(heard.ranks[0].wait_status, SIGKILL);
	assert_int_equal(end(agent, SIGTERM), 0);
	agent = 0;
	assert_int_equal(heard.ranks[0].identities, 2);
	assert_int_equal(access(r.seg.path, F_OK), -1);
	assert_int_equal(access(r.more[0].path, F_OK), -1);
	rank_release(&r);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_life),	      T(test_job_and_any_node), T(test_finds),
		T(test_deaths),	      T(test_resync),		T(test_second_agent),
		T(test_idle_exit),    T(test_no_collector),	T(test_directory_removed),
		T(test_two_segments),
	};

	c4_log_init("test_agent");
	c4_log_set_level(C4_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
