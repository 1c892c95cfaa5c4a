// SPDX-License-Identifier: BSD-3-Clause
#include "tests/nccl/guard.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Facts of the kernel that older libc headers do not have. */
#define SET_SYSCALL_USER_DISPATCH 59
#define DISPATCH_ON		  1
#define ALLOW			  0
#define BLOCK			  1

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static unsigned int watches;
static bool probing;

static _Thread_local volatile char dispatch; /* the byte the kernel looks at */
static _Thread_local bool armed;
static _Thread_local bool inside;
static _Thread_local const char *call_what, *call_name;

/* Without stdio: it may be that which was forbidden. */
static _Noreturn void accuse(const char *did, long number)
{
	char text[256];
	int n;

	dispatch = ALLOW;
	inside = false;
	n = snprintf(text, sizeof text, "nccl_host: %s of %s %s (%ld)\n", call_what, call_name, did,
		     number);
	if (write(STDERR_FILENO, text, (size_t)n) != n)
		_exit(3);
	_exit(1);
}

static void on_sigsys(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	dispatch = ALLOW;
	if (probing) {
		watches &= ~GUARD_SYSCALLS;
		return;
	}
	accuse("made a system call", info->si_syscall);
}

/* The kernel forgets a thread's byte at fork, in the child. */
static void in_child(void)
{
	armed = false;
}

static bool arm(void)
{
	if (!armed)
		armed = !prctl(SET_SYSCALL_USER_DISPATCH, DISPATCH_ON, 0L, 0L, &dispatch);
	return armed;
}

/* Whether the clock, which callbacks read, is a system call on this machine. */
static void probe(void)
{
	struct timespec t;

	probing = true;
	dispatch = BLOCK;
	clock_gettime(CLOCK_MONOTONIC, &t);
	clock_gettime(CLOCK_REALTIME, &t);
	dispatch = ALLOW;
	probing = false;
}

void guard_setup(void)
{
	struct sigaction act = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};

	if (SANITIZED)
		return;
	watches = GUARD_MEMORY;
	pthread_atfork(NULL, NULL, in_child);
	if (sigaction(SIGSYS, &act, NULL) || !arm())
		return;
	watches |= GUARD_SYSCALLS;
	probe();
}

unsigned int guard_watches(void)
{
	return watches;
}

void guard_enter(const char *what, const char *name)
{
	int saved = errno;

	call_what = what;
	call_name = name;
	inside = watches & GUARD_MEMORY;
	if ((watches & GUARD_SYSCALLS) && arm())
		dispatch = BLOCK;
	errno = saved;
}

void guard_leave(void)
{
	dispatch = ALLOW;
	inside = false;
}

/* ---- allocation --------------------------------------------------------------------------------
 */

#if !SANITIZED && defined(__GLIBC__)

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);
void __libc_free(void *p);

static void judge(size_t n)
{
	if (inside)
		accuse("allocated memory", (long)n);
}

void *malloc(size_t n)
{
	judge(n);
	return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	judge(n * size);
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	judge(n);
	return __libc_realloc(p, n);
}

void *memalign(size_t align, size_t n)
{
	judge(n);
	return __libc_memalign(align, n);
}

void *aligned_alloc(size_t align, size_t n)
{
	return memalign(align, n);
}

int posix_memalign(void **p, size_t align, size_t n)
{
	*p = memalign(align, n);
	return *p ? 0 : ENOMEM;
}

void free(void *p)
{
	if (inside)
		accuse("gave memory back", 0);
	__libc_free(p);
}

#endif

void guard_provoke(const char *rule)
{
	static void *volatile keep;

	guard_enter("provocation", rule);
	if (!strcmp(rule, "syscall"))
		syscall(SYS_getppid);
	else
		keep = malloc(1);
	guard_leave();
	free(keep);
}
