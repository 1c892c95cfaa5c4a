/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * abi.h - NCCL's profiler interface as a caller sees it, all versions.
 *
 * Declared here a second time, apart from the plugin's own reading of the same facts: where the two
 * differ, events arrive garbled and the streams' expectations fail.
 *
 * Descriptors: v1 to v4 begin with a type of one byte, v5 and later with one of eight; what follows
 * is a union per type. Only members in use are declared; the head's size decides offsets.
 */
#ifndef C4_TESTS_NCCL_ABI_H
#define C4_TESTS_NCCL_ABI_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ABI_OLDEST 1
#define ABI_NEWEST 7 /* whose descriptors are known */
#define ABI_ASKED  9 /* a NCCL to come may ask for newer ones first */

enum abi_type {
	ABI_GROUP = 1 << 0,
	ABI_COLL = 1 << 1,
	ABI_P2P = 1 << 2,
	ABI_PROXY_OP = 1 << 3,
	ABI_PROXY_STEP = 1 << 4,
	ABI_PROXY_CTRL = 1 << 5,
	ABI_KERNEL_CH = 1 << 6,
	ABI_NET_PLUGIN = 1 << 7,
	ABI_GROUP_API = 1 << 8,
	ABI_COLL_API = 1 << 9,
	ABI_P2P_API = 1 << 10,
	ABI_KERNEL_LAUNCH = 1 << 11,
	ABI_CE_COLL = 1 << 12,
	ABI_CE_SYNC = 1 << 13,
	ABI_CE_BATCH = 1 << 14,
	ABI_KERNEL_PHASE = 1 << 15,
};

enum abi_state {
	ABI_SEND_GPU_WAIT = 8,
	ABI_SEND_WAIT = 9,
	ABI_RECV_WAIT = 10,
	ABI_RECV_FLUSH_WAIT = 11,
	ABI_RECV_GPU_WAIT = 12,
	ABI_CTRL_IDLE = 13,
	ABI_CTRL_ACTIVE = 14,
	ABI_CTRL_SLEEP = 15,
	ABI_CTRL_WAKEUP = 16,
	ABI_CTRL_APPEND = 17,
	ABI_CTRL_APPEND_END = 18,
	ABI_OP_IN_PROGRESS = 19,
	ABI_SEND_PEER_WAIT = 20,
	ABI_NET_UPDATE = 21,
	ABI_KERNEL_STOP = 22,
	ABI_GROUP_START_STOP = 23,
	ABI_GROUP_END_START = 24,
	ABI_PHASE_STOP = 31,
};

/* ---- unions' members ---------------------------------------------------------------------------
 */

struct abi_coll_v1 {
	const char *name;
	uint64_t comm_hash, seq;
	uint8_t func;
	const void *send;
	void *recv;
	size_t count;
	int root;
	uint8_t datatype;
	uint32_t op;
	size_t traffic;
	uint8_t channels, warps, algo, proto;
	int collnet, nvls;
};
struct abi_p2p_v1 {
	const char *name;
	uint64_t comm_hash;
	uint8_t func;
	void *buff;
	uint8_t datatype;
	size_t count;
	int peer;
};
struct abi_coll_v2 {
	const char *name;
	uint64_t comm_hash, seq;
	const char *func;
	const void *send;
	void *recv;
	size_t count;
	int root;
	const char *datatype;
	size_t traffic;
	uint8_t channels, warps;
	const char *algo, *proto;
};
struct abi_coll_v3 {
	const char *name;
	uint64_t comm_hash, seq;
	const char *func;
	const void *send;
	void *recv;
	size_t count;
	int root;
	const char *datatype;
	uint8_t channels, warps;
	const char *algo, *proto;
};
struct abi_p2p_v2 {
	const char *name;
	uint64_t comm_hash;
	const char *func;
	void *buff;
	const char *datatype;
	size_t count;
	int peer;
};
/* v4: to proto; v5, v6: to group; v7: all */
struct abi_coll {
	uint64_t seq;
	const char *func;
	const void *send;
	void *recv;
	size_t count;
	int root;
	const char *datatype;
	uint8_t channels, warps;
	const char *algo, *proto;
	void *group;
	const char *variant;
	bool symmetric;
	uint64_t tag;
};
/* v4: to channels; v5, v6: to group; v7: all */
struct abi_p2p {
	const char *func;
	void *buff;
	const char *datatype;
	size_t count;
	int peer;
	uint8_t channels;
	void *group;
	uint64_t tag;
};
struct abi_proxy_op {
	pid_t pid;
	uint8_t channel;
	int peer, steps, chunk, is_send;
};
struct abi_kernel_ch {
	uint8_t channel;
	uint64_t ptimer; /* since v4 */
};
struct abi_net_plugin {
	int64_t id;
	void *data;
};
struct abi_group_api {
	bool captured;
	int depth;
};
struct abi_coll_api {
	const char *func;
	size_t count;
	const char *datatype;
	int root;
	void *stream;
	bool captured;
	uint64_t tag; /* since v7 */
};
struct abi_p2p_api {
	const char *func;
	size_t count;
	const char *datatype;
	void *stream;
	bool captured;
	uint64_t tag; /* since v7 */
};
struct abi_ce_coll {
	uint64_t seq;
	const char *func;
	const void *send;
	void *recv;
	size_t count;
	int root;
	const char *datatype, *strategy;
	bool intra_batch_sync;
	uint32_t batch_size, batches, ce_seq;
	void *stream;
	uint64_t tag; /* since v7 */
};
struct abi_ce_sync {
	bool complete;
	int ranks;
};
struct abi_ce_batch {
	int ops;
	size_t bytes;
	bool intra_sync;
};
struct abi_kernel_phase {
	uint8_t channel, id;
	const char *name;
	uint64_t ptimer;
};

#define ABI_MEMBERS                                                                                \
	struct abi_coll_v1 coll_v1;                                                                \
	struct abi_coll_v2 coll_v2;                                                                \
	struct abi_coll_v3 coll_v3;                                                                \
	struct abi_p2p_v1 p2p_v1;                                                                  \
	struct abi_p2p_v2 p2p_v2;                                                                  \
	struct abi_coll coll;                                                                      \
	struct abi_p2p p2p;                                                                        \
	struct abi_proxy_op proxy_op;                                                              \
	int step;                                                                                  \
	struct abi_kernel_ch kernel_ch;                                                            \
	struct abi_net_plugin net;                                                                 \
	struct abi_group_api group_api;                                                            \
	struct abi_coll_api coll_api;                                                              \
	struct abi_p2p_api p2p_api;                                                                \
	void *launch_stream;                                                                       \
	struct abi_ce_coll ce_coll;                                                                \
	struct abi_ce_sync ce_sync;                                                                \
	struct abi_ce_batch ce_batch;                                                              \
	struct abi_kernel_phase phase

union abi_members {
	ABI_MEMBERS;
};

struct abi_descr_v1 { /* … v4 */
	uint8_t type;
	void *parent;
	int rank;
	union abi_members u;
};
struct abi_descr_v5 { /* and later */
	uint64_t type;
	void *parent;
	int rank;
	union abi_members u;
};

/* ---- states' arguments -------------------------------------------------------------------------
 */

union abi_args {
	struct {
		size_t bytes;
		int steps; /* to v3 */
	} step;
	int appended;
	void *data;
	uint64_t ptimer;
};

/* ---- what a plugin exports as ncclProfiler_vN --------------------------------------------------
 */

typedef void abi_logger(int level, unsigned long flags, const char *file, int line,
			const char *format, ...);
#define ABI_LOG_WARN 2

struct abi_plugin {
	const char *name;
	union {
		int (*v1)(void **ctx, int *mask); /* … v3 */
		int (*v4)(void **ctx, int *mask, const char *name, uint64_t id, int nodes,
			  int ranks, int rank, abi_logger *log);
		int (*v5)(void **ctx, uint64_t id, int *mask, const char *name, int nodes,
			  int ranks, int rank, abi_logger *log);
	} init;
	int (*start)(void *ctx, void **handle, void *descr);
	int (*stop)(void *handle);
	int (*record)(void *handle, int state, void *args);
	int (*finalize)(void *ctx);
};

#if UINTPTR_MAX == UINT64_MAX
static_assert(offsetof(struct abi_descr_v1, u) == 24, "one byte, padded to a pointer");
static_assert(offsetof(struct abi_descr_v5, u) == 24, "the same place");
static_assert(offsetof(struct abi_coll, group) == 80, "the end of version 4");
static_assert(offsetof(struct abi_descr_v5, u) + offsetof(struct abi_coll, variant) == 112,
	      "version 5's collective is its largest member");
static_assert(sizeof(struct abi_coll_v1) == 96, "facts");
static_assert(sizeof(struct abi_proxy_op) == 24, "facts");
static_assert(offsetof(struct abi_ce_coll, tag) == 88, "facts");
#endif

#endif
