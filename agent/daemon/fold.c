// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/fold.h"

#include <stdlib.h>
#include <string.h>

#define OPEN_MAX    4  /* blocks of one communicator that wait for holes or their end */
#define LATE_MAX    64 /* holes remembered, so that stragglers are told from repeats */
#define GAP_MAX	    ((uint64_t)1 << 31)
#define OPNO_MAX    ((uint64_t)1 << 62)
#define LEVEL_MAX   20
#define BLOCK_NS    500000000ull  /* a communicator's blocks take at least so long */
#define BLOCK_TOP   3000000000ull /* … and never longer to keep a busy process in its budget */
#define PER_PROCESS 6		  /* blocks a second, all communicators together */
#define RATE_NS	    4000000000ull /* memory of the rate */
#define RATE_MIN    500000000ull  /* a rate over less than this is a burst, not a rate */
#define ACTIVE_NS   2000000000ull /* without operations for so long: not active */

struct open_block {
	struct c4_block b;
	uint64_t limit; /* the multiple of 2^level where it ends */
	uint64_t opened_ns;
};

/* One communicator. */
struct folding {
	uint64_t id;
	bool started;
	uint64_t next; /* one past the highest operation seen */
	uint32_t nopen;
	struct open_block open[OPEN_MAX]; /* ascending; only the last can grow */
	uint32_t nlate;
	uint64_t late[LATE_MAX]; /* oldest first */

	bool prev_known; /* of operation next - 1, in ticks */
	uint64_t prev_leave;
	uint64_t prev_after; /* what before_ticks of the next one is if it was nowhere else */

	uint8_t level; /* wanted; alignment may force a lower one */
	double ops_per_ns;
	uint64_t rate_op; /* where the rate was last taken … */
	uint64_t rate_ns; /* … and when */
	uint64_t began_ns;
	uint64_t active_ns;
};

struct c4_fold {
	uint32_t slots;
	uint32_t active; /* communicators */
	struct c4_block *out;
	size_t nout, out_cap;
	struct c4_fold_losses lost;
	struct folding *comms[]; /* by slot, NULL: no operation yet */
};

struct c4_fold *c4_fold_new(uint32_t slots)
{
	struct c4_fold *f;

	if (slots > C4_FOLD_SLOT_MAX)
		slots = C4_FOLD_SLOT_MAX;
	f = calloc(1, sizeof *f + slots * sizeof *f->comms);
	if (f)
		f->slots = slots;
	return f;
}

void c4_fold_free(struct c4_fold *f)
{
	if (!f)
		return;
	for (uint32_t i = 0; i < f->slots; i++)
		free(f->comms[i]);
	free(f->out);
	free(f);
}

const struct c4_block *c4_fold_blocks(const struct c4_fold *f, size_t *ret_n)
{
	*ret_n = f->nout;
	return f->out;
}

void c4_fold_clear(struct c4_fold *f)
{
	f->nout = 0;
}

struct c4_fold_losses c4_fold_losses(const struct c4_fold *f)
{
	return f->lost;
}

/* ---- output ------------------------------------------------------------------------------ */

static bool out_grow(struct c4_fold *f)
{
	size_t cap = f->out_cap ? f->out_cap * 2 : 8;
	struct c4_block *grown;

	if (f->nout < f->out_cap)
		return true;
	grown = cap <= C4_FOLD_OUT_MAX ? realloc(f->out, cap * sizeof *grown) : NULL;
	if (!grown)
		return false;
	f->out = grown;
	f->out_cap = cap;
	return true;
}

static void emit(struct c4_fold *f, const struct c4_block *b)
{
	if (!b->count)
		return;
	if (!out_grow(f)) {
		f->lost.ops += b->count - b->missing;
		return;
	}
	f->out[f->nout] = *b;
	if (b->missing)
		f->out[f->nout].signature = 0;
	f->nout++;
}

/* ---- times of one operation ----------------------------------------------------------------- */

/* Ticks come from several threads, and from a process we do not trust: no length is negative. */
static uint64_t since(uint64_t later, uint64_t earlier)
{
	return later > earlier ? later - earlier : 0;
}

static struct c4_op_times measure_alone(const struct c4_event *ev, const struct c4_tick_rate *rate)
{
	struct c4_op_times t = {0};

	t.inside_ns = c4_ticks_to_ns(rate, since(ev->leave_ticks, ev->enter_ticks));
	return t;
}

/*
 * With the predecessor known. Operations that one Waitall completed share the time inside it:
 * only the part behind the predecessor's end is this one's.
 */
static struct c4_op_times measure(const struct folding *c, const struct c4_event *ev,
				  const struct c4_tick_rate *rate)
{
	uint64_t enter = ev->enter_ticks > c->prev_leave ? ev->enter_ticks : c->prev_leave;
	uint64_t span = since(ev->leave_ticks, c->prev_leave);
	uint64_t inside = since(ev->leave_ticks, enter);
	uint64_t elsewhere = since(ev->before_ticks, c->prev_after);
	struct c4_op_times t = {.span_known = true};

	if (elsewhere > span - inside)
		elsewhere = span - inside;
	t.span_ns = c4_ticks_to_ns(rate, span);
	t.inside_ns = c4_ticks_to_ns(rate, inside);
	t.elsewhere_ns = c4_ticks_to_ns(rate, elsewhere);
	if (t.inside_ns + t.elsewhere_ns > t.span_ns) /* rounding */
		t.elsewhere_ns = t.span_ns - t.inside_ns;
	return t;
}

/*
 * A thread's sum goes on with the operation itself. On a GPU, where kernels of several
 * communicators run at a time and end in any order, the sum is of the others' kernels only.
 */
static uint64_t sum_behind(const struct c4_event *ev)
{
	bool gpu = ev->flags & (C4_EV_GPU | C4_EV_HOST);

	return gpu ? ev->before_ticks : ev->before_ticks + since(ev->leave_ticks, ev->enter_ticks);
}

/* ---- the level ------------------------------------------------------------------------------ */

static unsigned int alignment(uint64_t op)
{
	return op ? (unsigned int)__builtin_ctzll(op) : LEVEL_MAX;
}

static uint64_t block_goal_ns(const struct c4_fold *f)
{
	uint64_t ns = (uint64_t)f->active * 1000000000u / PER_PROCESS;

	return ns < BLOCK_NS ? BLOCK_NS : ns > BLOCK_TOP ? BLOCK_TOP : ns;
}

/* Averages over RATE_NS, or over the communicator's life while that is shorter. */
static void update_rate(struct folding *c, uint64_t op, uint64_t t_ns)
{
	uint64_t dt = since(t_ns, c->rate_ns), window = since(t_ns, c->began_ns);
	double ops = (double)(op - c->rate_op);

	if (window > RATE_NS)
		window = RATE_NS;
	if (window < RATE_MIN)
		window = RATE_MIN;
	if (dt >= window)
		c->ops_per_ns = ops / (double)dt;
	else
		c->ops_per_ns += (ops - c->ops_per_ns * (double)dt) / (double)window;
	c->rate_op = op;
	c->rate_ns = t_ns;
}

/* The lowest level whose blocks take goal_ns; one that takes up to three times as long may stay. */
static void update_level(struct folding *c, uint64_t goal_ns)
{
	double ops = c->ops_per_ns * (double)goal_ns;
	uint8_t want = 0;

	while (want < LEVEL_MAX && (double)(1u << want) < ops)
		want++;
	if (want > c->level || (double)(1u << c->level) > 3 * ops)
		c->level = want;
}

/* ---- open blocks ---------------------------------------------------------------------------- */

static uint64_t end_of(const struct c4_block *b)
{
	return b->first + b->count;
}

/* Emits the oldest. */
static void close_block(struct c4_fold *f, struct folding *c)
{
	struct open_block *o = &c->open[0];

	o->b.partial = end_of(&o->b) < o->limit;
	emit(f, &o->b);
	c->nopen--;
	memmove(o, o + 1, c->nopen * sizeof *o);
}

static void flush_comm(struct c4_fold *f, struct folding *c)
{
	while (c->nopen)
		close_block(f, c);
}

static bool complete(const struct open_block *o)
{
	return end_of(&o->b) == o->limit && !o->b.missing;
}

/* Blocks leave in the order of their operations: a complete one waits for those before it. */
static void emit_complete(struct c4_fold *f, struct folding *c)
{
	while (c->nopen && complete(&c->open[0]))
		close_block(f, c);
}

static struct open_block *open_block(struct c4_fold *f, struct folding *c, uint64_t first,
				     uint8_t level)
{
	struct open_block *o;

	if (c->nopen == OPEN_MAX)
		close_block(f, c);
	emit_complete(f, c);
	o = &c->open[c->nopen++];
	c4_block_init(&o->b, c->id, first, level);
	o->limit = (first | (((uint64_t)1 << level) - 1)) + 1;
	return o;
}

static struct open_block *growing(struct folding *c)
{
	struct open_block *o = c->nopen ? &c->open[c->nopen - 1] : NULL;

	return o && end_of(&o->b) < o->limit ? o : NULL;
}

/* Operations [from, to) have not been seen: the last few may still come. */
static void expect_late(struct folding *c, uint64_t from, uint64_t to)
{
	uint64_t n = to - from;

	if (n > LATE_MAX)
		from = to - (n = LATE_MAX);
	if (c->nlate + n > LATE_MAX) {
		uint32_t drop = (uint32_t)(c->nlate + n - LATE_MAX);

		c->nlate -= drop;
		memmove(c->late, c->late + drop, c->nlate * sizeof *c->late);
	}
	while (from < to)
		c->late[c->nlate++] = from++;
}

static bool forget_late(struct folding *c, uint64_t op)
{
	for (uint32_t i = 0; i < c->nlate; i++) {
		if (c->late[i] != op)
			continue;
		c->nlate--;
		memmove(&c->late[i], &c->late[i + 1], (c->nlate - i) * sizeof *c->late);
		return true;
	}
	return false;
}

/* Extends a block up to `end` by operations not seen. */
static void leave_holes(struct open_block *o, uint64_t end)
{
	uint32_t n = (uint32_t)(end - end_of(&o->b));

	o->b.count += n;
	o->b.missing += n;
}

/* Whole blocks nobody saw an operation of, as large as alignment allows; returns where they end:
 * the start of the block that `op` lies in. */
static uint64_t emit_gap(struct c4_fold *f, struct folding *c, uint64_t at, uint64_t op)
{
	for (;;) {
		unsigned int level = alignment(at);
		struct c4_block b;

		if (op - at < (uint64_t)1 << (level < c->level ? level : c->level))
			return at;
		while (op - at < (uint64_t)1 << level)
			level--;
		flush_comm(f, c); /* so much is not late, but lost */
		c4_block_init(&b, c->id, at, (uint8_t)level);
		b.count = b.missing = 1u << level;
		emit(f, &b);
		at += b.count;
	}
}

/* The open block that covers operation op >= c->next, everything before it accounted for. */
static struct open_block *block_for(struct c4_fold *f, struct folding *c, uint64_t op,
				    uint64_t now_ns)
{
	struct open_block *o = growing(c);
	uint64_t at = c->next;
	unsigned int level;

	expect_late(c, at, op);
	if (o && !o->b.count)
		o->opened_ns = now_ns;
	if (o && op >= o->limit) {
		leave_holes(o, o->limit);
		at = o->limit;
		o = NULL;
	}
	if (!o) {
		at = emit_gap(f, c, at, op);
		level = alignment(at);
		o = open_block(f, c, at, (uint8_t)(level < c->level ? level : c->level));
		o->opened_ns = now_ns;
	}
	leave_holes(o, op);
	return o;
}

/* ---- events --------------------------------------------------------------------------------- */

/* The communicator of an event; its slot may have served another one before. */
static struct folding *folding_of(struct c4_fold *f, const struct c4_event *ev)
{
	struct folding *c;

	if (ev->slot >= f->slots || !ev->comm)
		return NULL;
	c = f->comms[ev->slot];
	if (!c)
		c = f->comms[ev->slot] = calloc(1, sizeof *c);
	if (c && c->id != ev->comm) {
		flush_comm(f, c);
		memset(c, 0, sizeof *c);
		c->id = ev->comm;
	}
	return c;
}

/* Begins with operation op, nothing known of what was before. */
static void start(struct c4_fold *f, struct folding *c, uint64_t op, uint64_t t_ns)
{
	flush_comm(f, c);
	c->started = true;
	c->next = op;
	c->nlate = 0;
	c->prev_known = false;
	c->rate_op = op + 1;
	c->rate_ns = c->began_ns = t_ns;
	c->ops_per_ns = 0;
	c->level = 0;
}

static void add_late(struct c4_fold *f, struct folding *c, const struct c4_event *ev,
		     const struct c4_tick_rate *rate)
{
	struct c4_op_times t = measure_alone(ev, rate);
	struct c4_block one;

	if (!forget_late(c, ev->opno)) {
		f->lost.strays++;
		return;
	}
	for (uint32_t i = 0; i < c->nopen; i++) {
		struct open_block *o = &c->open[i];

		if (ev->opno < o->b.first || ev->opno >= end_of(&o->b))
			continue;
		c4_block_account(&o->b, ev, &t);
		o->b.missing--;
		emit_complete(f, c);
		return;
	}
	c4_block_init(&one, c->id, ev->opno, 0);
	c4_block_account(&one, ev, &t);
	one.count = 1;
	emit(f, &one);
}

static void add_next(struct c4_fold *f, struct folding *c, const struct c4_event *ev,
		     const struct c4_tick_rate *rate, uint64_t now_ns)
{
	uint64_t leave_ns = c4_ticks_to_mono(rate, ev->leave_ticks);
	struct open_block *o;
	struct c4_op_times t;

	if (!c->started || ev->opno - c->next > GAP_MAX) {
		f->lost.strays += c->started;
		start(f, c, ev->opno, leave_ns);
	}
	t = c->prev_known && ev->opno == c->next ? measure(c, ev, rate) : measure_alone(ev, rate);
	o = block_for(f, c, ev->opno, now_ns);
	c4_block_account(&o->b, ev, &t);
	o->b.count++;
	c->next = ev->opno + 1;
	c->prev_known = true;
	c->prev_leave = ev->leave_ticks;
	c->prev_after = sum_behind(ev);
	c->active_ns = now_ns;
	if (end_of(&o->b) < o->limit)
		return;
	update_rate(c, c->next, leave_ns);
	update_level(c, block_goal_ns(f));
	emit_complete(f, c);
}

void c4_fold_add(struct c4_fold *f, const struct c4_event *ev, const struct c4_tick_rate *rate,
		 uint64_t now_ns)
{
	struct folding *c = folding_of(f, ev);

	if (!c || ev->opno >= OPNO_MAX)
		f->lost.strays++;
	else if (c->started && ev->opno < c->next)
		add_late(f, c, ev, rate);
	else
		add_next(f, c, ev, rate, now_ns);
}

/*
 * Emits what there is of the newest block. The rest of it stays open, unless operations have become
 * so rare that it would take too long: then shorter blocks follow, at whose ends the ranks meet.
 */
static void cut_newest(struct c4_fold *f, struct folding *c, uint64_t now_ns)
{
	struct open_block *o = &c->open[c->nopen - 1];

	o->b.partial = true;
	emit(f, &o->b);
	c4_block_init(&o->b, o->b.comm, end_of(&o->b), o->b.level);
	update_rate(c, c->next, now_ns);
	update_level(c, block_goal_ns(f));
	if (c->level < o->b.level)
		c->nopen--;
}

/* The oldest block is also the one that has waited longest. */
static void cut_comm(struct c4_fold *f, struct folding *c, uint64_t now_ns, uint64_t patience_ns)
{
	while (c->nopen) {
		struct open_block *o = &c->open[0];

		if (!o->b.count || since(now_ns, o->opened_ns) < patience_ns)
			return;
		if (end_of(&o->b) < o->limit) { /* then it is the only one */
			cut_newest(f, c, now_ns);
			return;
		}
		close_block(f, c);
		emit_complete(f, c);
	}
}

void c4_fold_cut(struct c4_fold *f, uint64_t now_ns, uint64_t patience_ns)
{
	uint64_t goal = block_goal_ns(f);
	uint32_t active = 0;

	if (patience_ns < 3 * goal)
		patience_ns = 3 * goal;
	for (uint32_t i = 0; i < f->slots; i++) {
		struct folding *c = f->comms[i];

		if (!c)
			continue;
		active += c->started && since(now_ns, c->active_ns) < ACTIVE_NS;
		cut_comm(f, c, now_ns, patience_ns);
	}
	f->active = active;
}

void c4_fold_flush(struct c4_fold *f)
{
	for (uint32_t i = 0; i < f->slots; i++)
		if (f->comms[i])
			flush_comm(f, f->comms[i]);
}
