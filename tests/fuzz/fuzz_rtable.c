// SPDX-License-Identifier: BSD-3-Clause
/*
 * Bytes as a plan table: whatever a file of that name holds, its readers stay inside of it.
 *
 *	u8 options, then patches of a good table: u24 offset, u8 length, bytes
 *
 * options: 1 the table is the input itself, 2 it ends behind the last patch
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/route/rtable.h"
#include "tests/route/maker.h"

#define NOW 1000000000ull

static size_t patch(char *table, const uint8_t *data, size_t n)
{
	size_t end = 0;

	while (n >= 5) {
		size_t off = (data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16) % MAKER_BYTES;
		size_t len = data[3];

		data += 4;
		n -= 4;
		len = len < n ? len : n;
		len = len < MAKER_BYTES - off ? len : MAKER_BYTES - off;
		memcpy(table + off, data, len);
		data += len;
		n -= len;
		end = off + len;
	}
	return end;
}

static void read_table(struct c4_rtable *t)
{
	static const uint32_t asked[] = {0x0a000001, 0x0a000002, 0, 0xffffffff, 7};
	struct c4_route_dest d;

	for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
		int at = c4_rtable_dest(t, C4_ROUTE_TCP, asked[i], 80, NOW, &d), slot;

		c4_rtable_peer(t, asked[i]);
		if (at < 0)
			continue;
		if ((uint32_t)at > t->dest_mask || d.nslots > C4_ROUTE_SLOTS)
			abort();
		for (slot = 0; slot < d.nslots; slot++)
			if (d.slot[slot].nports > C4_ROUTE_PORTS)
				abort();
		slot = c4_rtable_claim(t, at, &d, 0, NOW);
		if (slot >= d.nslots || (slot >= 0 && !d.slot[slot].nports))
			abort();
		if (slot >= 0)
			c4_rtable_unclaim(t, at, slot, NOW);
	}
	c4_rtable_local(t, asked[0]);
	c4_rtable_live(t, NOW);
	c4_rtable_count(t, C4_ROUTE_STAT_ASKED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct maker m = {0};
	struct c4_rtable t;
	size_t end, bytes = MAKER_BYTES;
	char *table;

	if (!n)
		return 0;
	if (data[0] & 1)
		bytes = n - 1;
	table = calloc(1, bytes ? bytes : 1);
	if (data[0] & 1) {
		memcpy(table, data + 1, n - 1);
	} else {
		maker_header(table, 1);
		m.hdr = (void *)table;
		m.peers = (void *)(table + m.hdr->peer_off);
		m.dests = (void *)(table + m.hdr->dest_off);
		maker_peer(&m, "10.0.0.1", "10.0.0.9");
		maker_slot(maker_dest(&m, C4_ROUTE_TCP, "10.0.0.1", 80, "10.0.0.9"), 61000, 3);
		end = patch(table, data + 1, n - 1);
		if (data[0] & 2) {
			bytes = end;
			table = realloc(table, end ? end : 1); /* so that a byte too far is seen */
		}
	}
	if (!c4_rtable_check(table, bytes, &t))
		read_table(&t);
	free(table);
	return 0;
}
