// SPDX-License-Identifier: BSD-3-Clause
/*
 * agent_steady [--quick]: what c4agent costs while 8 processes do 2000 operations a second each,
 * and what it sends. The processes write segments like hooked ranks do, without MPI, so that the
 * load is the same everywhere; a thread plays the collector. Prints one JSON line per budget.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "c4.pb-c.h"
#include "c4/op.h"
#include "common/base/clock.h"
#include "common/base/segment.h"
#include "tests/unit/agent_sink.h"

#define RANKS	  8
#define OPS_PER_S 2000
#define COMMS	  3
#define WARM_S	  5	     /* identities and the search for the right level are no steady state */
#define TICK_NS	  5000000ull /* operations come in small bursts, as in a training step */

struct load {
	char dir[64];
	char agent[PATH_MAX];
	double seconds;
	atomic_ullong bytes; /* received */
	atomic_ullong blocks;
	atomic_ullong lost;
};

/* ---- the ranks ------------------------------------------------------------------------------ */

static void fill_header(struct c4_seg *s, int rank)
{
	struct c4_seg_header *h = s->hdr;

	h->launch = 1;
	h->world_rank = rank;
	h->world_size = RANKS;
	h->phase = C4_PHASE_RUN;
	snprintf(h->job, sizeof h->job, "bench");
	snprintf(h->node, sizeof h->node, "bench");
	snprintf(h->host, sizeof h->host, "bench");
	snprintf(h->program, sizeof h->program, "agent_steady");
	snprintf(h->hook, sizeof h->hook, "mpi");
	s->threads[0].tid = (uint32_t)getpid();
}

static void fill_comms(struct c4_seg *s, int rank)
{
	for (uint32_t i = 0; i < COMMS; i++) {
		struct c4_seg_comm *c = &s->comms[i];

		s->runs[i] = (struct c4_seg_run){0, 1, RANKS};
		c->id = 100 + i;
		c->size = RANKS;
		c->my_rank = rank;
		c->run_first = i;
		c->run_count = 1;
		snprintf(c->name, sizeof c->name, "bench%u", i);
		c->state = C4_COMM_LIVE;
		c->gen = 2;
	}
}

static void do_op(struct c4_seg *s, uint32_t slot)
{
	struct c4_seg_thread *t = &s->threads[0];
	struct c4_seg_comm *c = &s->comms[slot];
	struct c4_event ev = {.comm = c->id,
			      .opno = c->entered,
			      .enter_ticks = c4_ticks(s->hdr->clock),
			      .before_ticks = t->inside_ticks,
			      .bytes = 4096,
			      .kind = C4_OP_ALLREDUCE,
			      .slot = (uint16_t)slot,
			      .root = -1};

	c->kind = ev.kind;
	c->bytes = ev.bytes;
	c->enter_ticks = ev.enter_ticks;
	__atomic_store_n(&c->entered, c->entered + 1, __ATOMIC_RELEASE);
	ev.leave_ticks = c4_ticks(s->hdr->clock);
	c->leave_ticks = ev.leave_ticks;
	__atomic_store_n(&c->finished, c->finished + 1, __ATOMIC_RELEASE);
	t->inside_ticks += ev.leave_ticks - ev.enter_ticks;
	t->leave_ticks = ev.leave_ticks;
	t->calls++;
	c4_seg_push(s, &ev);
}

static int run_rank(const char *dir, int rank, double seconds)
{
	uint64_t start = c4_mono_ns(), end = start + (uint64_t)(seconds * 1e9), done = 0;
	struct timespec pause = {0, TICK_NS};
	struct c4_seg s;
	int rc = c4_seg_create(&s, dir);

	if (rc) {
		fprintf(stderr, "agent_steady: %s: %s\n", dir, strerror(-rc));
		return 1;
	}
	fill_header(&s, rank);
	fill_comms(&s, rank);
	c4_seg_publish(&s);
	for (uint64_t now = start; now < end; now = c4_mono_ns()) {
		uint64_t due = (uint64_t)((double)(now - start) / 1e9 * OPS_PER_S);

		for (; done < due; done++)
			do_op(&s, (uint32_t)(done % COMMS));
		nanosleep(&pause, NULL);
	}
	s.hdr->phase = C4_PHASE_FINALIZED;
	c4_seg_close(&s);
	return 0;
}

/* ---- the collector -------------------------------------------------------------------------- */

static int take(void *arg, const unsigned char *body, size_t len, unsigned char *answer,
		size_t *answer_len)
{
	C4__V1__Post *post = c4__v1__post__unpack(NULL, len, body);
	struct load *l = arg;

	(void)answer, (void)answer_len;
	if (!post)
		return 400;
	for (size_t i = 0; i < post->n_processes; i++) {
		l->blocks += post->processes[i]->n_blocks;
		l->lost += post->processes[i]->lost_events;
	}
	l->bytes += len;
	c4__v1__post__free_unpacked(post, NULL);
	return 200;
}

/* ---- the measurement ------------------------------------------------------------------------ */

static void print_line(const char *bench, double value, const char *unit, double budget)
{
	printf("{\"bench\":\"%s\",\"value\":%.4g,\"unit\":\"%s\",\"budget\":%g,\"ok\":%s}\n", bench,
	       value, unit, budget, value <= budget ? "true" : "false");
}

static void start_ranks(const struct load *l)
{
	for (int i = 0; i < RANKS; i++)
		if (fork() == 0)
			_exit(run_rank(l->dir, i, WARM_S + l->seconds + 1));
}

/* Returns its pid once it says that it is ready. */
static pid_t start_agent(const struct load *l, const char *collector)
{
	char word[6];
	int ready[2];
	ssize_t n;
	pid_t pid;

	if (pipe(ready))
		return -1;
	pid = fork();
	if (pid == 0) {
		dup2(ready[1], 9);
		execl(l->agent, l->agent, "--collector", collector, "--runtime-dir", l->dir,
		      "--any-node", "--ready-fd", "9", (char *)NULL);
		_exit(127);
	}
	close(ready[1]);
	n = read(ready[0], word, sizeof word);
	close(ready[0]);
	return n == sizeof word ? pid : -1;
}

/* CPU time of another process so far, all threads. */
static double cpu_ns(pid_t pid)
{
	struct timespec t = {0};
	clockid_t clock;

	if (!clock_getcpuclockid(pid, &clock))
		clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void measure(struct load *l, pid_t agent)
{
	struct timespec pause = {WARM_S, 0};
	double cpu, bytes, blocks;
	struct rusage usage;
	uint64_t begin;

	nanosleep(&pause, NULL);
	begin = c4_mono_ns();
	cpu = cpu_ns(agent);
	bytes = (double)l->bytes;
	blocks = (double)l->blocks;
	pause.tv_sec = (time_t)l->seconds;
	nanosleep(&pause, NULL);
	cpu = (cpu_ns(agent) - cpu) / (double)(c4_mono_ns() - begin);
	bytes = ((double)l->bytes - bytes) / l->seconds / RANKS;
	blocks = ((double)l->blocks - blocks) / l->seconds / RANKS;
	kill(agent, SIGTERM);
	wait4(agent, NULL, 0, &usage);
	print_line("agent_steady_cpu", 100 * cpu, "% of a core", 2);
	print_line("agent_steady_rss", (double)usage.ru_maxrss / 1024, "MiB", 32);
	print_line("agent_steady_upstream", bytes / 1000, "kB/s per rank", 2);
	print_line("agent_steady_blocks", blocks, "blocks/s per rank", 6);
	print_line("agent_steady_lost", (double)l->lost, "events", 0);
}

static void clean_up(const struct load *l)
{
	char command[128];

	while (wait(NULL) > 0 || errno == EINTR)
		;
	snprintf(command, sizeof command, "rm -rf '%s'", l->dir);
	if (system(command))
		fprintf(stderr, "agent_steady: %s: not removed\n", l->dir);
}

/* bench/agent_steady lies beside bin/c4agent. */
static int find_agent(struct load *l)
{
	ssize_t n = readlink("/proc/self/exe", l->agent, sizeof l->agent - 32);
	char *slash;

	if (n < 0)
		return -1;
	l->agent[n] = '\0';
	slash = strrchr(l->agent, '/');
	snprintf(slash, 32, "/../bin/c4agent");
	return access(l->agent, X_OK);
}

int main(int argc, char **argv)
{
	static struct load l = {.dir = "/dev/shm/c4-bench.XXXXXX", .seconds = 20};
	struct sink sink;
	pid_t agent;

	if (argc > 1 && !strcmp(argv[1], "--quick"))
		l.seconds = 5;
	if (find_agent(&l) || !mkdtemp(l.dir)) {
		fprintf(stderr, "agent_steady: %s: %s\n", l.agent, strerror(errno));
		return 1;
	}
	start_ranks(&l);
	if (!sink_start(&sink, 0, take, &l))
		return 1;
	agent = start_agent(&l, sink.address);
	if (agent > 0)
		measure(&l, agent);
	sink_stop(&sink);
	clean_up(&l);
	return agent > 0 ? 0 : 1;
}
