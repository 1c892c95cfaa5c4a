// SPDX-License-Identifier: BSD-3-Clause
#include "collector/diag/memory.h"

#include <stdlib.h>

#define PAUSE_MIN_NS 1000000000u /* shorter waits are no pause */
#define PAUSE_KNOWN  2		 /* finished ones before it counts as behaviour */

struct c4_diag_memory *c4_diag_memory_new(void)
{
	return calloc(1, sizeof(struct c4_diag_memory));
}

static void release_comm(struct c4_comm_memory *c)
{
	free(c->usual);
	free(c->smooth);
	free(c->path.hot);
}

void c4_diag_memory_free(struct c4_diag_memory *m)
{
	if (!m)
		return;
	for (uint32_t i = 0; i < m->ncomms; i++)
		release_comm(&m->comms[i]);
	free(m->comms);
	free(m);
}

static const struct c4_pause *find_pause(const struct c4_diag_memory *m, uint64_t comm,
					 int32_t rank)
{
	for (size_t i = 0; i < C4_PAUSES; i++)
		if (m->pauses[i].comm == comm && m->pauses[i].rank == rank)
			return &m->pauses[i];
	return NULL;
}

/* The slot of this pair, or the least recently used one, cleared. */
static struct c4_pause *claim_pause(struct c4_diag_memory *m, uint64_t comm, int32_t rank)
{
	struct c4_pause *oldest = &m->pauses[0];
	const struct c4_pause *known = find_pause(m, comm, rank);

	if (known)
		return &m->pauses[known - m->pauses];
	for (size_t i = 1; i < C4_PAUSES; i++)
		if (m->pauses[i].seen_ns < oldest->seen_ns)
			oldest = &m->pauses[i];
	*oldest = (struct c4_pause){.comm = comm, .rank = rank};
	return oldest;
}

void c4_memory_waiting(struct c4_diag_memory *m, uint64_t comm, int32_t rank, uint64_t wait_ns,
		       bool learnable, uint64_t now_ns)
{
	struct c4_pause *p;

	if (wait_ns < PAUSE_MIN_NS)
		return;
	p = claim_pause(m, comm, rank);
	if (!p->ongoing) {
		/* the same wait, only overlooked once? then it has not ended after all */
		bool same = p->n && wait_ns > now_ns - p->seen_ns + PAUSE_MIN_NS;

		p->n -= same;
		p->ongoing = true;
		p->learnable = true;
		p->ongoing_ns = 0;
	}
	p->learnable = p->learnable && learnable;
	if (wait_ns > p->ongoing_ns)
		p->ongoing_ns = wait_ns;
	p->seen_ns = now_ns;
}

void c4_memory_close_waits(struct c4_diag_memory *m, uint64_t now_ns)
{
	for (size_t i = 0; i < C4_PAUSES; i++) {
		struct c4_pause *p = &m->pauses[i];

		if (!p->ongoing || p->seen_ns == now_ns)
			continue;
		p->ongoing = false;
		if (p->learnable)
			p->recent_ns[p->n++ % C4_PAUSE_SAMPLES] = p->ongoing_ns;
	}
}

uint64_t c4_memory_pause_ns(const struct c4_diag_memory *m, uint64_t comm, int32_t rank)
{
	const struct c4_pause *p = find_pause(m, comm, rank);
	uint64_t longest = 0;

	if (!p || p->n < PAUSE_KNOWN)
		return 0;
	for (size_t i = 0; i < C4_PAUSE_SAMPLES; i++)
		if (p->recent_ns[i] > longest)
			longest = p->recent_ns[i];
	return longest + longest / 2;
}

static struct c4_comm_memory *find_comm(const struct c4_diag_memory *m, uint64_t comm,
					uint32_t hint)
{
	if (hint < m->ncomms && m->comms[hint].comm == comm)
		return &m->comms[hint];
	for (uint32_t i = 0; i < m->ncomms; i++)
		if (m->comms[i].comm == comm)
			return &m->comms[i];
	return NULL;
}

double c4_diag_worst_excess(const struct c4_diag_memory *m, uint64_t comm, uint32_t hint)
{
	const struct c4_comm_memory *c = find_comm(m, comm, hint);

	return c ? c->path.worst : 0;
}

static bool grow(struct c4_diag_memory *m)
{
	uint32_t cap = m->cap ? m->cap * 2 : 16;
	struct c4_comm_memory *grown;

	if (m->ncomms < m->cap)
		return true;
	grown = realloc(m->comms, cap * sizeof *grown);
	if (!grown)
		return false;
	m->comms = grown;
	m->cap = cap;
	return true;
}

struct c4_comm_memory *c4_memory_comm(struct c4_diag_memory *m, uint64_t comm, uint32_t nmembers,
				      uint32_t hint)
{
	struct c4_comm_memory *c = find_comm(m, comm, hint), made = {0};

	if (c)
		return c->nmembers == nmembers ? c : NULL;
	made.comm = comm;
	made.nmembers = nmembers;
	made.usual = calloc(nmembers + 1, sizeof *made.usual);
	made.smooth = calloc(nmembers + 1, sizeof *made.smooth);
	if (!made.usual || !made.smooth || !grow(m)) {
		release_comm(&made);
		return NULL;
	}
	c = &m->comms[m->ncomms++];
	*c = made;
	return c;
}
