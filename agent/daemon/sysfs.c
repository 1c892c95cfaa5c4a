// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/sysfs.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool c4_sysfs_line(const char *dir, const char *name, char *text, size_t size)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof path, "%s/%s", dir, name), fd;
	ssize_t got;

	text[0] = '\0';
	if (n < 0 || (size_t)n >= sizeof path)
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	got = read(fd, text, size - 1);
	close(fd);
	text[got > 0 ? got : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return text[0] != '\0';
}
