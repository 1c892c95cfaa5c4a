/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * opt.h - command line options from one table: parsing, defaults from the environment, --help.
 *
 *	static struct { const char *listen; bool json; int64_t every_ms; } o = {.every_ms = 1000};
 *	static const struct c4_opt opts[] = {
 *		{"listen", 'l', C4_OPT_STR, &o.listen, "HOST:PORT", NULL, "where to listen"},
 *		{"json", 0, C4_OPT_FLAG, &o.json, NULL, NULL, "print JSON"},
 *		{"interval", 'i', C4_OPT_MS, &o.every_ms, "TIME", NULL, "time between posts"},
 *		{0}};
 *
 * --help and --version are always there (both go to stdout, exit 0). Options end at the first
 * operand or at "--" (c4run -- mpirun -np 4 …: the rest belongs to the job).
 */
#ifndef C4_COMMON_OPT_H
#define C4_COMMON_OPT_H

#include <stdbool.h>
#include <stdint.h>

enum c4_opt_type {
	C4_OPT_FLAG, /* bool */
	C4_OPT_STR,  /* const char *, points into argv or the environment */
	C4_OPT_INT,  /* int64_t, decimal */
	C4_OPT_MS,   /* int64_t milliseconds; 250ms, 5s, 2m, plain number = seconds */
};

struct c4_opt {
	const char *name; /* without dashes; NULL ends the table */
	char letter;	  /* 0: none */
	enum c4_opt_type type;
	void *value;	 /* set on success only; what it holds before is the default */
	const char *arg; /* name of the argument in --help, NULL for flags */
	const char *env; /* variable that gives the default, or NULL */
	const char *help;
	int64_t min, max; /* for numbers; both 0: any non-negative value */
};

struct c4_cli {
	const char *program;
	const char *synopsis; /* "[OPTION]… -- COMMAND [ARG]…" */
	const char *about;    /* one or more lines */
	const struct c4_opt *opts;
};

/*
 * Returns the index of the first operand in argv, or exits: 0 after --help or --version, 2 after
 * one line on stderr about what is wrong. For main() only.
 */
int c4_cli_parse(const struct c4_cli *cli, int argc, char **argv);

/* For misuse found later: one line and a hint on stderr; returns 2. */
int c4_cli_misuse(const struct c4_cli *cli, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
