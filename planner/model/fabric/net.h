/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net.h - one network of the fabric in the planner's coordinates: leaves × colours, and with pods
 * (pod, colour) × cores.
 *
 * A colour is a position among the spines of a pod. The spines that one colour names in different
 * pods meet at the same cores, so that a route is (colour) inside a pod and (colour, core) between
 * pods: up by the source pod's spine of that colour, down by the destination pod's. A pod that
 * lacks a spine of some core group has C4_NONE there, and its links of that colour do not exist.
 *
 * A bundle is the parallel links between two switches. Read-only once made, except that capacities
 * are looked up in the fabric each time: a change of now_gbps is seen at once. Pure, one thread.
 */
#ifndef C4_PLANNER_NET_H
#define C4_PLANNER_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "planner/model/fabric/fabric.h"

struct c4_bundle {
	uint32_t at; /* its links: fabric->link_of[at .. at + n) */
	uint32_t n;  /* 0: no such links */
};

struct c4_net {
	const struct c4_fabric *fabric;
	float rate;	   /* Gb/s that utilisation 1 stands for: the fastest link of the fabric */
	uint32_t n_leaves; /* at most 65535, like all counts here */
	uint32_t n_pods;   /* 1 in two tiers */
	uint32_t colours;  /* spines of a pod, the most of any */
	uint32_t cores;	   /* cores of a colour, the most of any; 0 in two tiers */
	bool aligned;	   /* no pod has two spines in one core group: every way between pods, not
			    * only ours, comes down by the colour by which it went up */
	uint32_t *leaf;	   /* [leaf] switch */
	uint16_t *pod;	   /* [leaf] */
	uint32_t *spine;   /* [pod * colours + colour] switch or C4_NONE */
	uint32_t *core;	   /* [colour * cores + i] switch or C4_NONE */
	struct c4_bundle *up;	/* [leaf * colours + colour] leaf–spine */
	struct c4_bundle *over; /* [(pod * colours + colour) * cores + i] spine–core */
};

/*
 * The net `index` of the fabric; local[switch] (n_switches entries, the caller's) becomes the
 * number of each of its leaves. 0 or -ENOMEM; -E2BIG with the reason in *fault beyond
 * C4_COLOURS_MAX.
 */
int c4_net_init(struct c4_net *net, const struct c4_fabric *f, uint32_t index, uint32_t *local,
		struct c4_fault *fault);
void c4_net_release(struct c4_net *net);

static inline const struct c4_bundle *c4_net_up(const struct c4_net *n, uint32_t leaf,
						uint32_t colour)
{
	return &n->up[(uint64_t)leaf * n->colours + colour];
}

static inline const struct c4_bundle *c4_net_over(const struct c4_net *n, uint32_t pod,
						  uint32_t colour, uint32_t core)
{
	return &n->over[((uint64_t)pod * n->colours + colour) * n->cores + core];
}

/* The colour of a spine in a pod, the place of a core at a colour; C4_NONE if it has none there. */
uint32_t c4_net_colour(const struct c4_net *n, uint32_t pod, uint32_t spine);
uint32_t c4_net_core(const struct c4_net *n, uint32_t colour, uint32_t core);

/* Rate of a bundle now, in units of net->rate; 0: dead or absent. */
double c4_bundle_rate(const struct c4_net *n, const struct c4_bundle *b);

/* How many QPs of `unit` weight fit at utilisation `util`: whole QPs on each of its links. */
uint32_t c4_bundle_fits(const struct c4_net *n, const struct c4_bundle *b, double unit,
			double util);

/* Links of the bundle that are alive. */
uint32_t c4_bundle_alive(const struct c4_net *n, const struct c4_bundle *b);

/* Some live path of this colour joins two leaves. */
bool c4_net_joined_by(const struct c4_net *n, uint32_t from, uint32_t to, uint32_t colour);

/* Some live path joins two leaves of the net. */
bool c4_net_joined(const struct c4_net *n, uint32_t from, uint32_t to);

/* All links alive, alike and as many everywhere: the exact colouring is the plan. */
bool c4_net_uniform(const struct c4_net *n);

#endif
