// SPDX-License-Identifier: BSD-3-Clause
/*
 * dlvsym.c - NCCL's way to libibverbs.
 *
 * Only questions about a handle can have our wrapper as an answer. All others go on with a jump,
 * not a call: what RTLD_NEXT and RTLD_DEFAULT mean depends on who asks, and libc learns that from
 * the return address on the stack.
 */
#include <dlfcn.h>
#include <string.h>

#include "agent/route/real.h"
#include "agent/route/verbs.h"

void *c4_dlvsym(void *handle, const char *name, const char *version) __asm__("dlvsym")
	__attribute__((visibility("default")));

#if defined(__clang__)
#define JUMP	 __attribute__((musttail))
#define CAN_JUMP /* always */
#else
#define JUMP
#define CAN_JUMP __attribute__((optimize("O2"), no_sanitize("address", "thread", "undefined")))
#endif

static __attribute__((noinline)) void *from_handle(void *handle, const char *name,
						   const char *version)
{
	return c4_verbs_wrap(name, c4_route_real()->dlvsym(handle, name, version));
}

CAN_JUMP void *c4_dlvsym(void *handle, const char *name, const char *version)
{
	if (handle != RTLD_NEXT && handle != RTLD_DEFAULT && name && !strncmp(name, "ibv_", 4))
		JUMP return from_handle(handle, name, version);
	JUMP return c4_route_real()->dlvsym(handle, name, version);
}
