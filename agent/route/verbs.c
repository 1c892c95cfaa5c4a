// SPDX-License-Identifier: BSD-3-Clause
/*
 * verbs.c - queue pairs to planned peers get the flow label whose UDP port takes their path.
 *
 * A label is part of the address that a queue pair learns when it goes from INIT to RTR, in a copy
 * of the program's attributes. If the device refuses it, it is given the program's own. Only
 * connected queue pairs between IPv4-mapped GIDs are meant, and only those that leave from the
 * address that the plan knows. Those that are not planned are remembered as well: the agent hears
 * of them, and they may be planned later.
 */
#include "agent/route/verbs.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "agent/route/ask.h"
#include "agent/route/attach.h"
#include "agent/route/mover.h"
#include "agent/route/qps.h"
#include "agent/route/real.h"
#include "agent/route/tell.h"
#include "common/base/clock.h"
#include "common/base/label.h"

#define LIBRARY "libibverbs.so.1"

/* ---- the real ones -------------------------------------------------------------------------- */

static struct c4_verbs real;
static bool looked; /* atomic */

static const struct {
	const char *name;
	void **real;
	void *ours; /* NULL: only asked by ourselves */
} calls[] = {
	{"ibv_modify_qp", (void **)&real.modify_qp, (void *)c4_modify_qp},
	{"ibv_destroy_qp", (void **)&real.destroy_qp, (void *)c4_destroy_qp},
	{"ibv_query_gid", (void **)&real.query_gid, NULL},
};

#define CALLS (sizeof calls / sizeof calls[0])

/* What is known stays: whoever took a pointer goes on using it. */
static void *learn(size_t i, void *p)
{
	void *none = NULL;

	if (!p || p == calls[i].ours)
		return p;
	return __atomic_compare_exchange_n(calls[i].real, &none, p, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE)
		       ? p
		       : none;
}

static void look_in(void *handle)
{
	for (size_t i = 0; i < CALLS; i++)
		if (!__atomic_load_n(calls[i].real, __ATOMIC_ACQUIRE))
			learn(i, c4_route_real()->dlvsym(handle, calls[i].name, C4_IBV_VERSION));
}

const struct c4_verbs *c4_verbs_real(void)
{
	int saved = errno;
	void *library;

	if (__atomic_load_n(&looked, __ATOMIC_ACQUIRE))
		return &real;
	look_in(RTLD_NEXT);
	library = dlopen(LIBRARY, RTLD_LAZY | RTLD_NOLOAD); /* kept: we hold pointers into it */
	if (library)
		look_in(library);
	if (real.modify_qp && real.destroy_qp)
		__atomic_store_n(&looked, true, __ATOMIC_RELEASE);
	errno = saved;
	return &real;
}

void *c4_verbs_wrap(const char *name, void *p)
{
	for (size_t i = 0; p && i < CALLS; i++)
		if (calls[i].ours && !strcmp(name, calls[i].name))
			return learn(i, p) == p ? calls[i].ours : p;
	return p;
}

/* ---- labels --------------------------------------------------------------------------------- */

static uint32_t mapped_ip(const uint8_t *gid)
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

	if (memcmp(gid, prefix, sizeof prefix) != 0)
		return 0;
	return (uint32_t)gid[12] << 24 | (uint32_t)gid[13] << 16 | (uint32_t)gid[14] << 8 | gid[15];
}

static bool is_meant(const struct c4_ibv_qp *qp, const struct c4_ibv_attr *attr, int mask)
{
	return (mask & C4_IBV_STATE) && (mask & C4_IBV_AV) && attr->state == C4_IBV_RTR &&
	       attr->ah.is_global && (qp->type == C4_IBV_RC || qp->type == C4_IBV_UC);
}

/* The address it leaves from, 0 if that is no IPv4 one; where nobody can tell, the plan's. */
static uint32_t source_of(const struct c4_rtable *t, const struct c4_ibv_qp *qp,
			  const struct c4_ibv_ah *ah, uint32_t dst)
{
	uint8_t gid[16] __attribute__((aligned(8))) = {0};

	if (real.query_gid && !real.query_gid(qp->context, ah->port_num, ah->sgid_index, gid))
		return mapped_ip(gid);
	return t ? c4_rtable_peer(t, dst) : 0;
}

/* The port that its packets have: of its label, or what stands in for none. */
static uint16_t port_of(const struct c4_qp_route *r)
{
	return c4_label_to_port(r->ah.flow_label ? r->ah.flow_label
						 : c4_label_of_numbers(r->qpn, r->peer_qpn));
}

/* As its program wants it. */
static struct c4_qp_route described(const struct c4_rtable *t, const struct c4_ibv_qp *qp,
				    const struct c4_ibv_attr *attr, int mask)
{
	struct c4_qp_route r = {
		.ah = attr->ah,
		.dst = mapped_ip(attr->ah.dgid),
		.qpn = qp->num,
		.peer_qpn = mask & C4_IBV_DEST_QPN ? attr->dest_qp_num : 0,
		.slot = -1,
	};

	if (r.dst)
		r.src = source_of(t, qp, &r.ah, r.dst);
	r.port = port_of(&r);
	return r;
}

/* A label and the slot it belongs to, in *r. False: none is planned. */
static bool choose(const struct c4_rtable *t, struct c4_qp_route *r)
{
	uint32_t src = c4_rtable_peer(t, r->dst);
	struct c4_route_dest d;
	uint16_t port;
	int at, slot;

	if (!src || r->src != src)
		return false;
	at = c4_route_ports(t, C4_ROUTE_UDP, r->dst, C4_ROUTE_RDMA_PORT, &d);
	if (at < 0 || d.src != src)
		return false;
	port = c4_route_claim_port(t, at, &d, c4_mono_ns(), &slot);
	if (!port)
		return false;
	r->at = at;
	r->slot = slot;
	r->port = port;
	r->ah.flow_label = c4_label_of_port(port);
	r->moved = d.slot[slot].moved;
	r->instance = t->hdr->instance;
	return true;
}

/* It has reached RTR: it will follow the plan, and the agent hears of it. */
static void remember(const struct c4_rtable *t, struct c4_ibv_qp *qp, struct c4_qp_route *r)
{
	bool runs = t ? !c4_mover_start() : c4_mover_runs();
	struct c4_qp *e;

	r->id = c4_tell_id();
	e = c4_qps_add(qp, r);
	if (t && r->slot >= 0 && (!e || !runs))
		c4_rtable_count(t, C4_ROUTE_STAT_STUCK);
	if (t && !e)
		c4_rtable_count(t, C4_ROUTE_STAT_UNTOLD);
	if (t && e)
		c4_tell_up(t, e, c4_mono_ns());
	if (e)
		c4_qps_release(e);
}

/* With a planned label, if there is one for *r. -1: nothing was done. */
static int modify_labelled(const struct c4_rtable *t, struct c4_ibv_qp *qp,
			   const struct c4_ibv_attr *attr, int mask, struct c4_qp_route *r)
{
	struct c4_ibv_attr copy = {0};
	struct c4_qp_route chosen = *r;

	if (!choose(t, &chosen))
		return -1;
	memcpy(&copy, attr,
	       mask & C4_IBV_RATE_LIMIT ? sizeof copy : offsetof(struct c4_ibv_attr, rate_limit));
	copy.ah.flow_label = chosen.ah.flow_label;
	if (real.modify_qp(qp, &copy, mask)) {
		c4_rtable_unclaim(t, chosen.at, chosen.slot, c4_mono_ns());
		return -1;
	}
	c4_rtable_count(t, C4_ROUTE_STAT_LABELLED);
	*r = chosen;
	return 0;
}

/* ---- the wrappers --------------------------------------------------------------------------- */

/* A held entry whose queue pair has left its path for good: forgotten, its slot given back. */
static void leave(struct c4_qp *e)
{
	const struct c4_rtable *t = c4_attach_get(c4_mono_ns());

	if (t && e->r.slot >= 0 && t->hdr->instance == e->r.instance)
		c4_rtable_unclaim(t, e->r.at, e->r.slot, c4_mono_ns());
	if (t)
		c4_tell_gone(t, e);
	c4_attach_put(t);
	c4_qps_forget(e);
}

/* Its program has given it another label. The mover tells the agent. */
static void relabelled(struct c4_qp *e, const struct c4_ibv_attr *attr)
{
	e->r.ah = attr->ah;
	e->r.port = port_of(&e->r);
	e->r.told_instance = 0;
}

static int modify_known(struct c4_qp *e, struct c4_ibv_qp *qp, struct c4_ibv_attr *attr, int mask)
{
	int rc = real.modify_qp(qp, attr, mask), saved = errno;

	if (!rc && mask & C4_IBV_AV)
		relabelled(e, attr);
	if (rc || !(mask & C4_IBV_STATE)) {
		c4_qps_release(e);
	} else if (attr->state == C4_IBV_RTR || attr->state == C4_IBV_RTS ||
		   attr->state == C4_IBV_SQD) {
		e->r.sends = attr->state == C4_IBV_RTS;
		e->r.waits = false;
		c4_qps_release(e);
	} else {
		leave(e);
	}
	errno = saved;
	return rc;
}

/* While no agent lives, and none ever did, nothing is looked at. */
static int modify_new(struct c4_ibv_qp *qp, struct c4_ibv_attr *attr, int mask)
{
	const struct c4_rtable *t = c4_attach_get(c4_mono_ns());
	struct c4_qp_route r = {.dst = 0};
	int saved = errno, rc = -1;

	if (t || c4_mover_runs())
		r = described(t, qp, attr, mask);
	if (t)
		rc = modify_labelled(t, qp, attr, mask, &r);
	errno = saved;
	if (rc < 0)
		rc = real.modify_qp(qp, attr, mask);
	saved = errno;
	if (!rc && r.src)
		remember(t, qp, &r);
	c4_attach_put(t);
	errno = saved;
	return rc;
}

int c4_modify_qp(struct c4_ibv_qp *qp, struct c4_ibv_attr *attr, int mask)
{
	struct c4_qp *e;

	if (!c4_verbs_real()->modify_qp)
		return ENOSYS;
	if (!qp || !attr || c4_mover_in_child())
		return real.modify_qp(qp, attr, mask);
	e = c4_qps_hold(qp);
	if (e)
		return modify_known(e, qp, attr, mask);
	return is_meant(qp, attr, mask) ? modify_new(qp, attr, mask)
					: real.modify_qp(qp, attr, mask);
}

int c4_destroy_qp(struct c4_ibv_qp *qp)
{
	struct c4_qp *e;
	int saved = errno;

	if (!c4_verbs_real()->destroy_qp)
		return ENOSYS;
	e = qp && !c4_mover_in_child() ? c4_qps_hold(qp) : NULL;
	if (e)
		leave(e);
	errno = saved;
	return real.destroy_qp(qp);
}
