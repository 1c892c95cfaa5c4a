// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/routes/sockdiag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <string.h>
#include <sys/socket.h>

#define BUF_BYTES 32768

struct visit {
	c4_sock_fn *fn;
	void *arg;
};

struct mnl_socket *c4_sockdiag_open(void)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);

	if (!nl)
		return NULL;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0) {
		mnl_socket_close(nl);
		return NULL;
	}
	return nl;
}

void c4_sockdiag_close(struct mnl_socket *nl)
{
	if (nl)
		mnl_socket_close(nl);
}

/* An older kernel tells less of it: the rest is zero. */
static void take_info(struct c4_sock *s, const struct nlattr *attr)
{
	struct tcp_info info = {0};
	size_t n = mnl_attr_get_payload_len(attr);

	memcpy(&info, mnl_attr_get_payload(attr), n < sizeof info ? n : sizeof info);
	s->acked_bytes = info.tcpi_bytes_acked;
	s->received_bytes = info.tcpi_bytes_received;
	s->busy_us = info.tcpi_busy_time;
	s->limited_us = info.tcpi_rwnd_limited + info.tcpi_sndbuf_limited;
	s->retransmits = info.tcpi_total_retrans;
	s->rtt_us = info.tcpi_rtt;
	s->min_rtt_us = info.tcpi_min_rtt == UINT32_MAX ? 0 : info.tcpi_min_rtt;
}

static int on_attr(const struct nlattr *attr, void *s)
{
	if (mnl_attr_get_type(attr) == INET_DIAG_INFO)
		take_info(s, attr);
	return MNL_CB_OK;
}

static int on_message(const struct nlmsghdr *h, void *arg)
{
	const struct visit *v = arg;
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(h);
	struct c4_sock s;

	if (mnl_nlmsg_get_payload_len(h) < sizeof *m || m->idiag_family != AF_INET)
		return MNL_CB_OK;
	s = (struct c4_sock){.cookie =
				     (uint64_t)m->id.idiag_cookie[1] << 32 | m->id.idiag_cookie[0],
			     .src = ntohl(m->id.idiag_src[0]),
			     .dst = ntohl(m->id.idiag_dst[0]),
			     .sport = ntohs(m->id.idiag_sport),
			     .dport = ntohs(m->id.idiag_dport)};
	mnl_attr_parse(h, sizeof *m, on_attr, &s);
	v->fn(v->arg, &s);
	return MNL_CB_OK;
}

static int ask(struct mnl_socket *nl, uint32_t states)
{
	char buf[MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(struct inet_diag_req_v2))];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *q;

	h->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	q = mnl_nlmsg_put_extra_header(h, sizeof *q);
	q->sdiag_family = AF_INET;
	q->sdiag_protocol = IPPROTO_TCP;
	q->idiag_states = states;
	if (states & C4_SOCK_ESTABLISHED)
		q->idiag_ext = 1u << (INET_DIAG_INFO - 1);
	return mnl_socket_sendto(nl, h, h->nlmsg_len) < 0 ? -errno : 0;
}

int c4_sockdiag_dump(struct mnl_socket *nl, uint32_t states, c4_sock_fn *visit, void *arg)
{
	static char buf[BUF_BYTES] __attribute__((aligned(8))); /* one thread */
	struct visit v = {visit, arg};
	int rc = ask(nl, states);
	ssize_t n;

	while (!rc) {
		n = mnl_socket_recvfrom(nl, buf, sizeof buf);
		if (n < 0)
			return -errno;
		switch (mnl_cb_run(buf, (size_t)n, 0, 0, on_message, &v)) {
		case MNL_CB_OK: break;
		case MNL_CB_STOP: return 0;
		default: rc = errno ? -errno : -EIO; break;
		}
	}
	return rc;
}
