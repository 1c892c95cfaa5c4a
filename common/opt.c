// SPDX-License-Identifier: BSD-3-Clause
#include "common/opt.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "c4/version.h"

int c4_cli_misuse(const struct c4_cli *cli, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", cli->program);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nTry '%s --help'.\n", cli->program);
	return 2;
}

static bool in_range(const struct c4_opt *o, int64_t v)
{
	return o->min == 0 && o->max == 0 ? v >= 0 : v >= o->min && v <= o->max;
}

static bool parse_int(const char *s, int64_t *out)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(s, &end, 10);
	if (errno || end == s || *end)
		return false;
	*out = v;
	return true;
}

static bool parse_ms(const char *s, int64_t *out)
{
	char *end;
	double v;

	errno = 0;
	v = strtod(s, &end);
	if (errno || end == s || !(v >= 0 && v < 1e9))
		return false;
	if (!strcmp(end, "ms"))
		*out = (int64_t)v;
	else if (!strcmp(end, "s") || !*end)
		*out = (int64_t)(v * 1000);
	else if (!strcmp(end, "m"))
		*out = (int64_t)(v * 60000);
	else
		return false;
	return true;
}

static bool store(const struct c4_opt *o, const char *s)
{
	int64_t v = 0;

	switch (o->type) {
	case C4_OPT_FLAG: *(bool *)o->value = strcmp(s, "0") != 0; return true;
	case C4_OPT_STR: *(const char **)o->value = s; return true;
	case C4_OPT_INT:
		if (!parse_int(s, &v) || !in_range(o, v))
			return false;
		break;
	case C4_OPT_MS:
		if (!parse_ms(s, &v) || !in_range(o, v))
			return false;
		break;
	}
	*(int64_t *)o->value = v;
	return true;
}

static void print_help(const struct c4_cli *cli)
{
	printf("Usage: %s %s\n%s\n\nOptions:\n", cli->program, cli->synopsis, cli->about);
	for (const struct c4_opt *o = cli->opts; o->name; o++) {
		char left[48], letter[5] = "    ";

		if (o->letter)
			snprintf(letter, sizeof letter, "-%c, ", o->letter);
		snprintf(left, sizeof left, "  %s--%s%s%s", letter, o->name, o->arg ? " " : "",
			 o->arg ? o->arg : "");
		printf("%-30s %s", left, o->help);
		if (o->env)
			printf(" [%s]", o->env);
		putchar('\n');
	}
	printf("      --help                   this text\n"
	       "      --version                version\n");
}

static const struct c4_opt *by_name(const struct c4_cli *cli, const char *name, size_t n)
{
	for (const struct c4_opt *o = cli->opts; o->name; o++)
		if (strlen(o->name) == n && !memcmp(o->name, name, n))
			return o;
	return NULL;
}

static const struct c4_opt *by_letter(const struct c4_cli *cli, char letter)
{
	for (const struct c4_opt *o = cli->opts; o->name; o++)
		if (o->letter == letter && letter)
			return o;
	return NULL;
}

static void from_environment(const struct c4_cli *cli)
{
	for (const struct c4_opt *o = cli->opts; o->name; o++) {
		const char *env = o->env ? getenv(o->env) : NULL;

		if (env && *env && !store(o, env))
			exit(c4_cli_misuse(cli, "%s=%s is not a valid %s", o->env, env,
					   o->arg ? o->arg : "value"));
	}
}

/* One option at argv[i]; returns how many words it took. */
static int take_option(const struct c4_cli *cli, int argc, char **argv, int i)
{
	const char *word = argv[i], *value = NULL;
	const struct c4_opt *o;

	if (word[1] == '-') {
		size_t n = strcspn(word + 2, "=");

		o = by_name(cli, word + 2, n);
		if (word[2 + n])
			value = word + 3 + n;
	} else {
		o = by_letter(cli, word[1]);
		if (word[2])
			value = word + 2;
	}
	if (!o)
		exit(c4_cli_misuse(cli, "unknown option %s", word));
	if (o->type == C4_OPT_FLAG) {
		if (value)
			exit(c4_cli_misuse(cli, "--%s takes no value", o->name));
		*(bool *)o->value = true;
		return 1;
	}
	if (!value && i + 1 >= argc)
		exit(c4_cli_misuse(cli, "--%s needs %s", o->name, o->arg));
	if (!store(o, value ? value : argv[i + 1]))
		exit(c4_cli_misuse(cli, "--%s: '%s' is not a valid %s", o->name,
				   value ? value : argv[i + 1], o->arg));
	return value ? 1 : 2;
}

int c4_cli_parse(const struct c4_cli *cli, int argc, char **argv)
{
	int i = 1;

	for (int k = 1; k < argc && argv[k][0] == '-' && strcmp(argv[k], "--"); k++) {
		if (!strcmp(argv[k], "--help") || !strcmp(argv[k], "-h")) {
			print_help(cli);
			exit(0);
		}
		if (!strcmp(argv[k], "--version")) {
			printf("%s %s\n", cli->program, C4_VERSION);
			exit(0);
		}
	}
	from_environment(cli);
	while (i < argc && argv[i][0] == '-' && argv[i][1]) {
		if (!strcmp(argv[i], "--"))
			return i + 1;
		i += take_option(cli, argc, argv, i);
	}
	return i;
}
