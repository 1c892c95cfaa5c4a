/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * route.h - the node's plan table: which source ports take a connection along its planned path.
 *
 *	c4planner ──paths──► c4agent ──ports──► routes-NODE.tbl ──mmap──► libc4route.so
 *	                        ▲                                              │
 *	                        └───────── routes-NODE.sock ◄──────ask─────────┘
 *
 *   offset 0     struct c4_route_header
 *   peer_off     struct c4_route_peer[]    planned destinations, hashed by address
 *   dest_off     struct c4_route_dest[]    ports by (protocol, address, port), hashed
 *
 * Which path a port takes depends on the destination port too, and that is not known before a
 * program connects: so a process that is about to connect to a planned peer and finds no dest asks
 * the agent (one datagram to the socket), waits for `generation` to change, at most wait_us, and
 * goes on unplanned otherwise. Likewise one that finds all ports of a dest in use, again if others
 * were faster to take the new ones (three times at most). RoCE v2 always goes to UDP port 4791: one
 * dest per peer.
 *
 * Rules
 *  - Files are in the runtime directory (C4_RUNTIME_DIR), NODE is C4_NODE or the host name. The
 *    agent makes the table under another name and renames it when it is ready; it removes both when
 *    it ends. Processes map it shared and writable.
 *  - One writer per word: the agent writes everything but `claim` of a slot and the header's
 *    `stats`, which processes change atomically. Nobody trusts anybody: indices are bounded, a dest
 *    is copied and its `gen` looked at before and after (odd: being written).
 *  - The table means something only while the agent lives: heartbeat_ns (CLOCK_MONOTONIC) no older
 *    than C4_ROUTE_STALE_NS. Otherwise, and on any doubt, a connection is made as without c4.
 *  - Addresses and ports are in host byte order. IPv4 (for RoCE: IPv4-mapped GIDs).
 *  - Queue pairs are seen by nobody else, so processes tell the agent of theirs on the same socket,
 *    planned or not: struct c4_route_qp. While no agent lives nothing is told.
 */
#ifndef C4_ROUTE_H
#define C4_ROUTE_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define C4_ROUTE_MAGIC	 0x3145545552344321ull /* "!C4RUTE1", read as little endian */
#define C4_ROUTE_VERSION 1u

#define C4_ROUTE_TABLE	"routes-%s.tbl"
#define C4_ROUTE_SOCKET "routes-%s.sock"

#define C4_ROUTE_PEERS	     4096u /* power of two, kept at most half full */
#define C4_ROUTE_DESTS	     4096u /* likewise; beyond it connections stay unplanned, counted */
#define C4_ROUTE_SLOTS	     8u /* planned paths between two hosts; more connections share them */
#define C4_ROUTE_PORTS	     6u /* ports known to take a slot's path, best first */
#define C4_ROUTE_STALE_NS    1000000000ull
#define C4_ROUTE_BEAT_NS     100000000ull /* heartbeat at least this often */
#define C4_ROUTE_WAIT_MAX_US 100000u
#define C4_ROUTE_RDMA_PORT   4791u

enum c4_route_proto { C4_ROUTE_TCP = 6, C4_ROUTE_UDP = 17 }; /* as IP numbers them */

/* What processes count: symbol, name in metrics, what it means. */
#define C4_ROUTE_STATS(X)                                                                          \
	X(ASKED, "asked", "questions to the agent")                                                \
	X(PINNED, "pinned", "connections that left from a planned port")                           \
	X(TAKEN, "taken", "planned ports that were in use")                                        \
	X(LATE, "late", "answers that did not come in time")                                       \
	X(UNKNOWN, "unknown", "connections to planned peers without a known port")                 \
	X(LABELLED, "labelled", "queue pairs that got a planned flow label")                       \
	X(MOVED, "moved", "live queue pairs that were given another label")                        \
	X(STUCK, "stuck", "live queue pairs that the device did not let move")                     \
	X(UNTOLD, "untold", "queue pairs that the agent does not hear of: too many to remember")

enum c4_route_stat {
#define C4_X(sym, name, help) C4_ROUTE_STAT_##sym,
	C4_ROUTE_STATS(C4_X)
#undef C4_X
		C4_ROUTE_STAT_MAX
};
#define C4_ROUTE_STAT_SLOTS 16u

struct c4_route_header {
	uint64_t magic; /* written last */
	uint32_t version, header_bytes;
	uint64_t total_bytes;
	uint32_t peer_off, peer_cap, peer_bytes;
	uint32_t dest_off, dest_cap, dest_bytes;
	uint64_t instance;     /* of the agent */
	uint64_t plan_version; /* of the planner, that this table follows */
	uint32_t wait_us;      /* how long to wait for an answer */
	uint32_t pid;	       /* the agent's */
	uint64_t heartbeat_ns __attribute__((aligned(64)));
	uint32_t generation; /* grows with each change of the table; a futex for who waits */
	uint32_t pad;
	uint64_t stats[C4_ROUTE_STAT_SLOTS] __attribute__((aligned(64)));
};

/* A destination that the plan knows, whatever its port. */
struct c4_route_peer {
	uint32_t dst; /* 0: empty. Written last */
	uint32_t src; /* the local address that the plan means */
};

/*
 * Connections that use a slot: number in the low 16 bits, CLOCK_MONOTONIC milliseconds of the last
 * change above. A process adds one (compare and exchange) before it connects, and takes it away
 * if that fails; the agent corrects the number by what it sees, but not within C4_ROUTE_SETTLE_MS
 * of a change.
 */
#define C4_ROUTE_SETTLE_MS 2000u

struct c4_route_slot {
	uint64_t claim;
	uint32_t moved; /* grows when the path, and so the ports, changed: live QPs follow */
	uint16_t nports;
	uint16_t port[C4_ROUTE_PORTS];
	uint8_t pad[6];
};

struct c4_route_dest {
	uint32_t gen; /* odd: being written */
	uint32_t dst; /* 0: empty, and the end of a search */
	uint32_t src;
	uint16_t dport;
	uint8_t proto;	   /* enum c4_route_proto */
	uint8_t nslots;	   /* 0: asked and not known, see until_ns */
	uint64_t until_ns; /* nslots 0: do not ask again before (CLOCK_MONOTONIC) */
	uint8_t pad[40];
	struct c4_route_slot slot[C4_ROUTE_SLOTS];
};

/* A datagram to the agent's socket. There is no answer but the table. */
struct c4_route_ask {
	uint32_t magic; /* low half of C4_ROUTE_MAGIC */
	uint16_t version;
	uint8_t proto;
	uint8_t taken; /* 1: the table has ports, and all of them are in use: others are wanted */
	uint32_t dst;
	uint16_t dport;
	uint16_t pad2;
	uint32_t pid;
	uint32_t pad3;
};

/*
 * A datagram to the agent's socket: a connected queue pair is there, or is there no more. Told
 * apart from a question by its size and magic; an agent that does not know it counts it as bad.
 *
 * Said when it has reached RTR, when its port or its slot changed, to another agent anew, and again
 * every C4_ROUTE_QP_AGAIN_MS: any of them may be lost. So an agent forgets a queue pair that nobody
 * spoke of for C4_ROUTE_QP_KEEP_MS, and those of a process that has ended. Which process it is the
 * agent asks the kernel (SCM_CREDENTIALS); pid is only of use where the kernel cannot tell, as
 * across pid namespaces.
 */
#define C4_ROUTE_QP_MAGIC    ((uint32_t)(C4_ROUTE_MAGIC >> 32))
#define C4_ROUTE_QP_AGAIN_MS 10000u
#define C4_ROUTE_QP_KEEP_MS  35000u

enum c4_route_qp_kind { C4_ROUTE_QP_UP = 1, C4_ROUTE_QP_GONE = 2 };

struct c4_route_qp {
	uint32_t magic; /* C4_ROUTE_QP_MAGIC */
	uint16_t version;
	uint8_t kind; /* enum c4_route_qp_kind */
	uint8_t slot; /* of the dest (UDP, dst, C4_ROUTE_RDMA_PORT), claimed; C4_ROUTE_SLOTS: none */
	uint32_t src, dst;
	uint16_t sport; /* of its packets */
	uint16_t pad;
	uint32_t qpn, peer_qpn; /* its number, and that of the other end */
	uint32_t pid;
	uint64_t id; /* of the process's queue pairs, this one; never used again by it */
};

static_assert(offsetof(struct c4_route_header, heartbeat_ns) == 128, "header: cold part");
static_assert(offsetof(struct c4_route_header, stats) == 192, "header: heartbeat's line");
static_assert(sizeof(struct c4_route_header) == 320, "header");
static_assert(sizeof(struct c4_route_peer) == 8, "peer");
static_assert(sizeof(struct c4_route_slot) == 32, "slot");
static_assert(sizeof(struct c4_route_dest) == 64 + 32 * C4_ROUTE_SLOTS, "dest");
static_assert(sizeof(struct c4_route_ask) == 24, "ask");
static_assert(sizeof(struct c4_route_qp) == 40, "qp");
static_assert(offsetof(struct c4_route_qp, id) == 32, "qp: identity");

/* Where a search begins; it goes on with the next entry, around the end, to an empty one. */
static inline uint32_t c4_route_peer_hash(uint32_t dst)
{
	return (dst * 0x9E3779B1u) >> 16;
}

static inline uint32_t c4_route_dest_hash(uint8_t proto, uint32_t dst, uint16_t dport)
{
	return ((dst ^ ((uint32_t)dport << 16 | proto) * 0x85EBCA77u) * 0x9E3779B1u) >> 12;
}

#endif
