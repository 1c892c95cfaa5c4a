// SPDX-License-Identifier: BSD-3-Clause
#include "common/table.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/ds/vec.h"

void c4_table_init(struct c4_table *t, const char *const *heads)
{
	*t = (struct c4_table){0};
	while (heads[t->columns] && t->columns < C4_TABLE_COLUMNS) {
		t->heads[t->columns] = heads[t->columns];
		t->columns++;
	}
}

void c4_table_release(struct c4_table *t)
{
	for (uint32_t i = 0; i < t->n; i++)
		free(t->cells[i]);
	free(t->cells);
	*t = (struct c4_table){0};
}

void c4_table_add(struct c4_table *t, const char *fmt, ...)
{
	char **grown = c4_vec_reserve(t->cells, &t->cap, t->n + 1, UINT32_MAX, sizeof *grown);
	va_list ap;

	if (!grown)
		return;
	t->cells = grown;
	va_start(ap, fmt);
	if (vasprintf(&t->cells[t->n], fmt, ap) >= 0)
		t->n++;
	va_end(ap);
}

/* Columns on a terminal: bytes less the continuation bytes of UTF-8. */
static int width(const char *s)
{
	int n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static bool to_right(const struct c4_table *t, uint32_t col)
{
	return t->heads[col][0] == '+';
}

static const char *head(const struct c4_table *t, uint32_t col)
{
	return t->heads[col] + to_right(t, col);
}

static void print_cell(const struct c4_table *t, uint32_t col, const char *s, int wide, FILE *f)
{
	int pad = wide - width(s);
	bool last = col + 1 == t->columns;

	fprintf(f, "%s%*s%s%*s", col ? "  " : "", to_right(t, col) ? pad : 0, "", s,
		to_right(t, col) || last ? 0 : pad, "");
}

void c4_table_print(const struct c4_table *t, FILE *f)
{
	int wide[C4_TABLE_COLUMNS];

	for (uint32_t c = 0; c < t->columns; c++)
		wide[c] = width(head(t, c));
	for (uint32_t i = 0; i < t->n; i++)
		if (width(t->cells[i]) > wide[i % t->columns])
			wide[i % t->columns] = width(t->cells[i]);
	for (uint32_t c = 0; c < t->columns; c++)
		print_cell(t, c, head(t, c), wide[c], f);
	fputc('\n', f);
	for (uint32_t i = 0; i < t->n; i++) {
		print_cell(t, i % t->columns, t->cells[i], wide[i % t->columns], f);
		if ((i + 1) % t->columns == 0)
			fputc('\n', f);
	}
}
