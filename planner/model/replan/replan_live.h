/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * replan_live.h - the state of a living plan, shared by the parts of replan.h: connections
 * (replan.c), links (replan_link.c), their holds (replan_hold.c), and what both kinds of event need
 * (replan_place.c). Nobody else includes this but tests.
 */
#ifndef C4_PLANNER_REPLAN_LIVE_H
#define C4_PLANNER_REPLAN_LIVE_H

#include <assert.h>

#include "planner/model/assign/place.h"
#include "planner/model/replan/replan.h"

static_assert(C4_DEMAND_QPS_MAX <= 1u << 24 && C4_CONN_QPS_MAX < 1u << 8, "struct c4_live_conn");

/* One QP: 28 bytes. */
struct c4_live_qp {
	struct c4_route route;
	uint32_t conn;
	uint32_t edge;	 /* of its layer; C4_NONE: nothing to plan (one leaf, two networks) */
	uint16_t backup; /* colour, or C4_UNCOLOURED */
	uint8_t layer;
	uint8_t counted; /* its route is in the links' loads */
};

struct c4_live_conn {
	uint32_t src, dst; /* NICs; src C4_NONE: a free handle, dst is the next one */
	float weight;
	uint32_t first : 24; /* QP */
	uint32_t qps : 8;
};

struct c4_live_net {
	struct c4_net net;
	struct c4_place place;
	uint32_t *count[2]; /* [leaf * C4_PLACE_LAYERS_MAX + layer] QPs from, to the leaf */
	uint32_t of_layer[C4_PLACE_LAYERS_MAX]; /* QPs */
	uint16_t *next_backup; /* [leaf * colours + colour] turns the backups of a link */
};

/* A link that got better, not trusted yet. */
struct c4_live_hold {
	uint32_t link;
	float gbps;
	uint64_t due_ns;
};

/* How often a link failed of late. */
struct c4_live_flap {
	uint32_t link, times;
	uint64_t last_ns;
};

struct c4_replan {
	struct c4_fabric *f;
	struct c4_replan_opts o;
	struct c4_live_net *nets;
	uint32_t *local; /* [switch] leaf number in its net */
	double *load;	 /* [2 * link + downwards] */
	struct c4_live_conn *conns;
	uint32_t n_conns, cap_conns, free_conn;
	struct c4_live_qp *qps;
	uint32_t n_qps, cap_qps;
	uint32_t
		free_run[C4_CONN_QPS_MAX + 1]; /* by length: first QP of a free run; next in conn */
	struct c4_live_hold *holds;
	uint32_t n_holds, cap_holds;
	struct c4_live_flap *flaps;
	uint32_t n_flaps, cap_flaps;
	struct c4_move *moves;
	uint32_t n_moves, cap_moves;
	uint32_t *work; /* QPs at work */
	uint32_t n_work, cap_work;
	struct c4_replan_stats stats;
};

/* What a placing is for: whom to blame the moves on, and how many there may be. */
struct c4_live_event {
	enum c4_move_reason own, others;
	uint32_t cause;
	uint32_t budget; /* what is left of it */
	bool arriving;	 /* the QP itself has no route to move from */
};

static inline uint32_t c4_live_leaf(const struct c4_replan *r, uint32_t nic)
{
	return r->f->nics[nic].leaf;
}

struct c4_live_net *c4_live_net_of(struct c4_replan *r, const struct c4_live_conn *c);

/* A way for a QP that has none: its backup if it is to use it, a chain, a higher limit, force. */
void c4_live_place(struct c4_replan *r, struct c4_live_net *n, uint32_t qp, bool backup,
		   struct c4_live_event *e);

/* Takes the QP off its way; its route stays to tell where it was. */
void c4_live_lift(struct c4_replan *r, struct c4_live_net *n, uint32_t qp);

/* Reads the QP's way from the place; a change is a move unless the QP is arriving. */
void c4_live_update(struct c4_replan *r, struct c4_live_net *n, uint32_t qp,
		    enum c4_move_reason reason, uint32_t cause, bool arriving);

/* Updates the QP at work and all that it moved; these lessen the budget. */
void c4_live_tell(struct c4_replan *r, struct c4_live_net *n, uint32_t qp, struct c4_live_event *e);

/* The QP's route takes this link. */
bool c4_live_crosses(const struct c4_replan *r, uint32_t qp, uint32_t link);

/* The same way by the parallel links that are emptiest now, told as a move; false with nothing
 * changed when it would take this link again. */
bool c4_live_reselect(struct c4_replan *r, uint32_t qp, uint32_t link, enum c4_move_reason reason,
		      uint32_t cause);

/* Raises the net's limit to what counting says a leaf needs. */
void c4_live_raise(struct c4_live_net *n, uint32_t leaf);

/* A link is better than it was: it waits, longer if it failed often of late. What it waits for is
 * replaced, not when. 0 or -ENOMEM. */
int c4_live_hold(struct c4_replan *r, uint32_t link, float gbps, uint64_t now_ns);

/* It does not wait any more; false if it did not. */
bool c4_live_unhold(struct c4_replan *r, uint32_t link);

/* The next that has waited long enough waits no more; false if there is none. */
bool c4_live_due(struct c4_replan *r, uint64_t now_ns, struct c4_live_hold *ret);

/* Remembers that the link failed. */
void c4_live_failed(struct c4_replan *r, uint32_t link, uint64_t now_ns);

/* The limit that the QPs of the net need, at least a full link. */
double c4_live_need(const struct c4_replan *r, const struct c4_live_net *n);

#endif
