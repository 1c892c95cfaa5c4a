// SPDX-License-Identifier: BSD-3-Clause
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "c4/env.h"
#include "collector/ctl/doctor_say.h"

#define PREFIX	   "C4_"
#define NAME_BYTES 32u
#define SLIP	   2u /* letters to change */

static const char *const known[] = {
#define NAME(sym, var, help) var,
	C4_ENV_LIST(NAME)
#undef NAME
};

#define KNOWN (sizeof known / sizeof *known)

static const char *const details[] = {"duty", "on", "off", NULL};
static const char *const levels[] = {"error", "warn", "info", "debug", NULL};

static bool is_one_of(const char *value, const char *const *words)
{
	for (; *words; words++)
		if (!strcmp(value, *words))
			return true;
	return false;
}

static void check_word(json_t *checks, const char *name, const char *const *words,
		       const char *instead)
{
	const char *value = getenv(name);

	if (value && *value && !is_one_of(value, words))
		c4_doctor_say(checks, "variable", false, "%s=%s is set here, which is none of %s",
			      name, value, instead);
}

static void check_next(json_t *checks)
{
	const char *next = getenv(C4_ENV_NEXT_PROFILER);

	if (next && strchr(next, '/') && access(next, R_OK))
		c4_doctor_say(checks, "variable", false,
			      "%s=%s is set here, but there is no such file: your own profiler is "
			      "left out",
			      C4_ENV_NEXT_PROFILER, next);
}

/* ---- names ----------------------------------------------------------------------------------- */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* How many letters have to be put in, left out or changed (Levenshtein). b: at most NAME_BYTES. */
static size_t distance(const char *a, size_t na, const char *b, size_t nb)
{
	size_t row[NAME_BYTES + 1];

	for (size_t j = 0; j <= nb; j++)
		row[j] = j;
	for (size_t i = 0; i < na; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < nb; j++) {
			size_t above = row[j + 1];

			row[j + 1] = least(least(above, row[j]) + 1, diagonal + (a[i] != b[j]));
			diagonal = above;
		}
	}
	return row[nb];
}

static const char *meant(const char *name, size_t n)
{
	for (size_t i = 0; i < KNOWN; i++) {
		size_t len = strlen(known[i]);

		if (len <= NAME_BYTES && n <= 2 * NAME_BYTES &&
		    distance(name, n, known[i], len) <= SLIP)
			return known[i];
	}
	return NULL;
}

static bool is_known(const char *name, size_t n)
{
	for (size_t i = 0; i < KNOWN; i++)
		if (strlen(known[i]) == n && !memcmp(known[i], name, n))
			return true;
	return false;
}

/* Others may have variables that begin like ours: only what looks like a slip is told. */
static void check_name(json_t *checks, const char *entry)
{
	size_t n = strcspn(entry, "=");
	const char *instead;

	if (strncmp(entry, PREFIX, strlen(PREFIX)) != 0 || is_known(entry, n))
		return;
	instead = meant(entry, n);
	if (instead)
		c4_doctor_say(checks, "variable", false,
			      "%.*s is set here, which c4 does not know: %s is meant?", (int)n,
			      entry, instead);
}

void c4_doctor_env(json_t *checks)
{
	const char *value = getenv(C4_ENV_HOOK);

	if (value && !strcmp(value, "0"))
		c4_doctor_say(checks, "switch", false, "%s=0 is set here: hooks stay inert",
			      C4_ENV_HOOK);
	check_word(checks, C4_ENV_NCCL_DETAIL, details, "duty, on, off: it is taken for duty");
	check_word(checks, C4_ENV_LOG, levels, "error, warn, info, debug");
	check_next(checks);
	for (char **entry = environ; *entry; entry++)
		check_name(checks, *entry);
}
