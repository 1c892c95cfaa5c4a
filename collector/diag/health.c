// SPDX-License-Identifier: BSD-3-Clause
/*
 * health.c - what the culprits' GPUs and network interfaces say of themselves, as evidence beside
 * a verdict that others reached. Health alone accuses nobody: a throttled GPU that holds nobody up
 * is nobody's problem. Nothing is said of healthy devices.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "collector/diag/health.h"
#include "collector/diag/judge.h"
#include "collector/diag/verdict.h"

#define XID_RECENT_NS (600ull * 1000000000)
#define RANKS_ASKED   4u
#define WORDS	      96u

/* NVML's reasons for a lower clock, by bit; those not in `bad` are everyday life. */
static const struct {
	uint64_t bit;
	bool bad;
	const char *words;
} reasons[] = {
	{0x2, false, "application clocks set"},
	{0x4, false, "power cap"},
	{0x8, true, "hardware slowdown"},
	{0x10, false, "sync boost"},
	{0x20, true, "software thermal slowdown"},
	{0x40, true, "hardware thermal slowdown"},
	{0x80, true, "power brake"},
	{0x100, false, "display clocks"},
};

static const struct {
	uint32_t xid;
	const char *words;
} xids[] = {
	{13, "exception in a kernel"},
	{31, "memory page fault"},
	{43, "GPU stopped processing"},
	{45, "work was cleaned up after an error"},
	{48, "double-bit ECC error"},
	{63, "memory row remapped"},
	{64, "memory row could not be remapped"},
	{74, "NVLink error"},
	{79, "GPU has fallen off the bus"},
	{92, "many single-bit ECC errors"},
	{94, "contained ECC error"},
	{95, "uncontained ECC error"},
	{119, "GPU system processor does not answer"},
	{120, "GPU system processor failed"},
};

static const char *xid_words(uint32_t xid)
{
	for (size_t i = 0; i < sizeof xids / sizeof *xids; i++)
		if (xids[i].xid == xid)
			return xids[i].words;
	return "see the driver's list";
}

const char *c4_health_throttle_words(uint64_t mask, char *buf, size_t n)
{
	size_t len = 0;

	*buf = '\0';
	for (size_t i = 0; i < sizeof reasons / sizeof *reasons && len < n; i++)
		if (mask & reasons[i].bit)
			len += (size_t)snprintf(buf + len, n - len, "%s%s", len ? ", " : "",
						reasons[i].words);
	return buf;
}

static bool throttled(const struct c4_diag_gpu *g)
{
	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
		if (reasons[i].bad && g->throttle & reasons[i].bit)
			return true;
	return false;
}

/* ---- GPUs ------------------------------------------------------------------------------------ */

/* True if there was something to say. */
static bool say_gpu(struct c4_verdict *v, const struct c4_diag_gpu *g, int32_t rank)
{
	uint32_t before = v->nevidence;
	char words[WORDS];

	if (throttled(g))
		c4_verdict_evidence(v, "gpu_mhz", g->sm_mhz, g->sm_max_mhz, 0,
				    "rank %d's GPU %u is slowed down: %s, %u °C, %u W", rank,
				    g->index,
				    c4_health_throttle_words(g->throttle, words, sizeof words),
				    g->celsius, g->watts);
	if (g->ecc)
		c4_verdict_evidence(v, "gpu_ecc", (double)g->ecc, NAN, 0,
				    "uncorrectable memory errors of rank %d's GPU %u in a minute",
				    rank, g->index);
	if (g->nvlink_errors)
		c4_verdict_evidence(v, "nvlink_errors", (double)g->nvlink_errors, NAN, 0,
				    "of rank %d's GPU %u in a minute", rank, g->index);
	if (g->last_xid && g->last_xid_age_ns < XID_RECENT_NS)
		c4_verdict_evidence(v, "gpu_xid", g->last_xid, NAN, 0,
				    "rank %d's GPU %u, %.0f s ago: %s", rank, g->index,
				    (double)g->last_xid_age_ns / 1e9, xid_words(g->last_xid));
	return v->nevidence > before;
}

/* ---- network interfaces ---------------------------------------------------------------------- */

bool c4_health_nic_own_fault(const struct c4_diag_nic *n)
{
	return n->errors || n->downs;
}

uint32_t c4_health_slowest_mbps(const struct c4_diag_health *h)
{
	uint32_t least = 0;

	for (uint32_t i = 0; h && i < h->nnics; i++) {
		const struct c4_diag_nic *n = &h->nics[i];

		if (n->up && n->mbps && (n->tx_bytes || n->rx_bytes) && (!least || n->mbps < least))
			least = n->mbps;
	}
	return least;
}

bool c4_health_own_fault(const struct c4_diag_health *h)
{
	for (uint32_t i = 0; h && i < h->nnics; i++)
		if (c4_health_nic_own_fault(&h->nics[i]))
			return true;
	return false;
}

static bool troubled(const struct c4_diag_nic *n)
{
	return c4_health_nic_own_fault(n) || n->drops || n->retries;
}

static void say_nic(struct c4_verdict *v, const char *node, const struct c4_diag_nic *n)
{
	c4_verdict_evidence(v, "nic_errors", (double)(n->errors + n->drops), NAN, 0,
			    "%s/%s in %.0f s: %llu link errors, %llu drops, %llu retries, "
			    "%llu times down",
			    node, n->name, n->over_s, (unsigned long long)n->errors,
			    (unsigned long long)n->drops, (unsigned long long)n->retries,
			    (unsigned long long)n->downs);
}

static bool about_network(enum c4_incident_kind k)
{
	return k == C4_INC_HANG_COMM || k == C4_INC_SLOW_TX || k == C4_INC_SLOW_RX ||
	       k == C4_INC_SLOW_LINK || k == C4_INC_CONGESTION;
}

static void say_nics(struct c4_verdict *v, const struct c4_diag_rank *r)
{
	for (uint32_t i = 0; r->health && i < r->health->nnics; i++) {
		const struct c4_diag_nic *n = &r->health->nics[i];

		if (!troubled(n))
			continue;
		say_nic(v, r->node ? r->node : "?", n);
		if (c4_health_nic_own_fault(n) && strchr(v->nic, '/') == NULL)
			snprintf(v->nic, sizeof v->nic, "%s/%s", r->node ? r->node : "?", n->name);
	}
}

/* ---- all of it ------------------------------------------------------------------------------- */

static bool same_node(const struct c4_diag_rank *a, const struct c4_diag_rank *b)
{
	return a->node && b->node && !strcmp(a->node, b->node);
}

static bool asked_before(const struct c4_diag_job *job, const struct c4_verdict *v, uint32_t i)
{
	for (uint32_t k = 0; k < i; k++)
		if (same_node(&job->ranks[v->ranks[k]], &job->ranks[v->ranks[i]]))
			return true;
	return false;
}

static void ask(const struct c4_diag_job *job, struct c4_verdict *v)
{
	for (uint32_t i = 0; i < v->nranks && i < RANKS_ASKED; i++) {
		const struct c4_diag_rank *r = &job->ranks[v->ranks[i]];

		if (r->gpu && say_gpu(v, r->gpu, v->ranks[i]) && v->nranks == 1 && !v->gpu[0])
			c4_verdict_gpu(v, job, v->ranks[i]);
		if (about_network(v->kind) && !asked_before(job, v, i))
			say_nics(v, r);
	}
}

/* Of a connection's two nodes the one whose interface accuses itself, if it is only one. */
static void side_of_link(const struct c4_diag_job *job, struct c4_verdict *v)
{
	const struct c4_diag_rank *a, *b;
	bool x, y;

	if (!v->link[0] || v->nranks != 2 || v->node)
		return;
	a = &job->ranks[v->ranks[0]];
	b = &job->ranks[v->ranks[1]];
	x = c4_health_own_fault(a->health);
	y = c4_health_own_fault(b->health);
	if (x != y)
		v->node = x ? a->node : b->node;
}

void c4_judge_health(struct c4_look *l)
{
	for (uint32_t i = 0; i < l->out->n; i++) {
		enum c4_incident_kind k = l->out->v[i].kind;

		if (about_network(k))
			side_of_link(l->job, &l->out->v[i]);
		if (about_network(k) || k == C4_INC_CRASH || k == C4_INC_HANG_RANK ||
		    k == C4_INC_SLOW_RANK || k == C4_INC_SLOW_NODE)
			ask(l->job, &l->out->v[i]);
	}
}
