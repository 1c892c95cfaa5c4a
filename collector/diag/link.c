// SPDX-License-Identifier: BSD-3-Clause
#include "collector/diag/link.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "collector/diag/verdict.h"
#include "common/base/hash.h"

#define SURE   0.95
#define UNSURE 0.5

static uint64_t identity(const struct c4_link_found *f)
{
	uint64_t h = c4_hash_bytes(f->parallel, f->a, strlen(f->a) + 1);

	return c4_hash_bytes(h, f->b, strlen(f->b) + 1);
}

static void name_link(const struct c4_link_found *f, char *to, size_t n)
{
	if (f->parallel)
		snprintf(to, n, "%.40s-%.40s #%u", f->a, f->b, f->parallel);
	else
		snprintf(to, n, "%.47s-%.47s", f->a, f->b);
}

static void say_slow(struct c4_verdict *v, const struct c4_link_found *f)
{
	c4_verdict_say(v,
		       "link %s carries %.3g of %.3g Gb/s: %u connection%s over it %s slow, "
		       "those elsewhere are not%s",
		       v->link, f->measured_gbps, f->nominal_gbps, f->flows,
		       f->flows == 1 ? "" : "s", f->flows == 1 ? "is" : "are",
		       f->probation ? "; tried again with part of its rate" : "");
	c4_verdict_evidence(v, "link_gbps", f->measured_gbps, f->nominal_gbps, f->windows,
			    "toward %.80s", f->toward_b ? f->b : f->a);
	c4_verdict_evidence(v, "speed", f->speed, f->peers, f->windows, "%s", f->pairs);
	c4_verdict_evidence(v, "connections", f->flows, NAN, 0, "%s", "");
}

static void say_dead(struct c4_verdict *v, const struct c4_link_found *f)
{
	c4_verdict_say(v,
		       "link %s carries nothing: of %u random ports that should have led over it "
		       "none did",
		       v->link, f->flows);
	c4_verdict_evidence(v, "link_gbps", 0, f->nominal_gbps, f->windows, "%s", "");
	c4_verdict_evidence(v, "ports", f->flows, NAN, f->windows, "%s",
			    "expected to meet it, by equal shares of the ways between its leaves");
}

static void say_congested(struct c4_verdict *v, const struct c4_link_found *f)
{
	c4_verdict_say(v, "link %s is full: %u connections share its %.3g Gb/s", v->link, f->flows,
		       f->nominal_gbps);
	c4_verdict_evidence(v, "link_gbps", f->measured_gbps, f->nominal_gbps, f->windows,
			    "toward %.80s", f->toward_b ? f->b : f->a);
	c4_verdict_evidence(v, "connection_gbps", f->speed, f->peers, f->windows, "%s", f->pairs);
	c4_verdict_evidence(v, "connections", f->flows, NAN, 0, "%s", "");
}

void c4_diag_links(const struct c4_link_found *found, uint32_t n, struct c4_verdicts *out)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct c4_link_found *f = &found[i];
		enum c4_incident_kind kind = f->congested ? C4_INC_CONGESTION : C4_INC_SLOW_LINK;
		struct c4_verdict *v = c4_verdict_add(out, NULL, kind, 0, NULL, 0);

		if (!v)
			return;
		c4_verdict_rekey(v, identity(f));
		v->confirmed = f->confirmed;
		v->confidence = f->confirmed ? SURE : UNSURE;
		v->since_ns = f->since_ns;
		name_link(f, v->link, sizeof v->link);
		if (f->dead)
			say_dead(v, f);
		else if (f->congested)
			say_congested(v, f);
		else
			say_slow(v, f);
	}
}
