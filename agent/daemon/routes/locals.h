/* SPDX-License-Identifier: BSD-3-Clause */
/* locals.h - IPv4 addresses of this node's interfaces, but for those of the loopback; sorted. */
#ifndef C4_AGENT_ROUTES_LOCALS_H
#define C4_AGENT_ROUTES_LOCALS_H

#include <stdbool.h>
#include <stdint.h>

#define C4_LOCALS_MAX 256u

struct c4_locals {
	uint32_t address[C4_LOCALS_MAX];
	uint32_t n;
};

/* True if they are others than before; unchanged where the kernel does not tell. */
bool c4_locals_read(struct c4_locals *l);

bool c4_locals_has(const struct c4_locals *l, uint32_t address);

#endif
