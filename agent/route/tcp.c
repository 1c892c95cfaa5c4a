// SPDX-License-Identifier: BSD-3-Clause
/*
 * tcp.c - connections to planned peers leave from a port that takes their planned path.
 *
 *	program                    here
 *	bind(addr, 0)   planned?   IP_BIND_ADDRESS_NO_PORT: the address now, the port later
 *	getsockname()              no port yet: choose one now, as bind() would have
 *	listen()                   the kernel chooses one, nothing to do
 *	connect(peer)   planned?   bind(src, port) for the first free port of the emptiest slot
 *
 * A program must never see an error that it would not have seen without us. A port is therefore
 * taken before connect(), and exclusively: SO_REUSEADDR and SO_REUSEPORT are put off while we
 * bind. Then no other socket of this address has the port, not even one in TIME_WAIT, so that
 * connect() cannot find its four-tuple in use; what is refused is refused to bind(), which leaves
 * the socket as it was and lets us try the next port or none. (The other order, to bind shared and
 * see whether connect() fails, has no way back: a port that was bound by number stays bound.)
 *
 * Whether a socket's port is still to be chosen is asked of the kernel, which knows it across
 * dup(), fork(), exec() and close(). Programs that set IP_BIND_ADDRESS_NO_PORT themselves keep it.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/route/ask.h"
#include "agent/route/attach.h"
#include "agent/route/real.h"
#include "common/base/clock.h"

#define MORE	 3     /* times to ask for ports when others are faster */
#define PORT_MIN 1024u /* below it bind() is a privilege, and ports have meanings */

/* Under their own names to the linker: libc declares them with its own kinds of arguments. */
#define STANDS_FOR(name) __asm__(name) __attribute__((visibility("default")))
int c4_connect(int fd, const struct sockaddr *addr, socklen_t len) STANDS_FOR("connect");
int c4_bind(int fd, const struct sockaddr *addr, socklen_t len) STANDS_FOR("bind");
int c4_getsockname(int fd, struct sockaddr *addr, socklen_t *len) STANDS_FOR("getsockname");

/* An IPv4 address, perhaps written as IPv6. */
struct endpoint {
	sa_family_t family;
	uint32_t ip;
	uint16_t port;
};

/* A connection that is being made from a planned port; table NULL: from any. */
struct pin {
	const struct c4_rtable *table;
	int at, slot;
};

static bool deferred; /* atomic: a port was left open once */

/* ---- addresses ------------------------------------------------------------------------------ */

static bool read_v6(const struct sockaddr *addr, struct endpoint *ret)
{
	struct sockaddr_in6 in6;
	uint32_t ip;

	memcpy(&in6, addr, offsetof(struct sockaddr_in6, sin6_scope_id));
	memcpy(&ip, &in6.sin6_addr.s6_addr[12], sizeof ip);
	if (!IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr) && !IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr))
		return false;
	*ret = (struct endpoint){AF_INET6, ntohl(ip), ntohs(in6.sin6_port)};
	return true;
}

/* False: nothing that a plan could mean. */
static bool read_addr(const struct sockaddr *addr, socklen_t len, struct endpoint *ret)
{
	struct sockaddr_in in;

	if (!addr || len < sizeof in)
		return false;
	memcpy(&in, addr, sizeof in);
	if (in.sin_family == AF_INET6)
		return len >= offsetof(struct sockaddr_in6, sin6_scope_id) && read_v6(addr, ret);
	if (in.sin_family != AF_INET)
		return false;
	*ret = (struct endpoint){AF_INET, ntohl(in.sin_addr.s_addr), ntohs(in.sin_port)};
	return true;
}

static int bind_to(int fd, const struct endpoint *e)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET, .sin_port = htons(e->port), .sin_addr.s_addr = htonl(e->ip)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(e->port)};

	if (e->family == AF_INET)
		return c4_route_real()->bind(fd, (const void *)&in, sizeof in);
	in6.sin6_addr.s6_addr[10] = in6.sin6_addr.s6_addr[11] = 0xff;
	memcpy(&in6.sin6_addr.s6_addr[12], &in.sin_addr, sizeof in.sin_addr);
	return c4_route_real()->bind(fd, (const void *)&in6, sizeof in6);
}

static bool local_of(int fd, struct endpoint *ret)
{
	struct sockaddr_in6 addr;
	socklen_t len = sizeof addr;

	return !c4_route_real()->getsockname(fd, (void *)&addr, &len) &&
	       read_addr((const void *)&addr, len, ret);
}

/* ---- options -------------------------------------------------------------------------------- */

static int option(int fd, int level, int name)
{
	int value = 0;
	socklen_t len = sizeof value;

	return getsockopt(fd, level, name, &value, &len) ? -1 : value;
}

static bool set(int fd, int level, int name, int value)
{
	return !setsockopt(fd, level, name, &value, sizeof value);
}

static bool is_tcp(int fd)
{
	return option(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM &&
	       option(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP;
}

/* ---- connect -------------------------------------------------------------------------------- */

static const int shared[] = {SO_REUSEADDR, SO_REUSEPORT};

#define SHARED (sizeof shared / sizeof shared[0])

/* Puts off what lets sockets share a port; returns a set of those that were on. */
static unsigned int unshare_port(int fd)
{
	unsigned int were = 0;

	for (unsigned int i = 0; i < SHARED; i++)
		if (option(fd, SOL_SOCKET, shared[i]) > 0 && set(fd, SOL_SOCKET, shared[i], 0))
			were |= 1u << i;
	return were;
}

static void share_port(int fd, unsigned int were)
{
	for (unsigned int i = 0; i < SHARED; i++)
		if (were >> i & 1)
			set(fd, SOL_SOCKET, shared[i], 1);
}

/* The first port of the slot that is free: 0. -EADDRINUSE: none; otherwise it is of no use to
 * try others. */
static int bind_slot(int fd, const struct c4_rtable *t, const struct c4_route_slot *s,
		     struct endpoint *from)
{
	for (uint32_t i = 0; i < s->nports; i++) {
		from->port = s->port[i];
		if (from->port < PORT_MIN)
			continue;
		if (!bind_to(fd, from))
			return 0;
		if (errno != EADDRINUSE)
			return -errno;
		c4_rtable_count(t, C4_ROUTE_STAT_TAKEN);
	}
	return -EADDRINUSE;
}

/* The emptiest slot first, then the others: any planned path beats one of chance. */
static int bind_any(int fd, const struct c4_rtable *t, int at, const struct c4_route_dest *d,
		    struct endpoint from)
{
	uint64_t now = c4_mono_ns();
	uint32_t tried = 0;
	int slot, rc;

	while ((slot = c4_rtable_claim(t, at, d, tried, now)) >= 0) {
		rc = bind_slot(fd, t, &d->slot[slot], &from);
		if (!rc)
			return slot;
		c4_rtable_unclaim(t, at, slot, now);
		if (rc != -EADDRINUSE)
			return rc;
		tried |= 1u << slot;
	}
	return -EADDRINUSE;
}

/* When all are in use (many connections to one port, or a program that was started several times
 * within a minute: closed ones keep their ports), others are to be had. */
static int bind_some(int fd, const struct c4_rtable *t, int family, const struct endpoint *to,
		     struct c4_route_dest *d, struct pin *p)
{
	struct endpoint from = {family, d->src, 0};
	int slot = bind_any(fd, t, p->at, d, from);

	for (int i = 0; i < MORE && slot == -EADDRINUSE; i++) {
		p->at = c4_route_more_ports(t, C4_ROUTE_TCP, to->ip, to->port, d);
		if (p->at < 0 || d->src != from.ip)
			return -EADDRINUSE;
		slot = bind_any(fd, t, p->at, d, from);
	}
	return slot;
}

/*
 * Takes a planned port. If that fails the socket is as before: a bind() that is refused forgets
 * the address that the program had chosen, so that is given back.
 */
static bool take_port(int fd, const struct c4_rtable *t, const struct endpoint *local,
		      const struct endpoint *to, struct c4_route_dest *d, struct pin *p)
{
	unsigned int were = unshare_port(fd);

	p->slot = bind_some(fd, t, local->family, to, d, p);
	share_port(fd, were);
	if (p->slot >= 0)
		return true;
	c4_rtable_count(t, C4_ROUTE_STAT_UNKNOWN);
	if (local->ip)
		bind_to(fd, local);
	return false;
}

static bool may_choose(const struct endpoint *local, uint32_t src)
{
	return !local->port && (!local->ip || local->ip == src);
}

static bool pin_port(int fd, const struct c4_rtable *t, const struct endpoint *to, struct pin *p)
{
	uint32_t src = c4_rtable_peer(t, to->ip);
	struct c4_route_dest d;
	struct endpoint local;

	if (!src || !is_tcp(fd) || !local_of(fd, &local) || !may_choose(&local, src))
		return false;
	p->at = c4_route_ports(t, C4_ROUTE_TCP, to->ip, to->port, &d);
	if (p->at < 0 || d.src != src)
		return false;
	return take_port(fd, t, &local, to, &d, p);
}

static struct pin prepare(int fd, const struct sockaddr *addr, socklen_t len)
{
	const struct c4_rtable *t;
	struct pin p = {NULL, 0, 0};
	struct endpoint to;
	int saved;

	if (!read_addr(addr, len, &to))
		return p;
	t = c4_attach_get(c4_mono_ns());
	if (!t)
		return p;
	saved = errno;
	if (pin_port(fd, t, &to, &p))
		p.table = t;
	else
		c4_attach_put(t);
	errno = saved;
	return p;
}

/* A connection that goes on being made is made: if that fails later the agent will see it. */
static void conclude(struct pin *p, int rc)
{
	int saved = errno;

	if (!rc || errno == EINPROGRESS || errno == EINTR)
		c4_rtable_count(p->table, C4_ROUTE_STAT_PINNED);
	else
		c4_rtable_unclaim(p->table, p->at, p->slot, c4_mono_ns());
	c4_attach_put(p->table);
	errno = saved;
}

int c4_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct pin p = prepare(fd, addr, len);
	int rc = c4_route_real()->connect(fd, addr, len);

	if (p.table)
		conclude(&p, rc);
	return rc;
}

/* ---- bind ----------------------------------------------------------------------------------- */

/* Whether the port may be left open until connect(): then it has been asked of the kernel. */
static bool defer_port(int fd, const struct sockaddr *addr, socklen_t len)
{
	const struct c4_rtable *t;
	struct endpoint from;
	bool planned;

	if (!read_addr(addr, len, &from) || from.port)
		return false;
	t = c4_attach_get(c4_mono_ns());
	planned = t && c4_rtable_local(t, from.ip);
	c4_attach_put(t);
	return planned && is_tcp(fd) && option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT) == 0 &&
	       set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
}

int c4_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	int saved = errno, rc;
	bool open = defer_port(fd, addr, len);

	errno = saved;
	rc = c4_route_real()->bind(fd, addr, len);
	if (!open)
		return rc;
	__atomic_store_n(&deferred, true, __ATOMIC_RELAXED);
	saved = errno;
	if (rc)
		set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 0);
	errno = saved;
	return rc;
}

/* ---- getsockname ---------------------------------------------------------------------------- */

/* Ports may have been left open here, or by the program that started this one. */
static bool may_be_open(void)
{
	const struct c4_rtable *t;

	if (__atomic_load_n(&deferred, __ATOMIC_RELAXED))
		return true;
	t = c4_attach_get(c4_mono_ns());
	c4_attach_put(t);
	return t;
}

/* True: the port that bind() had left open has been chosen. */
static bool close_port(int fd)
{
	struct sockaddr_in6 addr;
	socklen_t len = sizeof addr;
	struct endpoint local;

	if (!may_be_open() || c4_route_real()->getsockname(fd, (void *)&addr, &len) ||
	    !read_addr((const void *)&addr, len, &local) || local.port || !is_tcp(fd) ||
	    option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT) != 1)
		return false;
	set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 0);
	return !c4_route_real()->bind(fd, (const void *)&addr, len);
}

/* An address that was read whole, of a family with ports, and without one. */
static bool lacks_port(const struct sockaddr *addr, socklen_t room)
{
	struct sockaddr_in in;

	if (room < sizeof in)
		return false;
	memcpy(&in, addr, sizeof in);
	return (in.sin_family == AF_INET || in.sin_family == AF_INET6) && !in.sin_port;
}

int c4_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	socklen_t room = len ? *len : 0;
	int rc = c4_route_real()->getsockname(fd, addr, len);
	int saved = errno;

	if (rc || !lacks_port(addr, room))
		return rc;
	if (close_port(fd)) {
		*len = room;
		rc = c4_route_real()->getsockname(fd, addr, len);
	}
	if (!rc)
		errno = saved;
	return rc;
}

__attribute__((constructor)) static void on_load(void)
{
	c4_route_resolve();
	c4_attach_init();
}
