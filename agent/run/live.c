// SPDX-License-Identifier: BSD-3-Clause
#include "agent/run/live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/run/text.h"
#include "common/buf.h"

#define MIN_ROWS 4

#define SAVE	"\0337"
#define RESTORE "\0338"
#define UP	"\033[1A"
#define REGION	"\033[1;%ur"
#define LAST	"\033[%u;1H\033[2K"

void c4_live_init(struct c4_live *l, int fd, bool status)
{
	const char *term = getenv("TERM");

	*l = (struct c4_live){.fd = fd};
	l->terminal = status && isatty(fd) && term && *term && strcmp(term, "dumb") != 0;
}

static void put(struct c4_live *l, struct c4_buf *b)
{
	if (!b->failed && b->len && write(l->fd, b->data, b->len) < 0)
		l->terminal = false; /* hung up */
	c4_buf_release(b);
}

void c4_live_line(struct c4_live *l, const char *text)
{
	struct c4_buf b = {0};

	c4_buf_printf(&b, "%s\n", text);
	put(l, &b);
}

static bool in_foreground(const struct c4_live *l)
{
	return tcgetpgrp(l->fd) == getpgrp();
}

static bool size_of(const struct c4_live *l, struct winsize *w)
{
	return !ioctl(l->fd, TIOCGWINSZ, w) && w->ws_row >= MIN_ROWS && w->ws_col > 1;
}

/* The newline makes room for the last row if the cursor stands in it. */
static void enter_region(struct c4_live *l, struct c4_buf *b, unsigned short rows)
{
	if (l->rows)
		c4_buf_printf(b, SAVE REGION RESTORE, rows - 1u);
	else
		c4_buf_printf(b, "\n" SAVE REGION RESTORE UP, rows - 1u);
	l->rows = rows;
}

void c4_live_status(struct c4_live *l, const char *text)
{
	struct c4_buf b = {0};
	struct winsize w;

	if (!l->terminal || !in_foreground(l) || !size_of(l, &w))
		return;
	if (l->rows != w.ws_row)
		enter_region(l, &b, w.ws_row);
	c4_buf_printf(&b, SAVE LAST "%.*s" RESTORE, (unsigned int)w.ws_row,
		      (int)c4_text_fit(text, w.ws_col - 1u), text);
	put(l, &b);
}

void c4_live_clear(struct c4_live *l)
{
	struct c4_buf b = {0};

	if (!l->rows)
		return;
	c4_buf_printf(&b, SAVE "\033[r" LAST RESTORE, (unsigned int)l->rows);
	l->rows = 0;
	put(l, &b);
}
