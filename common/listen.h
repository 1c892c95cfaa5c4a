/* SPDX-License-Identifier: BSD-3-Clause */
/* listen.h - a listening TCP socket from "HOST:PORT". */
#ifndef C4_COMMON_LISTEN_H
#define C4_COMMON_LISTEN_H

#include <stddef.h>
#include <stdint.h>

/*
 * Opens it (nonblocking, close-on-exec). HOST may be a name, an address, "[::1]" or "*"; port 0
 * takes any free one, told in *ret_port. Returns the descriptor, or -1 with the reason in words in
 * err[n].
 */
int c4_listen(const char *where, uint16_t *ret_port, char *err, size_t n);

#endif
