// SPDX-License-Identifier: BSD-3-Clause
#include "agent/route/qps.h"

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/hash.h"

#define NEAR	 64u /* an entry is this near to its place, or nowhere */
#define HELD	 1u
#define AWAITED	 2u
#define RESERVED ((struct c4_ibv_qp *)1) /* being filled in */

static struct c4_qp qps[C4_QPS];

static struct c4_qp *place(const void *qp, uint32_t i)
{
	return &qps[(c4_mix64((uintptr_t)qp) + i) % C4_QPS];
}

static struct c4_ibv_qp *who(const struct c4_qp *e)
{
	return __atomic_load_n(&e->qp, __ATOMIC_ACQUIRE);
}

/* The usual mutex on a futex (Drepper, "Futexes are tricky"), for it may be held for long. */
static void hold(struct c4_qp *e)
{
	uint32_t was = 0;

	if (__atomic_compare_exchange_n(&e->holder, &was, HELD, false, __ATOMIC_ACQUIRE,
					__ATOMIC_RELAXED))
		return;
	while (__atomic_exchange_n(&e->holder, AWAITED, __ATOMIC_ACQUIRE))
		syscall(SYS_futex, &e->holder, FUTEX_WAIT_PRIVATE, AWAITED, NULL, NULL, 0);
}

void c4_qps_release(struct c4_qp *e)
{
	int saved = errno;

	if (__atomic_exchange_n(&e->holder, 0, __ATOMIC_RELEASE) == AWAITED)
		syscall(SYS_futex, &e->holder, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	errno = saved;
}

struct c4_qp *c4_qps_hold(const struct c4_ibv_qp *qp)
{
	int saved = errno;

	for (uint32_t i = 0; i < NEAR; i++) {
		struct c4_qp *e = place(qp, i);

		if (who(e) != qp)
			continue;
		hold(e);
		errno = saved;
		if (who(e) == qp)
			return e;
		c4_qps_release(e);
	}
	return NULL;
}

struct c4_qp *c4_qps_hold_at(uint32_t i)
{
	struct c4_qp *e = &qps[i];

	if (!who(e))
		return NULL;
	hold(e);
	if (who(e) && who(e) != RESERVED)
		return e;
	c4_qps_release(e);
	return NULL;
}

struct c4_qp *c4_qps_add(struct c4_ibv_qp *qp, const struct c4_qp_route *r)
{
	for (uint32_t i = 0; i < NEAR; i++) {
		struct c4_qp *e = place(qp, i);
		struct c4_ibv_qp *nobody = NULL;

		if (!__atomic_compare_exchange_n(&e->qp, &nobody, RESERVED, false, __ATOMIC_ACQ_REL,
						 __ATOMIC_RELAXED))
			continue;
		/* whoever held the last one may not have let go yet */
		hold(e);
		e->r = *r;
		__atomic_store_n(&e->qp, qp, __ATOMIC_RELEASE);
		return e;
	}
	return NULL;
}

void c4_qps_forget(struct c4_qp *e)
{
	__atomic_store_n(&e->qp, NULL, __ATOMIC_RELEASE);
	c4_qps_release(e);
}
