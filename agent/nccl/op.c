// SPDX-License-Identifier: BSD-3-Clause
#include "agent/nccl/op.h"

#include "agent/hook/comm.h"
#include "agent/nccl/abi.h"
#include "agent/nccl/detail.h"
#include "agent/nccl/handle.h"
#include "agent/nccl/pool.h"
#include "agent/nccl/shared.h"
#include "agent/nccl/text.h"
#include "c4/op.h"
#include "common/base/clock.h"

#define OPS	     8192u
#define SWEEP	     32u /* operations looked at when a later plan begins */
#define SILENT_NS    2000000000.0
#define SLACK_NS     1000000000.0 /* a kernel may have begun before NCCL told of its operation */
#define SILENT_KNOWN 8u		  /* so many in a row: this communicator has no kernel events */

#define KERNELS_FROM 3u /* version of the interface */

/* flags; a free place has the last two */
#define MESSAGE	    0x01u
#define COPY_ENGINE 0x02u
#define OVER	    0x04u /* somebody has seen its end */
#define CHOSEN	    0x20u /* messages, by the duty cycle: its steps are told */
#define RECORDED    0x08u /* … and written it down */
#define HANDED_OVER 0x10u /* NCCL will not name it again, but through its children */

struct c4_prof_op {
	uint32_t flags;
	uint32_t proxies;      /* begun << 16 | in flight */
	uint64_t began, ended; /* a bit for each channel */
	uint64_t gpu_first;    /* globaltimer of the earliest begin, 0: none */
	uint64_t gpu_last;     /* … and of the latest end */
	uint64_t host_first;   /* ticks: a kernel was first seen, 0: none */
	uint64_t host_last;    /* … and the last sign of life */
	uint64_t enter_ticks;  /* from here on written once, before anybody has the handle */
	uint64_t opno;	       /* messages: of the next collective */
	uint64_t seq;
	uint64_t plan;
	uint64_t bytes;
	int32_t root;
	uint16_t comm; /* index + 1, 0: never used */
	uint8_t kind, channels;
};

static struct c4_prof_op ops[OPS] __attribute__((aligned(64)));
static struct c4_pool_cell cells[OPS];
static struct c4_pool pool __attribute__((aligned(64))) = {.cap = OPS, .cells = cells};

static uint64_t kernel_ticks; /* Σ kernel time of all communicators */

static_assert(OPS <= C4_HANDLE_INDEXES, "an index fits into a handle");
static_assert(OPS < UINT16_MAX, "… and into a communicator's ring");

void c4_prof_ops_init(uint64_t salt)
{
	pool.salt = salt;
}

static uint64_t now_ticks(void)
{
	return c4_ticks(c4_hook.clock);
}

static uint64_t since(uint64_t now, uint64_t then)
{
	return now > then ? now - then : 0;
}

/* What a handle of this kind means, NULL if it is another or over. */
static struct c4_prof_op *find(const void *handle, enum c4_handle_kind kind)
{
	struct c4_handle h = c4_handle_read(handle);

	return h.kind == kind && c4_pool_alive(&pool, h) ? &ops[h.index] : NULL;
}

bool c4_prof_op_alive(const void *handle)
{
	return find(handle, C4_HANDLE_OP) != NULL;
}

static struct c4_prof_comm *comm_of(const struct c4_prof_op *op)
{
	return c4_prof_comm_at(c4_get(&op->comm) - 1u);
}

static void give_back(struct c4_prof_op *op)
{
	uint32_t i = (uint32_t)(op - ops);

	c4_pool_put(&pool, i, c4_pool_gen(&pool, i));
}

/* Sets a flag. The thread that makes both RECORDED and HANDED_OVER true gives the place back. */
static void set_flag(struct c4_prof_op *op, uint32_t flag)
{
	uint32_t both = RECORDED | HANDED_OVER;
	uint32_t before = __atomic_fetch_or(&op->flags, flag, __ATOMIC_SEQ_CST);

	if ((before & both) != both && ((before | flag) & both) == both)
		give_back(op);
}

static uint64_t ordered(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

/* ---- its record ------------------------------------------------------------------------------ */

/* When it ran, in ticks: by the GPU's clock, or as far as the host saw it. */
struct span {
	uint64_t enter, leave;
	uint8_t flags;
};

/* Whether the GPU's times can be this operation's: a host that lags reads those of other kernels.
 */
static bool believable(const struct c4_prof_comm *c, const struct c4_prof_op *op, uint64_t length,
		       uint64_t leave, uint64_t now)
{
	uint64_t enter = c4_get(&op->enter_ticks), slack = (uint64_t)(SLACK_NS * c->clock.rate);

	return leave + slack >= enter && length <= since(now, enter) + slack;
}

static struct span measure(const struct c4_prof_comm *c, const struct c4_prof_op *op)
{
	uint64_t first = c4_get(&op->gpu_first), last = c4_get(&op->gpu_last);
	uint64_t seen = c4_get(&op->host_first), now = c4_get(&op->host_last);
	uint64_t begin = seen ? seen : c4_get(&op->enter_ticks), leave, length;

	if (first && last >= first) {
		leave = c4_gpuclock_ticks(&c->clock, last);
		if (leave > now)
			leave = now;
		length = c4_gpuclock_length(&c->clock, last - first);
		if (believable(c, op, length, leave, now))
			return (struct span){
				.enter = leave - length, .leave = leave, .flags = C4_EV_GPU};
	}
	return (struct span){.enter = begin < now ? begin : now, .leave = now, .flags = C4_EV_HOST};
}

/* First the total, then the own part: their difference is never negative. */
static void account(struct c4_prof_comm *c, const struct span *s)
{
	__atomic_fetch_add(&kernel_ticks, s->leave - s->enter, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&c->own_ticks, s->leave - s->enter, __ATOMIC_SEQ_CST);
}

static uint64_t elsewhere(const struct c4_prof_comm *c)
{
	uint64_t own = ordered(&c->own_ticks);

	return ordered(&kernel_ticks) - own;
}

static void record(struct c4_prof_comm *c, const struct c4_prof_op *op, const struct span *s)
{
	struct c4_seg_comm *seg = c4_prof_comm_seg(c);
	struct c4_event ev = {.comm = c->id,
			      .opno = c4_get(&op->opno),
			      .enter_ticks = s->enter,
			      .leave_ticks = s->leave,
			      .before_ticks = elsewhere(c),
			      .bytes = c4_get(&op->bytes),
			      .kind = c4_get(&op->kind),
			      .flags = s->flags,
			      .slot = (uint16_t)c->slot,
			      .root = c4_get(&op->root)};

	c4_seg_push(&c4_hook.seg, &ev);
	c4_set(&seg->leave_ticks, s->leave);
	c4_comm_finish_op(seg, c->slot, ev.opno);
}

/* Its kernel has begun, or it is over and had none. */
static void count_started(struct c4_prof_comm *c, const struct c4_prof_op *op, uint64_t ticks)
{
	struct c4_seg_comm *seg = c4_prof_comm_seg(c);

	if (c4_get(&op->flags) & MESSAGE) {
		c4_seg_add(&seg->p2p_started, 1);
		return;
	}
	c4_set(&seg->gpu_start_ticks, ticks);
	c4_seg_add(&seg->gpu_started, 1);
}

static void finish(struct c4_prof_op *op)
{
	struct c4_prof_comm *c = comm_of(op);
	struct span s;

	if (__atomic_fetch_or(&op->flags, OVER, __ATOMIC_SEQ_CST) & OVER)
		return;
	if (c4_get(&c->tail_seq) == c4_get(&op->seq))
		c4_raise_u64(&c->tail_seq, c4_get(&op->seq) + 1);
	s = measure(c, op);
	if (!c4_get(&op->began))
		count_started(c, op, s.enter);
	if (c4_get(&op->flags) & MESSAGE) {
		c4_seg_add(&c4_prof_comm_seg(c)->p2p_wait_ticks, s.leave - s.enter);
		c4_seg_add(&c4_prof_comm_seg(c)->p2p_finished, 1);
	} else {
		record(c, op, &s);
	}
	if (s.flags & C4_EV_GPU)
		account(c, &s);
	set_flag(op, RECORDED);
}

/* ---- whether it is over ---------------------------------------------------------------------- */

static bool outrun(const struct c4_prof_comm *c, const struct c4_prof_op *op)
{
	return c4_get(&op->plan) < c4_get(&c->gpu_plan);
}

/* All channels that began have ended: will more come? */
static bool kernels_over(const struct c4_prof_comm *c, const struct c4_prof_op *op, uint64_t began,
			 uint32_t flags)
{
	uint32_t channels = c4_get(&op->channels);

	if (channels && (uint32_t)__builtin_popcountll(began) >= channels)
		return true;
	return (flags & HANDED_OVER) && (!channels || outrun(c, op));
}

/* None has begun, and it was handed over: will any? */
static bool goes_without(const struct c4_prof_comm *c, const struct c4_prof_op *op, uint32_t flags)
{
	uint32_t proxies = __atomic_load_n(&op->proxies, __ATOMIC_SEQ_CST);

	if (outrun(c, op) || (flags & COPY_ENGINE))
		return true;
	if ((uint16_t)proxies)
		return false;
	return c->version < KERNELS_FROM ||
	       (!c4_get(&c->kernels) && (proxies || c4_get(&c->silent) >= SILENT_KNOWN));
}

static void check(struct c4_prof_op *op)
{
	uint64_t began = ordered(&op->began), ended = ordered(&op->ended);
	uint32_t flags = __atomic_load_n(&op->flags, __ATOMIC_SEQ_CST);
	const struct c4_prof_comm *c = comm_of(op);

	if (flags & OVER)
		return;
	if (began ? began == ended && kernels_over(c, op, began, flags)
		  : (flags & HANDED_OVER) && goes_without(c, op, flags))
		finish(op);
}

/* ---- a communicator's operations in flight --------------------------------------------------- */

/* NULL: it is over. */
static struct c4_prof_op *in_flight(const struct c4_prof_comm *c, uint64_t seq)
{
	uint16_t i = c4_get(&c->ring[seq % C4_PROF_RING]);
	struct c4_prof_op *op = &ops[i ? i - 1 : 0];

	if (!i || c4_get(&op->seq) != seq || c4_get(&op->comm) != c->index + 1 ||
	    (__atomic_load_n(&op->flags, __ATOMIC_ACQUIRE) & OVER))
		return NULL;
	return op;
}

/* A kernel of a later plan than ever before has begun: older ones are over. */
static void look_back(struct c4_prof_comm *c, uint64_t before)
{
	uint64_t seq = c4_get(&c->tail_seq);

	for (uint32_t n = 0; n < SWEEP && seq < before; n++, seq++) {
		struct c4_prof_op *op = in_flight(c, seq);

		if (op && outrun(c, op))
			check(op);
	}
}

/* The oldest one may have no kernel events; a program that is stuck in it hands over no more. */
static bool is_silent(const struct c4_prof_comm *c, const struct c4_prof_op *op, uint64_t now)
{
	uint64_t quiet = since(now, c4_get(&op->host_last));

	return (c4_get(&op->flags) & HANDED_OVER) && !ordered(&op->began) &&
	       !(uint16_t)c4_get(&op->proxies) && (double)quiet > SILENT_NS * c->clock.rate;
}

/* Moves the tail past what is over; what was silent for long is. */
static void advance_tail(struct c4_prof_comm *c, uint64_t tail, uint64_t seq, uint64_t now)
{
	for (uint32_t n = 0; n < SWEEP && tail < seq; n++, tail++) {
		struct c4_prof_op *op = in_flight(c, tail);

		if (op && !is_silent(c, op, now))
			break;
		if (op) {
			__atomic_fetch_add(&c->silent, 1, __ATOMIC_RELAXED);
			finish(op);
		}
	}
	c4_raise_u64(&c->tail_seq, tail);
}

static C4_RARE void give_up(const struct c4_prof_comm *c, uint64_t seq)
{
	struct c4_prof_op *op = in_flight(c, seq);

	if (!op)
		return;
	c4_seg_lose(&c4_hook.seg, C4_LOST_OPS);
	finish(op);
}

/* Takes the next place in the ring; who still holds it is given up. */
static void enqueue(struct c4_prof_comm *c, uint32_t i, uint64_t now)
{
	uint64_t seq = __atomic_fetch_add(&c->next_seq, 1, __ATOMIC_RELAXED);
	uint64_t tail = c4_get(&c->tail_seq);

	c4_set(&ops[i].seq, seq);
	c4_set(&c->ring[seq % C4_PROF_RING], (uint16_t)(i + 1));
	if (tail >= seq)
		return;
	if (seq - tail >= C4_PROF_OPEN)
		give_up(c, seq - C4_PROF_OPEN);
	advance_tail(c, tail, seq, now);
}

/* ---- the beginning --------------------------------------------------------------------------- */

/* Counts a collective and shows it: what it is first, then that it is there. */
static uint64_t enter(struct c4_prof_comm *c, const struct c4_prof_task *t, uint64_t bytes,
		      uint64_t now)
{
	struct c4_seg_comm *seg = c4_prof_comm_seg(c);
	uint64_t opno = __atomic_fetch_add(&c->next_opno, 1, __ATOMIC_RELAXED);

	c4_set(&seg->enter_ticks, now);
	c4_set(&seg->bytes, bytes);
	c4_set(&seg->root, t->root);
	c4_set(&seg->kind, t->kind);
	c4_set(&seg->dtype, t->dtype);
	c4_set(&seg->recent[opno % C4_SEG_RECENT], c4_op_brief(t->kind, bytes, t->root));
	c4_raise_u64(&seg->entered, opno + 1);
	/* graph replays and older interfaces show no call */
	c4_raise_u64(&seg->api_calls, opno + 1);
	return opno;
}

static uint64_t count_message(struct c4_prof_comm *c, const struct c4_prof_task *t, uint64_t bytes)
{
	struct c4_seg_comm *seg = c4_prof_comm_seg(c);
	bool sends = t->kind == C4_OP_SEND;

	c4_seg_add(sends ? &seg->p2p_sends : &seg->p2p_recvs, 1);
	c4_seg_add(sends ? &seg->p2p_send_bytes : &seg->p2p_recv_bytes, bytes);
	return c4_get(&c->next_opno);
}

/* No room to follow it: it counts all the same, and as over. */
static C4_RARE void *begin_untracked(struct c4_prof_comm *c, bool message, uint64_t opno)
{
	c4_seg_lose(&c4_hook.seg, C4_LOST_OPS);
	if (!message) {
		c4_seg_add(&c4_prof_comm_seg(c)->gpu_started, 1);
		c4_comm_finish_op(c4_prof_comm_seg(c), c->slot, opno);
	}
	return NULL;
}

static void fill(struct c4_prof_op *op, const struct c4_prof_comm *c, const struct c4_prof_task *t,
		 uint64_t now)
{
	c4_set(&op->proxies, 0);
	c4_set(&op->began, 0);
	c4_set(&op->ended, 0);
	c4_set(&op->gpu_first, 0);
	c4_set(&op->gpu_last, 0);
	c4_set(&op->host_first, 0);
	c4_set(&op->host_last, now);
	c4_set(&op->enter_ticks, now);
	c4_set(&op->plan, c4_get(&c->plan));
	c4_set(&op->root, t->root);
	c4_set(&op->kind, t->kind);
	c4_set(&op->channels, t->channels);
}

/* Publishes a filled place: whose it is first, for c4_prof_ops_drop(). */
static void *publish(uint32_t i, const struct c4_prof_comm *c, uint32_t flags)
{
	__atomic_store_n(&ops[i].comm, (uint16_t)(c->index + 1), __ATOMIC_RELEASE);
	__atomic_store_n(&ops[i].flags, flags, __ATOMIC_RELEASE);
	return c4_handle_make((struct c4_handle){
		.kind = C4_HANDLE_OP, .index = (uint16_t)i, .gen = c4_pool_gen(&pool, i)});
}

void *c4_prof_op_begin(struct c4_prof_comm *c, const struct c4_prof_event *ev)
{
	const struct c4_prof_task *t = &ev->task;
	bool message = ev->type == C4_ABI_P2P;
	uint64_t now = now_ticks(), bytes = c4_prof_bytes(t, c->ranks);
	uint64_t opno = message ? count_message(c, t, bytes) : enter(c, t, bytes, now);
	uint32_t i = c4_pool_take(&pool), flags = t->copy_engine ? COPY_ENGINE : 0;
	void *handle;

	if (message)
		flags |= MESSAGE |
			 (c4_prof_detail_message(c, t->root, t->kind == C4_OP_SEND) ? CHOSEN : 0);
	if (i == C4_POOL_EMPTY)
		return begin_untracked(c, message, opno);
	fill(&ops[i], c, t, now);
	c4_set(&ops[i].opno, opno);
	c4_set(&ops[i].bytes, bytes);
	handle = publish(i, c, flags);
	enqueue(c, i, now);
	return handle;
}

void c4_prof_op_end(const void *handle)
{
	struct c4_prof_op *op = find(handle, C4_HANDLE_OP);

	if (!op || (c4_get(&op->flags) & HANDED_OVER))
		return;
	c4_set(&op->host_last, now_ticks());
	set_flag(op, HANDED_OVER);
	check(op);
}

/* ---- kernel channels ------------------------------------------------------------------------- */

static uint64_t channel_bit(uint32_t channel)
{
	return (uint64_t)1 << channel % C4_PROF_MAX_CHANNELS;
}

/* Its first channel has begun, at gpu_ns if that is known. */
static void kernel_seen(struct c4_prof_comm *c, struct c4_prof_op *op, uint64_t gpu_ns,
			uint64_t now)
{
	uint64_t ticks = gpu_ns ? c4_gpuclock_ticks(&c->clock, gpu_ns) : now;

	c4_set(&op->host_first, now);
	count_started(c, op, ticks < now ? ticks : now);
	if (!c4_get(&c->kernels))
		c4_set(&c->kernels, 1);
	if (c4_raise_u64(&c->gpu_plan, c4_get(&op->plan)))
		look_back(c, c4_get(&op->seq));
}

void *c4_prof_kernel_begin(const void *handle, uint32_t channel, uint64_t gpu_ns)
{
	struct c4_prof_op *op = find(handle, C4_HANDLE_OP);
	struct c4_handle h = c4_handle_read(handle);
	uint64_t bit = channel_bit(channel), now = now_ticks();
	struct c4_prof_comm *c;

	if (!op || (c4_get(&op->flags) & OVER))
		return NULL;
	c = comm_of(op);
	c4_gpuclock_add(&c->clock, gpu_ns, now);
	if (gpu_ns)
		c4_lower_u64(&op->gpu_first, gpu_ns);
	__atomic_fetch_and(&op->ended, ~bit, __ATOMIC_SEQ_CST);
	if (!__atomic_fetch_or(&op->began, bit, __ATOMIC_SEQ_CST))
		kernel_seen(c, op, gpu_ns, now);
	h.kind = C4_HANDLE_KERNEL;
	h.sub = (uint8_t)(channel % C4_PROF_MAX_CHANNELS);
	return c4_handle_make(h);
}

void c4_prof_kernel_time(const void *handle, uint64_t gpu_ns)
{
	struct c4_prof_op *op = find(handle, C4_HANDLE_KERNEL);

	if (!op)
		return;
	c4_gpuclock_add(&comm_of(op)->clock, gpu_ns, now_ticks());
	c4_raise_u64(&op->gpu_last, gpu_ns);
}

void c4_prof_kernel_end(const void *handle)
{
	struct c4_prof_op *op = find(handle, C4_HANDLE_KERNEL);

	if (!op)
		return;
	c4_set(&op->host_last, now_ticks());
	__atomic_fetch_or(&op->ended, channel_bit(c4_handle_read(handle).sub), __ATOMIC_SEQ_CST);
	check(op);
}

/* ---- proxies --------------------------------------------------------------------------------- */

static inline bool tells_steps(const struct c4_prof_op *op)
{
	bool chosen;

	if (!c4_get(&c4_prof_detail_chooses))
		return true;
	chosen = c4_get(&op->flags) & MESSAGE ? c4_get(&op->flags) & CHOSEN
					      : c4_prof_detail_chosen(c4_get(&op->opno));
	return chosen || c4_prof_detail_asked();
}

bool c4_prof_op_proxy_begin(const void *handle, struct c4_prof_parent *ret)
{
	struct c4_prof_op *op = find(handle, C4_HANDLE_OP);

	if (!op)
		return false;
	ret->refused = !tells_steps(op);
	if (ret->refused)
		return true;
	__atomic_fetch_add(&op->proxies, 1u << 16 | 1, __ATOMIC_SEQ_CST);
	ret->comm = comm_of(op);
	ret->opno = c4_get(&op->opno);
	return true;
}

void c4_prof_op_proxy_end(const void *handle)
{
	struct c4_prof_op *op = find(handle, C4_HANDLE_OP);

	if (!op)
		return;
	c4_set(&op->host_last, now_ticks());
	if (!(uint16_t)(__atomic_sub_fetch(&op->proxies, 1, __ATOMIC_SEQ_CST)))
		check(op);
}

/* ---- the communicator goes ------------------------------------------------------------------- */

void c4_prof_ops_drop(const struct c4_prof_comm *c)
{
	uint32_t used = c4_get(&pool.fresh), both = RECORDED | HANDED_OVER;

	for (uint32_t i = 0; i < used && i < OPS; i++) {
		struct c4_prof_op *op = &ops[i];

		if (__atomic_load_n(&op->comm, __ATOMIC_ACQUIRE) != c->index + 1u)
			continue;
		if ((__atomic_fetch_or(&op->flags, OVER | both, __ATOMIC_SEQ_CST) & both) != both)
			give_back(op);
	}
}
