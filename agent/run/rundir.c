// SPDX-License-Identifier: BSD-3-Clause
#include "agent/run/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/run/shape.h"
#include "common/base/segment.h"

#define SWEEP_MAX 4096 /* entries looked at */
#define YOUNG_S	  60

static int join(char *buf, size_t n, const char *a, const char *b)
{
	int len = snprintf(buf, n, "%s/%s", a, b);

	return len < 0 || (size_t)len >= n ? -ENAMETOOLONG : 0;
}

/* BASE/c4-UID in mine, BASE/c4-UID/JOB in r. */
static int name_private(struct c4_rundir *r, char *mine, const char *base, const char *job)
{
	char leaf[64], user[32];
	int rc;

	c4_file_name(leaf, sizeof leaf, job);
	snprintf(user, sizeof user, "c4-%u", (unsigned int)getuid());
	rc = join(mine, PATH_MAX, base, user);
	r->private = true;
	r->lock_fd = -1;
	return rc ? rc : join(r->path, sizeof r->path, mine, leaf);
}

static int take_lock(const char *dir, int operation)
{
	char path[PATH_MAX];
	int fd, rc = join(path, sizeof path, dir, "run.lock");
	bool create = operation & LOCK_SH;

	if (rc)
		return rc;
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0), 0600);
	if (fd < 0)
		return -errno;
	if (!flock(fd, operation | LOCK_NB))
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

static int use_given(struct c4_rundir *r, const char *given)
{
	int n = snprintf(r->path, sizeof r->path, "%s", given);

	r->private = false;
	r->lock_fd = -1;
	return n < 0 || (size_t)n >= sizeof r->path ? -ENAMETOOLONG : 0;
}

/* The i-th place to try, NULL after the last. */
static const char *base_at(int i)
{
	const char *tmp = getenv("TMPDIR");

	switch (i) {
	case 0: return "/dev/shm";
	case 1: return tmp && tmp[0] == '/' ? tmp : "/tmp";
	case 2: return "/tmp";
	default: return NULL;
	}
}

int c4_rundir_plan(struct c4_rundir *r, const char *given, const char *job)
{
	char mine[PATH_MAX];
	const char *base;
	int rc = -ENOENT;

	if (given)
		return use_given(r, given);
	for (int i = 0; (base = base_at(i)); i++) {
		rc = access(base, W_OK | X_OK) ? -errno : name_private(r, mine, base, job);
		if (!rc)
			break;
	}
	return rc;
}

static int make_private(struct c4_rundir *r, const char *base, const char *job)
{
	char mine[PATH_MAX];
	int rc = name_private(r, mine, base, job);

	if (!rc)
		rc = c4_runtime_dir_make(mine);
	if (!rc)
		rc = c4_runtime_dir_make(r->path);
	if (rc)
		return rc;
	r->lock_fd = take_lock(r->path, LOCK_SH);
	c4_rundir_sweep_jobs(mine);
	return r->lock_fd < 0 ? r->lock_fd : 0;
}

int c4_rundir_make(struct c4_rundir *r, const char *given, const char *job)
{
	const char *base;
	int rc = -ENOENT;

	if (given) {
		rc = use_given(r, given);
		return rc ? rc : c4_runtime_dir_make(r->path);
	}
	for (int i = 0; (base = base_at(i)); i++) {
		rc = make_private(r, base, job);
		if (!rc)
			break;
	}
	return rc;
}

/* With the plain files in it; a directory in it was not made by us, and then it stays. */
static void remove_tree(const char *path)
{
	struct dirent *entry;
	struct stat st;
	DIR *dir = opendir(path);

	while (dir && (entry = readdir(dir))) {
		int fd = dirfd(dir);

		if (!fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) && !S_ISDIR(st.st_mode))
			unlinkat(fd, entry->d_name, 0);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

/* Made, but not yet locked, in this moment? Then it is young. */
static bool is_young(const char *path)
{
	struct stat st;

	return lstat(path, &st) || time(NULL) - st.st_mtime < YOUNG_S;
}

unsigned int c4_rundir_sweep_jobs(const char *base)
{
	unsigned int looked = 0, removed = 0;
	struct dirent *entry;
	DIR *dir = opendir(base);

	while (dir && (entry = readdir(dir)) && looked++ < SWEEP_MAX) {
		char path[PATH_MAX];
		int fd;

		if (entry->d_name[0] == '.' || join(path, sizeof path, base, entry->d_name) ||
		    is_young(path))
			continue;
		fd = take_lock(path, LOCK_EX);
		if (fd < 0)
			continue;
		remove_tree(path);
		close(fd);
		removed++;
	}
	if (dir)
		closedir(dir);
	return removed;
}

void c4_rundir_remove(const struct c4_rundir *r)
{
	if (r->private)
		remove_tree(r->path);
}
