/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * proc.h - what the kernel tells of a process in /proc/PID/{stat,schedstat,io}. Parsing is pure
 * and separate from reading. Thread-safe; nothing allocates.
 */
#ifndef C4_AGENT_PROC_H
#define C4_AGENT_PROC_H

#include <stdbool.h>
#include <stdint.h>

struct c4_proc_stat {
	char state;		/* R S D T t Z X … */
	uint64_t cpu_jiffies;	/* user and system, all threads */
	uint64_t start_jiffies; /* since boot */
	uint32_t threads;
	int32_t exit_code; /* of a zombie, as from wait(2); 0 where we may not know */
};

struct c4_proc {
	struct c4_proc_stat stat;
	bool has_queue, has_io; /* the kernel may lack either, or forbid it */
	uint64_t queue_ns;	/* main thread: ready, but without a core */
	uint64_t io_bytes;	/* read and written through system calls */
};

/* Each takes NUL-terminated text. 0, or -EBADMSG with *out untouched. */
int c4_proc_parse_stat(const char *text, struct c4_proc_stat *out);
int c4_proc_parse_schedstat(const char *text, uint64_t *queue_ns);
int c4_proc_parse_io(const char *text, uint64_t *bytes);

/* 0; -ESRCH: no such process; or a negative errno. */
int c4_proc_read_stat(uint32_t pid, struct c4_proc_stat *out);
int c4_proc_read(uint32_t pid, struct c4_proc *out);

/* A length in jiffies (as in /proc, not the kernel's own), in nanoseconds. */
uint64_t c4_proc_jiffies_to_ns(uint64_t jiffies);

#endif
