/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * expr.h - the integer expressions of event streams (stream.h).
 *
 * C's operators, precedence and 64-bit arithmetic, no blanks; decimal and 0x numbers; names, which
 * the caller resolves; min(a,b), max(a,b), mod(a,b) (never negative) and noise(seed,n): a number
 * of [0,n) that looks random and is always the same.
 */
#ifndef C4_TESTS_NCCL_EXPR_H
#define C4_TESTS_NCCL_EXPR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Looks a name up: false if there is none. */
typedef bool expr_lookup(void *arg, const char *name, int64_t *ret);

/* Evaluates all of text. NULL, or what is wrong with it; *ret untouched then. */
const char *expr_eval(const char *text, expr_lookup *lookup, void *arg, int64_t *ret);

#endif
