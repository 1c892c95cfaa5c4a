/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * core.h - the part of NCCL that speaks to a profiler plugin: loads it, keeps the event mask, and
 * calls it for one event after another, as NCCL's core does, traps included.
 *
 * What it watches over at every call: the result is success, errno is untouched, a handle is always
 * set. Handles live in slots, by name, for the whole run: like NCCL's they are not cleared at stop.
 */
#ifndef C4_TESTS_NCCL_CORE_H
#define C4_TESTS_NCCL_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/nccl/event.h"
#include "tests/nccl/stream.h"

/* An event or a communicator of the stream. */
struct slot {
	struct slot *next;
	void *handle;  /* what the plugin made of it: handle or context */
	uint64_t mask; /* the mask at its API call */
	uint64_t type; /* 0: a communicator */
	uint64_t hash; /* communicators: */
	int64_t rank;
	bool anonymous; /* v1 … v3: a newer NCCL no longer tells the name and hash */
	char *comm_name;
	char name[64];
};

enum verb { VERB_INIT, VERB_FINALIZE, VERB_START, VERB_STOP, VERB_RECORD };

/* One call, complete: nothing in it changes any more but what the slots hold. */
struct call {
	const struct stmt *at;
	enum verb verb;
	bool force;
	struct slot *target, *ctx, *parent, *group, *data; /* NULL: NULL is passed */
	struct event e;
	struct event_args args;
	int state;
	int64_t nodes, nranks; /* init */
};

struct core_options {
	const char *plugin; /* file */
	int newest;	    /* version this NCCL asks for first */
	bool verbose;	    /* the plugin's messages go to stderr */
};

void core_setup(const struct core_options *o);

/* The slot of this name, made if there was none. "bad": an address that must not be touched. */
struct slot *core_slot(const char *name);

/* Any thread. */
void core_call(const struct call *c);

int core_version(void); /* 0: not loaded yet */
int core_mask(void);
void core_set_mask(int mask);
int core_warnings(void);

#endif
