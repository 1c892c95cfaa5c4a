// SPDX-License-Identifier: BSD-3-Clause
/*
 * collector_load [--quick] [RANKS]: what a collector costs when RANKS ranks, eight to an agent,
 * post once a second. Posts are made beforehand; ingest, joining, diagnosis and tick are measured,
 * in this process. Each rank is in the world, in a group of eight and in one of RANKS/8; the last
 * one is a ring of CHANNELS connections from rank to rank, of whose ends each rank tells as many a
 * second as an agent's budget allows. One JSON line per number.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "collector/collector.h"
#include "common/log.h"
#include "tests/unit/collector_post.h"

#define S	  1000000000ull
#define PER_AGENT 8u
#define OPS	  50u /* per second and communicator */
#define WORLD	  1ull
#define TENSOR	  (1ull << 32) /* + first rank / 8 */
#define DATA	  (2ull << 32) /* + rank % 8 */
#define CHANNELS  8u
#define TOLD	  10u /* connections a process tells of in a second */

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * S + (uint64_t)t.tv_nsec;
}

static void tell_comm(C4__V1__Process *x, uint64_t id, uint64_t second, uint64_t inside_ns,
		      uint32_t size, uint32_t my_rank, int32_t first, int32_t stride)
{
	C4__V1__Comm *c = post_comm(x, id, (second + 1) * OPS, (second + 1) * OPS);

	if (second == 0)
		post_members(c, size, my_rank, first, stride);
	post_block(x, id, second * OPS, OPS, inside_ns);
}

static void tell_conn(C4__V1__Process *x, uint32_t rank, uint32_t ranks, uint64_t second,
		      uint32_t end)
{
	uint32_t size = ranks / 8, me = rank / 8;
	bool sends = end % 2;
	uint32_t peer = (me + (sends ? 1 : size - 1)) % size;
	C4__V1__Conn *k = post_conn(x, DATA + rank % 8, me, peer, sends, (second + 1) * 64);

	k->channel = end / 2;
	k->gpu_ns = k->busy_ns / 3;
	k->opno = (second + 1) * OPS;
	k->still_ns = 1000000;
	k->phase = C4_CONN_GPU_WAIT;
	k->active = 1;
}

static void tell_rank(C4__V1__Post *p, uint32_t rank, uint32_t ranks, uint64_t second)
{
	C4__V1__Process *x = post_process(p, rank % PER_AGENT + 1);
	uint64_t noise = rank * 2654435761u % 100000;

	if (second == 0)
		post_identity(x, "load", rank, ranks);
	x->alive_ns = (second + 1) * S;
	tell_comm(x, WORLD, second, 100000 + noise, ranks, rank, 0, 1);
	tell_comm(x, TENSOR + rank / 8, second, 100000 + noise, 8, rank % 8,
		  (int32_t)(rank / 8 * 8), 1);
	tell_comm(x, DATA + rank % 8, second, 100000 + noise, ranks / 8, rank / 8,
		  (int32_t)(rank % 8), 8);
	for (uint64_t i = 0; i < TOLD; i++)
		tell_conn(x, rank, ranks, second, (uint32_t)((second * TOLD + i) % (2 * CHANNELS)));
	x->conns_late = 2 * CHANNELS - TOLD;
	post_thread(x, WORLD, (second + 1) * OPS, 1000000);
}

struct packed {
	uint8_t *data;
	size_t n;
};

static struct packed make_post(uint32_t agent, uint32_t ranks, uint64_t second)
{
	C4__V1__Post *p = post_new(agent + 1, second + 1);
	struct packed out;

	for (uint32_t i = 0; i < PER_AGENT; i++)
		tell_rank(p, agent * PER_AGENT + i, ranks, second);
	out.data = post_pack(p, &out.n);
	post_free(p);
	return out;
}

/* One simulated second: all posts, spread over four ticks. Returns the CPU time the collector took.
 */
static uint64_t run_second(struct c4_collector *c, uint32_t ranks, uint64_t second)
{
	uint32_t agents = ranks / PER_AGENT;
	uint64_t spent = 0, mono = (second + 10) * S;

	for (uint32_t a = 0; a < agents; a++) {
		struct packed post = make_post(a, ranks, second);
		struct c4_ingest_answer answer;
		uint64_t began = cpu_ns();

		c4_collector_post(c, post.data, post.n, mono, mono, &answer);
		if ((a + 1) % (agents / 4) == 0) {
			mono += S / 4;
			c4_collector_tick(c, mono, mono);
		}
		spent += cpu_ns() - began;
		free(post.data);
	}
	return spent;
}

static void say(const char *name, double value, const char *unit, double budget)
{
	printf("{\"bench\":\"%s\",\"value\":%.4g,\"unit\":\"%s\",\"budget\":%g,\"ok\":%s}\n", name,
	       value, unit, budget, value <= budget ? "true" : "false");
}

static uint64_t refused(const struct c4_stats *s)
{
	uint64_t n = s->posts_refused[C4_POST_DECODE];

	for (int i = 0; i < C4_PART_REFUSAL_MAX; i++)
		n += s->parts_refused[i];
	return n;
}

int main(int argc, char **argv)
{
	static struct c4_collector c;
	int quick = argc > 1 && !strcmp(argv[1], "--quick");
	uint32_t ranks = argc > 1 + quick ? (uint32_t)atoi(argv[1 + quick]) : 100000;
	uint32_t seconds = quick ? 6 : 12, warm = 2;
	uint64_t spent = 0;
	struct rusage use;

	ranks -= ranks % (PER_AGENT * 4);
	c4_log_set_level(C4_LOG_ERROR);
	if (ranks < PER_AGENT * 4 || c4_collector_init(&c, NULL, NULL, S, 10 * S, 10 * S))
		return 1;
	for (uint32_t s = 0; s < seconds; s++) {
		uint64_t cost = run_second(&c, ranks, s);

		spent += s >= warm ? cost : 0;
	}
	getrusage(RUSAGE_SELF, &use);
	if (!c.stats.windows || !c.model.conns || refused(&c.stats)) {
		fprintf(stderr, "collector_load: posts were refused or never joined\n");
		return 1;
	}
	say("collector_cpu", (double)spent / 1e9 / (seconds - warm), "cores", 1.0);
	say("collector_memory", (double)use.ru_maxrss / 1024 / 1024, "GiB", 4.0);
	fprintf(stderr,
		"%u ranks, %llu connections: %llu windows, judgement %.1f ms, %u incidents\n",
		ranks, (unsigned long long)c.model.conns, (unsigned long long)c.stats.windows,
		(double)c.stats.judge_ns / 1e6 / (double)c.stats.judgements, c.incidents.n);
	c4_collector_release(&c, (seconds + 20) * S, S);
	return 0;
}
