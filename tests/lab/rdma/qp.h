/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * qp.h - what the parts of the bed's verbs program share: one end of all queue pairs.
 *
 * A process is one end, `me`, with one device; it has one thread. Its peer is the other process,
 * reached through `wire`; both walk through the same steps, and whatever is exchanged there is
 * exchanged by both (qp.c).
 */
#ifndef QP_H
#define QP_H

#include <infiniband/verbs.h>

#include <stdint.h>

#define QP_MAX	    32
#define DEPTH	    8		/* messages under way, per queue pair and direction */
#define RECEIVES    (2 * DEPTH) /* always room for what the peer may send: see qp_flow.c */
#define BYTES_MAX   32768
#define ACK_TIMEOUT 20 /* 4 s: the guest is slow, and no packet is lost */

/* The calls by name, linked or looked up. What goes through the context is not among them. */
#define CALLS(X)                                                                                   \
	X(get_device_list)                                                                         \
	X(get_device_name)                                                                         \
	X(free_device_list)                                                                        \
	X(open_device)                                                                             \
	X(query_gid)                                                                               \
	X(alloc_pd)                                                                                \
	X(create_cq)                                                                               \
	X(reg_mr)                                                                                  \
	X(create_qp)                                                                               \
	X(modify_qp)                                                                               \
	X(query_qp)                                                                                \
	X(destroy_qp)

#undef ibv_reg_mr
struct verbs {
#define X(call) __typeof__(&ibv_##call) call;
	CALLS(X)
#undef X
};
extern struct verbs verbs;

/* One queue pair. Messages count from 0 in each step that sends. */
struct flow {
	struct ibv_qp *qp;
	uint32_t peer_qpn, label; /* the label this program asked for */
	union ibv_gid peer_gid;
	uint8_t *out, *in; /* DEPTH and RECEIVES messages of BYTES_MAX */
	unsigned posted, sent, expected, received, bad;
	int status; /* of the first completion that failed */
	int error;  /* of the last new label */
	long us;    /* what that took */
};

struct end {
	char name; /* 'A' or 'B' */
	int wire;  /* to the other end */
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_mr *mr;
	uint8_t *memory;
	int gid_index;
	union ibv_gid gid;
	struct flow flow[QP_MAX];
	unsigned flows;
	uint8_t ack_timeout; /* of queue pairs to be connected; 4 us * 2^n */
	int failed;	     /* becomes the exit status */
};
extern struct end me;

/* qp_end.c: the device, the other end, connecting. All of it ends the process if it fails. */
void __attribute__((noreturn, format(printf, 1, 2))) die(const char *what, ...);
void load_verbs(void);
void open_end(const char *device);
void swap(const void *mine, void *theirs, size_t n);
void barrier(void);
long now_us(void);
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void say_flows(const char *step, long step_us);
uint32_t next_label(const char **list, uint32_t last);
void connect_flow(uint32_t label);
struct ibv_ah_attr path_to(const struct flow *f, uint32_t label);

/* qp_flow.c: checked messages. midway(labels) is called once half of them are sent. */
int post_send(unsigned i, uint32_t bytes);
int post_recv(unsigned i);
int came_within(long us);
void step_send(const char *name, const char *args, void (*midway)(const char *labels));

/* qp_live.c: changing what lives. */
void relabel_all(const char *labels);
void step_trial(void);
void step_held(void);
void step_rescue(const char *args);

#endif
