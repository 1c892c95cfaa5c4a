// SPDX-License-Identifier: BSD-3-Clause
#include "agent/route/tell.h"

#include <errno.h>
#include <unistd.h>

#include "agent/route/attach.h"
#include "common/base/clock.h"

#define AGAIN_NS (C4_ROUTE_QP_AGAIN_MS * 1000000ull)

/* Begins at the clock: a program that was executed in place of this one has the same pid. */
uint64_t c4_tell_id(void)
{
	static uint64_t last; /* atomic */
	uint64_t none = 0;

	__atomic_compare_exchange_n(&last, &none, c4_mono_ns(), false, __ATOMIC_RELAXED,
				    __ATOMIC_RELAXED);
	return __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
}

bool c4_tell_due(const struct c4_rtable *t, const struct c4_qp_route *r, uint64_t now_ns)
{
	return r->told_instance != t->hdr->instance || now_ns - r->told_ns >= AGAIN_NS;
}

/* A slot of an earlier agent's table is none of this one's. */
static uint8_t claimed(const struct c4_rtable *t, const struct c4_qp_route *r)
{
	return r->slot >= 0 && r->instance == t->hdr->instance ? (uint8_t)r->slot : C4_ROUTE_SLOTS;
}

static int say(const struct c4_rtable *t, const struct c4_qp *e, enum c4_route_qp_kind kind)
{
	const struct c4_route_qp m = {
		.magic = C4_ROUTE_QP_MAGIC,
		.version = C4_ROUTE_VERSION,
		.kind = (uint8_t)kind,
		.slot = claimed(t, &e->r),
		.src = e->r.src,
		.dst = e->r.dst,
		.sport = e->r.port,
		.qpn = e->r.qpn,
		.peer_qpn = e->r.peer_qpn,
		.pid = (uint32_t)getpid(),
		.id = e->r.id,
	};

	return c4_attach_send(&m, sizeof m);
}

int c4_tell_up(const struct c4_rtable *t, struct c4_qp *e, uint64_t now_ns)
{
	if (say(t, e, C4_ROUTE_QP_UP) == -EAGAIN)
		return -EAGAIN;
	e->r.told_instance = t->hdr->instance;
	e->r.told_ns = now_ns;
	return 0;
}

void c4_tell_gone(const struct c4_rtable *t, const struct c4_qp *e)
{
	if (e->r.told_instance == t->hdr->instance)
		say(t, e, C4_ROUTE_QP_GONE);
}
