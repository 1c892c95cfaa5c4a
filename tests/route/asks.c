// SPDX-License-Identifier: BSD-3-Clause
/* A library that asks the linker who comes after it, and who is the first of all. */
#include <dlfcn.h>
#include <stddef.h>

const char *c4_test_who(void);
const char *c4_test_next_of_first(void *which);

const char *c4_test_who(void)
{
	return WHO;
}

/* Called in the library that was linked first. */
const char *c4_test_next_of_first(void *which)
{
	const char *(*who)(void) = (__typeof__(who))dlvsym(which, "c4_test_who", "C4_TEST");

	return who ? who() : NULL;
}
