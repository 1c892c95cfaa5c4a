// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/target.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/daemon/bits.h"
#include "agent/daemon/pidfd.h"
#include "common/base/hash.h"
#include "common/base/runs.h"
#include "common/ds/vec.h"
#include "common/ending.h"

#define BATCH	   4096
#define DRAIN_MAX  (16u * BATCH)
#define FASTEST_NS 20000000ull
#define FREED_MAX  1024
#define RUNS_MAX   C4_SEG_RUNS

#define SLOW_START_NS 2000000000ull /* MPI_Init takes longer: worth telling */

/* What a tick may be worth: 1 MHz … 100 GHz. Only judged once the pair is a millisecond old. */
#define NS_PER_TICK_MIN 0.01
#define NS_PER_TICK_MAX 1000.0
#define RATE_SETTLED_NS 1000000ull

static uint64_t growth(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

/* ---- life ----------------------------------------------------------------------------------- */

/* Its clock must be ours and its first reading not in the future. */
static bool clock_plausible(struct c4_target *t, uint64_t now_ns)
{
	const struct c4_seg_header *h = &t->seg.toc;

	/* it may have been made since the caller looked at the clock */
	if (h->mono0_ns > now_ns + RATE_SETTLED_NS || h->ticks0 > c4_ticks(h->clock))
		return false;
	c4_tick_rate_init(&t->rate, h->clock, h->ticks0, h->mono0_ns);
	return growth(now_ns, h->mono0_ns) < RATE_SETTLED_NS ||
	       (t->rate.ns_per_tick >= NS_PER_TICK_MIN && t->rate.ns_per_tick <= NS_PER_TICK_MAX);
}

/* Records older than the ring were lost before we came: not a loss of ours. */
static void skip_history(struct c4_seg_reader *seg)
{
	if (seg->toc.head > seg->toc.ring_cap)
		seg->next = seg->toc.head - seg->toc.ring_cap;
}

static bool same_process(const struct c4_target *t, const struct c4_proc_stat *st)
{
	return st->start_jiffies == t->seg.toc.start_jiffies;
}

static bool ended(const struct c4_proc_stat *st)
{
	/* with more threads only the first one has left */
	return st->state == 'X' || (st->state == 'Z' && st->threads <= 1);
}

/* The descriptor first, then the question whether it is that process's: pids are reused. */
static void attach_process(struct c4_target *t, uint64_t now_ns)
{
	struct c4_proc_stat st;

	t->pidfd = c4_pidfd_open(t->seg.toc.pid);
	if (!c4_proc_read_stat(t->seg.toc.pid, &st) && same_process(t, &st) && !ended(&st))
		return;
	c4_target_end(t, now_ns);
	if (t->pidfd >= 0)
		close(t->pidfd);
	t->pidfd = -1;
}

static int alloc_tables(struct c4_target *t)
{
	t->fold = c4_fold_new(t->seg.toc.comm_cap);
	t->comms = calloc(t->seg.toc.comm_cap, sizeof *t->comms);
	if (!t->fold || !t->comms)
		return -ENOMEM;
	t->ncomms = t->seg.toc.comm_cap;
	return c4_conns_init(&t->conns, t->seg.toc.conn_cap);
}

static int open_segment(struct c4_target *t, const char *path, uint64_t now_ns)
{
	int rc = c4_seg_reader_open(&t->seg, path);

	if (rc)
		return rc;
	if (t->seg.toc.comm_cap > C4_TARGET_COMMS || t->seg.toc.thread_cap > C4_TARGET_THREADS ||
	    t->seg.toc.conn_cap > C4_CONNS_MAX || !clock_plausible(t, now_ns))
		return -EBADMSG;
	skip_history(&t->seg);
	return alloc_tables(t);
}

static void date_sign(struct c4_target *t, uint64_t ticks, uint64_t now_ns, uint64_t *last)
{
	uint64_t ns = c4_ticks_to_mono(&t->rate, ticks);

	if (ns > *last && ns <= now_ns)
		*last = ns;
}

/* How long a process was already gone when we first looked: since its last sign of life. */
static void date_end(struct c4_target *t, uint64_t now_ns)
{
	uint64_t last = t->seg.toc.mono0_ns;

	for (uint32_t i = 0; i < t->nthreads; i++) {
		date_sign(t, t->threads[i].enter_ticks, now_ns, &last);
		date_sign(t, t->threads[i].leave_ticks, now_ns, &last);
	}
	for (uint32_t i = 0; i < t->ncomms; i++) {
		if (!t->comms[i])
			continue;
		date_sign(t, t->comms[i]->now.enter_ticks, now_ns, &last);
		date_sign(t, t->comms[i]->now.leave_ticks, now_ns, &last);
	}
	t->gone_ns = last;
}

int c4_target_open(const char *path, uint64_t now_ns, struct c4_target **ret)
{
	struct c4_target *t = calloc(1, sizeof *t);
	int rc;

	if (!t)
		return -ENOMEM;
	t->kin = t;
	t->seg.fd = t->pidfd = -1;
	snprintf(t->path, sizeof t->path, "%s", path);
	rc = open_segment(t, path, now_ns);
	if (rc) {
		c4_target_close(t);
		return rc;
	}
	t->drained_ns = now_ns;
	attach_process(t, now_ns);
	c4_target_look(t, now_ns);
	if (t->gone)
		date_end(t, now_ns);
	*ret = t;
	return 0;
}

void c4_target_close(struct c4_target *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < t->ncomms; i++) {
		if (t->comms[i])
			free(t->comms[i]->runs);
		free(t->comms[i]);
	}
	for (uint32_t i = 0; i < t->nfreed; i++)
		free(t->freed[i].runs);
	free(t->comms);
	free(t->freed);
	free(t->threads);
	c4_conns_release(&t->conns);
	c4_fold_free(t->fold);
	c4_seg_reader_close(&t->seg);
	if (t->pidfd >= 0)
		close(t->pidfd);
	free(t);
}

static bool ending_marked(const struct c4_target *t)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof dir, "%s", t->path);
	return c4_ending_marked(dirname(dir), t->seg.toc.job);
}

static void end_one(struct c4_target *t, uint64_t now_ns)
{
	const struct c4_seg_header *h = &t->seg.toc;

	if (t->gone)
		return;
	t->gone = true;
	t->gone_ns = now_ns;
	t->seg.owner_gone = 1;
	t->ending = ending_marked(t);
	t->status_known = c4_pidfd_status(t->pidfd, h->pid, h->start_jiffies, &t->wait_status);
}

void c4_target_end(struct c4_target *t, uint64_t now_ns)
{
	struct c4_target *one;

	c4_kin_for_each (one, t)
		end_one(one, now_ns);
}

/* Removes the file only if it is still the one that was opened. */
void c4_target_drop_file(struct c4_target *t)
{
	struct stat held, named;

	if (t->seg.fd < 0)
		return;
	if (!fstat(t->seg.fd, &held) && !lstat(t->path, &named) && held.st_ino == named.st_ino &&
	    held.st_dev == named.st_dev)
		unlink(t->path);
	c4_seg_reader_close(&t->seg);
	t->broken = true;
}

void c4_target_forget_posted(struct c4_target *t)
{
	t->introduced = false;
	for (uint32_t i = 0; i < t->ncomms; i++)
		if (t->comms[i])
			t->comms[i]->introduced = false;
	c4_conns_forget_told(&t->conns);
}

/* ---- operations ----------------------------------------------------------------------------- */

/* Folds what is there, but no more than a bounded number: a fast writer must not keep us. */
static uint64_t fold_events(struct c4_target *t, uint64_t now_ns)
{
	static struct c4_event batch[BATCH];
	uint64_t from = t->seg.next, at;

	do {
		long n;

		at = t->seg.next;
		n = c4_seg_read_events(&t->seg, batch, BATCH);
		if (n < 0)
			t->broken = true;
		for (long i = 0; i < n; i++)
			c4_fold_add(t->fold, &batch[i], &t->rate, now_ns);
	} while (!t->broken && t->seg.next > at && t->seg.next - from < DRAIN_MAX);
	return t->seg.next - from;
}

/* Sooner when the ring filled by more than a quarter, at once faster when it overflowed. */
static void plan_drain(struct c4_target *t, uint64_t fresh, bool overrun, uint64_t slow_ns)
{
	uint64_t quarter = t->seg.toc.ring_cap / 4;

	if (overrun)
		t->period_ns = FASTEST_NS;
	else if (fresh > quarter)
		t->period_ns /= 2;
	else if (fresh < quarter / 4)
		t->period_ns *= 2;
	if (t->period_ns < FASTEST_NS)
		t->period_ns = FASTEST_NS;
	if (t->period_ns > slow_ns)
		t->period_ns = slow_ns;
}

void c4_target_drain(struct c4_target *t, uint64_t now_ns, uint64_t slow_ns)
{
	uint64_t lost = t->seg.lost, fresh;

	if (!t->broken) {
		c4_tick_rate_update(&t->rate, t->seg.toc.clock);
		fresh = fold_events(t, now_ns);
		plan_drain(t, fresh, t->seg.lost > lost, slow_ns);
	} else {
		t->period_ns = slow_ns;
	}
	t->drained_ns = now_ns;
}

/* ---- tables --------------------------------------------------------------------------------- */

static void raise_to(uint64_t *v, uint64_t to)
{
	if (to > *v)
		*v = to;
}

/* A slot that could not be read this time, or a better rate, must not turn the sums back. */
static void sum_threads(struct c4_target *t)
{
	uint64_t inside = 0, p2p = 0, calls = 0;

	for (uint32_t i = 0; i < t->nthreads; i++) {
		inside += t->threads[i].inside_ticks;
		p2p += t->threads[i].p2p_ticks;
		calls += t->threads[i].calls;
	}
	raise_to(&t->inside_ns, c4_ticks_to_ns(&t->rate, inside));
	raise_to(&t->p2p_ns, c4_ticks_to_ns(&t->rate, p2p));
	raise_to(&t->calls, calls);
}

static void look_threads(struct c4_target *t)
{
	uint64_t used[C4_TARGET_THREADS / 64];
	uint32_t n = 0;

	if (c4_seg_used_threads(&t->seg, used, C4_TARGET_THREADS))
		return;
	c4_bit_for_each (i, used, C4_TARGET_THREADS) {
		struct c4_seg_thread *grown = c4_vec_reserve(t->threads, &t->thread_cap, n + 1,
							     C4_TARGET_THREADS, sizeof *grown);

		if (!grown)
			break;
		t->threads = grown;
		if (!c4_seg_read_thread(&t->seg, i, &grown[n]))
			n++;
	}
	t->nthreads = n;
	sum_threads(t);
}

/* Members, if they are what the communicator's size says. */
static void read_members(struct c4_target *t, struct c4_target_comm *c)
{
	static struct c4_seg_run runs[RUNS_MAX];
	int n = c4_seg_read_runs(&t->seg, &c->now, runs, RUNS_MAX);

	if (n <= 0 || c4_runs_count(runs, (size_t)n, c->now.size) != (long)c->now.size)
		return;
	c->runs = malloc((size_t)n * sizeof *runs);
	if (!c->runs)
		return;
	memcpy(c->runs, runs, (size_t)n * sizeof *runs);
	c->nruns = (uint32_t)n;
}

/* The slot has a new tenant, or none: the collector is still to hear that the old one was freed. */
static void retire_comm(struct c4_target *t, uint32_t slot)
{
	struct c4_target_comm *c = t->comms[slot], *grown;
	bool known_freed = c->posted.state == C4_COMM_DEAD && c->introduced;

	t->comms[slot] = NULL;
	grown = known_freed ? NULL
			    : c4_vec_reserve(t->freed, &t->freed_cap, t->nfreed + 1, FREED_MAX,
					     sizeof *grown);
	if (grown) {
		t->freed = grown;
		c->freed = true;
		t->freed[t->nfreed++] = *c;
	} else {
		free(c->runs);
	}
	free(c);
}

static void look_comm(struct c4_target *t, uint32_t slot)
{
	struct c4_target_comm *c = t->comms[slot];
	struct c4_seg_comm now;

	if (c4_seg_read_comm(&t->seg, slot, &now)) /* being written: next time */
		return;
	if (c && c->now.id != now.id) {
		retire_comm(t, slot);
		c = NULL;
	}
	if (c) {
		c->now = now;
	} else {
		c = t->comms[slot] = calloc(1, sizeof *c);
		if (!c)
			return;
		c->now = now;
		read_members(t, c);
	}
	c->freed = now.state == C4_COMM_DEAD;
}

static void look_comms(struct c4_target *t)
{
	uint64_t used[C4_TARGET_COMMS / 64];

	if (c4_seg_used_comms(&t->seg, used, C4_TARGET_COMMS))
		return;
	for (uint32_t i = 0; i < t->ncomms; i++)
		if (t->comms[i] && !c4_bit_test(used, i))
			retire_comm(t, i);
	c4_bit_for_each (i, used, t->ncomms)
		look_comm(t, i);
}

/* ---- the process itself --------------------------------------------------------------------- */

static uint32_t permille(uint64_t part_ns, uint64_t whole_ns)
{
	uint64_t v = whole_ns ? part_ns * 1000 / whole_ns : 0;

	return v < UINT32_MAX ? (uint32_t)v : UINT32_MAX;
}

static void sample_process(struct c4_target *t, uint64_t now_ns)
{
	uint64_t dt = growth(now_ns, t->sampled_ns), cpu;
	struct c4_proc p, *old = &t->proc;
	int rc = c4_proc_read(t->seg.toc.pid, &p);

	if (rc == -ESRCH || (!rc && (!same_process(t, &p.stat) || ended(&p.stat)))) {
		c4_target_end(t, now_ns);
		return;
	}
	if (rc)
		return;
	if (t->sampled) {
		cpu = growth(p.stat.cpu_jiffies, old->stat.cpu_jiffies);
		t->cpu_permille = permille(c4_proc_jiffies_to_ns(cpu), dt);
		t->queue_permille = permille(growth(p.queue_ns, old->queue_ns), dt);
		t->io_bytes = growth(p.io_bytes, old->io_bytes);
	}
	t->proc = p;
	t->sampled = true;
	t->sampled_ns = now_ns;
}

static void look_identity(struct c4_target *t)
{
	const struct c4_seg_header *h = &t->seg.toc, *gpu = &c4_kin_with_gpu(t)->seg.toc;
	uint64_t hash = c4_hash_bytes(h->launch, h->job, sizeof h->job);

	hash = c4_hash_bytes(hash, h->library, sizeof h->library);
	hash = c4_hash_bytes(hash, gpu->gpu_bus, sizeof gpu->gpu_bus);
	hash = c4_hash_u64(hash, (uint32_t)gpu->gpu);
	hash = c4_hash_u64(hash, (uint64_t)(uint32_t)h->world_rank << 32 | h->world_size);
	if (hash != t->identity)
		t->introduced = false;
	t->identity = hash;
}

bool c4_target_has_rank(const struct c4_target *t)
{
	const struct c4_seg_header *h = &t->seg.toc;

	return h->world_rank >= 0 && (uint32_t)h->world_rank < h->world_size;
}

bool c4_target_presentable(const struct c4_target *t, uint64_t now_ns)
{
	const struct c4_seg_header *h = &t->seg.toc;

	return c4_target_has_rank(t) && (h->phase != C4_PHASE_INIT || t->gone ||
					 growth(now_ns, h->mono0_ns) >= SLOW_START_NS);
}

void c4_target_look(struct c4_target *t, uint64_t now_ns)
{
	if (!t->broken && c4_seg_reader_refresh(&t->seg))
		t->broken = true;
	if (!t->broken) {
		look_identity(t);
		look_threads(t);
		look_comms(t);
		c4_conns_look(&t->conns, &t->seg);
	}
	if (!t->gone && !c4_kin_is_part(t))
		sample_process(t, now_ns);
}

void c4_target_conclude(struct c4_target *t, uint64_t now_ns)
{
	c4_target_drain(t, now_ns, UINT64_MAX);
	c4_target_look(t, now_ns);
	c4_fold_flush(t->fold);
}
