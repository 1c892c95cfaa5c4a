/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * keeper.h - keeps the incidents in the store without making the event loop wait.
 *
 * One batch of changed incidents at a time is written by a worker thread (libuv's pool); the
 * incidents' own dirty marks are the queue. When writing fails the marks stay, the reason is logged
 * once and shown (c4_keeper_problem), and it is tried again with growing pauses: nothing confirmed
 * is lost as long as the collector lives. On the loop's thread; the store is the keeper's while a
 * batch is under way.
 */
#ifndef C4_COLLECTOR_KEEPER_H
#define C4_COLLECTOR_KEEPER_H

#include <stdint.h>
#include <uv.h>

#include "collector/incident.h"
#include "collector/store.h"

struct c4_keeper;

/* store: taken; NULL for none (then nothing is ever wrong). loop NULL: the tick itself writes, for
 * tools and tests. NULL: out of memory (the store is still the caller's). */
struct c4_keeper *c4_keeper_new(uv_loop_t *loop, struct c4_store *store, struct c4_incidents *set);

/* Opens the store and loads what an earlier collector knew. Blocking; before the loop runs. */
void c4_keeper_start(struct c4_keeper *k, uint64_t now_ns, uint64_t wall_ns);

/* Begins a batch if there is something to write and it is time. */
void c4_keeper_tick(struct c4_keeper *k, uint64_t now_ns, uint64_t wall_ns);

/* Writes what is left. Blocking; after the loop ended, with no batch under way. */
void c4_keeper_finish(struct c4_keeper *k, uint64_t now_ns, uint64_t wall_ns);
void c4_keeper_free(struct c4_keeper *k);

/* Why the store cannot be written now; NULL: all is well. */
const char *c4_keeper_problem(const struct c4_keeper *k);
uint64_t c4_keeper_errors(const struct c4_keeper *k);

#endif
