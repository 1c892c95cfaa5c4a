// SPDX-License-Identifier: BSD-3-Clause
#include "common/base/clock.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
/* The kernel watches the TSC and leaves it when it is unstable; we believe the kernel. */
static int kernel_trusts_tsc(void)
{
	char name[8] = "";
	int fd = open("/sys/devices/system/clocksource/clocksource0/current_clocksource",
		      O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return 0;
	n = read(fd, name, sizeof name - 1);
	close(fd);
	return n >= 3 && !memcmp(name, "tsc", 3);
}
#endif

uint32_t c4_clock_source(void)
{
#if defined(__x86_64__)
	return kernel_trusts_tsc() ? C4_CLOCK_TSC : C4_CLOCK_MONO_NS;
#elif defined(__aarch64__)
	return C4_CLOCK_CNTVCT;
#else
	return C4_CLOCK_MONO_NS;
#endif
}

void c4_tick_rate_init(struct c4_tick_rate *r, uint32_t source, uint64_t ticks0, uint64_t mono0_ns)
{
	r->ticks0 = ticks0;
	r->mono0_ns = mono0_ns;
	r->ns_per_tick = 1.0;
	c4_tick_rate_update(r, source);
}

void c4_tick_rate_update(struct c4_tick_rate *r, uint32_t source)
{
	uint64_t ticks, mono;

	if (source == C4_CLOCK_MONO_NS)
		return;
	ticks = c4_ticks(source);
	mono = c4_mono_ns();
	if (ticks > r->ticks0 && mono > r->mono0_ns)
		r->ns_per_tick = (double)(mono - r->mono0_ns) / (double)(ticks - r->ticks0);
}
