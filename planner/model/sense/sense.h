/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sense.h - which link is slow, from connections on known paths.
 *
 * Each window (about a second) has the connections that carried something: their links, how fast
 * they were while data were in flight, how much of the time that was. What a connection could
 * expect is its share of the narrowest place on its way, places being shared by those that are
 * busy at the same time; its speed is what it got of that. So two elephants that collide on a link
 * are as fast as can be expected: congestion, not a slow link.
 *
 * A link is suspected in a window when
 *  - all connections on it are slow: at most C4_SENSE_MARGIN of the median speed of those
 * elsewhere, and outside their spread (MAD); one healthy connection exonerates every link it
 * crosses;
 *  - nothing else explains its slow connections as well: another link of the same ways, or the host
 *    that sends (receives) them, all of whose connections are slow. Who explains most slow
 *    connections wins; a tie is broken by where the round-trip time to the hops of one of them
 *    jumps, which the caller is asked to measure (watches), else there is no verdict.
 * It is confirmed by C4_SENSE_BAD of its last C4_SENSE_WINDOWS windows. Connections held back by a
 * receiver's window or a sender's buffer, idle ones and those alone in the network say nothing.
 *
 * Pure: same input, same findings; one thread. A directed link is 2 · link, plus 1 downwards.
 */
#ifndef C4_PLANNER_SENSE_H
#define C4_PLANNER_SENSE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/ds/map.h"

#define C4_SENSE_HOPS	    4u
#define C4_SENSE_FLOWS_MAX  16384u /* in one window; more are not looked at */
#define C4_SENSE_WINDOWS    4u
#define C4_SENSE_BAD	    3u
#define C4_SENSE_MARGIN	    0.5
#define C4_SENSE_FINDINGS   64u
#define C4_SENSE_WATCHES    32u
#define C4_SENSE_TRACKS_MAX 4096u /* links with a history of suspicion */
#define C4_SENSE_FORGET	    16u	  /* windows without news until that is forgotten */

struct c4_sense_flow {
	uint32_t src, dst; /* NICs */
	uint32_t link[C4_SENSE_HOPS];
	uint32_t hops;	  /* 0: it says nothing of links, but of its hosts */
	double gbps;	  /* over the window */
	double busy_gbps; /* while data were in flight */
	float busy;	  /* share of the window that was */
	float limited;	  /* share of that, by window or buffer */
	uint32_t rtt_us[C4_SENSE_HOPS +
			1]; /* to each switch of the way, the leaf first; 0: unknown */
};

struct c4_sense_input {
	const struct c4_sense_flow *flows;
	uint32_t n;
	const float *link_gbps; /* per link: what it is believed to carry */
	const float *nic_gbps;	/* per NIC, 0: unknown; NULL: none is known */
};

enum c4_sense_kind { C4_SENSE_SLOW, C4_SENSE_CONGESTED };

struct c4_sense_finding {
	uint32_t link;		 /* directed */
	enum c4_sense_kind kind; /* slow: it carries less than it should; congested: it is full */
	bool confirmed;
	uint32_t alike; /* what else explains it as well: 0 unless in doubt, never confirmed then */
	uint32_t flows; /* that show it */
	uint32_t windows;    /* bad ones of the last C4_SENSE_WINDOWS */
	double gbps;	     /* it carries so much; median of the bad windows */
	double speed, peers; /* of its connections, and of those elsewhere (medians) */
};

/* What a window showed of a directed link. */
struct c4_sense_link {
	uint32_t link;
	uint32_t flows;				     /* that say something */
	uint32_t healthy;			     /* of them */
	double busy, most_busy, sum_gbps, most_gbps; /* of all flows */
	double best;				     /* highest speed of those that say something */
	double low;  /* it carried at least so much while it was busy … */
	double high; /* … and at most */
};

struct c4_sense_result {
	const struct c4_sense_finding *findings; /* valid until the next step */
	uint32_t n_findings;
	uint32_t watches[C4_SENSE_WATCHES]; /* flows of the input whose hops should be measured */
	uint32_t n_watches;
	const struct c4_sense_link *links;
	uint32_t n_links;
};

struct c4_sense;

struct c4_sense *c4_sense_new(void); /* NULL: out of memory */
void c4_sense_free(struct c4_sense *s);

/* Links were renumbered, or one was given another rate: its history means nothing any more. */
void c4_sense_clear(struct c4_sense *s);
void c4_sense_forget(struct c4_sense *s, uint32_t link);

/* One more window. 0 or -ENOMEM, the window is then lost. */
int c4_sense_step(struct c4_sense *s, const struct c4_sense_input *in, struct c4_sense_result *ret);

#endif
