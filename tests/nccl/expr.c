// SPDX-License-Identifier: BSD-3-Clause
/* Precedence climbing over the text itself: expressions are short, and run once per event. */
#include "tests/nccl/expr.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 64
#define DEPTH_MAX  64

struct parser {
	const char *p;
	const char *wrong; /* the first thing that was, NULL: nothing yet */
	int depth;
	expr_lookup *lookup;
	void *arg;
};

/* Longer operators first: "<=" is not "<". */
static const struct op {
	char text[3];
	int8_t level;
} ops[] = {
	{"||", 1}, {"&&", 2}, {"==", 6}, {"!=", 6}, {"<=", 7}, {">=", 7},
	{"<<", 8}, {">>", 8}, {"|", 3},	 {"^", 4},  {"&", 5},  {"<", 7},
	{">", 7},  {"+", 9},  {"-", 9},	 {"*", 10}, {"/", 10}, {"%", 10},
};

static int64_t ternary(struct parser *x);

static int64_t fail(struct parser *x, const char *why)
{
	if (!x->wrong)
		x->wrong = why;
	return 0;
}

static const struct op *next_op(const char *p)
{
	for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
		if (!strncmp(p, ops[i].text, strlen(ops[i].text)))
			return &ops[i];
	return NULL;
}

static int64_t divide(struct parser *x, int64_t a, int64_t b, bool rest)
{
	if (b == 0 || (a == INT64_MIN && b == -1))
		return fail(x, "division by zero");
	return rest ? a % b : a / b;
}

static int64_t apply(struct parser *x, const char *op, int64_t a, int64_t b)
{
	uint64_t ua = (uint64_t)a, ub = (uint64_t)b;

	switch (op[0]) {
	case '|': return op[1] ? a || b : a | b;
	case '&': return op[1] ? a && b : (a & b);
	case '^': return a ^ b;
	case '=': return a == b;
	case '!': return a != b;
	case '<': return op[1] == '<' ? (int64_t)(ua << (ub & 63)) : op[1] ? a <= b : a < b;
	case '>': return op[1] == '>' ? (int64_t)(ua >> (ub & 63)) : op[1] ? a >= b : a > b;
	case '+': return (int64_t)(ua + ub);
	case '-': return (int64_t)(ua - ub);
	case '*': return (int64_t)(ua * ub);
	case '/': return divide(x, a, b, false);
	default: return divide(x, a, b, true);
	}
}

/* splitmix64's finaliser (Steele, Lea, Flood 2014) */
static uint64_t scramble(uint64_t v)
{
	v += 0x9e3779b97f4a7c15u;
	v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9u;
	v = (v ^ (v >> 27)) * 0x94d049bb133111ebu;
	return v ^ (v >> 31);
}

static int64_t call(struct parser *x, const char *name)
{
	int64_t a, b;

	x->p++;
	a = ternary(x);
	if (*x->p++ != ',')
		return fail(x, "a function takes two arguments");
	b = ternary(x);
	if (*x->p++ != ')')
		return fail(x, "no ) after arguments");
	if (!strcmp(name, "min"))
		return a < b ? a : b;
	if (!strcmp(name, "max"))
		return a > b ? a : b;
	if (!strcmp(name, "mod") && b > 0)
		return (a % b + b) % b;
	if (!strcmp(name, "noise") && b > 0)
		return (int64_t)(scramble((uint64_t)a) % (uint64_t)b);
	return fail(x, "no such function, or a bad argument");
}

static int64_t name(struct parser *x)
{
	char word[NAME_BYTES];
	size_t n = 0;
	int64_t value;

	while ((isalnum((unsigned char)*x->p) || *x->p == '_' || *x->p == '.') &&
	       n < sizeof word - 1)
		word[n++] = *x->p++;
	word[n] = '\0';
	if (*x->p == '(')
		return call(x, word);
	if (!x->lookup(x->arg, word, &value))
		return fail(x, "unknown name");
	return value;
}

static int64_t number(struct parser *x)
{
	char *end;
	uint64_t value = strtoull(x->p, &end, 0);

	x->p = end;
	return (int64_t)value;
}

static int64_t primary(struct parser *x)
{
	int64_t value;

	if (++x->depth > DEPTH_MAX || x->wrong)
		return fail(x, "too deep");
	switch (*x->p) {
	case '-':
		x->p++;
		value = (int64_t) - (uint64_t)primary(x);
		break;
	case '!':
		x->p++;
		value = !primary(x);
		break;
	case '~':
		x->p++;
		value = ~primary(x);
		break;
	case '(':
		x->p++;
		value = ternary(x);
		if (*x->p++ != ')')
			value = fail(x, "no )");
		break;
	default:
		if (isdigit((unsigned char)*x->p))
			value = number(x);
		else if (isalpha((unsigned char)*x->p) || *x->p == '_')
			value = name(x);
		else
			value = fail(x, "no value where one should be");
	}
	x->depth--;
	return value;
}

static int64_t binary(struct parser *x, int level)
{
	int64_t left = primary(x);
	const struct op *op;

	while (!x->wrong && (op = next_op(x->p)) && op->level >= level) {
		x->p += strlen(op->text);
		left = apply(x, op->text, left, binary(x, op->level + 1));
	}
	return left;
}

/* Both branches are evaluated: there are no side effects but errors. */
static int64_t ternary(struct parser *x)
{
	int64_t value = binary(x, 1), yes, no;

	if (*x->p != '?' || x->wrong)
		return value;
	x->p++;
	yes = ternary(x);
	if (*x->p++ != ':')
		return fail(x, "? without :");
	no = ternary(x);
	return value ? yes : no;
}

const char *expr_eval(const char *text, expr_lookup *lookup, void *arg, int64_t *ret)
{
	struct parser x = {.p = text, .lookup = lookup, .arg = arg};
	int64_t value = ternary(&x);

	if (!x.wrong && *x.p)
		fail(&x, "something follows the expression");
	if (!x.wrong)
		*ret = value;
	return x.wrong;
}
