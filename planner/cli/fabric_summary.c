// SPDX-License-Identifier: BSD-3-Clause
#include "planner/cli/fabric_summary.h"

#include <errno.h>
#include <stdlib.h>

#define NETS_SHOWN 32u

struct span {
	double min, max;
	uint32_t n;
};

struct net {
	uint32_t tiers[3]; /* switches, by enum c4_tier */
	uint32_t plane, pods, nics;
	struct span up; /* live Gb/s of a leaf's uplinks */
};

static void widen(struct span *s, double v)
{
	if (!s->n || v < s->min)
		s->min = v;
	if (!s->n || v > s->max)
		s->max = v;
	s->n++;
}

static void print_span(FILE *out, const struct span *s)
{
	if (s->n && s->min < s->max)
		fprintf(out, "%g to %g", s->min, s->max);
	else
		fprintf(out, "%g", s->n ? s->min : 0);
}

static double uplinks(const struct c4_fabric *f, uint32_t leaf)
{
	double gbps = 0;

	for (uint32_t k = f->link_at[leaf]; k < f->link_at[leaf + 1]; k++)
		gbps += (double)f->links[f->link_of[k]].now_gbps;
	return gbps;
}

static void collect(const struct c4_fabric *f, struct net *nets)
{
	for (uint32_t i = 0; i < f->n_switches; i++) {
		const struct c4_switch *s = &f->switches[i];
		struct net *n = &nets[s->net];

		n->tiers[s->tier]++;
		n->plane = s->plane;
		if (s->tier != C4_CORE && s->pod >= n->pods)
			n->pods = s->pod + 1;
		if (s->tier == C4_LEAF)
			widen(&n->up, uplinks(f, i));
	}
	for (uint32_t i = 0; i < f->n_nics; i++)
		nets[f->switches[f->nics[i].leaf].net].nics++;
}

static void print_net(FILE *out, const struct net *n)
{
	fprintf(out, "plane %-3u %u leaves, %u spines", n->plane, n->tiers[C4_LEAF],
		n->tiers[C4_SPINE]);
	if (n->tiers[C4_CORE])
		fprintf(out, ", %u cores, %u pods", n->tiers[C4_CORE], n->pods);
	fprintf(out, ", %u NICs; ", n->nics);
	print_span(out, &n->up);
	fprintf(out, " Gb/s up per leaf\n");
}

static void print_whole(const struct c4_fabric *f, FILE *out)
{
	uint32_t dead = 0, degraded = 0, tiers[3] = {0};
	struct span rate = {0};

	for (uint32_t i = 0; i < f->n_switches; i++)
		tiers[f->switches[i].tier]++;
	for (uint32_t i = 0; i < f->n_links; i++) {
		const struct c4_link *l = &f->links[i];

		widen(&rate, (double)l->gbps);
		dead += l->now_gbps <= 0;
		degraded += l->now_gbps > 0 && l->now_gbps < l->gbps;
	}
	fprintf(out, "hosts     %u, with %u NICs\n", f->n_hosts, f->n_nics);
	fprintf(out, "switches  %u leaves, %u spines, %u cores\n", tiers[C4_LEAF], tiers[C4_SPINE],
		tiers[C4_CORE]);
	fprintf(out, "links     %u of ", f->n_links);
	print_span(out, &rate);
	fprintf(out, " Gb/s; %u dead, %u degraded\n", dead, degraded);
}

int c4_fabric_summary(const struct c4_fabric *f, FILE *out)
{
	struct net *nets = calloc(f->n_nets, sizeof *nets);

	if (!nets)
		return -ENOMEM;
	collect(f, nets);
	print_whole(f, out);
	for (uint32_t i = 0; i < f->n_nets && i < NETS_SHOWN; i++)
		print_net(out, &nets[i]);
	if (f->n_nets > NETS_SHOWN)
		fprintf(out, "          and %u more networks\n", f->n_nets - NETS_SHOWN);
	free(nets);
	return 0;
}
