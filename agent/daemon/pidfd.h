/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pidfd.h - a descriptor that becomes readable when a process ends, and how it ended.
 *
 * The process is not our child: its status comes from the kernel's exit record (Linux 6.15 and
 * later) or, while its parent has not fetched it yet, from the zombie's /proc entry.
 */
#ifndef C4_AGENT_PIDFD_H
#define C4_AGENT_PIDFD_H

#include <stdbool.h>
#include <stdint.h>

/* Descriptor (close it), or a negative errno: -ESRCH no such process, -ENOSYS before Linux 5.3. */
int c4_pidfd_open(uint32_t pid);

/* How an ended process ended, as from wait(2). False: not to be learned, *status untouched. */
bool c4_pidfd_status(int fd, uint32_t pid, uint64_t start_jiffies, int32_t *status);

#endif
