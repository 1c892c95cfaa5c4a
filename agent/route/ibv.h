/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ibv.h - what we touch of the verbs ABI (libibverbs, IBVERBS_1.1), declared by hand: a hook is
 * built without anybody's headers and loaded where there is no libibverbs. Layouts are stable
 * since 1.1; a unit test compares them with <infiniband/verbs.h> where that is installed.
 */
#ifndef C4_ROUTE_IBV_H
#define C4_ROUTE_IBV_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define C4_IBV_VERSION "IBVERBS_1.1"

enum { C4_IBV_RESET, C4_IBV_INIT, C4_IBV_RTR, C4_IBV_RTS, C4_IBV_SQD };
enum { C4_IBV_RC = 2, C4_IBV_UC = 3 };
enum {
	C4_IBV_STATE = 1 << 0,
	C4_IBV_AV = 1 << 7,
	C4_IBV_DEST_QPN = 1 << 20,
	C4_IBV_RATE_LIMIT = 1 << 25,
};

/* What a process writes to the file of a context (linux: rdma/ib_user_verbs.h). */
#define C4_IB_POST_SEND 28u
#define C4_IB_WR_BYTES	128u

struct c4_ib_post_send {
	uint32_t command;
	uint16_t in_words, out_words;
	uint64_t response;
	uint32_t handle, wr_count, sge_count, wr_bytes;
};

struct c4_ibv_ah {
	uint8_t dgid[16];
	uint32_t flow_label;
	uint8_t sgid_index, hop_limit, traffic_class;
	uint16_t dlid;
	uint8_t sl, src_path_bits, static_rate, is_global, port_num;
} __attribute__((aligned(8)));

struct c4_ibv_attr {
	uint32_t state, cur_state, path_mtu, mig_state;
	uint32_t qkey, rq_psn, sq_psn, dest_qp_num, access_flags;
	uint32_t cap[5];
	struct c4_ibv_ah ah, alt_ah;
	uint16_t pkey_index, alt_pkey_index;
	uint8_t en_sqd_async_notify, sq_draining, max_rd_atomic, max_dest_rd_atomic;
	uint8_t min_rnr_timer, port_num, timeout, retry_cnt, rnr_retry, alt_port_num, alt_timeout;
	uint32_t rate_limit; /* younger than the others: programs may not have it */
};

struct c4_ibv_device {
	void *ops[2];
	int32_t node_type, transport_type;
	char name[64], dev_name[64], dev_path[256], ibdev_path[256];
};

struct c4_ibv_context {
	struct c4_ibv_device *device;
	void *ops[32];
	int cmd_fd;
};

struct c4_ibv_qp {
	struct c4_ibv_context *context;
	void *objects[5];
	uint32_t handle, num, state, type;
};

static_assert(sizeof(struct c4_ib_post_send) == 32, "wire");
static_assert(sizeof(struct c4_ibv_ah) == 32, "ah_attr");
static_assert(offsetof(struct c4_ibv_attr, dest_qp_num) == 28, "qp_attr");
static_assert(offsetof(struct c4_ibv_attr, ah) == 56, "qp_attr");

#endif
