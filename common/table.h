/* SPDX-License-Identifier: BSD-3-Clause */
/* table.h - rows of text in aligned columns. Bounded columns, unbounded rows. One thread. */
#ifndef C4_COMMON_TABLE_H
#define C4_COMMON_TABLE_H

#include <stdint.h>
#include <stdio.h>

#define C4_TABLE_COLUMNS 12u

struct c4_table {
	const char *heads[C4_TABLE_COLUMNS]; /* "+NAME": numbers, set to the right */
	uint32_t columns;
	char **cells; /* row by row */
	uint32_t n, cap;
};

/* heads: static strings, NULL-terminated. */
void c4_table_init(struct c4_table *t, const char *const *heads);
void c4_table_release(struct c4_table *t);

/* The next cell, left to right, row after row. Lost silently when memory is out. */
void c4_table_add(struct c4_table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void c4_table_print(const struct c4_table *t, FILE *f);

#endif
