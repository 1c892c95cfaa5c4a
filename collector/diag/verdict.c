// SPDX-License-Identifier: BSD-3-Clause
#include "collector/diag/verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"

const char *c4_ranks_node(const struct c4_diag_job *job, const int32_t *ranks, uint32_t n)
{
	const char *node = n ? job->ranks[ranks[0]].node : NULL;

	for (uint32_t i = 1; i < n && node; i++) {
		const char *other = job->ranks[ranks[i]].node;

		if (!other || strcmp(node, other))
			node = NULL;
	}
	return node;
}

const char *c4_diag_comm_name(const struct c4_diag_job *job, uint32_t comm)
{
	const char *name = comm < job->ncomms ? job->comms[comm].name : NULL;

	return name && *name ? name : "(unnamed)";
}

static uint64_t key_of(enum c4_incident_kind kind, uint64_t about, const int32_t *ranks, uint32_t n)
{
	uint64_t h = c4_hash_u64(about, (uint64_t)kind);

	return c4_hash_bytes(h, ranks, n * sizeof *ranks);
}

static bool grow(struct c4_verdicts *list)
{
	uint32_t cap = list->cap ? list->cap * 2 : 8;
	struct c4_verdict *v;

	if (list->n < list->cap)
		return true;
	v = realloc(list->v, cap * sizeof *v);
	if (!v)
		return false;
	list->v = v;
	list->cap = cap;
	return true;
}

struct c4_verdict *c4_verdict_add(struct c4_verdicts *list, const struct c4_diag_job *job,
				  enum c4_incident_kind kind, uint64_t about, const int32_t *ranks,
				  uint32_t nranks)
{
	int32_t *copy = malloc((nranks ? nranks : 1) * sizeof *copy);
	struct c4_verdict *v;

	if (!copy || !grow(list)) {
		free(copy);
		list->failed = true;
		return NULL;
	}
	if (nranks)
		memcpy(copy, ranks, nranks * sizeof *copy);
	v = &list->v[list->n++];
	*v = (struct c4_verdict){.kind = kind,
				 .key = key_of(kind, about, ranks, nranks),
				 .nranks = nranks,
				 .ranks = copy,
				 .node = c4_ranks_node(job, ranks, nranks)};
	return v;
}

void c4_verdict_evidence(struct c4_verdict *v, const char *metric, double value, double peers,
			 uint32_t blocks, const char *fmt, ...)
{
	struct c4_evidence *e;
	va_list ap;

	if (v->nevidence == C4_DIAG_EVIDENCE)
		return;
	e = &v->evidence[v->nevidence++];
	*e = (struct c4_evidence){.value = value, .peers_median = peers, .blocks = blocks};
	snprintf(e->metric, sizeof e->metric, "%s", metric);
	va_start(ap, fmt);
	vsnprintf(e->detail, sizeof e->detail, fmt, ap);
	va_end(ap);
}

void c4_verdict_say(struct c4_verdict *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(v->summary, sizeof v->summary, fmt, ap);
	va_end(ap);
}

bool c4_diag_gpu_name(const struct c4_diag_job *job, int32_t rank, char *buf, size_t n)
{
	const struct c4_diag_rank *r = &job->ranks[rank];

	if (!r->gpu && !r->gpu_device)
		return false;
	snprintf(buf, n, "%s/gpu%u", r->node ? r->node : "?",
		 r->gpu ? r->gpu->index : r->gpu_device - 1);
	return true;
}

void c4_verdict_gpu(struct c4_verdict *v, const struct c4_diag_job *job, int32_t rank)
{
	(void)c4_diag_gpu_name(job, rank, v->gpu, sizeof v->gpu);
}

void c4_diag_link_name(const struct c4_diag_job *job, int32_t src, int32_t dst, char *buf, size_t n)
{
	const char *a = job->ranks[src].node, *b = job->ranks[dst].node;

	snprintf(buf, n, "%s→%s (rank %d → rank %d)", a ? a : "?", b ? b : "?", src, dst);
}

void c4_verdict_rekey(struct c4_verdict *v, uint64_t about)
{
	v->key = c4_hash_u64(about, (uint64_t)v->kind);
}

const char *c4_verdict_who(const struct c4_verdict *v, char *buf, size_t n)
{
	int len = snprintf(buf, n, v->nranks == 1 ? "rank" : "ranks");

	for (uint32_t i = 0; i < v->nranks && (size_t)len + 32 < n; i++)
		len += snprintf(buf + len, n - (size_t)len, "%s%d", i ? "," : " ", v->ranks[i]);
	if (v->node && (size_t)len < n)
		snprintf(buf + len, n - (size_t)len, " (node %s)", v->node);
	return buf;
}

void c4_verdicts_release(struct c4_verdicts *list)
{
	for (uint32_t i = 0; i < list->n; i++)
		free(list->v[i].ranks);
	free(list->v);
	*list = (struct c4_verdicts){0};
}
