// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/routes/helper.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"

#define DATAGRAMS_AT_ONCE 32
#define TTL_FIRST	  2u
#define TRIES_MAX	  2
#define WAIT_NS		  150000000ull
#define TIMER_MS	  25u
#define MUTE_NS		  5000000000ull

static void send_help(struct c4_helper *h, const struct c4_help *help, const struct sockaddr_in *to)
{
	unsigned char buf[C4_HELP_BYTES];
	size_t n = c4_help_encode(help, buf);

	/* a datagram that is lost is asked for again */
	(void)!sendto(h->fd, buf, n, MSG_DONTWAIT, (const struct sockaddr *)to, sizeof *to);
}

/* ---- being asked ---------------------------------------------------------------------------- */

static void reply(struct c4_helper *h, struct c4_helper_served *s)
{
	s->help.type = C4_HELP_ANSWER;
	send_help(h, &s->help, &s->asker);
	s->serial = 0;
	h->answers++;
}

/* tag: serial, place among the served, port, TTL. */
static void on_hop(void *arg, uint64_t tag, const struct c4_hop *hop)
{
	struct c4_helper *h = arg;
	struct c4_helper_served *s = &h->served[(tag >> 16 & 0xff) % C4_HELPER_SERVED];

	if (!s->serial || s->serial != tag >> 32)
		return;
	s->help.hop[tag & 0xff][tag >> 8 & 0xff] = hop->address;
	if (!--s->waiting)
		reply(h, s);
}

static void probe_for(struct c4_helper *h, struct c4_helper_served *s, uint64_t now_ns)
{
	const struct c4_help *q = &s->help;
	uint64_t place = (uint64_t)(s - h->served);

	s->waiting = 1; /* ours, so that no answer ends it before all are sent */
	for (uint32_t i = 0; i < q->n; i++) {
		for (uint32_t k = 0; k < q->ttls; k++) {
			struct c4_probe probe = {q->from,    q->to,    q->sport,
						 q->port[i], q->proto, (uint8_t)(TTL_FIRST + k)};
			struct c4_probe_client client = {on_hop, h,
							 (uint64_t)s->serial << 32 | place << 16 |
								 (uint64_t)k << 8 | i};

			if (c4_bucket_take(&h->bucket, now_ns) &&
			    !c4_rawprober_send(h->config.raw, &probe, &client, false))
				s->waiting++;
		}
	}
	if (!--s->waiting)
		reply(h, s);
}

static void serve(struct c4_helper *h, const struct c4_help *q, const struct sockaddr_in *from)
{
	struct c4_helper_served *s = NULL;

	for (uint32_t i = 0; !s && i < C4_HELPER_SERVED; i++)
		if (!h->served[i].serial)
			s = &h->served[i];
	if (!s || !c4_rawprober_able(h->config.raw) ||
	    !h->config.planned(h->config.arg, q->from, q->to)) {
		h->refused++;
		return;
	}
	if (!++h->serial)
		h->serial = 1;
	*s = (struct c4_helper_served){.serial = h->serial, .asker = *from, .help = *q};
	memset(s->help.hop, 0, sizeof s->help.hop);
	probe_for(h, s, c4_mono_ns());
}

/* ---- asking --------------------------------------------------------------------------------- */

static void take_answer(struct c4_helper *h, const struct c4_help *x,
			const struct sockaddr_in *from)
{
	for (uint32_t i = 0; i < C4_HELPER_ASKED; i++) {
		struct c4_helper_asked *a = &h->asked[i];

		if (!a->on || a->help.nonce != x->nonce || a->help.from != x->from ||
		    a->help.to != x->to || a->help.ttls != x->ttls ||
		    a->peer.sin_addr.s_addr != from->sin_addr.s_addr)
			continue;
		a->on = false;
		h->config.answered(h->config.arg, a->tag, &a->help, x);
		return;
	}
	h->bad++;
}

static bool is_mute(const struct c4_helper *h, uint32_t address, uint64_t now_ns)
{
	for (uint32_t i = 0; i < C4_HELPER_MUTE; i++)
		if (h->mute[i].address == address && h->mute[i].until_ns > now_ns)
			return true;
	return false;
}

static void give_up(struct c4_helper *h, struct c4_helper_asked *a, uint64_t now_ns)
{
	h->unanswered++;
	h->mute[h->next_mute].address = ntohl(a->peer.sin_addr.s_addr);
	h->mute[h->next_mute].until_ns = now_ns + MUTE_NS;
	h->next_mute = (h->next_mute + 1) % C4_HELPER_MUTE;
	a->on = false;
	h->config.answered(h->config.arg, a->tag, &a->help, NULL);
}

static void on_timer(uv_timer_t *t)
{
	struct c4_helper *h = t->data;
	uint64_t now_ns = c4_mono_ns();
	uint32_t on = 0;

	for (uint32_t i = 0; i < C4_HELPER_ASKED; i++) {
		struct c4_helper_asked *a = &h->asked[i];

		if (a->on && a->due_ns <= now_ns) {
			if (a->tries++ < TRIES_MAX) {
				send_help(h, &a->help, &a->peer);
				a->due_ns = now_ns + WAIT_NS;
			} else {
				give_up(h, a, now_ns);
			}
		}
		on += a->on;
	}
	if (!on)
		uv_timer_stop(t);
}

bool c4_helper_ask(struct c4_helper *h, uint32_t address, uint16_t port, const struct c4_help *q,
		   uint64_t tag)
{
	struct c4_helper_asked *a = NULL;
	uint64_t now_ns = c4_mono_ns();

	for (uint32_t i = 0; !a && i < C4_HELPER_ASKED; i++)
		if (!h->asked[i].on)
			a = &h->asked[i];
	if (!a || h->fd < 0 || !address || !port || is_mute(h, address, now_ns))
		return false;
	*a = (struct c4_helper_asked){.on = true,
				      .tries = 1,
				      .due_ns = now_ns + WAIT_NS,
				      .tag = tag,
				      .peer = {.sin_family = AF_INET,
					       .sin_port = htons(port),
					       .sin_addr.s_addr = htonl(address)},
				      .help = *q};
	a->help.type = C4_HELP_QUESTION;
	if (getrandom(&a->help.nonce, sizeof a->help.nonce, GRND_NONBLOCK) < 0)
		a->help.nonce = (uint32_t)now_ns;
	send_help(h, &a->help, &a->peer);
	h->questions++;
	if (!uv_is_active((uv_handle_t *)&h->timer))
		uv_timer_start(&h->timer, on_timer, TIMER_MS, TIMER_MS);
	return true;
}

/* ---- the socket ----------------------------------------------------------------------------- */

static void on_poll(uv_poll_t *p, int status, int events)
{
	struct c4_helper *h = p->data;

	(void)status, (void)events;
	for (int i = 0; i < DATAGRAMS_AT_ONCE; i++) {
		unsigned char buf[C4_HELP_BYTES + 1];
		struct sockaddr_in from;
		socklen_t len = sizeof from;
		struct c4_help x;
		ssize_t n = recvfrom(h->fd, buf, sizeof buf, MSG_DONTWAIT, (struct sockaddr *)&from,
				     &len);

		if (n < 0)
			return;
		if (len != sizeof from || !c4_help_decode(buf, (size_t)n, &x))
			h->bad++;
		else if (x.type == C4_HELP_QUESTION)
			serve(h, &x, &from);
		else
			take_answer(h, &x, &from);
	}
}

int c4_helper_open(struct c4_helper *h, uv_loop_t *loop, const struct c4_helper_config *config)
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	socklen_t len = sizeof any;
	int rc;

	*h = (struct c4_helper){.fd = -1, .config = *config};
	c4_bucket_init(&h->bucket, C4_PROBE_RATE, C4_PROBE_BURST);
	h->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (h->fd < 0)
		return -errno;
	if (bind(h->fd, (struct sockaddr *)&any, sizeof any) ||
	    getsockname(h->fd, (struct sockaddr *)&any, &len)) {
		rc = -errno;
		close(h->fd);
		h->fd = -1;
		return rc;
	}
	h->port = ntohs(any.sin_port);
	uv_timer_init(loop, &h->timer);
	uv_poll_init(loop, &h->poll, h->fd);
	h->timer.data = h->poll.data = h;
	uv_poll_start(&h->poll, UV_READABLE, on_poll);
	return 0;
}

void c4_helper_release(struct c4_helper *h)
{
	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
}
