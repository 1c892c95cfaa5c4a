// SPDX-License-Identifier: BSD-3-Clause
#include "planner/io/locate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* A mapping or list the parser is inside of; deeper ones are only counted. */
struct level {
	bool mapping;
	bool value_next; /* of a mapping: a key has been read */
	uint32_t index;	 /* of a list: the next item */
};

#define DONE UINT32_MAX /* found, or where it would be was left */

struct search {
	const struct c4_yaml_path *paths;
	uint32_t *lines;
	uint32_t *matched; /* steps of each path that lead to where the parser is; DONE */
	size_t n, found;
	struct level levels[C4_YAML_STEPS];
	uint32_t depth;
	const char *key; /* the one just read; NULL for items */
	char *key_copy;
	uint32_t key_line;
};

static bool step_fits(const struct search *s, const struct c4_yaml_step *step, uint32_t index)
{
	if (s->key)
		return step->key && !strcmp(step->key, s->key);
	return !step->key && step->index == index;
}

static void done(struct search *s, size_t i)
{
	s->matched[i] = DONE;
	s->found++;
}

/* A node begins at the present depth, as the value of s->key or as item `index`. */
static void visit(struct search *s, uint32_t index, uint32_t line, bool container)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct c4_yaml_path *p = &s->paths[i];

		if (!s->depth || s->matched[i] != s->depth - 1 || p->n < s->depth ||
		    !step_fits(s, &p->steps[s->depth - 1], index))
			continue;
		s->lines[i] = s->key ? s->key_line : line;
		if (p->n == s->depth)
			done(s, i);
		else if (container)
			s->matched[i] = s->depth;
	}
}

static bool node(struct search *s, const yaml_event_t *e, bool container)
{
	struct level *l = s->depth && s->depth <= C4_YAML_STEPS ? &s->levels[s->depth - 1] : NULL;
	uint32_t line = (uint32_t)e->start_mark.line + 1;

	if (!l)
		return true;
	if (l->mapping && !l->value_next) {
		free(s->key_copy);
		s->key_copy = e->type == YAML_SCALAR_EVENT
				      ? strdup((const char *)e->data.scalar.value)
				      : NULL;
		s->key_line = line;
		l->value_next = true;
		return s->key_copy || e->type != YAML_SCALAR_EVENT;
	}
	s->key = l->mapping ? (s->key_copy ? s->key_copy : "") : NULL;
	visit(s, l->index++, line, container);
	l->value_next = false;
	return true;
}

static void enter(struct search *s, bool mapping)
{
	if (s->depth < C4_YAML_STEPS)
		s->levels[s->depth] = (struct level){.mapping = mapping};
	s->depth++;
}

static void leave(struct search *s)
{
	s->depth--;
	for (size_t i = 0; i < s->n; i++)
		if (s->matched[i] != DONE && s->matched[i] >= s->depth)
			done(s, i);
}

/* False at the end of the document, or when nothing is left to be found. */
static bool take(struct search *s, const yaml_event_t *e)
{
	bool go_on = true;

	switch (e->type) {
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT: return false;
	case YAML_ALIAS_EVENT:
	case YAML_SCALAR_EVENT: return node(s, e, false);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		go_on = node(s, e, true);
		enter(s, e->type == YAML_MAPPING_START_EVENT);
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT: leave(s); break;
	default: break;
	}
	return go_on;
}

static void run(struct search *s, yaml_parser_t *parser)
{
	yaml_event_t e;
	bool go_on = true;

	while (go_on && s->found < s->n && yaml_parser_parse(parser, &e)) {
		go_on = take(s, &e);
		yaml_event_delete(&e);
	}
}

void c4_yaml_locate(const char *text, size_t len, const struct c4_yaml_path *paths, uint32_t *lines,
		    size_t n)
{
	struct search s = {.paths = paths, .lines = lines, .n = n};
	yaml_parser_t parser;

	s.matched = calloc(n + 1, sizeof *s.matched);
	for (size_t i = 0; i < n; i++)
		lines[i] = 1;
	if (!s.matched)
		return;
	for (size_t i = 0; i < n; i++)
		if (!paths[i].n)
			done(&s, i);
	if (yaml_parser_initialize(&parser)) {
		yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
		run(&s, &parser);
		yaml_parser_delete(&parser);
	}
	free(s.key_copy);
	free(s.matched);
}

/* Encoding mistakes come without a line but with an offset in bytes. */
static uint32_t line_of_offset(const char *text, size_t len, size_t offset)
{
	uint32_t line = 1;

	for (size_t i = 0; i < offset && i < len; i++)
		line += text[i] == '\n';
	return line;
}

bool c4_yaml_syntax(const char *text, size_t len, uint32_t *line, char *what, size_t n)
{
	yaml_parser_t parser;
	yaml_event_t e;
	bool end = false, bad = false;

	if (!yaml_parser_initialize(&parser))
		return false;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	while (!end && !bad) {
		bad = !yaml_parser_parse(&parser, &e);
		if (bad)
			break;
		end = e.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&e);
	}
	if (bad) {
		snprintf(what, n, "%s", parser.problem ? parser.problem : "not YAML");
		*line = parser.error == YAML_READER_ERROR
				? line_of_offset(text, len, parser.problem_offset)
				: (uint32_t)parser.problem_mark.line + 1;
	}
	yaml_parser_delete(&parser);
	return bad;
}
