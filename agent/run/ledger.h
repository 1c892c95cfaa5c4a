/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ledger.h - which incidents people have been told about: each is announced once when confirmed
 * and once when resolved, however often the collector lists it. Bounded; when full, further
 * incidents are counted and left to the report. One thread.
 */
#ifndef C4_RUN_LEDGER_H
#define C4_RUN_LEDGER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define C4_LEDGER_MAX 512

struct c4_ledger {
	struct c4_ledger_entry {
		uint64_t id; /* hash of the incident's id */
		bool resolved;
	} entries[C4_LEDGER_MAX];
	bool loud; /* kinds in capitals, for a terminal; else as the API spells them */
	unsigned int count;
	unsigned int open;     /* announced, not resolved */
	unsigned int unlisted; /* beyond the table, per look */
	char newest[200];      /* "slow-rank rank 5 (n2)", of the newest open one */
};

/* line: one sentence without newline. */
typedef void (*c4_ledger_cb)(void *arg, const char *line);

/*
 * Compares a list of c4.incident/v1 with what was told and announces the difference; at_ns is the
 * time since the job began.
 */
void c4_ledger_update(struct c4_ledger *l, const json_t *incidents, uint64_t at_ns,
		      c4_ledger_cb announce, void *arg);

/* "slow-rank rank 5 (n2)" */
const char *c4_incident_label(const json_t *incident, char *buf, size_t n);

#endif
