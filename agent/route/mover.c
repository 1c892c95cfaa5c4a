// SPDX-License-Identifier: BSD-3-Clause
#include "agent/route/mover.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent/route/ask.h"
#include "agent/route/attach.h"
#include "agent/route/qps.h"
#include "agent/route/tell.h"
#include "agent/route/verbs.h"
#include "common/base/clock.h"
#include "common/base/label.h"
#include "common/base/str.h"

/* It holds the thread's copy of everybody's thread-local data, too. */
#define STACK_BYTES (256u << 10)
#define IDLE_NS	    1000000000u
#define RETRY_NS    5000000u
#define DRAIN_NS    20000000u /* a queue pair's owner may be waiting for us */
#define PAUSE_NS    200000u

static bool started;	       /* atomic */
static bool in_child;	       /* atomic */
static uint64_t patient_until; /* in this round; the thread's own */

/* mlx5's own way, where its library is there. */
static struct {
	bool (*is_supported)(struct c4_ibv_device *device);
	int (*set_port)(struct c4_ibv_qp *qp, uint16_t port);
} mlx5;

bool c4_mover_runs(void)
{
	return __atomic_load_n(&started, __ATOMIC_RELAXED);
}

bool c4_mover_in_child(void)
{
	return __atomic_load_n(&in_child, __ATOMIC_RELAXED);
}

static void sleep_ns(uint64_t ns)
{
	static uint32_t never;
	const struct timespec left = {(time_t)(ns / IDLE_NS), (long)(ns % IDLE_NS)};

	syscall(SYS_futex, &never, FUTEX_WAIT_PRIVATE, 0, &left, NULL, 0);
}

/* ---- ports ---------------------------------------------------------------------------------- */

static bool has_port(const struct c4_route_slot *s, uint16_t port)
{
	for (uint32_t i = 0; i < s->nports; i++)
		if (s->port[i] == port)
			return true;
	return false;
}

/* The slot's first port that a label can stand for, 0 if there is none. */
static uint16_t best_port(const struct c4_route_slot *s)
{
	for (uint32_t i = 0; i < s->nports && i < C4_ROUTE_PORTS; i++)
		if (c4_label_of_port(s->port[i]))
			return s->port[i];
	return 0;
}

uint16_t c4_route_claim_port(const struct c4_rtable *t, int at, const struct c4_route_dest *d,
			     uint64_t now_ns, int *ret_slot)
{
	uint32_t tried = 0;
	int slot;

	while ((slot = c4_rtable_claim(t, at, d, tried, now_ns)) >= 0) {
		uint16_t port = best_port(&d->slot[slot]);

		if (port) {
			*ret_slot = slot;
			return port;
		}
		c4_rtable_unclaim(t, at, slot, now_ns);
		tried |= 1u << slot;
	}
	return 0;
}

/* ---- soft-RoCE's doorbell ------------------------------------------------------------------- */

/* Of all RDMA devices only rxe has a network interface for a parent in sysfs. */
static bool needs_doorbell(const struct c4_ibv_qp *qp)
{
	const char *dir = qp->context->device->ibdev_path;
	const size_t room = sizeof qp->context->device->ibdev_path;
	char path[sizeof qp->context->device->ibdev_path + 8];
	struct c4_str s;
	struct stat st;

	if (strnlen(dir, room) == room)
		return false;
	c4_str_init(&s, path, sizeof path);
	c4_str_add(&s, dir);
	c4_str_add(&s, "/parent");
	return !s.cut && !lstat(path, &st);
}

/* An order to send nothing: the kernel looks at what is in the queue. */
static void ring_doorbell(const struct c4_ibv_qp *qp)
{
	uint32_t bad = 0;
	const struct c4_ib_post_send order = {
		.command = C4_IB_POST_SEND,
		.in_words = sizeof order / 4,
		.out_words = sizeof bad / 4,
		.response = (uintptr_t)&bad,
		.handle = qp->handle,
		.wr_bytes = C4_IB_WR_BYTES,
	};

	syscall(SYS_write, qp->context->cmd_fd, &order, sizeof order);
}

/* ---- one queue pair ------------------------------------------------------------------------- */

static int modify(struct c4_qp *e, uint32_t state, const struct c4_ibv_ah *ah, int mask)
{
	struct c4_ibv_attr attr = {.state = state};

	if (ah)
		attr.ah = *ah;
	return c4_verbs_real()->modify_qp(e->qp, &attr, mask);
}

/*
 * Back to RTS. On a dead path that takes until the retransmit timer has fired, seconds maybe: only
 * the first ones of a round are waited for, so that the last one gets its new path as soon.
 *
 * soft-RoCE sees that the last send is acknowledged when it next looks in the queue, which a program
 * with nothing to send never makes it do.
 */
static void resume(struct c4_qp *e)
{
	bool rings = needs_doorbell(e->qp);
	int rc;

	while ((rc = modify(e, C4_IBV_RTS, NULL, C4_IBV_STATE)) && c4_mono_ns() < patient_until) {
		if (rings)
			ring_doorbell(e->qp);
		sleep_ns(PAUSE_NS);
	}
	e->r.waits = rc != 0;
	if (rings) /* what was held back goes, or it looks whether it has drained */
		ring_doorbell(e->qp);
}

static int move_by_pause(struct c4_qp *e, const struct c4_ibv_ah *ah)
{
	int rc = modify(e, C4_IBV_SQD, NULL, C4_IBV_STATE);

	if (rc)
		return rc;
	rc = modify(e, C4_IBV_SQD, ah, C4_IBV_AV);
	if (rc) /* others want the state named */
		rc = modify(e, C4_IBV_SQD, ah, C4_IBV_STATE | C4_IBV_AV);
	resume(e);
	return rc;
}

static int move(struct c4_qp *e, uint16_t port)
{
	struct c4_ibv_ah ah = e->r.ah;
	int rc;

	ah.flow_label = c4_label_of_port(port);
	if (mlx5.set_port && mlx5.is_supported(e->qp->context->device))
		rc = mlx5.set_port(e->qp, port);
	else
		rc = move_by_pause(e, &ah);
	if (rc)
		return rc;
	e->r.ah = ah;
	e->r.port = port;
	return 0;
}

/* ---- what the table says -------------------------------------------------------------------- */

/* It has another port, or another slot: the agent is to hear of it. */
static void changed(struct c4_qp *e)
{
	e->r.told_instance = 0;
}

/* Another agent made this table: the slot that has our port, or the one of the same number. */
static void adopt(struct c4_qp *e, const struct c4_rtable *t, int at, const struct c4_route_dest *d)
{
	int slot = e->r.slot < d->nslots ? e->r.slot : 0;

	for (int i = 0; i < d->nslots; i++)
		if (has_port(&d->slot[i], e->r.port))
			slot = i;
	e->r.slot = slot;
	e->r.at = at;
	e->r.moved = d->slot[slot].moved;
	e->r.instance = t->hdr->instance;
	changed(e);
}

/* Returns whether it was given the port. */
static bool try_move(struct c4_qp *e, const struct c4_rtable *t, uint16_t port)
{
	e->r.stuck = move(e, port) != 0;
	c4_rtable_count(t, e->r.stuck ? C4_ROUTE_STAT_STUCK : C4_ROUTE_STAT_MOVED);
	changed(e);
	return !e->r.stuck;
}

static void follow(struct c4_qp *e, const struct c4_rtable *t, const struct c4_route_slot *s)
{
	uint16_t port = best_port(s);

	if (has_port(s, e->r.port)) {
		e->r.moved = s->moved;
		return;
	}
	if (!port || !e->r.sends || e->r.waits)
		return; /* later */
	e->r.moved = s->moved;
	try_move(e, t, port);
}

/* Its peer was not planned when it was made, and is now. */
static void join(struct c4_qp *e, const struct c4_rtable *t, int at, const struct c4_route_dest *d)
{
	uint16_t port;
	int slot;

	if (d->src != e->r.src || !e->r.sends || e->r.waits || e->r.stuck)
		return;
	port = c4_route_claim_port(t, at, d, c4_mono_ns(), &slot);
	if (!port)
		return;
	if (!has_port(&d->slot[slot], e->r.port) && !try_move(e, t, port)) {
		c4_rtable_unclaim(t, at, slot, c4_mono_ns());
		return;
	}
	e->r.at = at;
	e->r.slot = slot;
	e->r.moved = d->slot[slot].moved;
	e->r.instance = t->hdr->instance;
	changed(e);
}

static void follow_plan(struct c4_qp *e, const struct c4_rtable *t)
{
	struct c4_route_dest d;
	int at;

	if (!c4_rtable_peer(t, e->r.dst))
		return;
	at = c4_rtable_dest(t, C4_ROUTE_UDP, e->r.dst, C4_ROUTE_RDMA_PORT, c4_mono_ns(), &d);
	if (at < 0)
		return;
	if (e->r.slot < 0) {
		join(e, t, at, &d);
		return;
	}
	if (e->r.instance != t->hdr->instance)
		adopt(e, t, at, &d);
	e->r.at = at; /* forgotten and known again, it is elsewhere */
	if (e->r.slot < d.nslots && d.slot[e->r.slot].moved != e->r.moved && !e->r.stuck)
		follow(e, t, &d.slot[e->r.slot]);
}

/* Returns whether it is to be looked at again soon. *full: the agent takes no more for now. */
static bool look_after(struct c4_qp *e, const struct c4_rtable *t, bool *full)
{
	if (e->r.waits)
		resume(e);
	if (!t)
		return e->r.waits;
	follow_plan(e, t);
	if (!*full && c4_tell_due(t, &e->r, c4_mono_ns()))
		*full = c4_tell_up(t, e, c4_mono_ns()) != 0;
	return e->r.waits || *full;
}

/* Returns whether some queue pair could not be brought back, or told of, yet. */
static bool look_after_all(const struct c4_rtable *t)
{
	bool soon = false, full = false;

	patient_until = c4_mono_ns() + DRAIN_NS;
	for (uint32_t i = 0; i < C4_QPS; i++) {
		struct c4_qp *e = c4_qps_hold_at(i);

		if (!e)
			continue;
		soon |= look_after(e, t, &full);
		c4_qps_release(e);
	}
	return soon;
}

/* ---- the thread ----------------------------------------------------------------------------- */

static void *look_for(void *library, const char *name)
{
	void *p = dlsym(RTLD_DEFAULT, name);

	return p || !library ? p : dlsym(library, name);
}

static void find_mlx5(void)
{
	void *library = dlopen("libmlx5.so.1", RTLD_LAZY | RTLD_NOLOAD);

	mlx5.is_supported = (__typeof__(mlx5.is_supported))look_for(library, "mlx5dv_is_supported");
	mlx5.set_port = (__typeof__(mlx5.set_port))look_for(library, "mlx5dv_modify_qp_udp_sport");
	if (!mlx5.is_supported)
		mlx5.set_port = NULL;
}

static void *run(void *unused)
{
	(void)unused;
	syscall(SYS_prctl, 15 /* PR_SET_NAME */, "c4-route");
	find_mlx5();
	for (;;) {
		const struct c4_rtable *t = c4_attach_get(c4_mono_ns());
		uint32_t seen = t ? __atomic_load_n(&t->hdr->generation, __ATOMIC_ACQUIRE) : 0;
		uint64_t ns = look_after_all(t) ? RETRY_NS : IDLE_NS;

		if (t)
			c4_route_wait(t, seen, ns);
		else
			sleep_ns(ns);
		c4_attach_put(t);
	}
	return NULL;
}

static void on_fork(void)
{
	__atomic_store_n(&in_child, true, __ATOMIC_RELAXED);
}

/* The thread inherits the mask: no signal of the program may be handled in it. */
static int make_thread(void)
{
	int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) =
		(__typeof__(create))dlsym(RTLD_DEFAULT, "pthread_create");
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;
	int rc = create ? 0 : ENOSYS;

	if (rc || (rc = pthread_attr_init(&attr)))
		return rc;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = create(&thread, &attr, run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return rc;
}

int c4_mover_start(void)
{
	int saved = errno, rc;

	if (__atomic_exchange_n(&started, true, __ATOMIC_ACQ_REL))
		return 0;
	rc = pthread_atfork(NULL, NULL, on_fork);
	if (!rc)
		rc = make_thread();
	if (rc)
		__atomic_store_n(&started, false, __ATOMIC_RELEASE);
	errno = saved;
	return -rc;
}
