/* SPDX-License-Identifier: BSD-3-Clause */
/* startup.h - what the main() of every cluster daemon does before its loop. One thread. */
#ifndef C4_COMMON_STARTUP_H
#define C4_COMMON_STARTUP_H

#include <stddef.h>
#include <stdint.h>

/* Takes as many descriptors as the system allows: each client is one. */
void c4_startup_raise_descriptors(void);

/* Where `name` is kept: /var/lib/c4 for root, else $XDG_STATE_HOME/c4 or ~/.local/state/c4.
 * 0, -ENOENT without any of them, -ENAMETOOLONG. */
int c4_startup_state_path(const char *name, char *path, size_t n);

/* mkdir -p of the directory a file will be in. Failure shows when the file is opened. */
void c4_startup_make_parents(const char *file);

/* Writes "PORT\n" to a descriptor and closes it; nothing if it is negative. 0 or -1 after logging
 * why not. */
int c4_startup_tell_ready(int64_t fd, uint16_t port);

#endif
