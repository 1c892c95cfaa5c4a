// SPDX-License-Identifier: BSD-3-Clause
#include "common/fmt.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *scaled(char *buf, size_t n, double v, double base, const char *const *units,
			  size_t nunits)
{
	size_t i = 0;

	while (v >= base && i + 1 < nunits) {
		v /= base;
		i++;
	}
	snprintf(buf, n, v < 10 && i ? "%.1f%s" : "%.0f%s", v, units[i]);
	return buf;
}

const char *c4_fmt_bytes(char *buf, size_t n, double bytes)
{
	static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB"};

	return scaled(buf, n, bytes, 1024.0, units, 6);
}

const char *c4_fmt_count(char *buf, size_t n, uint64_t v)
{
	static const char *const units[] = {"", "k", "M", "G", "T"};

	return scaled(buf, n, (double)v, 1000.0, units, 5);
}

const char *c4_fmt_duration(char *buf, size_t n, uint64_t ns)
{
	static const char *const units[] = {" ns", " µs", " ms", " s"};

	return scaled(buf, n, (double)ns, 1000.0, units, 4);
}

const char *c4_fmt_time(char *buf, size_t n, uint64_t wall_ns)
{
	time_t s = (time_t)(wall_ns / 1000000000u);
	char stamp[24];
	struct tm tm;

	gmtime_r(&s, &tm);
	strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf, n, "%s.%03uZ", stamp, (unsigned int)(wall_ns / 1000000u % 1000u));
	return buf;
}

const char *c4_fmt_ranks(char *buf, size_t n, const int32_t *ranks, size_t count)
{
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0, j; i < count; i = j) {
		char item[32];
		int m;

		for (j = i + 1; j < count && ranks[j] == ranks[j - 1] + 1; j++)
			;
		if (j - i > 2)
			m = snprintf(item, sizeof item, "%s%d-%d", len ? "," : "", ranks[i],
				     ranks[j - 1]);
		else {
			j = i + 1;
			m = snprintf(item, sizeof item, "%s%d", len ? "," : "", ranks[i]);
		}
		if (len + (size_t)m + 5 > n) {
			snprintf(buf + len, n - len, "…");
			break;
		}
		memcpy(buf + len, item, (size_t)m + 1);
		len += (size_t)m;
	}
	return buf;
}

uint64_t c4_wall_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
