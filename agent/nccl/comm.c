// SPDX-License-Identifier: BSD-3-Clause
#include "agent/nccl/comm.h"

#include "agent/hook/comm.h"
#include "agent/nccl/handle.h"
#include "agent/nccl/shared.h"
#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/base/str.h"

#define LOST_INDEX (C4_HANDLE_INDEXES - 1) /* the handle of those there was no room for */

static struct c4_prof_comm comms[C4_PROF_COMMS];
static struct c4_gpuclock_host host;
static uint32_t live;
static bool introduced;	 /* the segment says what library this is */
static bool world_known; /* the launcher told world rank and size */

void c4_prof_comms_init(void)
{
	c4_gpuclock_host_init(&host, c4_hook.clock);
}

/* ---- handles --------------------------------------------------------------------------------- */

/* Of the id alone: another process of the node makes the same of it. */
static uint64_t tag_of(uint64_t id)
{
	uint64_t tag = id >> 24 & C4_HANDLE_GEN_MASK;

	return tag ? tag : 1;
}

static void *handle_of(uint32_t index, uint64_t tag)
{
	return c4_handle_make(
		(struct c4_handle){.kind = C4_HANDLE_COMM, .index = (uint16_t)index, .gen = tag});
}

struct c4_prof_comm *c4_prof_comm_find(const void *handle)
{
	struct c4_handle h = c4_handle_read(handle);
	struct c4_prof_comm *c = &comms[h.index % C4_PROF_COMMS];

	if (h.kind != C4_HANDLE_COMM || h.index >= C4_PROF_COMMS || !h.gen ||
	    __atomic_load_n(&c->tag, __ATOMIC_ACQUIRE) != h.gen)
		return NULL;
	return c;
}

struct c4_prof_comm *c4_prof_comm_namesake(const void *handle)
{
	struct c4_handle h = c4_handle_read(handle);

	if (h.kind != C4_HANDLE_COMM || !h.gen)
		return NULL;
	/* who opens the same communicators in the same order has the same places */
	if (c4_prof_comm_find(handle))
		return &comms[h.index];
	for (uint32_t i = 0; i < C4_PROF_COMMS; i++)
		if (__atomic_load_n(&comms[i].tag, __ATOMIC_ACQUIRE) == h.gen)
			return &comms[i];
	return NULL;
}

struct c4_prof_comm *c4_prof_comm_at(uint32_t index)
{
	return &comms[index];
}

/* ---- who we are ------------------------------------------------------------------------------ */

/* Once: what speaks, and whether the launcher named us. */
static void introduce(uint32_t version)
{
	struct c4_seg_header *h = c4_hook.seg.hdr;
	char text[sizeof h->library];
	struct c4_str s;

	if (introduced)
		return;
	introduced = true;
	world_known = h->world_rank >= 0 && h->world_size > 0;
	c4_str_init(&s, text, sizeof text);
	c4_str_add(&s, "NCCL, profiler API v");
	c4_str_add_u64(&s, version);
	c4_hook_identify(h->world_rank, h->world_size, text, NULL);
}

/* Where no launcher told it, the largest communicator is the world, the first of several. */
static void guess_world(int32_t ranks, int32_t rank)
{
	struct c4_seg_header *h = c4_hook.seg.hdr;

	if (!world_known && (uint32_t)ranks > h->world_size) {
		h->world_rank = rank;
		h->world_size = (uint32_t)ranks;
	}
}

/* ---- life ------------------------------------------------------------------------------------ */

/* Round and round: what comes late for the last one shall not meet the next. */
static struct c4_prof_comm *find_unused(void)
{
	static uint32_t last;

	for (uint32_t n = 0; n < C4_PROF_COMMS; n++)
		if (!c4_get(&comms[++last % C4_PROF_COMMS].tag))
			return &comms[last % C4_PROF_COMMS];
	return NULL;
}

static bool plausible(const struct c4_prof_comm_desc *d)
{
	return d->ranks > 0 && d->rank >= 0 && d->rank < d->ranks;
}

static void clear(struct c4_prof_comm *c, const struct c4_prof_comm_desc *d)
{
	uint32_t i = (uint32_t)(c - comms);

	if (c->index != i)
		c->index = i;
	/* the ring need not be cleared: what is in it knows whose it is */
	c->id = 0;
	c4_set(&c->slot, C4_COMM_LOST);
	c->mask = d->mask;
	c->version = d->version;
	c4_set(&c->next_opno, 0);
	c4_set(&c->next_seq, 0);
	c4_set(&c->tail_seq, 0);
	c4_set(&c->plan, 0);
	c4_set(&c->gpu_plan, 0);
	c4_set(&c->own_ticks, 0);
	c4_set(&c->kernels, 0);
	c4_set(&c->silent, 0);
	c4_gpuclock_init(&c->clock, &host);
}

static uint64_t id_of(uint64_t nccl_id)
{
	uint64_t id = c4_mix64(nccl_id);

	return id ? id : 1;
}

/* Version 4 and newer. */
static uint64_t open_known(struct c4_prof_comm *c, const struct c4_prof_comm_desc *d)
{
	struct c4_comm_given g = {.id = id_of(d->id),
				  .size = (uint32_t)d->ranks,
				  .my_rank = d->rank,
				  .flags = C4_COMM_GPU,
				  .name = d->name};

	c->id = g.id;
	c->ranks = g.size;
	c->rank = d->rank;
	c4_set(&c->slot, c4_comm_add_given(&g));
	guess_world(d->ranks, d->rank);
	return c->slot == C4_COMM_LOST ? 0 : tag_of(c->id);
}

/* Nothing is known of it yet: any tag will do that no other life of this place had. */
static uint64_t open_unknown(void)
{
	static uint64_t opened;

	return tag_of(c4_hash_u64(c4_hook.seg.hdr->start_jiffies ^ c4_hook.seg.hdr->pid, ++opened));
}

void *c4_prof_comm_open(const struct c4_prof_comm_desc *d)
{
	struct c4_prof_comm *c = find_unused();
	uint64_t tag = 0;

	live++;
	introduce(d->version);
	if (c) {
		clear(c, d);
		tag = plausible(d) ? open_known(c, d) : open_unknown();
	} else {
		c4_seg_lose(&c4_hook.seg, C4_LOST_COMMS);
	}
	if (!tag)
		return handle_of(LOST_INDEX, 0);
	__atomic_store_n(&c->tag, tag, __ATOMIC_RELEASE);
	return handle_of(c->index, tag);
}

/* The world's size stands for its own, which nobody tells: hence FOREIGN, which is never judged. */
static void learn(struct c4_prof_comm *c, uint64_t hash, int32_t rank, const char *name)
{
	const struct c4_seg_header *h = c4_hook.seg.hdr;
	uint64_t id = id_of(hash);
	struct c4_comm_given g = {.id = id,
				  .size = h->world_size > (uint32_t)rank ? h->world_size
									 : (uint32_t)rank + 1,
				  .my_rank = rank,
				  .flags = C4_COMM_GPU | C4_COMM_FOREIGN,
				  .name = name};

	c->rank = rank;
	c->ranks = g.size;
	__atomic_store_n(&c->id, id, __ATOMIC_RELEASE);
	__atomic_store_n(&c->slot, c4_comm_add_given(&g), __ATOMIC_RELEASE);
}

void c4_prof_comm_learn(struct c4_prof_comm *c, uint64_t hash, int32_t rank, const char *name)
{
	if (__atomic_load_n(&c->id, __ATOMIC_ACQUIRE) || rank < 0 || !c4_comm_lock())
		return;
	if (!c->id)
		learn(c, hash, rank, name);
	c4_comm_unlock();
}

bool c4_prof_comm_close(const void *handle)
{
	struct c4_prof_comm *c = c4_prof_comm_find(handle);

	if (!c && handle != handle_of(LOST_INDEX, 0))
		return false;
	if (c) {
		__atomic_store_n(&c->tag, 0, __ATOMIC_RELEASE);
		c4_comm_retire(c->slot);
	}
	return live && !--live;
}
