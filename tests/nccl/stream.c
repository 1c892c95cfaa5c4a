// SPDX-License-Identifier: BSD-3-Clause
#include "tests/nccl/stream.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INCLUDES_MAX 8
#define BLOCKS_MAX   32

void stream_fail(const struct stmt *at, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s:%d: ", at->file, at->line);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	fflush(NULL);
	_Exit(1); /* threads of the stream may be anywhere */
}

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

static struct stmt *stmt_add(struct stream *s)
{
	if (s->count == s->room) {
		s->room = s->room ? 2 * s->room : 256;
		s->stmts = must(realloc(s->stmts, (size_t)s->room * sizeof *s->stmts));
	}
	memset(&s->stmts[s->count], 0, sizeof *s->stmts);
	return &s->stmts[s->count++];
}

/* The next word of *p, cut out in place; NULL at the end of the line. */
static char *next_word(char **p)
{
	char *w = *p + strspn(*p, " \t\n");
	char *out = w, *start = w;
	bool quoted = false;

	if (!*w || *w == '#')
		return NULL;
	for (; *w && (quoted || !strchr(" \t\n", *w)); w++) {
		if (*w == '"')
			quoted = !quoted;
		else
			*out++ = *w;
	}
	*p = *w ? w + 1 : w;
	*out = '\0';
	return start;
}

static void split(struct stmt *st, char *line)
{
	char *word;

	while ((word = next_word(&line))) {
		if (st->words == STREAM_WORDS)
			stream_fail(st, "more than %d words", STREAM_WORDS);
		st->word[st->words++] = must(strdup(word));
	}
}

static void free_words(struct stmt *st)
{
	while (st->words)
		free(st->word[--st->words]);
}

static void read_file(struct stream *s, const char *path, int depth);

static void include(struct stream *s, const struct stmt *st, int depth)
{
	char here[PATH_MAX], path[2 * PATH_MAX];

	if (depth >= INCLUDES_MAX || st->words != 2)
		stream_fail(st, "include FILE, not more than %d deep", INCLUDES_MAX);
	snprintf(here, sizeof here, "%s", st->file);
	snprintf(path, sizeof path, "%s/%s", dirname(here), st->word[1]);
	read_file(s, path, depth + 1);
}

static void read_file(struct stream *s, const char *path, int depth)
{
	FILE *f = fopen(path, "re");
	const char *name = must(strdup(path));
	char *line = NULL;
	size_t room = 0;

	if (!f) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(2);
	}
	for (int n = 1; getline(&line, &room, f) > 0; n++) {
		struct stmt *st = stmt_add(s);

		st->file = name;
		st->line = n;
		split(st, line);
		if (st->words && !strcmp(st->word[0], "include")) {
			struct stmt it = *st;

			s->count--;
			include(s, &it, depth);
			free_words(&it);
		} else if (!st->words)
			s->count--;
	}
	free(line);
	fclose(f);
}

static bool is(const struct stmt *st, const char *word)
{
	return !strcmp(st->word[0], word);
}

static bool opens(const struct stmt *st)
{
	return is(st, "repeat") || is(st, "if") || is(st, "macro") || is(st, "timeline") ||
	       is(st, "parallel") || is(st, "fork");
}

/* Finds each block's end. */
static void match(struct stream *s)
{
	int open[BLOCKS_MAX], depth = 0;

	for (int i = 0; i < s->count; i++) {
		struct stmt *st = &s->stmts[i];

		if (opens(st)) {
			if (depth == BLOCKS_MAX)
				stream_fail(st, "more than %d blocks deep", BLOCKS_MAX);
			open[depth++] = i;
		} else if (is(st, "end") || is(st, "else")) {
			if (!depth)
				stream_fail(st, "no block is open here");
			if (is(st, "end"))
				s->stmts[open[--depth]].end = i;
			else
				s->stmts[open[depth - 1]].otherwise = i;
		}
	}
	if (depth)
		stream_fail(&s->stmts[open[depth - 1]], "this block has no end");
}

void stream_read(struct stream *s, const char *path)
{
	memset(s, 0, sizeof *s);
	read_file(s, path, 0);
	match(s);
}
