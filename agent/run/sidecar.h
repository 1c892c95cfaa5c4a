/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sidecar.h - one of our own daemons (collector or agent) as a child: started, waited for until it
 * says it is ready, ended in good time.
 *
 * The daemon gets "--ready-fd N" and writes one line there once it serves (the newline may be
 * missing); it is kept. Both start and stop have a deadline, so that a stuck daemon never holds up
 * the job or its end. Event loop thread only; the storage must outlive the loop.
 */
#ifndef C4_RUN_SIDECAR_H
#define C4_RUN_SIDECAR_H

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

#include "agent/run/signals.h"

enum c4_sidecar_event {
	C4_SIDECAR_READY,
	C4_SIDECAR_FAILED, /* never became ready; it is gone or being killed */
	C4_SIDECAR_ENDED,  /* after it was ready, wanted or not */
};

struct c4_sidecar;
typedef void (*c4_sidecar_cb)(struct c4_sidecar *s, enum c4_sidecar_event what, void *arg);

#define C4_SIDECAR_ARGS 24

struct c4_sidecar {
	const char *name;
	pid_t pid; /* 0: never started */
	bool ready;
	bool told; /* FAILED or ENDED was reported */
	bool ended;
	bool stopping;
	bool killed;	/* SIGTERM was not enough */
	int status;	/* as waitpid(2), once ended */
	char line[128]; /* what it wrote when ready, without the newline */
	size_t line_len;
	int ready_fd;
	uv_poll_t poll;
	uv_timer_t timer;
	c4_sidecar_cb cb;
	void *arg;
};

void c4_sidecar_init(struct c4_sidecar *s, uv_loop_t *loop, const char *name, c4_sidecar_cb cb,
		     void *arg);

/*
 * argv: program and options, NULL-terminated, at most C4_SIDECAR_ARGS - 3 words. 0, then READY or
 * FAILED follows within the deadline; or a negative errno and no event.
 */
int c4_sidecar_start(struct c4_sidecar *s, char *const *argv, char *const *env,
		     const struct c4_signals *signals, unsigned int deadline_ms);

/* Asks it to end; kills it after grace_ms. ENDED follows. False if there is nothing to end. */
bool c4_sidecar_stop(struct c4_sidecar *s, unsigned int grace_ms);

/* To be called on SIGCHLD. */
void c4_sidecar_reap(struct c4_sidecar *s);

bool c4_sidecar_running(const struct c4_sidecar *s);

/* "exit 3" or "killed by SIGSEGV", of an ended one. */
const char *c4_sidecar_outcome(const struct c4_sidecar *s, char *buf, unsigned long n);

#endif
