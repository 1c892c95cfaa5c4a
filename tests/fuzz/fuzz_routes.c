// SPDX-License-Identifier: BSD-3-Clause
/*
 * Route reports as anybody may send them, several to one planner: the input is cut into reports,
 * each behind its length in two bytes, and time goes on between them.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/log.h"
#include "planner/daemon/routes/live.h"
#include "planner/daemon/routes/routes.h"
#include "planner/model/fabric/clos.h"

#define S 1000000000ull

static const struct c4_clos shape = {
	.leaves = 2, .spines = 2, .hosts_per_leaf = 2, .rails = 1, .planes = 1, .gbps = 10};

/* Hosts h0 … h3 have 10.0.0.1 …, switches 10.1.0.1 …; h0 sends to h2. */
static struct c4_edition *make_edition(void)
{
	const struct c4_links no_links = {0};
	struct c4_held_fabric *hf;
	struct c4_held_demand *hd;
	struct c4_edition *e;
	struct c4_fabric f;
	struct c4_demand d;
	struct c4_plan p;
	uint64_t changed[1] = {0};
	struct c4_route backup[1] = {{.state = C4_ROUTE_NO_PATH}};

	c4_fabric_init(&f);
	if (c4_clos_make(&f, &shape, NULL))
		abort();
	for (uint32_t i = 0; i < f.n_nics; i++)
		f.nics[i].ipv4 = 0x0A000001 + i;
	for (uint32_t i = 0; i < f.n_switches; i++)
		if (c4_fabric_add_address(&f, i, 0x0A010001 + i, NULL) < 0)
			abort();
	c4_demand_init(&d);
	c4_demand_job(&d, "j");
	c4_demand_add(&d, "c0", 0, 0, 2, 1, 1, NULL);
	if (c4_plan_init(&p, &d))
		abort();
	p.routes[0].state = C4_ROUTE_SPINE;
	p.routes[0].up = p.routes[0].down = (uint16_t)c4_fabric_switch(&f, "spine1");
	hf = c4_held_fabric_new(&f);
	hd = c4_held_demand_new(&d);
	e = c4_edition_new(hf, hd, &p, backup, changed, &no_links, c4_delta_new(1, 0, NULL, NULL));
	if (!e)
		abort();
	c4_plan_release(&p);
	c4_held_fabric_drop(hf);
	c4_held_demand_drop(hd);
	return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct c4_edition *edition;
	const struct c4_routes_config config = {
		.instance = "i", .learns = true, .demands = true, .pairs = {.keep_ns = S}};
	struct c4_routes *r = malloc(sizeof *r);
	uint64_t now = S;
	uint32_t n;

	if (!r)
		return 0;
	c4_log_set_level(C4_LOG_ERROR);
	if (!edition)
		edition = make_edition();
	c4_routes_init(r, &config);
	c4_routes_follow(r, edition, now, 1);
	while (size >= 2) {
		size_t len = (size_t)data[0] | (size_t)data[1] << 8;
		struct c4_routes_ask ask = {.body = data + 2, .now_ns = now, .standing = true};
		struct c4_buf out = {0};
		struct c4_fault fault;

		size -= 2;
		ask.bytes = len < size ? len : size;
		c4_routes_exchange(r, &ask, &out, &fault);
		c4_buf_release(&out);
		data += 2 + ask.bytes;
		size -= ask.bytes;
		now += S;
		c4_routes_tick(r, now);
	}
	free(c4_elephants_list(&r->pairs, &n));
	json_decref(c4_live_json(r, now));
	json_decref(c4_live_links(r, now, 15, &n));
	c4_routes_release(r);
	free(r);
	return 0;
}
