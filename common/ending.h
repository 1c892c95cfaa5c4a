/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ending.h - "the user told this job to end": a mark in the runtime directory, left by the launch
 * wrapper before it passes the signal on, read by the agent when processes go. Without it a
 * launcher that kills its ranks looks like a crash, wherever the kernel does not tell how they
 * died.
 */
#ifndef C4_COMMON_ENDING_H
#define C4_COMMON_ENDING_H

#include <stdbool.h>

/* 0 or a negative errno. */
int c4_ending_mark(const char *dir, const char *job);

/* Takes it back: another job of the same name begins. */
void c4_ending_clear(const char *dir, const char *job);

bool c4_ending_marked(const char *dir, const char *job);

#endif
