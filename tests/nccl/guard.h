/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guard.h - proves of a plugin that its callbacks are guests: between guard_enter() and
 * guard_leave() the calling thread may neither enter the kernel nor allocate. Whoever does ends the
 * program at once, named.
 *
 * System calls: Linux (5.11 and later) sends SIGSYS for each one that a thread makes while a byte
 * of its own says so (PR_SET_SYSCALL_USER_DISPATCH); clock_gettime() of the vDSO is none. What
 * would wait for a lock would enter the kernel, too. Allocation: the program's own malloc family,
 * in front of libc's. Where either cannot be had (older kernels, other machines, sanitizers),
 * guard_watches() says so and nothing is proved.
 */
#ifndef C4_TESTS_NCCL_GUARD_H
#define C4_TESTS_NCCL_GUARD_H

#define GUARD_SYSCALLS 1u
#define GUARD_MEMORY   2u

/* Once, before threads are made. */
void guard_setup(void);

/* What is watched over on this machine, bits. */
unsigned int guard_watches(void);

/* From here on, until guard_leave(). what, name: for the message, kept by reference. */
void guard_enter(const char *what, const char *name);
void guard_leave(void);

/* Breaks the rule on purpose, for the test of the guard itself: "syscall" or "malloc". */
void guard_provoke(const char *rule);

#endif
