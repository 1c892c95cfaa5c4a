// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/routes/rawprober.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "c4/route.h"
#include "common/base/clock.h"
#include "common/base/hash.h"

#define MESSAGES_AT_ONCE 64
#define ICMP_FILTER_NAME 1 /* linux/icmp.h, which does not go with netinet's */
#define ID_BASE		 C4_RAWPROBER_FLYING

struct packet {
	struct iphdr ip;
	union {
		struct tcphdr tcp;
		struct udphdr udp;
	} l4;
} __attribute__((packed));

/* ---- the quoted header ---------------------------------------------------------------------- */

static size_t ip_header(const unsigned char *data, size_t n, struct iphdr *ret)
{
	size_t len;

	if (n < sizeof *ret)
		return 0;
	memcpy(ret, data, sizeof *ret);
	len = ret->ihl * 4u;
	return ret->version == 4 && len >= sizeof *ret && len <= n ? len : 0;
}

bool c4_raw_quote(const void *data, size_t n, struct c4_raw_quote *ret)
{
	const unsigned char *at = data;
	struct iphdr outer, inner;
	uint16_t ports[2];
	size_t len = ip_header(at, n, &outer);

	if (!len || outer.protocol != IPPROTO_ICMP || n - len < sizeof(struct icmphdr) ||
	    at[len] != ICMP_TIME_EXCEEDED)
		return false;
	at += len + sizeof(struct icmphdr);
	n -= len + sizeof(struct icmphdr);
	len = ip_header(at, n, &inner);
	if (!len || n - len < sizeof ports ||
	    (inner.protocol != IPPROTO_TCP && inner.protocol != IPPROTO_UDP))
		return false;
	memcpy(ports, at + len, sizeof ports);
	*ret = (struct c4_raw_quote){.probe = {.src = ntohl(inner.saddr),
					       .dst = ntohl(inner.daddr),
					       .sport = ntohs(ports[0]),
					       .dport = ntohs(ports[1]),
					       .proto = inner.protocol},
				     .id = ntohs(inner.id),
				     .offender = ntohl(outer.saddr)};
	return true;
}

/* ---- the end of a flight -------------------------------------------------------------------- */

static void land(struct c4_rawprober *r, struct c4_raw_flight *f, uint32_t address, uint64_t now_ns)
{
	struct c4_probe_client client = f->client;
	struct c4_hop hop = {address, (uint32_t)((now_ns - f->sent_ns) / 1000u)};

	f->on = false;
	r->nflying--;
	if (address) {
		r->answered++;
		c4_probe_learn(&r->pace, now_ns - f->sent_ns);
	}
	client.done(client.arg, client.tag, &hop);
}

static void take_message(struct c4_rawprober *r, const void *data, size_t n, uint64_t now_ns)
{
	struct c4_raw_quote q;
	struct c4_raw_flight *f;

	if (!c4_raw_quote(data, n, &q))
		return;
	f = &r->flight[q.id % C4_RAWPROBER_FLYING];
	if (f->on && f->id == q.id && f->probe.src == q.probe.src && f->probe.dst == q.probe.dst &&
	    f->probe.sport == q.probe.sport && f->probe.dport == q.probe.dport &&
	    f->probe.proto == q.probe.proto)
		land(r, f, q.offender, now_ns);
}

static void on_poll(uv_poll_t *h, int status, int events)
{
	struct c4_rawprober *r = h->data;
	char data[512];

	(void)status, (void)events;
	for (int i = 0; i < MESSAGES_AT_ONCE; i++) {
		ssize_t n = recv(r->in, data, sizeof data, MSG_DONTWAIT);

		if (n < 0)
			return;
		take_message(r, data, (size_t)n, c4_mono_ns());
	}
}

static void on_timer(uv_timer_t *h);

static void set_timer(struct c4_rawprober *r, uint64_t now_ns)
{
	uint64_t first = UINT64_MAX;

	for (uint32_t i = 0; r->nflying && i < C4_RAWPROBER_FLYING; i++)
		if (r->flight[i].on && r->flight[i].due_ns < first)
			first = r->flight[i].due_ns;
	if (first == UINT64_MAX)
		uv_timer_stop(&r->timer);
	else
		uv_timer_start(&r->timer, on_timer,
			       first > now_ns ? (first - now_ns) / 1000000u + 1 : 1, 0);
}

static void on_timer(uv_timer_t *h)
{
	struct c4_rawprober *r = h->data;
	uint64_t now_ns = c4_mono_ns();

	for (uint32_t i = 0; i < C4_RAWPROBER_FLYING; i++) {
		if (!r->flight[i].on || r->flight[i].due_ns > now_ns)
			continue;
		r->silent++;
		land(r, &r->flight[i], 0, now_ns);
	}
	set_timer(r, now_ns);
}

/* ---- sending -------------------------------------------------------------------------------- */

static uint32_t add_words(uint32_t sum, const void *data, size_t n)
{
	const unsigned char *at = data;

	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)at[i] << 8 | at[i + 1];
	return sum;
}

/* Right, so that no interface or middle box on the way drops it for a reason of its own. */
static uint16_t tcp_checksum(const struct packet *p)
{
	uint32_t sum = IPPROTO_TCP + sizeof p->l4.tcp;

	sum = add_words(sum, &p->ip.saddr, 2 * sizeof p->ip.saddr);
	sum = add_words(sum, &p->l4.tcp, sizeof p->l4.tcp);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static size_t make_packet(struct packet *p, const struct c4_probe *probe, uint16_t id)
{
	bool tcp = probe->proto == C4_ROUTE_TCP;
	size_t n = sizeof p->ip + (tcp ? sizeof p->l4.tcp : sizeof p->l4.udp);

	memset(p, 0, sizeof *p);
	p->ip.version = 4;
	p->ip.ihl = sizeof p->ip / 4;
	p->ip.tot_len = htons((uint16_t)n);
	p->ip.id = htons(id);
	p->ip.ttl = probe->ttl;
	p->ip.protocol = probe->proto;
	p->ip.saddr = htonl(probe->src);
	p->ip.daddr = htonl(probe->dst);
	if (tcp) {
		p->l4.tcp.source = htons(probe->sport);
		p->l4.tcp.dest = htons(probe->dport);
		p->l4.tcp.seq = (uint32_t)c4_mix64(id);
		p->l4.tcp.doff = sizeof p->l4.tcp / 4;
		p->l4.tcp.ack = 1;
		p->l4.tcp.check = tcp_checksum(p);
	} else {
		p->l4.udp.source = htons(probe->sport);
		p->l4.udp.dest = htons(probe->dport);
		p->l4.udp.len = htons(sizeof p->l4.udp);
	}
	return n;
}

static struct c4_raw_flight *free_flight(struct c4_rawprober *r)
{
	for (uint32_t i = 0; i < C4_RAWPROBER_FLYING; i++)
		if (!r->flight[i].on)
			return &r->flight[i];
	return NULL;
}

int c4_rawprober_send(struct c4_rawprober *r, const struct c4_probe *probe,
		      const struct c4_probe_client *client, bool patient)
{
	struct sockaddr_in dst = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(probe->dst)};
	struct c4_raw_flight *f = free_flight(r);
	uint64_t now_ns = c4_mono_ns();
	struct packet packet;
	size_t n;

	if (!f)
		return -EAGAIN;
	/* never 0, for which the kernel would put one of its own */
	f->id = (uint16_t)(ID_BASE * (1 + r->serial++ % (65536u / ID_BASE - 1)) +
			   (uint32_t)(f - r->flight));
	n = make_packet(&packet, probe, f->id);
	if (sendto(r->out, &packet, n, MSG_DONTWAIT, (struct sockaddr *)&dst, sizeof dst) < 0)
		return -errno;
	f->on = true;
	f->probe = *probe;
	f->client = *client;
	f->sent_ns = now_ns;
	f->due_ns = now_ns + (patient ? C4_PROBE_WAIT_MAX_NS : c4_probe_wait_ns(&r->pace));
	r->sent++;
	if (!r->nflying++ || !uv_is_active((uv_handle_t *)&r->timer))
		set_timer(r, now_ns);
	return 0;
}

/* ---- life ----------------------------------------------------------------------------------- */

static int open_socket(int protocol)
{
	int fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);

	return fd < 0 ? -errno : fd;
}

int c4_rawprober_init(struct c4_rawprober *r, uv_loop_t *loop)
{
	uint32_t others = ~(1u << ICMP_TIME_EXCEEDED);
	int rc;

	*r = (struct c4_rawprober){.in = -1};
	r->out = open_socket(IPPROTO_RAW);
	if (r->out < 0)
		return r->out;
	rc = open_socket(IPPROTO_ICMP);
	if (rc < 0) {
		close(r->out);
		r->out = -1;
		return rc;
	}
	r->in = rc;
	setsockopt(r->in, SOL_RAW, ICMP_FILTER_NAME, &others, sizeof others);
	uv_timer_init(loop, &r->timer);
	uv_poll_init(loop, &r->poll, r->in);
	r->timer.data = r->poll.data = r;
	uv_poll_start(&r->poll, UV_READABLE, on_poll);
	return 0;
}

void c4_rawprober_release(struct c4_rawprober *r)
{
	if (r->in >= 0)
		close(r->in);
	if (r->out >= 0)
		close(r->out);
	r->in = r->out = -1;
}
