// SPDX-License-Identifier: BSD-3-Clause
#include "agent/run/report.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "c4/incident.h"

json_t *c4_report_blank(const char *job, const char *error)
{
	return json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:[], s:[], s:s*}", "schema",
			 C4_REPORT_SCHEMA, "job", job, "state", "lost", "ranks", 0, "ranks_seen", 0,
			 "nodes", 0, "communicators", "incidents", "error", error);
}

static int write_all(int fd, const char *data, size_t n)
{
	while (n) {
		ssize_t k = write(fd, data, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		data += k;
		n -= (size_t)k;
	}
	return 0;
}

/* A full or remote disk may tell only when data goes out or the file is closed. */
static int finish(int fd, int rc)
{
	struct stat st;

	if (!rc && !fstat(fd, &st) && S_ISREG(st.st_mode) && fsync(fd))
		rc = -errno;
	if (close(fd) && !rc)
		rc = -errno;
	return rc;
}

static int write_plainly(const char *path, const char *data, size_t n)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : finish(fd, write_all(fd, data, n));
}

static int write_and_rename(const char *path, const char *data, size_t n)
{
	char tmp[PATH_MAX];
	int len = snprintf(tmp, sizeof tmp, "%s.%ld.tmp", path, (long)getpid());
	int fd, rc;

	if (len < 0 || (size_t)len >= sizeof tmp)
		return -ENAMETOOLONG;
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	rc = finish(fd, write_all(fd, data, n));
	if (!rc && rename(tmp, path))
		rc = -errno;
	if (rc)
		unlink(tmp);
	return rc;
}

int c4_report_write(const char *path, const json_t *report)
{
	char *text = json_dumps(report, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
	char real[PATH_MAX];
	struct stat st;
	size_t n;
	int rc;

	if (!text)
		return -ENOMEM;
	n = strlen(text);
	text[n] = '\n'; /* in place of the NUL: a text file ends so */
	/* through a symbolic link, so that the link stays */
	if (realpath(path, real))
		path = real;
	if (!stat(path, &st) && !S_ISREG(st.st_mode))
		rc = write_plainly(path, text, n + 1);
	else
		rc = write_and_rename(path, text, n + 1);
	free(text);
	return rc;
}
