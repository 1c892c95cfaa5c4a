// SPDX-License-Identifier: BSD-3-Clause
#include "agent/route/real.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>

struct c4_route_real c4_route_calls;
bool c4_route_resolved;

static int missing(void)
{
	errno = ENOSYS;
	return -1;
}

static void *missing_symbol(void)
{
	return NULL;
}

static void *next(const char *name, void *otherwise)
{
	void *p = dlsym(RTLD_NEXT, name);

	return p ? p : otherwise;
}

/* Two threads may do this at once: both write the same. */
void c4_route_resolve(void)
{
	struct c4_route_real *r = &c4_route_calls;
	int saved = errno;

#define C4_FIND(name, otherwise)                                                                   \
	__atomic_store_n(&r->name, (__typeof__(r->name))next(#name, (void *)(otherwise)),          \
			 __ATOMIC_RELAXED)
	C4_FIND(connect, missing);
	C4_FIND(bind, missing);
	C4_FIND(getsockname, missing);
	C4_FIND(dlvsym, missing_symbol);
#undef C4_FIND
	__atomic_store_n(&c4_route_resolved, true, __ATOMIC_RELEASE);
	errno = saved;
}
