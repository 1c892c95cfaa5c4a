/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * maker.h - a plan table made by hand, as an agent would: for tests of what reads it.
 *
 * The heartbeat is set nearly a second ahead (readers allow that): a table lives as long again
 * after maker_beat() without a thread. One thread.
 */
#ifndef C4_TEST_ROUTE_MAKER_H
#define C4_TEST_ROUTE_MAKER_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "c4/env.h"
#include "c4/route.h"
#include "common/base/clock.h"

#define MAKER_NODE     "n0"
#define MAKER_AHEAD_NS (C4_ROUTE_STALE_NS * 9 / 10)
#define MAKER_BYTES                                                                                \
	(sizeof(struct c4_route_header) + C4_ROUTE_PEERS * sizeof(struct c4_route_peer) +          \
	 C4_ROUTE_DESTS * sizeof(struct c4_route_dest))

struct maker {
	char dir[32], table[64], socket[64];
	struct c4_route_header *hdr;
	struct c4_route_peer *peers;
	struct c4_route_dest *dests;
};

static inline uint32_t maker_ip(const char *text)
{
	return ntohl(inet_addr(text));
}

static inline void maker_beat(struct maker *m)
{
	__atomic_store_n(&m->hdr->heartbeat_ns, c4_mono_ns() + MAKER_AHEAD_NS, __ATOMIC_RELEASE);
}

static inline void maker_header(void *bytes, uint64_t instance)
{
	*(struct c4_route_header *)bytes = (struct c4_route_header){
		.magic = C4_ROUTE_MAGIC,
		.version = C4_ROUTE_VERSION,
		.header_bytes = sizeof(struct c4_route_header),
		.total_bytes = MAKER_BYTES,
		.peer_off = sizeof(struct c4_route_header),
		.peer_cap = C4_ROUTE_PEERS,
		.peer_bytes = sizeof(struct c4_route_peer),
		.dest_off = sizeof(struct c4_route_header) +
			    C4_ROUTE_PEERS * sizeof(struct c4_route_peer),
		.dest_cap = C4_ROUTE_DESTS,
		.dest_bytes = sizeof(struct c4_route_dest),
		.instance = instance,
		.wait_us = C4_ROUTE_WAIT_MAX_US,
		.heartbeat_ns = c4_mono_ns() + MAKER_AHEAD_NS,
	};
}

/* A new file in place of any other. */
static inline void maker_table(struct maker *m, uint64_t instance)
{
	char new[80];
	int fd;

	if (m->hdr)
		munmap(m->hdr, MAKER_BYTES);
	snprintf(new, sizeof new, "%s.new", m->table);
	fd = open(new, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, MAKER_BYTES))
		abort();
	m->hdr = mmap(NULL, MAKER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (m->hdr == MAP_FAILED)
		abort();
	maker_header(m->hdr, instance);
	m->peers = (void *)((char *)m->hdr + m->hdr->peer_off);
	m->dests = (void *)((char *)m->hdr + m->hdr->dest_off);
	if (rename(new, m->table))
		abort();
}

/* A runtime directory that the environment names, with an empty table. */
static inline void maker_init(struct maker *m)
{
	*m = (struct maker){.dir = "/dev/shm/c4-test-XXXXXX"};
	if (!mkdtemp(m->dir))
		abort();
	snprintf(m->table, sizeof m->table, "%s/" C4_ROUTE_TABLE, m->dir, MAKER_NODE);
	snprintf(m->socket, sizeof m->socket, "%s/" C4_ROUTE_SOCKET, m->dir, MAKER_NODE);
	setenv(C4_ENV_RUNTIME_DIR, m->dir, 1);
	setenv(C4_ENV_NODE, MAKER_NODE, 1);
	maker_table(m, 1);
}

static inline void maker_release(struct maker *m)
{
	munmap(m->hdr, MAKER_BYTES);
	unlink(m->table);
	unlink(m->socket);
	rmdir(m->dir);
}

static inline void maker_peer(struct maker *m, const char *dst, const char *src)
{
	uint32_t at = c4_route_peer_hash(maker_ip(dst));

	while (m->peers[at % C4_ROUTE_PEERS].dst &&
	       m->peers[at % C4_ROUTE_PEERS].dst != maker_ip(dst))
		at++;
	m->peers[at % C4_ROUTE_PEERS] = (struct c4_route_peer){maker_ip(dst), maker_ip(src)};
}

static inline void maker_changed(struct maker *m)
{
	__atomic_fetch_add(&m->hdr->generation, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &m->hdr->generation, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* A destination without slots. */
static inline struct c4_route_dest *maker_dest(struct maker *m, uint8_t proto, const char *dst,
					       uint16_t dport, const char *src)
{
	uint32_t at = c4_route_dest_hash(proto, maker_ip(dst), dport);
	struct c4_route_dest *d;

	while (m->dests[at % C4_ROUTE_DESTS].dst)
		at++;
	d = &m->dests[at % C4_ROUTE_DESTS];
	d->src = maker_ip(src);
	d->dport = dport;
	d->proto = proto;
	__atomic_store_n(&d->dst, maker_ip(dst), __ATOMIC_RELEASE);
	return d;
}

/* One more slot, with n ports from `first` on. */
static inline struct c4_route_slot *maker_slot(struct c4_route_dest *d, uint16_t first, uint16_t n)
{
	struct c4_route_slot *s = &d->slot[d->nslots];

	__atomic_fetch_add(&d->gen, 1, __ATOMIC_ACQ_REL);
	for (uint16_t i = 0; i < n; i++)
		s->port[i] = (uint16_t)(first + i);
	s->nports = n;
	d->nslots++;
	__atomic_fetch_add(&d->gen, 1, __ATOMIC_RELEASE);
	return s;
}

static inline uint64_t maker_stat(const struct maker *m, enum c4_route_stat stat)
{
	return __atomic_load_n(&m->hdr->stats[stat], __ATOMIC_RELAXED);
}

static inline unsigned int maker_claims(const struct c4_route_slot *s)
{
	return (unsigned int)(__atomic_load_n(&s->claim, __ATOMIC_ACQUIRE) & 0xffff);
}

/* The agent's socket, bound. */
static inline int maker_listen(struct maker *m)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(name.sun_path, sizeof name.sun_path, "%s", m->socket);
	unlink(m->socket);
	if (fd < 0 || bind(fd, (void *)&name, sizeof name))
		abort();
	return fd;
}

#endif
