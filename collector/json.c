// SPDX-License-Identifier: BSD-3-Clause
#include "collector/json.h"

#include <math.h>
#include <stdio.h>

#include "common/fmt.h"

json_t *c4_json_time(uint64_t wall_ns)
{
	char buf[C4_FMT_BYTES];

	return wall_ns ? json_string(c4_fmt_time(buf, sizeof buf, wall_ns)) : json_null();
}

json_t *c4_json_real(double v)
{
	return isfinite(v) ? json_real(v) : json_null();
}

json_t *c4_json_id(uint64_t id)
{
	char buf[20];

	snprintf(buf, sizeof buf, "%016llx", (unsigned long long)id);
	return json_string(buf);
}
