// SPDX-License-Identifier: BSD-3-Clause
#include "tests/nccl/play.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "tests/nccl/build.h"
#include "tests/nccl/expect.h"
#include "tests/nccl/expr.h"
#include "tests/nccl/worker.h"

#define SKIPPED 77

static void run(struct player *p, int first, int last);

/* ---- variables and expressions -----------------------------------------------------------------
 */

void player_init(struct player *p, const struct stream *s, uint64_t origin_ns)
{
	const char *rank = getenv("RANK"), *size = getenv("WORLD_SIZE");

	memset(p, 0, sizeof *p);
	p->s = s;
	p->origin_ns = origin_ns;
	p->rank = rank ? atoi(rank) : 0;
	p->nranks = size ? atoi(size) : 1;
	/* a GPU's clock has nothing to do with the host's */
	p->gpu = (struct gpu_clock){1700000000LL * 1000000000, 20, 0, 0};
}

uint64_t player_now_us(const struct player *p)
{
	uint64_t now = c4_mono_ns();

	return now > p->origin_ns ? (now - p->origin_ns) / 1000 : 0;
}

static int var_find(const struct player *p, const char *name)
{
	for (int i = p->nvars - 1; i >= 0; i--)
		if (!strcmp(p->vars[i].name, name))
			return i;
	return -1;
}

static void var_push(struct player *p, const struct stmt *at, const char *name, int64_t value)
{
	if (p->nvars == VARS_MAX)
		stream_fail(at, "more than %d variables", VARS_MAX);
	snprintf(p->vars[p->nvars].name, NAME_MAX_, "%s", name);
	p->vars[p->nvars++].value = value;
}

void player_let(struct player *p, const struct stmt *at, const char *name, int64_t value)
{
	int i = var_find(p, name);

	if (i < 0)
		var_push(p, at, name, value);
	else
		p->vars[i].value = value;
}

static bool built_in(const struct player *p, const char *name, int64_t *ret)
{
	if (!strcmp(name, "rank"))
		*ret = p->rank;
	else if (!strcmp(name, "nranks"))
		*ret = p->nranks;
	else if (!strcmp(name, "now"))
		*ret = (int64_t)player_now_us(p);
	else if (!strcmp(name, "at"))
		*ret = p->at;
	else if (!strcmp(name, "pid"))
		*ret = getpid();
	else if (!strcmp(name, "api"))
		*ret = core_version();
	else if (!strcmp(name, "mask"))
		*ret = core_mask();
	else if (!strcmp(name, "warnings"))
		*ret = core_warnings();
	else if (!strcmp(name, "outside"))
		*ret = p->child;
	else
		return false;
	return true;
}

static bool look_up(void *arg, const char *name, int64_t *ret)
{
	const struct player *p = arg;
	int i = var_find(p, name);

	if (i >= 0)
		*ret = p->vars[i].value;
	return i >= 0 || built_in(p, name, ret) || expect_constant(name, ret);
}

int64_t player_eval(struct player *p, const struct stmt *at, const char *text)
{
	int64_t value = 0;
	const char *wrong = expr_eval(text, look_up, p, &value);

	if (wrong)
		stream_fail(at, "%s: %s", text, wrong);
	return value;
}

static int64_t argument(struct player *p, const struct stmt *st, int i)
{
	if (i >= st->words)
		stream_fail(st, "%s: too few arguments", st->word[0]);
	return player_eval(p, st, st->word[i]);
}

/* ---- events ------------------------------------------------------------------------------------
 */

static void sleep_until(const struct player *p, int64_t us)
{
	uint64_t ns = p->origin_ns + (uint64_t)(us > 0 ? us : 0) * 1000;
	struct timespec t = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

static void carry_out(void *arg)
{
	core_call(arg);
	free(arg);
}

static void dispatch(const struct player *p, const struct call *c, const char *thread)
{
	struct call *mine = malloc(sizeof *mine);

	if (!mine)
		abort();
	*mine = *c;
	if (p->child) { /* a forked child has no other threads */
		carry_out(mine);
		return;
	}
	worker_post(worker_get(thread), carry_out, mine);
	if (!p->parallel)
		worker_wait();
}

static void put_off(struct player *p, const struct call *c, const char *thread)
{
	struct due *d;

	if (p->ndues == p->room) {
		p->room = p->room ? 2 * p->room : 256;
		p->dues = realloc(p->dues, (size_t)p->room * sizeof *p->dues);
		if (!p->dues)
			abort();
	}
	d = &p->dues[p->ndues];
	*d = (struct due){.at_us = p->at, .order = p->ndues++, .call = *c};
	snprintf(d->thread, sizeof d->thread, "%s", thread);
}

static void run_event(struct player *p, const struct stmt *st)
{
	bool timed = st->word[0][0] == '@';
	struct call c;

	if (st->words < 2 + timed)
		stream_fail(st, "neither a statement nor an event");
	if (timed)
		p->at = player_eval(p, st, st->word[0] + 1);
	else if (!p->timeline)
		p->at = (int64_t)player_now_us(p);
	build_call(p, st, timed + 1, &c);
	if (p->timeline) {
		put_off(p, &c, st->word[timed]);
		return;
	}
	if (timed)
		sleep_until(p, p->at);
	dispatch(p, &c, st->word[timed]);
}

static int earlier(const void *a, const void *b)
{
	const struct due *x = a, *y = b;

	if (x->at_us != y->at_us)
		return x->at_us < y->at_us ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* ---- blocks ------------------------------------------------------------------------------------
 */

/* Times within are relative to the base: `origin_ns` moves there, so that everything follows. */
static void run_timeline(struct player *p, int i)
{
	const struct stmt *st = &p->s->stmts[i];
	uint64_t origin = p->origin_ns;

	if (p->timeline)
		stream_fail(st, "a timeline within a timeline");
	p->origin_ns += (uint64_t)argument(p, st, 1) * 1000;
	p->timeline = true;
	p->ndues = 0;
	p->at = 0;
	run(p, i + 1, st->end);
	p->timeline = false;
	qsort(p->dues, (size_t)p->ndues, sizeof *p->dues, earlier);
	for (int k = 0; k < p->ndues; k++) {
		sleep_until(p, p->dues[k].at_us);
		dispatch(p, &p->dues[k].call, p->dues[k].thread);
	}
	p->origin_ns = origin;
}

static void run_repeat(struct player *p, int i)
{
	const struct stmt *st = &p->s->stmts[i];
	int64_t from = argument(p, st, 2), to = argument(p, st, 3);
	int mark = p->nvars;

	for (int64_t v = from; v < to; v++) {
		p->nvars = mark;
		var_push(p, st, st->word[1], v);
		run(p, i + 1, st->end);
	}
	p->nvars = mark;
}

static void run_if(struct player *p, int i)
{
	const struct stmt *st = &p->s->stmts[i];
	int otherwise = st->otherwise ? st->otherwise : st->end;

	if (argument(p, st, 1))
		run(p, i + 1, otherwise);
	else
		run(p, otherwise + (st->otherwise != 0), st->end);
}

static void run_parallel(struct player *p, int i)
{
	p->parallel = true;
	run(p, i + 1, p->s->stmts[i].end);
	p->parallel = false;
	if (!p->child)
		worker_wait();
}

static void run_fork(struct player *p, int i)
{
	const struct stmt *st = &p->s->stmts[i];
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		stream_fail(st, "fork: %s", strerror(errno));
	if (!pid) {
		p->child = true;
		run(p, i + 1, st->end);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status))
		stream_fail(st, "the forked child ended with wait status %#x", status);
}

static int macro_find(const struct player *p, const struct stmt *st)
{
	for (int i = 0; i < p->s->count; i++) {
		const struct stmt *m = &p->s->stmts[i];

		if (!strcmp(m->word[0], "macro") && m->words > 1 && st->words > 1 &&
		    !strcmp(m->word[1], st->word[1]))
			return i;
	}
	stream_fail(st, "no such macro");
}

/* The value given for a parameter, or its default, or NULL. */
static const char *given(const struct stmt *st, const char *param)
{
	size_t n = strcspn(param, "=");

	for (int i = 2; i < st->words; i++)
		if (strcspn(st->word[i], "=") == n && !strncmp(st->word[i], param, n))
			return st->word[i] + n + 1;
	return param[n] ? param + n + 1 : NULL;
}

static void run_macro(struct player *p, const struct stmt *st)
{
	int i = macro_find(p, st), mark = p->nvars;
	const struct stmt *m = &p->s->stmts[i];

	for (int k = 2; k < m->words; k++) {
		const char *text = given(st, m->word[k]);
		char name[NAME_MAX_];

		snprintf(name, sizeof name, "%.*s", (int)strcspn(m->word[k], "="), m->word[k]);
		if (!text)
			stream_fail(st, "parameter %s is missing", name);
		var_push(p, st, name, player_eval(p, st, text));
	}
	run(p, i + 1, m->end);
	p->nvars = mark;
}

/* ---- other statements --------------------------------------------------------------------------
 */

static void set_gpu(struct player *p, const struct stmt *st)
{
	for (int i = 1; i < st->words; i++) {
		char *value = strchr(st->word[i], '=');
		int64_t v = value ? player_eval(p, st, value + 1) : 0;

		if (value && !strncmp(st->word[i], "offset=", 7))
			p->gpu.offset_ns = v;
		else if (value && !strncmp(st->word[i], "drift=", 6))
			p->gpu.drift_ppm = v;
		else if (value && !strncmp(st->word[i], "raw=", 4))
			p->gpu.raw_ns = v;
		else if (value && !strncmp(st->word[i], "at=", 3))
			p->gpu.raw_at_us = v;
		else
			stream_fail(st, "gpu: what is %s", st->word[i]);
	}
}

static void check(struct player *p, const struct stmt *st)
{
	if (argument(p, st, 1))
		return;
	expect_dump(p);
	stream_fail(st, "%s does not hold", st->word[1]);
}

static void skip_unless(struct player *p, const struct stmt *st)
{
	if (argument(p, st, 1))
		return;
	printf("skipped: %s\n", st->words > 2 ? st->word[2] : st->word[1]);
	fflush(NULL);
	_Exit(SKIPPED);
}

static void set_env(struct player *p, const struct stmt *st)
{
	(void)p;
	if (st->words != 3 || setenv(st->word[1], st->word[2], 1))
		stream_fail(st, "setenv NAME VALUE");
}

static void do_let(struct player *p, const struct stmt *st)
{
	player_let(p, st, st->words > 1 ? st->word[1] : "", argument(p, st, 2));
}

static void do_default(struct player *p, const struct stmt *st)
{
	if (st->words > 1 && var_find(p, st->word[1]) < 0)
		do_let(p, st);
}

static void do_sleep(struct player *p, const struct stmt *st)
{
	sleep_until(p, (int64_t)player_now_us(p) + argument(p, st, 1));
}

static void do_mask(struct player *p, const struct stmt *st)
{
	core_set_mask((int)argument(p, st, 1));
}

static void do_detail(struct player *p, const struct stmt *st)
{
	expect_detail(p, st, argument(p, st, 1));
}

static void do_exit(struct player *p, const struct stmt *st)
{
	(void)p;
	(void)st;
	fflush(NULL);
	_Exit(0);
}

static const struct {
	const char *word;
	void (*run)(struct player *p, const struct stmt *st);
} plain[] = {
	{"let", do_let},
	{"default", do_default},
	{"do", run_macro},
	{"sleep", do_sleep},
	{"gpu", set_gpu},
	{"setenv", set_env},
	{"mask", do_mask},
	{"detail", do_detail},
	{"check", check},
	{"expect", expect_rows},
	{"skip-unless", skip_unless},
	{"exit", do_exit},
};

static const struct {
	const char *word;
	void (*run)(struct player *p, int i); /* NULL: passed over */
} blocks[] = {
	{"repeat", run_repeat},	    {"if", run_if},	{"macro", NULL}, {"timeline", run_timeline},
	{"parallel", run_parallel}, {"fork", run_fork},
};

static void run_plain(struct player *p, const struct stmt *st)
{
	for (size_t k = 0; k < sizeof plain / sizeof plain[0]; k++) {
		if (strcmp(st->word[0], plain[k].word))
			continue;
		plain[k].run(p, st);
		return;
	}
	run_event(p, st);
}

/* Statements first … last-1. */
static void run(struct player *p, int first, int last)
{
	for (int i = first; i < last; i++) {
		const struct stmt *st = &p->s->stmts[i];

		if (!st->end) {
			run_plain(p, st);
			continue;
		}
		for (size_t k = 0; k < sizeof blocks / sizeof blocks[0]; k++)
			if (!strcmp(st->word[0], blocks[k].word) && blocks[k].run)
				blocks[k].run(p, i);
		i = st->end;
	}
}

void player_run(struct player *p)
{
	run(p, 0, p->s->count);
	worker_wait();
	free(p->dues);
	p->dues = NULL;
}
