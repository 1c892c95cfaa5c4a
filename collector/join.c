// SPDX-License-Identifier: BSD-3-Clause
#include "collector/join.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/ds/vec.h"

/* A piece in a queue, perhaps several merged: told operations may be fewer than end - first. */
struct held {
	uint64_t first, end;
	uint64_t told;
	uint64_t bytes, alg_bytes, bus_bytes;
	uint32_t kind;
	struct c4_diag_part part;
};

struct track {
	struct held *queue; /* oldest first */
	uint32_t n, cap;
	bool excused;
	bool started;
	uint64_t next; /* valid if started: end of its newest piece */
};

/* A boundary and how many expected members have it in their queues. It may count too few (a mark
 * dropped for want of room and made again): then it never becomes common, nothing worse. */
struct mark {
	uint64_t opno;
	uint32_t count;
};

struct c4_join {
	uint32_t size, expected;
	struct track *tracks;
	struct mark marks[C4_JOIN_MARKS]; /* ascending */
	uint32_t nmarks;
	bool based;	    /* base is known: windows are cut from there on */
	uint64_t base;	    /* end of the last window */
	uint64_t opened_ns; /* when the open window began to fill */
	uint64_t serial;
	uint32_t nwindows;
	struct c4_diag_window windows[C4_DIAG_WINDOWS];
	struct c4_diag_part *spare; /* size of them, for the next window; NULL: none yet */
	void (*closed)(void *arg, const struct c4_joined *);
	void *arg;
};

struct c4_join *c4_join_new(uint32_t size, void (*closed)(void *arg, const struct c4_joined *),
			    void *arg)
{
	struct c4_join *j = calloc(1, sizeof *j);

	if (!j)
		return NULL;
	j->tracks = calloc(size, sizeof *j->tracks);
	if (!j->tracks) {
		free(j);
		return NULL;
	}
	j->size = j->expected = size;
	j->closed = closed;
	j->arg = arg;
	return j;
}

void c4_join_free(struct c4_join *j)
{
	if (!j)
		return;
	for (uint32_t i = 0; i < j->size; i++)
		free(j->tracks[i].queue);
	for (uint32_t i = 0; i < j->nwindows; i++)
		free(j->windows[i].parts);
	free(j->spare);
	free(j->tracks);
	free(j);
}

/* ---- marks ---------------------------------------------------------------------------------- */

static int roundness(uint64_t opno)
{
	return opno ? __builtin_ctzll(opno) : 64;
}

static uint32_t mark_place(const struct c4_join *j, uint64_t opno)
{
	uint32_t i = j->nmarks;

	while (i && j->marks[i - 1].opno >= opno)
		i--;
	return i;
}

static void mark_remove(struct c4_join *j, uint32_t i)
{
	j->nmarks--;
	memmove(&j->marks[i], &j->marks[i + 1], (j->nmarks - i) * sizeof *j->marks);
}

/* Index of the least round mark, the oldest of equals. */
static uint32_t mark_least(const struct c4_join *j)
{
	uint32_t least = 0;

	for (uint32_t i = 1; i < j->nmarks; i++)
		if (roundness(j->marks[i].opno) < roundness(j->marks[least].opno))
			least = i;
	return least;
}

static void mark_add(struct c4_join *j, uint64_t opno)
{
	uint32_t i = mark_place(j, opno);

	if (j->based && opno <= j->base)
		return;
	if (i < j->nmarks && j->marks[i].opno == opno) {
		j->marks[i].count++;
		return;
	}
	if (j->nmarks == C4_JOIN_MARKS) {
		uint32_t least = mark_least(j);

		if (roundness(j->marks[least].opno) >= roundness(opno))
			return;
		mark_remove(j, least);
		i = mark_place(j, opno);
	}
	memmove(&j->marks[i + 1], &j->marks[i], (j->nmarks - i) * sizeof *j->marks);
	j->marks[i] = (struct mark){opno, 1};
	j->nmarks++;
}

static void mark_sub(struct c4_join *j, uint64_t opno)
{
	uint32_t i = mark_place(j, opno);

	if (i < j->nmarks && j->marks[i].opno == opno && --j->marks[i].count == 0)
		mark_remove(j, i);
}

/* ---- queues --------------------------------------------------------------------------------- */

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void part_add(struct c4_diag_part *sum, const struct c4_diag_part *p)
{
	if (p->sync_count) {
		sum->sync_min_ns = sum->sync_count ? min_u64(sum->sync_min_ns, p->sync_min_ns)
						   : p->sync_min_ns;
		sum->sync_max_ns = max_u64(sum->sync_max_ns, p->sync_max_ns);
	}
	sum->sync_count += p->sync_count;
	sum->sync_sum_ns += p->sync_sum_ns;
	sum->span_count += p->span_count;
	sum->span_sum_ns += p->span_sum_ns;
	sum->span_max_ns = max_u64(sum->span_max_ns, p->span_max_ns);
	sum->own_sum_ns += p->own_sum_ns;
	sum->own_max_ns = max_u64(sum->own_max_ns, p->own_max_ns);
	sum->elsewhere_sum_ns += p->elsewhere_sum_ns;
	sum->signature += p->signature;
	sum->missing += p->missing;
}

/* Makes queue items i and i+1 one. */
static void queue_merge(struct c4_join *j, struct track *t, uint32_t i)
{
	struct held *a = &t->queue[i], *b = a + 1;

	mark_sub(j, a->end);
	if (b->first != a->end)
		mark_sub(j, b->first);
	part_add(&a->part, &b->part);
	a->end = b->end;
	a->told += b->told;
	a->bytes += b->bytes;
	a->alg_bytes += b->alg_bytes;
	a->bus_bytes += b->bus_bytes;
	a->kind = b->kind;
	t->n--;
	memmove(b, b + 1, (t->n - i - 1) * sizeof *b);
}

static void queue_make_room(struct c4_join *j, struct track *t)
{
	uint32_t least = 0;

	if (t->n < C4_JOIN_QUEUE)
		return;
	for (uint32_t i = 1; i + 1 < t->n; i++)
		if (roundness(t->queue[i].end) < roundness(t->queue[least].end))
			least = i;
	queue_merge(j, t, least);
}

/* Drops a member's pieces and takes its boundaries back. */
static void queue_drop(struct c4_join *j, struct track *t)
{
	uint64_t seam = 0; /* where the previous piece ended; its mark is taken back already */

	for (uint32_t i = 0; i < t->n; i++) {
		if (i == 0 || t->queue[i].first != seam)
			mark_sub(j, t->queue[i].first);
		seam = t->queue[i].end;
		mark_sub(j, seam);
	}
	t->n = 0;
}

static int queue_push(struct c4_join *j, struct track *t, const struct c4_piece *p)
{
	struct held *grown;

	queue_make_room(j, t);
	grown = c4_vec_reserve(t->queue, &t->cap, t->n + 1, C4_JOIN_QUEUE, sizeof *t->queue);
	if (!grown)
		return -ENOMEM;
	t->queue = grown;
	t->queue[t->n++] = (struct held){
		.first = p->first,
		.end = p->first + p->count,
		.told = p->count,
		.bytes = p->bytes,
		.alg_bytes = p->alg_bytes,
		.bus_bytes = p->bus_bytes,
		.kind = p->kind,
		.part = p->part,
	};
	return 0;
}

/* ---- windows -------------------------------------------------------------------------------- */

static struct c4_diag_part *parts_new(struct c4_join *j)
{
	if (!j->spare)
		j->spare = calloc(j->size, sizeof *j->spare);
	return j->spare;
}

/* The member's sums up to the boundary; returns how many pieces they are, or -1 if one crosses it.
 */
static int part_collect(const struct track *t, uint64_t base, uint64_t end, struct c4_joined *sums,
			struct c4_diag_part *out)
{
	uint64_t told = 0, bytes = 0, alg_bytes = 0, bus_bytes = 0;
	uint32_t n = 0;

	*out = (struct c4_diag_part){0};
	for (; n < t->n && t->queue[n].first < end; n++) {
		const struct held *h = &t->queue[n];

		if (h->end > end)
			return -1;
		part_add(out, &h->part);
		told += h->told;
		bytes += h->bytes;
		alg_bytes += h->alg_bytes;
		bus_bytes += h->bus_bytes;
		sums->kind = h->kind;
	}
	out->present = n > 0;
	if (n && told < end - base)
		out->missing += (uint32_t)min_u64(end - base - told, UINT32_MAX / 2);
	if (out->missing)
		out->signature = 0;
	if (!n || out->missing)
		sums->complete = false;
	sums->bytes = max_u64(sums->bytes, bytes);
	sums->alg_bytes = max_u64(sums->alg_bytes, alg_bytes);
	sums->bus_bytes = max_u64(sums->bus_bytes, bus_bytes);
	return (int)n;
}

static void queue_consume(struct track *t, uint64_t end)
{
	uint32_t n = 0;

	while (n < t->n && t->queue[n].end <= end)
		n++;
	t->n -= n;
	memmove(t->queue, t->queue + n, t->n * sizeof *t->queue);
}

/* Keeps the finished window; its parts are j->spare, the oldest window's become the next spare. */
static void window_keep(struct c4_join *j, struct c4_diag_window w)
{
	struct c4_diag_part *oldest = NULL;

	if (j->nwindows == C4_DIAG_WINDOWS) {
		oldest = j->windows[0].parts;
		memmove(j->windows, j->windows + 1, (C4_DIAG_WINDOWS - 1) * sizeof *j->windows);
		j->nwindows--;
	}
	j->windows[j->nwindows++] = w;
	j->spare = oldest;
}

/* Everything before `end` has been used up. */
static void base_move(struct c4_join *j, uint64_t end, uint64_t now_ns)
{
	uint32_t done = 0;

	for (uint32_t m = 0; m < j->size; m++)
		if (j->tracks[m].n)
			queue_consume(&j->tracks[m], end);
	while (done < j->nmarks && j->marks[done].opno <= end)
		done++;
	j->nmarks -= done;
	memmove(j->marks, j->marks + done, j->nmarks * sizeof *j->marks);
	j->based = true;
	j->base = end;
	j->opened_ns = now_ns;
}

/* Closes [base, end). False: a piece crosses the boundary after all, or no memory. */
static bool window_close(struct c4_join *j, uint64_t end, uint64_t now_ns)
{
	struct c4_diag_window w = {.first = j->base, .parts = parts_new(j)};
	struct c4_joined sums = {.window = &w, .complete = true};

	if (!w.parts)
		return false;
	for (uint32_t m = 0; m < j->size; m++)
		if (part_collect(&j->tracks[m], j->base, end, &sums, &w.parts[m]) < 0)
			return false;
	w.count = (uint32_t)min_u64(end - j->base, UINT32_MAX);
	w.kind = sums.kind;
	w.serial = ++j->serial;
	window_keep(j, w);
	base_move(j, end, now_ns);
	j->closed(j->arg, &sums);
	return true;
}

/* How long the open window up to `end` took, by this member's own measure. A hole is long enough:
 * closing at its end keeps it out of the next window. */
static uint64_t span_until(const struct track *t, uint64_t end)
{
	uint64_t span = 0;

	if (t->n && t->queue[0].first >= end)
		return C4_JOIN_SPAN_NS;
	for (uint32_t i = 0; i < t->n && t->queue[i].end <= end; i++)
		span += t->queue[i].part.span_sum_ns;
	return span;
}

/* The newest common boundary, or -1. */
static int newest_common(const struct c4_join *j)
{
	for (uint32_t i = j->nmarks; i-- > 0;)
		if (j->marks[i].count >= j->expected)
			return (int)i;
	return -1;
}

/* The first common boundary that makes the window long enough; `last` if none but time is up. */
static int next_end(const struct c4_join *j, const struct track *t, int last, bool hurry)
{
	for (int i = 0; t && i <= last; i++)
		if (j->marks[i].count >= j->expected &&
		    span_until(t, j->marks[i].opno) >= C4_JOIN_SPAN_NS)
			return i;
	return hurry ? last : -1;
}

static bool patience_over(const struct c4_join *j, uint64_t now_ns)
{
	return now_ns >= j->opened_ns && now_ns - j->opened_ns >= C4_JOIN_PATIENCE_NS;
}

/* t: the member whose measure of time is used, NULL: only patience closes. */
static void close_common(struct c4_join *j, const struct track *t, uint64_t now_ns, bool force)
{
	int last;

	while (j->expected && (last = newest_common(j)) >= 0) {
		int i = 0;

		if (!j->based) { /* what came before was not told by everybody: no window */
			while (j->marks[i].count < j->expected)
				i++;
			base_move(j, j->marks[i].opno, now_ns);
			continue;
		}
		i = next_end(j, t, last, force || patience_over(j, now_ns));
		if (i < 0)
			return;
		if (!window_close(j, j->marks[i].opno, now_ns))
			mark_remove(j, (uint32_t)i);
	}
}

/* ---- members -------------------------------------------------------------------------------- */

int c4_join_add(struct c4_join *j, uint32_t member, const struct c4_piece *p, uint64_t now_ns)
{
	struct track *t = &j->tracks[member];
	bool seam = t->started && p->first == t->next && !t->excused;
	int rc;

	if ((t->started && p->first < t->next) || (j->based && p->first < j->base))
		return -EEXIST;
	rc = queue_push(j, t, p);
	if (rc)
		return rc;
	if (t->excused) {
		t->excused = false;
		j->expected++;
	}
	if (!seam)
		mark_add(j, p->first);
	mark_add(j, p->first + p->count);
	t->started = true;
	t->next = p->first + p->count;
	close_common(j, t, now_ns, false);
	return 0;
}

void c4_join_excuse(struct c4_join *j, uint32_t member)
{
	struct track *t = &j->tracks[member];

	if (t->excused)
		return;
	queue_drop(j, t);
	t->excused = true;
	j->expected--;
}

void c4_join_restart(struct c4_join *j, uint32_t member)
{
	c4_join_excuse(j, member);
	j->tracks[member].started = false;
}

void c4_join_poll(struct c4_join *j, uint64_t now_ns, bool force)
{
	close_common(j, NULL, now_ns, force);
}

bool c4_join_pending(const struct c4_join *j)
{
	return j->nmarks > 0;
}

uint32_t c4_join_windows(const struct c4_join *j, struct c4_diag_window *windows)
{
	memcpy(windows, j->windows, j->nwindows * sizeof *windows);
	return j->nwindows;
}

uint64_t c4_join_serial(const struct c4_join *j)
{
	return j->serial;
}
