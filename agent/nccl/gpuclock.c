// SPDX-License-Identifier: BSD-3-Clause
#include "agent/nccl/gpuclock.h"

#include <stdbool.h>
#include <string.h>

#include "agent/nccl/shared.h"

#define WINDOW_NS   1e9
#define MAX_DRIFT   500e-6 /* of crystals, generously */
#define MIN_WINDOWS 4u	   /* fewer say nothing of the drift */
#define LINES	    8u

void c4_gpuclock_init(struct c4_gpuclock *c, uint32_t source, uint64_t ticks0, uint64_t mono0_ns)
{
	memset(c, 0, sizeof *c);
	c4_tick_rate_init(&c->host, source, ticks0, mono0_ns);
	c->source = source;
	c->rate = 1 / c->host.ns_per_tick;
}

/* Words of doubles are read by other threads while the next line is written elsewhere. */
static void set_double(double *p, double v)
{
	__atomic_store(p, &v, __ATOMIC_RELAXED);
}

static double get_double(const double *p)
{
	double v;

	__atomic_load(p, &v, __ATOMIC_RELAXED);
	return v;
}

/* Makes offset + slope the line that readers use: both in ticks above gpu · rate. */
static void publish(struct c4_gpuclock *c, double offset, double slope)
{
	uint32_t next = c4_get(&c->at) + 1;
	struct c4_gpuclock_line *line = &c->line[next % LINES];

	c4_set(&line->gpu0, c->gpu0);
	c4_set(&line->ticks0, c->ticks0 + (uint64_t)(int64_t)offset);
	set_double(&line->rate, c->rate + slope);
	__atomic_store_n(&c->at, next, __ATOMIC_RELEASE);
}

/* Least squares slope of the windows' lowest pairs, within what crystals do. */
static double fit_slope(const struct c4_gpuclock *c, uint32_t n)
{
	double mean_gpu = 0, mean_above = 0, num = 0, den = 0, slope, limit = MAX_DRIFT * c->rate;

	for (uint32_t i = 0; i < n; i++) {
		mean_gpu += c->gpu[i] / n;
		mean_above += c->above[i] / n;
	}
	for (uint32_t i = 0; i < n; i++) {
		double dx = c->gpu[i] - mean_gpu;

		num += dx * (c->above[i] - mean_above);
		den += dx * dx;
	}
	slope = n >= MIN_WINDOWS && den > 0 ? num / den : 0;
	return slope > limit ? limit : slope < -limit ? -limit : slope;
}

static void refit(struct c4_gpuclock *c)
{
	uint32_t n = c->used < C4_GPUCLOCK_WINDOWS ? c->used : C4_GPUCLOCK_WINDOWS;
	double slope = fit_slope(c, n), offset = 0;

	for (uint32_t i = 0; i < n; i++) {
		double below = c->above[i] - slope * c->gpu[i];

		if (i == 0 || below < offset)
			offset = below;
	}
	publish(c, offset, slope);
}

/*
 * The host's rate was measured when the process had just begun; after the first window it is known
 * to some 10^-7. What was seen so far is kept as one pair, the lowest.
 */
static void settle(struct c4_gpuclock *c, uint64_t ticks)
{
	c->gpu0 += (uint64_t)(int64_t)c->open_gpu;
	c->ticks0 += (uint64_t)(int64_t)(c->open_gpu * c->rate + c->open_above);
	c4_tick_rate_update(&c->host, c->source);
	c->rate = 1 / c->host.ns_per_tick;
	c->settled = 1;
	c->open_gpu = c->open_above = 0;
	c->window_end = ticks + (uint64_t)(WINDOW_NS * c->rate);
	publish(c, 0, 0);
}

static void close_window(struct c4_gpuclock *c, uint64_t ticks)
{
	uint32_t i = c->used++ % C4_GPUCLOCK_WINDOWS;

	if (c->used == 2 * C4_GPUCLOCK_WINDOWS)
		c->used = C4_GPUCLOCK_WINDOWS; /* stays the same modulo, and never wraps */
	c->gpu[i] = c->open_gpu;
	c->above[i] = c->open_above;
	c->window_end = ticks + (uint64_t)(WINDOW_NS * c->rate);
	refit(c);
}

static void begin(struct c4_gpuclock *c, uint64_t gpu_ns, uint64_t ticks)
{
	c->gpu0 = gpu_ns;
	c->ticks0 = ticks;
	c->window_end = ticks + (uint64_t)(WINDOW_NS * c->rate);
	c->open_gpu = c->open_above = 0;
	publish(c, 0, 0);
}

/* Lowers the line to a pair it lies above: it had said "later than now". */
static void stay_below(struct c4_gpuclock *c, double gpu, double above)
{
	const struct c4_gpuclock_line *line = &c->line[c->at % LINES];
	double slope = line->rate - c->rate;
	double offset = (double)(int64_t)(line->ticks0 - c->ticks0);

	if (above - slope * gpu < offset)
		publish(c, above - slope * gpu, slope);
}

static void add(struct c4_gpuclock *c, uint64_t gpu_ns, uint64_t ticks)
{
	double gpu, above, slope;
	bool over;

	if (ticks >= c->window_end && !c->settled)
		settle(c, ticks);
	gpu = (double)(int64_t)(gpu_ns - c->gpu0);
	above = (double)(int64_t)(ticks - c->ticks0) - gpu * c->rate;
	slope = c->line[c->at % LINES].rate - c->rate;
	over = ticks >= c->window_end;
	if (over)
		close_window(c, ticks);
	if (over || above - slope * gpu < c->open_above - slope * c->open_gpu) {
		c->open_gpu = gpu;
		c->open_above = above;
	}
	stay_below(c, gpu, above);
}

void c4_gpuclock_add(struct c4_gpuclock *c, uint64_t gpu_ns, uint64_t ticks)
{
	if (!gpu_ns || __atomic_exchange_n(&c->busy, 1, __ATOMIC_ACQUIRE))
		return;
	if (c4_get(&c->at))
		add(c, gpu_ns, ticks);
	else
		begin(c, gpu_ns, ticks);
	__atomic_store_n(&c->busy, 0, __ATOMIC_RELEASE);
}

uint64_t c4_gpuclock_ticks(const struct c4_gpuclock *c, uint64_t gpu_ns)
{
	uint32_t at = __atomic_load_n(&c->at, __ATOMIC_ACQUIRE);
	const struct c4_gpuclock_line *line = &c->line[at % LINES];
	double gpu;

	if (!at)
		return 0;
	gpu = (double)(int64_t)(gpu_ns - c4_get(&line->gpu0));
	return c4_get(&line->ticks0) + (uint64_t)(int64_t)(gpu * get_double(&line->rate));
}
