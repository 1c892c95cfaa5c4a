// SPDX-License-Identifier: BSD-3-Clause
/*
 * State files as anybody may leave them: the input as a whole file, and as four counts and what
 * follows the header, which is made to fit, so that the decoder gets past the checksum.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "planner/daemon/state.h"
#include "planner/model/fabric/clos.h"

#define HEADER	   80u
#define SUM_AT	   16u
#define FABRIC_AT  24u
#define VERSION_AT 32u
#define PAYLOAD_AT 40u
#define COUNTS_AT  48u

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

/* Four counts, and what follows the header. */
static void decode_payload(const uint8_t *counts, const uint8_t *payload, size_t n)
{
	uint8_t *file = calloc(1, HEADER + n);
	uint64_t word = n;

	memcpy(file, "C4PLANST", 8);
	file[8] = C4_STATE_FORMAT;
	memcpy(file + FABRIC_AT, &fabric()->digest, sizeof word);
	memset(file + VERSION_AT, 0xff, 6);
	memcpy(file + PAYLOAD_AT, &word, sizeof word);
	for (size_t i = 0; i < 4; i++)
		file[COUNTS_AT + 4 * i] = counts[i];
	memcpy(file + HEADER, payload, n);
	word = c4_state_checksum(file + FABRIC_AT, HEADER + n - FABRIC_AT);
	memcpy(file + SUM_AT, &word, sizeof word);
	decode(file, HEADER + n);
	free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	decode(data, n);
	if (n >= 4)
		decode_payload(data, data + 4, n - 4);
	return 0;
}
