// SPDX-License-Identifier: BSD-3-Clause
#include "agent/route/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/hook/identity.h"
#include "c4/env.h"
#include "common/base/segment.h"
#include "common/base/str.h"

#define MAPS	  4u /* the table in use, and old ones that somebody is still in */
#define NONE	  MAPS
#define CHECK_NS  1000000000u
#define MAX_BYTES (16u << 20)

struct mapping {
	struct c4_rtable table; /* first: what is handed out */
	void *base;		/* NULL: free */
	size_t bytes;
	dev_t dev;
	ino_t ino;
	uint32_t users; /* atomic */
};

static struct {
	bool on;
	char table[PATH_MAX];
	struct sockaddr_un socket;
	socklen_t socket_len;
	uint64_t next_check_ns; /* atomic */
	bool busy;		/* atomic: somebody is looking for the file */
	uint32_t current;	/* atomic; index, NONE: no table */
	struct mapping map[MAPS];
} self = {.current = NONE};

/* ---- where to look -------------------------------------------------------------------------- */

/* DIR/PREFIX-NODE.SUFFIX, from one of the patterns of route.h; 0 if it fits. */
static int name_file(char *buf, size_t n, const char *dir, const char *pattern, const char *node)
{
	char head[32];
	struct c4_str s, h;
	const char *mark = strstr(pattern, "%s");

	c4_str_init(&h, head, sizeof head);
	c4_str_add(&h, pattern);
	head[mark - pattern] = '\0';
	c4_str_init(&s, buf, n);
	c4_str_add(&s, dir);
	c4_str_add(&s, "/");
	c4_str_add(&s, head);
	c4_str_add(&s, node);
	c4_str_add(&s, mark + 2);
	return s.cut ? -ENAMETOOLONG : 0;
}

/* The forking thread is not in here, and no other thread came along. */
static void in_child(void)
{
	__atomic_store_n(&self.busy, false, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < MAPS; i++)
		__atomic_store_n(&self.map[i].users, 0, __ATOMIC_RELAXED);
}

static bool switched_off(void)
{
	const char *value = getenv(C4_ENV_HOOK);

	return value && !strcmp(value, "0");
}

void c4_attach_init(void)
{
	struct c4_seg_header who = {0};
	char dir[PATH_MAX];
	int saved = errno;

	c4_identity_fill(&who);
	self.socket.sun_family = AF_UNIX;
	self.next_check_ns = 0;
	self.on = !switched_off() && !c4_runtime_dir(dir, sizeof dir) && !strchr(who.node, '/') &&
		  !name_file(self.table, sizeof self.table, dir, C4_ROUTE_TABLE, who.node) &&
		  !pthread_atfork(NULL, NULL, in_child);
	/* a path that no socket can have: the table is of use all the same */
	if (self.on && !name_file(self.socket.sun_path, sizeof self.socket.sun_path, dir,
				  C4_ROUTE_SOCKET, who.node))
		self.socket_len = sizeof self.socket;
	errno = saved;
}

/* ---- mapping -------------------------------------------------------------------------------- */

static bool trusted(const struct stat *st)
{
	return S_ISREG(st->st_mode) && (st->st_uid == geteuid() || st->st_uid == 0) &&
	       !(st->st_mode & (S_IWGRP | S_IWOTH)) &&
	       st->st_size >= (off_t)sizeof(struct c4_route_header) && st->st_size <= MAX_BYTES;
}

/* Maps the file into m if it is a good table. */
static int map_file(struct mapping *m, int fd, const struct stat *st)
{
	size_t bytes = (size_t)st->st_size;
	void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (base == MAP_FAILED)
		return -errno;
	if (c4_rtable_check(base, bytes, &m->table)) {
		munmap(base, bytes);
		return -EPROTO;
	}
	m->base = base;
	m->bytes = bytes;
	m->dev = st->st_dev;
	m->ino = st->st_ino;
	return 0;
}

/*
 * Gives back what was replaced. Who enters counts itself first and looks at `current` afterwards,
 * so nobody can enter once `current` is another and the count is 0.
 */
static void unmap_old(void)
{
	uint32_t current = __atomic_load_n(&self.current, __ATOMIC_SEQ_CST);

	for (uint32_t i = 0; i < MAPS; i++) {
		struct mapping *m = &self.map[i];

		if (i == current || !m->base || __atomic_load_n(&m->users, __ATOMIC_SEQ_CST))
			continue;
		munmap(m->base, m->bytes);
		m->base = NULL;
	}
}

static struct mapping *free_mapping(void)
{
	uint32_t current = __atomic_load_n(&self.current, __ATOMIC_SEQ_CST);

	for (uint32_t i = 0; i < MAPS; i++)
		if (i != current && !self.map[i].base &&
		    !__atomic_load_n(&self.map[i].users, __ATOMIC_SEQ_CST))
			return &self.map[i];
	return NULL;
}

static void use(uint32_t index)
{
	__atomic_store_n(&self.current, index, __ATOMIC_SEQ_CST);
	unmap_old();
}

static bool is_current(const struct stat *st)
{
	uint32_t current = __atomic_load_n(&self.current, __ATOMIC_RELAXED);

	return current != NONE && self.map[current].dev == st->st_dev &&
	       self.map[current].ino == st->st_ino;
}

static void look(void)
{
	int fd = open(self.table, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct mapping *m;
	struct stat st;

	if (fd < 0) {
		use(NONE);
		return;
	}
	unmap_old();
	m = free_mapping();
	if (m && !fstat(fd, &st) && trusted(&st) && !is_current(&st) && !map_file(m, fd, &st))
		use((uint32_t)(m - self.map));
	close(fd);
}

/* One thread a second. */
static void look_again(uint64_t now_ns)
{
	uint64_t due = __atomic_load_n(&self.next_check_ns, __ATOMIC_RELAXED);
	int saved;

	if (now_ns < due || __atomic_exchange_n(&self.busy, true, __ATOMIC_ACQUIRE))
		return;
	saved = errno;
	__atomic_store_n(&self.next_check_ns, now_ns + CHECK_NS, __ATOMIC_RELAXED);
	look();
	__atomic_store_n(&self.busy, false, __ATOMIC_RELEASE);
	errno = saved;
}

static const struct c4_rtable *enter(void)
{
	uint32_t i = __atomic_load_n(&self.current, __ATOMIC_SEQ_CST);

	if (i == NONE)
		return NULL;
	__atomic_fetch_add(&self.map[i].users, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&self.current, __ATOMIC_SEQ_CST) == i)
		return &self.map[i].table;
	c4_attach_put(&self.map[i].table);
	return NULL;
}

const struct c4_rtable *c4_attach_get(uint64_t now_ns)
{
	const struct c4_rtable *t;

	if (!self.on)
		return NULL;
	for (int again = 0; again < 2; again++) {
		t = enter();
		if (t && c4_rtable_live(t, now_ns))
			return t;
		c4_attach_put(t);
		if (!again)
			look_again(now_ns);
	}
	return NULL;
}

void c4_attach_put(const struct c4_rtable *t)
{
	struct mapping *m = (struct mapping *)(void *)(uintptr_t)t;

	if (m)
		__atomic_fetch_sub(&m->users, 1, __ATOMIC_SEQ_CST);
}

/* ---- saying --------------------------------------------------------------------------------- */

int c4_attach_send(const void *datagram, size_t n)
{
	int saved = errno, rc = 0, fd;

	if (!self.socket_len)
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || sendto(fd, datagram, n, MSG_NOSIGNAL | MSG_DONTWAIT,
			     (const void *)&self.socket, self.socket_len) != (ssize_t)n)
		rc = -errno;
	if (fd >= 0)
		close(fd);
	errno = saved;
	return rc;
}

int c4_attach_ask(uint8_t proto, uint32_t dst, uint16_t dport, bool taken)
{
	const struct c4_route_ask ask = {
		.magic = (uint32_t)C4_ROUTE_MAGIC,
		.version = C4_ROUTE_VERSION,
		.proto = proto,
		.taken = taken,
		.dst = dst,
		.dport = dport,
		.pid = (uint32_t)getpid(),
	};
	int rc = c4_attach_send(&ask, sizeof ask);

	return rc == -EAGAIN ? 0 : rc;
}
