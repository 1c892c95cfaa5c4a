// SPDX-License-Identifier: BSD-3-Clause
/*
 * plan.c - stands in for the agent: a plan table (c4/route.h) that says what a file says.
 *
 *	plan keep DIR NODE FILE			makes the table and keeps it until SIGTERM
 *	plan wait DIR NODE STAT COUNT SECONDS	waits until processes have counted so much
 *	plan stats DIR NODE			says what they counted, and the claims, in JSON
 *
 * FILE has a line for each planned pair: SRC DST SLOT..., addresses in dots, and a slot's ports
 * with commas between them. All of it is for RoCE. When the file is replaced the table follows: a
 * slot whose ports are others now has moved. DIR must be in memory (processes map the table shared).
 */
#include "c4/route.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PEERS 64u /* a table need not be as big as it may be */
#define DESTS 64u
#define BYTES                                                                                      \
	(sizeof(struct c4_route_header) + PEERS * sizeof(struct c4_route_peer) +                   \
	 DESTS * sizeof(struct c4_route_dest))
#define BEAT_NS 50000000
#define LINE	1024

static struct c4_route_header *table;
static struct c4_route_peer *peers;
static struct c4_route_dest *dests;
static char path[PATH_MAX];
static volatile sig_atomic_t ended;

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "plan: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void nap(void)
{
	struct timespec t = {.tv_nsec = BEAT_NS};

	nanosleep(&t, NULL);
}

/* ---- the table ------------------------------------------------------------------------------ */

static void name_table(const char *dir, const char *node)
{
	int n = snprintf(path, sizeof(path), "%s/", dir);

	snprintf(path + n, sizeof(path) - (size_t)n, C4_ROUTE_TABLE, node);
}

static void map_table(const char *name, int flags)
{
	int fd = open(name, flags | O_RDWR | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0 || ((flags & O_CREAT) && ftruncate(fd, BYTES)) || fstat(fd, &st) ||
	    (size_t)st.st_size < BYTES)
		die(name);
	table = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (table == MAP_FAILED)
		die(name);
	close(fd);
	peers = (struct c4_route_peer *)(table + 1);
	dests = (struct c4_route_dest *)(peers + PEERS);
}

static void make_table(void)
{
	char name[PATH_MAX + 8];

	snprintf(name, sizeof(name), "%s.new", path);
	unlink(name);
	map_table(name, O_CREAT | O_EXCL);
	table->version = C4_ROUTE_VERSION;
	table->header_bytes = sizeof(*table);
	table->total_bytes = BYTES;
	table->peer_off = sizeof(*table);
	table->peer_cap = PEERS;
	table->peer_bytes = sizeof(*peers);
	table->dest_off = (uint32_t)(sizeof(*table) + PEERS * sizeof(*peers));
	table->dest_cap = DESTS;
	table->dest_bytes = sizeof(*dests);
	table->instance = now_ns();
	table->pid = (uint32_t)getpid();
	table->wait_us = 10000;
	table->heartbeat_ns = now_ns();
	__atomic_store_n(&table->magic, C4_ROUTE_MAGIC, __ATOMIC_RELEASE);
	if (rename(name, path))
		die(path);
}

static void put_peer(uint32_t src, uint32_t dst)
{
	uint32_t i = c4_route_peer_hash(dst) & (PEERS - 1);

	while (peers[i].dst && peers[i].dst != dst)
		i = (i + 1) & (PEERS - 1);
	peers[i].src = src;
	__atomic_store_n(&peers[i].dst, dst, __ATOMIC_RELEASE);
}

static struct c4_route_dest *place_of(uint32_t dst)
{
	uint32_t i = c4_route_dest_hash(C4_ROUTE_UDP, dst, C4_ROUTE_RDMA_PORT) & (DESTS - 1);

	while (dests[i].dst && dests[i].dst != dst)
		i = (i + 1) & (DESTS - 1);
	return &dests[i];
}

static void put_slot(struct c4_route_slot *s, char *ports, int is_new)
{
	uint16_t port[C4_ROUTE_PORTS] = {0};
	uint16_t n = 0;
	char *rest;

	for (char *p = strtok_r(ports, ",", &rest); p && n < C4_ROUTE_PORTS;
	     p = strtok_r(NULL, ",", &rest))
		port[n++] = (uint16_t)atoi(p);
	if (!is_new && (n != s->nports || memcmp(port, s->port, sizeof(port)) != 0))
		s->moved++;
	s->nports = n;
	memcpy(s->port, port, sizeof(port));
}

static void put_line(char *line)
{
	char *rest, *src = strtok_r(line, " \n", &rest), *dst = strtok_r(NULL, " \n", &rest);
	uint32_t from = src ? ntohl(inet_addr(src)) : 0, to = dst ? ntohl(inet_addr(dst)) : 0;
	struct c4_route_dest *d;
	uint8_t slots = 0;

	if (!from || !to)
		return;
	d = place_of(to);
	__atomic_add_fetch(&d->gen, 1, __ATOMIC_SEQ_CST);
	d->src = from;
	d->dport = C4_ROUTE_RDMA_PORT;
	d->proto = C4_ROUTE_UDP;
	for (char *word = strtok_r(NULL, " \n", &rest); word && slots < C4_ROUTE_SLOTS;
	     word = strtok_r(NULL, " \n", &rest), slots++)
		put_slot(&d->slot[slots], word, slots >= d->nslots);
	d->nslots = slots;
	d->dst = to;
	__atomic_add_fetch(&d->gen, 1, __ATOMIC_SEQ_CST);
	put_peer(from, to);
}

static void follow(const char *file)
{
	char line[LINE];
	FILE *f = fopen(file, "r");

	if (!f)
		die(file);
	while (fgets(line, sizeof(line), f))
		put_line(line);
	fclose(f);
	table->plan_version++;
	__atomic_add_fetch(&table->generation, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &table->generation, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* ---- commands ------------------------------------------------------------------------------- */

static void on_term(int signum)
{
	(void)signum;
	ended = 1;
}

static int keep(const char *file)
{
	struct stat was = {0}, is;

	signal(SIGTERM, on_term);
	make_table();
	while (!ended) {
		if (stat(file, &is) == 0 && is.st_ino != was.st_ino) { /* renamed into place */
			follow(file);
			was = is;
		}
		__atomic_store_n(&table->heartbeat_ns, now_ns(), __ATOMIC_RELEASE);
		nap();
	}
	unlink(path);
	return 0;
}

static int wait_for(const char *name, uint64_t count, double seconds)
{
	static const char *const names[] = {
#define C4_X(sym, stat, help) stat,
		C4_ROUTE_STATS(C4_X)
#undef C4_X
	};
	uint64_t end = now_ns() + (uint64_t)(seconds * 1e9), found = 0;

	for (size_t k = 0; k < C4_ROUTE_STAT_MAX; k++) {
		if (strcmp(names[k], name) != 0)
			continue;
		do {
			found = __atomic_load_n(&table->stats[k], __ATOMIC_RELAXED);
			if (found >= count)
				return 0;
			nap();
		} while (now_ns() < end);
	}
	fprintf(stderr, "plan: %s: %llu, not %llu\n", name, (unsigned long long)found,
		(unsigned long long)count);
	return 1;
}

static int show(void)
{
	const char *comma = "";

	printf("{");
#define C4_X(sym, name, help)                                                                      \
	printf("\"%s\":%llu,", name, (unsigned long long)table->stats[C4_ROUTE_STAT_##sym]);
	C4_ROUTE_STATS(C4_X)
#undef C4_X
	printf("\"claims\":[");
	for (uint32_t i = 0; i < DESTS; i++) {
		for (uint32_t k = 0; dests[i].dst && k < dests[i].nslots; k++) {
			printf("%s{\"dst\":%u,\"slot\":%u,\"claimed\":%u}", comma, dests[i].dst, k,
			       (unsigned)(dests[i].slot[k].claim & 0xffff));
			comma = ",";
		}
	}
	printf("]}\n");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 4)
		name_table(argv[2], argv[3]);
	if (argc == 5 && strcmp(argv[1], "keep") == 0)
		return keep(argv[4]);
	if (argc == 7 && strcmp(argv[1], "wait") == 0) {
		map_table(path, 0);
		return wait_for(argv[4], strtoull(argv[5], NULL, 0), atof(argv[6]));
	}
	if (argc == 4 && strcmp(argv[1], "stats") == 0) {
		map_table(path, 0);
		return show();
	}
	fprintf(stderr, "usage: plan keep DIR NODE FILE | wait DIR NODE STAT COUNT SECONDS | "
			"stats DIR NODE\n");
	return 2;
}
