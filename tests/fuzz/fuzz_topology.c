// SPDX-License-Identifier: BSD-3-Clause
/* Slurm's topology.conf as anybody may write it. */
#include <ctype.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "planner/io/fabric_load.h"

/* What is fuzzed is not how long a million nodes take: few brackets, small numbers. */
static int too_big(const uint8_t *data, size_t n)
{
	int digits = 0, brackets = 0;

	for (size_t i = 0; i < n; i++) {
		digits = isdigit(data[i]) ? digits + 1 : 0;
		brackets += data[i] == '[';
		if (digits > 2 || brackets > 6)
			return 1;
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct c4_buf errors = {0};
	struct c4_fabric f;

	if (too_big(data, size))
		return 0;
	if (c4_fabric_parse(&f, "fuzz", (const char *)data, size, C4_FABRIC_SLURM, &errors)) {
		if (!errors.len || errors.data[errors.len - 1] != '\n')
			abort();
	} else {
		c4_fabric_check(&f, NULL, NULL);
		c4_fabric_release(&f);
	}
	c4_buf_release(&errors);
	return 0;
}
