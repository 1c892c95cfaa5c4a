// SPDX-License-Identifier: BSD-3-Clause
#include "tests/nccl/expect.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "c4/op.h"
#include "common/base/clock.h"
#include "common/base/segread.h"
#include "common/base/segment.h"

enum field_kind { F_U8, F_U16, F_U32, F_I32, F_U64, F_TEXT, F_TICKS, F_TIME, F_INSIDE };

struct field {
	const char *name;
	enum field_kind kind;
	size_t offset;
};

#define F(type, kind, member)                                                                      \
	{                                                                                          \
#member, kind, offsetof(struct type, member)                                       \
	}
#define N(type, kind, name, member)                                                                \
	{                                                                                          \
		name, kind, offsetof(struct type, member)                                          \
	}
#define END                                                                                        \
	{                                                                                          \
		NULL, F_U8, 0                                                                      \
	}

static const struct field header_fields[] = {
	F(c4_seg_header, F_I32, world_rank),
	F(c4_seg_header, F_U32, world_size),
	F(c4_seg_header, F_U32, phase),
	F(c4_seg_header, F_U64, head),
	F(c4_seg_header, F_U64, detail_now),
	F(c4_seg_header, F_TEXT, job),
	F(c4_seg_header, F_TEXT, node),
	F(c4_seg_header, F_TEXT, hook),
	F(c4_seg_header, F_TEXT, library),
	N(c4_seg_header, F_U64, "lost_comms", lost[C4_LOST_COMMS]),
	N(c4_seg_header, F_U64, "lost_events", lost[C4_LOST_EVENTS]),
	N(c4_seg_header, F_U64, "lost_conns", lost[C4_LOST_CONNS]),
	N(c4_seg_header, F_U64, "lost_ops", lost[C4_LOST_OPS]),
	END,
};

static const struct field comm_fields[] = {
	F(c4_seg_comm, F_U32, state),
	F(c4_seg_comm, F_U64, id),
	F(c4_seg_comm, F_U32, size),
	F(c4_seg_comm, F_I32, my_rank),
	F(c4_seg_comm, F_U32, flags),
	F(c4_seg_comm, F_TEXT, name),
	F(c4_seg_comm, F_U64, entered),
	F(c4_seg_comm, F_TIME, enter_ticks),
	F(c4_seg_comm, F_U64, bytes),
	F(c4_seg_comm, F_U64, finished),
	F(c4_seg_comm, F_TIME, leave_ticks),
	F(c4_seg_comm, F_I32, root),
	F(c4_seg_comm, F_U8, kind),
	F(c4_seg_comm, F_U8, dtype),
	F(c4_seg_comm, F_U64, p2p_sends),
	F(c4_seg_comm, F_U64, p2p_send_bytes),
	F(c4_seg_comm, F_U64, p2p_recvs),
	F(c4_seg_comm, F_U64, p2p_recv_bytes),
	F(c4_seg_comm, F_U64, errors),
	F(c4_seg_comm, F_U64, api_calls),
	F(c4_seg_comm, F_U64, gpu_started),
	F(c4_seg_comm, F_TIME, gpu_start_ticks),
	F(c4_seg_comm, F_U64, p2p_started),
	F(c4_seg_comm, F_U64, p2p_finished),
	END,
};

static const struct field conn_fields[] = {
	F(c4_seg_conn, F_U32, state),
	F(c4_seg_conn, F_U64, comm),
	F(c4_seg_conn, F_I32, rank),
	F(c4_seg_conn, F_I32, peer),
	F(c4_seg_conn, F_U16, channel),
	F(c4_seg_conn, F_U8, sends),
	F(c4_seg_conn, F_U8, flags),
	F(c4_seg_conn, F_U64, opno),
	F(c4_seg_conn, F_TIME, change_ticks),
	F(c4_seg_conn, F_U32, phase),
	F(c4_seg_conn, F_U32, active),
	F(c4_seg_conn, F_U64, posted),
	F(c4_seg_conn, F_U64, transmitted),
	F(c4_seg_conn, F_U64, done),
	F(c4_seg_conn, F_U64, bytes),
	F(c4_seg_conn, F_U32, max_us),
	N(c4_seg_conn, F_TICKS, "busy_us", busy_ticks),
	N(c4_seg_conn, F_TICKS, "gpu_us", gpu_ticks),
	N(c4_seg_conn, F_TICKS, "peer_us", peer_ticks),
	END,
};

static const struct field event_fields[] = {
	F(c4_event, F_U64, comm),
	F(c4_event, F_U64, opno),
	N(c4_event, F_TIME, "enter_us", enter_ticks),
	N(c4_event, F_TIME, "leave_us", leave_ticks),
	N(c4_event, F_TICKS, "before_us", before_ticks),
	N(c4_event, F_INSIDE, "inside_us", enter_ticks),
	F(c4_event, F_U64, bytes),
	F(c4_event, F_U8, kind),
	F(c4_event, F_U8, flags),
	F(c4_event, F_U16, slot),
	F(c4_event, F_I32, root),
	END,
};

/* ---- the segment -------------------------------------------------------------------------------
 */

struct view {
	struct c4_seg_reader r;
	struct c4_tick_rate rate;
	struct player *p;
	const struct stmt *at;
};

static bool segment_path(char *path, size_t n, pid_t pid)
{
	char dir[PATH_MAX / 2], prefix[32];
	const char *end = "-nccl" C4_SEG_SUFFIX;
	struct dirent *d;
	bool found = false;
	DIR *list;

	if (c4_runtime_dir(dir, sizeof dir) || !(list = opendir(dir)))
		return false;
	snprintf(prefix, sizeof prefix, "%d-", (int)pid);
	while (!found && (d = readdir(list))) {
		size_t length = strlen(d->d_name);

		found = !strncmp(d->d_name, prefix, strlen(prefix)) && length > strlen(end) &&
			!strcmp(d->d_name + length - strlen(end), end);
		if (found)
			snprintf(path, n, "%s/%s", dir, d->d_name);
	}
	closedir(list);
	return found;
}

static int view_open(struct view *v, struct player *p, const struct stmt *at)
{
	char path[PATH_MAX];
	int rc;

	*v = (struct view){.p = p, .at = at};
	if (!segment_path(path, sizeof path, p->child ? getppid() : getpid()))
		return -ENOENT;
	rc = c4_seg_reader_open(&v->r, path);
	if (rc)
		return rc;
	c4_tick_rate_init(&v->rate, v->r.toc.clock, v->r.toc.ticks0, v->r.toc.mono0_ns);
	c4_tick_rate_update(&v->rate, v->r.toc.clock);
	return c4_seg_reader_refresh(&v->r);
}

/* ---- rows --------------------------------------------------------------------------------------
 */

static int64_t instant(const struct view *v, uint64_t ticks)
{
	uint64_t t0 = v->r.toc.ticks0, length = ticks > t0 ? ticks - t0 : t0 - ticks;
	int64_t ns = (int64_t)c4_ticks_to_ns(&v->rate, length);

	ns = (int64_t)v->r.toc.mono0_ns + (ticks > t0 ? ns : -ns);
	return (ns - (int64_t)v->p->origin_ns) / 1000;
}

static int64_t duration(const struct view *v, uint64_t ticks)
{
	return (int64_t)c4_ticks_to_ns(&v->rate, ticks) / 1000;
}

static int64_t value_of(const struct view *v, const struct field *f, const void *row)
{
	const void *at = (const char *)row + f->offset;

	switch (f->kind) {
	case F_U8: return *(const uint8_t *)at;
	case F_U16: return *(const uint16_t *)at;
	case F_U32: return *(const uint32_t *)at;
	case F_I32: return *(const int32_t *)at;
	case F_U64: return (int64_t) * (const uint64_t *)at;
	case F_TICKS: return duration(v, *(const uint64_t *)at);
	case F_TIME: return instant(v, *(const uint64_t *)at);
	case F_INSIDE: {
		const struct c4_event *e = row;

		return e->leave_ticks < e->enter_ticks
			       ? -duration(v, e->enter_ticks - e->leave_ticks)
			       : duration(v, e->leave_ticks - e->enter_ticks);
	}
	default: return 0;
	}
}

static void print_row(const struct view *v, const char *table, const struct field *fields,
		      const void *row)
{
	fprintf(stderr, "  %s", table);
	for (const struct field *f = fields; f->name; f++) {
		if (f->kind == F_TEXT)
			fprintf(stderr, " %s=\"%s\"", f->name, (const char *)row + f->offset);
		else
			fprintf(stderr, " %s=%" PRId64, f->name, value_of(v, f, row));
	}
	fputc('\n', stderr);
}

typedef void row_fn(void *arg, const struct view *v, const struct field *fields, const void *row);

static void each_event(struct view *v, row_fn *fn, void *arg)
{
	struct c4_event some[64];
	long n;

	v->r.next = 0;
	while ((n = c4_seg_read_events(&v->r, some, 64)) > 0)
		for (long i = 0; i < n; i++)
			fn(arg, v, event_fields, &some[i]);
}

static bool each_row(struct view *v, const char *table, row_fn *fn, void *arg)
{
	struct c4_seg_comm comm;
	struct c4_seg_conn conn;

	if (!strcmp(table, "header"))
		fn(arg, v, header_fields, &v->r.toc);
	else if (!strcmp(table, "comm")) {
		for (uint32_t i = 0; i < v->r.toc.comm_cap; i++)
			if (!c4_seg_read_comm(&v->r, i, &comm))
				fn(arg, v, comm_fields, &comm);
	} else if (!strcmp(table, "conn")) {
		for (uint32_t i = 0; i < v->r.toc.conn_cap; i++)
			if (!c4_seg_read_conn(&v->r, i, &conn))
				fn(arg, v, conn_fields, &conn);
	} else if (!strcmp(table, "event"))
		each_event(v, fn, arg);
	else
		return false;
	return true;
}

/* ---- conditions --------------------------------------------------------------------------------
 */

struct condition {
	bool picks;
	char field[32];
	char op[3];
	char value[96];
};

static void condition_read(struct condition *c, const struct stmt *st, const char *word)
{
	bool asks = *word == '?';
	size_t n, ops;

	word += asks;
	n = strcspn(word, "=!<>&");
	ops = strspn(word + n, "=!<>&");
	if (!n || n >= sizeof c->field || !ops || ops >= sizeof c->op)
		stream_fail(st, "'%s' is not FIELD OP VALUE", word);
	snprintf(c->field, sizeof c->field, "%.*s", (int)n, word);
	snprintf(c->op, sizeof c->op, "%.*s", (int)ops, word + n);
	snprintf(c->value, sizeof c->value, "%s", word + n + ops);
	c->picks = asks || !strcmp(c->op, "=");
}

static bool compare(const struct stmt *st, const char *op, int64_t a, int64_t b)
{
	if (!strcmp(op, "=") || !strcmp(op, "=="))
		return a == b;
	if (!strcmp(op, "!="))
		return a != b;
	if (!strcmp(op, "<"))
		return a < b;
	if (!strcmp(op, "<="))
		return a <= b;
	if (!strcmp(op, ">"))
		return a > b;
	if (!strcmp(op, ">="))
		return a >= b;
	if (!strcmp(op, "&="))
		return (a & b) == b;
	stream_fail(st, "no such comparison: %s", op);
}

static bool holds(const struct view *v, const struct condition *c, const struct field *fields,
		  const void *row)
{
	const struct field *f = fields;

	while (f->name && strcmp(f->name, c->field))
		f++;
	if (!f->name)
		stream_fail(v->at, "no such field: %s", c->field);
	if (f->kind == F_TEXT)
		return compare(v->at, c->op, !strcmp((const char *)row + f->offset, c->value), 1);
	return compare(v->at, c->op, value_of(v, f, row), player_eval(v->p, v->at, c->value));
}

struct expectation {
	struct condition conditions[STREAM_WORDS];
	int n;
	int rows; /* picked so far */
};

static void check_row(void *arg, const struct view *v, const struct field *fields, const void *row)
{
	struct expectation *x = arg;

	for (int i = 0; i < x->n; i++)
		if (x->conditions[i].picks && !holds(v, &x->conditions[i], fields, row))
			return;
	x->rows++;
	for (int i = 0; i < x->n; i++) {
		const struct condition *c = &x->conditions[i];

		if (c->picks || !strcmp(c->field, "n") || holds(v, c, fields, row))
			continue;
		expect_dump(v->p);
		print_row(v, "this", fields, row);
		stream_fail(v->at, "%s%s%s does not hold", c->field, c->op, c->value);
	}
}

static void check_count(struct expectation *x, struct view *v)
{
	bool counted = false;

	for (int i = 0; i < x->n; i++) {
		const struct condition *c = &x->conditions[i];

		if (strcmp(c->field, "n"))
			continue;
		counted = true;
		if (compare(v->at, c->op, x->rows, player_eval(v->p, v->at, c->value)))
			continue;
		expect_dump(v->p);
		stream_fail(v->at, "n%s%s does not hold: n is %d", c->op, c->value, x->rows);
	}
	if (counted || x->rows)
		return;
	expect_dump(v->p);
	stream_fail(v->at, "no such row");
}

void expect_rows(struct player *p, const struct stmt *st)
{
	struct expectation x = {.n = 0};
	struct view v;
	int rc = view_open(&v, p, st);

	if (rc)
		stream_fail(st, "no segment of this process to look at: %s", strerror(-rc));
	if (st->words < 2)
		stream_fail(st, "expect TABLE …");
	for (int i = 2; i < st->words; i++)
		condition_read(&x.conditions[x.n++], st, st->word[i]);
	if (!each_row(&v, st->word[1], check_row, &x))
		stream_fail(st, "no such table: %s", st->word[1]);
	check_count(&x, &v);
	c4_seg_reader_close(&v.r);
}

static void dump_row(void *arg, const struct view *v, const struct field *fields, const void *row)
{
	print_row(v, arg, fields, row);
}

void expect_dump(struct player *p)
{
	static const char *const tables[] = {"header", "comm", "conn", "event"};
	struct view v;

	if (view_open(&v, p, NULL)) {
		fprintf(stderr, "  no segment\n");
		return;
	}
	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
		each_row(&v, tables[i], dump_row, (void *)(uintptr_t)tables[i]);
	c4_seg_reader_close(&v.r);
}

void expect_detail(struct player *p, const struct stmt *st, int64_t us)
{
	char path[PATH_MAX];
	struct view v;
	uint64_t until;
	int fd;

	if (view_open(&v, p, st))
		stream_fail(st, "no segment of this process");
	until = us ? c4_ticks(v.r.toc.clock) + (uint64_t)((double)us * 1000.0 / v.rate.ns_per_tick)
		   : 0;
	c4_seg_reader_close(&v.r);
	if (!segment_path(path, sizeof path, getpid()) ||
	    (fd = open(path, O_WRONLY | O_CLOEXEC)) < 0)
		stream_fail(st, "cannot write to the segment");
	if (pwrite(fd, &until, sizeof until, offsetof(struct c4_seg_header, detail_until)) !=
	    sizeof until)
		stream_fail(st, "cannot write to the segment");
	close(fd);
}

bool expect_constant(const char *name, int64_t *ret)
{
	static const struct {
		const char *name;
		int64_t value;
	} constants[] = {
#define OP(sym, text, cls, uniform, bus) {#sym, C4_OP_##sym},
		C4_OPS(OP)
#undef OP
			{"IDLE", C4_CONN_IDLE},
		{"GPU_WAIT", C4_CONN_GPU_WAIT},
		{"PEER_WAIT", C4_CONN_PEER_WAIT},
		{"SENDING", C4_CONN_SENDING},
		{"RECEIVING", C4_CONN_RECEIVING},
		{"FLUSHING", C4_CONN_FLUSHING},
		{"LIVE", C4_COMM_LIVE},
		{"DEAD", C4_COMM_DEAD},
		{"REPORTED", C4_COMM_REPORTED},
		{"GPU", C4_COMM_GPU},
		{"EV_GPU", C4_EV_GPU},
		{"EV_HOST", C4_EV_HOST},
		{"FOREIGN", C4_CONN_FOREIGN},
		{"RUN", C4_PHASE_RUN},
		{"FINALIZED", C4_PHASE_FINALIZED},
		{"COMMS", C4_SEG_COMMS},
	};

	for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++) {
		if (strcmp(constants[i].name, name))
			continue;
		*ret = constants[i].value;
		return true;
	}
	return false;
}
