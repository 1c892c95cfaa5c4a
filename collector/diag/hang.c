// SPDX-License-Identifier: BSD-3-Clause
/*
 * hang.c - hang-rank: who is at the end of the chain.
 *
 * A root is a rank others wait for while it waits for nobody. How long that is tolerated depends on
 * what the rank is seen doing: a stopped process will not come by itself, an idle one hardly, a
 * computing or reading one probably will. Pauses that ended by themselves before are known
 * (memory.h) and tolerated half as long again.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "collector/diag/judge.h"
#include "collector/diag/verdict.h"

#define STOPPED_NS  2500000000u
#define IDLE_NS	    3000000000u
#define IDLE_FOR_NS 1500000000u /* no CPU time and no I/O for so long is idle */
#define BUSY_NS	    8000000000u
#define WARMUP_NS   30000000000u /* busy before WARMUP_OPS operations: still starting up */
#define WARMUP_OPS  8

enum doing {
	DOING_STOPPED,
	DOING_IDLE,
	DOING_DISK,
	DOING_BUSY,
	DOING_STUCK,
	DOING_GPU,
	DOING_NOTHING_WRONG
};

static const char *const words[] = {
	[DOING_STOPPED] = "is stopped",
	[DOING_IDLE] = "sleeps outside the collective",
	[DOING_DISK] = "waits for a disk",
	[DOING_BUSY] = "is busy outside the collective",
	[DOING_STUCK] = "is stuck in an operation its peers have left",
	[DOING_GPU] = "has handed its operation to a GPU that has not begun it",
};

struct root {
	int32_t rank;
	enum doing doing;
	uint64_t age_ns; /* of the longest wait for it */
	uint64_t tolerated_ns;
};

/* More culprits than this are no fault of ranks. */
#define MAX_ROOTS 256

struct roots {
	uint32_t n; /* may exceed MAX_ROOTS */
	uint32_t stopped, living, waiting;
	struct root root[MAX_ROOTS];
};

/* Where the others wait for r it has come, but its kernel has not begun: the stream before it, or
 * the GPU, stands still. */
static bool gpu_behind(const struct c4_waits *w, int32_t r)
{
	uint32_t comm = w->blocks_comm[r];
	const struct c4_diag_comm *c;
	int64_t m;

	if (comm == C4_DIAG_NONE || !w->job->comms[comm].gpu)
		return false;
	c = &w->job->comms[comm];
	m = c4_waits_member(c, r);
	return m >= 0 && c->state[m].entered > w->comms[comm].op &&
	       c4_waits_begun(c, (uint32_t)m) <= w->comms[comm].op;
}

static enum doing what_it_does(const struct c4_waits *w, int32_t r)
{
	const struct c4_diag_rank *rank = &w->job->ranks[r];
	uint32_t comm;
	uint64_t op;

	if (rank->run == C4_RUN_STOPPED)
		return DOING_STOPPED;
	if (rank->run == C4_RUN_TRACED || rank->run == C4_RUN_GONE || rank->finalized ||
	    rank->finalizing || w->waiting[r])
		return DOING_NOTHING_WRONG;
	if (c4_waits_left_behind(w, r, &comm, &op))
		return DOING_STUCK;
	if (w->calls[r].kind != C4_OP_NONE && c4_op_info(w->calls[r].kind)->cls != C4_CLASS_P2P)
		return DOING_NOTHING_WRONG; /* in an operation everybody has entered */
	if (w->p2p_open[r])
		return DOING_NOTHING_WRONG; /* waits itself, for whom is not seen */
	if (gpu_behind(w, r))
		return DOING_GPU;
	if (rank->run == C4_RUN_DISK)
		return DOING_DISK;
	return rank->idle_for_ns >= IDLE_FOR_NS ? DOING_IDLE : DOING_BUSY;
}

/* Operations already finished where the others wait: few of them mean the job is starting up. */
static uint64_t ops_done(const struct c4_look *l, int32_t r)
{
	uint32_t comm = l->waits->blocks_comm[r];

	return comm == C4_DIAG_NONE ? WARMUP_OPS : l->waits->comms[comm].op;
}

static uint64_t about(const struct c4_look *l, int32_t r)
{
	uint32_t comm = l->waits->blocks_comm[r];

	return comm == C4_DIAG_NONE ? 0 : l->job->comms[comm].id;
}

static uint64_t tolerance(const struct c4_look *l, const struct root *root)
{
	uint64_t known = c4_memory_pause_ns(l->memory, about(l, root->rank), root->rank);
	uint64_t floor;

	switch (root->doing) {
	case DOING_STOPPED: return STOPPED_NS;
	case DOING_IDLE: floor = IDLE_NS; break;
	default: floor = ops_done(l, root->rank) < WARMUP_OPS ? WARMUP_NS : BUSY_NS; break;
	}
	return known > floor ? known : floor;
}

/* They wait for it where the members disagree on what to do, or where a connection stands still:
 * that is the fault, not the rank. */
static bool explained_otherwise(const struct c4_look *l, int32_t r)
{
	uint32_t comm = l->waits->blocks_comm[r];

	return comm != C4_DIAG_NONE &&
	       (l->waits->comms[comm].mismatched || l->waits->comms[comm].transport);
}

static bool examine(struct c4_look *l, int32_t r, struct root *root)
{
	*root = (struct root){.rank = r, .age_ns = l->waits->blocks_age_ns[r]};
	if (!l->waits->blocks[r] || explained_otherwise(l, r))
		return false;
	root->doing = what_it_does(l->waits, r);
	if (root->doing == DOING_NOTHING_WRONG)
		return false;
	c4_memory_waiting(l->memory, about(l, r), r, root->age_ns, root->doing != DOING_STOPPED,
			  l->job->now_ns);
	root->tolerated_ns = tolerance(l, root);
	return true;
}

static bool over(const struct root *root)
{
	return root->age_ns >= root->tolerated_ns;
}

static void collect(struct c4_look *l, struct roots *roots)
{
	struct root root;

	for (uint32_t r = 0; r < l->job->nranks; r++) {
		roots->living += l->job->ranks[r].seen && l->job->ranks[r].run != C4_RUN_GONE;
		roots->waiting += l->waits->waiting[r];
		if (!examine(l, (int32_t)r, &root))
			continue;
		roots->stopped += root.doing == DOING_STOPPED;
		if (roots->n < MAX_ROOTS)
			roots->root[roots->n] = root;
		roots->n++;
	}
}

/*
 * Most ranks away and a few waiting is not "most ranks hang": the few came early (uneven work, an
 * evaluation phase). Stopped ranks are another matter.
 */
static bool plausible(const struct roots *roots)
{
	return roots->n <= MAX_ROOTS && (roots->stopped || roots->n * 2 <= roots->living);
}

static void where(const struct c4_look *l, int32_t r, char *buf, size_t n)
{
	uint32_t comm = l->waits->blocks_comm[r], kind;
	const struct c4_diag_comm *c;

	if (comm == C4_DIAG_NONE) {
		snprintf(buf, n, "in point-to-point calls");
		return;
	}
	c = &l->job->comms[comm];
	kind = c4_waits_op_kind(c, l->waits->comms[comm].op);
	if (kind == C4_OP_NONE)
		snprintf(buf, n, "in comm %s", c4_diag_comm_name(l->job, comm));
	else
		snprintf(buf, n, "in %s #%llu of comm %s", c4_op_info(kind)->name,
			 (unsigned long long)l->waits->comms[comm].op,
			 c4_diag_comm_name(l->job, comm));
}

/* What the rank's GPU has done of what it was given. */
static void describe_gpu(const struct c4_look *l, const struct root *root, struct c4_verdict *v)
{
	uint32_t comm = l->waits->blocks_comm[root->rank];
	const struct c4_diag_comm *c = &l->job->comms[comm];
	const struct c4_diag_member *m = &c->state[c4_waits_member(c, root->rank)];

	c4_verdict_evidence(v, "gpu_begun", (double)c4_waits_begun(c, (uint32_t)(m - c->state)),
			    (double)(l->waits->comms[comm].op + 1), 0,
			    "kernels of comm %s begun, %llu handed to the stream",
			    c4_diag_comm_name(l->job, comm), (unsigned long long)m->entered);
	c4_verdict_gpu(v, l->job, root->rank);
}

static void describe(const struct c4_look *l, const struct roots *roots, const struct root *root,
		     struct c4_verdict *v)
{
	const struct c4_diag_rank *rank = &l->job->ranks[root->rank];
	double wait_s = (double)root->age_ns / 1e9;
	char who[128], place[96];

	where(l, root->rank, place, sizeof place);
	v->confirmed = over(root);
	v->confidence = root->doing == DOING_STOPPED ? 0.99
			: root->doing == DOING_IDLE  ? 0.95
						     : 0.8;
	v->since_ns = root->age_ns;
	/* a single root is what everybody waits for, directly or not */
	v->nwaiting = roots->n == v->nranks ? roots->waiting : l->waits->blocks[root->rank];
	c4_verdict_say(v, "%s %s; %u rank%s for it %s for %.1f s",
		       c4_verdict_who(v, who, sizeof who), words[root->doing], v->nwaiting,
		       v->nwaiting == 1 ? " waits" : "s wait", place, wait_s);
	c4_verdict_evidence(v, "wait_s", wait_s, NAN, 0, "longest wait for it, %s", place);
	if (root->doing == DOING_GPU)
		describe_gpu(l, root, v);
	c4_verdict_evidence(v, "tolerated_s", (double)root->tolerated_ns / 1e9, NAN, 0,
			    "for a rank that %s", words[root->doing]);
	c4_verdict_evidence(v, "cpu_cores", rank->cpu, NAN, 0, "the rank's own use");
	c4_verdict_evidence(v, "idle_s", (double)rank->idle_for_ns / 1e9, NAN, 0,
			    "without CPU time or I/O");
	c4_verdict_evidence(v, "outside_s", (double)rank->outside_ns / 1e9, NAN, 0,
			    "since its last call returned");
}

static bool on_node(const struct c4_diag_job *job, int32_t r, const char *node)
{
	return job->ranks[r].node && !strcmp(job->ranks[r].node, node);
}

/* If every rank of root's node is a root over its time: those ranks, ascending; else 0. */
static uint32_t whole_node(const struct c4_look *l, const struct roots *roots,
			   const struct root *root, int32_t *ranks)
{
	const char *node = l->job->ranks[root->rank].node;
	uint32_t n = 0, living = 0;

	for (uint32_t i = 0; node && i < roots->n; i++)
		if (over(&roots->root[i]) && on_node(l->job, roots->root[i].rank, node))
			ranks[n++] = roots->root[i].rank;
	for (uint32_t r = 0; n > 1 && r < l->job->nranks; r++)
		living += l->job->ranks[r].seen && on_node(l->job, (int32_t)r, node);
	return n > 1 && n == living ? n : 0;
}

static void judge_root(struct c4_look *l, const struct roots *roots, const struct root *root)
{
	int32_t ranks[MAX_ROOTS];
	uint32_t n = over(root) ? whole_node(l, roots, root, ranks) : 0;
	struct c4_verdict *v;

	if (n && ranks[0] != root->rank)
		return; /* said for the node's first rank */
	v = c4_verdict_add(l->out, l->job, C4_INC_HANG_RANK, 0, n ? ranks : &root->rank, n ? n : 1);
	if (v)
		describe(l, roots, root, v);
}

void c4_judge_hang(struct c4_look *l)
{
	struct roots roots = {0};

	collect(l, &roots);
	for (uint32_t i = 0; plausible(&roots) && i < roots.n; i++)
		if (roots.root[i].age_ns * 2 >= roots.root[i].tolerated_ns)
			judge_root(l, &roots, &roots.root[i]);
	c4_memory_close_waits(l->memory, l->job->now_ns);
}
