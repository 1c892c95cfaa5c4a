// SPDX-License-Identifier: BSD-3-Clause
#include "agent/nccl/gpuclock.h"

#include <stdbool.h>
#include <string.h>

#include "agent/nccl/shared.h"
#include "common/base/clock.h"

#define READINGS    8
#define BASELINE_NS 2000000u /* 30 ns of error in it are 15 ppm */
#define WINDOW_NS   1e9
#define MAX_DRIFT   500e-6 /* of crystals, generously */
#define MIN_WINDOWS 4u	   /* fewer say nothing of the drift */
#define LINES	    8u
#define FUTURE_NS   1e6 /* no pair can lie that far below the line, if its clock was not set */
#define PAST_NS	    1e9
#define MAX_ODD	    16u
#define HOUR_NS	    3600e9

/* ---- the host's clock ------------------------------------------------------------------------ */

/* Both clocks at one instant: of several readings the one that took least. */
static void read_pair(uint32_t source, uint64_t *ticks, uint64_t *mono_ns)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < READINGS; i++) {
		uint64_t before = c4_ticks(source), mono = c4_mono_ns(), after = c4_ticks(source);

		if (after - before >= best)
			continue;
		best = after - before;
		*ticks = before + best / 2;
		*mono_ns = mono;
	}
}

void c4_gpuclock_host_init(struct c4_gpuclock_host *h, uint32_t source)
{
	h->source = source;
	read_pair(source, &h->ticks0, &h->mono0_ns);
}

/* Ticks a nanosecond, over at least so long. */
static double host_rate(const struct c4_gpuclock_host *h, uint64_t at_least_ns)
{
	uint64_t ticks, mono;

	if (h->source == C4_CLOCK_MONO_NS)
		return 1;
	do
		read_pair(h->source, &ticks, &mono);
	while (mono < h->mono0_ns + at_least_ns);
	return (double)(ticks - h->ticks0) / (double)(mono - h->mono0_ns);
}

void c4_gpuclock_init(struct c4_gpuclock *c, const struct c4_gpuclock_host *host)
{
	memset(c, 0, sizeof *c);
	c->host = host;
	c->rate = host_rate(host, BASELINE_NS);
}

/* ---- the line -------------------------------------------------------------------------------- */

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
static C4_RARE void publish(struct c4_gpuclock *c, double offset, double slope)
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

/* The closed windows' line: their slope, below all of them. */
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
static C4_RARE void settle(struct c4_gpuclock *c, uint64_t ticks)
{
	c->gpu0 += (uint64_t)(int64_t)c->open_gpu;
	c->ticks0 += (uint64_t)(int64_t)(c->open_gpu * c->rate + c->open_above);
	c->rate = host_rate(c->host, BASELINE_NS);
	c->settled = 1;
	c->open_gpu = c->open_above = 0;
	c->window_end = ticks + (uint64_t)(WINDOW_NS * c->rate);
	publish(c, 0, 0);
}

static C4_RARE void close_window(struct c4_gpuclock *c, uint64_t ticks)
{
	uint32_t i = c->used++ % C4_GPUCLOCK_WINDOWS;

	if (c->used == 2 * C4_GPUCLOCK_WINDOWS)
		c->used = C4_GPUCLOCK_WINDOWS; /* stays the same modulo, and never wraps */
	c->gpu[i] = c->open_gpu;
	c->above[i] = c->open_above;
	c->window_end = ticks + (uint64_t)(WINDOW_NS * c->rate);
	refit(c);
}

static C4_RARE void begin(struct c4_gpuclock *c, uint64_t gpu_ns, uint64_t ticks)
{
	c->gpu0 = gpu_ns;
	c->ticks0 = ticks;
	c->window_end = ticks + (uint64_t)(WINDOW_NS * c->rate);
	c->open_gpu = c->open_above = 0;
	c->used = c->odd = 0;
	publish(c, 0, 0);
}

/* How far a pair lies above the line, in ticks. */
static double height(const struct c4_gpuclock *c, double gpu, double above)
{
	const struct c4_gpuclock_line *line = &c->line[c->at % LINES];

	return above - (double)(int64_t)(line->ticks0 - c->ticks0) - (line->rate - c->rate) * gpu;
}

/* The lowest pair of the window is higher than any lag. */
static bool was_set_back(const struct c4_gpuclock *c)
{
	return height(c, c->open_gpu, c->open_above) > PAST_NS * c->rate;
}

static void take(struct c4_gpuclock *c, double gpu, double above, uint64_t ticks)
{
	double slope = c->line[c->at % LINES].rate - c->rate;
	bool over = ticks >= c->window_end;

	if (over)
		close_window(c, ticks);
	if (over || above - slope * gpu < c->open_above - slope * c->open_gpu) {
		c->open_gpu = gpu;
		c->open_above = above;
	}
	slope = c->line[c->at % LINES].rate - c->rate;
	if (height(c, gpu, above) < 0) /* the line had said "later than now" */
		publish(c, above - slope * gpu, slope);
}

static void add(struct c4_gpuclock *c, uint64_t gpu_ns, uint64_t ticks)
{
	bool over = ticks >= c->window_end;
	double gpu, above;

	if (over && was_set_back(c)) {
		begin(c, gpu_ns, ticks);
		return;
	}
	if (over && !c->settled)
		settle(c, ticks);
	gpu = (double)(int64_t)(gpu_ns - c->gpu0);
	above = (double)(int64_t)(ticks - c->ticks0) - gpu * c->rate;
	if (height(c, gpu, above) >= -FUTURE_NS * c->rate) {
		c->odd = 0;
		take(c, gpu, above, ticks);
	} else if (++c->odd >= MAX_ODD) {
		begin(c, gpu_ns, ticks);
	}
}

/* ---- what others call ------------------------------------------------------------------------ */

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

uint64_t c4_gpuclock_length(const struct c4_gpuclock *c, uint64_t gpu_ns)
{
	const struct c4_gpuclock_line *line =
		&c->line[__atomic_load_n(&c->at, __ATOMIC_ACQUIRE) % LINES];

	return (double)gpu_ns < HOUR_NS ? (uint64_t)((double)gpu_ns * get_double(&line->rate))
					: UINT64_MAX;
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
