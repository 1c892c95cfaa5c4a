// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/routes/window.h"

#include <errno.h>
#include <stdlib.h>

/* What carries less than 64 KiB in a window (replies, heartbeats) is as fast as the time to the
 * peer and back lets it: that says nothing of rates. */
#define LEAST_GBPS (65536.0 * 8 / (double)C4_WINDOW_NS)

void c4_window_release(struct c4_window *w)
{
	free(w->input);
	free(w->of);
	free(w->from);
	free(w->nic_gbps);
	*w = (struct c4_window){0};
}

static int make_room(struct c4_window *w)
{
	if (w->input)
		return 0;
	w->input = malloc(C4_SENSE_FLOWS_MAX * sizeof *w->input);
	w->of = malloc(C4_SENSE_FLOWS_MAX * sizeof *w->of);
	w->from = malloc(C4_SENSE_FLOWS_MAX * sizeof *w->from);
	if (w->input && w->of && w->from)
		return 0;
	c4_window_release(w);
	return -ENOMEM;
}

int c4_window_follow(struct c4_window *w, const struct c4_fabric *f)
{
	float *rates = malloc(((size_t)f->n_nics + 1) * sizeof *rates);

	if (!rates || make_room(w)) {
		free(rates);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < f->n_nics; i++)
		rates[i] = f->nics[i].gbps;
	free(w->nic_gbps);
	w->nic_gbps = rates;
	w->n = 0; /* its numbers are those of another fabric */
	return 0;
}

/* ---- gathering ------------------------------------------------------------------------------- */

static void put_direction(struct c4_window *w, const struct c4_edition *e, struct c4_flow *x,
			  uint8_t from, uint64_t now_ns)
{
	const struct c4_flow_end *end = &x->end[from];
	const struct c4_flow_way *way = &x->way[from];
	const struct c4_fabric *f = &e->fabric->fabric;
	struct c4_sense_flow *to = &w->input[w->n];

	/* told in this window, or so late in the last one that nobody looked */
	if (w->n == C4_SENSE_FLOWS_MAX || end->sent_gbps < LEAST_GBPS ||
	    end->seen_ns + C4_WINDOW_NS / 2 < w->ended_ns || !c4_flow_fresh(x, from, now_ns))
		return;
	*to = (struct c4_sense_flow){
		.src = x->nic[from],
		.dst = x->nic[!from],
		.gbps = end->sent_gbps,
		.busy_gbps = end->busy_gbps,
		.busy = end->busy,
		.limited = end->limited,
	};
	if (!c4_flow_estimated(x)) {
		c4_path_directed(f, f->nics[to->src].leaf, &way->path, to->link);
		to->hops = way->path.hops;
	}
	for (uint32_t i = 0; i < C4_FLOW_HOPS; i++)
		if (now_ns < way->rtt_ns[i] + C4_FLOW_SILENT_NS)
			to->rtt_us[i] = way->rtt_us[i];
	w->of[w->n] = x;
	w->from[w->n++] = from;
}

void c4_window_gather(struct c4_window *w, const struct c4_edition *e, const struct c4_flows *f,
		      uint64_t now_ns)
{
	struct c4_map_entry *m;

	w->n = 0;
	c4_map_for_each (m, &f->by_key) {
		put_direction(w, e, m->value, 0, now_ns);
		put_direction(w, e, m->value, 1, now_ns);
	}
	w->ended_ns = now_ns;
}

/* ---- strays ---------------------------------------------------------------------------------- */

/* Whether connections from leaf to leaf may go over it. */
static bool may_cross(const struct c4_fabric *f, uint32_t link, uint32_t src, uint32_t dst)
{
	uint32_t below = f->links[link / 2].a;

	if (src == dst)
		return false;
	if (f->switches[below].tier != C4_LEAF)
		return true;
	return below == (link % 2 ? dst : src);
}

/* Of input i: where a probe showed its way that decides. */
static bool may_be_there(const struct c4_window *w, const struct c4_fabric *f, uint32_t link,
			 uint32_t i, bool placed)
{
	const struct c4_flow_way *way = &w->of[i]->way[w->from[i]];
	const struct c4_sense_flow *stray = &w->input[i];
	uint32_t links[C4_HOPS_MAX];

	if (way->path.hops && !placed)
		return false;
	if (!way->seen_ns || !way->path.hops)
		return may_cross(f, link, f->nics[stray->src].leaf, f->nics[stray->dst].leaf);
	c4_path_directed(f, f->nics[stray->src].leaf, &way->path, links);
	for (uint32_t k = 0; k < way->path.hops; k++)
		if (links[k] == link)
			return true;
	return false;
}

double c4_window_strays(const struct c4_window *w, struct c4_watches *watches,
			const struct c4_edition *e, uint32_t link, bool placed, uint64_t now_ns)
{
	const struct c4_fabric *f = &e->fabric->fabric;
	double sum = 0;

	for (uint32_t i = 0; i < w->n; i++) {
		const struct c4_sense_flow *stray = &w->input[i];

		if (stray->hops || !may_be_there(w, f, link, i, placed))
			continue;
		sum += stray->busy_gbps > stray->gbps ? stray->busy_gbps : stray->gbps;
		c4_watches_flow(watches, f, w->of[i], w->from[i], now_ns);
	}
	return sum;
}
