/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * edition.h - a plan as it is published: never changed afterwards, freed with its last holder.
 *
 * A worker makes editions, the loop shows them, answers under way hold them. The delta says what
 * became different with this edition, so that followers need not read all of it again.
 * Holding and dropping are atomic.
 */
#ifndef C4_PLANNER_EDITION_H
#define C4_PLANNER_EDITION_H

#include <stdint.h>

#include "common/ds/arena.h"
#include "planner/daemon/held.h"
#include "planner/daemon/links.h"
#include "planner/model/plan.h"

#define C4_VERSION_MAX ((1ull << 53) - 1) /* JSON numbers are exact up to here */
#define C4_DELTA_MAX   (1u << 17)	  /* moves, and departures, that are told of one change */

/* Why a QP that had a route has another one: symbol, name in JSON and metrics. The first five are
 * those of enum c4_move_reason (replan.h). */
#define C4_SHIFT_REASONS(X)                                                                        \
	X(ARRIVAL, "arrival")	  /* made room for a connection that came */                       \
	X(LINK_DOWN, "link-down") /* a link of its route died */                                   \
	X(LINK_WEAK, "link-weak") /* a link of its route became slower */                          \
	X(MAKE_ROOM, "make-room") /* made room for one whose link died or weakened */              \
	X(REBALANCE, "rebalance") /* a better balance was found */                                 \
	X(FABRIC, "fabric")	  /* the fabric file changed */

enum c4_shift_reason {
#define C4_X(sym, name) C4_SHIFT_##sym,
	C4_SHIFT_REASONS(C4_X)
#undef C4_X
		C4_SHIFT_MAX
};

const char *c4_shift_reason_name(enum c4_shift_reason why);

struct c4_shift {
	const char *id;
	uint32_t qp;
	uint32_t host; /* source, of the fabric as it is */
	struct c4_way from, to;
	uint8_t why; /* enum c4_shift_reason */
};

/* QPs [first, first + n) of a connection that are no longer planned. */
struct c4_gone {
	const char *id;
	uint32_t host; /* source, of the fabric as it was */
	uint32_t first, n;
};

struct c4_delta {
	int holders;
	uint64_t version;
	uint64_t follows; /* the version that it leads on from; 0: from nothing anybody knows */
	struct c4_held_fabric *was, *is; /* `from` and `gone` speak of the first */
	struct c4_shift *moves;
	struct c4_gone *gone;
	uint32_t n_moves, cap_moves, n_gone, cap_gone;
	uint32_t moves_untold; /* beyond C4_DELTA_MAX */
	bool partial;	       /* departures are missing: followers must read everything */
	uint64_t by_reason[C4_SHIFT_MAX];
	struct c4_arena text;
};

struct c4_edition {
	int holders;
	uint64_t version;
	struct c4_held_fabric *fabric; /* NULL: none yet, and no routes */
	struct c4_held_demand *demand; /* NULL likewise */
	struct c4_plan plan;	       /* its bounds are NAN as long as they are not known */
	struct c4_route *backups;      /* per QP: its way if its spine fails; NO_PATH: none */
	uint64_t *changed; /* per QP: the version in which its route became what it is */
	uint32_t *host_at; /* connections of source host h: by_host[host_at[h] … host_at[h + 1]) */
	uint32_t *by_host;
	uint32_t *into_at; /* likewise by destination host */
	uint32_t *by_into;
	uint32_t *epochs;      /* per switch, as they were when the plan was made */
	float *rates;	       /* per link: now_gbps likewise */
	struct c4_links links; /* as reported; for the state file */
	struct c4_delta *delta;
};

/* Could this route exist on f at all: right kinds of switches, joined by links, dead or not? */
bool c4_route_fits(const struct c4_fabric *f, const struct c4_conn *c, const struct c4_route *r);

struct c4_delta *c4_delta_new(uint64_t version, uint64_t follows, struct c4_held_fabric *was,
			      struct c4_held_fabric *is);
struct c4_delta *c4_delta_hold(struct c4_delta *d);
void c4_delta_drop(struct c4_delta *d);
/* Strings are copied. What finds no room is counted. */
void c4_delta_move(struct c4_delta *d, const struct c4_shift *m);
void c4_delta_gone(struct c4_delta *d, const struct c4_gone *g);

/*
 * A copy of a plan. fabric and demand are held, what is per QP and the links copied, delta taken
 * (also on failure). fabric and demand NULL: an empty edition. NULL: out of memory.
 */
struct c4_edition *c4_edition_new(struct c4_held_fabric *fabric, struct c4_held_demand *demand,
				  const struct c4_plan *plan, const struct c4_route *backups,
				  const uint64_t *changed, const struct c4_links *links,
				  struct c4_delta *delta);
struct c4_edition *c4_edition_hold(struct c4_edition *e);
void c4_edition_drop(struct c4_edition *e);

#endif
