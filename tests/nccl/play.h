/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * play.h - carries out a stream's statements: control here, events through build.h and core.h.
 */
#ifndef C4_TESTS_NCCL_PLAY_H
#define C4_TESTS_NCCL_PLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/nccl/core.h"
#include "tests/nccl/stream.h"

#define VARS_MAX  256
#define NAME_MAX_ 64

/* A call whose time has not come. */
struct due {
	int64_t at_us;
	int order; /* among those of the same time */
	struct call call;
	char thread[32];
};

/* GPU time of an instant t of CLOCK_MONOTONIC: offset + t·(1 + drift). */
struct gpu_clock {
	int64_t offset_ns;
	int64_t drift_ppm;
	int64_t raw_ns, raw_at_us; /* a recording's clock: this value at that time */
};

struct player {
	const struct stream *s;
	uint64_t origin_ns; /* CLOCK_MONOTONIC */
	struct {
		char name[NAME_MAX_];
		int64_t value;
	} vars[VARS_MAX];
	int nvars;
	int64_t at; /* time of the event being built */
	struct gpu_clock gpu;
	struct slot *comm; /* the last one made */
	struct due *dues;  /* of the timeline that is open */
	int ndues, room;
	bool timeline, parallel, child;
	int64_t rank, nranks;
};

void player_init(struct player *p, const struct stream *s, uint64_t origin_ns);
void player_let(struct player *p, const struct stmt *at, const char *name, int64_t value);

/* Returns at the end of the stream; a failure ends the process (stream_fail). */
void player_run(struct player *p);

/* Value of an expression of the statement; NULL text: the default. */
int64_t player_eval(struct player *p, const struct stmt *at, const char *text);

uint64_t player_now_us(const struct player *p);

#endif
