/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * real.h - the calls we stand in for, as the next library after ours has them: libc, or another
 * preloaded library.
 *
 * Resolved once when the library is loaded. A constructor of another library may connect before
 * ours has run: the accessor then looks for itself, and finds the same.
 */
#ifndef C4_ROUTE_REAL_H
#define C4_ROUTE_REAL_H

#include <stdbool.h>
#include <sys/socket.h>

struct c4_route_real {
	int (*connect)(int fd, const struct sockaddr *addr, socklen_t len);
	int (*bind)(int fd, const struct sockaddr *addr, socklen_t len);
	int (*getsockname)(int fd, struct sockaddr *addr, socklen_t *len);
	void *(*dlvsym)(void *handle, const char *name, const char *version);
};

/* Its members are never NULL after c4_route_real(): what cannot be found fails with ENOSYS. */
extern struct c4_route_real c4_route_calls __attribute__((visibility("hidden")));
extern bool c4_route_resolved __attribute__((visibility("hidden"))); /* atomic */

/* Any number of times, from any thread; preserves errno. */
void c4_route_resolve(void);

static inline const struct c4_route_real *c4_route_real(void)
{
	if (__builtin_expect(!__atomic_load_n(&c4_route_resolved, __ATOMIC_ACQUIRE), 0))
		c4_route_resolve();
	return &c4_route_calls;
}

#endif
