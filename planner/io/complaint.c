// SPDX-License-Identifier: BSD-3-Clause
#include "planner/io/complaint.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

void c4_complain(struct c4_complaints *c, uint32_t line, const char *fmt, ...)
{
	char what[640];
	va_list ap;

	if (c->n++ >= C4_COMPLAINTS_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	if (line)
		c4_buf_printf(c->out, "%s:%u: %s\n", c->file, line, what);
	else
		c4_buf_printf(c->out, "%s: %s\n", c->file, what);
}

int c4_complaints_close(struct c4_complaints *c)
{
	if (c->n > C4_COMPLAINTS_MAX)
		c4_buf_printf(c->out, "%s: and %u more of such mistakes\n", c->file,
			      c->n - C4_COMPLAINTS_MAX);
	return c->n ? -EINVAL : 0;
}
