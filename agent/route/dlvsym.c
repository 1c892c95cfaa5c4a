// SPDX-License-Identifier: BSD-3-Clause
/*
 * dlvsym.c - NCCL's way to libibverbs.
 *
 * Only questions about a handle can have our wrapper as an answer. All others go on with a jump,
 * not a call: what RTLD_NEXT and RTLD_DEFAULT mean depends on who asks, and libc learns that from
 * the return address on the stack.
 */
#include <dlfcn.h>
#include <stdbool.h>

#include "agent/route/real.h"
#include "agent/route/verbs.h"

void *c4_dlvsym(void *handle, const char *name, const char *version) __asm__("dlvsym")
	__attribute__((visibility("default")));

#if defined(__clang__)
#define JUMP __attribute__((musttail)) return
#define CAN_JUMP
#else
#define JUMP	 return
#define CAN_JUMP __attribute__((optimize("O2")))
#endif

static __attribute__((noinline)) void *from_handle(void *handle, const char *name,
						   const char *version)
{
	return c4_verbs_wrap(name, c4_route_real()->dlvsym(handle, name, version));
}

/* Without a call: a sanitizer's runtime asks before anything of its own works. */
static bool is_verb(const char *name)
{
	return name && name[0] == 'i' && name[1] == 'b' && name[2] == 'v' && name[3] == '_';
}

CAN_JUMP void *c4_dlvsym(void *handle, const char *name, const char *version)
{
	if (handle != RTLD_NEXT && handle != RTLD_DEFAULT && is_verb(name))
		JUMP from_handle(handle, name, version);
	JUMP c4_route_real()->dlvsym(handle, name, version);
}
