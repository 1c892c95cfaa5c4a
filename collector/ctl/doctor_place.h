/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * doctor_place.h - the runtime directories of this machine: the user's own one and those that c4run
 * makes inside it for each job; and what the segments in them say, at two moments a second apart.
 * Nothing found in them is trusted; all of it is bounded, what is beyond is counted.
 */
#ifndef C4_CTL_DOCTOR_PLACE_H
#define C4_CTL_DOCTOR_PLACE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/segread.h"

#define C4_PLACES	       32u
#define C4_PLACE_SEGS	       64u
#define C4_PLACE_SEGMENT_BYTES 1000000u /* about what a segment takes */

struct c4_place_seg {
	char path[PATH_MAX];
	int rc; /* of opening it; the rest is valid if 0 */
	struct c4_seg_reader reader;
	bool alive;		    /* its process */
	bool hook_masked;	    /* a plugin's whose event mask is 0 */
	uint32_t comms;		    /* in use */
	uint64_t before;	    /* records, at the first look */
	uint64_t lost_before;	    /* … and losses of all kinds */
	struct c4_seg_header after; /* at the second */
};

struct c4_place {
	char dir[PATH_MAX];
	char agent_lock[PATH_MAX]; /* empty: none */
	bool agent;		   /* … and held: a file alone was left by one that died */
	char collector[256];	   /* as the processes were told; empty: they were not */
	struct c4_place_seg *segs;
	uint32_t nsegs, more;
};

struct c4_places {
	struct c4_place place[C4_PLACES];
	uint32_t n;
};

/* Losses of all kinds. */
uint64_t c4_place_lost(const struct c4_seg_header *h);

/* Those under dir where an agent or a process lives, else dir alone. Zero *p before. Sleeps a
 * second.
 */
void c4_places_look(struct c4_places *p, const char *dir);
void c4_places_release(struct c4_places *p);

#endif
