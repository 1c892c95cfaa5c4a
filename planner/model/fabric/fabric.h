/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fabric.h - the network as the planner sees it: switches in tiers, links, hosts and their NICs.
 *
 *	tier 3           core0   core1            (pods only)
 *	                 /   \   /   \
 *	tier 2     spine0  spine1  spine2  spine3
 *	              | \  / |        | \  / |
 *	tier 1     leaf0   leaf1   leaf2   leaf3
 *	             |        \ …
 *	host       h0/r0p0   h0/r1p0              NIC = rail (which leaf of the group) and
 *	                                          plane (which of the separate networks)
 *
 * Built by adding things by name, then c4_fabric_finish() once; read-only afterwards but for link
 * capacity and switch epochs. Indices (switch, link, host, NIC) are positions in the arrays and
 * stay valid for the fabric's life. Planes are separate networks: no link joins two of them.
 * Switches and hosts share one space of names; names are copied. Pure, one thread.
 */
#ifndef C4_PLANNER_FABRIC_H
#define C4_PLANNER_FABRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ds/map.h"
#include "common/ds/strmap.h"

#define C4_FABRIC_SWITCHES_MAX	65535u
#define C4_FABRIC_LINKS_MAX	(1u << 22)
#define C4_FABRIC_NICS_MAX	(1u << 22)
#define C4_FABRIC_HOSTS_MAX	(1u << 20)
#define C4_FABRIC_PLANES_MAX	256u
#define C4_FABRIC_RAILS_MAX	1024u
#define C4_HOST_NICS_MAX	256u
#define C4_FABRIC_ADDRESSES_MAX (1u << 22)
#define C4_FABRIC_GBPS_MAX	1e6
#define C4_NAME_MAX		127u	   /* bytes of a name: printable ASCII, no blanks */
#define C4_NONE			UINT32_MAX /* no such index */

enum c4_tier { C4_LEAF, C4_SPINE, C4_CORE };

struct c4_switch {
	const char *name;
	enum c4_tier tier;
	uint32_t plane;	  /* of the network it belongs to; derived from NICs, 0 without any */
	uint32_t net;	  /* connected component over all links, dead ones too; derived */
	uint32_t pod;	  /* connected component without cores, counted within the net; derived,
			   * C4_NONE for cores */
	uint32_t epoch;	  /* grows when the switch may have changed its hash or its groups */
	uint32_t address; /* first of its addresses, index + 1; 0: none is known */
};

/* One physical link, both directions alike; parallel links are several entries. */
struct c4_link {
	uint32_t a, b;	/* switches, a in the lower tier */
	float gbps;	/* nominal, > 0 */
	float now_gbps; /* at present: 0 dead, < gbps degraded */
};

struct c4_nic {
	const char *name; /* unique within its host */
	uint32_t host, leaf;
	uint32_t plane, rail;
	uint32_t ipv4; /* host byte order; 0: unknown; whoever adds the NIC may set it */
	float gbps;    /* 0: unknown; likewise */
};

struct c4_host {
	const char *name;
	uint32_t nic, nics; /* its NICs are [nic, nic + nics) */
};

/* One of the addresses from which a switch answers probes. */
struct c4_address {
	uint32_t ipv4; /* host byte order, not 0 */
	uint32_t next; /* of the same switch, in the order they were added: index + 1; 0 ends */
};

struct c4_fabric {
	struct c4_switch *switches;
	struct c4_link *links;
	struct c4_host *hosts;
	struct c4_nic *nics;
	uint32_t n_switches, n_links, n_hosts, n_nics;
	uint32_t cap_switches, cap_links, cap_hosts, cap_nics;
	struct c4_address *addresses; /* of switches */
	uint32_t n_addresses, cap_addresses;
	uint32_t n_nets;   /* separate networks (usually planes) */
	uint32_t *link_of; /* links of switch s: link_of[link_at[s] .. link_at[s + 1]), sorted
			    * by the switch at the other end, parallel ones in order */
	uint32_t *link_at; /* n_switches + 1 */
	struct c4_strmap by_name; /* switches and hosts; values are index + 1, tagged by kind */
	struct c4_strmap names;	  /* interned */
	struct c4_map by_address; /* of switches; values are index + 1 */
};

/* What is wrong with an input, for people: the caller adds file and line. */
struct c4_fault {
	char what[200];
	uint32_t link, nic; /* set by c4_fabric_finish(): the one to blame, or C4_NONE */
};

/* Fills in the sentence (fault may be NULL) and returns err. */
int c4_fault_set(struct c4_fault *fault, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

void c4_fabric_init(struct c4_fabric *f);
void c4_fabric_release(struct c4_fabric *f);

/*
 * Each returns the new index, or a negative errno with the reason in *fault: -EEXIST for a name in
 * use, -ENOENT for a name nobody has, -EINVAL for a value out of range, -E2BIG beyond a limit,
 * -ENOMEM. The fabric is then unchanged.
 * NICs are added right after their host: c4_fabric_add_nic() adds to the last host.
 */
int64_t c4_fabric_add_switch(struct c4_fabric *f, enum c4_tier tier, const char *name,
			     struct c4_fault *fault);
int64_t c4_fabric_add_host(struct c4_fabric *f, const char *name, struct c4_fault *fault);
int64_t c4_fabric_add_nic(struct c4_fabric *f, const char *name, const char *leaf, uint32_t plane,
			  uint32_t rail, struct c4_fault *fault);
int64_t c4_fabric_add_link(struct c4_fabric *f, const char *a, const char *b, double gbps,
			   double now_gbps, struct c4_fault *fault);

/* The same with switches by index, in either order. */
int64_t c4_fabric_join(struct c4_fabric *f, uint32_t a, uint32_t b, double gbps, double now_gbps,
		       struct c4_fault *fault);

/* -EEXIST: a switch has it, -EINVAL: no address of a switch. Needs no c4_fabric_finish(). */
int64_t c4_fabric_add_address(struct c4_fabric *f, uint32_t at, uint32_t ipv4,
			      struct c4_fault *fault);

/*
 * Derives nets, pods, planes and the links of each switch. -EINVAL when NICs of two planes meet in
 * one network (fault->link is the link at odds with most others, or fault->nic the first NIC under
 * a leaf of another plane), or when there is no leaf. Leaves without a live link
 * are not an error here (see c4_fabric_check()). Call after the last add; again after more adds.
 */
int c4_fabric_finish(struct c4_fabric *f, struct c4_fault *fault);

/* C4_NONE when nobody has that name. */
uint32_t c4_fabric_switch(const struct c4_fabric *f, const char *name);
uint32_t c4_fabric_host(const struct c4_fabric *f, const char *name);
/* The switch that answers from this address, C4_NONE: nobody is known to. */
uint32_t c4_fabric_switch_at(const struct c4_fabric *f, uint32_t ipv4);
/* "host/nic", or "host" alone when the host has one NIC. */
uint32_t c4_fabric_nic(const struct c4_fabric *f, const char *host_slash_nic);

/*
 * The links that join two switches, in either order: link_of[at .. at + *ret_n) of the first of
 * them; returns at. *ret_n is 0 when nothing joins them. O(log links of the switch).
 */
uint32_t c4_fabric_links_between(const struct c4_fabric *f, uint32_t a, uint32_t b,
				 uint32_t *ret_n);
/* The nth of these, or C4_NONE. */
uint32_t c4_fabric_link(const struct c4_fabric *f, uint32_t a, uint32_t b, uint32_t nth);

/* The other end of a link of switch s. */
static inline uint32_t c4_link_peer(const struct c4_link *l, uint32_t s)
{
	return l->a == s ? l->b : l->a;
}

/* Name of a tier: "leaf", "spine", "core". */
const char *c4_tier_name(enum c4_tier tier);

/* A problem that planning survives: `what` is a sentence. */
typedef void (*c4_fabric_problem)(void *arg, const char *what);

/*
 * Of a finished fabric, disconnected or powerless parts, each told once: hosts without NICs,
 * switches without links, leaves without a live uplink, dead and degraded links, and pairs of
 * leaves of one net that no live path joins (one problem per kind of leaf, i.e. per set of live
 * uplinks; past C4_CHECK_STEPS looks at a link the rest is told as not examined). Returns how many.
 */
#define C4_CHECK_STEPS (1u << 28)
size_t c4_fabric_check(const struct c4_fabric *f, c4_fabric_problem tell, void *arg);

#endif
