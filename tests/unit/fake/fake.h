/* SPDX-License-Identifier: BSD-3-Clause */
/* fake.h - finding the stand-ins for other people's libraries, which lie beside the test programs.
 */
#ifndef C4_TESTS_UNIT_FAKE_FAKE_H
#define C4_TESTS_UNIT_FAKE_FAKE_H

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/fake/nvml.h"

#define FAKE_NVML     "libfake-nvml.so"
#define FAKE_NVML_OLD "libfake-nvml-old.so"

/* Static storage, until the next call. */
static inline const char *fake_path(const char *name)
{
	static char path[2][PATH_MAX + 64];
	static int turn;
	char *p = path[turn ^= 1];
	ssize_t n = readlink("/proc/self/exe", p, PATH_MAX);

	if (n < 0)
		return NULL;
	p[n] = '\0';
	snprintf(strrchr(p, '/') + 1, 64, "%s", name);
	return p;
}

/* The steering of that stand-in, as it is when just loaded. NULL: it was not built. */
static inline struct fake_nvml *fake_nvml_load(const char *name)
{
	void *library = dlopen(fake_path(name), RTLD_NOW | RTLD_LOCAL);
	struct fake_nvml *f = library ? dlsym(library, "fake_nvml") : NULL;

	if (f)
		*f = (struct fake_nvml){.gpus = FAKE_GPUS, .mhz = 1500};
	return f;
}

#endif
