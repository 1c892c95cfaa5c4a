// SPDX-License-Identifier: BSD-3-Clause
/*
 * State files as anybody may leave them: the input is what follows the header, which is made to
 * fit, so that the decoder gets past the checksum; and the input as a whole file.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "planner/daemon/state.h"
#include "planner/model/clos.h"

#define HEADER	  80u
#define SUM_AT	  16u
#define FABRIC_AT 24u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct c4_held_fabric *fabric(void)
{
	static struct c4_held_fabric *held;
	const struct c4_clos shape = {.leaves = 4,
				      .spines = 2,
				      .hosts_per_leaf = 2,
				      .rails = 1,
				      .planes = 1,
				      .pods = 2,
				      .cores = 2,
				      .gbps = 400};
	struct c4_fault fault;
	struct c4_fabric f;

	if (held)
		return held;
	c4_fabric_init(&f);
	if (c4_clos_make(&f, &shape, &fault))
		abort();
	held = c4_held_fabric_new(&f);
	return held;
}

static void decode(const void *data, size_t n)
{
	struct c4_fault fault;
	struct c4_state s;

	if (!c4_state_decode(data, n, fabric(), &s, &fault))
		c4_state_release(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t *file = malloc(HEADER + n);
	uint64_t word;

	decode(data, n);
	memset(file, 0, HEADER);
	memcpy(file, "C4PLANST", 8);
	file[8] = C4_STATE_FORMAT;
	memcpy(file + FABRIC_AT, &fabric()->digest, sizeof word);
	memset(file + 32, 0xff, 6); /* version */
	word = n;
	memcpy(file + 40, &word, sizeof word);
	for (size_t i = 0; i < 16 && n; i++) /* counts */
		file[48 + i] = i % 4 ? 0 : data[i % n] & 7;
	if (n)
		memcpy(file + HEADER, data, n);
	word = c4_state_checksum(file + FABRIC_AT, HEADER + n - FABRIC_AT);
	memcpy(file + SUM_AT, &word, sizeof word);
	decode(file, HEADER + n);
	free(file);
	return 0;
}
