/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * build.h - from an event's line to a complete call.
 */
#ifndef C4_TESTS_NCCL_BUILD_H
#define C4_TESTS_NCCL_BUILD_H

#include "tests/nccl/play.h"

/* Writes the call of st, whose words from `first` on are VERB … . */
void build_call(struct player *p, const struct stmt *st, int first, struct call *ret);

#endif
