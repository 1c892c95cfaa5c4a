/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * buf.h - a growing string. `struct c4_buf b = {0}` is a valid empty one; data is NUL-terminated
 * whenever it is not NULL. An allocation failure sets `failed`, after which appends do nothing:
 * check once, at the end. One thread.
 */
#ifndef C4_COMMON_BUF_H
#define C4_COMMON_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct c4_buf {
	char *data;
	size_t len;
	size_t cap;
	bool failed;
};

void c4_buf_add(struct c4_buf *b, const void *data, size_t n);
void c4_buf_printf(struct c4_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Hands over the string (free() it), or NULL after a failure; b is empty again. */
char *c4_buf_take(struct c4_buf *b);
void c4_buf_release(struct c4_buf *b);

/* "" instead of NULL, for printing. */
static inline const char *c4_buf_str(const struct c4_buf *b)
{
	return b->data ? b->data : "";
}

#endif
