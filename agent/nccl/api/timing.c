// SPDX-License-Identifier: BSD-3-Clause
#include "agent/nccl/api/timing.h"

#include "agent/nccl/api/gpu.h"
#include "common/base/clock.h"

#define POLL_OPS 8u /* records made at a time: what an issuing thread is charged with */

enum state {
	ISSUING, /* begun, not ended */
	ON_GPU,
	ENDED, /* leave_ticks is known */
};

struct op {
	void *start, *stop; /* events; stay with the place in the queue */
	uint64_t opno, bytes;
	uint64_t enter_ticks, leave_ticks; /* on the host: issued; ENDED: over */
	int32_t root;
	uint8_t kind;
	uint8_t state;
	uint8_t flags; /* C4_EV_* */
	bool timed;    /* start was recorded */
};

struct queue {
	uint32_t busy; /* atomic */
	int device;
	uint32_t first, next; /* tickets: oldest in the queue, the next one's */
	const void *issuer;   /* whose thread's operations these are */
	void *last_stop;      /* of the last operation timed on the GPU, NULL: none */
	uint64_t last_ticks;  /* … and when that was */
	struct op ops[C4_TIMING_OPS];
};

static_assert((C4_TIMING_OPS & (C4_TIMING_OPS - 1)) == 0, "tickets wrap around");

static struct queue queues[C4_SEG_COMMS];

/* Σ time inside operations so far, in ticks: of the process, of each slot's communicators. */
static uint64_t inside_all, inside_of[C4_SEG_COMMS];

static uint64_t now_ticks(void)
{
	return c4_ticks(c4_hook.clock);
}

static bool take(struct queue *q)
{
	return !__atomic_exchange_n(&q->busy, 1, __ATOMIC_ACQUIRE);
}

static void give(struct queue *q)
{
	__atomic_store_n(&q->busy, 0, __ATOMIC_RELEASE);
}

static struct op *op_of(struct queue *q, uint32_t ticket)
{
	return &q->ops[ticket % C4_TIMING_OPS];
}

/* ---- records -------------------------------------------------------------------------------- */

void c4_timing_record(struct c4_event *ev)
{
	struct c4_seg_comm *c = &c4_hook.seg.comms[ev->slot];
	uint64_t inside = ev->leave_ticks - ev->enter_ticks;

	ev->comm = c->id;
	ev->before_ticks = __atomic_fetch_add(&inside_all, inside, __ATOMIC_RELAXED) -
			   __atomic_fetch_add(&inside_of[ev->slot], inside, __ATOMIC_RELAXED);
	c4_seg_push(&c4_hook.seg, ev);
	c->leave_ticks = ev->leave_ticks;
	c4_comm_finish_op(c, ev->slot, ev->opno);
	c->gpu_start_ticks = ev->enter_ticks;
	__atomic_store_n(&c->gpu_started, ev->opno + 1, __ATOMIC_RELAXED);
}

static void record(uint32_t slot, const struct op *op)
{
	struct c4_event ev = {
		.opno = op->opno,
		.enter_ticks = op->enter_ticks,
		.leave_ticks = op->leave_ticks,
		.bytes = op->bytes,
		.kind = op->kind,
		.flags = op->flags,
		.slot = (uint16_t)slot,
		.root = op->root,
	};

	c4_timing_record(&ev);
}

static double ticks_per_ms(void)
{
	const struct c4_seg_header *h = c4_hook.seg.hdr;
	struct c4_tick_rate rate;

	c4_tick_rate_init(&rate, h->clock, h->ticks0, h->mono0_ns);
	return 1e6 / rate.ns_per_tick;
}

/* Its stop event has passed, which was seen now: puts the GPU's times into host ticks. */
static void time_on_gpu(struct queue *q, struct op *op, uint64_t now)
{
	double inside = c4_gpu_event_ms(op->start, op->stop);
	double since = q->last_stop ? c4_gpu_event_ms(q->last_stop, op->stop) : -1;
	double rate = ticks_per_ms();
	uint64_t leave, ticks;

	op->leave_ticks = now;
	op->flags = C4_EV_HOST;
	if (inside < 0)
		return;
	ticks = (uint64_t)(inside * rate);
	leave = since < 0 ? op->enter_ticks + ticks : q->last_ticks + (uint64_t)(since * rate);
	if (leave < op->enter_ticks + ticks)
		leave = op->enter_ticks + ticks;
	if (leave > now)
		leave = now;
	op->leave_ticks = leave;
	op->enter_ticks = leave - ticks;
	op->flags = C4_EV_GPU;
	q->last_stop = op->stop;
	q->last_ticks = leave;
}

static uint8_t state_of(const struct op *op)
{
	return __atomic_load_n(&op->state, __ATOMIC_ACQUIRE);
}

/* Whether the operation is over; then its times are there. */
static bool over(struct queue *q, struct op *op)
{
	uint8_t state = state_of(op);
	int done;

	if (state != ON_GPU)
		return state == ENDED;
	done = c4_gpu_event_done(op->stop);
	if (!done)
		return false;
	if (done > 0) {
		time_on_gpu(q, op, now_ticks());
	} else {
		op->leave_ticks = now_ticks();
		op->flags = C4_EV_HOST | C4_EV_ERROR;
	}
	op->state = ENDED;
	return true;
}

/* False: the next one is not over. */
static bool drain_one(uint32_t slot, struct queue *q)
{
	struct op *op = op_of(q, q->first);

	if (q->first == q->next || !over(q, op))
		return false;
	record(slot, op);
	q->first++;
	return true;
}

/*
 * Another thread than the issuing one asks again and again, so what it sees running now it will
 * soon see ended; the issuing one may not come back for long, and its word would get stale.
 */
static void show_running(uint32_t slot, const struct queue *q, const struct op *op)
{
	struct c4_seg_comm *c = &c4_hook.seg.comms[slot];

	if (q->issuer == &c4_self || state_of(op) != ON_GPU || c->gpu_started > op->opno ||
	    c4_gpu_event_done(op->start) != 1)
		return;
	c->gpu_start_ticks = q->last_ticks > op->enter_ticks ? q->last_ticks : op->enter_ticks;
	__atomic_store_n(&c->gpu_started, op->opno + 1, __ATOMIC_RELAXED);
}

void c4_timing_poll(uint32_t slot)
{
	struct queue *q = &queues[slot];
	struct c4_gpu_visit visit;
	bool on_gpu;

	if (!take(q))
		return;
	on_gpu = c4_gpu_usable();
	if (q->first != q->next && (!on_gpu || c4_gpu_enter(&visit))) {
		for (uint32_t n = 0; n < POLL_OPS && drain_one(slot, q); n++)
			;
		if (on_gpu && q->first != q->next)
			show_running(slot, q, op_of(q, q->first));
		if (on_gpu)
			c4_gpu_leave(&visit);
	}
	give(q);
}

/* ---- operations ----------------------------------------------------------------------------- */

bool c4_timing_captured(void *stream)
{
	struct c4_gpu_visit visit;
	bool captured;

	if (!c4_gpu_enter(&visit))
		return false;
	captured = c4_gpu_capturing(stream) > 0;
	c4_gpu_leave(&visit);
	return captured;
}

/* The events belong to the place; true if both are there. */
static bool have_events(struct op *op)
{
	if (!op->start)
		op->start = c4_gpu_event_new();
	if (!op->stop)
		op->stop = c4_gpu_event_new();
	return op->start && op->stop;
}

static void start_clock(struct queue *q, struct op *op, void *stream)
{
	struct c4_gpu_visit visit;
	int device;

	if (!c4_gpu_enter(&visit))
		return;
	device = c4_gpu_device();
	if (q->device < 0)
		q->device = device;
	if (device >= 0 && device == q->device && have_events(op))
		op->timed = c4_gpu_event_record(op->start, stream);
	c4_gpu_leave(&visit);
}

/* The place of the event last_stop is about to be used again. */
static void forget_stop(struct queue *q, const struct op *op)
{
	if (q->last_stop == op->stop)
		q->last_stop = NULL;
}

static uint32_t add(struct queue *q, const struct c4_call *call, void *stream)
{
	struct op *op = op_of(q, q->next);

	if (q->next - q->first == C4_TIMING_OPS)
		return C4_TIMING_NONE;
	forget_stop(q, op);
	q->issuer = call->self;
	op->opno = call->opno;
	op->bytes = call->comm->bytes;
	op->root = call->comm->root;
	op->kind = call->comm->kind;
	op->enter_ticks = call->enter_ticks;
	op->state = ISSUING;
	op->timed = false;
	start_clock(q, op, stream);
	return q->next++;
}

uint32_t c4_timing_begin(const struct c4_call *call, void *stream)
{
	struct queue *q = &queues[call->slot];
	uint32_t ticket = C4_TIMING_NONE;

	c4_timing_poll(call->slot);
	if (take(q)) {
		ticket = add(q, call, stream);
		give(q);
	}
	if (ticket != C4_TIMING_NONE)
		return ticket;
	c4_seg_lose(&c4_hook.seg, C4_LOST_OPS);
	c4_comm_finish_op(call->comm, call->slot, call->opno);
	return C4_TIMING_NONE;
}

/* The issuing thread's own operation: nobody else touches it while it is ISSUING. */
static struct op *issuing(uint32_t slot, uint32_t ticket)
{
	return ticket == C4_TIMING_NONE ? NULL : op_of(&queues[slot], ticket);
}

static void set_state(struct op *op, enum state state)
{
	__atomic_store_n(&op->state, (uint8_t)state, __ATOMIC_RELEASE);
}

static void end(struct op *op, uint8_t flags)
{
	op->leave_ticks = now_ticks();
	op->flags = flags;
	set_state(op, ENDED);
}

static bool stop_clock(struct op *op, void *stream)
{
	struct c4_gpu_visit visit;
	bool recorded;

	if (!op->timed || !c4_gpu_enter(&visit))
		return false;
	recorded = c4_gpu_event_record(op->stop, stream);
	c4_gpu_leave(&visit);
	return recorded;
}

void c4_timing_end(uint32_t slot, uint32_t ticket, void *stream, bool on_gpu)
{
	struct op *op = issuing(slot, ticket);

	if (!op)
		return;
	if (on_gpu && stop_clock(op, stream)) {
		set_state(op, ON_GPU);
	} else {
		end(op, C4_EV_HOST);
		c4_timing_poll(slot);
	}
}

void c4_timing_fail(uint32_t slot, uint32_t ticket)
{
	struct op *op = issuing(slot, ticket);

	if (!op)
		return;
	end(op, C4_EV_HOST | C4_EV_ERROR);
	c4_timing_poll(slot);
}

/* ---- communicators -------------------------------------------------------------------------- */

static void free_events(struct queue *q)
{
	struct c4_gpu_visit visit;

	if (!c4_gpu_enter(&visit))
		return;
	for (uint32_t i = 0; i < C4_TIMING_OPS; i++) {
		c4_gpu_event_free(q->ops[i].start);
		c4_gpu_event_free(q->ops[i].stop);
		q->ops[i].start = q->ops[i].stop = NULL;
	}
	c4_gpu_leave(&visit);
}

void c4_timing_open(uint32_t slot, int device)
{
	struct queue *q = &queues[slot];

	if (!take(q))
		return;
	/* events of another GPU would be refused by this one's streams */
	if (device >= 0 && device != q->device)
		free_events(q);
	if (device >= 0)
		q->device = device;
	q->first = q->next;
	q->last_stop = NULL;
	give(q);
}

void c4_timing_close(uint32_t slot)
{
	struct queue *q = &queues[slot];
	struct c4_seg_comm *c = &c4_hook.seg.comms[slot];

	c4_timing_poll(slot);
	if (!take(q))
		return;
	for (; q->first != q->next; q->first++) {
		c4_comm_finish_op(c, slot, op_of(q, q->first)->opno);
		c4_seg_lose(&c4_hook.seg, C4_LOST_OPS);
	}
	give(q);
}
