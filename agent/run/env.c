// SPDX-License-Identifier: BSD-3-Clause
#include "agent/run/env.h"

#include <ctype.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/run/shape.h"
#include "c4/env.h"

#define PRELOAD "LD_PRELOAD"

static const struct variable {
	const char *name;
	size_t value; /* offset of the member that gives it */
	bool list;    /* goes in front of what the user has */
} variables[] = {
	{PRELOAD, offsetof(struct c4_job_env, preload), true},
	{C4_ENV_NCCL_PROFILER, offsetof(struct c4_job_env, profiler), false},
	{C4_ENV_NEXT_PROFILER, offsetof(struct c4_job_env, next_profiler), false},
	{C4_ENV_JOB, offsetof(struct c4_job_env, job), false},
	{C4_ENV_RUNTIME_DIR, offsetof(struct c4_job_env, runtime_dir), false},
	{C4_ENV_COLLECTOR, offsetof(struct c4_job_env, collector), false},
	{C4_ENV_NODE, offsetof(struct c4_job_env, node), false},
};

#define VARIABLES (sizeof variables / sizeof *variables)

static const char *value_of(const struct c4_job_env *e, const struct variable *v)
{
	return *(const char *const *)((const char *)e + v->value);
}

/* Whether a list separated by colons or blanks, as ld.so reads it, has item already. */
static bool listed(const char *list, const char *item)
{
	size_t n = strlen(item);

	while (*list) {
		size_t len = strcspn(list, ": ");

		if (len == n && !memcmp(list, item, n))
			return true;
		list += len + (list[len] != '\0');
	}
	return false;
}

/* The items of value that the list does not have yet, then the list. */
static void merge(struct c4_buf *b, const char *value, const char *list)
{
	const char *between = "";

	for (; *value; value += strspn(value, ":")) {
		size_t len = strcspn(value, ":");
		char *item = strndup(value, len);

		value += len;
		if (item && listed(list, item))
			len = 0;
		free(item);
		if (!len)
			continue;
		c4_buf_printf(b, "%s%.*s", between, (int)len, value - len);
		between = ":";
	}
	if (*list)
		c4_buf_printf(b, "%s%s", between, list);
}

/* "NAME=value" on the heap. */
static char *render(const struct variable *v, const char *value, char *const *base)
{
	const char *old = c4_env_get(base, v->name);
	struct c4_buf b = {0};

	c4_buf_printf(&b, "%s=", v->name);
	if (v->list)
		merge(&b, value, old ? old : "");
	else
		c4_buf_printf(&b, "%s", value);
	return c4_buf_take(&b);
}

static bool is_variable(const char *entry, const char *name)
{
	size_t n = strlen(name);

	return !strncmp(entry, name, n) && entry[n] == '=';
}

static bool is_ours(const char *entry, const struct c4_job_env *e)
{
	for (size_t i = 0; i < VARIABLES; i++)
		if (value_of(e, &variables[i]) && is_variable(entry, variables[i].name))
			return true;
	return false;
}

static bool is_preload(const char *entry, const struct c4_job_env *e)
{
	(void)e;
	return is_variable(entry, PRELOAD);
}

void c4_env_free(char **env)
{
	if (!env)
		return;
	for (char **p = env; *p; p++)
		free(*p);
	free(env);
}

/* Copies base but for the dropped entries; there is room for `more` after the *ret_n copied. */
static char **copy(char *const *base, bool (*drop)(const char *, const struct c4_job_env *),
		   const struct c4_job_env *e, size_t more, size_t *ret_n)
{
	size_t all = 0, n = 0;
	char **env;

	while (base && base[all])
		all++;
	env = calloc(all + more + 1, sizeof *env);
	for (size_t i = 0; env && i < all; i++) {
		if (drop(base[i], e))
			continue;
		env[n] = strdup(base[i]);
		if (env[n++])
			continue;
		c4_env_free(env);
		return NULL;
	}
	*ret_n = n;
	return env;
}

char **c4_job_env_new(const struct c4_job_env *e, char *const *base)
{
	size_t n;
	char **env = copy(base, is_ours, e, VARIABLES, &n);

	for (size_t i = 0; env && i < VARIABLES; i++) {
		const char *value = value_of(e, &variables[i]);

		if (!value)
			continue;
		env[n] = render(&variables[i], value, base);
		if (env[n++])
			continue;
		c4_env_free(env);
		return NULL;
	}
	return env;
}

char **c4_sidecar_env_new(char *const *base, const char *level)
{
	struct c4_buf log = {0};
	size_t n;
	char **env = copy(base, is_preload, NULL, 1, &n);

	if (!env || c4_env_get(base, C4_ENV_LOG))
		return env;
	c4_buf_printf(&log, "%s=%s", C4_ENV_LOG, level);
	env[n] = c4_buf_take(&log);
	if (env[n])
		return env;
	c4_env_free(env);
	return NULL;
}

/* A word as a shell would have to read it; plain ones stay as they are. */
static void quote(struct c4_buf *out, const char *word)
{
	const char *p = word;

	while (*p && (isalnum((unsigned char)*p) || strchr("_-./:=,@%+", *p)))
		p++;
	if (*word && !*p) {
		c4_buf_add(out, word, strlen(word));
		return;
	}
	c4_buf_add(out, "'", 1);
	for (p = word; *p; p++)
		if (*p == '\'')
			c4_buf_add(out, "'\\''", 4);
		else
			c4_buf_add(out, p, 1);
	c4_buf_add(out, "'", 1);
}

void c4_job_env_print(const struct c4_job_env *e, char *const *base, char *const *command,
		      struct c4_buf *out)
{
	for (size_t i = 0; i < VARIABLES; i++) {
		const char *value = value_of(e, &variables[i]);
		char *line = value ? render(&variables[i], value, base) : NULL;

		if (!line)
			continue;
		c4_buf_printf(out, "%s=", variables[i].name);
		quote(out, line + strlen(variables[i].name) + 1);
		c4_buf_add(out, "\n", 1);
		free(line);
	}
	for (char *const *word = command; *word; word++) {
		quote(out, *word);
		c4_buf_add(out, word[1] ? " " : "\n", 1);
	}
}
