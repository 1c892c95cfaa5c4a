// SPDX-License-Identifier: BSD-3-Clause
#include "agent/nccl/api/life.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/hook/hook.h"
#include "agent/nccl/api/gpu.h"
#include "agent/nccl/api/real.h"
#include "common/base/str.h"

#define HOOK_NAME   "nccl-api"
#define PLUGIN_NAME "nccl"

uint32_t c4_api_state;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local const void *first_caller;

static struct {
	char library[sizeof((struct c4_seg_header *)0)->library];
	bool world_guessed; /* or not known at all */
} self;

/* 22809 -> "NCCL 2.28.9"; until 2.8 a digit less. */
static void name_library(char *buf, size_t size)
{
	int code = 0;
	uint64_t v, major;
	struct c4_str s;

	c4_str_init(&s, buf, size);
	c4_str_add(&s, "NCCL");
	if (c4_nccl_table.real.GetVersion(&code) != C4_NCCL_SUCCESS || code <= 0)
		return;
	v = (uint64_t)code;
	major = v < 10000 ? 1000 : 10000;
	c4_str_add(&s, " ");
	c4_str_add_u64(&s, v / major);
	c4_str_add(&s, ".");
	c4_str_add_u64(&s, v % major / 100);
	c4_str_add(&s, ".");
	c4_str_add_u64(&s, v % 100);
}

/*
 * There is no call that ends NCCL as MPI_Finalize ends MPI: a process that exits with status 0 was
 * done. Whoever dies otherwise does not come here, or leaves its phase as it is.
 */
static void on_end(int status, void *arg)
{
	(void)arg;
	if (status || !c4_hook_live())
		return;
	c4_hook_stop();
	c4_hook_phase(C4_PHASE_FINALIZED);
	c4_hook_finish();
}

static void begin(void)
{
	uint32_t state = C4_API_ASIDE;
	struct c4_seg_header *h;

	c4_nccl_resolve(first_caller);
	if (!c4_hook_open(HOOK_NAME)) {
		h = c4_hook.seg.hdr;
		self.world_guessed = h->world_rank < 0 || !h->world_size;
		name_library(self.library, sizeof self.library);
		c4_hook_identify(h->world_rank, h->world_size, self.library, NULL);
		c4_gpu_resolve(first_caller);
		on_exit(on_end, NULL);
		c4_hook_start();
		state = C4_API_WATCHING;
	}
	__atomic_store_n(&c4_api_state, state, __ATOMIC_RELEASE);
}

void c4_api_begin(const void *caller)
{
	int saved = errno;

	first_caller = caller;
	pthread_once(&once, begin);
	errno = saved;
}

/* "…/PID-START-nccl-api.seg" -> "…/PID-START-nccl.seg" */
static bool plugin_path(char *buf, size_t size)
{
	const char *path = c4_hook.seg.path;
	const char *tail = strstr(path, "-" HOOK_NAME C4_SEG_SUFFIX);
	struct c4_str s;

	if (!tail || (size_t)(tail - path) >= size)
		return false;
	c4_str_init(&s, buf, size);
	c4_str_add(&s, path);
	s.len = (size_t)(tail - path);
	buf[s.len] = '\0';
	c4_str_add(&s, "-" PLUGIN_NAME C4_SEG_SUFFIX);
	return !s.cut;
}

void c4_api_look_for_plugin(void)
{
	char path[PATH_MAX];
	struct stat st;
	int saved = errno;

	if (c4_api_watching() && plugin_path(path, sizeof path) && !lstat(path, &st))
		__atomic_store_n(&c4_api_state, C4_API_ASIDE, __ATOMIC_RELEASE);
	errno = saved;
}

void c4_api_learn_world(uint32_t rank, uint32_t size)
{
	if (self.world_guessed && size > c4_hook.seg.hdr->world_size)
		c4_hook_identify((int32_t)rank, size, self.library, NULL);
}
