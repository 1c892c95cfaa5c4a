// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/kin.h"

#include <string.h>

#include "agent/daemon/target.h"

bool c4_kin_same_process(const struct c4_target *a, const struct c4_target *b)
{
	const struct c4_seg_header *x = &a->seg.toc, *y = &b->seg.toc;

	/* the names as well: process numbers repeat where containers share a runtime directory */
	return x->pid == y->pid && x->start_jiffies == y->start_jiffies &&
	       !strcmp(x->host, y->host) && !strcmp(x->node, y->node) &&
	       strcmp(x->hook, y->hook) != 0;
}

void c4_kin_join(struct c4_target *t, struct c4_target *other)
{
	t->handle = other->handle;
	t->kin = other->kin;
	other->kin = t;
}

void c4_kin_leave(struct c4_target *t)
{
	struct c4_target *before = t;

	while (before->kin != t)
		before = before->kin;
	before->kin = t->kin;
	t->kin = t;
}

/* The lower, the sooner it is the process. */
static unsigned int precedence(const struct c4_target *t)
{
	static const char *const order[] = {"mpi", "nccl", "nccl-api"};
	unsigned int n = sizeof order / sizeof *order, i = 0;

	while (i < n && strcmp(t->seg.toc.hook, order[i]) != 0)
		i++;
	return c4_target_has_rank(t) ? i : i + n + 1;
}

static bool precedes(const struct c4_target *a, const struct c4_target *b)
{
	unsigned int x = precedence(a), y = precedence(b);

	return x < y || (x == y && strcmp(a->seg.toc.hook, b->seg.toc.hook) < 0);
}

const struct c4_target *c4_kin_process(const struct c4_target *t)
{
	const struct c4_target *best = t;

	for (const struct c4_target *one = t->kin; one != t; one = one->kin)
		if (precedes(one, best))
			best = one;
	return best;
}

bool c4_kin_is_part(const struct c4_target *t)
{
	return c4_kin_process(t) != t;
}

const struct c4_target *c4_kin_with_gpu(const struct c4_target *t)
{
	const struct c4_target *one;

	c4_kin_for_each (one, t)
		if (one->seg.toc.gpu >= 0 || one->seg.toc.gpu_bus[0])
			return one;
	return t;
}
