/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * proxy.h - proxy operations and their steps, as progress of connections.
 *
 * A proxy operation moves the part of a collective, or of a message, that one channel exchanges
 * with one peer through the network, in steps of which up to 8 are on their way:
 *
 *	sender    start, GPU_WAIT (the GPU has to produce), PEER_WAIT (the peer has to post its
 *		  buffer; told again and again), SENDING (posted), stop (completed)
 *	receiver  start (told again and again), RECEIVING (posted), FLUSHING (arrived),
 *		  GPU_WAIT (the GPU has to consume), stop
 *
 * Time is counted where it was lost: a step waits behind the one before it, so of each wait only
 * the part behind the same event of the step before counts.
 *
 * With PXN an operation may be of another process: its parent and context are that one's handles
 * and tell nothing but the communicator; its connection is C4_CONN_FOREIGN.
 *
 * One thread at a time moves an operation; a handle that comes late, from any thread, is ignored.
 */
#ifndef C4_NCCL_PROXY_H
#define C4_NCCL_PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/nccl/comm.h"
#include "agent/nccl/event.h"

/* Once, before all else. salt: differs between processes. */
void c4_prof_proxies_init(uint64_t salt, int32_t pid);

/* Handles, NULL: not followed. ctx: NCCL's, perhaps another process's. */
void *c4_prof_proxy_begin(const void *ctx, const struct c4_prof_event *ev);
void *c4_prof_step_begin(const void *proxy, uint32_t step);

void c4_prof_proxy_end(const void *proxy);
void c4_prof_step_end(const void *step);

/* A step is in a state (enum c4_abi_state); bytes: of it, 0 where this version does not tell. */
void c4_prof_step_state(const void *step, int state, uint64_t bytes);

/* Versions 1 to 3: of an operation; bytes: moved so far. */
void c4_prof_proxy_state(const void *proxy, int state, int steps, uint64_t bytes);

/* It begins to move (from version 4 on). */
void c4_prof_proxy_progresses(const void *proxy);

/* The communicator is closed. */
void c4_prof_proxies_drop(const struct c4_prof_comm *c);

#endif
