// SPDX-License-Identifier: BSD-3-Clause
#include "tests/nccl/core.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/nccl/guard.h"

#define BUCKETS	   4096
#define ERRNO_MARK 4242 /* no error has this number */
#define GUARD	   65536

static struct core_options options;
static const struct abi_plugin *plugin;
static void *library;
static int version;
static int live_comms; /* the library is closed with the last of them */
static int event_mask; /* one for the process, shared with the plugin: always accessed atomically */
static int warnings;
static struct slot *slots[BUCKETS];
static void *unreadable; /* pages nobody may read */
static bool guarded;	 /* the plugin is ours and alone: its callbacks are watched over */

void core_setup(const struct core_options *o)
{
	options = *o;
	guard_setup();
	unreadable = mmap(NULL, 2 * GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (unreadable == MAP_FAILED)
		abort();
}

int core_version(void)
{
	return __atomic_load_n(&version, __ATOMIC_RELAXED);
}

int core_mask(void)
{
	return __atomic_load_n(&event_mask, __ATOMIC_RELAXED);
}

void core_set_mask(int mask)
{
	__atomic_store_n(&event_mask, mask, __ATOMIC_RELAXED);
}

int core_warnings(void)
{
	return __atomic_load_n(&warnings, __ATOMIC_RELAXED);
}

/* ---- slots: only the player's thread looks them up ---------------------------------------------
 */

static struct slot **bucket(const char *name)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return &slots[hash % BUCKETS];
}

struct slot *core_slot(const char *name)
{
	struct slot **head = bucket(name), *s;

	for (s = *head; s; s = s->next)
		if (!strcmp(s->name, name))
			return s;
	s = calloc(1, sizeof *s);
	if (!s)
		abort();
	snprintf(s->name, sizeof s->name, "%s", name);
	s->handle = strcmp(name, "bad") ? NULL : (char *)unreadable + GUARD;
	s->mask = ~0ULL;
	s->next = *head;
	return *head = s;
}

/* ---- calls -------------------------------------------------------------------------------------
 */

static void log_message(int level, unsigned long flags, const char *file, int line,
			const char *format, ...) __attribute__((format(printf, 5, 6)));

static void log_message(int level, unsigned long flags, const char *file, int line,
			const char *format, ...)
{
	char text[1024];
	va_list args;

	(void)flags;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args); /* formatted in any case: arguments must fit */
	va_end(args);
	if (level == ABI_LOG_WARN)
		__atomic_fetch_add(&warnings, 1, __ATOMIC_RELAXED);
	if (options.verbose)
		fprintf(stderr, "plugin, level %d (%s:%d): %s\n", level, file ? file : "?", line,
			text);
}

static void load(const struct call *c)
{
	char symbol[32];

	library = dlopen(options.plugin, RTLD_NOW | RTLD_LOCAL);
	if (!library)
		stream_fail(c->at, "%s", dlerror());
	for (int v = options.newest; v >= ABI_OLDEST && !plugin; v--) {
		snprintf(symbol, sizeof symbol, "ncclProfiler_v%d", v);
		plugin = dlsym(library, symbol);
		__atomic_store_n(&version, v, __ATOMIC_RELAXED);
	}
	if (!plugin)
		stream_fail(c->at, "%s exports no ncclProfiler_v1 … v%d", options.plugin,
			    options.newest);
	if (version > ABI_NEWEST)
		stream_fail(c->at, "%s exports version %d, whose descriptors nobody knows here",
			    options.plugin, version);
	/* what others do, behind ours too, is their affair */
	guarded = !strcmp(plugin->name, "c4") && !getenv("C4_NEXT_PROFILER");
}

/* Events only: what happens at a communicator's creation and end is not on the path of the data. */
static void begin_call(const char *what, const struct slot *target)
{
	errno = ERRNO_MARK;
	if (guarded)
		guard_enter(what, target ? target->name : "NULL");
}

static void after(const struct call *c, const char *what, int rc)
{
	if (rc)
		stream_fail(c->at, "%s of %s returned %d", what,
			    c->target ? c->target->name : "NULL", rc);
	if (errno != ERRNO_MARK)
		stream_fail(c->at, "%s changed errno to %d", what, errno);
}

static void keep_comm(const struct call *c)
{
	struct slot *s = c->target;

	s->type = 0;
	s->hash = c->e.comm_hash;
	s->rank = c->e.rank;
	s->anonymous = c->e.captured;
	free(s->comm_name);
	s->comm_name = c->e.comm_name ? strdup(c->e.comm_name) : NULL;
	s->handle = NULL;
}

/* NCCL guards the library and counts its users; what it calls in there it does not guard. */
static pthread_mutex_t library_lock = PTHREAD_MUTEX_INITIALIZER;

static void use_library(const struct call *c)
{
	pthread_mutex_lock(&library_lock);
	if (!plugin)
		load(c);
	live_comms++;
	pthread_mutex_unlock(&library_lock);
}

static void leave_library(void)
{
	pthread_mutex_lock(&library_lock);
	if (--live_comms == 0 && library) {
		dlclose(library); /* its addresses stay in use: the plugin must have seen to that */
		library = NULL;
	}
	pthread_mutex_unlock(&library_lock);
}

/* The mask is the process's own: what the plugin sets is what all communicators ask from then on.
 */
static void call_init(const struct call *c)
{
	char *name = c->e.comm_name ? strdup(c->e.comm_name) : NULL; /* gone after the call */
	void **ctx = &c->target->handle;
	int rc;

	use_library(c);
	keep_comm(c);
	errno = ERRNO_MARK;
	if (version <= 3)
		rc = plugin->init.v1(ctx, &event_mask);
	else if (version == 4)
		rc = plugin->init.v4(ctx, &event_mask, name, c->e.comm_hash, (int)c->nodes,
				     (int)c->nranks, (int)c->e.rank, log_message);
	else
		rc = plugin->init.v5(ctx, c->e.comm_hash, &event_mask, name, (int)c->nodes,
				     (int)c->nranks, (int)c->e.rank, log_message);
	after(c, "init", rc);
	free(name);
}

static void call_finalize(const struct call *c)
{
	void *ctx = c->target ? c->target->handle : NULL;

	errno = ERRNO_MARK;
	if (ctx || c->force) /* without a context it is not told */
		after(c, "finalize", plugin->finalize(ctx));
	if (c->target)
		leave_library();
}

/* The mask an event is judged by: its ancestor's, which is that of the API call. */
static uint64_t mask_of(const struct call *c)
{
	const struct slot *up = c->parent ? c->parent : c->group;

	if (up && up->type)
		return up->mask;
	return (uint64_t)(uint32_t)core_mask();
}

static bool wanted(const struct call *c, uint64_t mask)
{
	const struct event_type *t = event_type_of(c->e.type);

	if (!t)
		return c->force;
	if (t->since > version)
		return false;
	return c->force || (t->wanted & mask);
}

static bool known_state(const struct call *c)
{
	int since = c->state <= ABI_CTRL_APPEND_END ? 1
		    : c->state == ABI_NET_UPDATE    ? 3
		    : c->state <= ABI_KERNEL_STOP   ? 4
		    : c->state <= 30		    ? 5
						    : 7;

	return c->force || since <= version;
}

static void *handle_of(const struct slot *s)
{
	return s ? s->handle : NULL;
}

static void call_start(const struct call *c)
{
	struct event e = c->e;
	void *descr, *ctx, *handle = unreadable;
	int rc;

	c->target->type = e.type;
	c->target->mask = mask_of(c);
	c->target->handle = NULL;
	if (!wanted(c, c->target->mask))
		return;
	e.parent = handle_of(c->parent);
	e.group = handle_of(c->group);
	e.data = handle_of(c->data);
	if (c->ctx && !c->ctx->anonymous) {
		e.comm_name = c->ctx->comm_name;
		e.comm_hash = c->ctx->hash;
	}
	descr = event_descr(&e, version);
	ctx = handle_of(c->ctx);
	begin_call("start", c->target);
	rc = plugin->start(ctx, &handle, descr);
	guard_leave();
	after(c, "start", rc);
	free(descr);
	if (handle == unreadable)
		stream_fail(c->at, "start of %s left the handle unset", c->target->name);
	c->target->handle = handle;
}

static void call_stop(const struct call *c)
{
	void *handle = handle_of(c->target);
	int rc;

	if (!plugin || (!handle && !c->force))
		return;
	begin_call("stop", c->target);
	rc = plugin->stop(handle);
	guard_leave();
	after(c, "stop", rc);
}

static void call_record(const struct call *c)
{
	void *handle = handle_of(c->target), *args;
	int rc;

	if (!plugin || (!handle && !c->force) || !known_state(c))
		return;
	args = event_args_make(&c->args, c->state, version);
	begin_call("record", c->target);
	rc = plugin->record(handle, c->state, args);
	guard_leave();
	after(c, "record", rc);
	free(args);
}

void core_call(const struct call *c)
{
	switch (c->verb) {
	case VERB_INIT: call_init(c); break;
	case VERB_FINALIZE: call_finalize(c); break;
	case VERB_START: call_start(c); break;
	case VERB_STOP: call_stop(c); break;
	case VERB_RECORD: call_record(c); break;
	}
}
