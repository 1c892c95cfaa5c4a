// SPDX-License-Identifier: BSD-3-Clause
#include "collector/text.h"

#include <stdint.h>
#include <string.h>

/* Length of the well-formed UTF-8 sequence at s (RFC 3629), 0 if there is none. */
static size_t sequence(const unsigned char *s)
{
	/* by leading byte: length and the range of the second byte */
	static const struct {
		unsigned char from, to, len, low, high;
	} forms[] = {
		{0x20, 0x7e, 1, 0, 0},	     {0xc2, 0xdf, 2, 0x80, 0xbf},
		{0xe0, 0xe0, 3, 0xa0, 0xbf}, {0xe1, 0xec, 3, 0x80, 0xbf},
		{0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf},
		{0xf0, 0xf0, 4, 0x90, 0xbf}, {0xf1, 0xf3, 4, 0x80, 0xbf},
		{0xf4, 0xf4, 4, 0x80, 0x8f},
	};

	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		if (*s < forms[i].from || *s > forms[i].to)
			continue;
		if (forms[i].len > 1 && (s[1] < forms[i].low || s[1] > forms[i].high))
			return 0;
		for (size_t k = 2; k < forms[i].len; k++)
			if ((s[k] & 0xc0) != 0x80)
				return 0;
		return forms[i].len;
	}
	return 0;
}

char *c4_text_copy(char *dst, size_t n, const char *src)
{
	const unsigned char *s = (const unsigned char *)(src ? src : "");
	size_t at = 0;

	while (*s) {
		size_t len = sequence(s), took = len ? len : 1;

		if (at + took >= n)
			break;
		if (len)
			memcpy(dst + at, s, len);
		else
			dst[at] = '?';
		at += took;
		s += took;
	}
	dst[at] = '\0';
	return dst;
}
