// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/routes/suspects.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/log.h"

#define LEAST_SHARE 0.01 /* of its rate: less than that is not planned with, it would be dead */
#define LOWER	    0.8	 /* a finding counts if it is so far below what is known already */
#define FASTER	    1.5	 /* than it was given: it is well again … */
#define WELL	    3u	 /* … if so many windows in a row say so */
#define PROBATION   0.5	 /* of its rate */
#define GIVEN_SLACK 0.99
#define EXPLAINED   0.5 /* of a link's rate: if so much may go over it, it may just be shared */

const char *c4_suspect_state_name(enum c4_suspect_state s)
{
	static const char *const names[] = {"doubt", "slow", "probation", "full", "cleared"};

	return names[s];
}

const char *c4_suspect_source_name(enum c4_suspect_source s)
{
	static const char *const names[] = {"connections", "collector", "probes"};

	return names[s];
}

void c4_suspects_release(struct c4_suspects *s)
{
	c4_sense_free(s->sense);
	c4_window_release(&s->window);
	*s = (struct c4_suspects){.hold_ns = s->hold_ns};
}

/* ---- the list -------------------------------------------------------------------------------- */

static bool is_planned(const struct c4_suspect *x)
{
	return x->state == C4_SUSPECT_SLOW || x->state == C4_SUSPECT_PROBATION;
}

/* Of a link, either direction; congestion is another thing. */
static struct c4_suspect *find(struct c4_suspects *s, uint32_t directed, bool full)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->v[i].link / 2 == directed / 2 && (s->v[i].state == C4_SUSPECT_FULL) == full)
			return &s->v[i];
	return NULL;
}

static uint32_t nth_parallel(const struct c4_fabric *f, uint32_t link)
{
	uint32_t n, at = c4_fabric_links_between(f, f->links[link].a, f->links[link].b, &n), i = 0;

	while (i < n && f->link_of[at + i] != link)
		i++;
	return i;
}

static struct c4_suspect *add(struct c4_suspects *s, const struct c4_edition *e, uint32_t directed,
			      uint64_t now_ns)
{
	const struct c4_fabric *f = &e->fabric->fabric;
	const struct c4_link *l = &f->links[directed / 2];
	struct c4_suspect *x;

	if (s->n == C4_SUSPECTS_MAX) {
		s->lost++;
		return NULL;
	}
	x = &s->v[s->n++];
	*x = (struct c4_suspect){
		.link = directed,
		.parallel = nth_parallel(f, directed / 2),
		.file_gbps = e->fabric->file_gbps[directed / 2],
		.first_ns = now_ns,
		.bad_ns = now_ns,
	};
	strcpy(x->a, f->switches[l->a].name); /* names are of C4_NAME_MAX at most */
	strcpy(x->b, f->switches[l->b].name);
	return x;
}

static void drop(struct c4_suspects *s, struct c4_suspect *x)
{
	s->changed |= x->state != C4_SUSPECT_DOUBT && x->state != C4_SUSPECT_CLEARED;
	*x = s->v[--s->n];
}

/* Tells the planner what the link carries. */
static void give(struct c4_suspects *s, struct c4_suspect *x, double gbps)
{
	struct c4_link_report *r = &s->reports[0];
	uint32_t i = 0;

	while (i < s->n_reports &&
	       !(s->reports[i].parallel == x->parallel && !strcmp(s->reports[i].a, x->a) &&
		 !strcmp(s->reports[i].b, x->b)))
		i++;
	if (i == C4_SUSPECTS_MAX) /* the planner did not fetch them for long */
		return;
	r = &s->reports[i];
	if (i == s->n_reports)
		s->n_reports++;
	*r = (struct c4_link_report){
		.parallel = x->parallel, .now_gbps = (float)gbps, .sensed = true};
	strcpy(r->a, x->a);
	strcpy(r->b, x->b);
	x->given_gbps = gbps;
	x->given_ns = 0;
	x->well = 0;
	s->changed = true;
	c4_sense_forget(s->sense, x->link / 2);
}

/* ---- editions -------------------------------------------------------------------------------- */

static uint32_t link_named(const struct c4_fabric *f, const char *a, const char *b, uint32_t nth)
{
	uint32_t sa = c4_fabric_switch(f, a), sb = c4_fabric_switch(f, b);

	return sa != C4_NONE && sb != C4_NONE ? c4_fabric_link(f, sa, sb, nth) : C4_NONE;
}

static const struct c4_link_report *report_of(const struct c4_edition *e,
					      const struct c4_suspect *x)
{
	for (uint32_t i = 0; i < e->links.n; i++) {
		const struct c4_link_report *r = &e->links.v[i];

		if (r->parallel == x->parallel && ((!strcmp(r->a, x->a) && !strcmp(r->b, x->b)) ||
						   (!strcmp(r->a, x->b) && !strcmp(r->b, x->a))))
			return r;
	}
	return NULL;
}

/* Somebody else said something of the link, or it is gone. */
static bool is_void(const struct c4_edition *e, const struct c4_suspect *x)
{
	const struct c4_link_report *r = report_of(e, x);
	bool sensed = r && r->sensed;

	if (x->link == C4_NONE)
		return true;
	return is_planned(x) ? r && !sensed : x->state == C4_SUSPECT_CLEARED && !sensed;
}

static void rename_all(struct c4_suspects *s, const struct c4_edition *is)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct c4_suspect *x = &s->v[i];
		uint32_t link = link_named(&is->fabric->fabric, x->a, x->b, x->parallel);

		x->link = link == C4_NONE ? C4_NONE : 2 * link + x->link % 2;
		x->n_hosts = 0;
		if (link != C4_NONE)
			x->file_gbps = is->fabric->file_gbps[link];
	}
	c4_sense_clear(s->sense);
	s->watches.n = 0;
}

/* What an earlier run found out. */
static void adopt(struct c4_suspects *s, const struct c4_edition *e, uint64_t now_ns)
{
	for (uint32_t i = 0; i < e->links.n; i++) {
		const struct c4_link_report *r = &e->links.v[i];
		uint32_t link = link_named(&e->fabric->fabric, r->a, r->b, r->parallel);
		struct c4_suspect *x;

		if (!r->sensed || link == C4_NONE || find(s, 2 * link, false))
			continue;
		x = add(s, e, 2 * link, now_ns);
		if (!x)
			return;
		x->state = C4_SUSPECT_SLOW;
		x->dead = r->now_gbps <= 0;
		if (x->dead)
			x->source = C4_SUSPECT_BY_PROBES;
		x->given_gbps = x->measured_gbps = (double)r->now_gbps;
		s->changed = true;
	}
}

/* Since when the plan has the rate that it was told. */
static void note_given(struct c4_suspects *s, const struct c4_edition *e, uint64_t now_ns)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct c4_suspect *x = &s->v[i];
		double has = (double)e->rates[x->link / 2];

		if (is_planned(x) && !x->given_ns && has >= x->given_gbps * GIVEN_SLACK)
			x->given_ns = now_ns;
	}
}

int c4_suspects_follow(struct c4_suspects *s, const struct c4_edition *was,
		       const struct c4_edition *is, uint64_t now_ns)
{
	bool other = !was || was->fabric != is->fabric;

	if (!s->sense)
		s->sense = c4_sense_new();
	if (!s->sense || (other && c4_window_follow(&s->window, &is->fabric->fabric)))
		return -ENOMEM;
	if (other)
		rename_all(s, is);
	for (uint32_t i = s->n; i-- > 0;)
		if (is_void(is, &s->v[i]))
			drop(s, &s->v[i]);
	adopt(s, is, now_ns);
	note_given(s, is, now_ns);
	return 0;
}

/* ---- findings -------------------------------------------------------------------------------- */

static void note_hosts(struct c4_suspects *s, const struct c4_edition *e, struct c4_suspect *x,
		       uint32_t n)
{
	const struct c4_nic *nics = e->fabric->fabric.nics;

	x->n_hosts = 0;
	for (uint32_t i = 0; i < n && x->n_hosts < C4_SUSPECT_PAIRS; i++)
		for (uint32_t k = 0; k < s->window.input[i].hops; k++)
			if (s->window.input[i].link[k] == x->link &&
			    x->n_hosts < C4_SUSPECT_PAIRS) {
				x->hosts[x->n_hosts][0] = nics[s->window.input[i].src].host;
				x->hosts[x->n_hosts++][1] = nics[s->window.input[i].dst].host;
			}
}

static void note(struct c4_suspect *x, const struct c4_sense_finding *f, uint64_t now_ns)
{
	x->link = f->link;
	x->flows = f->flows;
	x->windows = f->windows;
	x->alike = f->alike;
	x->speed = f->speed;
	x->peers = f->peers;
	x->bad_ns = now_ns;
}

static void degrade(struct c4_suspects *s, struct c4_suspect *x, double gbps)
{
	double least = (double)x->file_gbps * LEAST_SHARE;

	x->measured_gbps = gbps;
	if (x->state == C4_SUSPECT_SLOW && gbps > x->given_gbps * LOWER)
		return; /* known already */
	x->state = C4_SUSPECT_SLOW;
	s->found++;
	give(s, x, gbps > least ? gbps : least);
	c4_warn("link %s-%s: carries %.3g of %.3g Gb/s (connections that show it: %u): planned "
		"with that",
		x->a, x->b, gbps, (double)x->file_gbps, x->flows);
}

/* No port leads over it. */
static void bury(struct c4_suspects *s, struct c4_suspect *x)
{
	x->measured_gbps = 0;
	if (x->dead && x->state == C4_SUSPECT_SLOW)
		return;
	x->dead = true;
	x->state = C4_SUSPECT_SLOW;
	s->found++;
	give(s, x, 0);
	c4_warn("link %s-%s: of %u random ports that should have led over it none did: planned "
		"without",
		x->a, x->b, x->flows);
}

static void take_slow(struct c4_suspects *s, const struct c4_edition *e,
		      const struct c4_sense_finding *f, uint32_t n, uint64_t now_ns)
{
	struct c4_suspect *x = find(s, f->link, false);

	if (!x)
		x = add(s, e, f->link, now_ns);
	if (!x)
		return;
	note(x, f, now_ns);
	note_hosts(s, e, x, n);
	if (f->confirmed) {
		x->source = C4_SUSPECT_BY_CONNECTIONS;
		x->shared = x->dead = false;
	}
	if (f->confirmed)
		degrade(s, x, f->gbps);
	else if (x->state == C4_SUSPECT_DOUBT)
		x->measured_gbps = f->gbps;
}

static void take_full(struct c4_suspects *s, const struct c4_edition *e,
		      const struct c4_sense_finding *f, uint32_t n, uint64_t now_ns)
{
	struct c4_suspect *x = find(s, f->link, true), *slow = find(s, f->link, false);

	if (!f->confirmed || (slow && is_planned(slow)))
		return; /* full for what is left of it */
	if (!x) {
		x = add(s, e, f->link, now_ns);
		if (!x)
			return;
		x->state = C4_SUSPECT_FULL;
		s->changed = true;
	}
	note(x, f, now_ns);
	x->measured_gbps = f->gbps;
	note_hosts(s, e, x, n);
}

/* What it carries and what may go over it besides are enough to say that it is only shared. */
static bool may_be_shared(struct c4_suspects *s, const struct c4_edition *e, uint32_t link,
			  double gbps, bool placed, uint64_t now_ns)
{
	double strays = c4_window_strays(&s->window, &s->watches, e, link, placed, now_ns);

	return strays > 0 && strays + gbps >= EXPLAINED * (double)e->rates[link / 2];
}

/* ---- recovery -------------------------------------------------------------------------------- */

static const struct c4_sense_link *seen_of(const struct c4_sense_result *r, uint32_t link)
{
	for (uint32_t i = 0; i < r->n_links; i++)
		if (r->links[i].link == link)
			return &r->links[i];
	return NULL;
}

/* Did connections show what the link carries? Busy, and no faster than it was given: it is slow. */
static void look_at(struct c4_suspect *x, const struct c4_sense_link *l, uint64_t now_ns)
{
	if (!l || !l->flows)
		return;
	if (l->low >= x->given_gbps * FASTER) {
		x->well++;
	} else if (x->state == C4_SUSPECT_SLOW && l->high <= x->given_gbps * FASTER &&
		   l->most_busy > 0.5) {
		x->well = 0;
		x->bad_ns = now_ns;
	}
}

static void clear(struct c4_suspects *s, struct c4_suspect *x)
{
	x->dead = false;
	give(s, x, (double)x->file_gbps);
	x->state = C4_SUSPECT_CLEARED; /* until the plan has it */
	s->cleared++;
	c4_info("link %s-%s: planned with its %.3g Gb/s again", x->a, x->b, (double)x->file_gbps);
}

static void step_up(struct c4_suspects *s, struct c4_suspect *x)
{
	double half = (double)x->file_gbps * PROBATION;

	if (x->state == C4_SUSPECT_SLOW && x->well < WELL && half > x->given_gbps) {
		x->state = C4_SUSPECT_PROBATION;
		x->dead = false;
		give(s, x, half);
		return;
	}
	clear(s, x);
}

static void recover(struct c4_suspects *s, const struct c4_sense_result *r, uint64_t now_ns)
{
	for (uint32_t i = s->n; i-- > 0;) {
		struct c4_suspect *x = &s->v[i];
		uint64_t since = x->bad_ns > x->given_ns ? x->bad_ns : x->given_ns;

		if (x->state == C4_SUSPECT_CLEARED)
			continue;
		if (!is_planned(x)) {
			if (now_ns >= x->bad_ns + C4_SUSPECT_FULL_NS)
				drop(s, x);
			continue;
		}
		if (x->source == C4_SUSPECT_BY_CONNECTIONS) {
			look_at(x, seen_of(r, x->link & ~1u), now_ns);
			look_at(x, seen_of(r, x->link | 1u), now_ns);
		}
		if (x->well >= WELL || (x->given_ns && now_ns >= since + s->hold_ns))
			step_up(s, x);
	}
}

/* ---- public ---------------------------------------------------------------------------------- */

bool c4_suspects_look(struct c4_suspects *s, const struct c4_edition *e, const struct c4_flows *f,
		      uint64_t now_ns)
{
	const struct c4_window *w = &s->window;
	struct c4_sense_input in = {
		.flows = w->input, .link_gbps = e->rates, .nic_gbps = w->nic_gbps};
	struct c4_sense_result r;

	if (!w->nic_gbps || now_ns < w->ended_ns + C4_WINDOW_NS)
		return false;
	c4_window_gather(&s->window, e, f, now_ns);
	in.n = w->n;
	c4_watches_expire(&s->watches, now_ns);
	if (c4_sense_step(s->sense, &in, &r))
		return true;
	for (uint32_t i = 0; i < r.n_watches; i++)
		c4_watches_flow(&s->watches, &e->fabric->fabric, w->of[r.watches[i]],
				w->from[r.watches[i]], now_ns);
	for (uint32_t i = 0; i < r.n_findings; i++) {
		if (r.findings[i].kind != C4_SENSE_SLOW)
			take_full(s, e, &r.findings[i], in.n, now_ns);
		else if (!may_be_shared(s, e, r.findings[i].link, r.findings[i].gbps, true, now_ns))
			take_slow(s, e, &r.findings[i], in.n, now_ns);
	}
	recover(s, &r, now_ns);
	return true;
}

void c4_suspects_accuse(struct c4_suspects *s, const struct c4_edition *e,
			const struct c4_suspect_word *w, uint64_t now_ns)
{
	struct c4_suspect *x = find(s, w->link, false);
	double gbps;

	if (x && is_planned(x) && !w->dead && x->source != C4_SUSPECT_BY_COLLECTOR) {
		x->bad_ns = now_ns; /* we know it already, and better */
		return;
	}
	if (!x)
		x = add(s, e, w->link, now_ns);
	if (!x)
		return;
	gbps = w->dead ? 0 : (double)x->file_gbps / w->times;
	x->link = w->link;
	x->source = w->dead ? C4_SUSPECT_BY_PROBES : C4_SUSPECT_BY_COLLECTOR;
	x->shared = !w->dead && (w->shared || may_be_shared(s, e, w->link, gbps, false, now_ns));
	x->flows = w->pairs;
	x->alike = w->alike;
	x->windows++;
	x->speed = w->dead ? 0 : 1 / w->times;
	x->peers = 1;
	x->bad_ns = now_ns;
	x->n_hosts = w->n_hosts;
	memcpy(x->hosts, w->hosts, sizeof x->hosts);
	if (w->dead)
		bury(s, x);
	else if (w->alike <= 1)
		degrade(s, x, gbps);
	else if (x->state == C4_SUSPECT_DOUBT)
		x->measured_gbps = gbps;
}

void c4_suspects_acquit(struct c4_suspects *s, uint32_t link)
{
	struct c4_suspect *x = find(s, link, false);

	if (x && x->source != C4_SUSPECT_BY_CONNECTIONS && is_planned(x))
		clear(s, x);
}
