/* SPDX-License-Identifier: BSD-3-Clause */
/* flow.h - a connection, or queue pairs of one port, as one end saw them over an interval (message
 * Flow of route.proto). */
#ifndef C4_AGENT_ROUTES_FLOW_H
#define C4_AGENT_ROUTES_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#define C4_FLOWS_MAX 1024u /* in a report: those that carry most */

struct c4_flow {
	uint32_t src, dst;
	uint16_t sport, dport;
	uint8_t proto;
	bool initiated;
	uint64_t sent_bytes, received_bytes;
	uint32_t interval_ms, busy_ms, limited_ms;
	uint32_t rtt_us, min_rtt_us, retransmits;
	uint32_t connections; /* of this 5-tuple; 0: one */
	uint32_t route;	      /* place in the plan + 1; 0: none */
	bool reversed;
};

#endif
