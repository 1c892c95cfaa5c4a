// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/routes/qpairs.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/daemon/pidfd.h"
#include "common/base/hash.h"
#include "common/ds/vec.h"

#define KEEP_NS (C4_ROUTE_QP_KEEP_MS * 1000000ull)
#define AT_ONCE 256u /* removing moves entries of the map: some at a time, found first */

/* ---- processes ------------------------------------------------------------------------------ */

static struct c4_qpair_owner *add_owner(struct c4_qpairs *s, uint32_t pid)
{
	struct c4_qpair_owner *o = calloc(1, sizeof *o);

	if (!o || c4_map_put(&s->owners, pid, o)) {
		free(o);
		return NULL;
	}
	o->pid = pid;
	o->fd = s->nfds < C4_QPAIRS_PIDFDS ? c4_pidfd_open(pid) : -1;
	o->ended = o->fd == -ESRCH;
	if (o->fd < 0)
		o->fd = -1;
	else
		s->nfds++;
	return o;
}

static void drop_owner(struct c4_qpairs *s, struct c4_qpair_owner *o)
{
	if (!o || --o->n)
		return;
	c4_map_del(&s->owners, o->pid);
	if (o->fd >= 0) {
		close(o->fd);
		s->nfds--;
	}
	free(o);
}

/* One whose parent has not fetched its status has ended, too: only a descriptor tells that. */
static bool has_ended(const struct c4_qpair_owner *o)
{
	struct pollfd p = {.fd = o->fd, .events = POLLIN};

	if (o->fd >= 0)
		return poll(&p, 1, 0) > 0;
	return kill((pid_t)o->pid, 0) && errno == ESRCH;
}

/* ---- queue pairs ---------------------------------------------------------------------------- */

static uint64_t name_of(uint32_t pid, uint64_t id)
{
	return c4_hash_u64(pid, id);
}

/* One whose name hashes alike is another one: ret NULL, and there is no room for a second. */
static struct c4_qpair *find(const struct c4_qpairs *s, uint32_t pid, uint64_t id)
{
	struct c4_qpair *x = c4_map_get(&s->by_name, name_of(pid, id));

	return x && x->pid == pid && x->id == id ? x : NULL;
}

static void forget(struct c4_qpairs *s, struct c4_qpair *x)
{
	c4_map_del(&s->by_name, name_of(x->pid, x->id));
	drop_owner(s, x->owner);
	free(x);
	s->n--;
}

/* NULL: no room. */
static struct c4_qpair *add(struct c4_qpairs *s, uint32_t pid, uint64_t id, bool visible)
{
	struct c4_qpair_owner *o = visible ? c4_map_get(&s->owners, pid) : NULL;
	struct c4_qpair *x;

	if (s->n >= C4_QPAIRS_MAX || c4_map_get(&s->by_name, name_of(pid, id)))
		return NULL;
	if (visible && !o)
		o = add_owner(s, pid);
	x = o || !visible ? calloc(1, sizeof *x) : NULL;
	if (o)
		o->n++;
	if (!x || c4_map_put(&s->by_name, name_of(pid, id), x)) {
		free(x);
		drop_owner(s, o);
		return NULL;
	}
	x->pid = pid;
	x->id = id;
	x->owner = o;
	s->n++;
	return x;
}

void c4_qpairs_take(struct c4_qpairs *s, const struct c4_route_qp *m, uint32_t pid, uint64_t now_ns)
{
	uint32_t of = pid ? pid : m->pid;
	struct c4_qpair *x = find(s, of, m->id);

	if (m->kind == C4_ROUTE_QP_GONE) {
		if (x)
			forget(s, x);
		return;
	}
	if (!x)
		x = add(s, of, m->id, pid != 0);
	if (!x) {
		s->crowded++;
		return;
	}
	x->src = m->src;
	x->dst = m->dst;
	x->sport = m->sport;
	x->qpn = m->qpn;
	x->peer_qpn = m->peer_qpn;
	x->slot = m->slot;
	x->told_ns = now_ns;
}

void c4_qpairs_release(struct c4_qpairs *s)
{
	struct c4_map_entry *e;

	c4_map_for_each (e, &s->by_name) {
		struct c4_qpair *x = e->value;

		drop_owner(s, x->owner);
		free(x);
	}
	c4_map_release(&s->by_name);
	c4_map_release(&s->owners);
	free(s->groups);
	*s = (struct c4_qpairs){0};
}

/* ---- those that are there no more ----------------------------------------------------------- */

static bool is_over(const struct c4_qpair *x, uint64_t now_ns)
{
	return (x->owner && x->owner->ended) || now_ns >= x->told_ns + KEEP_NS;
}

static uint32_t find_over(const struct c4_qpairs *s, struct c4_qpair **some, uint64_t now_ns)
{
	struct c4_map_entry *e;
	uint32_t n = 0;

	c4_map_for_each (e, &s->by_name)
		if (n < AT_ONCE && is_over(e->value, now_ns))
			some[n++] = e->value;
	return n;
}

void c4_qpairs_sweep(struct c4_qpairs *s, uint64_t now_ns)
{
	struct c4_qpair *some[AT_ONCE];
	struct c4_map_entry *e;
	uint32_t n;

	c4_map_for_each (e, &s->owners) {
		struct c4_qpair_owner *o = e->value;

		o->ended = o->ended || has_ended(o);
	}
	do {
		n = find_over(s, some, now_ns);
		for (uint32_t i = 0; i < n; i++) {
			bool ended = some[i]->owner && some[i]->owner->ended;

			*(ended ? &s->ended : &s->expired) += 1;
			forget(s, some[i]);
		}
	} while (n == AT_ONCE);
}

/* ---- by path -------------------------------------------------------------------------------- */

static int by_ends(const void *a, const void *b)
{
	const struct c4_qpair_group *x = a, *y = b;

	if (x->src != y->src)
		return x->src < y->src ? -1 : 1;
	if (x->dst != y->dst)
		return x->dst < y->dst ? -1 : 1;
	return x->sport < y->sport ? -1 : x->sport > y->sport;
}

/* Neighbours of one path become one. */
static uint32_t merge(struct c4_qpair_group *v, uint32_t n)
{
	uint32_t to = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (to && !by_ends(&v[to - 1], &v[i]))
			v[to - 1].n += v[i].n;
		else
			v[to++] = v[i];
	}
	return to;
}

uint32_t c4_qpairs_group(struct c4_qpairs *s, const struct c4_qpair_group **ret)
{
	struct c4_qpair_group *v =
		c4_vec_reserve(s->groups, &s->groups_cap, s->n + 1, C4_QPAIRS_MAX + 1, sizeof *v);
	struct c4_map_entry *e;
	uint32_t n = 0;

	*ret = NULL;
	if (!v)
		return 0;
	s->groups = v;
	c4_map_for_each (e, &s->by_name) {
		const struct c4_qpair *x = e->value;

		v[n++] = (struct c4_qpair_group){x->src, x->dst, x->sport, 1};
	}
	qsort(v, n, sizeof *v, by_ends);
	*ret = v;
	return merge(v, n);
}
