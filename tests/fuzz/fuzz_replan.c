// SPDX-License-Identifier: BSD-3-Clause
/*
 * A life of a plan: the first bytes choose a small fabric and the options, then every four bytes
 * are one event. After each one everything that replan.h promises is checked from outside.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define fail()		 abort()
#define print_error(...) fprintf(stderr, __VA_ARGS__)

#include "tests/unit/replan_case.h"

#define CONNS_MAX 64u

static const struct c4_clos shapes[] = {
	{.leaves = 4, .spines = 2, .hosts_per_leaf = 2},
	{.leaves = 5, .spines = 4, .hosts_per_leaf = 3},
	{.leaves = 3, .spines = 1, .hosts_per_leaf = 1, .planes = 2},
	{.leaves = 4, .spines = 2, .hosts_per_leaf = 2, .pods = 2},
	{.leaves = 6, .spines = 3, .hosts_per_leaf = 3, .pods = 3, .cores = 1},
};
#define SHAPES (sizeof shapes / sizeof *shapes)

static void open_case(struct live *l, uint8_t shape, uint8_t opts)
{
	live_fabric(l, shapes[shape % SHAPES]);
	if (shape / SHAPES % 3)
		live_double_links(l, shape / SHAPES % 3);
	live_begin(l, &(struct c4_replan_opts){.move_budget = opts % 16,
					       .full = opts & 16 ? 0.5 : 0,
					       .gain = opts & 32 ? 0.3 : 0});
}

static void arrive(struct live *l, const uint8_t *b)
{
	static const double weights[] = {1, 1, 1, 0.5, 0.25, 0.3, 2, 0.001};
	uint32_t src = b[1] % l->f.n_nics, dst = b[2] % l->f.n_nics;
	struct c4_route routes[8] = {0};

	if (l->n_used == CONNS_MAX)
		return;
	for (uint32_t i = 0; i < 8; i++)
		routes[i] = (struct c4_route){
			.up = (uint16_t)(b[3] + i) % 32,
			.down = b[3] & 1 ? (uint16_t)(b[3] + i) % 32 : b[2] % 32,
			.core = b[3] / 4,
			.state = (uint8_t)((b[3] >> 3) % 6),
			.sport = 0xc123,
			.parallel_up = b[2] & 3,
			.parallel_core = b[1],
		};
	if (b[0] & 64)
		live_adopt(l, src, dst, weights[b[3] & 7], 1 + b[3] / 32, routes);
	else
		live_add(l, src, dst, weights[b[3] & 7], 1 + b[3] / 32);
}

static void depart(struct live *l, const uint8_t *b)
{
	struct dice dice = {b[1]};

	if (l->n_used)
		live_remove(l, live_any(l, &dice));
}

static void change_link(struct live *l, const uint8_t *b)
{
	static const double rates[] = {0, 0, 400, 400, 200, 133, 1, 399};

	live_link(l, b[1] % l->f.n_links, rates[b[2] & 7]);
}

static void pass_time(struct live *l, const uint8_t *b)
{
	live_tick(l, (uint64_t)b[1] * b[1] * LIVE_S / 16);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const events[])(struct live *, const uint8_t *) = {
		arrive, arrive, arrive, depart, change_link, change_link, pass_time, arrive};
	struct live l;

	if (size < 2)
		return 0;
	open_case(&l, data[0], data[1]);
	for (size_t at = 2; at + 4 <= size && at < 1000; at += 4) {
		events[data[at] & 7](&l, data + at);
		live_check(&l, false);
	}
	live_close(&l);
	return 0;
}
