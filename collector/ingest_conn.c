// SPDX-License-Identifier: BSD-3-Clause
#include "collector/ingest_conn.h"

#include "collector/membership.h"
#include "collector/vclock.h"

#define CHANNELS_MAX (1u << 16)
#define TIME_MAX_NS  (1ull << 59)

/*
 * A process tells of the communicators it is in, at its own place there; on behalf of another
 * process of its node (PXN) of any communicator of the job.
 */
static struct c4_comm *comm_of(struct c4_ingest_ctx *ctx, struct c4_rank *r, const C4__V1__Conn *c,
			       enum c4_part_refusal *why)
{
	const struct c4_seat *s = c4_rank_seat(r, c->comm);
	struct c4_comm *comm = s ? s->comm : NULL;
	bool foreign = c->flags & C4_CONN_FOREIGN;

	*why = C4_PART_UNKNOWN_COMM;
	if (foreign)
		return c4_map_get(&r->job->comm_by_id, c->comm);
	if (!s)
		ctx->resync = true;
	if (!comm)
		return NULL;
	*why = C4_PART_CONN;
	return c->rank == s->member ? comm : NULL;
}

static bool conn_fit(const struct c4_comm *comm, const C4__V1__Conn *c)
{
	return c->rank < comm->size && c->peer < comm->size && c->rank != c->peer &&
	       c->channel < CHANNELS_MAX && c->phase <= C4_CONN_FLUSHING &&
	       c->still_ns <= TIME_MAX_NS && c->busy_ns <= TIME_MAX_NS &&
	       c->gpu_ns <= TIME_MAX_NS && c->peer_ns <= TIME_MAX_NS && c->bytes <= UINT64_MAX / 2;
}

static struct c4_conn_report report_of(const struct c4_rank *r, const C4__V1__Conn *c,
				       uint64_t sample_ns)
{
	return (struct c4_conn_report){
		.teller = r->rank,
		.phase = c->phase,
		.active = c->active,
		.opno = c->opno,
		.posted = c->posted,
		.transmitted = c->transmitted,
		.done = c->done,
		.bytes = c->bytes,
		.busy_ns = c->busy_ns,
		.gpu_ns = c->gpu_ns,
		.peer_ns = c->peer_ns,
		.told_ns = sample_ns,
		.progress_ns = c4_vclock_ago(sample_ns, c->still_ns),
	};
}

static enum c4_part_refusal take_conn(struct c4_ingest_ctx *ctx, struct c4_rank *r,
				      const C4__V1__Conn *c)
{
	struct c4_conn_report report = report_of(r, c, ctx->sample_ns);
	enum c4_part_refusal why;
	struct c4_comm *comm = comm_of(ctx, r, c, &why);
	struct c4_conn_key key = {c->sends ? c->rank : c->peer, c->sends ? c->peer : c->rank,
				  c->channel};
	int64_t at;

	if (!comm)
		return why;
	if (!conn_fit(comm, c))
		return C4_PART_CONN;
	at = c4_comm_conn(ctx->model, comm, &key, ctx->now_ns, &why);
	if (at < 0)
		return why;
	c4_conntab_tell(&comm->conns, (uint32_t)at, c->sends, &report);
	return C4_PART_OK;
}

/* Several messages of one post may tell of the same process. */
static void take_late(const struct c4_ingest_ctx *ctx, struct c4_rank *r, uint32_t late)
{
	if (r->conns_seq != ctx->agent->seq)
		r->conns_late = 0;
	r->conns_seq = ctx->agent->seq;
	if (late > r->conns_late)
		r->conns_late = late;
}

void c4_ingest_conns(struct c4_ingest_ctx *ctx, struct c4_rank *r, const C4__V1__Process *p)
{
	take_late(ctx, r, p->conns_late);
	for (size_t i = 0; i < p->n_conns; i++) {
		enum c4_part_refusal why = take_conn(ctx, r, p->conns[i]);

		if (why)
			ctx->stats->parts_refused[why]++;
	}
}
