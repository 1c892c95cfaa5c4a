/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * abi.h - what NCCL's profiler interface looks like in memory, versions 1 to 6: our own
 * declarations of what it passes, no NCCL header needed.
 *
 *	version  NCCL    what it brought
 *	1        2.23.4  events of groups, collectives, messages, proxies; functions as numbers
 *	2        2.24.3  functions and types as texts
 *	3        2.26.2  kernel channels (without times), net plugin events
 *	4        2.27.3  GPU times, the communicator told at init, peer wait of a step
 *	5        2.28.3  calls of the program (Api events), other order of init's arguments
 *	6        2.29.2  copy-engine collectives
 *
 * NCCL tries them from the newest it knows downwards, so that a newer NCCL speaks version 6 with
 * us. Version 7 (2.31) is not exported, on purpose. Upstream's appends a tag, a variant and a phase
 * of kernels to what version 6 tells, nothing that is recorded here. And the name is taken: forks
 * used ncclProfiler_v7 for tables of more functions (FIFOs in device memory, a hook for kernels),
 * so that one of them would read beyond the end of ours and call what lies there. A data symbol
 * cannot depend on who asks.
 *
 * Nothing here is trusted beyond its address; every pointer may be NULL.
 */
#ifndef C4_NCCL_ABI_H
#define C4_NCCL_ABI_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Types of events: bits of the activation mask. */
enum c4_abi_event {
	C4_ABI_GROUP = 1 << 0,
	C4_ABI_COLL = 1 << 1,
	C4_ABI_P2P = 1 << 2,
	C4_ABI_PROXY_OP = 1 << 3,
	C4_ABI_PROXY_STEP = 1 << 4,
	C4_ABI_PROXY_CTRL = 1 << 5,
	C4_ABI_KERNEL_CH = 1 << 6,
	C4_ABI_NET_PLUGIN = 1 << 7,
	C4_ABI_GROUP_API = 1 << 8,
	C4_ABI_COLL_API = 1 << 9,
	C4_ABI_P2P_API = 1 << 10,
	C4_ABI_KERNEL_LAUNCH = 1 << 11,
	C4_ABI_CE_COLL = 1 << 12,
	C4_ABI_CE_SYNC = 1 << 13,
	C4_ABI_CE_BATCH = 1 << 14,
};

/* States an event may be told to be in. */
enum c4_abi_state {
	/* of a proxy operation, versions 1 to 3 */
	C4_ABI_SEND_REM_FIFO_WAIT = 1,
	C4_ABI_SEND_DONE = 3,
	C4_ABI_RECV_RECEIVED = 5,
	/* of a step */
	C4_ABI_SEND_GPU_WAIT = 8,
	C4_ABI_SEND_WAIT = 9,
	C4_ABI_RECV_WAIT = 10,
	C4_ABI_RECV_FLUSH_WAIT = 11,
	C4_ABI_RECV_GPU_WAIT = 12,
	C4_ABI_SEND_PEER_WAIT = 20,
	/* of a proxy operation, from version 4 on */
	C4_ABI_PROXY_IN_PROGRESS = 19,
	C4_ABI_KERNEL_CH_STOP = 22,
};

#define C4_ABI_LOG_WARN 2 /* ncclDebugLogLevel */
#define C4_ABI_LOG_ALL	(~0UL)

typedef void (*c4_abi_log)(int level, unsigned long flags, const char *file, int line,
			   const char *format, ...);

/* ---- parts of descriptors that are equal in all versions that have them ---------------------- */

struct c4_abi_proxy_op {
	pid_t pid; /* of the process whose handles parent and context are */
	uint8_t channel;
	int peer;
	int steps;
	int chunk_bytes;
	int is_send;
};

struct c4_abi_proxy_step {
	int step;
};

struct c4_abi_kernel_ch {
	uint8_t channel;
	uint64_t gpu_ns; /* the GPU's globaltimer; from version 4 on */
};

struct c4_abi_group_api {
	bool captured;
	int depth;
};

struct c4_abi_coll_api {
	const char *func;
	size_t count;
	const char *dtype;
	int root;
	void *stream;
	bool captured;
};

struct c4_abi_p2p_api {
	const char *func;
	size_t count;
	const char *dtype;
	void *stream;
	bool captured;
};

/* ---- descriptors ----------------------------------------------------------------------------- */

struct c4_abi_descr_v1 {
	uint8_t type;
	void *parent;
	int rank;
	union {
		struct {
			const char *name;
			uint64_t comm_hash;
			uint64_t seq;
			uint8_t func;
			const void *send;
			void *recv;
			size_t count;
			int root;
			uint8_t dtype;
			uint32_t redop;
			size_t traffic_bytes;
			uint8_t max_channels;
			uint8_t warps;
			uint8_t algo;
			uint8_t proto;
			int is_collnet;
			int is_nvls;
		} coll;
		struct {
			const char *name;
			uint64_t comm_hash;
			uint8_t func;
			void *buf;
			uint8_t dtype;
			size_t count;
			int peer;
		} p2p;
		struct c4_abi_proxy_op proxy_op;
		struct c4_abi_proxy_step proxy_step;
	};
};

struct c4_abi_descr_v2 {
	uint8_t type;
	void *parent;
	int rank;
	union {
		struct {
			const char *name;
			uint64_t comm_hash;
			uint64_t seq;
			const char *func;
			const void *send;
			void *recv;
			size_t count;
			int root;
			const char *dtype;
			size_t traffic_bytes;
			uint8_t max_channels;
			uint8_t warps;
			const char *algo;
			const char *proto;
		} coll;
		struct {
			const char *name;
			uint64_t comm_hash;
			const char *func;
			void *buf;
			const char *dtype;
			size_t count;
			int peer;
		} p2p;
		struct c4_abi_proxy_op proxy_op;
		struct c4_abi_proxy_step proxy_step;
	};
};

struct c4_abi_descr_v3 {
	uint8_t type;
	void *parent;
	int rank;
	union {
		struct {
			const char *name;
			uint64_t comm_hash;
			uint64_t seq;
			const char *func;
			const void *send;
			void *recv;
			size_t count;
			int root;
			const char *dtype;
			uint8_t max_channels;
			uint8_t warps;
			const char *algo;
			const char *proto;
		} coll;
		struct {
			const char *name;
			uint64_t comm_hash;
			const char *func;
			void *buf;
			const char *dtype;
			size_t count;
			int peer;
		} p2p;
		struct c4_abi_proxy_op proxy_op;
		struct c4_abi_proxy_step proxy_step;
		struct {
			uint8_t channel;
		} kernel_ch;
		struct {
			int64_t id;
			void *data;
		} net_plugin;
	};
};

struct c4_abi_descr_v4 {
	uint8_t type;
	void *parent;
	int rank;
	union {
		struct {
			uint64_t seq;
			const char *func;
			const void *send;
			void *recv;
			size_t count;
			int root;
			const char *dtype;
			uint8_t channels;
			uint8_t warps;
			const char *algo;
			const char *proto;
		} coll;
		struct {
			const char *func;
			void *buf;
			const char *dtype;
			size_t count;
			int peer;
			uint8_t channels;
		} p2p;
		struct c4_abi_proxy_op proxy_op;
		struct c4_abi_proxy_step proxy_step;
		struct c4_abi_kernel_ch kernel_ch;
		struct {
			int64_t id;
			void *data;
		} net_plugin;
	};
};

/* Versions 5 and 6: the second only adds members of the union. */
struct c4_abi_descr_v6 {
	uint64_t type;
	void *parent;
	int rank;
	union {
		struct c4_abi_group_api group_api;
		struct c4_abi_coll_api coll_api;
		struct c4_abi_p2p_api p2p_api;
		struct {
			void *stream;
		} kernel_launch;
		struct {
			uint64_t seq;
			const char *func;
			const void *send;
			void *recv;
			size_t count;
			int root;
			const char *dtype;
			uint8_t channels;
			uint8_t warps;
			const char *algo;
			const char *proto;
			void *group;
		} coll;
		struct {
			const char *func;
			void *buf;
			const char *dtype;
			size_t count;
			int peer;
			uint8_t channels;
			void *group;
		} p2p;
		struct c4_abi_proxy_op proxy_op;
		struct c4_abi_proxy_step proxy_step;
		struct c4_abi_kernel_ch kernel_ch;
		struct {
			int64_t id;
			void *data;
		} net_plugin;
		struct {
			uint64_t seq;
			const char *func;
			const void *send;
			void *recv;
			size_t count;
			int root;
			const char *dtype;
			const char *sync;
			bool intra_batch_sync;
			uint32_t batch_size;
			uint32_t batches;
			uint32_t ce_seq;
			void *stream;
		} ce_coll;
		struct {
			bool is_complete;
			int ranks;
		} ce_sync;
		struct {
			int ops;
			size_t bytes;
			bool intra_sync;
		} ce_batch;
	};
};

/* ---- arguments of states ----------------------------------------------------------------------
 */

union c4_abi_args_v1 { /* to version 3 */
	struct {
		size_t trans_bytes; /* of the operation so far */
		int steps;
	} proxy_op;
	struct {
		int appended;
	} proxy_ctrl;
};

union c4_abi_args_v4 { /* from version 4 on */
	struct {
		size_t trans_bytes;
	} proxy_step;
	struct {
		int appended;
	} proxy_ctrl;
	struct {
		void *data;
	} net_plugin;
	struct {
		uint64_t gpu_ns;
	} kernel_ch;
};

/* ---- tables of functions; results are ncclResult_t, 0 is success ------------------------------
 */

struct c4_abi_profiler_v1 {
	const char *name;
	int (*init)(void **ctx, int *mask);
	int (*start)(void *ctx, void **handle, struct c4_abi_descr_v1 *descr);
	int (*stop)(void *handle);
	int (*state)(void *handle, int state, union c4_abi_args_v1 *args);
	int (*finalize)(void *ctx);
};

struct c4_abi_profiler_v2 {
	const char *name;
	int (*init)(void **ctx, int *mask);
	int (*start)(void *ctx, void **handle, struct c4_abi_descr_v2 *descr);
	int (*stop)(void *handle);
	int (*state)(void *handle, int state, union c4_abi_args_v1 *args);
	int (*finalize)(void *ctx);
};

struct c4_abi_profiler_v3 {
	const char *name;
	int (*init)(void **ctx, int *mask);
	int (*start)(void *ctx, void **handle, struct c4_abi_descr_v3 *descr);
	int (*stop)(void *handle);
	int (*state)(void *handle, int state, union c4_abi_args_v1 *args);
	int (*finalize)(void *ctx);
};

struct c4_abi_profiler_v4 {
	const char *name;
	int (*init)(void **ctx, int *mask, const char *comm_name, uint64_t comm_hash, int nodes,
		    int ranks, int rank, c4_abi_log log);
	int (*start)(void *ctx, void **handle, struct c4_abi_descr_v4 *descr);
	int (*stop)(void *handle);
	int (*state)(void *handle, int state, union c4_abi_args_v4 *args);
	int (*finalize)(void *ctx);
};

struct c4_abi_profiler_v6 { /* and 5 */
	const char *name;
	int (*init)(void **ctx, uint64_t comm_id, int *mask, const char *comm_name, int nodes,
		    int ranks, int rank, c4_abi_log log);
	int (*start)(void *ctx, void **handle, struct c4_abi_descr_v6 *descr);
	int (*stop)(void *handle);
	int (*state)(void *handle, int state, union c4_abi_args_v4 *args);
	int (*finalize)(void *ctx);
};

#if defined(__LP64__)
#define C4_ABI_AT(type, member, at) static_assert(offsetof(struct type, member) == (at), "ABI")

C4_ABI_AT(c4_abi_descr_v1, parent, 8);
C4_ABI_AT(c4_abi_descr_v1, rank, 16);
C4_ABI_AT(c4_abi_descr_v1, coll.func, 48);
C4_ABI_AT(c4_abi_descr_v1, coll.count, 72);
C4_ABI_AT(c4_abi_descr_v1, coll.dtype, 84);
C4_ABI_AT(c4_abi_descr_v1, coll.max_channels, 104);
C4_ABI_AT(c4_abi_descr_v1, p2p.count, 64);
static_assert(sizeof(struct c4_abi_descr_v1) == 120, "ABI");

C4_ABI_AT(c4_abi_descr_v2, coll.func, 48);
C4_ABI_AT(c4_abi_descr_v2, coll.dtype, 88);
C4_ABI_AT(c4_abi_descr_v2, coll.max_channels, 104);
C4_ABI_AT(c4_abi_descr_v2, p2p.peer, 72);
static_assert(sizeof(struct c4_abi_descr_v2) == 128, "ABI");

C4_ABI_AT(c4_abi_descr_v3, coll.max_channels, 96);
C4_ABI_AT(c4_abi_descr_v3, kernel_ch.channel, 24);
static_assert(sizeof(struct c4_abi_descr_v3) == 120, "ABI");

C4_ABI_AT(c4_abi_descr_v4, coll.func, 32);
C4_ABI_AT(c4_abi_descr_v4, coll.channels, 80);
C4_ABI_AT(c4_abi_descr_v4, kernel_ch.gpu_ns, 32);
C4_ABI_AT(c4_abi_descr_v4, p2p.channels, 60);
static_assert(sizeof(struct c4_abi_descr_v4) == 104, "ABI");

C4_ABI_AT(c4_abi_descr_v6, parent, 8);
C4_ABI_AT(c4_abi_descr_v6, rank, 16);
C4_ABI_AT(c4_abi_descr_v6, group_api, 24);
C4_ABI_AT(c4_abi_descr_v6, coll_api.captured, 64);
C4_ABI_AT(c4_abi_descr_v6, p2p_api.captured, 56);
C4_ABI_AT(c4_abi_descr_v6, coll.root, 64);
C4_ABI_AT(c4_abi_descr_v6, coll.channels, 80);
C4_ABI_AT(c4_abi_descr_v6, coll.group, 104);
C4_ABI_AT(c4_abi_descr_v6, p2p.peer, 56);
C4_ABI_AT(c4_abi_descr_v6, p2p.group, 64);
C4_ABI_AT(c4_abi_descr_v6, proxy_op.pid, 24);
C4_ABI_AT(c4_abi_descr_v6, proxy_op.channel, 28);
C4_ABI_AT(c4_abi_descr_v6, proxy_op.peer, 32);
C4_ABI_AT(c4_abi_descr_v6, proxy_op.is_send, 44);
C4_ABI_AT(c4_abi_descr_v6, kernel_ch.gpu_ns, 32);
C4_ABI_AT(c4_abi_descr_v6, ce_coll.dtype, 72);
C4_ABI_AT(c4_abi_descr_v6, ce_coll.stream, 104);
static_assert(sizeof(struct c4_abi_descr_v6) == 112, "ABI");

static_assert(sizeof(union c4_abi_args_v1) == 16, "ABI");
static_assert(sizeof(union c4_abi_args_v4) == 8, "ABI");
static_assert(sizeof(struct c4_abi_profiler_v1) == 48, "ABI");
static_assert(sizeof(struct c4_abi_profiler_v2) == 48, "ABI");
static_assert(sizeof(struct c4_abi_profiler_v3) == 48, "ABI");
static_assert(sizeof(struct c4_abi_profiler_v4) == 48, "ABI");
static_assert(sizeof(struct c4_abi_profiler_v6) == 48, "ABI");
#undef C4_ABI_AT
#endif

#endif
