/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log.h - one line per event on standard error: "program: level: object: cause: consequence".
 * Level from C4_LOG (error, warn, info, debug; default info). Daemons and CLIs only: library code
 * never logs. Thread-safe (one write per line).
 */
#ifndef C4_COMMON_LOG_H
#define C4_COMMON_LOG_H

enum c4_log_level { C4_LOG_ERROR, C4_LOG_WARN, C4_LOG_INFO, C4_LOG_DEBUG };

/* name: prefix of each line, kept as a pointer. Reads C4_LOG. */
void c4_log_init(const char *name);
void c4_log_set_level(enum c4_log_level level);

void c4_log(enum c4_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define c4_error(...) c4_log(C4_LOG_ERROR, __VA_ARGS__)
#define c4_warn(...)  c4_log(C4_LOG_WARN, __VA_ARGS__)
#define c4_info(...)  c4_log(C4_LOG_INFO, __VA_ARGS__)
#define c4_debug(...) c4_log(C4_LOG_DEBUG, __VA_ARGS__)

#endif
