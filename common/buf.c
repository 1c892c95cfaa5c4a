// SPDX-License-Identifier: BSD-3-Clause
#include "common/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct c4_buf *b, size_t more)
{
	size_t cap = b->cap ? b->cap : 128;
	char *grown;

	if (b->failed)
		return false;
	while (cap < b->len + more + 1)
		cap *= 2;
	if (cap == b->cap)
		return true;
	grown = realloc(b->data, cap);
	if (!grown) {
		b->failed = true;
		return false;
	}
	b->data = grown;
	b->cap = cap;
	return true;
}

void c4_buf_add(struct c4_buf *b, const void *data, size_t n)
{
	if (!reserve(b, n))
		return;
	if (n)
		memcpy(b->data + b->len, data, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void c4_buf_printf(struct c4_buf *b, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	if (n >= 0 && reserve(b, (size_t)n)) {
		vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
	va_end(ap);
}

char *c4_buf_take(struct c4_buf *b)
{
	char *data = b->failed ? NULL : b->data;

	if (b->failed)
		free(b->data);
	*b = (struct c4_buf){0};
	return data;
}

void c4_buf_release(struct c4_buf *b)
{
	free(b->data);
	*b = (struct c4_buf){0};
}
