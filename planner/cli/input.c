// SPDX-License-Identifier: BSD-3-Clause
#include "planner/cli/input.h"

#include <stdio.h>

#include "planner/io/demand_json.h"
#include "planner/io/fabric_load.h"
#include "planner/io/slurp.h"

int c4_input_errors(struct c4_buf *errors)
{
	fputs(c4_buf_str(errors), stderr);
	c4_buf_release(errors);
	return 1;
}

int c4_input_fabric(const char *path, struct c4_fabric *f)
{
	struct c4_buf errors = {0};

	return c4_fabric_load(f, path, C4_FABRIC_GUESS, &errors) ? c4_input_errors(&errors) : 0;
}

int c4_input_demand(const char *path, const struct c4_fabric *f, struct c4_demand *d)
{
	struct c4_buf errors = {0};

	return c4_demand_json_load(d, f, path, &errors) ? c4_input_errors(&errors) : 0;
}

int c4_input_text(const char *path, struct c4_buf *text)
{
	struct c4_fault fault;

	if (!c4_slurp(path, text, &fault))
		return 0;
	fprintf(stderr, "%s: %s\n", path, fault.what);
	c4_buf_release(text);
	return 1;
}
