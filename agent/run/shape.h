/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shape.h - whether c4run wraps a launcher or is itself started once per rank, and then: which
 * rank of which launch. Pure: reads the environment it is given.
 */
#ifndef C4_RUN_SHAPE_H
#define C4_RUN_SHAPE_H

#include <stdbool.h>
#include <stddef.h>

#include "c4/segment.h"

enum c4_shape { C4_SHAPE_LAUNCHER, C4_SHAPE_RANK };

struct c4_launch {
	enum c4_shape shape;
	long rank;		/* world rank, -1: not known */
	long size;		/* world size, 0: not known */
	long local_size;	/* ranks on this node, 0: not known */
	char id[C4_NAME_BYTES]; /* equal on all ranks of a launch; empty for a launcher */
};

/*
 * env: as environ; command: what is about to run (a launcher's name wins over a rank found in the
 * environment, as in a batch script, which is rank 0 of its own step); parent: pid that tells
 * launches apart when the environment does not.
 */
void c4_launch_detect(struct c4_launch *l, char *const *env, const char *command, long parent);

/* Value of a variable in env, or NULL. */
const char *c4_env_get(char *const *env, const char *name);

/* Copies s as a file name: what is not a letter, digit, '.', '_' or '-' becomes '_'; no leading
 * dot. */
void c4_file_name(char *buf, size_t n, const char *s);

/* Last component of a path. */
const char *c4_base_name(const char *path);

/* Job id when nobody gave one: program, local date and time, pid. */
void c4_job_name(char *buf, size_t n, const char *command, long wall_s, long pid);

#endif
