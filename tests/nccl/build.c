// SPDX-License-Identifier: BSD-3-Clause
#include "tests/nccl/build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum key_kind { KEY_INT, KEY_TEXT, KEY_HANDLE };

static const struct key {
	const char *name;
	enum key_kind kind;
	size_t offset; /* in struct call */
} keys[] = {
#define INT(name, member)                                                                          \
	{                                                                                          \
		name, KEY_INT, offsetof(struct call, member)                                       \
	}
#define TEXT(name, member)                                                                         \
	{                                                                                          \
		name, KEY_TEXT, offsetof(struct call, member)                                      \
	}
#define HANDLE(name, member)                                                                       \
	{                                                                                          \
		name, KEY_HANDLE, offsetof(struct call, member)                                    \
	}
	INT("rank", e.rank),
	INT("seq", e.seq),
	INT("count", e.count),
	INT("root", e.root),
	INT("channels", e.channels),
	INT("warps", e.warps),
	INT("peer", e.peer),
	INT("pid", e.pid),
	INT("ch", e.channel),
	INT("steps", e.steps),
	INT("chunk", e.chunk),
	INT("send", e.is_send),
	INT("step", e.step),
	INT("id", e.id),
	INT("captured", e.captured),
	INT("anonymous", e.captured),
	INT("depth", e.depth),
	INT("tag", e.tag),
	INT("symmetric", e.symmetric),
	INT("intra", e.intra),
	INT("batch", e.batch),
	INT("batches", e.batches),
	INT("ceseq", e.ce_seq),
	INT("complete", e.complete),
	INT("members", e.ranks),
	INT("ops", e.ops),
	INT("gtimer", e.ptimer),
	INT("hash", e.comm_hash),
	INT("appended", args.appended),
	INT("bytes", args.bytes),
	INT("none", args.none),
	INT("nodes", nodes),
	INT("nranks", nranks),
	INT("stream", e.stream),
	INT("buffer", e.buffer),
	TEXT("name", e.comm_name),
	TEXT("func", e.func),
	TEXT("datatype", e.datatype),
	TEXT("algo", e.algo),
	TEXT("proto", e.proto),
	TEXT("strategy", e.strategy),
	TEXT("phase", e.phase),
	TEXT("variant", e.variant),
	HANDLE("ctx", ctx),
	HANDLE("parent", parent),
	HANDLE("group", group),
	HANDLE("data", data),
};

/* "op[rank+1,2]" → "op[3,2]" */
static void resolve(struct player *p, const struct stmt *st, const char *text, char *out, size_t n)
{
	const char *open = strchr(text, '[');
	char inside[160], *item, *rest;
	size_t used;

	if (!open) {
		snprintf(out, n, "%s", text);
		return;
	}
	snprintf(inside, sizeof inside, "%s", open + 1);
	if (!*inside || inside[strlen(inside) - 1] != ']')
		stream_fail(st, "%s: no ] at its end", text);
	inside[strlen(inside) - 1] = '\0';
	used = (size_t)snprintf(out, n, "%.*s", (int)(open - text), text);
	for (rest = inside; (item = strsep(&rest, ",")) && used < n;)
		used += (size_t)snprintf(out + used, n - used, ".%lld",
					 (long long)player_eval(p, st, item));
}

static struct slot *slot(struct player *p, const struct stmt *st, const char *text)
{
	char name[64];

	if (!strcmp(text, "NULL"))
		return NULL;
	resolve(p, st, text, name, sizeof name);
	return core_slot(name);
}

/* A GPU's time at so many microseconds since the origin. */
static int64_t gpu_time(const struct player *p, int64_t us)
{
	int64_t mono = (int64_t)p->origin_ns + us * 1000;

	return p->gpu.offset_ns + mono + mono / 1000000 * p->gpu.drift_ppm;
}

/* A recorded GPU time, as this replay's GPU would have had it. */
static int64_t gpu_replayed(const struct player *p, int64_t raw)
{
	return gpu_time(p, p->gpu.raw_at_us) + (raw - p->gpu.raw_ns);
}

static void set_timer(struct player *p, struct call *c, const char *key, int64_t value)
{
	int64_t t = !strcmp(key, "ptimer") ? gpu_time(p, value) : gpu_replayed(p, value);

	c->e.ptimer = c->args.ptimer = t;
}

static void set_int(struct call *c, const struct key *k, int64_t value)
{
	if (k->offset == offsetof(struct call, args.none))
		c->args.none = value;
	else if (k->offset == offsetof(struct call, e.stream))
		c->e.stream = (void *)(intptr_t)value;
	else if (k->offset == offsetof(struct call, e.buffer))
		c->e.buffer = (void *)(intptr_t)value;
	else
		*(int64_t *)((char *)c + k->offset) = value;
	if (k->offset == offsetof(struct call, e.steps))
		c->args.steps = value;
	if (k->offset == offsetof(struct call, args.bytes))
		c->e.bytes = value;
}

static void set(struct player *p, const struct stmt *st, struct call *c, char *word)
{
	char *value = strchr(word, '='), name[32];

	if (!value)
		stream_fail(st, "'%s' is not KEY=VALUE", word);
	snprintf(name, sizeof name, "%.*s", (int)(value - word), word);
	value++;
	if (!strcmp(name, "ptimer") || !strcmp(name, "gtimer")) {
		set_timer(p, c, name, player_eval(p, st, value));
		return;
	}
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		const struct key *k = &keys[i];

		if (strcmp(name, k->name))
			continue;
		if (k->kind == KEY_INT)
			set_int(c, k, player_eval(p, st, value));
		else if (k->kind == KEY_TEXT)
			*(const char **)((char *)c + k->offset) =
				strcmp(value, "NULL") ? value : NULL;
		else
			*(struct slot **)((char *)c + k->offset) = slot(p, st, value);
		return;
	}
	stream_fail(st, "unknown key %s", name);
}

static void set_all(struct player *p, const struct stmt *st, struct call *c, int first)
{
	for (int i = first; i < st->words; i++)
		set(p, st, c, st->word[i]);
}

static const char *word(const struct stmt *st, int i, const char *what)
{
	if (i >= st->words)
		stream_fail(st, "%s is missing", what);
	return st->word[i];
}

/* Of a communicator that is given none: equal on all ranks that call it the same (FNV-1a). */
static uint64_t hash_of(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 0x100000001b3u;
	return hash;
}

static void build_init(struct player *p, const struct stmt *st, int i, struct call *c)
{
	const char *name = word(st, i, "COMM");

	c->target = slot(p, st, name);
	if (!c->target)
		stream_fail(st, "a communicator needs a name");
	c->e.comm_hash = hash_of(c->target->name);
	c->e.comm_name = c->target->name;
	c->e.rank = p->rank;
	c->nranks = c->nodes = p->nranks;
	p->comm = c->target;
	set_all(p, st, c, i + 1);
	c->target->rank = c->e.rank; /* events are built before the call is carried out */
}

/* Which events carry a rank; in the others NCCL leaves it 0. */
static bool has_rank(uint64_t type)
{
	return type == ABI_COLL || type == ABI_P2P || type == ABI_PROXY_OP ||
	       type == ABI_PROXY_STEP || type == ABI_CE_COLL;
}

static void build_start(struct player *p, const struct stmt *st, int i, struct call *c)
{
	const char *type = word(st, i, "TYPE");
	const struct event_type *t = event_type_find(type);

	c->e.type = t ? t->type : (uint64_t)player_eval(p, st, type);
	c->target = slot(p, st, word(st, i + 1, "HANDLE"));
	if (!c->target)
		stream_fail(st, "an event needs a handle");
	c->ctx = p->comm;
	c->e.func = c->e.type & (ABI_P2P | ABI_P2P_API) ? "Send" : "AllReduce";
	c->e.datatype = "ncclFloat32";
	c->e.algo = "RING";
	c->e.proto = "SIMPLE";
	c->e.count = 1024;
	c->e.channels = 1;
	c->e.warps = 16;
	c->e.pid = getpid();
	c->e.buffer = c->e.stream = (void *)(intptr_t)-4096; /* device memory: nobody may look */
	c->e.rank = -1;
	set_all(p, st, c, i + 2);
	if (c->e.rank < 0)
		c->e.rank = c->ctx && has_rank(c->e.type) ? c->ctx->rank : 0;
}

static void build_record(struct player *p, const struct stmt *st, int i, struct call *c)
{
	const char *state = word(st, i + 1, "STATE");

	c->target = slot(p, st, word(st, i, "HANDLE"));
	c->state = event_state_find(state);
	if (c->state < 0)
		c->state = (int)player_eval(p, st, state);
	set_all(p, st, c, i + 2);
}

void build_call(struct player *p, const struct stmt *st, int first, struct call *ret)
{
	char verb[16];
	size_t n;

	*ret = (struct call){.at = st};
	snprintf(verb, sizeof verb, "%s", word(st, first, "VERB"));
	n = strlen(verb);
	if (n && verb[n - 1] == '!') {
		ret->force = true;
		verb[n - 1] = '\0';
	}
	if (!strcmp(verb, "init")) {
		ret->verb = VERB_INIT;
		build_init(p, st, first + 1, ret);
	} else if (!strcmp(verb, "finalize")) {
		ret->verb = VERB_FINALIZE;
		ret->target = slot(p, st, word(st, first + 1, "COMM"));
	} else if (!strcmp(verb, "start")) {
		ret->verb = VERB_START;
		build_start(p, st, first + 1, ret);
	} else if (!strcmp(verb, "stop")) {
		ret->verb = VERB_STOP;
		ret->target = slot(p, st, word(st, first + 1, "HANDLE"));
	} else if (!strcmp(verb, "record")) {
		ret->verb = VERB_RECORD;
		build_record(p, st, first + 1, ret);
	} else
		stream_fail(st, "'%s' is neither a statement nor an event", verb);
}
