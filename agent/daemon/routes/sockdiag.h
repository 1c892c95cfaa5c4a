/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sockdiag.h - the kernel's list of this network namespace's TCP sockets over IPv4, with what it
 * knows of each connection (sock_diag; libmnl). A dump blocks for as long as the kernel takes to
 * walk its tables. One thread.
 */
#ifndef C4_AGENT_ROUTES_SOCKDIAG_H
#define C4_AGENT_ROUTES_SOCKDIAG_H

#include <stddef.h>
#include <stdint.h>

struct mnl_socket;

struct c4_sock {
	uint64_t cookie; /* names it for as long as it lives */
	uint32_t src, dst;
	uint16_t sport, dport;
	uint64_t acked_bytes, received_bytes; /* since it was made, as all that follow */
	uint64_t busy_us, limited_us;
	uint32_t retransmits;
	uint32_t rtt_us, min_rtt_us; /* now */
};

/* Bits as the kernel has them. Opening: its port is taken, there is no connection yet. Closing: no
 * longer; a port in TIME_WAIT is not to be had for a minute. */
enum c4_sock_state {
	C4_SOCK_ESTABLISHED = 1 << 1,
	C4_SOCK_OPENING = 1 << 2 | 1 << 3,
	C4_SOCK_CLOSING = 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 9 | 1 << 11,
	C4_SOCK_LISTEN = 1 << 10
};

typedef void c4_sock_fn(void *arg, const struct c4_sock *s);

/* NULL with errno set. */
struct mnl_socket *c4_sockdiag_open(void);

/* Takes NULL. */
void c4_sockdiag_close(struct mnl_socket *nl);

/* All sockets of these states (or-ed). 0 or a negative errno; some may have been visited then. */
int c4_sockdiag_dump(struct mnl_socket *nl, uint32_t states, c4_sock_fn *visit, void *arg);

#endif
