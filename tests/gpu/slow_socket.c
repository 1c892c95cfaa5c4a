// SPDX-License-Identifier: BSD-3-Clause
/*
 * slow_socket.so - LD_PRELOAD into one rank: its network is ill. NCCL's socket transport sends and
 * receives without blocking, so a socket that is not ready is all it takes. No root, no change of
 * the machine, and one direction of one process only, which tc on the loopback cannot do.
 *
 *   C4_FAULT_SEND, C4_FAULT_RECV = AFTER_S:BYTES_PER_S     0 bytes: nothing passes any more
 *   C4_FAULT_ONLY=1                                        the first data connection alone
 *
 * Data connections are those that have carried DATA_BYTES: what NCCL says otherwise goes on.
 * AFTER_S is counted from the first one, so that it does not matter how long CUDA and NCCL take to
 * come up.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FDS	   65536
#define DATA_BYTES (1u << 20)
#define BURST_S	   0.02

struct direction {
	const char *env;
	int known; /* 1: none, 2: there is a fault */
	double after_s, rate;
	double allowance, filled_at;
	int only; /* the connection that is ill; -1: all */
	uint64_t carried[FDS];
};

static struct direction sending = {.env = "C4_FAULT_SEND", .only = -1};
static struct direction receiving = {.env = "C4_FAULT_RECV", .only = -1};
static double started; /* the first data connection was seen; 0: none yet */
static ssize_t (*real_send)(int, const void *, size_t, int);
static ssize_t (*real_recv)(int, void *, size_t, int);

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

__attribute__((constructor)) static void setup(void)
{
	real_send = (ssize_t(*)(int, const void *, size_t, int))dlsym(RTLD_NEXT, "send");
	real_recv = (ssize_t(*)(int, void *, size_t, int))dlsym(RTLD_NEXT, "recv");
}

static int ill(struct direction *d)
{
	const char *text;

	if (!d->known) {
		text = getenv(d->env);
		d->known = text && sscanf(text, "%lf:%lf", &d->after_s, &d->rate) == 2 ? 2 : 1;
	}
	return d->known == 2 && started > 0 && now() - started >= d->after_s;
}

/* How much of n may pass now. */
static size_t allowed(struct direction *d, int fd, size_t n)
{
	double t = now();

	if (fd < 0 || fd >= FDS || d->carried[fd] < DATA_BYTES || !ill(d))
		return n;
	if (getenv("C4_FAULT_ONLY") && d->only < 0)
		d->only = fd;
	if (d->only >= 0 && d->only != fd)
		return n;
	d->allowance += (t - d->filled_at) * d->rate;
	if (d->allowance > d->rate * BURST_S || d->filled_at == 0)
		d->allowance = d->rate * BURST_S;
	d->filled_at = t;
	if (d->allowance < 1)
		return 0;
	return (double)n < d->allowance ? n : (size_t)d->allowance;
}

static void passed(struct direction *d, int fd, ssize_t n)
{
	if (n <= 0 || fd < 0 || fd >= FDS)
		return;
	d->carried[fd] += (uint64_t)n;
	if (started == 0 && d->carried[fd] >= DATA_BYTES)
		started = now();
	if (d->filled_at > 0) /* before the fault nothing is rationed */
		d->allowance -= (double)n;
}

ssize_t send(int fd, const void *data, size_t n, int flags)
{
	size_t most = allowed(&sending, fd, n);
	ssize_t sent;

	if (n && !most && flags & MSG_DONTWAIT) {
		errno = EAGAIN;
		return -1;
	}
	sent = real_send(fd, data, most ? most : n, flags);
	passed(&sending, fd, sent);
	return sent;
}

ssize_t recv(int fd, void *data, size_t n, int flags)
{
	size_t most = allowed(&receiving, fd, n);
	ssize_t got;

	if (n && !most && flags & MSG_DONTWAIT) {
		errno = EAGAIN;
		return -1;
	}
	got = real_recv(fd, data, most ? most : n, flags);
	passed(&receiving, fd, got);
	return got;
}
