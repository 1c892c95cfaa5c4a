/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * incident.h - kinds and states of an incident (c4.incident/v1), written once.
 *
 * Columns of C4_INCIDENTS: constant suffix, name on the wire, severity, recommended action.
 * Only hardware-like kinds may ever recommend isolation: software faults (mismatch, deadlock)
 * and shared conditions (congestion, slow-job, data-gap) never do.
 */
#ifndef C4_INCIDENT_H
#define C4_INCIDENT_H

/* clang-format off */
#define C4_INCIDENTS(X)                                               \
	X(CRASH,      "crash",      "critical", "restart-job")        \
	X(NODE_LOST,  "node-lost",  "critical", "isolate-node")       \
	X(HANG_RANK,  "hang-rank",  "critical", "isolate-node")       \
	X(HANG_COMM,  "hang-comm",  "critical", "inspect")            \
	X(MISMATCH,   "mismatch",   "critical", "fix-program")        \
	X(DEADLOCK,   "deadlock",   "critical", "fix-program")        \
	X(SLOW_RANK,  "slow-rank",  "warning",  "isolate-node")       \
	X(SLOW_NODE,  "slow-node",  "warning",  "isolate-node")       \
	X(SLOW_TX,    "slow-tx",    "warning",  "isolate-node")       \
	X(SLOW_RX,    "slow-rx",    "warning",  "isolate-node")       \
	X(SLOW_LINK,  "slow-link",  "warning",  "re-plan")            \
	X(CONGESTION, "congestion", "warning",  "re-plan")            \
	X(SLOW_JOB,   "slow-job",   "warning",  "inspect")            \
	X(DATA_GAP,   "data-gap",   "info",     "inspect")

#define C4_INCIDENT_STATES(X)         \
	X(SUSPECT,   "suspect")       \
	X(CONFIRMED, "confirmed")     \
	X(ACTED,     "acted")         \
	X(RESOLVED,  "resolved")
/* clang-format on */

enum c4_incident_kind {
#define C4_INC_ENUM(sym, name, severity, action) C4_INC_##sym,
	C4_INCIDENTS(C4_INC_ENUM)
#undef C4_INC_ENUM
		C4_INC_MAX
};

enum c4_incident_state {
#define C4_INC_STATE_ENUM(sym, name) C4_INC_STATE_##sym,
	C4_INCIDENT_STATES(C4_INC_STATE_ENUM)
#undef C4_INC_STATE_ENUM
		C4_INC_STATE_MAX
};

#define C4_INCIDENT_SCHEMA "c4.incident/v1"
#define C4_REPORT_SCHEMA   "c4.report/v1"

#endif
