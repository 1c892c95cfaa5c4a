/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * absence.h - links that switches do not use any more, from where random ports were sent.
 *
 * Who looks for ports draws them at random, so each of the S ways between two leaves should be met
 * once in S draws. A link that draws should have met C4_ABSENCE_DRAWS times since it was last met
 * is dry: chance leaves a link that is used so long unmet once in e^16 times. Routing withdraws a
 * dead link on both sides, so all ways over it stay unmet, those towards its leaf too: among dry
 * links, and the spines where these meet, the one that explains most unmet ways is gone, then the
 * next (sense/blame.h). What cannot be told apart is gone alike: nobody who tries gets through any
 * of it.
 *
 *  - Draws only: ports that are looked at because they are planned prefer some ways.
 *  - A leaf counts once two hosts met different ways by their source ports alone, back and forth:
 *    switches that hash addresses only show nothing.
 *  - A draw that no switch answered may have gone over a switch that never answers. So a link that
 *    was never met is gone only if few draws were not answered; one that was met before may be a
 *    black hole.
 *  - One that is met in any way is back.
 * In three tiers the first link of a way only: spines may choose among cores as they like.
 *
 * Pure, one thread. Links are those of the fabric, both directions one; of parallel links the first
 * stands for all.
 */
#ifndef C4_PLANNER_SENSE_ABSENCE_H
#define C4_PLANNER_SENSE_ABSENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "planner/model/fabric/fabric.h"

#define C4_ABSENCE_DRAWS     16.0f
#define C4_ABSENCE_PAIRS_MAX 16384u /* of leaves; draws of more are not looked at */
#define C4_ABSENCE_ENDS_MAX  65536u /* pairs of NICs that tell how their leaf hashes */
#define C4_ABSENCE_FOUND_MAX 64u

struct c4_absence;

/* One port between two NICs under different leaves. */
struct c4_absence_draw {
	uint32_t src, dst; /* NICs */
	uint32_t via;	   /* switch above the source's leaf; C4_NONE: nobody answered */
	bool drawn;	   /* at random */
};

struct c4_absence_found {
	uint32_t link;
	float draws;  /* that should have met it since it was last met */
	bool certain; /* nothing else explains it as well */
};

/* Of this fabric, which must outlive it. NULL: out of memory. */
struct c4_absence *c4_absence_new(const struct c4_fabric *f);
void c4_absence_free(struct c4_absence *a);

/* Takes one observation; rates: per link, those that carry nothing are not expected to be met. */
void c4_absence_note(struct c4_absence *a, const float *rates, const struct c4_absence_draw *d);

/* What is gone now and carries something by rates, into found[C4_ABSENCE_FOUND_MAX]; how many. */
uint32_t c4_absence_find(struct c4_absence *a, const float *rates, struct c4_absence_found *found);

/* Draws since it was last met, of those that were expected to. */
float c4_absence_dry(const struct c4_absence *a, uint32_t link);

/* Whether it was met since it was last found gone, or since the beginning. */
bool c4_absence_met(const struct c4_absence *a, uint32_t link);

#endif
