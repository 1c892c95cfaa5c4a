/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * live.h - what people see on standard error while the job runs: permanent lines, and on a
 * terminal one status line.
 *
 * The job writes to the same terminal and we cannot know when. So the status line lives in the
 * last row, outside a scrolling region that all other output stays in (as apt's progress bar
 * does); nothing of the job is overwritten, and nothing of ours remains after c4_live_clear().
 * Each change is one write(2). Failures to write are ignored: the job matters more. One thread.
 */
#ifndef C4_RUN_LIVE_H
#define C4_RUN_LIVE_H

#include <stdbool.h>

struct c4_live {
	int fd;
	bool terminal;	     /* may show a status line */
	unsigned short rows; /* of the region in force, 0: none */
};

/* status: whether a status line is wanted at all. */
void c4_live_init(struct c4_live *l, int fd, bool status);

/* A permanent line; text without newline. */
void c4_live_line(struct c4_live *l, const char *text);

/* Replaces the status line, cut to the terminal's width; nothing if we are in the background. */
void c4_live_status(struct c4_live *l, const char *text);

/* Takes the status line away and gives the terminal back; a later status brings it again. */
void c4_live_clear(struct c4_live *l);

#endif
