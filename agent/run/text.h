/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * text.h - values out of the collector's JSON as a terminal may show them: a missing or mistyped
 * field reads as "" or 0, and control characters (a communicator's name is the program's choice)
 * become '?'. Pure.
 */
#ifndef C4_RUN_TEXT_H
#define C4_RUN_TEXT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define C4_TEXT 256

/* Both return buf. */
const char *c4_text_of(const json_t *object, const char *key, char *buf, size_t n);
const char *c4_text_clean(char *buf, size_t n, const char *s);

double c4_number_of(const json_t *object, const char *key);
uint64_t c4_count_of(const json_t *object, const char *key); /* negative reads as 0 */

/* "2.1 Gb/s", "12 Mb/s"; "-" for nothing measured. */
const char *c4_text_rate(char *buf, size_t n, double gbps);

/* Characters (not bytes) of UTF-8 text; and its bytes up to that many characters. */
size_t c4_text_width(const char *s);
size_t c4_text_fit(const char *s, size_t columns);

#endif
