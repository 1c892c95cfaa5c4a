/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * faults.h - what the workloads share: options, a clock, and the faults they act out on
 * themselves. A workload is a plain MPI program; it knows nothing of who watches it.
 *
 * Times on the command line are seconds since faults_start(), each rank by its own clock.
 * Computing is mostly sleeping, so that eight ranks fit on two cores without disturbing each
 * other; a slow rank is slow because it sleeps in proportion to what its step took.
 */
#ifndef WORKLOADS_FAULTS_H
#define WORKLOADS_FAULTS_H

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FAULT_FIELDS 4

/* One RANK:A:B:C option; rank -1: not given. */
struct fault {
	int rank;
	double v[FAULT_FIELDS - 1];
	bool done;
};

struct faults {
	int rank; /* my own */
	double t0;
	long steps;	/* 0: until seconds are over */
	double seconds; /* 0: until steps are done */
	double compute_ms;
	double pause_period, pause_seconds; /* rank 0 alone, before a barrier */
	double paused_at;
	struct fault slow;     /* FACTOR, AFTER, UNTIL */
	struct fault stop;     /* AFTER */
	struct fault sleep;    /* AFTER, SECONDS */
	struct fault kill;     /* AFTER */
	struct fault skip;     /* AFTER */
	struct fault mismatch; /* AFTER */
};

static inline double faults_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Sleeps on after signals: a stopped and continued rank still does its whole work. */
static inline void faults_sleep(double seconds)
{
	struct timespec t = {.tv_sec = (time_t)seconds};

	if (seconds <= 0)
		return;
	t.tv_nsec = (long)((seconds - floor(seconds)) * 1e9);
	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

static inline double faults_now(const struct faults *f)
{
	return faults_clock() - f->t0;
}

static inline bool fault_parse(struct fault *f, const char *text)
{
	char *end;

	f->rank = (int)strtol(text, &end, 10);
	for (int i = 0; i < FAULT_FIELDS - 1 && *end == ':'; i++)
		f->v[i] = strtod(end + 1, &end);
	return end != text && *end == '\0';
}

static inline bool faults_pause_parse(struct faults *f, const char *text)
{
	char *end;

	f->pause_period = strtod(text, &end);
	if (*end != ':')
		return false;
	f->pause_seconds = strtod(end + 1, &end);
	return *end == '\0';
}

static inline bool faults_number(double *value, const char *text)
{
	char *end;

	*value = strtod(text, &end);
	return end != text && *end == '\0';
}

static inline void faults_init(struct faults *f)
{
	*f = (struct faults){.compute_ms = 20};
	f->slow.rank = f->stop.rank = f->sleep.rank = -1;
	f->kill.rank = f->skip.rank = f->mismatch.rank = -1;
	f->slow.v[2] = INFINITY;
}

static inline bool faults_set(struct faults *f, const char *name, const char *value)
{
	double number = 0;
	bool ok = true;

	if (!strcmp(name, "--slow"))
		return fault_parse(&f->slow, value);
	if (!strcmp(name, "--stop"))
		return fault_parse(&f->stop, value);
	if (!strcmp(name, "--sleep-rank"))
		return fault_parse(&f->sleep, value);
	if (!strcmp(name, "--kill"))
		return fault_parse(&f->kill, value);
	if (!strcmp(name, "--skip"))
		return fault_parse(&f->skip, value);
	if (!strcmp(name, "--count-mismatch"))
		return fault_parse(&f->mismatch, value);
	if (!strcmp(name, "--pause0"))
		return faults_pause_parse(f, value);
	ok = faults_number(&number, value);
	if (!strcmp(name, "--steps"))
		f->steps = (long)number;
	else if (!strcmp(name, "--seconds"))
		f->seconds = number;
	else if (!strcmp(name, "--compute-ms"))
		f->compute_ms = number;
	else
		ok = false;
	return ok;
}

/* Exits on misuse; before MPI_Init, so that no rank is left waiting. */
static inline void faults_parse(struct faults *f, int argc, char **argv)
{
	faults_init(f);
	for (int i = 1; i < argc; i += 2) {
		if (i + 1 < argc && faults_set(f, argv[i], argv[i + 1]))
			continue;
		fprintf(stderr,
			"%s: bad option %s; options: --steps N --seconds S --compute-ms MS\n"
			"  --slow RANK:FACTOR[:AFTER[:UNTIL]] --stop RANK:AFTER --kill RANK:AFTER\n"
			"  --sleep-rank RANK:AFTER:SECONDS --skip RANK:AFTER\n"
			"  --count-mismatch RANK:AFTER --pause0 PERIOD:SECONDS\n",
			argv[0], argv[i]);
		exit(2);
	}
	if (f->steps == 0 && f->seconds == 0)
		f->seconds = 10;
}

static inline void faults_start(struct faults *f, int rank)
{
	f->rank = rank;
	f->t0 = faults_clock();
	f->paused_at = 0;
}

/* Says when a fault really began, in wall-clock seconds: whoever measures detection needs it. */
static inline void faults_say(const struct faults *f, const char *what)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	fprintf(stderr, "fault: rank %d %s at %lld.%03ld\n", f->rank, what, (long long)t.tv_sec,
		t.tv_nsec / 1000000);
}

/* True once, when its time has come in the rank it is meant for. */
static inline bool fault_due(struct faults *f, struct fault *one, const char *what)
{
	if (one->done || one->rank != f->rank || faults_now(f) < one->v[0])
		return false;
	one->done = true;
	faults_say(f, what);
	return true;
}

/* Start of a step: the place where a rank gets lost. */
static inline void faults_strike(struct faults *f)
{
	if (fault_due(f, &f->kill, "kills itself"))
		raise(SIGKILL);
	if (fault_due(f, &f->stop, "stops itself"))
		raise(SIGSTOP);
	if (fault_due(f, &f->sleep, "falls asleep"))
		faults_sleep(f->sleep.v[1]);
}

static inline bool faults_skips(struct faults *f)
{
	return fault_due(f, &f->skip, "skips an operation");
}

static inline bool faults_miscounts(struct faults *f)
{
	return fault_due(f, &f->mismatch, "changes a count");
}

static inline double faults_factor(struct faults *f)
{
	double now = faults_now(f);

	if (f->slow.rank != f->rank || now < f->slow.v[1] || now >= f->slow.v[2])
		return 1;
	if (!f->slow.done)
		faults_say(f, "becomes slow");
	f->slow.done = true;
	return f->slow.v[0];
}

/*
 * The rest of a computing phase that began at `since` (faults_now) and should last ms: sleeps
 * to its end, and a slow rank beyond it.
 */
static inline void faults_compute(struct faults *f, double since, double ms)
{
	double spent = faults_now(f) - since;
	double whole = fmax(spent, ms * 1e-3);

	faults_sleep(whole * faults_factor(f) - spent);
}

/* Rank 0 alone asks for a pause; the others learn it through the program's own messages. */
static inline bool faults_pause_due(struct faults *f)
{
	if (f->rank != 0 || f->pause_period <= 0 || faults_now(f) - f->paused_at < f->pause_period)
		return false;
	f->paused_at = faults_now(f);
	return true;
}

/* What rank 0 does while the others wait in the barrier behind it. */
static inline void faults_pause(struct faults *f)
{
	if (f->rank == 0) {
		faults_sleep(f->pause_seconds);
		f->paused_at = faults_now(f);
	}
}

static inline bool faults_over(const struct faults *f, long step)
{
	return (f->steps > 0 && step >= f->steps) ||
	       (f->seconds > 0 && faults_now(f) >= f->seconds);
}

#endif
