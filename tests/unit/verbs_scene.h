/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * verbs_scene.h - for tests of queue pairs that this very process makes through the hook that is
 * linked into it: a verbs library without devices, a table with a planned peer, and the socket of
 * the agent. The table stays from test to test, as the thread that moves queue pairs does.
 */
#ifndef C4_TESTS_VERBS_SCENE_H
#define C4_TESTS_VERBS_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/route/attach.h"
#include "agent/route/verbs.h"
#include "common/base/label.h"
#include "tests/route/maker.h"
#include "tests/route/verbs.h"

#define DST	"10.9.0.1"
#define OTHER	"10.9.0.7" /* not planned */
#define SRC	"10.9.0.2"
#define PORT	50000
#define MOVED	50100
#define MS	1000000ull
#define CONNECT (C4_IBV_STATE | C4_IBV_AV)

static struct maker m;
static struct c4_route_dest *dest;
static struct fake_verbs *fake;
static void *library, *mlx5;
static int heard; /* the agent's socket */
static struct c4_ibv_device device = {.ibdev_path = "/nowhere"};
static struct c4_ibv_context context = {.device = &device, .cmd_fd = -1};
static int (*modify)(struct c4_ibv_qp *qp, struct c4_ibv_attr *attr, int mask);
static int (*destroy)(struct c4_ibv_qp *qp);

static inline void put_ip(uint8_t *gid, const char *ip)
{
	uint32_t word = inet_addr(ip);

	memset(gid, 0, 16);
	gid[10] = gid[11] = 0xff;
	memcpy(gid + 12, &word, 4);
}

static inline void *load(const char *name)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 64);
	void *p;

	assert_true(n > 0);
	path[n] = '\0';
	snprintf(strrchr(path, '/'), 64, "/../route/%s", name);
	p = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	assert_non_null(p);
	return p;
}

static inline int load_all(void **state)
{
	(void)state;
	library = load("libibverbs.so.1");
	mlx5 = load("libmlx5.so.1");
	fake = dlsym(library, "fake_verbs");
	*(struct fake_verbs **)dlsym(mlx5, "fake_mlx5_of") = fake;
	modify = (__typeof__(modify))dlvsym(library, "ibv_modify_qp", C4_IBV_VERSION);
	destroy = (__typeof__(destroy))dlvsym(library, "ibv_destroy_qp", C4_IBV_VERSION);
	maker_init(&m);
	heard = maker_listen(&m);
	c4_attach_init();
	return !fake || !modify || !destroy;
}

static inline void hear_nothing_more(void)
{
	char bytes[64];

	while (recv(heard, bytes, sizeof bytes, MSG_DONTWAIT) >= 0)
		;
}

/* The table stays, as the thread that moves queue pairs does; it is empty again. */
static inline int set_up(void **state)
{
	(void)state;
	memset(m.peers, 0, C4_ROUTE_PEERS * sizeof *m.peers);
	memset(m.dests, 0, C4_ROUTE_DESTS * sizeof *m.dests);
	for (int i = 0; i < C4_ROUTE_STAT_MAX; i++)
		__atomic_store_n(&m.hdr->stats[i], 0, __ATOMIC_RELAXED);
	maker_beat(&m);
	maker_peer(&m, DST, SRC);
	dest = maker_dest(&m, C4_ROUTE_UDP, DST, C4_ROUTE_RDMA_PORT, SRC);
	maker_slot(dest, PORT, 2);
	maker_slot(dest, PORT + 10, 2);
	*fake = (struct fake_verbs){0};
	put_ip(fake->gid, SRC);
	hear_nothing_more();
	return 0;
}

static inline int clean_up(void **state)
{
	(void)state;
	close(heard);
	maker_release(&m);
	return 0;
}

/* ---- queue pairs ---------------------------------------------------------------------------- */

static inline struct c4_ibv_qp make_qp(void)
{
	return (struct c4_ibv_qp){
		.context = &context, .num = 17, .state = C4_IBV_INIT, .type = C4_IBV_RC};
}

static inline struct c4_ibv_attr towards(const char *dst)
{
	struct c4_ibv_attr a = {.state = C4_IBV_RTR, .ah = {.is_global = 1, .port_num = 1}};

	put_ip(a.ah.dgid, dst);
	return a;
}

static inline int connect_qp(struct c4_ibv_qp *qp)
{
	struct c4_ibv_attr a = towards(DST);

	maker_beat(&m);
	return modify(qp, &a, CONNECT);
}

static inline int start_qp(struct c4_ibv_qp *qp)
{
	struct c4_ibv_attr a = {.state = C4_IBV_RTS};

	return modify(qp, &a, C4_IBV_STATE);
}

static inline uint32_t last_label(void)
{
	uint32_t n = __atomic_load_n(&fake->calls, __ATOMIC_ACQUIRE);

	assert_true(n > 0 && n <= FAKE_CALLS);
	return fake->call[n - 1].label;
}

static inline uint64_t count(enum c4_route_stat stat)
{
	return maker_stat(&m, stat);
}

/* The agent has found that the path of this slot is reached by other ports now. */
static inline void move_slot(int slot, uint16_t first)
{
	__atomic_fetch_add(&dest->gen, 1, __ATOMIC_ACQ_REL);
	for (uint16_t i = 0; i < dest->slot[slot].nports; i++)
		__atomic_store_n(&dest->slot[slot].port[i], first + i, __ATOMIC_RELAXED);
	__atomic_fetch_add(&dest->slot[slot].moved, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&dest->gen, 1, __ATOMIC_RELEASE);
	maker_beat(&m);
	maker_changed(&m);
}

static inline bool comes_true(bool (*what)(uint64_t), uint64_t arg)
{
	uint64_t end = c4_mono_ns() + 10000 * MS;
	struct timespec nap = {0, 1000000};

	while (!what(arg)) {
		if (c4_mono_ns() > end)
			return false;
		maker_beat(&m);
		nanosleep(&nap, NULL);
	}
	return true;
}

static inline bool moved(uint64_t n)
{
	return count(C4_ROUTE_STAT_MOVED) >= n;
}

static inline bool stuck(uint64_t n)
{
	return count(C4_ROUTE_STAT_STUCK) >= n;
}

#endif
