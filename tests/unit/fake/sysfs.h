/* SPDX-License-Identifier: BSD-3-Clause */
/* sysfs.h - a tree of files as sysfs has them, in a directory of the test's own. */
#ifndef C4_TESTS_UNIT_FAKE_SYSFS_H
#define C4_TESTS_UNIT_FAKE_SYSFS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ROOT/PATH with this content and a newline, as sysfs writes it; directories are made. */
static inline void sysfs_put(const char *root, const char *path, const char *content)
{
	char full[512];
	FILE *f;

	snprintf(full, sizeof full, "%s/%s", root, path);
	for (char *p = strchr(full + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		mkdir(full, 0700);
		*p = '/';
	}
	f = fopen(full, "w");
	if (!f || fprintf(f, "%s\n", content) < 0 || fclose(f))
		abort();
}

static inline int sysfs_remove(const char *root)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf '%s'", root);
	return system(command);
}

#endif
