// SPDX-License-Identifier: BSD-3-Clause
/* One end: its device, what it tells the other one, how queue pairs are connected. See qp.h. */
#include "qp.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define GID_TRIES 16
#define OUT_MAX	  32768

struct verbs verbs;
struct end me = {.ack_timeout = ACK_TIMEOUT};

void die(const char *what, ...)
{
	va_list args;
	int saved = errno;

	va_start(args, what);
	fprintf(stderr, "qp: ");
	vfprintf(stderr, what, args);
	fprintf(stderr, ": %s\n", strerror(saved));
	va_end(args);
	exit(1);
}

#ifdef QP_DLOPEN
void load_verbs(void)
{
	void *lib = dlopen("libibverbs.so", RTLD_NOW);

	if (!lib)
		lib = dlopen("libibverbs.so.1", RTLD_NOW);
	if (!lib)
		die("dlopen: %s", dlerror());
#define X(call)                                                                                    \
	verbs.call = (__typeof__(&ibv_##call))dlvsym(lib, "ibv_" #call, "IBVERBS_1.1");            \
	if (!verbs.call)                                                                           \
		die("dlvsym ibv_" #call);
	CALLS(X)
#undef X
}
#else
void load_verbs(void)
{
#define X(call) verbs.call = ibv_##call;
	CALLS(X)
#undef X
}
#endif

long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

/* Each end gives the other one the same number of bytes; a barrier, too. */
void swap(const void *mine, void *theirs, size_t n)
{
	if (write(me.wire, mine, n) != (ssize_t)n)
		die("wire");
	for (size_t got = 0; got < n;) {
		ssize_t r = read(me.wire, (char *)theirs + got, n - got);

		if (r <= 0)
			die("the other end is gone");
		got += (size_t)r;
	}
}

void barrier(void)
{
	char mine = '.', theirs;

	swap(&mine, &theirs, 1);
}

/* The first GID that stands for an IPv4 address. */
static void find_gid(void)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	for (int i = 0; i < GID_TRIES; i++) {
		if (verbs.query_gid(me.context, 1, i, &me.gid) == 0 &&
		    memcmp(me.gid.raw, mapped, sizeof(mapped)) == 0) {
			me.gid_index = i;
			return;
		}
	}
	die("no IPv4 GID");
}

void open_end(const char *device)
{
	struct ibv_device **list = verbs.get_device_list(NULL);
	size_t bytes = (size_t)QP_MAX * (DEPTH + RECEIVES) * BYTES_MAX;

	for (int i = 0; list && list[i] && !me.context; i++)
		if (strcmp(verbs.get_device_name(list[i]), device) == 0)
			me.context = verbs.open_device(list[i]);
	if (!me.context)
		die("device %s", device);
	verbs.free_device_list(list);
	find_gid();
	me.pd = verbs.alloc_pd(me.context);
	me.cq = verbs.create_cq(me.context, QP_MAX * (DEPTH + RECEIVES), NULL, NULL, 0);
	me.memory = aligned_alloc(4096, bytes);
	if (me.pd && me.memory)
		me.mr = verbs.reg_mr(me.pd, me.memory, bytes, IBV_ACCESS_LOCAL_WRITE);
	if (!me.cq || !me.mr)
		die("%s: resources", device);
}

/* One line of JSON with one write: two processes talk. */
void say(const char *format, ...)
{
	char text[OUT_MAX];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n >= OUT_MAX || write(STDOUT_FILENO, text, (size_t)n) != n)
		die("stdout");
}

void say_flows(const char *step, long step_us)
{
	char text[OUT_MAX], dgid[INET6_ADDRSTRLEN];
	int n = 0;

	text[0] = 0;
	for (unsigned i = 0; i < me.flows && n < OUT_MAX - 512; i++) {
		const struct flow *f = &me.flow[i];

		inet_ntop(AF_INET6, &f->peer_gid, dgid, sizeof(dgid));
		n += snprintf(text + n, sizeof(text) - (size_t)n,
			      "%s{\"qpn\":%u,\"peer\":%u,\"dgid\":\"%s\",\"label\":%u,\"sent\":%u,"
			      "\"received\":%u,\"bad\":%u,\"status\":%d,\"error\":%d,\"us\":%ld}",
			      i ? "," : "", f->qp->qp_num, f->peer_qpn, dgid, f->label, f->sent,
			      f->received, f->bad, f->status, f->error, f->us);
	}
	say("{\"step\":\"%s\",\"end\":\"%c\",\"step_us\":%ld,\"qps\":[%s]}\n", step, me.name,
	    step_us, text);
}

/* ---- connecting ----------------------------------------------------------------------------- */

struct ibv_ah_attr path_to(const struct flow *f, uint32_t label)
{
	struct ibv_ah_attr path = {
		.is_global = 1,
		.port_num = 1,
		.grh = {.dgid = f->peer_gid,
			.flow_label = label,
			.sgid_index = (uint8_t)me.gid_index,
			.hop_limit = 64,
			.traffic_class = 0x68},
	};

	return path;
}

static int to_init(struct ibv_qp *qp)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_INIT, .port_num = 1};

	return verbs.modify_qp(
		qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
}

static int to_rtr(struct flow *f)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = IBV_MTU_1024,
		.dest_qp_num = f->peer_qpn,
		.max_dest_rd_atomic = 1,
		.min_rnr_timer = 12,
		.ah_attr = path_to(f, f->label),
	};

	return verbs.modify_qp(f->qp, &attr,
			       IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
				       IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC |
				       IBV_QP_MIN_RNR_TIMER);
}

static int to_rts(struct ibv_qp *qp)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTS,
		.timeout = me.ack_timeout,
		.retry_cnt = 7,
		.rnr_retry = 7,
		.max_rd_atomic = 1,
	};

	return verbs.modify_qp(qp, &attr,
			       IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
				       IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC);
}

/* One more; the other end makes the peer at the same time. */
void connect_flow(uint32_t label)
{
	struct flow *f = &me.flow[me.flows];
	struct ibv_qp_init_attr init = {
		.send_cq = me.cq,
		.recv_cq = me.cq,
		.qp_type = IBV_QPT_RC,
		.cap = {.max_send_wr = DEPTH,
			.max_recv_wr = RECEIVES,
			.max_send_sge = 1,
			.max_recv_sge = 1},
	};
	struct {
		uint32_t qpn;
		union ibv_gid gid;
	} mine = {.gid = me.gid}, theirs;

	memset(f, 0, sizeof(*f));
	f->out = me.memory + (size_t)me.flows * (DEPTH + RECEIVES) * BYTES_MAX;
	f->in = f->out + (size_t)DEPTH * BYTES_MAX;
	f->label = label;
	f->qp = verbs.create_qp(me.pd, &init);
	if (!f->qp || to_init(f->qp))
		die("queue pair %u", me.flows);
	mine.qpn = f->qp->qp_num;
	swap(&mine, &theirs, sizeof(mine));
	f->peer_qpn = theirs.qpn;
	f->peer_gid = theirs.gid;
	if (to_rtr(f) || to_rts(f->qp))
		die("connecting queue pair %u", me.flows);
	me.flows++;
}

/* Takes the next number off a list; at its end the last one stays. */
uint32_t next_label(const char **list, uint32_t last)
{
	char *end;
	unsigned long value;

	if (!*list || **list == 0 || **list == '/')
		return last;
	value = strtoul(*list, &end, 0);
	*list = *end == ',' ? end + 1 : end;
	return (uint32_t)value & 0xfffff;
}
