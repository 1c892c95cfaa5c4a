/* SPDX-License-Identifier: BSD-3-Clause */
/* ask.h - questions to the collector (collector/API.md). Blocking, for workers; one thread. */
#ifndef C4_PLANNER_ASK_H
#define C4_PLANNER_ASK_H

#include <jansson.h>

struct c4_asking;

/* collector: "HOST:PORT", not copied. NULL: out of memory or malformed. */
struct c4_asking *c4_asking_new(const char *collector);
void c4_asking_free(struct c4_asking *a);

/* What it says, whatever the status (< 0: it does not answer); NULL with the reason in why[n]. */
json_t *c4_ask(struct c4_asking *a, const char *path, int *ret_status, char *why, size_t n);

/* Likewise, only a good answer: 0, or a negative errno with the reason in why[n]. */
int c4_ask_good(struct c4_asking *a, const char *path, json_t **ret, char *why, size_t n);

#endif
