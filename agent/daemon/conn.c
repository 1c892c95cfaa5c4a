// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/daemon/bits.h"
#include "common/ds/vec.h"

#define STILL_NS    1000000000ull /* without progress for so long: at rest, or stuck */
#define TYPICAL	    80		  /* bytes of a message Conn */
#define BUDGET_FULL 12000
#define FILL_NS	    60000000000ull /* more than enough to fill it */

/* How urgent it is to tell a connection, and how much of the budget is not for its kind. */
enum urgency { STUCK, AT_REST, MOVING };
static const int64_t reserve[] = {[STUCK] = 0, [AT_REST] = 5000, [MOVING] = 10000};

int c4_conns_init(struct c4_conns *s, uint32_t cap)
{
	*s = (struct c4_conns){.budget = BUDGET_FULL};
	if (!cap)
		return 0;
	s->slots = calloc(cap, sizeof *s->slots);
	if (!s->slots)
		return -ENOMEM;
	s->cap = cap;
	return 0;
}

void c4_conns_release(struct c4_conns *s)
{
	for (uint32_t i = 0; i < s->cap; i++)
		free(s->slots[i]);
	for (uint32_t i = 0; i < s->nretired; i++)
		free(s->retired[i]);
	free(s->slots);
	free(s->retired);
	free(s->due);
	*s = (struct c4_conns){0};
}

/* ---- reading -------------------------------------------------------------------------------- */

static struct c4_conn_state state_of(const struct c4_seg_conn *c)
{
	return (struct c4_conn_state){.change_ticks = c->change_ticks,
				      .posted = c->posted,
				      .transmitted = c->transmitted,
				      .done = c->done,
				      .phase = c->phase,
				      .active = c->active};
}

static bool changed(const struct c4_conn *c)
{
	struct c4_conn_state now = state_of(&c->now);

	return memcmp(&now, &c->told, sizeof now) != 0;
}

/* The same connection, later; its counters never go back. */
static bool continues(const struct c4_seg_conn *before, const struct c4_seg_conn *now)
{
	return before->gen == now->gen && before->comm == now->comm && before->rank == now->rank &&
	       before->peer == now->peer && before->channel == now->channel &&
	       before->sends == now->sends && before->flags == now->flags &&
	       before->posted <= now->posted && before->transmitted <= now->transmitted &&
	       before->done <= now->done && before->bytes <= now->bytes;
}

static void retire(struct c4_conns *s, uint32_t slot)
{
	struct c4_conn *c = s->slots[slot], **grown;

	s->slots[slot] = NULL;
	c->now.active = 0; /* whatever it was in has ended with it */
	c->now.phase = C4_CONN_IDLE;
	if (!changed(c)) {
		free(c);
		return;
	}
	grown = c4_vec_reserve(s->retired, &s->retired_cap, s->nretired + 1, s->cap, sizeof *grown);
	if (!grown) {
		s->lost++;
		free(c);
		return;
	}
	s->retired = grown;
	s->retired[s->nretired++] = c;
}

static void look_slot(struct c4_conns *s, struct c4_seg_reader *seg, uint32_t slot)
{
	struct c4_seg_conn now;

	if (c4_seg_read_conn(seg, slot, &now)) /* being written: next time */
		return;
	if (s->slots[slot] && !continues(&s->slots[slot]->now, &now))
		retire(s, slot);
	if (!s->slots[slot])
		s->slots[slot] = calloc(1, sizeof **s->slots);
	if (s->slots[slot])
		s->slots[slot]->now = now;
}

void c4_conns_look(struct c4_conns *s, struct c4_seg_reader *seg)
{
	uint32_t left = seg->owner_gone ? s->cap : C4_CONNS_READ;
	uint64_t used[C4_CONNS_MAX / 64];
	uint32_t first = s->at;

	s->ndue = 0; /* may be freed now */
	if (!s->cap || c4_seg_used_conns(seg, used, C4_CONNS_MAX))
		return;
	for (uint32_t i = 0; i < s->cap; i++)
		if (s->slots[i] && !c4_bit_test(used, i))
			retire(s, i);
	for (uint32_t i = 0; i < s->cap && left; i++) {
		s->at = (first + i) % s->cap;
		if (!c4_bit_test(used, s->at))
			continue;
		look_slot(s, seg, s->at);
		left--;
	}
	s->at = (s->at + 1) % s->cap;
}

/* ---- picking -------------------------------------------------------------------------------- */

static uint64_t since(uint64_t later, uint64_t earlier)
{
	return later > earlier ? later - earlier : 0;
}

/* What so many bytes a second are in that time. */
static uint64_t bytes_in(uint64_t ns, uint64_t rate)
{
	return (ns < FILL_NS ? ns : FILL_NS) * rate / 1000000000u;
}

static void refill(struct c4_conns *s, uint64_t now_ns)
{
	uint64_t ns = since(now_ns, s->filled_ns);
	uint64_t fill = since(bytes_in(ns, C4_PROCESS_RATE), s->other);

	if (fill < bytes_in(ns, C4_CONNS_RATE_MIN))
		fill = bytes_in(ns, C4_CONNS_RATE_MIN);
	if (fill > bytes_in(ns, C4_CONNS_RATE_MAX))
		fill = bytes_in(ns, C4_CONNS_RATE_MAX);
	if (now_ns < s->asked_ns && fill < bytes_in(ns, C4_CONNS_RATE_ASKED))
		fill = bytes_in(ns, C4_CONNS_RATE_ASKED);
	s->budget += (int64_t)fill;
	if (s->budget > BUDGET_FULL)
		s->budget = BUDGET_FULL;
	s->filled_ns = now_ns;
	s->other = 0;
}

void c4_conns_ask(struct c4_conns *s, uint64_t until_ns)
{
	s->asked_ns = until_ns;
}

struct candidate {
	enum urgency urgency;
	struct c4_conn *conn;
};

struct candidates {
	const struct c4_tick_rate *rate;
	uint64_t now_ns;
	uint32_t n;
	struct candidate list[2 * C4_CONNS_MAX];
};

static enum urgency urgency_of(const struct candidates *all, const struct c4_seg_conn *c)
{
	uint64_t change_ns = c4_ticks_to_mono(all->rate, c->change_ticks);

	if (since(all->now_ns, change_ns) < STILL_NS)
		return MOVING;
	return c->active ? STUCK : AT_REST;
}

static void consider(struct candidates *all, struct c4_conn *c)
{
	if (c && changed(c))
		all->list[all->n++] = (struct candidate){urgency_of(all, &c->now), c};
}

static int by_urgency(const void *pa, const void *pb)
{
	const struct candidate *a = pa, *b = pb;

	if (a->urgency != b->urgency)
		return a->urgency < b->urgency ? -1 : 1;
	if (a->conn->told_ns != b->conn->told_ns)
		return a->conn->told_ns < b->conn->told_ns ? -1 : 1;
	return 0;
}

/* How many of the sorted ones the budget allows. */
static uint32_t affordable(const struct c4_conns *s, const struct candidates *all)
{
	int64_t budget = s->budget;
	uint32_t n = 0;

	while (n < all->n && n < C4_CONNS_POST && budget > reserve[all->list[n].urgency]) {
		budget -= TYPICAL;
		n++;
	}
	return n;
}

static void raise_to(uint64_t *v, uint64_t to)
{
	if (to > *v)
		*v = to;
}

/* A better rate must not turn the sums back. */
static void measure(struct c4_conn *c, const struct c4_tick_rate *rate)
{
	raise_to(&c->busy_ns, c4_ticks_to_ns(rate, c->now.busy_ticks));
	raise_to(&c->gpu_ns, c4_ticks_to_ns(rate, c->now.gpu_ticks));
	raise_to(&c->peer_ns, c4_ticks_to_ns(rate, c->now.peer_ticks));
}

void c4_conns_pick(struct c4_conns *s, const struct c4_tick_rate *rate, uint64_t now_ns, bool last)
{
	static struct candidates all; /* too large for a stack; one thread */
	struct c4_conn **grown;
	uint32_t n;

	if (!s->cap)
		return;
	all.rate = rate;
	all.now_ns = now_ns;
	all.n = 0;
	for (uint32_t i = 0; i < s->cap; i++)
		consider(&all, s->slots[i]);
	for (uint32_t i = 0; i < s->nretired; i++)
		consider(&all, s->retired[i]);
	qsort(all.list, all.n, sizeof *all.list, by_urgency);
	refill(s, now_ns);
	n = last ? all.n : affordable(s, &all);
	if (n > C4_CONNS_POST)
		n = C4_CONNS_POST;
	grown = c4_vec_reserve(s->due, &s->due_cap, n, C4_CONNS_POST, sizeof *grown);
	s->due = grown ? grown : s->due;
	s->ndue = grown ? n : 0;
	s->late = all.n - s->ndue;
	for (uint32_t i = 0; i < s->ndue; i++) {
		s->due[i] = all.list[i].conn;
		measure(s->due[i], rate);
	}
}

/* ---- told ----------------------------------------------------------------------------------- */

static void forget_retired(struct c4_conns *s)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < s->nretired; i++) {
		if (changed(s->retired[i]))
			s->retired[kept++] = s->retired[i];
		else
			free(s->retired[i]);
	}
	s->nretired = kept;
}

void c4_conns_told(struct c4_conns *s, uint64_t now_ns, size_t bytes, size_t other)
{
	for (uint32_t i = 0; i < s->ndue; i++) {
		s->due[i]->told = state_of(&s->due[i]->now);
		s->due[i]->told_ns = now_ns;
	}
	s->ndue = 0;
	s->budget -= (int64_t)bytes;
	s->other += other;
	forget_retired(s);
}

void c4_conns_forget_told(struct c4_conns *s)
{
	for (uint32_t i = 0; i < s->cap; i++)
		if (s->slots[i])
			s->slots[i]->told = (struct c4_conn_state){0};
}
