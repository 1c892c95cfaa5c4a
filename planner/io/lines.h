/* SPDX-License-Identifier: BSD-3-Clause */
/* lines.h - a text line by line, with numbers; lines need not be terminated by NUL. Pure. */
#ifndef C4_PLANNER_IO_LINES_H
#define C4_PLANNER_IO_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct c4_lines {
	const char *next, *end; /* to begin: the text, number 0 */
	const char *line;	/* of n bytes, without its end of line */
	size_t n;
	uint32_t number;
};

/* False at the end. */
static inline bool c4_lines_next(struct c4_lines *l)
{
	const char *stop;

	if (l->next >= l->end)
		return false;
	stop = memchr(l->next, '\n', (size_t)(l->end - l->next));
	stop = stop ? stop : l->end;
	l->line = l->next;
	l->n = (size_t)(stop - l->next);
	if (l->n && l->line[l->n - 1] == '\r')
		l->n--;
	l->next = stop + 1;
	l->number++;
	return true;
}

#endif
