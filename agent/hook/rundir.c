// SPDX-License-Identifier: BSD-3-Clause
#include "agent/hook/rundir.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/segment.h"
#include "common/base/str.h"

#define SWEEP_ENTRIES 64	/* segments looked at */
#define SWEEP_AGE_S   (10 * 60) /* somebody may still want to read a younger one */
#define SCAN_ENTRIES  4096

#define LOCK_PREFIX "agent-"
#define LOCK_SUFFIX ".lock"

/* readdir(3) allocates, so the entries come straight from the kernel. */
struct scan {
	int fd;
	ssize_t have, at;
	unsigned int left;
	char buf[2048] __attribute__((aligned(8)));
};

static int scan_open(struct scan *s, const char *dir)
{
	s->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	s->have = s->at = 0;
	s->left = SCAN_ENTRIES;
	return s->fd;
}

static const char *scan_next(struct scan *s)
{
	struct dirent64 *d;

	if (s->left-- == 0)
		return NULL;
	if (s->at >= s->have) {
		s->have = getdents64(s->fd, s->buf, sizeof s->buf);
		s->at = 0;
		if (s->have <= 0)
			return NULL;
	}
	d = (struct dirent64 *)(void *)(s->buf + s->at);
	s->at += d->d_reclen;
	return d->d_name;
}

static int ends_with(const char *name, const char *suffix)
{
	size_t n = strlen(name), k = strlen(suffix);

	return n > k && !strcmp(name + n - k, suffix);
}

int c4_rundir_has_agent(const char *dir)
{
	const char *name;
	struct scan s;
	int found = 0;

	if (scan_open(&s, dir) < 0)
		return 1;
	while (!found && (name = scan_next(&s)))
		found = !strncmp(name, LOCK_PREFIX, strlen(LOCK_PREFIX)) &&
			ends_with(name, LOCK_SUFFIX);
	close(s.fd);
	return found;
}

/* PID-START[-HOOK].seg, and no such process any more. */
static int owner_gone(const char *name)
{
	uint64_t pid, start;
	size_t n = c4_str_parse_u64(name, &pid);

	if (!n || name[n] != '-' || pid == 0 || pid > INT32_MAX)
		return 0;
	name += n + 1;
	n = c4_str_parse_u64(name, &start);
	if (!n || (name[n] != '-' && strcmp(name + n, C4_SEG_SUFFIX) != 0))
		return 0;
	return c4_proc_start_jiffies((uint32_t)pid) != start;
}

static int old_file(int dirfd, const char *name, time_t now)
{
	struct stat st;

	return !fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode) &&
	       now - st.st_mtime > SWEEP_AGE_S;
}

void c4_rundir_sweep(const char *dir)
{
	unsigned int left = SWEEP_ENTRIES;
	time_t now = time(NULL);
	const char *name;
	struct scan s;

	if (scan_open(&s, dir) < 0)
		return;
	while (left && (name = scan_next(&s))) {
		if (!ends_with(name, C4_SEG_SUFFIX))
			continue;
		left--;
		if (old_file(s.fd, name, now) && owner_gone(name))
			unlinkat(s.fd, name, 0);
	}
	close(s.fd);
}
