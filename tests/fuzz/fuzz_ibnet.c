// SPDX-License-Identifier: BSD-3-Clause
/* Output of ibnetdiscover as anybody may write it. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "planner/io/fabric_load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct c4_buf errors = {0};
	struct c4_fabric f;

	if (c4_fabric_parse(&f, "fuzz", (const char *)data, size, C4_FABRIC_IBNET, &errors)) {
		if (!errors.len || errors.data[errors.len - 1] != '\n')
			abort();
	} else {
		c4_fabric_check(&f, NULL, NULL);
		c4_fabric_release(&f);
	}
	c4_buf_release(&errors);
	return 0;
}
