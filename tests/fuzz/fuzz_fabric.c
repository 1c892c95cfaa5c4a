// SPDX-License-Identifier: BSD-3-Clause
/* c4.fabric/v1 as anybody may write it: refused with a reason, or read, checked, written and read
 * back to the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/io/fabric_load.h"
#include "planner/io/fabric_yaml.h"

static char *written(const struct c4_fabric *f, size_t *n)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, n);

	if (!out || c4_fabric_write_yaml(f, out) || fclose(out))
		abort();
	return text;
}

static void round_trip(const struct c4_fabric *f)
{
	struct c4_buf errors = {0};
	struct c4_fabric again;
	size_t n, m;
	char *first = written(f, &n), *second;

	if (c4_fabric_parse(&again, "again", first, n, C4_FABRIC_YAML, &errors))
		abort();
	second = written(&again, &m);
	if (n != m || memcmp(first, second, n) != 0)
		abort();
	free(first);
	free(second);
	c4_fabric_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct c4_buf errors = {0};
	struct c4_fabric f;

	if (c4_fabric_parse(&f, "fuzz", (const char *)data, size, C4_FABRIC_YAML, &errors)) {
		if (!errors.len || errors.data[errors.len - 1] != '\n')
			abort();
	} else {
		c4_fabric_check(&f, NULL, NULL);
		round_trip(&f);
		c4_fabric_release(&f);
	}
	c4_buf_release(&errors);
	return 0;
}
