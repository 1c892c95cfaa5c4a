// SPDX-License-Identifier: BSD-3-Clause
#include "agent/hook/comm.h"

#include <errno.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/fence.h"
#include "common/base/hash.h"
#include "common/base/runs.h"

#define LOCK_SPINS   100000u
#define SEEN_MEMBERS 1024u /* different member lists a process can count; power of two */

struct c4_comm c4_comms[C4_SEG_COMMS];
uint64_t c4_comm_map[C4_COMM_KEYS] __attribute__((aligned(64)));

static uint32_t lock;

/* How many communicators each member list has had. */
static struct {
	uint64_t hash;
	uint64_t count;
} seen[SEEN_MEMBERS];

/* Index of the first member of each run, so that a member is found by bisection. */
static uint32_t run_start[C4_SEG_RUNS];

bool c4_comm_lock(void)
{
	for (uint32_t i = 0; i < LOCK_SPINS; i++) {
		if (!__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
			return true;
#if defined(__x86_64__)
		__builtin_ia32_pause();
#endif
	}
	return false;
}

void c4_comm_unlock(void)
{
	__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

/* ---- handles -------------------------------------------------------------------------------- */

/* The word in the key's bucket that holds `wanted`: the key itself, or 0 for a free one. */
static uint64_t *find_word(uint64_t key, uint64_t wanted)
{
	uint64_t *way = &c4_comm_map[c4_comm_bucket(key)];

	for (uint32_t i = 0; i < C4_COMM_WAYS; i++)
		if ((__atomic_load_n(&way[i], __ATOMIC_RELAXED) & C4_COMM_KEY_MASK) == wanted)
			return &way[i];
	return NULL;
}

int c4_comm_bind(uint64_t key, uint32_t slot)
{
	uint64_t *word = find_word(key, key);

	if (!word)
		word = find_word(key, 0);
	if (!word || !key || key & ~C4_COMM_KEY_MASK)
		return -ENOSPC;
	__atomic_store_n(word, (uint64_t)slot << 48 | key, __ATOMIC_RELEASE);
	return 0;
}

void c4_comm_unbind(uint64_t key)
{
	uint64_t *word = find_word(key, key);

	if (word && key)
		__atomic_store_n(word, 0, __ATOMIC_RELEASE);
}

/* ---- members -------------------------------------------------------------------------------- */

void c4_members_init(struct c4_members *m)
{
	m->hash = 0;
	m->count = 0;
	m->nruns = 0;
	m->foreign = false;
}

void c4_members_add(struct c4_members *m, int32_t world_rank)
{
	m->hash = c4_hash_u64(m->hash, (uint64_t)(int64_t)world_rank);
	m->count++;
	if (world_rank < 0)
		m->foreign = true;
	if (m->nruns >= 0)
		m->nruns = c4_runs_append(m->runs, (size_t)m->nruns, C4_SEG_RUNS, world_rank);
}

/* How many communicators of these members there were before this one; -1: table full. */
static int64_t count_seen(uint64_t hash)
{
	for (uint32_t i = 0; i < SEEN_MEMBERS; i++) {
		uint32_t at = (uint32_t)(hash + i) & (SEEN_MEMBERS - 1);

		if (!seen[at].count)
			seen[at].hash = hash;
		if (seen[at].hash == hash)
			return (int64_t)seen[at].count++;
	}
	return -1;
}

/* ---- slots ---------------------------------------------------------------------------------- */

/* First slot in this state, C4_SEG_COMMS if none. */
static uint32_t find_state(uint32_t state)
{
	uint32_t i;

	for (i = 0; i < C4_SEG_COMMS; i++)
		if (c4_hook.seg.comms[i].state == state)
			break;
	return i;
}

static void write_begin(struct c4_seg_comm *c)
{
	__atomic_store_n(&c->gen, c->gen + 1, __ATOMIC_RELAXED);
	c4_fence_release();
}

static void write_end(struct c4_seg_comm *c)
{
	__atomic_store_n(&c->gen, c->gen + 1, __ATOMIC_RELEASE);
}

static void purge_retired(void)
{
	for (uint32_t i = 0; i < C4_SEG_COMMS; i++) {
		struct c4_seg_comm *c = &c4_hook.seg.comms[i];

		if (c->state != C4_COMM_DEAD)
			continue;
		write_begin(c);
		c->state = C4_COMM_FREE;
		c->run_count = 0;
		write_end(c);
	}
}

/* Lowest place for n runs between those in use; -1 if there is none. */
static int32_t find_runs(uint32_t n)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < C4_SEG_COMMS; i++) {
		const struct c4_seg_comm *c = &c4_hook.seg.comms[i];

		if (c->run_count && c->run_first < at + n && at < c->run_first + c->run_count) {
			at = c->run_first + c->run_count;
			i = UINT32_MAX; /* look at all again from the new place */
		}
	}
	return at + n <= C4_SEG_RUNS ? (int32_t)at : -1;
}

static uint32_t copy_runs(uint32_t at, uint32_t start, const struct c4_members *m)
{
	for (int i = 0; i < m->nruns; i++, at++) {
		c4_hook.seg.runs[at] = m->runs[i];
		run_start[at] = start;
		start += m->runs[i].count;
	}
	return at;
}

/* An intercommunicator's groups in the order both sides agree on. */
struct pair {
	const struct c4_members *low, *high; /* high: NULL for an intracommunicator */
};

static struct pair order_groups(const struct c4_comm_desc *d)
{
	if (d->other && d->other->hash < d->group->hash)
		return (struct pair){d->other, d->group};
	return (struct pair){d->group, d->other};
}

static uint64_t make_id(const struct pair *p, uint64_t nth)
{
	uint64_t h = c4_hash_u64(c4_hook.seg.hdr->launch, p->low->hash);

	if (p->high)
		h = c4_hash_u64(h, p->high->hash);
	h = c4_hash_u64(h, nth);
	return h ? h : 1;
}

static void place_members(struct c4_seg_comm *c, const struct pair *p)
{
	bool fit = p->low->nruns >= 0 && (!p->high || p->high->nruns >= 0);
	uint32_t n = fit ? (uint32_t)p->low->nruns + (p->high ? (uint32_t)p->high->nruns : 0) : 0;
	int32_t at = fit ? find_runs(n) : -1;

	if (fit && at < 0) {
		purge_retired();
		at = find_runs(n);
	}
	c->run_first = at < 0 ? 0 : (uint32_t)at;
	c->run_count = at < 0 ? 0 : n;
	if (at < 0) {
		c->flags |= C4_COMM_TRUNCATED;
		c4_seg_lose(&c4_hook.seg, C4_LOST_RUNS);
		return;
	}
	at = (int32_t)copy_runs((uint32_t)at, 0, p->low);
	if (p->high)
		copy_runs((uint32_t)at, p->low->count, p->high);
}

/* What all kinds of communicators begin with; the slot is being written. */
static void clear_slot(struct c4_seg_comm *c, const char *name)
{
	uint32_t gen = c->gen;

	memset(c, 0, sizeof *c);
	c->gen = gen;
	if (name)
		memcpy(c->name, name, strnlen(name, sizeof c->name - 1));
	c->created_ticks = c4_ticks(c4_hook.clock);
	c->root = -1;
	c->state = C4_COMM_LIVE;
}

static void fill_slot(struct c4_seg_comm *c, const struct c4_comm_desc *d, uint64_t nth)
{
	struct pair p = order_groups(d);

	clear_slot(c, d->name);
	c->id = make_id(&p, nth);
	c->size = p.low->count + (p.high ? p.high->count : 0);
	c->my_rank = (int32_t)(d->my_rank + (p.high == d->group ? p.low->count : 0));
	c->flags = d->other ? C4_COMM_INTER : 0;
	if (p.low->foreign || (p.high && p.high->foreign))
		c->flags |= C4_COMM_FOREIGN;
	place_members(c, &p);
}

static void fill_private(struct c4_comm *p, const struct c4_comm_desc *d)
{
	const struct c4_members *named = d->other ? d->other : d->group;

	memset(p, 0, sizeof *p);
	p->peers = named->count;
	p->peer_first = order_groups(d).high == named ? d->group->count : 0;
	p->sources = d->sources;
	p->targets = d->targets;
}

static uint32_t find_free(void)
{
	uint32_t slot = find_state(C4_COMM_FREE);

	if (slot == C4_SEG_COMMS) {
		purge_retired();
		slot = find_state(C4_COMM_FREE);
	}
	return slot;
}

uint32_t c4_comm_add(const struct c4_comm_desc *d)
{
	struct pair p = order_groups(d);
	int64_t nth = count_seen(make_id(&p, 0));
	uint32_t slot = find_free();

	if (nth < 0 || slot == C4_SEG_COMMS) {
		c4_seg_lose(&c4_hook.seg, C4_LOST_COMMS);
		return C4_COMM_LOST;
	}
	write_begin(&c4_hook.seg.comms[slot]);
	fill_slot(&c4_hook.seg.comms[slot], d, (uint64_t)nth);
	fill_private(&c4_comms[slot], d);
	write_end(&c4_hook.seg.comms[slot]);
	return slot;
}

uint32_t c4_comm_add_given(const struct c4_comm_given *g)
{
	uint32_t slot = find_free();
	struct c4_seg_comm *c;

	if (slot == C4_SEG_COMMS) {
		c4_seg_lose(&c4_hook.seg, C4_LOST_COMMS);
		return C4_COMM_LOST;
	}
	c = &c4_hook.seg.comms[slot];
	write_begin(c);
	clear_slot(c, g->name);
	c->id = g->id;
	c->size = g->size;
	c->my_rank = g->my_rank;
	c->flags = g->flags | C4_COMM_REPORTED;
	memset(&c4_comms[slot], 0, sizeof c4_comms[slot]);
	write_end(c);
	return slot;
}

void c4_comm_name(uint32_t slot, const char *name, size_t n)
{
	struct c4_seg_comm *c;

	if (slot >= C4_SEG_COMMS)
		return;
	c = &c4_hook.seg.comms[slot];
	n = strnlen(name, n < sizeof c->name - 1 ? n : sizeof c->name - 1);
	write_begin(c);
	memset(c->name, 0, sizeof c->name);
	memcpy(c->name, name, n);
	write_end(c);
}

void c4_comm_retire(uint32_t slot)
{
	if (slot >= C4_SEG_COMMS)
		return;
	write_begin(&c4_hook.seg.comms[slot]);
	c4_hook.seg.comms[slot].state = C4_COMM_DEAD;
	write_end(&c4_hook.seg.comms[slot]);
}

/* ---- without the lock ----------------------------------------------------------------------- */

int32_t c4_comm_world_rank(uint32_t slot, int peer)
{
	const struct c4_seg_comm *c;
	uint32_t member, low, high;

	if (slot >= C4_SEG_COMMS || peer < 0 || (uint32_t)peer >= c4_comms[slot].peers)
		return C4_ANY_PEER;
	c = &c4_hook.seg.comms[slot];
	if (!c->run_count)
		return C4_ANY_PEER;
	member = c4_comms[slot].peer_first + (uint32_t)peer;
	low = c->run_first;
	high = c->run_first + c->run_count;
	while (high - low > 1) {
		uint32_t mid = low + (high - low) / 2;

		if (run_start[mid] <= member)
			low = mid;
		else
			high = mid;
	}
	return c4_hook.seg.runs[low].first +
	       (int32_t)(member - run_start[low]) * c4_hook.seg.runs[low].stride;
}

static uint32_t *done_at(uint32_t slot, uint64_t opno)
{
	return &c4_comms[slot].done[opno % C4_OPEN_OPS];
}

/* Moves the count past operation `at`; false if somebody else just did. */
static bool step_past(uint32_t slot, uint64_t at)
{
	return __atomic_compare_exchange_n(&c4_hook.seg.comms[slot].finished, &at, at + 1, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

void c4_comm_make_room(uint32_t slot)
{
	uint64_t oldest = __atomic_load_n(&c4_hook.seg.comms[slot].finished, __ATOMIC_RELAXED);

	if (step_past(slot, oldest))
		c4_seg_lose(&c4_hook.seg, C4_LOST_REQUESTS);
}

void c4_comm_finish_late(uint32_t slot, uint64_t opno)
{
	struct c4_seg_comm *c = &c4_hook.seg.comms[slot];
	uint64_t at = __atomic_load_n(&c->finished, __ATOMIC_SEQ_CST);

	/* the mark names its operation: it needs no clearing, which could hit a later one */
	if (at <= opno)
		__atomic_store_n(done_at(slot, opno), (uint32_t)opno + 1, __ATOMIC_SEQ_CST);
	at = __atomic_load_n(&c->finished, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(done_at(slot, at), __ATOMIC_SEQ_CST) == (uint32_t)at + 1) {
		step_past(slot, at);
		at = __atomic_load_n(&c->finished, __ATOMIC_SEQ_CST);
	}
}
