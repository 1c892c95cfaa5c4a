// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/state.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int failed(struct c4_fault *fault, const char *path, int err)
{
	return c4_fault_set(fault, -err, "%.120s: %s", path, strerror(err));
}

/* 0 or an errno. */
static int write_all(int fd, const struct c4_buf *b)
{
	for (size_t done = 0; done < b->len;) {
		ssize_t n = write(fd, b->data + done, b->len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		done += (size_t)n;
	}
	return fsync(fd) ? errno : 0;
}

/* The rename is on disk only when the directory is. Not all file systems let it be synced. */
static void sync_directory(const char *path)
{
	char copy[PATH_MAX];
	int fd;

	snprintf(copy, sizeof copy, "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)!fsync(fd);
	close(fd);
}

int c4_state_write(const char *path, const struct c4_buf *b, struct c4_fault *fault)
{
	char temporary[PATH_MAX];
	int fd, err;

	if (b->failed)
		return c4_fault_set(fault, -ENOMEM, "out of memory");
	if (snprintf(temporary, sizeof temporary, "%s.new", path) >= (int)sizeof temporary)
		return failed(fault, path, ENAMETOOLONG);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return failed(fault, temporary, errno);
	err = write_all(fd, b);
	if (close(fd) && !err)
		err = errno;
	if (!err && rename(temporary, path))
		err = errno;
	if (err) {
		unlink(temporary);
		return failed(fault, path, err);
	}
	sync_directory(path);
	return 0;
}
