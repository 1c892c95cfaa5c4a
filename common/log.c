// SPDX-License-Identifier: BSD-3-Clause
#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "c4/env.h"

static const char *const names[] = {"error", "warn", "info", "debug"};
static const char *program = "c4";
static enum c4_log_level threshold = C4_LOG_INFO;

void c4_log_init(const char *name)
{
	const char *env = getenv(C4_ENV_LOG);

	program = name;
	for (unsigned int i = 0; env && i < sizeof names / sizeof *names; i++)
		if (!strcmp(env, names[i]))
			threshold = (enum c4_log_level)i;
}

void c4_log_set_level(enum c4_log_level level)
{
	threshold = level;
}

void c4_log(enum c4_log_level level, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n, m;

	if (level > threshold)
		return;
	n = snprintf(line, sizeof line - 1, "%s: %s: ", program, names[level]);
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof line - 1 - (size_t)n, fmt, ap);
	va_end(ap);
	if (m > 0)
		n += m;
	if (n > (int)sizeof line - 2)
		n = sizeof line - 2;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return; /* nowhere left to complain */
}
