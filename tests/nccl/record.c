// SPDX-License-Identifier: BSD-3-Clause
/*
 * libnccl-profiler-record.so - writes down what a real NCCL tells its profiler plugin, as a stream
 * (stream.h) that nccl_host replays. A tool of the tests: it locks, allocates and prints.
 *
 *   C4_RECORD_DIR        one file per process: rank-R.stream. Unset: nothing is recorded
 *   C4_RECORD_ORIGIN_NS  CLOCK_MONOTONIC of time 0, equal for all ranks (default: the first init)
 *   C4_RECORD_LINES      stops there (default 20000) and says so at the file's end
 *   C4_RECORD_MASK       events asked for (default: all but ProxyCtrl)
 *
 * A step that is started again and again, and a wait that is told again and again, is written
 * REPEATS times at most. Events get new names; they are never reused, so that what NCCL does with a
 * handle late stays what it did. Handles are never freed: events may come after their stop.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/nccl/abi.h"

#define MASK_DEFAULT  (0x7fff & ~ABI_PROXY_CTRL)
#define LINES_DEFAULT 20000
#define REPEATS	      3
#define THREADS_MAX   64

struct handle {
	char kind; /* 'c': communicator, 'h': event */
	int number;
	int last; /* of an operation: the step started last; of a step: the last state */
	int repeats;
	bool foreign; /* an operation for another process */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static FILE *out;
static int numbers, comms, lines, lines_max;
static uint64_t origin_ns;
static bool gpu_seen;
static pthread_t threads[THREADS_MAX];
static int nthreads;

static uint64_t mono_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int64_t now_us(void)
{
	return ((int64_t)mono_ns() - (int64_t)origin_ns) / 1000;
}

static int thread_number(void)
{
	pthread_t self = pthread_self();
	int i = 0;

	while (i < nthreads && !pthread_equal(threads[i], self))
		i++;
	if (i == nthreads && nthreads < THREADS_MAX)
		threads[nthreads++] = self;
	return i;
}

/* ---- writing: under the lock -------------------------------------------------------------------
 */

static void put(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void put(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(out, format, args);
	va_end(args);
}

/* Begins an event's line; false: there are enough. */
static bool begin(const char *verb)
{
	if (!out || lines > lines_max)
		return false;
	if (lines++ == lines_max) {
		put("# cut here: C4_RECORD_LINES\nexit\n");
		return false;
	}
	put("@%" PRId64 " t%d %s", now_us(), thread_number(), verb);
	return true;
}

static void end(void)
{
	fputc('\n', out);
}

static void put_handle(const char *key, const struct handle *h)
{
	if (h)
		put(" %s%c[%d]", key, h->kind, h->number);
	else
		put(" %sNULL", key);
}

static void put_text(const char *key, const char *text)
{
	if (text)
		put(" %s=\"%s\"", key, text);
	else
		put(" %s=NULL", key);
}

/* A GPU time; the first one ties the GPU's clock to the host's. */
static void tie_gpu(uint64_t raw)
{
	if (gpu_seen || !raw || !out)
		return;
	gpu_seen = true;
	put("gpu raw=%" PRIu64 " at=%" PRId64 "\n", raw, now_us());
}

/* ---- start -------------------------------------------------------------------------------------
 */

static void put_coll(const struct abi_coll *c)
{
	put(" seq=%" PRIu64 " count=%zu root=%d channels=%u warps=%u", c->seq, c->count, c->root,
	    c->channels, c->warps);
	put_text("func", c->func);
	put_text("datatype", c->datatype);
	put_text("algo", c->algo);
	put_text("proto", c->proto);
}

static void put_p2p(const struct abi_p2p *p)
{
	put(" count=%zu peer=%d channels=%u", p->count, p->peer, p->channels);
	put_text("func", p->func);
	put_text("datatype", p->datatype);
}

static void put_api(const char *func, size_t count, const char *datatype, bool captured)
{
	put(" count=%zu captured=%d", count, captured);
	put_text("func", func);
	put_text("datatype", datatype);
}

static void put_op(const struct abi_proxy_op *o)
{
	put(" ch=%u peer=%d steps=%d chunk=%d send=%d", o->channel, o->peer, o->steps, o->chunk,
	    o->is_send);
	if (o->pid != getpid())
		put(" pid=%d", (int)o->pid);
}

static void put_members(uint64_t type, const union abi_members *u)
{
	switch (type) {
	case ABI_COLL: put_coll(&u->coll); break;
	case ABI_P2P: put_p2p(&u->p2p); break;
	case ABI_PROXY_OP: put_op(&u->proxy_op); break;
	case ABI_PROXY_STEP: put(" step=%d", u->step); break;
	case ABI_KERNEL_CH:
		put(" ch=%u gtimer=%" PRIu64, u->kernel_ch.channel, u->kernel_ch.ptimer);
		break;
	case ABI_NET_PLUGIN: put(" id=%" PRId64, u->net.id); break;
	case ABI_GROUP_API:
		put(" captured=%d depth=%d", u->group_api.captured, u->group_api.depth);
		break;
	case ABI_COLL_API:
		put_api(u->coll_api.func, u->coll_api.count, u->coll_api.datatype,
			u->coll_api.captured);
		break;
	case ABI_P2P_API:
		put_api(u->p2p_api.func, u->p2p_api.count, u->p2p_api.datatype,
			u->p2p_api.captured);
		break;
	}
}

static const char *type_name(uint64_t type)
{
	static const char *const names[] = {"group",	"coll",	   "p2p",    "op",
					    "step",	"ctrl",	   "kernel", "net",
					    "groupapi", "collapi", "p2papi", "launch"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (type == 1ULL << i)
			return names[i];
	return NULL;
}

/* Pointers of another process are nobody's business here (PXN): an operation's parent and context,
 * and the context of its steps. */
static bool foreign(const struct abi_descr_v5 *d)
{
	const struct handle *op = d->parent;

	if (d->type == ABI_PROXY_STEP)
		return op && op->foreign;
	return d->type == ABI_PROXY_OP && d->u.proxy_op.pid != getpid();
}

/* The same step again, more often than is worth telling. */
static bool too_often(struct handle *h, int what)
{
	if (!h)
		return false;
	h->repeats = h->last == what ? h->repeats + 1 : 0;
	h->last = what;
	return h->repeats >= REPEATS;
}

static void put_start(const struct handle *ctx, const struct handle *h,
		      const struct abi_descr_v5 *d, void *group)
{
	const char *name = type_name(d->type);

	if (d->type == ABI_KERNEL_CH)
		tie_gpu(d->u.kernel_ch.ptimer);
	if (!begin("start"))
		return;
	if (name)
		put(" %s", name);
	else
		put(" %" PRIu64, d->type);
	put_handle("", h);
	if (h->foreign)
		put(" ctx=bad");
	else
		put_handle("ctx=", ctx);
	if (h->foreign && d->type == ABI_PROXY_OP)
		put(" parent=bad");
	else
		put_handle("parent=", d->parent);
	if (group)
		put_handle("group=", group);
	put(" rank=%d", d->rank);
	put_members(d->type, &d->u);
	end();
}

static struct handle *handle_new(char kind)
{
	struct handle *h = calloc(1, sizeof *h);

	if (!h)
		return NULL;
	h->kind = kind;
	h->number = kind == 'c' ? comms++ : numbers++;
	h->last = -1;
	return h;
}

static int start_as(void *ctx, void **handle, const struct abi_descr_v5 *d, void *group)
{
	struct handle *h;

	*handle = NULL;
	pthread_mutex_lock(&lock);
	h = handle_new('h');
	*handle = h;
	if (h)
		h->foreign = foreign(d);
	if (h && out && !(d->type == ABI_PROXY_STEP && too_often(d->parent, d->u.step)))
		put_start(ctx, h, d, group);
	pthread_mutex_unlock(&lock);
	return 0;
}

static int start_v5(void *ctx, void **handle, void *descr)
{
	const struct abi_descr_v5 *d = descr;
	void *group = d->type == ABI_COLL  ? d->u.coll.group
		      : d->type == ABI_P2P ? d->u.p2p.group
					   : NULL;

	return start_as(ctx, handle, d, group);
}

/* Up to the group, where the replay wants it by that name, version 4 has the same members. */
static int start_v4(void *ctx, void **handle, void *descr)
{
	const struct abi_descr_v1 *old = descr;
	struct abi_descr_v5 d = {.type = old->type, .parent = old->parent, .rank = old->rank};
	bool operation = d.type == ABI_COLL || d.type == ABI_P2P;

	memcpy(&d.u, &old->u, offsetof(struct abi_coll, group));
	return start_as(ctx, handle, &d, operation ? d.parent : NULL);
}

/* ---- the rest of the interface -----------------------------------------------------------------
 */

static int stop(void *handle)
{
	pthread_mutex_lock(&lock);
	if (handle && begin("stop")) {
		put_handle("", handle);
		end();
	}
	pthread_mutex_unlock(&lock);
	return 0;
}

static void put_args(int state, const union abi_args *args)
{
	if (!args)
		put(" none=1");
	else if (state == ABI_KERNEL_STOP)
		put(" gtimer=%" PRIu64, args->ptimer);
	else if (state == ABI_SEND_WAIT || state == ABI_RECV_FLUSH_WAIT)
		put(" bytes=%zu", args->step.bytes);
}

static int record(void *handle, int state, void *args)
{
	struct handle *h = handle;

	pthread_mutex_lock(&lock);
	if (h && !too_often(h, state) && begin("record")) {
		put_handle("", h);
		put(" %d", state);
		put_args(state, args);
		end();
	}
	pthread_mutex_unlock(&lock);
	return 0;
}

static uint64_t from_env(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static void open_file(void)
{
	const char *where = getenv("C4_RECORD_DIR"), *rank = getenv("RANK");
	char path[4096];

	origin_ns = from_env("C4_RECORD_ORIGIN_NS", mono_ns());
	lines_max = (int)from_env("C4_RECORD_LINES", LINES_DEFAULT);
	if (!where)
		return;
	snprintf(path, sizeof path, "%s/rank-%s.stream", where, rank ? rank : "0");
	out = fopen(path, "we");
	if (!out)
		return;
	/* a job that hangs is killed: whole lines, and all of them */
	setvbuf(out, NULL, _IOLBF, 0);
	put("# SPDX-License-Identifier: BSD-3-Clause\n"
	    "# Recorded from a real NCCL by tests/nccl/record.c.\n");
}

static int init_as(void **ctx, uint64_t id, int *mask, const char *name, int nodes, int ranks,
		   int rank)
{
	struct handle *h;

	pthread_mutex_lock(&lock);
	if (!comms)
		open_file();
	h = handle_new('c');
	*ctx = h;
	if (h && begin("init")) {
		put_handle("", h);
		put(" hash=%" PRIu64 " nodes=%d nranks=%d rank=%d", id, nodes, ranks, rank);
		put_text("name", name);
		end();
	}
	pthread_mutex_unlock(&lock);
	__atomic_store_n(mask, out ? (int)from_env("C4_RECORD_MASK", MASK_DEFAULT) : 0,
			 __ATOMIC_RELAXED);
	return 0;
}

static int init_v5(void **ctx, uint64_t id, int *mask, const char *name, int nodes, int ranks,
		   int rank, abi_logger *log)
{
	(void)log;
	return init_as(ctx, id, mask, name, nodes, ranks, rank);
}

static int init_v4(void **ctx, int *mask, const char *name, uint64_t id, int nodes, int ranks,
		   int rank, abi_logger *log)
{
	(void)log;
	return init_as(ctx, id, mask, name, nodes, ranks, rank);
}

static int finalize(void *ctx)
{
	pthread_mutex_lock(&lock);
	if (ctx && begin("finalize")) {
		put_handle("", ctx);
		end();
	}
	pthread_mutex_unlock(&lock);
	return 0;
}

extern struct abi_plugin ncclProfiler_v4, ncclProfiler_v5;

struct abi_plugin ncclProfiler_v4 = {"c4-record", {.v4 = init_v4}, start_v4,
				     stop,	  record,	   finalize};
struct abi_plugin ncclProfiler_v5 = {"c4-record", {.v5 = init_v5}, start_v5,
				     stop,	  record,	   finalize};
