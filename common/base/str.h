/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * str.h - building short strings without stdio, for code inside the training process.
 * The text is terminated after every call and cut, never overrun; `cut` remembers it.
 */
#ifndef C4_BASE_STR_H
#define C4_BASE_STR_H

#include <stddef.h>
#include <stdint.h>

struct c4_str {
	char *buf;   /* the caller's */
	size_t size; /* at least 1 */
	size_t len;
	int cut; /* something did not fit */
};

void c4_str_init(struct c4_str *s, char *buf, size_t size);
void c4_str_add(struct c4_str *s, const char *text); /* NULL reads as "" */
void c4_str_add_u64(struct c4_str *s, uint64_t x);

/* Decimal digits at the start of text: their number is returned, *ret set if there are any. */
size_t c4_str_parse_u64(const char *text, uint64_t *ret);

#endif
