/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rundir.h - the directory where the job's segments live. Given by the user, or a private one
 * (0700, owned by us) named after the job under the first base that can be written to: /dev/shm,
 * $TMPDIR, /tmp. A private one is removed at the end with what is left in it.
 *
 * Segments are memory, so what a killed c4run could not remove, the next one does: each private
 * directory has a file "run.lock" that the c4run using it hold a shared lock on; one that nobody
 * holds is left over.
 */
#ifndef C4_RUN_RUNDIR_H
#define C4_RUN_RUNDIR_H

#include <limits.h>
#include <stdbool.h>

struct c4_rundir {
	char path[PATH_MAX];
	bool private;
	int lock_fd; /* held to the end of the process; -1: none */
};

/* Only says where it would be: for --dry-run. given may be NULL. */
int c4_rundir_plan(struct c4_rundir *r, const char *given, const char *job);

/* Plans and makes it. 0, or the negative errno of the last base tried. */
int c4_rundir_make(struct c4_rundir *r, const char *given, const char *job);

/* Removes private directories under base that nobody uses; returns their number. */
unsigned int c4_rundir_sweep_jobs(const char *base);

/* Removes a private one; leaves a given one alone. */
void c4_rundir_remove(const struct c4_rundir *r);

#endif
