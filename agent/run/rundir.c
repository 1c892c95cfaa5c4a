// SPDX-License-Identifier: BSD-3-Clause
#include "agent/run/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/run/shape.h"
#include "common/base/segment.h"

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
	return rc ? rc : join(r->path, sizeof r->path, mine, leaf);
}

static int use_given(struct c4_rundir *r, const char *given)
{
	int n = snprintf(r->path, sizeof r->path, "%s", given);

	r->private = false;
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
	return rc ? rc : c4_runtime_dir_make(r->path);
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

void c4_rundir_remove(const struct c4_rundir *r)
{
	struct dirent *entry;
	struct stat st;
	DIR *dir;

	if (!r->private)
		return;
	dir = opendir(r->path);
	while (dir && (entry = readdir(dir))) {
		int fd = dirfd(dir);

		if (!fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) && !S_ISDIR(st.st_mode))
			unlinkat(fd, entry->d_name, 0);
	}
	if (dir)
		closedir(dir);
	rmdir(r->path);
}
