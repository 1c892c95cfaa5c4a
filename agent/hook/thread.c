// SPDX-License-Identifier: BSD-3-Clause
#include "agent/hook/thread.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

_Thread_local struct c4_self c4_self;

static uint8_t taken[C4_SEG_THREADS];
static pthread_key_t on_exit_key;
static bool have_key;

static void give_back(void *arg)
{
	struct c4_self *self = arg;

	if (self->index < C4_SEG_THREADS)
		__atomic_store_n(&taken[self->index], 0, __ATOMIC_RELEASE);
	self->line = NULL;
}

void c4_threads_init(void)
{
	have_key = !pthread_key_create(&on_exit_key, give_back);
}

static uint32_t take_index(void)
{
	uint32_t i;

	for (i = 0; i < C4_SEG_THREADS; i++)
		if (!__atomic_exchange_n(&taken[i], 1, __ATOMIC_ACQUIRE))
			break;
	return i;
}

void c4_thread_claim(struct c4_self *self)
{
	int saved = errno;

	self->index = take_index();
	if (self->index < C4_SEG_THREADS) {
		self->line = &c4_hook.seg.threads[self->index];
		__atomic_store_n(&self->line->tid, (uint32_t)gettid(), __ATOMIC_RELEASE);
	} else {
		self->line = &self->beyond;
		c4_seg_lose(&c4_hook.seg, C4_LOST_THREADS);
	}
	if (have_key)
		pthread_setspecific(on_exit_key, self);
	errno = saved;
}
