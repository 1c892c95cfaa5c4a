/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * blame.h - which links explain that some pairs of hosts are slow and others are not.
 *
 * For where no connection's own rate is known (RDMA), but somebody compared the pairs: the
 * collector's matrix of network time per byte. A pair is all that goes from one NIC to another and
 * may take several ways; it is slow if one of them is, and well only if all of them are.
 *  - A pair that is well exonerates every link it crosses.
 *  - Of the others the link that explains most slow pairs is to blame, then the one that explains
 *    most of what is left, and so on (greedy set cover). Links that explain as many, some of them
 *    the same, cannot be told apart: they are found together, each with `alike` others.
 * Ends (NICs, hosts) are not asked here: whoever says that a pair is slow has cleared them, or says
 * that he has not.
 *
 * Pure: same input, same findings; one thread. A directed link is 2 · link, plus 1 downwards.
 */
#ifndef C4_PLANNER_SENSE_BLAME_H
#define C4_PLANNER_SENSE_BLAME_H

#include <stdbool.h>
#include <stdint.h>

#define C4_BLAME_FINDINGS 64u

enum c4_blame_word { C4_BLAME_SILENT, C4_BLAME_WELL, C4_BLAME_SLOW };

struct c4_blame_pair {
	enum c4_blame_word word;
	uint32_t first, n; /* its directed links: links[first …], each once */
	double slow;	   /* times the usual time, of the slowest of its ways */
};

struct c4_blame_input {
	const struct c4_blame_pair *pairs;
	uint32_t n;
	const uint32_t *links;
};

struct c4_blame_finding {
	uint32_t link;	/* directed */
	uint32_t pairs; /* slow ones that it explains */
	uint32_t alike; /* other links that explain them as well */
	double slow; /* lowest of the pairs': the link takes at least so many times the usual time */
};

/* Fills out[C4_BLAME_FINDINGS], those that explain most first. Their number, or -ENOMEM. */
int c4_blame(const struct c4_blame_input *in, struct c4_blame_finding *out);

#endif
