// SPDX-License-Identifier: BSD-3-Clause
/*
 * One element, between commas outside brackets, is text with bracket groups in it. Its expansion is
 * an odometer over the groups: each group stands at one number of one of its ranges, the last turns
 * fastest.
 */
#include "planner/io/hostlist.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define GROUPS_MAX 8

struct range {
	uint64_t first, last;
	int width; /* digits that are kept by zeros */
};

/* A bracket group: the ranges between begin and end, of which `at` is the present one. */
struct group {
	const char *begin, *end;
	const char *next; /* range after the present one; end when it is the last */
	struct range range;
	uint64_t value;
};

struct expansion {
	const char *expr, *end; /* the element */
	struct group groups[GROUPS_MAX];
	int n;
	c4_hostlist_fn fn;
	void *arg;
	struct c4_fault *fault;
	uint32_t *names;
};

static int wrong(struct expansion *x, const char *what, const char *expected)
{
	int n = (int)(x->end - x->expr < 60 ? x->end - x->expr : 60);

	return c4_fault_set(x->fault, -EINVAL, "host list '%.*s' %s, expected %s", n, x->expr, what,
			    expected);
}

static const char *parse_number(const char *s, const char *end, uint64_t *v)
{
	const char *begin = s;

	*v = 0;
	while (s < end && isdigit((unsigned char)*s) && s - begin < 18)
		*v = *v * 10 + (uint64_t)(*s++ - '0');
	return s == begin ? NULL : s;
}

/* Reads the range at g->next and stands at its first number. */
static int next_range(struct expansion *x, struct group *g)
{
	const char *s = g->next, *stop = parse_number(s, g->end, &g->range.first);

	if (!stop)
		return wrong(x, "has a range without a number", "ranges such as [0-3,7]");
	g->range.width = (int)(stop - s);
	g->range.last = g->range.first;
	if (stop < g->end && *stop == '-')
		stop = parse_number(stop + 1, g->end, &g->range.last);
	if (!stop || (stop < g->end && *stop != ','))
		return wrong(x, "has a range of another form", "ranges such as [0-3,7]");
	if (g->range.last < g->range.first)
		return wrong(x, "has a range that goes down", "ranges such as [0-3,7]");
	if (stop < g->end && stop + 1 == g->end)
		return wrong(x, "has an empty range", "ranges such as [0-3,7]");
	g->next = stop < g->end ? stop + 1 : stop;
	g->value = g->range.first;
	return 0;
}

static int find_groups(struct expansion *x)
{
	const char *s = x->expr;

	while ((s = memchr(s, '[', (size_t)(x->end - s)))) {
		struct group *g = &x->groups[x->n];
		int rc;

		if (x->n == GROUPS_MAX)
			return wrong(x, "has too many brackets", "at most 8 pairs");
		g->begin = s + 1;
		g->end = memchr(s, ']', (size_t)(x->end - s));
		if (!g->end)
			return wrong(x, "has no ']'", "brackets in pairs");
		g->next = g->begin;
		rc = next_range(x, g);
		if (rc)
			return rc;
		x->n++;
		s = g->end;
	}
	return 0;
}

struct text {
	char bytes[C4_NAME_MAX + 2]; /* a byte more than fits tells what is too long */
	size_t n;
};

static void put(struct text *t, const char *s, size_t n)
{
	size_t room = sizeof t->bytes - 1 - t->n;

	n = n < room ? n : room;
	memcpy(t->bytes + t->n, s, n);
	t->n += n;
	t->bytes[t->n] = '\0';
}

static void put_number(struct text *t, uint64_t v, int width)
{
	char digits[24];
	size_t at = sizeof digits;

	while (v || width > 0 || at == sizeof digits) {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
		width--;
	}
	put(t, digits + at, sizeof digits - at);
}

static int emit(struct expansion *x)
{
	struct text t = {.n = 0};
	const char *s = x->expr;

	if (++*x->names > C4_HOSTLIST_NAMES_MAX)
		return c4_fault_set(x->fault, -E2BIG,
				    "host list of too many names, expected at "
				    "most %u",
				    C4_HOSTLIST_NAMES_MAX);
	for (int i = 0; i < x->n; i++) {
		put(&t, s, (size_t)(x->groups[i].begin - 1 - s));
		put_number(&t, x->groups[i].value, x->groups[i].range.width);
		s = x->groups[i].end + 1;
	}
	put(&t, s, (size_t)(x->end - s));
	if (t.n > C4_NAME_MAX)
		return wrong(x, "has a name too long", "at most 127 bytes");
	return x->fn(x->arg, t.bytes);
}

/* Turns the odometer. 1: there is another name; 0: it is through; or a negative errno. */
static int turn(struct expansion *x)
{
	for (int i = x->n - 1; i >= 0; i--) {
		struct group *g = &x->groups[i];
		bool wrapped = false;
		int rc;

		if (g->value < g->range.last) {
			g->value++;
			return 1;
		}
		if (g->next == g->end) {
			g->next = g->begin;
			wrapped = true;
		}
		rc = next_range(x, g);
		if (rc || !wrapped)
			return rc ? rc : 1;
	}
	return 0;
}

static int expand(struct expansion *x)
{
	int rc = 0, more = 1;

	if (x->expr == x->end)
		return wrong(x, "has an empty name", "names between commas");
	if (memchr(x->expr, ' ', (size_t)(x->end - x->expr)))
		return wrong(x, "has a blank", "no blanks");
	x->n = 0;
	rc = find_groups(x);
	while (!rc && more > 0) {
		rc = emit(x);
		more = rc ? 0 : turn(x);
	}
	return rc ? rc : more;
}

/* The comma that ends the element, or the end of all. */
static const char *element_end(const char *s, const char *end)
{
	bool inside = false;

	for (; s < end && (inside || *s != ','); s++)
		inside = *s == '[' || (inside && *s != ']');
	return s;
}

int c4_hostlist_each(const char *expr, size_t n, c4_hostlist_fn fn, void *arg,
		     struct c4_fault *fault)
{
	uint32_t names = 0;
	struct expansion x = {.fn = fn, .arg = arg, .fault = fault, .names = &names};
	const char *end = expr + n;
	int rc;

	do {
		x.expr = expr;
		x.end = element_end(expr, end);
		rc = expand(&x);
		expr = x.end + 1;
	} while (!rc && x.end < end);
	return rc;
}
