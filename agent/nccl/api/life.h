/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * life.h - when this hook begins, what it does, and when it steps aside.
 *
 * Nothing happens in a program that never calls NCCL. The first wrapped call of the process finds
 * the real functions and makes the segment PID-START-nccl-api.seg. (ncclGetVersion and
 * ncclGetUniqueId are wrapped for this alone: PyTorch asks for the version when it sets its
 * process group up, so that a rank that then never creates its communicator is known by name.)
 *
 * With the profiler plugin at work in the same process, operations are left to it; communicator
 * creation, errors and aborts, which it does not see, stay ours. The two are different shared
 * objects, loaded in different ways, and cannot see each other's symbols (NCCL loads its plugins
 * privately). The plugin's mark is its segment: PID-START-nccl.seg beside ours exists exactly if
 * the plugin was initialised in this process and can record. A variable of the environment would
 * be inherited by children, a loaded library may be inert; a file named after pid and start time
 * is neither. It is looked for when a communicator has been created, which is after NCCL
 * initialised its plugin and before the first operation.
 *
 * A child made by fork() is another process: it records nothing, unless NCCL was first called
 * after the fork.
 */
#ifndef C4_NCCL_API_LIFE_H
#define C4_NCCL_API_LIFE_H

#include <stdbool.h>
#include <stdint.h>

enum c4_api_state {
	C4_API_NEW,
	C4_API_WATCHING, /* everything is ours */
	C4_API_ASIDE,	 /* the plugin sees operations; or we are inert */
};

extern uint32_t c4_api_state __attribute__((visibility("hidden"))); /* atomic */

/* Begins, once; others wait for it. caller: an address in the calling library. Preserves errno. */
void c4_api_begin(const void *caller);

static inline void c4_api_need(const void *caller)
{
	if (__builtin_expect(__atomic_load_n(&c4_api_state, __ATOMIC_ACQUIRE) == C4_API_NEW, 0))
		c4_api_begin(caller);
}

/* Whether operations are ours to record. */
static inline bool c4_api_watching(void)
{
	return __atomic_load_n(&c4_api_state, __ATOMIC_RELAXED) == C4_API_WATCHING;
}

/* A communicator was created: steps aside if the plugin has come up. Preserves errno. */
void c4_api_look_for_plugin(void);

/* A communicator of this size exists, and this process is rank in it: where the environment told
 * no world rank, the largest communicator does. */
void c4_api_learn_world(uint32_t rank, uint32_t size);

#endif
