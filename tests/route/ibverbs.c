// SPDX-License-Identifier: BSD-3-Clause
#include "tests/route/verbs.h"

#include <errno.h>
#include <string.h>
#include <time.h>

extern struct fake_verbs fake_verbs;
struct fake_verbs fake_verbs;

int ibv_modify_qp(struct c4_ibv_qp *qp, struct c4_ibv_attr *attr, int mask);
int ibv_destroy_qp(struct c4_ibv_qp *qp);
int ibv_query_gid(struct c4_ibv_context *c, uint8_t port, int index, uint8_t *gid);

static int drains(struct fake_verbs *f)
{
	uint32_t left = __atomic_load_n(&f->draining, __ATOMIC_RELAXED);

	if (left && left != FAKE_FOR_EVER)
		__atomic_fetch_sub(&f->draining, 1, __ATOMIC_RELAXED);
	return left != 0;
}

static int judge(const struct c4_ibv_qp *qp, const struct c4_ibv_attr *attr, int mask)
{
	struct fake_verbs *f = &fake_verbs;

	if (!(mask & C4_IBV_STATE))
		return qp->state != C4_IBV_SQD || f->refuse_av || f->bare_av ? EINVAL : 0;
	if (attr->state == C4_IBV_RTR && f->refuse_label && attr->ah.flow_label)
		return EINVAL;
	if (attr->state == C4_IBV_SQD && mask & C4_IBV_AV)
		return f->refuse_av || qp->state != C4_IBV_SQD ? EINVAL : 0;
	if (attr->state == C4_IBV_SQD)
		return f->refuse_sqd || qp->state != C4_IBV_RTS ? EOPNOTSUPP : 0;
	return attr->state == C4_IBV_RTS && qp->state == C4_IBV_SQD && drains(f) ? EINVAL : 0;
}

int ibv_modify_qp(struct c4_ibv_qp *qp, struct c4_ibv_attr *attr, int mask)
{
	struct fake_verbs *f = &fake_verbs;
	const struct timespec t = {0, f->hold_us * 1000L};
	uint32_t i;
	int rc;

	if (qp == f->guarded && __atomic_add_fetch(&f->busy, 1, __ATOMIC_SEQ_CST) > 1)
		__atomic_fetch_add(&f->crossed, 1, __ATOMIC_RELAXED);
	if (t.tv_nsec)
		nanosleep(&t, NULL);
	rc = judge(qp, attr, mask);
	if (!rc && mask & C4_IBV_STATE)
		qp->state = attr->state;
	i = __atomic_fetch_add(&f->calls, 1, __ATOMIC_ACQ_REL);
	if (i < FAKE_CALLS)
		f->call[i] = (struct fake_call){qp, attr->state, attr->ah.flow_label, mask, rc};
	if (qp == f->guarded)
		__atomic_fetch_sub(&f->busy, 1, __ATOMIC_SEQ_CST);
	return rc;
}

int ibv_destroy_qp(struct c4_ibv_qp *qp)
{
	struct fake_verbs *f = &fake_verbs;

	if (qp == f->guarded && __atomic_load_n(&f->busy, __ATOMIC_SEQ_CST))
		__atomic_fetch_add(&f->crossed, 1, __ATOMIC_RELAXED);
	memset(qp, 0xee, sizeof *qp); /* who looks at it now is caught */
	__atomic_fetch_add(&f->destroyed, 1, __ATOMIC_RELAXED);
	return 0;
}

int ibv_query_gid(struct c4_ibv_context *c, uint8_t port, int index, uint8_t *gid)
{
	(void)c, (void)port, (void)index;
	memcpy(gid, fake_verbs.gid, sizeof fake_verbs.gid);
	return 0;
}
