/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hostlist.h - Slurm's host list expressions: "tux[0-3,07-10],io1,r[1-2]n[01-16]" stands for the
 * names it expands to, in order; zeros in front keep the width. Pure, nothing allocates.
 */
#ifndef C4_PLANNER_IO_HOSTLIST_H
#define C4_PLANNER_IO_HOSTLIST_H

#include <stddef.h>

#include "planner/model/fabric/fabric.h"

#define C4_HOSTLIST_NAMES_MAX C4_FABRIC_HOSTS_MAX

/* Called for each name in order; anything but 0 ends the expansion and is its result. */
typedef int (*c4_hostlist_fn)(void *arg, const char *name);

/*
 * 0, what fn returned, or with the reason in *fault: -EINVAL for what is no host list, -E2BIG
 * beyond C4_HOSTLIST_NAMES_MAX names. expr of n bytes need not be terminated.
 */
int c4_hostlist_each(const char *expr, size_t n, c4_hostlist_fn fn, void *arg,
		     struct c4_fault *fault);

#endif
