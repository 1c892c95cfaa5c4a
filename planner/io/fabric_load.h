/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fabric_load.h - the one way to read a fabric, whatever wrote it: our YAML (or its JSON), Slurm's
 * topology.conf, the output of ibnetdiscover. Blocking file I/O; one thread.
 */
#ifndef C4_PLANNER_IO_FABRIC_LOAD_H
#define C4_PLANNER_IO_FABRIC_LOAD_H

#include "common/buf.h"
#include "planner/model/fabric/fabric.h"

enum c4_fabric_format { C4_FABRIC_GUESS, C4_FABRIC_YAML, C4_FABRIC_SLURM, C4_FABRIC_IBNET };

/* "yaml", "slurm", "ibnet"; -1 for another word. */
int c4_fabric_format_of(const char *word);

/*
 * Initialises *f, fills it from the file ("-": standard input) and finishes it. 0: release it
 * later. A negative errno: nothing to release, and errors (appended) holds complete lines, each
 * "FILE:LINE: what, expected what".
 */
int c4_fabric_load(struct c4_fabric *f, const char *path, enum c4_fabric_format format,
		   struct c4_buf *errors);

/* The same from memory; name stands for the file in errors. */
int c4_fabric_parse(struct c4_fabric *f, const char *name, const char *text, size_t len,
		    enum c4_fabric_format format, struct c4_buf *errors);

#endif
