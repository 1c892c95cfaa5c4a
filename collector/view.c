// SPDX-License-Identifier: BSD-3-Clause
#include "collector/view.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "c4/op.h"
#include "collector/diag/health.h"
#include "collector/incident_json.h"
#include "collector/json.h"
#include "collector/rank.h"
#include "collector/vclock.h"

#define LATEST 3u /* ranks named per communicator */

static double ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

/* ---- ranks ----------------------------------------------------------------------------------- */

/* The seat in the rank's largest communicator that has closed windows, or NULL. */
static const struct c4_seat *main_seat(const struct c4_rank *r)
{
	const struct c4_seat *best = NULL;

	for (uint32_t i = 0; i < r->nseats; i++) {
		const struct c4_seat *s = &r->seats[i];

		if (s->comm && s->comm->members[s->member].span_ns &&
		    (!best || s->comm->size > best->comm->size))
			best = s;
	}
	return best;
}

static double rank_lateness_ms(const struct c4_rank *r)
{
	struct c4_member sum = {0};

	for (uint32_t i = 0; i < r->nseats; i++) {
		const struct c4_seat *s = &r->seats[i];

		if (!s->comm)
			continue;
		sum.late_ns += s->comm->members[s->member].late_ns;
		sum.late_ops += s->comm->members[s->member].late_ops;
	}
	return c4_member_lateness_ms(&sum);
}

struct c4_shares c4_view_shares(const struct c4_rank *r)
{
	struct c4_shares out = {.own = NAN, .wait = NAN, .lateness_ms = rank_lateness_ms(r)};
	const struct c4_seat *s = main_seat(r);

	if (s) {
		const struct c4_member *m = &s->comm->members[s->member];

		out.own = (double)m->own_ns / (double)m->span_ns;
	} else if (r->alive_ns) {
		out.own = 1 - (double)r->inside_total_ns / (double)r->alive_ns;
	} else {
		return out;
	}
	out.own = out.own < 0 ? 0 : out.own > 1 ? 1 : out.own;
	out.wait = 1 - out.own;
	return out;
}

static json_t *peers_json(const struct c4_diag_call *call)
{
	json_t *peers = json_array();

	for (uint32_t i = 0; i < call->npeers && i < C4_DIAG_PEERS; i++)
		json_array_append_new(peers, json_integer(call->peers[i]));
	return peers;
}

static json_t *inside_json(const struct c4_job *j, uint32_t rank)
{
	const struct c4_diag_call *call = &j->now[rank].call;
	const struct c4_comm *c = call->comm < j->ncomms ? j->comms[call->comm] : NULL;

	if (call->kind == C4_OP_NONE || j->now[rank].run == C4_RUN_GONE)
		return json_null();
	return json_pack("{s:o, s:s, s:I, s:o, s:o}", "communicator",
			 c ? json_string(c->name) : json_null(), "op", c4_op_info(call->kind)->name,
			 "opno", (json_int_t)call->opno, "for_ms", c4_json_real(ms(call->for_ns)),
			 "peers", peers_json(call));
}

/* null: it runs on none, or nothing is known of it. */
static json_t *gpu_json(const struct c4_rank *r)
{
	const struct c4_diag_gpu *g = c4_rank_gpu(r);
	char words[128];

	if (!g && r->gpu_index < 0)
		return json_null();
	if (!g)
		return json_pack("{s:i, s:s}", "index", (int)r->gpu_index, "bus", r->gpu_bus);
	return json_pack("{s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:I}", "index",
			 (json_int_t)g->index, "bus", g->bus, "name", g->name, "sm_mhz",
			 (json_int_t)g->sm_mhz, "sm_max_mhz", (json_int_t)g->sm_max_mhz, "celsius",
			 (json_int_t)g->celsius, "watts", (json_int_t)g->watts, "throttle",
			 c4_health_throttle_words(g->throttle, words, sizeof words), "ecc",
			 (json_int_t)g->ecc, "nvlink_errors", (json_int_t)g->nvlink_errors, "xids",
			 (json_int_t)g->xids, "last_xid", (json_int_t)g->last_xid);
}

json_t *c4_view_rank(const struct c4_job *j, uint32_t rank, uint64_t now_ns)
{
	const struct c4_rank *r = &j->ranks[rank];
	const struct c4_diag_rank *d = &j->now[rank];
	struct c4_shares shares = c4_view_shares(r);

	return json_pack("{s:s, s:I, s:s, s:s, s:I, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, "
			 "s:o}",
			 "job", j->name, "rank", (json_int_t)rank, "node", r->node, "host", r->host,
			 "pid", (json_int_t)r->pid, "program", r->program, "library", r->library,
			 "state", c4_rank_state_name(c4_rank_state(r)), "cpu", c4_json_real(d->cpu),
			 "own_share", c4_json_real(shares.own), "wait_share",
			 c4_json_real(shares.wait), "lateness_ms", c4_json_real(shares.lateness_ms),
			 "age_ms", c4_json_real(ms(c4_vclock_since(now_ns, r->sample_ns))),
			 "inside", inside_json(j, rank), "gpu", gpu_json(r));
}

static json_t *report_rank(const struct c4_job *j, uint32_t rank)
{
	const struct c4_rank *r = &j->ranks[rank];
	struct c4_shares shares = c4_view_shares(r);

	return json_pack("{s:I, s:s, s:I, s:s, s:o, s:o, s:o}", "rank", (json_int_t)rank, "node",
			 r->node, "pid", (json_int_t)r->pid, "state",
			 c4_rank_state_name(c4_rank_state(r)), "own_share",
			 c4_json_real(shares.own), "wait_share", c4_json_real(shares.wait),
			 "lateness_ms", c4_json_real(shares.lateness_ms));
}

/* ---- communicators ----------------------------------------------------------------------------
 */

struct traffic {
	uint64_t messages, bytes, wait_ns;
	uint64_t alive_ns;
	uint64_t entered_min, entered_max;
};

static struct traffic traffic_of(const struct c4_job *j, const struct c4_comm *c)
{
	struct traffic t = {.entered_min = UINT64_MAX};

	for (uint32_t m = 0; m < c->size; m++) {
		const struct c4_member *x = &c->members[m];
		uint64_t entered = c->state[m].entered;
		int64_t rank = c->ranks ? c->ranks[m] : -1;

		t.messages += x->sends;
		t.bytes += x->send_bytes;
		t.wait_ns += x->p2p_wait_ns;
		if (rank >= 0 && rank < (int64_t)j->nranks)
			t.alive_ns += j->ranks[rank].alive_ns;
		if (!c->state[m].known)
			continue;
		t.entered_min = entered < t.entered_min ? entered : t.entered_min;
		t.entered_max = entered > t.entered_max ? entered : t.entered_max;
	}
	if (t.entered_min == UINT64_MAX)
		t.entered_min = 0;
	return t;
}

static json_t *time_share(const struct c4_comm *c, const struct traffic *t)
{
	if (!t->alive_ns)
		return json_null();
	return c4_json_real(((double)c->inside_ns + (double)t->wait_ns) / (double)t->alive_ns);
}

static json_t *latest_json(const struct c4_job *j, const struct c4_comm *c)
{
	json_t *list = json_array();
	uint32_t members[LATEST], n = c->ranks ? c4_comm_latest(c, members, LATEST) : 0;

	for (uint32_t i = 0; i < n; i++) {
		int32_t rank = c->ranks[members[i]];
		bool ours = rank >= 0 && (uint32_t)rank < j->nranks && j->now[rank].seen;

		json_array_append_new(
			list,
			json_pack("{s:i, s:o, s:o}", "rank", (int)rank, "node",
				  ours ? json_string(j->ranks[rank].node) : json_null(),
				  "lateness_ms",
				  c4_json_real(c4_member_lateness_ms(&c->members[members[i]]))));
	}
	return list;
}

/* Members whose program gave it up. */
static uint32_t aborted(const struct c4_comm *c)
{
	uint32_t n = 0;

	for (uint32_t m = 0; m < c->size; m++)
		n += c->state[m].aborted;
	return n;
}

/* Members whose library reports an error of it. */
static uint32_t broken(const struct c4_comm *c)
{
	uint32_t n = 0;

	for (uint32_t m = 0; m < c->size; m++)
		n += c4_diag_broken(&c->state[m]);
	return n;
}

/* What list and report both say of a communicator. */
static json_t *comm_common(const struct c4_job *j, const struct c4_comm *c, const struct traffic *t)
{
	return json_pack(
		"{s:s, s:o, s:I, s:I, s:I, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:o}", "name",
		c->name, "id", c4_json_id(c->id), "size", (json_int_t)c->size, "ops",
		(json_int_t)c4_comm_ops(c), "bytes", (json_int_t)c4_comm_bytes(c), "time_share",
		time_share(c, t), "algbw_gbps", c4_json_real(c4_comm_algbw_gbps(c)), "busbw_gbps",
		c4_json_real(c4_comm_busbw_gbps(c)), "p2p_messages", (json_int_t)t->messages,
		"p2p_bytes", (json_int_t)t->bytes, "aborted", (json_int_t)aborted(c), "broken",
		(json_int_t)broken(c), "latest", latest_json(j, c));
}

static json_t *members_json(const struct c4_comm *c)
{
	json_t *list = json_array();

	for (uint32_t m = 0; c->ranks && m < c->size; m++)
		json_array_append_new(list, json_integer(c->ranks[m]));
	return list;
}

json_t *c4_view_comm(const struct c4_job *j, const struct c4_comm *c)
{
	struct traffic t = traffic_of(j, c);
	json_t *out = comm_common(j, c, &t);

	if (!out)
		return NULL;
	json_object_set_new(out, "job", json_string(j->name));
	json_object_set_new(out, "members", members_json(c));
	json_object_set_new(out, "entered_min", json_integer((json_int_t)t.entered_min));
	json_object_set_new(out, "entered_max", json_integer((json_int_t)t.entered_max));
	json_object_set_new(out, "freed", json_boolean(c->freed_ns != 0));
	return out;
}

/* ---- jobs ------------------------------------------------------------------------------------ */

static int by_node(const void *a, const void *b)
{
	const char *x = *(const char *const *)a, *y = *(const char *const *)b;
	int order = 0;

	/* n2 before n10 */
	if (strlen(x) != strlen(y))
		order = strlen(x) < strlen(y) ? -1 : 1;
	return order ? order : strcmp(x, y);
}

json_t *c4_view_node_list(const struct c4_job *j)
{
	const char **names = calloc(j->nodes.used + 1, sizeof *names);
	json_t *list = json_array();
	uint32_t n = 0;

	for (uint32_t i = 0; names && i < j->nodes.cap; i++)
		if (j->nodes.slots[i].key)
			names[n++] = j->nodes.slots[i].key;
	if (names)
		qsort(names, n, sizeof *names, by_node);
	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(names[i]));
	free(names);
	return list;
}

static uint64_t job_ops(const struct c4_job *j)
{
	uint64_t ops = 0;

	for (uint32_t i = 0; i < j->ncomms; i++)
		if (j->comms[i])
			ops += c4_comm_ops(j->comms[i]);
	return ops;
}

/* Mean time from one operation to the next on the largest communicator with windows. */
static json_t *step_ms(const struct c4_job *j)
{
	const struct c4_comm *best = NULL;

	for (uint32_t i = 0; i < j->ncomms; i++) {
		const struct c4_comm *c = j->comms[i];

		if (c && c->step_ns > 0 && (!best || c->size > best->size))
			best = c;
	}
	return best ? c4_json_real(best->step_ns / 1e6) : json_null();
}

static uint32_t open_incidents(const struct c4_job *j, const struct c4_incidents *set)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < set->n; i++) {
		const struct c4_incident *in = set->v[i];

		n += c4_incident_open(in) && c4_incident_public(in) && !strcmp(in->job, j->name);
	}
	return n;
}

json_t *c4_view_job(const struct c4_job *j, const struct c4_incidents *incidents)
{
	return json_pack(
		"{s:s, s:s, s:I, s:I, s:o, s:I, s:I, s:o, s:I, s:o, s:o}", "job", j->name, "state",
		c4_job_state_name(j->state), "ranks", (json_int_t)j->nranks, "ranks_seen",
		(json_int_t)j->seen, "nodes", c4_view_node_list(j), "communicators",
		(json_int_t)j->comms_live, "ops", (json_int_t)job_ops(j), "step_ms", step_ms(j),
		"incidents", (json_int_t)open_incidents(j, incidents), "started",
		c4_json_time(j->started_wall_ns), "last_seen", c4_json_time(j->seen_wall_ns));
}

/* ---- report ---------------------------------------------------------------------------------- */

static json_t *losses_json(const struct c4_job *j)
{
	struct c4_losses l = c4_job_losses(j);

	return json_pack(
		"{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "events",
		(json_int_t)(l.events + l.hook[C4_LOST_EVENTS]), "communicators",
		(json_int_t)l.hook[C4_LOST_COMMS], "members", (json_int_t)l.hook[C4_LOST_RUNS],
		"threads", (json_int_t)l.hook[C4_LOST_THREADS], "requests",
		(json_int_t)l.hook[C4_LOST_REQUESTS], "connections",
		(json_int_t)l.hook[C4_LOST_CONNS], "operations", (json_int_t)l.hook[C4_LOST_OPS],
		"posts", (json_int_t)l.posts, "bad_segments", (json_int_t)l.bad_segments);
}

static json_t *report_comms(const struct c4_job *j)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < j->ncomms; i++) {
		struct traffic t;

		if (!j->comms[i])
			continue;
		t = traffic_of(j, j->comms[i]);
		json_array_append_new(list, comm_common(j, j->comms[i], &t));
	}
	return list;
}

static json_t *report_ranks(const struct c4_job *j)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < j->nranks; i++)
		if (j->now[i].seen)
			json_array_append_new(list, report_rank(j, i));
	return list;
}

static json_t *report_incidents(const struct c4_job *j, const struct c4_incidents *set)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < set->n; i++)
		if (c4_incident_public(set->v[i]) && set->v[i]->launch == j->launch &&
		    !strcmp(set->v[i]->job, j->name))
			json_array_append_new(list, c4_incident_to_json(set->v[i]));
	return list;
}

static uint64_t duration_ns(const struct c4_job *j)
{
	return j->seen_wall_ns > j->started_wall_ns ? j->seen_wall_ns - j->started_wall_ns : 0;
}

json_t *c4_view_report(const struct c4_job *j, const struct c4_incidents *incidents,
		       uint64_t now_ns)
{
	json_t *nodes = c4_view_node_list(j);

	for (uint32_t i = 0; i < j->ncomms; i++)
		if (j->comms[i]) /* the report wants everything now, whole seconds or not */
			c4_join_poll(j->comms[i]->join, now_ns, true);
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "schema", C4_REPORT_SCHEMA, "job", j->name, "state",
			 c4_job_state_name(j->state), "ranks", (json_int_t)j->nranks, "ranks_seen",
			 (json_int_t)j->seen, "nodes", (json_int_t)json_array_size(nodes),
			 "started", c4_json_time(j->started_wall_ns), "duration_s",
			 c4_json_real((double)duration_ns(j) / 1e9), "communicators",
			 report_comms(j), "rank_list", report_ranks(j), "node_list", nodes,
			 "losses", losses_json(j), "incidents", report_incidents(j, incidents));
}
