// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/routes/routes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "planner/daemon/routes/reply.h"
#include "planner/daemon/routes/report.h"

#define ARENA_BYTES (64u << 20)
#define LOOPBACK(a) ((a) >> 24 == 127)

const char *const c4_routes_count_names[] = {
#define C4_X(sym, name, help) name,
	C4_ROUTES_COUNTS(C4_X)
#undef C4_X
};

void c4_routes_init(struct c4_routes *r, const struct c4_routes_config *config)
{
	*r = (struct c4_routes){.config = *config,
				.pairs = {.config = config->pairs},
				.suspects = {.hold_ns = config->hold_ns}};
	c4_arena_init(&r->arena, ARENA_BYTES);
}

void c4_routes_release(struct c4_routes *r)
{
	c4_edition_drop(r->edition);
	c4_epochs_release(&r->epochs);
	c4_agents_release(&r->agents);
	c4_flows_release(&r->flows);
	c4_elephants_release(&r->pairs);
	c4_suspects_release(&r->suspects);
	c4_absent_release(&r->absent);
	c4_ratings_release(&r->said);
	c4_arena_release(&r->arena);
	free(r->mark);
	free(r->seen);
	*r = (struct c4_routes){0};
}

/* ---- editions -------------------------------------------------------------------------------- */

/* What is known of switches and hosts by number becomes that of another fabric. */
static int follow_fabric(struct c4_routes *r, const struct c4_edition *e)
{
	const struct c4_fabric *was = r->edition ? &r->edition->fabric->fabric : NULL;
	const struct c4_fabric *is = &e->fabric->fabric;
	uint32_t n = is->n_switches + is->n_hosts, *mark;

	if (was == is)
		return 0;
	mark = calloc((size_t)n + 1, sizeof *mark);
	if (!mark || c4_elephants_follow(&r->pairs, was, is) ||
	    c4_agents_follow(&r->agents, was, is)) {
		free(mark);
		return -ENOMEM;
	}
	c4_flows_clear(&r->flows); /* they are told again within a second */
	c4_heard_clear(&r->heard);
	r->has_said = false;
	c4_absent_follow(&r->absent, is);
	free(r->mark);
	r->mark = mark;
	r->n_marks = n;
	r->n_seen = r->n_doubts = 0; /* they speak of the old one */
	return 0;
}

int c4_routes_follow(struct c4_routes *r, struct c4_edition *e, uint64_t now_ns, uint64_t wall_ms)
{
	struct c4_epochs epochs;
	int rc;

	if (!e->fabric)
		return 0;
	if (c4_epochs_next(&r->epochs, r->edition, e, wall_ms, &epochs))
		return -ENOMEM;
	if (follow_fabric(r, e)) {
		c4_epochs_release(&epochs);
		return -ENOMEM;
	}
	if (!r->edition && e->demand && r->config.demands)
		c4_elephants_adopt(&r->pairs, &e->demand->demand, now_ns);
	rc = c4_suspects_follow(&r->suspects, r->edition, e, now_ns);
	c4_epochs_release(&r->epochs);
	r->epochs = epochs;
	c4_edition_drop(r->edition);
	r->edition = c4_edition_hold(e);
	return rc; /* without memory nothing is suspected */
}

void c4_routes_hear(struct c4_routes *r, const struct c4_edition *e, struct c4_ratings *said)
{
	if (!r->edition || r->edition->fabric != e->fabric)
		return; /* the next word is of the new one */
	c4_ratings_release(&r->said);
	r->said = *said;
	r->has_said = true;
	*said = (struct c4_ratings){0};
}

/* Right after a window: it points to connections that expire. */
static void listen_to(struct c4_routes *r, uint64_t now_ns)
{
	if (!r->has_said)
		return;
	r->has_said = false;
	if (c4_heard_take(&r->heard, &r->suspects, r->edition, &r->flows, &r->said, now_ns))
		c4_warn("routes: out of memory: what the collector says is not looked at");
}

void c4_routes_tick(struct c4_routes *r, uint64_t now_ns)
{
	if (now_ns < r->tick_ns + C4_ROUTES_TICK_NS)
		return;
	r->tick_ns = now_ns;
	c4_agents_expire(&r->agents, now_ns);
	c4_flows_expire(&r->flows, now_ns);
	if (r->edition && r->config.demands)
		c4_elephants_round(&r->pairs, &r->edition->fabric->fabric, &r->flows, now_ns);
	if (!r->edition)
		return;
	if (c4_suspects_look(&r->suspects, r->edition, &r->flows, now_ns))
		listen_to(r, now_ns);
	c4_absent_look(&r->absent, &r->suspects, r->edition, &r->agents, now_ns);
}

/* ---- exchanges ------------------------------------------------------------------------------- */

static void *arena_alloc(void *arg, size_t n)
{
	return c4_arena_alloc(arg, n);
}

static void arena_free(void *arg, void *p)
{
	(void)arg; /* the arena is reset after each exchange */
	(void)p;
}

/* Where others reach the agent: as we see it, unless it is beside us. */
static uint32_t address_of(const struct c4_routes_ask *ask, const C4__V1__RouteReport *m)
{
	if (ask->peer && !LOOPBACK(ask->peer))
		return ask->peer;
	for (size_t i = 0; i < m->n_addresses; i++)
		if (m->addresses[i] && !LOOPBACK(m->addresses[i]))
			return m->addresses[i];
	return 0;
}

/* Does it have what we would tell? */
static bool has_all(const struct c4_routes *r, const struct c4_agent *a,
		    const C4__V1__RouteReport *m)
{
	return !strcmp(m->plan_instance, r->config.instance) &&
	       m->plan_version == r->edition->version && a->told_version == r->edition->version &&
	       a->told_serial == r->agents.serial;
}

static int answer(struct c4_routes *r, uint32_t host, const C4__V1__RouteReport *m,
		  const struct c4_routes_ask *ask, struct c4_buf *out, struct c4_fault *fault)
{
	const struct c4_agent_card card = {
		.instance = m->agent_instance,
		.follows = m->plan_version,
		.probes_sent = m->probes_sent,
		.address = address_of(ask, m),
		.helper_port = (uint16_t)m->helper_port,
		.raw = m->raw,
	};
	struct c4_agent *a = c4_agents_hear(&r->agents, host, &card, ask->now_ns);
	struct c4_reply_opts o = {.host = host, .standing = ask->standing};

	if (!a)
		return c4_fault_set(fault, -ENOMEM, "out of memory");
	o.unchanged = has_all(r, a, m);
	if (c4_reply_encode(r, &o, out))
		return c4_fault_set(fault, -ENOMEM, "out of memory");
	r->counts[C4_ROUTES_UNCHANGED] += o.unchanged;
	a->told_version = r->edition->version;
	a->told_serial = r->agents.serial;
	if (m->last)
		c4_agents_bye(&r->agents, host);
	return 0;
}

static int exchange(struct c4_routes *r, const struct c4_routes_ask *ask, struct c4_buf *out,
		    struct c4_fault *fault)
{
	ProtobufCAllocator alloc = {arena_alloc, arena_free, &r->arena};
	C4__V1__RouteReport *m;
	uint32_t host;
	int rc;

	if (!r->edition)
		return c4_fault_set(fault, -EAGAIN, "no fabric yet");
	m = c4__v1__route_report__unpack(&alloc, ask->bytes, ask->body);
	if (!m)
		return c4_fault_set(fault, -EBADMSG, "not a RouteReport (include/c4/route.proto)");
	rc = c4_report_check(m, fault);
	if (rc)
		return rc;
	host = c4_fabric_host(&r->edition->fabric->fabric, m->node);
	if (host == C4_NONE)
		return c4_fault_set(fault, -ENOENT, "no host '%.127s' in the fabric", m->node);
	c4_report_take(r, host, m, ask->now_ns);
	return answer(r, host, m, ask, out, fault);
}

int c4_routes_exchange(struct c4_routes *r, const struct c4_routes_ask *ask, struct c4_buf *out,
		       struct c4_fault *fault)
{
	int rc = exchange(r, ask, out, fault);

	r->counts[C4_ROUTES_REPORTS]++;
	r->counts[C4_ROUTES_REFUSED] += rc != 0;
	c4_arena_reset(&r->arena);
	return rc;
}
