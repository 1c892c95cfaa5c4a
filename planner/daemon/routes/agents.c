// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/routes/agents.h"

#include <errno.h>
#include <stdlib.h>

void c4_agents_release(struct c4_agents *r)
{
	for (uint32_t h = 0; h < r->n_hosts; h++)
		free(r->by_host[h]);
	free(r->by_host);
	*r = (struct c4_agents){0};
}

int c4_agents_follow(struct c4_agents *r, const struct c4_fabric *was, const struct c4_fabric *is)
{
	struct c4_agent **next = calloc((size_t)is->n_hosts + 1, sizeof(void *));

	if (!next)
		return -ENOMEM;
	for (uint32_t h = 0; h < r->n_hosts; h++) {
		uint32_t to = r->by_host[h] ? c4_fabric_host(is, was->hosts[h].name) : C4_NONE;

		if (to != C4_NONE) {
			next[to] = r->by_host[h];
		} else if (r->by_host[h]) {
			free(r->by_host[h]);
			r->n--;
		}
	}
	free(r->by_host);
	r->by_host = next;
	r->n_hosts = is->n_hosts;
	r->serial++;
	return 0;
}

struct c4_agent *c4_agents_at(const struct c4_agents *r, uint32_t host)
{
	return host < r->n_hosts ? r->by_host[host] : NULL;
}

static bool same_card(const struct c4_agent *a, const struct c4_agent_card *card)
{
	return a->address == card->address && a->helper_port == card->helper_port;
}

struct c4_agent *c4_agents_hear(struct c4_agents *r, uint32_t host,
				const struct c4_agent_card *card, uint64_t now_ns)
{
	struct c4_agent *a = r->by_host[host];

	if (!a) {
		a = r->by_host[host] = calloc(1, sizeof *a);
		if (!a)
			return NULL;
		r->n++;
		r->serial++;
	} else if (!same_card(a, card)) {
		r->serial++;
	}
	if (a->instance != card->instance)
		a->told_version = a->told_serial =
			0; /* it knows nothing that we told the last one */
	a->instance = card->instance;
	a->follows = card->follows;
	a->probes_sent = card->probes_sent;
	a->address = card->address;
	a->helper_port = card->helper_port;
	a->raw = card->raw;
	a->seen_ns = now_ns;
	a->reports++;
	return a;
}

void c4_agents_bye(struct c4_agents *r, uint32_t host)
{
	if (!c4_agents_at(r, host))
		return;
	free(r->by_host[host]);
	r->by_host[host] = NULL;
	r->n--;
	r->serial++;
}

uint32_t c4_agents_expire(struct c4_agents *r, uint64_t now_ns)
{
	uint32_t n = 0;

	for (uint32_t h = 0; r->n && h < r->n_hosts; h++) {
		const struct c4_agent *a = r->by_host[h];

		if (!a || now_ns < a->seen_ns + C4_AGENT_SILENT_NS)
			continue;
		c4_agents_bye(r, h);
		n++;
	}
	r->forgotten += n;
	return n;
}
