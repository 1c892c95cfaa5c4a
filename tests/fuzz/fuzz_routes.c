// SPDX-License-Identifier: BSD-3-Clause
/*
 * What an agent hears from others about routes. First byte: 0 a planner's answer, which is then
 * followed; 1 a datagram of another agent; 2 a message of ICMP.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/daemon/routes/helper_wire.h"
#include "agent/daemon/routes/pairs.h"
#include "agent/daemon/routes/rawprober.h"

static void follow(const uint8_t *data, size_t n)
{
	struct c4_hopmap map = {0};
	struct c4_pairs pairs;
	struct c4_plan *plan;

	if (c4_plan_decode(data, n, &plan))
		return;
	for (uint32_t i = 0; i < plan->nroutes; i++)
		for (uint32_t k = 0; k < plan->routes[i].npath; k++)
			if (plan->routes[i].path[k] >= plan->nswitches)
				abort(); /* the promise: indices are good */
	if (!c4_hopmap_take(&map, plan)) {
		uint32_t ours[] = {plan->nroutes ? plan->routes[0].src : 1, 2};

		if (!c4_pairs_make(&pairs, plan, &map, ours, 2)) {
			for (uint32_t i = 0; i < pairs.n; i++)
				if (!pairs.v[i].nwishes || pairs.v[i].nwishes > C4_ROUTE_SLOTS ||
				    c4_pairs_to(&pairs, pairs.v[i].dst) != &pairs.v[i])
					abort();
			c4_pairs_release(&pairs);
		}
	}
	c4_hopmap_release(&map);
	c4_plan_free(plan);
}

static void hear(const uint8_t *data, size_t n)
{
	unsigned char again[C4_HELP_BYTES];
	struct c4_help x;

	if (c4_help_decode(data, n, &x) &&
	    (c4_help_encode(&x, again) != n || memcmp(again, data, n) != 0))
		abort(); /* the promise: nothing in it is overlooked */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct c4_raw_quote quote;

	if (!n)
		return 0;
	switch (data[0]) {
	case 0: follow(data + 1, n - 1); break;
	case 1: hear(data + 1, n - 1); break;
	case 2: c4_raw_quote(data + 1, n - 1, &quote); break;
	default: break;
	}
	return 0;
}
