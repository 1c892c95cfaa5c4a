/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * poster.h - delivers posts to the collector from a thread of its own, so that the event loop
 * never waits for the network.
 *
 * Posts go out in order, each until it is settled: delivered, refused for good (HTTP 4xx) or
 * pushed out of the full back-log by newer ones. While the collector cannot be reached the thread
 * tries again after 100 ms, twice that, … 5 s. The data handed over must have C4_POSTER_ROOM more
 * bytes allocated than its length: the time it waited is appended when it is sent (protobuf lets
 * fields follow in any order).
 */
#ifndef C4_AGENT_POSTER_H
#define C4_AGENT_POSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define C4_POSTER_ROOM 11 /* tag and the longest varint */

struct c4_poster;

struct c4_poster_config {
	const char *collector;	   /* HOST:PORT, kept */
	void (*notify)(void *arg); /* there is news; called from the poster's thread */
	void *arg;
};

/* What the loop has to know; wishes are told once. */
struct c4_poster_news {
	uint64_t settled;    /* all posts up to this seq */
	uint64_t dropped;    /* posts that did not arrive, cumulative */
	uint64_t pushed_out; /* those of them that a full back-log dropped */
	bool resync;
	uint32_t interval_ms; /* 0: no wish */
	bool detail;	      /* transport steps are wanted, until the next answer */
};

/* NULL: out of memory, or the address is malformed. */
struct c4_poster *c4_poster_start(const struct c4_poster_config *config);

/* Takes data[0…len). seq must ascend from 1. made_ns: CLOCK_MONOTONIC. */
void c4_poster_send(struct c4_poster *p, uint64_t seq, uint64_t made_ns, void *data, size_t len);

void c4_poster_news(struct c4_poster *p, struct c4_poster_news *ret);

/* All posts up to this seq are settled. */
uint64_t c4_poster_settled(struct c4_poster *p);

/*
 * Ends the thread (what is not settled is lost) and frees p. False: a request in flight kept it
 * longer than patience_ns; the thread then still runs, p is lost, and the process must end with
 * _exit(2).
 */
bool c4_poster_stop(struct c4_poster *p, uint64_t patience_ns);

#endif
