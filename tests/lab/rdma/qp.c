/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * qp.c - queue pairs between two devices of the RDMA bed, as a program with verbs would use them.
 *
 *	qp DEVICE-A DEVICE-B STEP...
 *
 * The process is end A, a child is end B; both walk through the steps together, and say after each
 * one, in a line of JSON, how it went. Steps:
 *
 *	connect=N[:LABELS[/LABELS]]	N more RC queue pairs, INIT, RTR, RTS; flow labels of A's,
 *					of B's (the last one goes on; none: 0)
 *	send=COUNT[xBYTES]		COUNT messages each way over each queue pair, all checked
 *	label=LABELS			A's queue pairs get new labels, nothing under way
 *	move=COUNT[xBYTES]:LABELS	like send; A's get new labels halfway, sends under way
 *	query				what the device says of each queue pair
 *	trial				which changes of a live queue pair are allowed (A only)
 *	exec=COMMAND			A runs a shell command
 *	close				all queue pairs are destroyed
 *
 * Exit status 0 if every message was the right one. Built with QP_DLOPEN it is not linked to
 * libibverbs, but loads it and looks up versioned symbols, as NCCL does.
 */
#include <infiniband/verbs.h>

#include <rdma/ib_user_verbs.h>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define QP_MAX	     64
#define DEPTH	     8 /* messages under way, per queue pair and direction */
#define BYTES_MAX    65536
#define BYTES_USUAL  4096
#define GID_TRIES    16
#define STALL_S	     20
#define DRAIN_S	     10
#define LIFE_S	     240
#define OUT_MAX	     32768
#define ACK_TIMEOUT  14 /* 67 ms: the guest is slow */

/* ---- the library, linked or loaded ---------------------------------------------------------- */

#define CALLS(X)                                                                                   \
	X(get_device_list) X(get_device_name) X(free_device_list) X(open_device) X(query_gid)      \
	X(alloc_pd) X(create_cq) X(reg_mr) X(create_qp) X(modify_qp) X(query_qp) X(destroy_qp)

#undef ibv_reg_mr
static struct {
#define X(call) __typeof__(&ibv_##call) call;
	CALLS(X)
#undef X
} verbs;

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *what, ...)
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
static void load_verbs(void)
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
static void load_verbs(void)
{
#define X(call) verbs.call = ibv_##call;
	CALLS(X)
#undef X
}
#endif

/* ---- one end -------------------------------------------------------------------------------- */

struct flow {
	struct ibv_qp *qp;
	uint32_t peer_qpn, label;
	union ibv_gid peer_gid;
	uint8_t *out, *in; /* DEPTH messages of BYTES_MAX each */
	unsigned posted, sent, expected, received, bad;
	int status; /* of the first completion that failed */
	int error;  /* of the last relabelling */
	long us;    /* what it took */
};

static struct end {
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
	int failed;
} me;

static long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

/* Each end gives the other one the same number of bytes; a barrier, too. */
static void swap(const void *mine, void *theirs, size_t n)
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

static void barrier(void)
{
	char mine = '.', theirs;

	swap(&mine, &theirs, 1);
}

/* The first GID that stands for an IPv4 address. */
static void find_gid(void)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	for (int i = 0; i < GID_TRIES; i++) {
		if (verbs.query_gid(me.context, 1, i, &me.gid) == 0 &&
		    memcmp(me.gid.raw, mapped, sizeof(mapped)) == 0) {
			me.gid_index = i;
			return;
		}
	}
	die("no IPv4 GID");
}

static void open_end(const char *device)
{
	struct ibv_device **list = verbs.get_device_list(NULL);
	size_t bytes = (size_t)QP_MAX * 2 * DEPTH * BYTES_MAX;

	for (int i = 0; list && list[i] && !me.context; i++)
		if (strcmp(verbs.get_device_name(list[i]), device) == 0)
			me.context = verbs.open_device(list[i]);
	if (!me.context)
		die("device %s", device);
	verbs.free_device_list(list);
	find_gid();
	me.pd = verbs.alloc_pd(me.context);
	me.cq = verbs.create_cq(me.context, QP_MAX * 2 * DEPTH, NULL, NULL, 0);
	me.memory = aligned_alloc(4096, bytes);
	if (me.pd && me.memory)
		me.mr = verbs.reg_mr(me.pd, me.memory, bytes, IBV_ACCESS_LOCAL_WRITE);
	if (!me.cq || !me.mr)
		die("%s: resources", device);
}

/* ---- saying --------------------------------------------------------------------------------- */

static void say_flows(const char *step, const char *more)
{
	char text[OUT_MAX], dgid[INET6_ADDRSTRLEN];
	int n;

	n = snprintf(text, sizeof(text), "{\"step\":\"%s\",\"end\":\"%c\"%s,\"qps\":[", step,
		     me.name, more);
	for (unsigned i = 0; i < me.flows && n < OUT_MAX - 512; i++) {
		const struct flow *f = &me.flow[i];

		inet_ntop(AF_INET6, &f->peer_gid, dgid, sizeof(dgid));
		n += snprintf(text + n, sizeof(text) - (size_t)n,
			      "%s{\"qpn\":%u,\"peer\":%u,\"dgid\":\"%s\",\"label\":%u,\"sent\":%u,"
			      "\"received\":%u,\"bad\":%u,\"status\":%d,\"error\":%d,\"us\":%ld}",
			      i ? "," : "", f->qp->qp_num, f->peer_qpn, dgid, f->label, f->sent,
			      f->received, f->bad, f->status, f->error, f->us);
	}
	n += snprintf(text + n, sizeof(text) - (size_t)n, "]}\n");
	if (write(STDOUT_FILENO, text, (size_t)n) != n)
		die("stdout");
}

/* ---- connecting ----------------------------------------------------------------------------- */

static struct ibv_ah_attr path_to(const struct flow *f, uint32_t label)
{
	struct ibv_ah_attr path = {
		.is_global = 1,
		.port_num = 1,
		.grh = { .dgid = f->peer_gid, .flow_label = label,
			 .sgid_index = (uint8_t)me.gid_index, .hop_limit = 64, .traffic_class = 0x68 },
	};

	return path;
}

static int to_init(struct ibv_qp *qp)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_INIT, .port_num = 1 };

	return verbs.modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
					  IBV_QP_ACCESS_FLAGS);
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

	return verbs.modify_qp(f->qp, &attr, IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
					     IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
					     IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
}

static int to_rts(struct ibv_qp *qp)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTS,
		.timeout = ACK_TIMEOUT,
		.retry_cnt = 7,
		.rnr_retry = 7,
		.max_rd_atomic = 1,
	};

	return verbs.modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
					  IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
					  IBV_QP_MAX_QP_RD_ATOMIC);
}

static void connect_one(unsigned i, uint32_t label)
{
	struct flow *f = &me.flow[i];
	struct ibv_qp_init_attr init = {
		.send_cq = me.cq,
		.recv_cq = me.cq,
		.qp_type = IBV_QPT_RC,
		.cap = { .max_send_wr = DEPTH, .max_recv_wr = DEPTH, .max_send_sge = 1,
			 .max_recv_sge = 1 },
	};
	struct {
		uint32_t qpn;
		union ibv_gid gid;
	} mine = { .gid = me.gid }, theirs;

	memset(f, 0, sizeof(*f));
	f->out = me.memory + (size_t)i * 2 * DEPTH * BYTES_MAX;
	f->in = f->out + (size_t)DEPTH * BYTES_MAX;
	f->label = label;
	f->qp = verbs.create_qp(me.pd, &init);
	if (!f->qp || to_init(f->qp))
		die("queue pair %u", i);
	mine.qpn = f->qp->qp_num;
	swap(&mine, &theirs, sizeof(mine));
	f->peer_qpn = theirs.qpn;
	f->peer_gid = theirs.gid;
	if (to_rtr(f) || to_rts(f->qp))
		die("connecting queue pair %u", i);
}

/* Takes the next number off a list; at its end the last one stays. */
static uint32_t next_label(const char **list, uint32_t last)
{
	char *end;
	unsigned long value;

	if (!*list || **list == 0 || **list == '/')
		return last;
	value = strtoul(*list, &end, 0);
	*list = *end == ',' ? end + 1 : end;
	return (uint32_t)value & 0xfffff;
}

static void step_connect(const char *args)
{
	unsigned n = (unsigned)atoi(args);
	const char *list = strchr(args, ':');
	uint32_t label = 0;

	list = list ? list + 1 : NULL;
	if (list && me.name == 'B') {
		list = strchr(list, '/');
		list = list ? list + 1 : NULL;
	}
	if (n == 0 || n > QP_MAX - me.flows)
		die("connect=%s", args);
	for (; n; n--) {
		label = next_label(&list, label);
		connect_one(me.flows++, label);
	}
	barrier();
	say_flows("connect", "");
}

/* ---- sending -------------------------------------------------------------------------------- */

/* What message `seq` of queue pair i from end `from` holds: a cheap stream nobody else makes. */
static void fill(uint8_t *at, size_t bytes, char from, unsigned i, unsigned seq)
{
	uint64_t x = ((uint64_t)from << 56 | (uint64_t)i << 32 | seq) * 0x9E3779B97F4A7C15ull + 1;

	for (size_t k = 0; k < bytes; k++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		at[k] = (uint8_t)x;
	}
}

static int post_send(unsigned i, uint32_t bytes)
{
	struct flow *f = &me.flow[i];
	uint8_t *at = f->out + (size_t)(f->posted % DEPTH) * BYTES_MAX;
	struct ibv_sge sge = { (uintptr_t)at, bytes, me.mr->lkey };
	struct ibv_send_wr wr = { .wr_id = (uint64_t)i << 1, .sg_list = &sge, .num_sge = 1,
				  .opcode = IBV_WR_SEND, .send_flags = IBV_SEND_SIGNALED }, *bad;

	fill(at, bytes, me.name, i, f->posted);
	f->posted++;
	return ibv_post_send(f->qp, &wr, &bad);
}

static int post_recv(unsigned i)
{
	struct flow *f = &me.flow[i];
	uint8_t *at = f->in + (size_t)(f->expected % DEPTH) * BYTES_MAX;
	struct ibv_sge sge = { (uintptr_t)at, BYTES_MAX, me.mr->lkey };
	struct ibv_recv_wr wr = { .wr_id = (uint64_t)i << 1 | 1, .sg_list = &sge, .num_sge = 1 },
			   *bad;

	f->expected++;
	return ibv_post_recv(f->qp, &wr, &bad);
}

static void check_message(unsigned i, uint32_t got, uint32_t bytes)
{
	static uint8_t right[BYTES_MAX];
	struct flow *f = &me.flow[i];
	const uint8_t *at = f->in + (size_t)(f->received % DEPTH) * BYTES_MAX;

	fill(right, bytes, me.name == 'A' ? 'B' : 'A', i, f->received);
	if (got != bytes || memcmp(at, right, bytes) != 0)
		f->bad++;
	f->received++;
}

/* One completion: what it frees is used again, up to `limit` messages of a queue pair. */
static void complete(const struct ibv_wc *wc, unsigned limit, uint32_t bytes)
{
	unsigned i = (unsigned)(wc->wr_id >> 1);
	struct flow *f = &me.flow[i];
	int error = 0;

	if (wc->status != IBV_WC_SUCCESS) {
		if (!f->status)
			f->status = (int)wc->status;
		return;
	}
	if (wc->wr_id & 1) {
		check_message(i, wc->byte_len, bytes);
		if (f->expected < limit)
			error = post_recv(i);
	} else {
		f->sent++;
		if (f->posted < limit)
			error = post_send(i, bytes);
	}
	if (error)
		f->status = -error;
}

static int all_done(unsigned limit)
{
	for (unsigned i = 0; i < me.flows; i++) {
		const struct flow *f = &me.flow[i];

		if (!f->status && (f->sent < limit || f->received < limit))
			return 0;
	}
	return 1;
}

static int halfway(unsigned count)
{
	for (unsigned i = 0; i < me.flows; i++)
		if (me.flow[i].sent < count / 2)
			return 0;
	return 1;
}

static void start_flows(unsigned count, uint32_t bytes)
{
	for (unsigned i = 0; i < me.flows; i++) {
		struct flow *f = &me.flow[i];

		f->posted = f->sent = f->expected = f->received = f->bad = 0;
		for (unsigned k = 0; k < DEPTH && k < count; k++)
			if (post_recv(i))
				die("receive on queue pair %u", i);
	}
	barrier(); /* nobody sends before all can receive */
	for (unsigned i = 0; i < me.flows; i++)
		for (unsigned k = 0; k < DEPTH && k < count; k++)
			if (post_send(i, bytes))
				die("send on queue pair %u", i);
}

static void step_send(const char *name, const char *args, void (*midway)(const char *labels))
{
	char more[64], *end;
	unsigned count = (unsigned)strtoul(args, &end, 0);
	uint32_t bytes = *end == 'x' ? (uint32_t)strtoul(end + 1, &end, 0) : BYTES_USUAL;
	long began, last;

	if (count == 0 || bytes == 0 || bytes > BYTES_MAX)
		die("%s=%s", name, args);
	start_flows(count, bytes);
	began = last = now_us();
	while (!all_done(count)) {
		struct ibv_wc wc[16];
		int n = ibv_poll_cq(me.cq, 16, wc);

		for (int k = 0; k < n; k++)
			complete(&wc[k], count, bytes);
		if (n > 0)
			last = now_us();
		else if (now_us() - last > STALL_S * 1000000L)
			break;
		if (midway && halfway(count)) {
			midway(*end == ':' ? end + 1 : "");
			midway = NULL;
		}
	}
	if (!all_done(count))
		fprintf(stderr, "qp: end %c: nothing completes for %d s\n", me.name, STALL_S);
	for (unsigned i = 0; i < me.flows; i++) {
		const struct flow *f = &me.flow[i];

		me.failed |= f->status || f->bad || f->sent != count || f->received != count;
	}
	barrier();
	snprintf(more, sizeof(more), ",\"step_us\":%ld", now_us() - began);
	say_flows(name, more);
}

/* ---- changing the label of a live queue pair ------------------------------------------------ */

static int set_state(struct ibv_qp *qp, enum ibv_qp_state state)
{
	struct ibv_qp_attr attr = { .qp_state = state };

	return verbs.modify_qp(qp, &attr, IBV_QP_STATE);
}

static int set_path(const struct flow *f, enum ibv_qp_state state, uint32_t label, int mask)
{
	struct ibv_qp_attr attr = { .qp_state = state, .cur_qp_state = state,
				    .ah_attr = path_to(f, label), .port_num = 1,
				    .path_mtu = IBV_MTU_1024, .timeout = ACK_TIMEOUT };

	return verbs.modify_qp(f->qp, &attr, mask);
}

/* Queue pairs under way drain first; until then rxe refuses what follows. */
static int wait_drained(struct ibv_qp *qp)
{
	struct ibv_qp_attr attr;
	struct ibv_qp_init_attr init;
	long end = now_us() + DRAIN_S * 1000000L;

	do {
		int error = verbs.query_qp(qp, &attr, IBV_QP_STATE, &init);

		if (error)
			return error;
		if (!attr.sq_draining)
			return 0;
	} while (now_us() < end);
	return ETIMEDOUT;
}

/*
 * rxe holds back what is posted but not begun when a queue pair goes to SQD, and does not go on
 * by itself when it is back in RTS, only at the next doorbell. This rings it without a request.
 */
static int kick(struct ibv_qp *qp)
{
	struct ib_uverbs_post_send_resp answer;
	struct {
		struct ib_uverbs_cmd_hdr header;
		struct ib_uverbs_post_send body;
	} order = {
		.header = { .command = IB_USER_VERBS_CMD_POST_SEND, .in_words = sizeof(order) / 4,
			    .out_words = sizeof(answer) / 4 },
		.body = { .response = (uintptr_t)&answer, .qp_handle = qp->handle,
			  .wqe_size = sizeof(struct ibv_send_wr) },
	};

	return write(qp->context->cmd_fd, &order, sizeof(order)) == sizeof(order) ? 0 : errno;
}

static int relabel(struct flow *f, uint32_t label)
{
	int error = set_state(f->qp, IBV_QPS_SQD);
	int back;

	if (error)
		return error;
	error = wait_drained(f->qp);
	if (!error)
		error = set_path(f, IBV_QPS_SQD, label, IBV_QP_STATE | IBV_QP_AV);
	if (!error)
		f->label = label;
	back = set_state(f->qp, IBV_QPS_RTS);
	if (!back)
		back = kick(f->qp);
	return error ? error : back;
}

static void relabel_all(const char *labels)
{
	uint32_t label = 0;

	if (me.name != 'A')
		return;
	for (unsigned i = 0; i < me.flows; i++) {
		struct flow *f = &me.flow[i];
		long began = now_us();

		label = next_label(&labels, label);
		f->error = relabel(f, label);
		f->us = now_us() - began;
		me.failed |= f->error != 0;
	}
}

static void step_query(void)
{
	for (unsigned i = 0; i < me.flows; i++) {
		struct ibv_qp_attr a;
		struct ibv_qp_init_attr init;
		char text[512], dgid[INET6_ADDRSTRLEN];
		int n, error;

		error = verbs.query_qp(me.flow[i].qp, &a, IBV_QP_STATE | IBV_QP_AV, &init);
		inet_ntop(AF_INET6, &a.ah_attr.grh.dgid, dgid, sizeof(dgid));
		n = snprintf(text, sizeof(text),
			     "{\"step\":\"query\",\"end\":\"%c\",\"qpn\":%u,\"error\":%d,"
			     "\"state\":%d,\"global\":%u,\"label\":%u,\"dgid\":\"%s\","
			     "\"sgid_index\":%u,\"hop_limit\":%u,\"port\":%u,\"dest_qpn\":%u}\n",
			     me.name, me.flow[i].qp->qp_num, error, a.qp_state, a.ah_attr.is_global,
			     a.ah_attr.grh.flow_label, dgid, a.ah_attr.grh.sgid_index,
			     a.ah_attr.grh.hop_limit, a.ah_attr.port_num, a.dest_qp_num);
		if (write(STDOUT_FILENO, text, (size_t)n) != n)
			die("stdout");
	}
	barrier();
}

/* ---- what may be changed -------------------------------------------------------------------- */

enum { AV = IBV_QP_AV, ST = IBV_QP_STATE, CU = IBV_QP_CUR_STATE };

static const struct trial {
	const char *name;
	enum ibv_qp_state from, to;
	int mask;
} trials[] = {
	{ "RTS, AV alone", IBV_QPS_RTS, IBV_QPS_RTS, AV },
	{ "RTS->RTS STATE|AV", IBV_QPS_RTS, IBV_QPS_RTS, ST | AV },
	{ "RTS->RTS STATE|CUR_STATE|AV", IBV_QPS_RTS, IBV_QPS_RTS, ST | CU | AV },
	{ "RTS->SQD STATE|AV", IBV_QPS_RTS, IBV_QPS_SQD, ST | AV },
	{ "RTS->SQD STATE|EN_SQD_ASYNC_NOTIFY", IBV_QPS_RTS, IBV_QPS_SQD,
	  ST | IBV_QP_EN_SQD_ASYNC_NOTIFY },
	{ "RTS->SQD STATE|CUR_STATE", IBV_QPS_RTS, IBV_QPS_SQD, ST | CU },
	{ "RTS->SQD STATE", IBV_QPS_RTS, IBV_QPS_SQD, ST },
	{ "SQD, AV alone", IBV_QPS_SQD, IBV_QPS_SQD, AV },
	{ "SQD->SQD STATE", IBV_QPS_SQD, IBV_QPS_SQD, ST },
	{ "SQD->SQD STATE|AV", IBV_QPS_SQD, IBV_QPS_SQD, ST | AV },
	{ "SQD->SQD STATE|CUR_STATE|AV", IBV_QPS_SQD, IBV_QPS_SQD, ST | CU | AV },
	{ "SQD->SQD STATE|AV|PORT", IBV_QPS_SQD, IBV_QPS_SQD, ST | AV | IBV_QP_PORT },
	{ "SQD->SQD STATE|AV|PATH_MTU", IBV_QPS_SQD, IBV_QPS_SQD, ST | AV | IBV_QP_PATH_MTU },
	{ "SQD->SQD STATE|AV|TIMEOUT", IBV_QPS_SQD, IBV_QPS_SQD, ST | AV | IBV_QP_TIMEOUT },
	{ "SQD->RTS STATE|AV", IBV_QPS_SQD, IBV_QPS_RTS, ST | AV },
	{ "SQD->RTS STATE|CUR_STATE", IBV_QPS_SQD, IBV_QPS_RTS, ST | CU },
	{ "SQD->RTS STATE", IBV_QPS_SQD, IBV_QPS_RTS, ST },
};

static void say_trial(const struct flow *f, const char *name, int error)
{
	struct ibv_qp_attr a = { 0 };
	struct ibv_qp_init_attr init;

	verbs.query_qp(f->qp, &a, IBV_QP_STATE | IBV_QP_AV, &init);
	printf("{\"step\":\"trial\",\"name\":\"%s\",\"error\":%d,\"state\":%d,\"label\":%u,"
	       "\"draining\":%d,\"real_state\":%d}\n",
	       name, error, a.qp_state, a.ah_attr.grh.flow_label, a.sq_draining, f->qp->state);
	fflush(stdout);
}

static int came_within(long us)
{
	struct ibv_wc wc;
	long end = now_us() + us;

	while (now_us() < end)
		if (ibv_poll_cq(me.cq, 1, &wc) > 0)
			return wc.status == IBV_WC_SUCCESS ? 1 : -1;
	return 0;
}

static void step_trial(void)
{
	struct flow *f = &me.flow[0];
	uint32_t label = 0x100;

	if (me.name == 'B') {
		for (int k = 0; k < 8; k++)
			post_recv(0);
		barrier();
		barrier();
		return;
	}
	barrier();
	for (size_t k = 0; k < sizeof(trials) / sizeof(*trials); k++) {
		const struct trial *t = &trials[k];

		set_state(f->qp, t->from);
		wait_drained(f->qp);
		say_trial(f, t->name, set_path(f, t->to, label++, t->mask));
	}
	set_state(f->qp, IBV_QPS_RTS);
	say_trial(f, "back", 0);
	set_state(f->qp, IBV_QPS_SQD);
	wait_drained(f->qp);
	printf("{\"step\":\"stall\",\"post_in_sqd\":%d", post_send(0, 100));
	printf(",\"done_in_sqd\":%d", came_within(300000));
	printf(",\"to_rts\":%d", set_state(f->qp, IBV_QPS_RTS));
	printf(",\"done_in_rts\":%d", came_within(2000000));
	printf(",\"kick\":%d", kick(f->qp));
	printf(",\"done\":%d", came_within(2000000));
	printf(",\"done2\":%d}\n", came_within(200000));
	for (int k = 0; k < DEPTH - 1; k++)
		post_send(0, 60000);
	printf("{\"sqd undrained\":%d", set_state(f->qp, IBV_QPS_SQD));
	printf(",\"av\":%d", set_path(f, IBV_QPS_SQD, 0x222, ST | AV));
	printf(",\"draining\":%d", ({ struct ibv_qp_attr a; struct ibv_qp_init_attr i; verbs.query_qp(f->qp,&a,IBV_QP_STATE,&i); a.sq_draining; }));
	printf(",\"rts\":%d", set_state(f->qp, IBV_QPS_RTS));
	printf(",\"wait\":%d", wait_drained(f->qp));
	printf(",\"av\":%d", set_path(f, IBV_QPS_SQD, 0x223, ST | AV));
	{ struct ibv_qp_attr a; struct ibv_qp_init_attr i; verbs.query_qp(f->qp,&a,IBV_QP_AV,&i); a.ah_attr.grh.flow_label=0x999; a.qp_state = IBV_QPS_SQD;
	printf(",\"tc %d sl %d rate %d src %d query's av\":%d", a.ah_attr.grh.traffic_class, a.ah_attr.sl, a.ah_attr.static_rate, a.ah_attr.src_path_bits, verbs.modify_qp(f->qp, &a, ST|AV)); }
	printf(",\"rts\":%d", set_state(f->qp, IBV_QPS_RTS));
	printf(",\"left\":[%d", came_within(1000000)); for (int k=0;k<8;k++) printf(",%d", came_within(100000));
	printf("],\"kick\":%d", kick(f->qp));
	printf(",\"done\":%d}\n", came_within(2000000));
	fflush(stdout);
	barrier();
}

static void step_dead(const char *labels)
{
	struct flow *f = &me.flow[0];
	struct ibv_qp_attr a = { 0 };
	struct ibv_qp_init_attr init;
	uint32_t label = next_label(&labels, 0);
	long began;

	if (me.name == 'B') {
		for (int k = 0; k < 8; k++)
			post_recv(0);
		barrier();
		barrier();
		return;
	}
	barrier();
	for (int k = 0; k < 4; k++)
		post_send(0, 60000);
	printf("{\"step\":\"dead\",\"came\":%d", came_within(300000));
	printf(",\"sqd\":%d", set_state(f->qp, IBV_QPS_SQD));
	verbs.query_qp(f->qp, &a, IBV_QP_STATE, &init);
	printf(",\"state\":%d,\"draining\":%d", a.qp_state, a.sq_draining);
	printf(",\"ST|AV\":%d", set_path(f, IBV_QPS_SQD, label, ST | AV));
	printf(",\"RTS\":%d", set_state(f->qp, IBV_QPS_RTS));
	printf(",\"SQD\":%d", set_state(f->qp, IBV_QPS_SQD));
	printf(",\"AV\":%d", set_path(f, IBV_QPS_SQD, label, AV));
	verbs.query_qp(f->qp, &a, IBV_QP_STATE, &init);
	printf(",\"draining\":%d", a.sq_draining);
	began = now_us();
	printf(",\"drained\":%d,\"us\":%ld", wait_drained(f->qp), now_us() - began);
	printf(",\"rts\":%d", set_state(f->qp, IBV_QPS_RTS));
	printf(",\"kick\":%d", kick(f->qp));
	printf(",\"left\":[%d", came_within(1000000)); for (int k=0;k<4;k++) printf(",%d", came_within(100000));
	printf("]}\n");
	fflush(stdout);
	barrier();
}

/* ---- steps ---------------------------------------------------------------------------------- */

static void step_exec(const char *command)
{
	if (me.name == 'A' && system(command) != 0)
		me.failed = 1;
	barrier();
}

static void step_close(void)
{
	barrier();
	for (unsigned i = 0; i < me.flows; i++)
		if (verbs.destroy_qp(me.flow[i].qp))
			me.failed = 1;
	me.flows = 0;
	barrier();
}

static void step_label(const char *labels)
{
	barrier();
	relabel_all(labels);
	barrier();
	say_flows("label", "");
}

static void step(const char *word)
{
	const char *args = strchr(word, '=');
	size_t n = args ? (size_t)(args - word) : strlen(word);

	args = args ? args + 1 : "";
#define IS(name) (n == strlen(name) && memcmp(word, name, n) == 0)
	if (IS("connect"))
		step_connect(args);
	else if (IS("send"))
		step_send("send", args, NULL);
	else if (IS("move"))
		step_send("move", args, relabel_all);
	else if (IS("label"))
		step_label(args);
	else if (IS("query"))
		step_query();
	else if (IS("trial"))
		step_trial();
	else if (IS("dead"))
		step_dead(args);
	else if (IS("exec"))
		step_exec(args);
	else if (IS("close"))
		step_close();
	else
		die("%s: no such step", word);
#undef IS
}

int main(int argc, char **argv)
{
	int pair[2], status;
	pid_t child;

	if (argc < 4 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		die("usage: qp DEVICE-A DEVICE-B STEP...");
	child = fork();
	if (child == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(LIFE_S);
	me.name = child ? 'A' : 'B';
	me.wire = pair[child == 0];
	close(pair[child != 0]);
	load_verbs();
	open_end(argv[child ? 1 : 2]);
	for (int i = 3; i < argc; i++)
		step(argv[i]);
	if (child == 0)
		return me.failed;
	if (waitpid(child, &status, 0) != child || status)
		me.failed = 1;
	return me.failed;
}
