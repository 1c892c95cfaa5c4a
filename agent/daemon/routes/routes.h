/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * routes.h - the agent's part in routing (c4/route.h, route.proto): follows the planner, finds by
 * probes which source ports take the planned paths, and keeps the node's plan table.
 *
 *	planlink ─► plan ─► hopmap, pairs ─► dests ─► plantable
 *	    ▲                               ▲    │
 *	    │                        asks ──┘    └─► seek ─► prober, helper
 *	    └── report ◄── findings ◄── seek, verify
 *	               ◄── connwatch ◄── qpairs, rdmarate
 *
 * Everything runs on the loop's thread but the exchange with the planner (planlink.h) and the
 * reading of RDMA ports (rdmarate.h). Nothing of
 * this exists without a planner.
 */
#ifndef C4_AGENT_ROUTES_ROUTES_H
#define C4_AGENT_ROUTES_ROUTES_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct c4_routes;

struct c4_routes_config {
	uv_loop_t *loop;
	const char *planner; /* HOST:PORT, kept */
	const char *runtime_dir, *node;
	const char *sysfs; /* where it is mounted */
	uint64_t instance;
	void (*settled)(void *arg); /* after the end the last report was settled */
	void *arg;
};

/* 0 or a negative errno (-EINVAL: the planner's address), with nothing left behind. Logs why. */
int c4_routes_start(const struct c4_routes_config *config, struct c4_routes **ret);

/* Tells the planner that this is the end, and withdraws the table. Takes NULL. */
void c4_routes_finish(struct c4_routes *r);

/* A worker is reading: the loop must not be closed, nor the process end but with _exit(2). Takes
 * NULL. */
bool c4_routes_busy(const struct c4_routes *r);

/* The last report was delivered or given up, and no worker is reading. Takes NULL. */
bool c4_routes_settled(struct c4_routes *r);

/* Ends the thread. False: it, or a worker, still runs, and the process must end with _exit(2). */
bool c4_routes_stop(struct c4_routes *r, uint64_t patience_ns);

/* After all handles of the loop were closed. Takes NULL. */
void c4_routes_free(struct c4_routes *r);

#endif
