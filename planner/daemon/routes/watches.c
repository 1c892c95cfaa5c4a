// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/routes/watches.h"

void c4_watches_add(struct c4_watches *w, const struct c4_watch *x)
{
	if (w->n < C4_WATCHES_MAX)
		w->v[w->n++] = *x;
}

void c4_watches_flow(struct c4_watches *w, const struct c4_fabric *f, struct c4_flow *x,
		     uint8_t from, uint64_t now_ns)
{
	if (w->n == C4_WATCHES_MAX || x->way[from].watch_ns > now_ns)
		return;
	x->way[from].watch_ns = now_ns + C4_WATCH_NS;
	c4_watches_add(w, &(struct c4_watch){
				  .key = x->key,
				  .from = from,
				  .host = f->nics[x->nic[from]].host,
				  .until_ns = x->way[from].watch_ns,
			  });
}

void c4_watches_expire(struct c4_watches *w, uint64_t now_ns)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->n; i++)
		if (w->v[i].until_ns > now_ns)
			w->v[n++] = w->v[i];
	w->n = n;
}
