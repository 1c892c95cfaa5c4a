/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * place.h - QPs of one net placed under a limit of utilisation, kept up while things change.
 *
 * QPs of equal size (weight · share) make a layer: a Kempe colouring of leaves × spines, and with
 * pods a second one of (pod, spine) × cores for the QPs that leave their pod, edge by edge the same
 * numbers. A chain moves only QPs of its own layer; what other layers put on a link lessens this
 * one's capacity. Capacities follow the fabric's links as they are now: after a change of now_gbps
 * call c4_place_recap().
 *
 * `touched` collects the QPs whose route changed, for the caller to read and clear. Pure, one
 * thread; 28 bytes per QP in two tiers, 52 in three.
 */
#ifndef C4_PLANNER_PLACE_H
#define C4_PLANNER_PLACE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "planner/model/assign/bound.h"
#include "planner/model/assign/kempe.h"
#include "planner/model/fabric/net.h"
#include "planner/model/plan.h"

#define C4_PLACE_LAYERS_MAX                                                                        \
	C4_BOUND_SIZES_MAX /* QP sizes in one net; sizes in between are rounded up */

struct c4_place_layer {
	double unit;
	struct c4_kempe top;  /* leaves, coloured by spine */
	struct c4_kempe over; /* (pod, spine), coloured by core; unused in two tiers */
	uint32_t *route;      /* [edge] index in the plan */
	uint32_t cap_route;
};

struct c4_placed {
	uint32_t layer, edge;
};

struct c4_place {
	const struct c4_net *net;
	double util; /* no link above this, if it can be helped */
	struct c4_place_layer layers[C4_PLACE_LAYERS_MAX];
	uint32_t n_layers;
	struct c4_placed *touched;
	uint32_t n_touched, cap_touched;
};

/* QPs of one layer. */
static inline bool c4_place_same_size(double a, double b)
{
	return fabs(a - b) <= 1e-6 * b;
}

/*
 * Where no layer can be made any more a size counts as the smallest larger one, else as the
 * largest: `other` is better for it than `now`.
 */
static inline bool c4_place_rounds_better(double size, double now, double other)
{
	return now < size ? other > now : other >= size && other < now;
}

/* No layers, utilisation limit 0. The net must outlive the place. */
void c4_place_init(struct c4_place *p, const struct c4_net *net);
void c4_place_release(struct c4_place *p);

/* The layer of this size, made if there is none; beyond the limit the next larger one, else the
 * largest. Index or -ENOMEM. */
int64_t c4_place_layer(struct c4_place *p, double unit);

/* The layer has no QPs and may be used for another size. */
void c4_place_retire(struct c4_place *p, uint32_t layer);

/* Room for n QPs in all. 0 or -ENOMEM. */
int c4_place_reserve(struct c4_place *p, uint32_t layer, uint32_t n);

/* A QP between two leaves of the net, without route yet. Its edge or -ENOMEM. */
int64_t c4_place_add(struct c4_place *p, uint32_t layer, uint32_t from, uint32_t to,
		     uint32_t route);
void c4_place_remove(struct c4_place *p, struct c4_placed at);

/* The limit of utilisation; capacities follow. */
void c4_place_set_util(struct c4_place *p, double util);

/* The next higher limit that lets some link carry one QP more. */
double c4_place_next_util(const struct c4_place *p);

/* The links between a leaf and the spine of a colour changed. */
void c4_place_recap(struct c4_place *p, uint32_t leaf, uint32_t colour);
/* … between the spine of a pod and a core. */
void c4_place_recap_over(struct c4_place *p, uint32_t pod, uint32_t colour, uint32_t core);

/* A given way (core: C4_NONE inside a pod) if it has room, else -ENOSPC. */
int c4_place_put(struct c4_place *p, struct c4_placed at, uint32_t colour, uint32_t core);

/* A given way, limit or not, if its links are alive, else -ENOSPC. */
int c4_place_keep(struct c4_place *p, struct c4_placed at, uint32_t colour, uint32_t core);

/* Any way within the limit, moving at most `budget` other QPs; -ENOSPC with nothing changed. */
int c4_place_insert(struct c4_place *p, struct c4_placed at, uint32_t budget);

/* The same by the spine of this colour. */
int c4_place_insert_as(struct c4_place *p, struct c4_placed at, uint32_t colour, uint32_t budget);

/* The least bad way, limit or not. -ENOSPC: no live path joins the leaves. */
int c4_place_force(struct c4_place *p, struct c4_placed at);

/* Takes the QP off its way, so that it can be placed again. */
void c4_place_lift(struct c4_place *p, struct c4_placed at);

/* Path fields and state of the QP's route (but for which of parallel links). */
void c4_place_route(const struct c4_place *p, struct c4_placed at, struct c4_route *r);

#endif
