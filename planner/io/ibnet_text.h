/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ibnet_text.h - the text of ibnetdiscover as nodes and cables, each cable once though both ends
 * print it. Nodes that are only named by others have line 0. One thread.
 */
#ifndef C4_PLANNER_IO_IBNET_TEXT_H
#define C4_PLANNER_IO_IBNET_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "common/ds/map.h"
#include "common/ds/strmap.h"
#include "planner/io/complaint.h"

#define C4_IBNET_NODES_MAX  (1u << 20)
#define C4_IBNET_CABLES_MAX (1u << 22)

struct c4_ibnode {
	const char *id;		 /* "S-…", "H-…", "R-…" */
	const char *description; /* "" if it has none */
	uint32_t line;		 /* of its record */
	uint32_t cables;
};

struct c4_ibcable {
	uint32_t a, b; /* nodes */
	uint8_t port_a, port_b;
	float gbps;
	uint32_t line;
};

struct c4_ibnet {
	struct c4_ibnode *nodes;
	struct c4_ibcable *cables;
	uint32_t n_nodes, n_cables, cap_nodes, cap_cables;
	struct c4_strmap by_id; /* index + 1 */
	struct c4_strmap texts; /* interned descriptions */
	struct c4_map ports;	/* node << 8 | port → cable + 1 */
};

/* Fills an empty one ({0}); release it in any case. 0 or a negative errno with complaints. */
int c4_ibnet_read(struct c4_ibnet *net, const char *text, size_t len, struct c4_complaints *c);
void c4_ibnet_release(struct c4_ibnet *net);

#endif
