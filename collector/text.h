/* SPDX-License-Identifier: BSD-3-Clause */
/* text.h - strings from other processes made fit for JSON, labels and terminals. Pure. */
#ifndef C4_COLLECTOR_TEXT_H
#define C4_COLLECTOR_TEXT_H

#include <stddef.h>

/*
 * Copies src (NULL reads as "") into dst[n], always terminated and always valid UTF-8: control
 * characters and broken sequences become '?', too long text ends before a whole character.
 * Returns dst.
 */
char *c4_text_copy(char *dst, size_t n, const char *src);

#endif
