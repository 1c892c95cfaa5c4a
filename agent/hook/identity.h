/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * identity.h - who this process is, from the environment its launcher gave it.
 *
 * Known before the communication library is up, so that a rank that hangs while it starts has a
 * name. What the library knows better (world rank and size) replaces it later.
 * Nothing allocates. One thread, at start.
 */
#ifndef C4_HOOK_IDENTITY_H
#define C4_HOOK_IDENTITY_H

#include "c4/segment.h"

/* Fills job, node, host, program, launch, world_rank (-1: unknown) and world_size (0: unknown). */
void c4_identity_fill(struct c4_seg_header *h);

/* The launcher's name for this group of processes: differs between a world and one it spawned.
 * NULL if there is none. */
const char *c4_identity_namespace(void);

#endif
