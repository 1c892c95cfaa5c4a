/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fmt.h - numbers as people read them. Each returns buf; FMT_BYTES always suffices but for rank
 * sets, which are cut with "…" at n. Pure.
 */
#ifndef C4_COMMON_FMT_H
#define C4_COMMON_FMT_H

#include <stddef.h>
#include <stdint.h>

#define C4_FMT_BYTES 40

const char *c4_fmt_bytes(char *buf, size_t n, double bytes);	/* "1.5 MiB" */
const char *c4_fmt_duration(char *buf, size_t n, uint64_t ns);	/* "41 ms", "3.2 s" */
const char *c4_fmt_count(char *buf, size_t n, uint64_t v);	/* "12.3k" */
const char *c4_fmt_time(char *buf, size_t n, uint64_t wall_ns); /* RFC 3339, UTC, milliseconds */
const char *c4_fmt_ranks(char *buf, size_t n, const int32_t *ranks, size_t count); /* "0-3,7" */

/* Wall clock now, nanoseconds since 1970. */
uint64_t c4_wall_ns(void);

#endif
