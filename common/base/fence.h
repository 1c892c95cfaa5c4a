/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fence.h - the one memory fence we use: stores before it become visible before those after it.
 * The thread sanitizer does not know fences; what it checks are the atomic accesses around them.
 */
#ifndef C4_BASE_FENCE_H
#define C4_BASE_FENCE_H

static inline void c4_fence_release(void)
{
#if defined(__SANITIZE_THREAD__)
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
#else
	__atomic_thread_fence(__ATOMIC_RELEASE);
#endif
}

#endif
