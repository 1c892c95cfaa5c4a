// SPDX-License-Identifier: BSD-3-Clause
#include "common/ending.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/hash.h"

/* The job's name may hold anything, its hash does not. */
static bool mark_path(char *buf, size_t n, const char *dir, const char *job)
{
	uint64_t h = c4_hash_bytes(0, job, strlen(job));
	int len = snprintf(buf, n, "%s/%016llx.ending", dir, (unsigned long long)h);

	return len > 0 && (size_t)len < n;
}

int c4_ending_mark(const char *dir, const char *job)
{
	char path[PATH_MAX];
	int fd;

	if (!mark_path(path, sizeof path, dir, job))
		return -ENAMETOOLONG;
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

void c4_ending_clear(const char *dir, const char *job)
{
	char path[PATH_MAX];

	if (mark_path(path, sizeof path, dir, job))
		unlink(path);
}

bool c4_ending_marked(const char *dir, const char *job)
{
	char path[PATH_MAX];

	return mark_path(path, sizeof path, dir, job) && !access(path, F_OK);
}
