// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "c4/segment.h"

/* The previous holder may remove the file between our open and our flock: try a few times. */
#define ATTEMPTS 8

static int set_path(struct c4_lock *lock, const char *dir, const char *node)
{
	char name[C4_NAME_BYTES];
	int n;

	snprintf(name, sizeof name, "%s", node);
	for (char *p = name; (p = strchr(p, '/'));)
		*p = '_';
	n = snprintf(lock->path, sizeof lock->path, "%s/agent-%s.lock", dir, name);
	return n < 0 || (size_t)n >= sizeof lock->path ? -ENAMETOOLONG : 0;
}

static int is_at_path(int fd, const char *path)
{
	struct stat held, named;

	return !fstat(fd, &held) && !lstat(path, &named) && held.st_ino == named.st_ino &&
	       held.st_dev == named.st_dev;
}

static int try_take(struct c4_lock *lock)
{
	int fd = open(lock->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int err;

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		err = errno;
		close(fd);
		return err == EWOULDBLOCK ? -EBUSY : -err;
	}
	if (!is_at_path(fd, lock->path)) {
		close(fd);
		return -EAGAIN;
	}
	lock->fd = fd;
	return 0;
}

int c4_lock_take(struct c4_lock *lock, const char *dir, const char *node)
{
	int rc;

	lock->fd = -1;
	rc = set_path(lock, dir, node);
	if (rc)
		return rc;
	for (int i = 0; i < ATTEMPTS; i++) {
		rc = try_take(lock);
		if (rc != -EAGAIN)
			return rc;
	}
	return -EBUSY;
}

int c4_lock_lost(const struct c4_lock *lock)
{
	return !is_at_path(lock->fd, lock->path);
}

void c4_lock_release(struct c4_lock *lock)
{
	if (lock->fd < 0)
		return;
	if (is_at_path(lock->fd, lock->path))
		unlink(lock->path);
	close(lock->fd);
	lock->fd = -1;
}
