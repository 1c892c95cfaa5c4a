/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * options.h - c4run's command line. Strings point into argv or the environment. Main thread.
 */
#ifndef C4_RUN_OPTIONS_H
#define C4_RUN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum c4_hook_choice { C4_HOOK_AUTO, C4_HOOK_MPI, C4_HOOK_NCCL, C4_HOOK_NONE };

struct c4_run_opts {
	const char *collector; /* HOST:PORT; NULL: embed one */
	const char *job;       /* NULL: derive one */
	const char *report;    /* file, or NULL */
	const char *hook_name; /* as given; see hook */
	const char *hook_lib;  /* the MPI hook's file, or NULL: find it */
	const char *node;
	const char *runtime_dir; /* NULL: a private one */
	const char *store;	 /* file of the embedded collector, or NULL */
	int64_t interval_ms;	 /* of the embedded agent, 0: its default */
	bool routes;		 /* connections follow the plan */
	bool dry_run;
	bool quiet;
	bool verbose;
	enum c4_hook_choice hook; /* set by c4_run_options_check() */
	char **command;		  /* NULL-terminated, never empty after parsing */
};

/* Fills *o, or exits after --help, --version or misuse. For main() only. */
void c4_run_options_parse(struct c4_run_opts *o, int argc, char **argv);

/*
 * Judges what the option table cannot: 0 and o->hook set, or -EINVAL with one line about the
 * culprit in why[n].
 */
int c4_run_options_check(struct c4_run_opts *o, char *why, unsigned long n);

#endif
