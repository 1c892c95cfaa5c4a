// SPDX-License-Identifier: BSD-3-Clause
#include "agent/route/ask.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent/route/attach.h"
#include "common/base/clock.h"

#define PATIENCE  3u /* late answers running */
#define PAUSE_NS  1000000000u
#define NS_PER_S  1000000000u
#define NS_PER_US 1000u
#define REPEATS	  4u /* of the question within the waiting time: a full socket loses some */

static uint32_t late_running;	/* atomic */
static uint64_t pause_until_ns; /* atomic */

/* A question and how long it has been open. */
struct question {
	uint8_t proto;
	uint32_t dst;
	uint16_t dport;
	const struct c4_route_dest *taken; /* NULL, or what the table has, and is of no use */
	uint64_t now_ns, end_ns, part_ns;
	uint64_t asked_ns; /* last; 0: not yet */
};

void c4_route_wait(const struct c4_rtable *t, uint32_t seen, uint64_t ns)
{
	const struct timespec left = {(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};
	int saved = errno;

	syscall(SYS_futex, &t->hdr->generation, FUTEX_WAIT, seen, &left, NULL, 0);
	errno = saved;
}

static uint64_t wait_ns(const struct c4_rtable *t)
{
	uint32_t us = __atomic_load_n(&t->hdr->wait_us, __ATOMIC_RELAXED);

	return (uint64_t)(us < C4_ROUTE_WAIT_MAX_US ? us : C4_ROUTE_WAIT_MAX_US) * NS_PER_US;
}

/* An agent that does not keep up must not cost each connection of a large job its waiting time. */
static void was_late(const struct c4_rtable *t, uint64_t now_ns)
{
	c4_rtable_count(t, C4_ROUTE_STAT_LATE);
	if (__atomic_add_fetch(&late_running, 1, __ATOMIC_RELAXED) < PATIENCE)
		return;
	__atomic_store_n(&late_running, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&pause_until_ns, now_ns + PAUSE_NS, __ATOMIC_RELAXED);
}

/* Asks if it is time to. A negative errno: there is nothing to wait for. */
static int ask(const struct c4_rtable *t, struct question *q)
{
	if (!c4_rtable_live(t, q->now_ns))
		return -ENOTCONN;
	if (q->now_ns >= q->end_ns) {
		if (q->asked_ns)
			was_late(t, q->now_ns);
		return -ETIMEDOUT;
	}
	if (q->asked_ns && q->now_ns - q->asked_ns < q->part_ns)
		return 0;
	if (c4_attach_ask(q->proto, q->dst, q->dport, q->taken != NULL))
		return -ENOTCONN;
	if (!q->asked_ns)
		c4_rtable_count(t, C4_ROUTE_STAT_ASKED);
	q->asked_ns = q->now_ns;
	return 0;
}

static bool has_port(const struct c4_route_dest *d, uint16_t port)
{
	for (uint32_t i = 0; i < d->nslots && i < C4_ROUTE_SLOTS; i++)
		for (uint32_t k = 0; k < d->slot[i].nports && k < C4_ROUTE_PORTS; k++)
			if (d->slot[i].port[k] == port)
				return true;
	return false;
}

static bool has_others(const struct c4_route_dest *d, const struct c4_route_dest *than)
{
	for (uint32_t i = 0; i < d->nslots && i < C4_ROUTE_SLOTS; i++)
		for (uint32_t k = 0; k < d->slot[i].nports && k < C4_ROUTE_PORTS; k++)
			if (!has_port(than, d->slot[i].port[k]))
				return true;
	return false;
}

static int look_or_ask(const struct c4_rtable *t, struct question *q, struct c4_route_dest *ret)
{
	for (;;) {
		/* looked at before the table is: what changes afterwards wakes us */
		uint32_t seen = __atomic_load_n(&t->hdr->generation, __ATOMIC_ACQUIRE);
		int at = c4_rtable_dest(t, q->proto, q->dst, q->dport, q->now_ns, ret);
		int rc;

		if (at != -ENOENT && (at < 0 || !q->taken || has_others(ret, q->taken)))
			return at;
		rc = ask(t, q);
		if (rc)
			return rc;
		c4_route_wait(t, seen, q->part_ns);
		q->now_ns = c4_mono_ns();
	}
}

static int ports(const struct c4_rtable *t, uint8_t proto, uint32_t dst, uint16_t dport,
		 const struct c4_route_dest *taken, struct c4_route_dest *ret)
{
	uint64_t now = c4_mono_ns(), wait = wait_ns(t);
	struct question q = {proto, dst, dport, taken, now, now + wait, wait / REPEATS + 1, 0};
	int at;

	if (now < __atomic_load_n(&pause_until_ns, __ATOMIC_RELAXED))
		q.end_ns = now; /* take what is there */
	at = look_or_ask(t, &q, ret);
	if (q.asked_ns && at != -ETIMEDOUT)
		__atomic_store_n(&late_running, 0, __ATOMIC_RELAXED);
	return at;
}

int c4_route_ports(const struct c4_rtable *t, uint8_t proto, uint32_t dst, uint16_t dport,
		   struct c4_route_dest *ret)
{
	int at = ports(t, proto, dst, dport, NULL, ret);

	if (at < 0)
		c4_rtable_count(t, C4_ROUTE_STAT_UNKNOWN);
	return at;
}

int c4_route_more_ports(const struct c4_rtable *t, uint8_t proto, uint32_t dst, uint16_t dport,
			struct c4_route_dest *d)
{
	const struct c4_route_dest taken = *d;

	return ports(t, proto, dst, dport, &taken, d);
}
