// SPDX-License-Identifier: BSD-3-Clause
/* Queue pairs as processes tell of them: who is there, until when, and what they carry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/daemon/routes/asks.h"
#include "agent/daemon/routes/qpairs.h"
#include "agent/daemon/routes/qpshare.h"
#include "tests/unit/fake/sysfs.h"

#define S     1000000000ull
#define KEEP  (C4_ROUTE_QP_KEEP_MS * 1000000ull)
#define A     0x0a000001u
#define B     0x0a000002u
#define C     0x0a000003u
#define PORTS "class/infiniband/"

static struct c4_qpairs s;

static int setup(void **state)
{
	(void)state;
	s = (struct c4_qpairs){0};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	c4_qpairs_release(&s);
	return 0;
}

static struct c4_route_qp up(uint64_t id, uint32_t dst, uint16_t sport)
{
	return (struct c4_route_qp){
		.magic = C4_ROUTE_QP_MAGIC,
		.version = C4_ROUTE_VERSION,
		.kind = C4_ROUTE_QP_UP,
		.slot = C4_ROUTE_SLOTS,
		.src = A,
		.dst = dst,
		.sport = sport,
		.qpn = (uint32_t)id,
		.pid = 1,
		.id = id,
	};
}

static void tell(uint64_t id, uint32_t dst, uint16_t sport, uint32_t pid, uint64_t now_ns)
{
	struct c4_route_qp m = up(id, dst, sport);

	c4_qpairs_take(&s, &m, pid, now_ns);
}

static void tell_gone(uint64_t id, uint32_t pid)
{
	struct c4_route_qp m = up(id, B, 50000);

	m.kind = C4_ROUTE_QP_GONE;
	c4_qpairs_take(&s, &m, pid, 0);
}

static uint32_t ours(void)
{
	return (uint32_t)getpid();
}

/* A process that lives until it is killed. */
static pid_t bystander(void)
{
	pid_t pid = fork();

	if (!pid) {
		pause();
		_exit(0);
	}
	assert_true(pid > 0);
	return pid;
}

static void test_come_and_go(void **state)
{
	(void)state;
	tell(1, B, 50000, ours(), S);
	tell(2, B, 50001, ours(), S);
	assert_int_equal(s.n, 2);
	tell(1, B, 50002, ours(), 2 * S); /* moved: the same one */
	assert_int_equal(s.n, 2);
	tell_gone(7, ours());
	tell_gone(1, ours() + 1); /* another's */
	assert_int_equal(s.n, 2);
	tell_gone(1, ours());
	tell_gone(1, ours());
	assert_int_equal(s.n, 1);
	tell_gone(2, ours());
	assert_int_equal(s.n, 0);
	assert_int_equal(s.owners.used, 0);
	assert_int_equal(s.nfds, 0);
}

static void test_one_that_nobody_speaks_of(void **state)
{
	(void)state;
	tell(1, B, 50000, ours(), S);
	tell(2, B, 50000, 0, S); /* of a process that we cannot see */
	tell(3, B, 50000, ours(), S);
	c4_qpairs_sweep(&s, S + KEEP - 1);
	assert_int_equal(s.n, 3);
	tell(3, B, 50000, ours(), S + KEEP - 1);
	c4_qpairs_sweep(&s, S + KEEP);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.expired, 2);
	assert_int_equal(s.ended, 0);
}

/* Its parent has not fetched its status: it has ended all the same. */
static void test_process_that_was_killed(void **state)
{
	pid_t pid = bystander();
	siginfo_t info;

	(void)state;
	for (uint64_t i = 0; i < 1000; i++)
		tell(i, B, (uint16_t)(50000 + i), (uint32_t)pid, S);
	tell(1, B, 50000, ours(), S);
	assert_int_equal(s.owners.used, 2);
	c4_qpairs_sweep(&s, 2 * S);
	assert_int_equal(s.n, 1001);
	kill(pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	c4_qpairs_sweep(&s, 2 * S);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.ended, 1000);
	assert_int_equal(s.owners.used, 1);
	waitpid(pid, NULL, 0);
	tell(5, B, 50000, (uint32_t)pid, 3 * S); /* late: nobody is there */
	c4_qpairs_sweep(&s, 3 * S);
	assert_int_equal(s.n, 1);
}

/* No descriptor to be had: its number tells. */
static void test_process_without_a_descriptor(void **state)
{
	pid_t pid = bystander();

	(void)state;
	s.nfds = C4_QPAIRS_PIDFDS;
	tell(1, B, 50000, (uint32_t)pid, S);
	c4_qpairs_sweep(&s, S);
	assert_int_equal(s.n, 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	c4_qpairs_sweep(&s, S);
	assert_int_equal(s.n, 0);
	assert_int_equal(s.nfds, C4_QPAIRS_PIDFDS);
}

static void test_full(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < C4_QPAIRS_MAX + 10; i++)
		tell(i, B, 50000, ours(), S);
	assert_int_equal(s.n, C4_QPAIRS_MAX);
	assert_int_equal(s.crowded, 10);
	tell(3, B, 50001, ours(), S);
	assert_int_equal(s.crowded, 10);
	tell_gone(3, ours());
	tell(C4_QPAIRS_MAX, B, 50000, ours(), S);
	assert_int_equal(s.n, C4_QPAIRS_MAX);
	c4_qpairs_sweep(&s, S + KEEP);
	assert_int_equal(s.n, 0);
}

static void test_groups(void **state)
{
	const struct c4_qpair_group *g;

	(void)state;
	assert_int_equal(c4_qpairs_group(&s, &g), 0);
	tell(1, C, 50000, ours(), S);
	tell(2, B, 50007, ours(), S);
	tell(3, B, 50000, ours(), S);
	tell(4, B, 50007, 0, S);
	assert_int_equal(c4_qpairs_group(&s, &g), 3);
	assert_true(g[0].dst == B && g[0].sport == 50000 && g[0].n == 1);
	assert_true(g[1].dst == B && g[1].sport == 50007 && g[1].n == 2);
	assert_true(g[2].dst == C && g[2].sport == 50000 && g[2].n == 1);
}

/* ---- the socket ----------------------------------------------------------------------------- */

static struct {
	uint32_t asks, qps, pid;
	struct c4_route_qp last;
} got;

static void take_ask(void *arg, const struct c4_route_ask *ask)
{
	(void)arg, (void)ask;
	got.asks++;
}

static void take_qp(void *arg, const struct c4_route_qp *qp, uint32_t pid)
{
	(void)arg;
	got.qps++;
	got.pid = pid;
	got.last = *qp;
}

static void send_to(const struct c4_asks *a, const void *datagram, size_t n)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	assert_int_equal(sendto(fd, datagram, n, 0, (const void *)&a->address, sizeof a->address),
			 n);
	close(fd);
}

/* Descriptors that come along are not kept. */
static void send_with_descriptor(const struct c4_asks *a, struct c4_route_qp *m)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} room = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)),
			   .cmsg_level = SOL_SOCKET,
			   .cmsg_type = SCM_RIGHTS}};
	struct iovec from = {m, sizeof *m};
	struct msghdr h = {.msg_name = (void *)(uintptr_t)&a->address,
			   .msg_namelen = sizeof a->address,
			   .msg_iov = &from,
			   .msg_iovlen = 1,
			   .msg_control = &room,
			   .msg_controllen = sizeof room};
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	memcpy(CMSG_DATA(&room.head), &fd, sizeof fd);
	assert_int_equal(sendmsg(fd, &h, 0), sizeof *m);
	close(fd);
}

static int lowest_free_descriptor(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

/* Each field that may not be so. */
static uint64_t send_garbage(const struct c4_asks *a)
{
	struct c4_route_qp bad[7];
	uint64_t n = 0;

	for (int i = 0; i < 7; i++)
		bad[i] = up(1, B, 50000);
	bad[0].magic = (uint32_t)C4_ROUTE_MAGIC;
	bad[1].version++;
	bad[2].kind = 3;
	bad[3].slot = C4_ROUTE_SLOTS + 1;
	bad[4].src = 0;
	bad[5].dst = 0;
	bad[6].sport = 0;
	for (int i = 0; i < 7; i++, n++)
		send_to(a, &bad[i], sizeof bad[i]);
	bad[0] = up(1, B, 50000);
	send_to(a, bad, sizeof bad[0] - 1);
	send_to(a, bad, sizeof bad);
	send_to(a, bad, 0);
	return n + 3;
}

static void test_socket(void **state)
{
	char dir[] = "/tmp/c4-asks.XXXXXX";
	struct c4_asks_config config = {dir, "n0", take_ask, take_qp, NULL};
	struct c4_route_ask ask = {.magic = (uint32_t)C4_ROUTE_MAGIC,
				   .version = C4_ROUTE_VERSION,
				   .proto = C4_ROUTE_UDP,
				   .dst = B,
				   .dport = 4791};
	struct c4_route_qp m = up(9, B, 50000);
	struct c4_asks a;
	uint64_t bad;
	uv_loop_t loop;
	int next;

	(void)state;
	assert_non_null(mkdtemp(dir));
	uv_loop_init(&loop);
	assert_int_equal(c4_asks_open(&a, &loop, &config), 0);
	uv_run(&loop, UV_RUN_NOWAIT);
	next = lowest_free_descriptor();
	send_to(&a, &ask, sizeof ask);
	send_to(&a, &m, sizeof m);
	send_with_descriptor(&a, &m);
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(got.asks, 1);
	assert_int_equal(got.qps, 2);
	assert_int_equal(got.pid, getpid());
	assert_true(got.last.id == 9 && got.last.sport == 50000);
	bad = send_garbage(&a);
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(a.bad, bad);
	assert_int_equal(got.asks + got.qps, 3);
	assert_int_equal(lowest_free_descriptor(), next);
	c4_asks_close(&a);
	uv_close((uv_handle_t *)&a.poll, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	c4_asks_release(&a);
	uv_loop_close(&loop);
	rmdir(dir);
}

/* ---- what they carry ------------------------------------------------------------------------ */

static char root[64];
static struct c4_rdmaports before, now;
static struct c4_locals locals = {.address = {A, C}, .n = 2};

static uint64_t late_ns; /* so long after the reading they are looked at */

static int setup_sysfs(void **state)
{
	(void)state;
	setup(state);
	before = now = (struct c4_rdmaports){.read_ns = 100 * S};
	late_ns = 0;
	snprintf(root, sizeof root, "/tmp/c4-ports.XXXXXX");
	if (!mkdtemp(root))
		return -1;
	sysfs_put(root, PORTS "mlx5_0/ports/1/gids/0", "fe80:0000:0000:0000:0202:c9ff:fe00:0001");
	sysfs_put(root, PORTS "mlx5_0/ports/1/gids/3", "0000:0000:0000:0000:0000:ffff:0a00:0001");
	sysfs_put(root, PORTS "mlx5_0/ports/1/gid_attrs/ndevs/3", "eth0");
	sysfs_put(root, PORTS "mlx5_0/ports/1/counters/port_xmit_data", "1000");
	sysfs_put(root, PORTS "rxe0/ports/1/gids/0", "fe80:0000:0000:0000:0202:c9ff:fe00:0002");
	sysfs_put(root, PORTS "rxe0/ports/1/gids/1", "0000:0000:0000:0000:0000:ffff:0a00:0003");
	sysfs_put(root, PORTS "rxe0/ports/1/gid_attrs/ndevs/1", "veth1");
	sysfs_put(root, "class/net/veth1/statistics/tx_bytes", "5000000");
	return 0;
}

static int teardown_sysfs(void **state)
{
	teardown(state);
	return sysfs_remove(root);
}

/* One more reading, a second later. */
static void read_again(void)
{
	before = now;
	c4_rdmaports_read(&now, root, before.read_ns + S);
}

/* The bytes of all queue pairs of this source within a second. */
static uint64_t carried(uint32_t src, uint16_t sport, const struct c4_flow *tcp, uint32_t ntcp)
{
	struct c4_qpshare_scene scene = {.locals = &locals,
					 .before = &before,
					 .now = &now,
					 .tcp = tcp,
					 .ntcp = ntcp,
					 .now_ns = now.read_ns + late_ns,
					 .interval_ns = S};
	struct c4_qpshare share;

	scene.ngroups = c4_qpairs_group(&s, &scene.groups);
	c4_qpshare_make(&share, &scene);
	for (uint32_t i = 0; i < scene.ngroups; i++)
		if (scene.groups[i].src == src && scene.groups[i].sport == sport)
			return c4_qpshare_of(&share, &scene.groups[i]);
	return UINT64_MAX;
}

static void test_ports(void **state)
{
	(void)state;
	c4_rdmaports_find(&now, root);
	c4_rdmaports_read(&now, root, S);
	assert_int_equal(now.n, 2);
	assert_int_equal(now.naddresses, 2);
	assert_string_equal(c4_rdmaports_of(&now, A)->device, "mlx5_0");
	assert_int_equal(c4_rdmaports_of(&now, A)->sent_bytes, 4000);
	assert_false(c4_rdmaports_of(&now, A)->shared);
	assert_string_equal(c4_rdmaports_of(&now, C)->net, "veth1");
	assert_true(c4_rdmaports_of(&now, C)->shared);
	assert_null(c4_rdmaports_of(&now, B));
	c4_rdmaports_find(&now, "/nowhere");
	assert_int_equal(now.n + now.naddresses, 0);
}

static void test_parts_are_equal(void **state)
{
	(void)state;
	tell(1, B, 50000, ours(), S);
	tell(2, B, 50001, ours(), S);
	tell(3, B, 50001, ours(), S);
	tell(4, C, 50003, ours(), S); /* within the node */
	c4_rdmaports_find(&now, root);
	read_again();
	assert_int_equal(carried(A, 50000, NULL, 0), 0); /* one reading says nothing */
	sysfs_put(root, PORTS "mlx5_0/ports/1/counters/port_xmit_data", "751000");
	read_again();
	assert_int_equal(carried(A, 50000, NULL, 0), 1000000);
	assert_int_equal(carried(A, 50001, NULL, 0), 2000000);
	read_again();
	assert_int_equal(carried(A, 50001, NULL, 0), 0);
}

static void test_counters_that_say_nothing(void **state)
{
	static const char counter[] = PORTS "mlx5_0/ports/1/counters/port_xmit_data";
	char path[128];

	(void)state;
	tell(1, B, 50000, ours(), S);
	c4_rdmaports_find(&now, root);
	read_again();
	sysfs_put(root, counter, "10"); /* it counts anew */
	read_again();
	assert_int_equal(carried(A, 50000, NULL, 0), 0);
	sysfs_put(root, counter, "N/A (no counter)");
	read_again();
	assert_int_equal(carried(A, 50000, NULL, 0), 0);
	snprintf(path, sizeof path, "%s/%s", root, counter);
	unlink(path);
	read_again();
	assert_int_equal(carried(A, 50000, NULL, 0), 0);
	sysfs_put(root, counter, "1000");
	read_again();
	sysfs_put(root, counter, "2000");
	read_again();
	assert_int_equal(carried(A, 50000, NULL, 0), 4000);
	late_ns = 2 * C4_QPSHARE_OLD_NS;
	assert_int_equal(carried(A, 50000, NULL, 0), 0);
	late_ns = 0;
	before.read_ns -= 2 * C4_QPSHARE_OLD_NS;
	assert_int_equal(carried(A, 50000, NULL, 0), 0);
	unlink(path); /* its interface counts instead, and has for long */
	sysfs_put(root, "class/net/eth0/statistics/tx_bytes", "9000000");
	read_again();
	assert_int_equal(carried(A, 50000, NULL, 0), 0);
	sysfs_put(root, "class/net/eth0/statistics/tx_bytes", "9004000");
	read_again();
	assert_int_equal(carried(A, 50000, NULL, 0), 4000);
}

/* What else the interface carries is not theirs. */
static void test_interface_that_is_shared(void **state)
{
	const struct c4_flow tcp[] = {
		{.src = C, .dst = B, .sent_bytes = 1600000, .received_bytes = 320000},
		{.src = A, .dst = B, .sent_bytes = 9000000},
	};
	struct c4_route_qp m = up(1, B, 50000);

	(void)state;
	m.src = C;
	c4_qpairs_take(&s, &m, ours(), S);
	c4_rdmaports_find(&now, root);
	read_again();
	sysfs_put(root, "class/net/veth1/statistics/tx_bytes", "7000000");
	read_again();
	assert_int_equal(carried(C, 50000, NULL, 0), 2000000);
	assert_int_equal(carried(C, 50000, tcp, 2), 2000000 - 1700000 - 10000);
	read_again();
	assert_int_equal(carried(C, 50000, tcp, 2), 0);
}

int main(void)
{
#define T(x)	 cmocka_unit_test_setup_teardown(x, setup, teardown)
#define SYSFS(x) cmocka_unit_test_setup_teardown(x, setup_sysfs, teardown_sysfs)
	const struct CMUnitTest tests[] = {
		T(test_come_and_go),
		T(test_one_that_nobody_speaks_of),
		T(test_process_that_was_killed),
		T(test_process_without_a_descriptor),
		T(test_full),
		T(test_groups),
		T(test_socket),
		SYSFS(test_ports),
		SYSFS(test_parts_are_equal),
		SYSFS(test_counters_that_say_nothing),
		SYSFS(test_interface_that_is_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
