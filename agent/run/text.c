// SPDX-License-Identifier: BSD-3-Clause
#include "agent/run/text.h"

#include <stdio.h>
#include <string.h>

const char *c4_text_clean(char *buf, size_t n, const char *s)
{
	size_t i;

	for (i = 0; s[i] && i + 1 < n; i++) {
		unsigned char c = (unsigned char)s[i];

		buf[i] = c < 0x20 || c == 0x7f ? '?' : s[i];
	}
	/* not in the middle of a character */
	while (s[i] && i > 0 && ((unsigned char)s[i] & 0xc0) == 0x80)
		i--;
	buf[i] = '\0';
	return buf;
}

const char *c4_text_of(const json_t *object, const char *key, char *buf, size_t n)
{
	const char *s = json_string_value(json_object_get(object, key));

	return c4_text_clean(buf, n, s ? s : "");
}

double c4_number_of(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

uint64_t c4_count_of(const json_t *object, const char *key)
{
	double v = c4_number_of(object, key);

	return v > 0 && v < 1.8e19 ? (uint64_t)v : 0;
}

const char *c4_text_rate(char *buf, size_t n, double gbps)
{
	static const char *const units[] = {"kb/s", "Mb/s", "Gb/s", "Tb/s"};
	double v = gbps * 1e6;
	unsigned int i = 0;

	while (v >= 1000 && i < 3) {
		v /= 1000;
		i++;
	}
	if (!(gbps > 0))
		snprintf(buf, n, "-");
	else
		snprintf(buf, n, v < 10 ? "%.1f %s" : "%.0f %s", v, units[i]);
	return buf;
}

size_t c4_text_width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

size_t c4_text_fit(const char *s, size_t columns)
{
	size_t i = 0;

	for (; s[i]; i++)
		if (((unsigned char)s[i] & 0xc0) != 0x80 && columns-- == 0)
			break;
	return i;
}
