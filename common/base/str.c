// SPDX-License-Identifier: BSD-3-Clause
#include "common/base/str.h"

void c4_str_init(struct c4_str *s, char *buf, size_t size)
{
	s->buf = buf;
	s->size = size;
	s->len = 0;
	s->cut = 0;
	buf[0] = '\0';
}

void c4_str_add(struct c4_str *s, const char *text)
{
	if (!text)
		return;
	for (; *text && s->len + 1 < s->size; text++)
		s->buf[s->len++] = *text;
	s->buf[s->len] = '\0';
	if (*text)
		s->cut = 1;
}

void c4_str_add_u64(struct c4_str *s, uint64_t x)
{
	char digits[21];
	char *p = digits + sizeof digits - 1;

	*p = '\0';
	do
		*--p = (char)('0' + x % 10);
	while (x /= 10);
	c4_str_add(s, p);
}

size_t c4_str_parse_u64(const char *text, uint64_t *ret)
{
	uint64_t x = 0;
	size_t n = 0;

	for (; text[n] >= '0' && text[n] <= '9'; n++)
		x = x * 10 + (uint64_t)(text[n] - '0');
	if (n)
		*ret = x;
	return n;
}
