// SPDX-License-Identifier: BSD-3-Clause
#include "agent/run/node.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static int open_in(const char *dir, const char *name, int flags)
{
	char path[PATH_MAX];
	int len = snprintf(path, sizeof path, "%s/%s", dir, name);
	int fd;

	if (len < 0 || (size_t)len >= sizeof path)
		return -ENAMETOOLONG;
	fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? -errno : fd;
}

/* An address left by a keeper that died must not be believed. */
static void forget_old(const char *dir)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/run.collector", dir);
	unlink(path);
}

int c4_node_join(struct c4_node *n, const char *dir, bool rank0)
{
	struct c4_node made = {.dir = dir};
	int mark;

	made.members_fd = open_in(dir, "run.members", O_RDWR | O_CREAT);
	if (made.members_fd < 0)
		return made.members_fd;
	made.keeper_fd = open_in(dir, "run.keeper", O_RDWR | O_CREAT);
	if (made.keeper_fd < 0) {
		close(made.members_fd);
		return made.keeper_fd;
	}
	if (flock(made.members_fd, LOCK_SH | LOCK_NB)) {
		/* the keeper is leaving and takes the directory along: too late to join */
		close(made.members_fd);
		close(made.keeper_fd);
		return -EBUSY;
	}
	made.keeper = !flock(made.keeper_fd, LOCK_EX | LOCK_NB);
	if (made.keeper)
		forget_old(dir);
	mark = rank0 ? open_in(dir, "run.rank0", O_RDWR | O_CREAT) : -1;
	if (mark >= 0)
		close(mark);
	*n = made;
	return 0;
}

int c4_node_publish(const struct c4_node *n, const char *address)
{
	char tmp[PATH_MAX], path[PATH_MAX], line[300];
	int len = snprintf(line, sizeof line, "%s\n", address ? address : "");
	int fd = open_in(n->dir, "run.collector.tmp", O_WRONLY | O_CREAT | O_TRUNC);
	ssize_t written;

	if (fd < 0)
		return fd;
	written = write(fd, line, (size_t)len);
	close(fd);
	if (written != len)
		return -EIO;
	if ((size_t)snprintf(tmp, sizeof tmp, "%s/run.collector.tmp", n->dir) >= sizeof tmp ||
	    (size_t)snprintf(path, sizeof path, "%s/run.collector", n->dir) >= sizeof path)
		return -ENAMETOOLONG;
	return rename(tmp, path) ? -errno : 0;
}

int c4_node_lookup(const struct c4_node *n, char *buf, size_t size)
{
	int fd = open_in(n->dir, "run.collector", O_RDONLY);
	char line[300];
	ssize_t len;

	if (fd < 0)
		return -EAGAIN;
	len = read(fd, line, sizeof line - 1);
	close(fd);
	if (len <= 0)
		return -EAGAIN;
	line[len] = '\0';
	line[strcspn(line, "\n")] = '\0';
	if (strlen(line) >= size)
		return -EAGAIN;
	memcpy(buf, line, strlen(line) + 1);
	return 0;
}

bool c4_node_alone(const struct c4_node *n)
{
	return !flock(n->members_fd, LOCK_EX | LOCK_NB);
}

bool c4_node_has_rank0(const struct c4_node *n)
{
	int fd = open_in(n->dir, "run.rank0", O_RDONLY);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void c4_node_resign(struct c4_node *n)
{
	close_fd(&n->keeper_fd);
	n->keeper = false;
}

/* A descriptor from before the fork would share the parent's lock instead of testing for it. */
int c4_node_stand_by(struct c4_node *n)
{
	int fd = open_in(n->dir, "run.members", O_RDWR);

	if (fd < 0)
		return fd;
	close_fd(&n->members_fd);
	n->members_fd = fd;
	return 0;
}

void c4_node_leave(struct c4_node *n)
{
	close_fd(&n->keeper_fd);
	close_fd(&n->members_fd);
}
