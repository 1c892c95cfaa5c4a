/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wait.h - the Wait and Test families: arrays of requests, in C or Fortran handles.
 *
 * Handles are noted before the real call (it overwrites those it completes) and looked up after it.
 * Where several threads may be inside, a completed handle can be another thread's new request
 * before we look: then the entries themselves are taken out before and put back after the call.
 */
#ifndef C4_MPI_WAIT_H
#define C4_MPI_WAIT_H

#include <mpi.h>
#include <stdint.h>

#include "agent/hook/record.h"

#define C4_WAIT_REQUESTS 1024 /* of one call; the rest is not followed, and counted */
#define C4_WAIT_NAMED	 64   /* looked at to name whom the call waits for … */
#define C4_TEST_NAMED	 16   /* … or polls for: that is done many times over */

struct c4_requests {
	const MPI_Request *c; /* one of the two */
	const MPI_Fint *f;
	int n;
};

struct c4_wait {
	struct c4_call call;
	struct c4_requests reqs;
	int n; /* of those followed */
	bool p2p;
	uint64_t keys[C4_WAIT_REQUESTS];
	int32_t cells[C4_WAIT_REQUESTS]; /* only where threads share */
};

static inline uint64_t c4_request_key_c(const MPI_Request *r)
{
	return (uint64_t)(uintptr_t)*r;
}

static inline uint64_t c4_request_key_f(const MPI_Fint *r)
{
	return C4_REQ_FORTRAN(*r);
}

static inline struct c4_requests c4_requests_c(int n, const MPI_Request *r)
{
	return (struct c4_requests){.c = r, .n = n};
}

static inline struct c4_requests c4_requests_f(int n, const MPI_Fint *r)
{
	return (struct c4_requests){.f = r, .n = n};
}

/* The call is open: notes the handles. */
void c4_wait_note(struct c4_wait *w, struct c4_requests reqs);

/* A call that blocks: names what it waits for, starts the clock. */
void c4_wait_begin(struct c4_wait *w);

/*
 * The call returned rc and says that ndone requests are complete: those listed (Fortran counts from
 * 1), or the first ndone where list is NULL. After an error the handles themselves tell.
 */
void c4_wait_end(struct c4_wait *w, int rc, int ndone, const int *list);

/* The same for a call that only looked. keep: the requests stay (MPI_Request_get_status). */
void c4_test_end(struct c4_wait *w, int rc, int ndone, const int *list, bool keep);

#endif
