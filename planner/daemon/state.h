/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * state.h - the plan on disk, so that a restart moves nothing.
 *
 * One file: header, jobs, connections, routes, reported links; little endian, strings with their
 * length. Nothing in it is believed before the checksum fits, and everything is checked against
 * the fabric afterwards: a file of another fabric, format or machine is refused with its reason,
 * and only its version is taken over, so that versions go on growing.
 * Written whole to a temporary name beside it, synced, renamed. Library code: silent.
 */
#ifndef C4_PLANNER_STATE_H
#define C4_PLANNER_STATE_H

#include "common/buf.h"
#include "planner/daemon/edition.h"

#define C4_STATE_FORMAT 2u

/* What was read; release with c4_state_release(). */
struct c4_state {
	uint64_t version; /* 0: unknown */
	struct c4_demand demand;
	struct c4_plan plan; /* routes and bounds; not measured */
	uint64_t *changed;
	struct c4_links links;
};

void c4_state_encode(const struct c4_edition *e, struct c4_buf *out);

/*
 * Reads a file's bytes for this fabric. 0; -EBADMSG corrupt, -EPROTO another format, -ESTALE made
 * for another fabric, -ENOMEM: the reason in *fault, and in *ret nothing but the version, if known.
 */
int c4_state_decode(const void *data, size_t n, const struct c4_held_fabric *fabric,
		    struct c4_state *ret, struct c4_fault *fault);
void c4_state_release(struct c4_state *s);

/* Of what follows it in the file. */
uint64_t c4_state_checksum(const void *data, size_t n);

/* 0 or a negative errno with the reason in *fault; on failure an old file is as it was.
 * Read it with c4_slurp(). Blocking. */
int c4_state_write(const char *path, const struct c4_buf *b, struct c4_fault *fault);

#endif
