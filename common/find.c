// SPDX-License-Identifier: BSD-3-Clause
#include "common/find.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int self_dir(char *buf, size_t n)
{
	ssize_t len = readlink("/proc/self/exe", buf, n - 1);
	char *slash;

	if (len < 0)
		return -errno;
	buf[len] = '\0';
	slash = strrchr(buf, '/');
	if (!slash)
		return -ENOENT;
	*slash = '\0';
	return 0;
}

/* Joins the parts; accepts the result if it may be used as mode (access(2)) says. */
static int accept_path(const char *dir, const char *between, const char *name, int mode, char *buf,
		       size_t n)
{
	char path[PATH_MAX];
	int len = snprintf(path, sizeof path, "%s/%s%s", dir, between, name);

	if (len < 0 || (size_t)len >= sizeof path || (size_t)len >= n)
		return -ENAMETOOLONG;
	if (access(path, mode))
		return -errno;
	memcpy(buf, path, (size_t)len + 1);
	return 0;
}

int c4_find_in_path(const char *path, const char *name, char *buf, size_t n)
{
	while (path && *path) {
		size_t len = strcspn(path, ":");
		char dir[PATH_MAX];

		snprintf(dir, sizeof dir, "%.*s", (int)len, path);
		if (len && !accept_path(dir, "", name, X_OK, buf, n))
			return 0;
		path += len + (path[len] == ':');
	}
	return -ENOENT;
}

int c4_find_program(const char *name, char *buf, size_t n)
{
	char dir[PATH_MAX];

	if (!self_dir(dir, sizeof dir) && !accept_path(dir, "", name, X_OK, buf, n))
		return 0;
	return c4_find_in_path(getenv("PATH"), name, buf, n);
}

int c4_find_library(const char *name, char *buf, size_t n)
{
	char dir[PATH_MAX];
	char up[PATH_MAX];
	int rc = self_dir(dir, sizeof dir);

	if (rc)
		return rc;
	/* without the "bin/..": what is preloaded into every process should read well */
	snprintf(up, sizeof up, "%s", dir);
	if (strrchr(up, '/'))
		*strrchr(up, '/') = '\0';
	rc = accept_path(up, "lib/", name, R_OK, buf, n);
	return rc ? accept_path(up, "lib/c4/", name, R_OK, buf, n) : 0;
}
