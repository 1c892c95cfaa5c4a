// SPDX-License-Identifier: BSD-3-Clause
/*
 * agent_drain [--quick]: how many records a second of one core's time the agent takes out of rings
 * and folds. A child fills its ring and waits; the drain alone is timed, in processor time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/daemon/target.h"
#include "tests/unit/agent_rank.h"

#define BUDGET 2000000.0
#define COMMS  4

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double drain_rate(struct rank *r, struct c4_target *t, int rounds)
{
	uint64_t taken = 0;
	double spent = 0;

	for (int i = 0; i < rounds; i++) {
		uint64_t from = t->seg.next;
		double begin;

		for (uint32_t k = 0; k < C4_SEG_EVENTS; k++)
			rank_op(r, k % COMMS);
		begin = cpu_s();
		c4_target_drain(t, c4_mono_ns(), UINT64_MAX);
		spent += cpu_s() - begin;
		taken += t->seg.next - from;
		c4_fold_clear(t->fold);
	}
	return (double)taken / spent;
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 && !strcmp(argv[1], "--quick") ? 100 : 1000;
	char dir[] = "/dev/shm/c4-drain.XXXXXX";
	struct c4_target *t;
	struct rank r;
	double rate;

	if (!mkdtemp(dir))
		return 1;
	rank_start(&r, dir, 0, "bench");
	for (uint32_t i = 0; i < COMMS; i++)
		rank_comm(&r, i, 100 + i);
	c4_seg_publish(&r.seg);
	if (c4_target_open(r.seg.path, c4_mono_ns(), &t))
		return 1;
	rate = drain_rate(&r, t, rounds);
	printf("{\"bench\":\"agent_drain\",\"value\":%.0f,\"unit\":\"records/s\",\"budget\":%.0f,"
	       "\"ok\":%s}\n",
	       rate, BUDGET, rate >= BUDGET ? "true" : "false");
	c4_target_close(t);
	rank_release(&r);
	return rmdir(dir);
}
