// SPDX-License-Identifier: BSD-3-Clause
#include "planner/io/json_walk.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct walk {
	const char *text;
	size_t n, at;
	size_t counted; /* newlines before it are in `line` */
	size_t line_at; /* where that line begins */
	uint32_t line;
	const char *const *streamed;
	c4_json_on_item on_item;
	void *arg;
	struct c4_json_mistake *mistake;
};

static void count_lines(struct walk *w)
{
	const char *p = w->text + w->counted, *end = w->text + w->at;

	while ((p = memchr(p, '\n', (size_t)(end - p)))) {
		p++;
		w->line++;
		w->line_at = (size_t)(p - w->text);
	}
	w->counted = w->at;
}

/* The next byte that is not blank, 0 at the end. */
static char peek(struct walk *w)
{
	while (w->at < w->n && w->text[w->at] && strchr(" \t\r\n", w->text[w->at]))
		w->at++;
	return w->at < w->n ? w->text[w->at] : '\0';
}

static int expected(struct walk *w, const char *what)
{
	struct c4_json_mistake *m = w->mistake;
	unsigned char found = (unsigned char)peek(w);

	count_lines(w);
	m->line = w->line;
	m->column = (uint32_t)(w->at - w->line_at) + 1;
	if (w->at >= w->n)
		snprintf(m->what, sizeof m->what, "the text ends, expected %s", what);
	else if (found > ' ' && found < 0x7f)
		snprintf(m->what, sizeof m->what, "'%c', expected %s", found, what);
	else
		snprintf(m->what, sizeof m->what, "byte 0x%02x, expected %s", found, what);
	return -EINVAL;
}

/* Any JSON value; NULL with the mistake filled in. *line is where it begins. */
static json_t *take_value(struct walk *w, uint32_t *line)
{
	json_error_t error;
	json_t *value;

	peek(w);
	count_lines(w);
	*line = w->line;
	value = json_loadb(w->text + w->at, w->n - w->at,
			   JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES,
			   &error);
	if (value) {
		w->at += (size_t)error.position;
		return value;
	}
	w->mistake->line = w->line + (error.line > 1 ? (uint32_t)error.line - 1 : 0);
	w->mistake->column = (uint32_t)(error.column > 0 ? error.column : 1);
	if (error.line <= 1)
		w->mistake->column += (uint32_t)(w->at - w->line_at);
	snprintf(w->mistake->what, sizeof w->mistake->what, "%s", error.text);
	return NULL;
}

static int hand_over(struct walk *w, const char *key, int64_t index)
{
	struct c4_json_item item = {.key = key, .index = index};
	json_t *value = take_value(w, &item.line);
	int rc;

	if (!value)
		return -EINVAL;
	item.value = value;
	rc = w->on_item(w->arg, &item);
	json_decref(value);
	return rc;
}

static int walk_array(struct walk *w, const char *key)
{
	struct c4_json_item begin = {.key = key, .index = -1};
	int rc;

	count_lines(w);
	begin.line = w->line;
	rc = w->on_item(w->arg, &begin);
	w->at++; /* '[' */
	if (!rc && peek(w) == ']') {
		w->at++;
		return 0;
	}
	for (int64_t i = 0; !rc; i++) {
		rc = hand_over(w, key, i);
		if (rc)
			break;
		if (peek(w) == ']') {
			w->at++;
			return 0;
		}
		if (peek(w) != ',')
			return expected(w, "',' or ']'");
		w->at++;
	}
	return rc;
}

static bool is_streamed(const struct walk *w, const char *key)
{
	for (const char *const *s = w->streamed; *s; s++)
		if (!strcmp(*s, key))
			return true;
	return false;
}

static int walk_member(struct walk *w)
{
	json_t *name;
	uint32_t line;
	int rc;

	if (peek(w) != '"')
		return expected(w, "a name in double quotes");
	name = take_value(w, &line);
	if (!name)
		return -EINVAL;
	if (peek(w) != ':') {
		rc = expected(w, "':'");
	} else {
		const char *key = json_string_value(name);

		w->at++;
		rc = peek(w) == '[' && is_streamed(w, key) ? walk_array(w, key)
							   : hand_over(w, key, -1);
	}
	json_decref(name);
	return rc;
}

static int walk_members(struct walk *w)
{
	int rc = 0;

	if (peek(w) == '}') {
		w->at++;
		return 0;
	}
	while (!rc) {
		rc = walk_member(w);
		if (rc)
			break;
		if (peek(w) == '}') {
			w->at++;
			return 0;
		}
		if (peek(w) != ',')
			return expected(w, "',' or '}'");
		w->at++;
	}
	return rc;
}

int c4_json_walk(const char *text, size_t n, const char *const *streamed, c4_json_on_item on_item,
		 void *arg, struct c4_json_mistake *mistake)
{
	struct walk w = {.text = text,
			 .n = n,
			 .line = 1,
			 .streamed = streamed,
			 .on_item = on_item,
			 .arg = arg,
			 .mistake = mistake};
	int rc;

	if (peek(&w) != '{')
		return expected(&w, "'{': one JSON object");
	w.at++;
	rc = walk_members(&w);
	if (rc)
		return rc;
	peek(&w);
	return w.at < n ? expected(&w, "nothing after the object") : 0;
}

/* ---- complaints ------------------------------------------------------------------------------ */

/* `connections[3] (id "c3"): ` */
static void describe(const struct c4_json_item *item, char *room, size_t size)
{
	const json_t *id = json_object_get(item->value, "id");
	const char *key = id ? "id" : "job";
	const char *name = json_string_value(json_object_get(item->value, key));
	long long index = item->index;

	if (index < 0)
		room[0] = '\0';
	else if (name)
		snprintf(room, size, "%s[%lld] (%s \"%.80s\"): ", item->key, index, key, name);
	else
		snprintf(room, size, "%s[%lld]: ", item->key, index);
}

int c4_json_complain(const struct c4_json_place *at, const char *fmt, ...)
{
	char what[300], item[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	describe(at->item, item, sizeof item);
	c4_complain(at->complaints, at->item->line, "%s%s", item, what);
	return -EINVAL;
}

bool c4_json_complain_mistake(struct c4_complaints *c, const struct c4_json_mistake *mistake)
{
	if (mistake->line)
		c4_complain(c, mistake->line, "column %u: %s", mistake->column, mistake->what);
	return mistake->line != 0;
}
