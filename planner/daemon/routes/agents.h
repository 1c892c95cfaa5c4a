/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * agents.h - the agents that report, by the host they are on.
 *
 * An agent that is silent for C4_AGENT_SILENT_NS is forgotten: nobody is sent to it any more. The
 * serial grows whenever what other agents are told of one changes. Loop's thread; one agent a host,
 * the last one to report.
 */
#ifndef C4_PLANNER_AGENTS_H
#define C4_PLANNER_AGENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "planner/model/fabric/fabric.h"

#define C4_AGENT_SILENT_NS 30000000000ull

struct c4_agent {
	uint64_t instance;
	uint64_t seen_ns;
	uint64_t told_version; /* of the plan in the last full answer; 0: none yet */
	uint64_t told_serial;
	uint64_t follows; /* version that it says it follows */
	uint64_t probes_sent;
	uint64_t reports;
	uint32_t address; /* where others reach it, 0: nowhere */
	uint16_t helper_port;
	bool raw;
};

struct c4_agents {
	struct c4_agent **by_host; /* NULL: none */
	uint32_t n_hosts, n;
	uint64_t serial;
	uint64_t forgotten;
};

/* What an agent says of itself. */
struct c4_agent_card {
	uint64_t instance, follows, probes_sent;
	uint32_t address;
	uint16_t helper_port;
	bool raw;
};

void c4_agents_release(struct c4_agents *r);

/* Goes over to another fabric, by names; was may be NULL. -ENOMEM: as it was. */
int c4_agents_follow(struct c4_agents *r, const struct c4_fabric *was, const struct c4_fabric *is);

/* NULL: out of memory. */
struct c4_agent *c4_agents_hear(struct c4_agents *r, uint32_t host,
				const struct c4_agent_card *card, uint64_t now_ns);
struct c4_agent *c4_agents_at(const struct c4_agents *r, uint32_t host);

/* One that ended in good order. */
void c4_agents_bye(struct c4_agents *r, uint32_t host);
/* Forgets who was silent for too long; returns how many. */
uint32_t c4_agents_expire(struct c4_agents *r, uint64_t now_ns);

#endif
