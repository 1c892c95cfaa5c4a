// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/routes/prober.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "c4/route.h"
#include "common/base/clock.h"

#define EVENTS_AT_ONCE 32

/* ---- the end of a flight -------------------------------------------------------------------- */

static void land(struct c4_prober *p, struct c4_prober_flight *f, uint32_t address, uint64_t now_ns)
{
	struct c4_probe_client client = f->client;
	struct c4_hop hop = {address, (uint32_t)((now_ns - f->sent_ns) / 1000u)};

	close(f->fd); /* leaves the epoll set with it */
	f->fd = -1;
	p->nflying--;
	if (address) {
		p->answered++;
		c4_probe_learn(&p->pace, now_ns - f->sent_ns);
	}
	client.done(client.arg, client.tag, &hop);
}

static const struct sock_extended_err *extended_error(struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c))
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR)
			return (const void *)CMSG_DATA(c);
	return NULL;
}

/* Who said that the packet died; 0: nobody did. */
static uint32_t read_offender(int fd)
{
	char control[256] __attribute__((aligned(8))), data[64];
	struct iovec iov = {data, sizeof data};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof control};
	const struct sock_extended_err *e;
	struct sockaddr_in from;

	if (recvmsg(fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return 0;
	e = extended_error(&msg);
	if (!e || e->ee_origin != SO_EE_ORIGIN_ICMP || e->ee_type != ICMP_TIME_EXCEEDED)
		return 0;
	memcpy(&from, SO_EE_OFFENDER(e), sizeof from);
	return from.sin_family == AF_INET ? ntohl(from.sin_addr.s_addr) : 0;
}

static void take_event(struct c4_prober *p, const struct epoll_event *e, uint64_t now_ns)
{
	struct c4_prober_flight *f = &p->flight[e->data.u32];
	uint32_t offender;

	if (f->fd < 0)
		return;
	offender = read_offender(f->fd);
	p->arrived += !offender;
	land(p, f, offender, now_ns);
}

static void on_poll(uv_poll_t *h, int status, int what)
{
	struct c4_prober *p = h->data;
	struct epoll_event events[EVENTS_AT_ONCE];
	int n;

	(void)status, (void)what;
	do {
		n = epoll_wait(p->epoll, events, EVENTS_AT_ONCE, 0);
		for (int i = 0; i < n; i++)
			take_event(p, &events[i], c4_mono_ns());
	} while (n == EVENTS_AT_ONCE);
}

static void on_timer(uv_timer_t *h);

/* The timer runs to the earliest end of patience. */
static void set_timer(struct c4_prober *p, uint64_t now_ns)
{
	uint64_t first = UINT64_MAX;

	for (uint32_t i = 0; p->nflying && i < C4_PROBER_FLYING; i++)
		if (p->flight[i].fd >= 0 && p->flight[i].due_ns < first)
			first = p->flight[i].due_ns;
	if (first == UINT64_MAX)
		uv_timer_stop(&p->timer);
	else
		uv_timer_start(&p->timer, on_timer,
			       first > now_ns ? (first - now_ns) / 1000000u + 1 : 1, 0);
}

static void on_timer(uv_timer_t *h)
{
	struct c4_prober *p = h->data;
	uint64_t now_ns = c4_mono_ns();

	for (uint32_t i = 0; i < C4_PROBER_FLYING; i++) {
		struct c4_prober_flight *f = &p->flight[i];

		if (f->fd < 0 || f->due_ns > now_ns)
			continue;
		p->silent++;
		land(p, f, 0, now_ns);
	}
	set_timer(p, now_ns);
}

/* ---- sending -------------------------------------------------------------------------------- */

static int set_number(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof value);
}

static int launch(int fd, const struct c4_probe *probe)
{
	struct sockaddr_in src = {.sin_family = AF_INET,
				  .sin_port = htons(probe->sport),
				  .sin_addr.s_addr = htonl(probe->src)};
	struct sockaddr_in dst = {.sin_family = AF_INET,
				  .sin_port = htons(probe->dport),
				  .sin_addr.s_addr = htonl(probe->dst)};

	if (set_number(fd, IPPROTO_IP, IP_RECVERR, 1) ||
	    set_number(fd, IPPROTO_IP, IP_TTL, probe->ttl) ||
	    bind(fd, (struct sockaddr *)&src, sizeof src))
		return -errno;
	if (connect(fd, (struct sockaddr *)&dst, sizeof dst) && errno != EINPROGRESS)
		return errno == EAGAIN ? -EIO : -errno;
	if (probe->proto == C4_ROUTE_UDP && send(fd, "c4 probe", 8, MSG_DONTWAIT) < 0)
		return errno == EAGAIN ? -EIO : -errno;
	return 0;
}

static struct c4_prober_flight *free_flight(struct c4_prober *p)
{
	for (uint32_t i = 0; i < C4_PROBER_FLYING; i++)
		if (p->flight[i].fd < 0)
			return &p->flight[i];
	return NULL;
}

static int watch(struct c4_prober *p, const struct c4_prober_flight *f,
		 const struct c4_probe *probe)
{
	/* errors are always told; a stream that connects has reached the peer */
	struct epoll_event e = {.events = probe->proto == C4_ROUTE_TCP ? EPOLLOUT : 0,
				.data.u32 = (uint32_t)(f - p->flight)};

	return epoll_ctl(p->epoll, EPOLL_CTL_ADD, f->fd, &e) ? -errno : 0;
}

int c4_prober_send(struct c4_prober *p, const struct c4_probe *probe,
		   const struct c4_probe_client *client)
{
	uint64_t now_ns = c4_mono_ns();
	struct c4_prober_flight *f = free_flight(p);
	int type = probe->proto == C4_ROUTE_TCP ? SOCK_STREAM : SOCK_DGRAM, rc;

	if (!f || !c4_bucket_take(&p->bucket, now_ns))
		return -EAGAIN;
	f->fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (f->fd < 0)
		return -errno;
	rc = launch(f->fd, probe);
	if (!rc)
		rc = watch(p, f, probe);
	if (rc) {
		close(f->fd);
		f->fd = -1;
		return rc;
	}
	f->sent_ns = now_ns;
	f->due_ns = now_ns + c4_probe_wait_ns(&p->pace);
	f->client = *client;
	p->sent++;
	if (!p->nflying++ || !uv_is_active((uv_handle_t *)&p->timer))
		set_timer(p, now_ns);
	return 0;
}

/* ---- life ----------------------------------------------------------------------------------- */

int c4_prober_init(struct c4_prober *p, uv_loop_t *loop)
{
	*p = (struct c4_prober){0};
	for (uint32_t i = 0; i < C4_PROBER_FLYING; i++)
		p->flight[i].fd = -1;
	c4_bucket_init(&p->bucket, C4_PROBE_RATE, C4_PROBE_BURST);
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (p->epoll < 0)
		return -errno;
	uv_timer_init(loop, &p->timer);
	uv_poll_init(loop, &p->poll, p->epoll);
	p->timer.data = p->poll.data = p;
	uv_poll_start(&p->poll, UV_READABLE, on_poll);
	return 0;
}

void c4_prober_release(struct c4_prober *p)
{
	for (uint32_t i = 0; i < C4_PROBER_FLYING; i++)
		if (p->flight[i].fd >= 0)
			close(p->flight[i].fd);
	if (p->epoll >= 0)
		close(p->epoll);
	p->epoll = -1;
	p->nflying = 0;
}
