/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * expect.h - what a stream expects to read in its own process's segment, as an agent would.
 *
 *     expect TABLE [FIELD=V…] [FIELD OP V…]      OP: == != < <= > >=, &= (has these bits), no
 * blanks
 *
 * TABLE is header, comm, conn or event. FIELD=V and ?FIELD OP V pick rows; every other condition
 * must hold for each row picked, and there must be one at least; n OP V is about their number
 * instead. V is an expression, or a word where the field is text. Times are in microseconds;
 * instants since the origin. Fields: the tables in expect.c, named as in c4/segment.h.
 */
#ifndef C4_TESTS_NCCL_EXPECT_H
#define C4_TESTS_NCCL_EXPECT_H

#include "tests/nccl/play.h"

void expect_rows(struct player *p, const struct stmt *st);

/* Whatever the segment holds, for people. */
void expect_dump(struct player *p);

/* As the agent: transport steps are wanted for so many microseconds. */
void expect_detail(struct player *p, const struct stmt *st, int64_t us);

/* The constants expressions may name. */
bool expect_constant(const char *name, int64_t *ret);

#endif
