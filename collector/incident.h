/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * incident.h - the life of an incident: suspect → confirmed → (acted) → resolved.
 *
 * A verdict (diag.h) is what one look says; an incident is what people are told, once. The same
 * fault, seen again, is the same incident: found by (job, launch, kind, key). A suspect that fades
 * is forgotten; a confirmed one whose verdict stays away is resolved, and opened again, not
 * announced as new, if it comes back within C4_INCIDENT_REOPEN_NS. Crash and mismatch stay open
 * until their job is over: nothing a process does later undoes them.
 *
 * The set holds at most C4_INCIDENT_MAX; the oldest resolved ones give way. `dirty` incidents have
 * changed since they were last written to the store. now_ns is the collector's time, wall_ns for
 * people. One thread; the set owns its incidents.
 */
#ifndef C4_COLLECTOR_INCIDENT_H
#define C4_COLLECTOR_INCIDENT_H

#include <stdbool.h>
#include <stdint.h>

#include "c4/incident.h"
#include "c4/segment.h"
#include "collector/diag/diag.h"
#include "collector/model.h"

#define C4_INCIDENT_MAX	      4096u
#define C4_INCIDENT_RANKS     1024u /* culprits kept by name; their number is kept in full */
#define C4_INCIDENT_ID_BYTES  24u
#define C4_INCIDENT_REOPEN_NS (60ull * 1000000000)

struct c4_incident {
	char id[C4_INCIDENT_ID_BYTES]; /* sorts by time of birth */
	char job[C4_JOB_NAME_BYTES];
	uint64_t launch;
	uint64_t key; /* of the verdict */
	enum c4_incident_kind kind;
	enum c4_incident_state state;
	double confidence;
	uint32_t nranks; /* culprits, of which `ranks` holds at most C4_INCIDENT_RANKS */
	int32_t *ranks;
	char node[C4_NAME_BYTES];				       /* "" if they share none */
	char gpu[C4_DIAG_LINK], nic[C4_DIAG_LINK], link[C4_DIAG_LINK]; /* "": none is to blame */
	uint32_t nwaiting;
	uint32_t flaps; /* how often it came back */
	char summary[C4_DIAG_SUMMARY];
	uint32_t nevidence;
	struct c4_evidence evidence[C4_DIAG_EVIDENCE];
	uint64_t first_wall_ns, confirmed_wall_ns, resolved_wall_ns; /* 0: not (yet) */
	uint64_t changed_wall_ns;
	uint64_t detect_ms;

	/* not stored */
	uint64_t seen_ns; /* last verdict */
	uint64_t resolved_ns;
	bool present;	   /* the newest look showed it */
	uint64_t revision; /* counts changes of state */
	bool dirty;	   /* the store has not seen the newest revision */
};

/* Confirmed, reopened or resolved: told once each, after the incident was updated. */
typedef void (*c4_incident_cb)(void *arg, const struct c4_incident *in);

struct c4_incidents {
	struct c4_incident **v; /* oldest first */
	uint32_t n, cap;
	uint64_t last_id;	    /* the newest id as a number */
	uint64_t total[C4_INC_MAX]; /* ever confirmed, by kind */
	uint64_t refused;	    /* verdicts that found no room */
	c4_incident_cb changed;	    /* may be NULL */
	void *arg;
};

void c4_incidents_init(struct c4_incidents *s, c4_incident_cb changed, void *arg);
void c4_incidents_release(struct c4_incidents *s);

/* One look at a job: its verdicts, all of them. */
void c4_incidents_apply(struct c4_incidents *s, const struct c4_job *job,
			const struct c4_verdicts *verdicts, uint64_t now_ns, uint64_t wall_ns);

/* Resolves what belongs to a job that is over. */
void c4_incidents_job_over(struct c4_incidents *s, const struct c4_job *job, uint64_t now_ns,
			   uint64_t wall_ns);

/* Resolves what an earlier collector left open of jobs that never came back. */
void c4_incidents_orphans(struct c4_incidents *s, const struct c4_model *m, uint64_t now_ns,
			  uint64_t wall_ns);

/* Takes an incident read from the store; false (and not taken) if its id is here already or there
 * is no room. */
bool c4_incidents_adopt(struct c4_incidents *s, struct c4_incident *in, uint64_t now_ns);

/* Forgets resolved ones that changed last before wall_ns. */
void c4_incidents_expire(struct c4_incidents *s, uint64_t wall_ns);

struct c4_incident *c4_incidents_by_id(const struct c4_incidents *s, const char *id);

/* Open: suspect, confirmed or acted. Public: confirmed at some time. */
static inline bool c4_incident_open(const struct c4_incident *in)
{
	return in->state != C4_INC_STATE_RESOLVED;
}

static inline bool c4_incident_public(const struct c4_incident *in)
{
	return in->state != C4_INC_STATE_SUSPECT;
}

void c4_incident_free(struct c4_incident *in); /* NULL is fine */

const char *c4_incident_kind_name(enum c4_incident_kind k);
const char *c4_incident_severity(enum c4_incident_kind k);
const char *c4_incident_state_name(enum c4_incident_state s);

/* What to do about it: the kind's action, but isolation only where a node is named. */
const char *c4_incident_action(const struct c4_incident *in);

/* -1: no such name. */
int c4_incident_kind_of(const char *name);
int c4_incident_state_of(const char *name);

#endif
