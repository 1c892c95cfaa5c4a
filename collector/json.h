/* SPDX-License-Identifier: BSD-3-Clause */
/* json.h - values every part of the API writes alike. Each returns a new reference. */
#ifndef C4_COLLECTOR_JSON_H
#define C4_COLLECTOR_JSON_H

#include <jansson.h>
#include <stdint.h>

/* RFC 3339 in UTC; null for 0. */
json_t *c4_json_time(uint64_t wall_ns);

/* How everything is written: six significant digits are more than any number here deserves. */
#define C4_JSON_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(6))

/* null for what JSON cannot say (NaN, infinities). */
json_t *c4_json_real(double v);

/* A 64-bit id as 16 hexadecimal digits: JSON numbers would lose bits. */
json_t *c4_json_id(uint64_t id);

#endif
