// SPDX-License-Identifier: BSD-3-Clause
/*
 * slow.c - slow-rank and slow-node: more own work per operation than the peers, who wait for it.
 *
 * Between two operations of a communicator a rank's time is its own work plus waiting in other
 * calls (Block in c4.proto). The whole span is the same on all members, so whoever has more own
 * work than the others has less waiting: it is the one the others wait for. A victim, late here
 * because it waited elsewhere, has no more own work than its peers and is not named. No clock is
 * compared.
 *
 * Over the last windows a member is a culprit if
 *   1. its excess of own work over the members' median is at least MARGIN of the span,
 *   2. that stands out of the other members' spread (MAD), corrected for how many are looked at,
 *   3. it was so in nearly every window, over MIN_NS at least,
 *   4. its slack (span - own) is less than half of the usual one: who has time to wait is not what
 *      the others wait for, however busy it is,
 *   5. where point-to-point messages couple the ranks (pipelines have stages of unequal weight by
 *      design), it is more than the same rank's own usual excess, too.
 * Where a rank has to queue for a core (CONTENDED of its time) it is a matter of luck for seconds
 * who gets one: there 1 and 2 are asked of averages over SMOOTH_NS instead, and where the queue is
 * long (CROWDED) with a wider margin, and only if the excess is the rank's own doing: it uses more
 * CPU time than the others, or is neither on a core nor in the queue for one (stopped, throttled,
 * asleep). Of each window a rank's longest piece of own work is left out: a single pause is no
 * slowness. Excesses of SECONDS_NS per operation are for the hang judge.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/diag/judge.h"
#include "collector/diag/robust.h"
#include "collector/diag/verdict.h"

#define MARGIN	       0.05
#define WINDOWS_MIN    4u
#define MIN_NS	       3500000000u
#define NOTICEABLE_NS  20000.0 /* excess per operation below this is nobody's problem */
#define SECONDS_NS     5000000000.0
#define P2P_COUPLED    0.02 /* share of time in point-to-point calls */
#define CONTENDED      0.05
#define CROWDED	       0.15
#define CROWDED_MARGIN 0.10
#define CPU_MORE       1.1  /* times the others' median: does more */
#define CPU_ABSENT     0.85 /* share of time on a core or queueing for one: the rest it was away */
#define SMOOTH_NS      10000000000u
#define LEARN_WINDOWS  6u
#define STALE_NS       4000000000u
#define MAX_SLOW       256

struct slow {
	int32_t rank;
	uint32_t comm;
	double share;				 /* excess of own work, of the span */
	double excess_ns, own_ns, own_median_ns; /* per operation */
	double late_ns, late_median_ns;
	double slack_share;
	uint32_t windows;
	uint64_t since_ns;
};

struct findings {
	double *share; /* per rank: largest share seen in communicators of 3 and more; NAN: none */
	uint32_t n;
	struct slow slow[MAX_SLOW];
};

/* One communicator under examination: arrays of size n, means per operation over `windows`. */
struct table {
	const struct c4_diag_comm *comm;
	uint32_t index, n, windows;
	uint64_t length_ns; /* of the windows together */
	double span_ns;	    /* median */
	double *own, *slack, *late, *share, *scratch;
	uint32_t *steady; /* windows in which the share was over half the margin */
};

static void table_release(struct table *t)
{
	free(t->own);
	free(t->steady);
}

static int table_init(struct table *t, const struct c4_diag_comm *comm, uint32_t index)
{
	size_t n = comm->size;

	*t = (struct table){.comm = comm, .index = index, .n = comm->size};
	t->own = calloc(n * 5, sizeof *t->own);
	t->steady = calloc(n, sizeof *t->steady);
	if (!t->own || !t->steady) {
		table_release(t);
		return -1;
	}
	t->slack = t->own + n;
	t->late = t->slack + n;
	t->share = t->late + n;
	t->scratch = t->share + n;
	return 0;
}

/* Mean without the largest where there are enough to spare one. */
static double trimmed(uint64_t sum, uint64_t max, uint32_t count)
{
	if (count >= 3 && sum >= max)
		return (double)(sum - max) / (count - 1);
	return count ? (double)sum / count : 0.0;
}

static double median_of(struct table *t, const double *v)
{
	memcpy(t->scratch, v, t->n * sizeof *v);
	return c4_median(t->scratch, t->n);
}

static bool complete(const struct table *t, const struct c4_diag_window *w)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (!w->parts[i].present || !w->parts[i].span_count)
			return false;
	return true;
}

/* Adds one window to the sums; own and span are scratch space. */
static void add_window(struct table *t, const struct c4_diag_window *w, double *own, double *span)
{
	double latest = 0, own_median, span_median;

	for (uint32_t i = 0; i < t->n; i++) {
		const struct c4_diag_part *p = &w->parts[i];

		own[i] = trimmed(p->own_sum_ns, p->own_max_ns, p->span_count);
		span[i] = trimmed(p->span_sum_ns, p->span_max_ns, p->span_count);
		latest = fmax(latest, trimmed(p->sync_sum_ns, p->sync_max_ns, p->sync_count));
	}
	own_median = median_of(t, own);
	span_median = median_of(t, span);
	for (uint32_t i = 0; i < t->n; i++) {
		const struct c4_diag_part *p = &w->parts[i];
		double share = span_median > 0 ? (own[i] - own_median) / span_median : 0;

		t->own[i] += own[i];
		t->slack[i] += fmax(0.0, span_median - own[i]);
		t->late[i] += latest - trimmed(p->sync_sum_ns, p->sync_max_ns, p->sync_count);
		t->share[i] += share;
		t->steady[i] += share >= MARGIN / 2;
	}
	t->span_ns += span_median;
	t->length_ns += (uint64_t)(span_median * w->count);
	t->windows++;
}

/* The newest windows, as many as it takes: enough of them, and long enough together. */
static int table_fill(struct table *t)
{
	const struct c4_diag_comm *c = t->comm;
	double *own = calloc((size_t)t->n * 2, sizeof *own);

	if (!own)
		return -1;
	for (uint32_t k = c->nwindows; k-- > 0;) {
		if (t->windows >= WINDOWS_MIN && t->length_ns >= MIN_NS)
			break;
		/* the first window holds warm-up: lazy connections, first touches */
		if (c->windows[k].serial > 1 && complete(t, &c->windows[k]))
			add_window(t, &c->windows[k], own, own + t->n);
	}
	free(own);
	for (uint32_t i = 0; t->windows && i < t->n; i++) {
		t->own[i] /= t->windows;
		t->slack[i] /= t->windows;
		t->late[i] /= t->windows;
		t->share[i] /= t->windows;
	}
	if (t->windows)
		t->span_ns /= t->windows;
	return 0;
}

/*
 * Compared with the others' median and spread: in small communicators one bad rank is a large part
 * of the sample, so it is left out.
 */
static bool stands_out(struct table *t, const double *share, uint32_t culprit, double margin)
{
	double centre, spread;
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n; i++)
		if (i != culprit)
			t->scratch[n++] = share[i];
	centre = c4_median(t->scratch, n);
	spread = c4_robust_spread(t->scratch, n, centre);
	return share[culprit] - centre >= fmax(margin, c4_outlier_limit(t->n) * spread);
}

static double slack_median_without(struct table *t, uint32_t culprit)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n; i++)
		if (i != culprit)
			t->scratch[n++] = t->slack[i];
	return c4_median(t->scratch, n);
}

/* How long messages take on a GPU is not known: any of them couple. */
static bool p2p_coupled(const struct c4_look *l, const struct table *t)
{
	for (uint32_t i = 0; i < t->n; i++) {
		const struct c4_diag_rank *r = &l->job->ranks[t->comm->members[i]];

		if (r->p2p_share >= P2P_COUPLED || (t->comm->gpu && r->gpu_p2p))
			return true;
	}
	return false;
}

static double queueing(const struct c4_look *l, const struct table *t, uint32_t i)
{
	return l->job->ranks[t->comm->members[i]].runqueue;
}

static void smooth(struct c4_comm_memory *cm, const struct table *t)
{
	double length = (double)t->length_ns / t->windows;
	double rate = fmin(1.0, length / SMOOTH_NS);

	for (uint32_t i = 0; i < t->n; i++)
		cm->smooth[i] += rate * (t->share[i] - cm->smooth[i]);
	cm->smoothed_ns += (uint64_t)length;
}

static bool unusual(const struct table *t, const struct c4_comm_memory *cm, uint32_t i)
{
	return cm->nlearned >= LEARN_WINDOWS && t->share[i] - cm->usual[i] >= MARGIN;
}

static bool is_culprit(struct table *t, uint32_t i, double median_own)
{
	double excess = t->own[i] - median_own;

	if (t->share[i] < MARGIN || excess < NOTICEABLE_NS || excess > SECONDS_NS)
		return false;
	if (t->steady[i] < t->windows - t->windows / 4)
		return false;
	return stands_out(t, t->share, i, 0) && t->slack[i] <= 0.5 * slack_median_without(t, i);
}

static bool own_doing(const struct c4_look *l, struct table *t, uint32_t i)
{
	const struct c4_diag_rank *me = &l->job->ranks[t->comm->members[i]];
	uint32_t n = 0;

	for (uint32_t k = 0; k < t->n; k++)
		if (k != i)
			t->scratch[n++] = l->job->ranks[t->comm->members[k]].cpu;
	return me->cpu >= CPU_MORE * c4_median(t->scratch, n) ||
	       me->cpu + me->runqueue <= CPU_ABSENT;
}

static bool is_contended_culprit(const struct c4_look *l, struct table *t,
				 const struct c4_comm_memory *cm, uint32_t i)
{
	bool crowded = queueing(l, t, i) >= CROWDED;

	if (cm->smoothed_ns < SMOOTH_NS || (crowded && !own_doing(l, t, i)))
		return false;
	return stands_out(t, cm->smooth, i, crowded ? CROWDED_MARGIN : MARGIN);
}

static void note(struct findings *f, const struct table *t, uint32_t i, double median_own,
		 double median_late)
{
	struct slow s = {.rank = t->comm->members[i],
			 .comm = t->index,
			 .share = t->share[i],
			 .excess_ns = t->own[i] - median_own,
			 .own_ns = t->own[i],
			 .own_median_ns = median_own,
			 .late_ns = t->late[i],
			 .late_median_ns = median_late,
			 .slack_share = t->span_ns > 0 ? t->slack[i] / t->span_ns : 0,
			 .windows = t->steady[i],
			 .since_ns = t->length_ns * t->steady[i] / t->windows};

	for (uint32_t k = 0; k < f->n; k++) {
		if (f->slow[k].rank != s.rank)
			continue;
		if (s.late_ns > f->slow[k].late_ns) /* show it where it is seen best */
			f->slow[k] = s;
		return;
	}
	if (f->n < MAX_SLOW)
		f->slow[f->n++] = s;
}

/* With two members "more than the median" is half the difference: compare with the other one. */
static void widen_pairs(struct table *t)
{
	if (t->n != 2)
		return;
	for (uint32_t i = 0; i < 2; i++)
		t->share[i] *= 2;
}

static void learn(struct c4_comm_memory *cm, const struct table *t)
{
	double rate = 1.0 / (cm->nlearned < 10 ? cm->nlearned + 1 : 10);

	for (uint32_t i = 0; i < t->n; i++)
		if (cm->nlearned < LEARN_WINDOWS || t->share[i] - cm->usual[i] < MARGIN * 0.6)
			cm->usual[i] += rate * (t->share[i] - cm->usual[i]);
	cm->nlearned++;
}

/* False once the communicator has been quiet for long: old windows say nothing about now. */
static bool fresh(struct c4_look *l, struct c4_comm_memory *cm, const struct c4_diag_comm *c,
		  const struct table *t, bool *ret_moved)
{
	uint64_t serial = c->windows[c->nwindows - 1].serial;
	uint64_t patience = t->windows ? 3 * t->length_ns / t->windows : 0;

	*ret_moved = serial != cm->serial;
	if (*ret_moved) {
		cm->serial = serial;
		cm->changed_ns = l->job->now_ns;
	}
	if (patience < STALE_NS)
		patience = STALE_NS;
	return l->job->now_ns - cm->changed_ns <= patience;
}

/* A pair only says that the two differ; a larger communicator of the same rank knows better. */
static bool contradicted(const struct table *t, const struct findings *f, uint32_t i)
{
	double share = f->share[t->comm->members[i]];

	return t->n == 2 && !isnan(share) && share < MARGIN / 2;
}

static void remember_shares(const struct table *t, struct findings *f)
{
	for (uint32_t i = 0; t->n > 2 && i < t->n; i++)
		f->share[t->comm->members[i]] = fmax(f->share[t->comm->members[i]], t->share[i]);
}

static void find_culprits(struct c4_look *l, struct table *t, struct c4_comm_memory *cm,
			  struct findings *f)
{
	bool coupled = p2p_coupled(l, t);
	double own = median_of(t, t->own), late = median_of(t, t->late);
	uint32_t before = f->n, found = 0;

	if (t->n == 2)
		own = fmin(t->own[0], t->own[1]);
	for (uint32_t i = 0; i < t->n; i++) {
		bool slow = queueing(l, t, i) >= CONTENDED ? is_contended_culprit(l, t, cm, i)
							   : is_culprit(t, i, own);

		if (!slow || (coupled && !unusual(t, cm, i)) || contradicted(t, f, i))
			continue;
		note(f, t, i, own, late);
		found++;
	}
	if (found * 2 >= t->n && t->n > 2) /* half of them: two classes, not culprits */
		f->n = before;
}

static bool judgeable(const struct c4_diag_job *job, const struct c4_diag_comm *c)
{
	if (!c->judged || !c->members || c->size < 2 || c->nwindows < WINDOWS_MIN)
		return false;
	for (uint32_t i = 0; i < c->size; i++)
		if (c->members[i] < 0 || (uint32_t)c->members[i] >= job->nranks)
			return false;
	return true;
}

static void judge_comm(struct c4_look *l, uint32_t index, struct findings *f)
{
	const struct c4_diag_comm *c = &l->job->comms[index];
	struct c4_comm_memory *cm;
	struct table t;
	bool moved;

	if (!judgeable(l->job, c))
		return;
	cm = c4_memory_comm(l->memory, c->id, c->size, index);
	if (!cm || table_init(&t, c, index)) {
		l->out->failed = true;
		return;
	}
	if (!table_fill(&t) && fresh(l, cm, c, &t, &moved) && t.windows >= WINDOWS_MIN) {
		widen_pairs(&t);
		remember_shares(&t, f);
		if (t.length_ns >= MIN_NS)
			find_culprits(l, &t, cm, f);
		if (moved) {
			learn(cm, &t);
			smooth(cm, &t);
		}
	}
	table_release(&t);
}

static const char *op_name(const struct c4_diag_job *job, const struct slow *s)
{
	const struct c4_diag_comm *c = &job->comms[s->comm];
	const struct c4_op_info *op = c4_op_info(c->windows[c->nwindows - 1].kind);

	return op->cls == C4_CLASS_SYNC ? op->name : "operations";
}

static void describe(struct c4_look *l, const struct slow *s, struct c4_verdict *v)
{
	const struct c4_diag_job *job = l->job;
	const struct c4_diag_rank *rank = &job->ranks[s->rank];
	double late_ms = fmax(s->late_ns, s->excess_ns) / 1e6;
	char who[128];

	v->confirmed = true;
	v->confidence = fmin(0.99, 0.8 + s->share);
	v->since_ns = s->since_ns;
	v->nwaiting = job->comms[s->comm].size - v->nranks;
	c4_verdict_say(v,
		       "%s arrives %.*f ms late in %s of comm %s (%.0f %% of the step is its own "
		       "excess); %u rank%s for it",
		       c4_verdict_who(v, who, sizeof who), late_ms < 10 ? 1 : 0, late_ms,
		       op_name(job, s), c4_diag_comm_name(job, s->comm), s->share * 100,
		       v->nwaiting, v->nwaiting == 1 ? " waits" : "s wait");
	c4_verdict_evidence(v, "own_ms", s->own_ns / 1e6, s->own_median_ns / 1e6, s->windows,
			    "own work per operation of comm %s", c4_diag_comm_name(job, s->comm));
	c4_verdict_evidence(v, "lateness_ms", s->late_ns / 1e6, s->late_median_ns / 1e6, s->windows,
			    "after the first to arrive");
	c4_verdict_evidence(v, "excess_share", s->share, 0, s->windows,
			    "of the time per operation");
	c4_verdict_evidence(v, "slack_share", s->slack_share, NAN, s->windows,
			    "of its time it waits itself");
	c4_verdict_evidence(v, "cpu_cores", rank->cpu, NAN, 0, "the rank's own use");
	c4_verdict_evidence(v, "runqueue_share", rank->runqueue, NAN, 0,
			    "time it was ready but had no core");
}

static bool on_node(const struct c4_diag_job *job, int32_t r, const char *node)
{
	return node && job->ranks[r].node && !strcmp(job->ranks[r].node, node);
}

/* All ranks of a node with several, but not of the whole job: ascending, into ranks; else 0. */
static uint32_t whole_node(const struct c4_diag_job *job, const struct findings *f, uint32_t k,
			   int32_t *ranks)
{
	const char *node = job->ranks[f->slow[k].rank].node;
	uint32_t slow = 0, there = 0;

	for (uint32_t i = 0; i < f->n; i++)
		slow += on_node(job, f->slow[i].rank, node);
	for (uint32_t r = 0; slow > 1 && r < job->nranks; r++) {
		if (!on_node(job, (int32_t)r, node))
			continue;
		if (there < MAX_SLOW)
			ranks[there] = (int32_t)r;
		there++;
	}
	return slow > 1 && slow == there && there < job->nranks ? there : 0;
}

static void report(struct c4_look *l, const struct findings *f, uint32_t k)
{
	int32_t ranks[MAX_SLOW];
	uint32_t n = whole_node(l->job, f, k, ranks);
	struct c4_verdict *v;

	if (n && ranks[0] != f->slow[k].rank)
		return; /* said for the node's first rank */
	v = c4_verdict_add(l->out, l->job, n ? C4_INC_SLOW_NODE : C4_INC_SLOW_RANK, 0,
			   n ? ranks : &f->slow[k].rank, n ? n : 1);
	if (v)
		describe(l, &f->slow[k], v);
}

void c4_judge_slow(struct c4_look *l)
{
	struct findings f = {.share = malloc((l->job->nranks + 1) * sizeof *f.share)};

	if (!f.share) {
		l->out->failed = true;
		return;
	}
	for (uint32_t r = 0; r < l->job->nranks; r++)
		f.share[r] = NAN;
	for (uint32_t i = 0; i < l->job->ncomms; i++)
		if (l->job->comms[i].size != 2)
			judge_comm(l, i, &f);
	for (uint32_t i = 0; i < l->job->ncomms; i++)
		if (l->job->comms[i].size == 2)
			judge_comm(l, i, &f);
	for (uint32_t k = 0; k < f.n && f.n * 2 <= l->job->nranks; k++)
		report(l, &f, k);
	free(f.share);
}
