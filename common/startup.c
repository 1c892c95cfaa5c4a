// SPDX-License-Identifier: BSD-3-Clause
#include "common/startup.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"

void c4_startup_raise_descriptors(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) || lim.rlim_cur == lim.rlim_max)
		return;
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
}

int c4_startup_state_path(const char *name, char *path, size_t n)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int len;

	if (geteuid() == 0)
		len = snprintf(path, n, "/var/lib/c4/%s", name);
	else if (state && *state == '/')
		len = snprintf(path, n, "%s/c4/%s", state, name);
	else if (home && *home == '/')
		len = snprintf(path, n, "%s/.local/state/c4/%s", home, name);
	else
		return -ENOENT;
	return len < (int)n ? 0 : -ENAMETOOLONG;
}

void c4_startup_make_parents(const char *file)
{
	char dir[PATH_MAX];

	if (snprintf(dir, sizeof dir, "%s", file) >= (int)sizeof dir)
		return;
	for (char *slash = strchr(dir + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(dir, 0700);
		*slash = '/';
	}
}

int c4_startup_tell_ready(int64_t fd, uint16_t port)
{
	char line[16];
	int n = snprintf(line, sizeof line, "%u\n", port);

	if (fd < 0)
		return 0;
	if (write((int)fd, line, (size_t)n) != n) {
		c4_error("ready-fd %d: %s", (int)fd, strerror(errno));
		return -1;
	}
	close((int)fd);
	return 0;
}
