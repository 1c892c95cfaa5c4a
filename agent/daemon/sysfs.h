/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sysfs.h - files of one line, as sysfs has them. Reading may block while firmware answers: it
 * belongs on a worker. Thread-safe, no state.
 */
#ifndef C4_AGENT_SYSFS_H
#define C4_AGENT_SYSFS_H

#include <stdbool.h>
#include <stddef.h>

/* The first line of DIR/NAME, cut to size - 1 bytes; "" and false: none, or it is empty. */
bool c4_sysfs_line(const char *dir, const char *name, char *text, size_t size);

#endif
