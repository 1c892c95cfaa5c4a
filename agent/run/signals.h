/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * signals.h - c4run's own signal state: what it found, what it changed, how to give it back.
 *
 * The signals that may be meant for the job are blocked and read from a signalfd, whose siginfo
 * tells a terminal's ^C (the kernel sends it to the whole group: the job has it already) from a
 * kill(1) aimed at us alone. Children get back exactly what we were given, so that nohup and
 * friends work through us. One per process, main thread; threads made later inherit the mask.
 */
#ifndef C4_RUN_SIGNALS_H
#define C4_RUN_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

struct c4_signals {
	int fd; /* of read(2)-able signals, non-blocking, close-on-exec */
	sigset_t found_mask;
	struct sigaction found_pipe;
	struct sigaction found_child;
};

struct c4_signal {
	int number;
	bool from_terminal; /* sent by the kernel to the whole foreground group */
	int sender;	    /* pid, 0 if the kernel */
};

/* Blocks, ignores SIGPIPE, opens the descriptor. 0 or a negative errno. */
int c4_signals_init(struct c4_signals *s);

/* One waiting signal: true and *ret set, or false if there is none. */
bool c4_signals_read(const struct c4_signals *s, struct c4_signal *ret);

/* Puts back what init found; async-signal-safe, for a child before exec. */
void c4_signals_restore(const struct c4_signals *s);

/* Dies by this signal, without a core of our own. Returns only if it cannot be died of. */
void c4_signals_die(int number);

/* Stops ourselves by this signal as if it had never been blocked; returns when continued. */
void c4_signals_stop(int number);

#endif
