// SPDX-License-Identifier: BSD-3-Clause
/*
 * Nodes and cables to a fabric: switches and links first, for the networks they form are the planes
 * of the NICs, which come then.
 */
#include "planner/io/ibnet.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/io/ibnet_text.h"

#define TIERS 3

/* A cabled port of an adapter. */
struct port {
	const char *host, *device; /* device interned: equal for the ports of one adapter */
	uint32_t node, leaf;	   /* leaf: of the fabric */
	uint8_t number;
	float gbps;
	uint32_t line;
};

struct import {
	struct c4_fabric *f;
	struct c4_complaints *c;
	struct c4_ibnet net;
	int *tier;	 /* of a node; -1: no switch, or unknown */
	uint32_t *index; /* of a switch, in the fabric */
	struct port *ports;
	uint32_t n_ports;
	struct c4_strmap names; /* interned, and how often a switch would like it */
	struct c4_fault fault;
};

static bool is_switch(const struct c4_ibnode *n)
{
	return n->id[0] == 'S';
}

/* An adapter of a host, not one that a switch has inside to add numbers up. */
static bool is_adapter(const struct c4_ibnode *n)
{
	return n->id[0] == 'H' && !strstr(n->description, "Aggregation Node");
}

/* ---- tiers ----------------------------------------------------------------------------------- */

static void find_leaves(struct import *m)
{
	for (uint32_t i = 0; i < m->net.n_cables; i++) {
		const struct c4_ibcable *k = &m->net.cables[i];

		if (is_switch(&m->net.nodes[k->a]) && is_adapter(&m->net.nodes[k->b]))
			m->tier[k->a] = C4_LEAF;
		if (is_switch(&m->net.nodes[k->b]) && is_adapter(&m->net.nodes[k->a]))
			m->tier[k->b] = C4_LEAF;
	}
}

static void climb(struct import *m, uint32_t below, uint32_t above, int tier)
{
	if (m->tier[below] == tier - 1 && m->tier[above] < 0 && is_switch(&m->net.nodes[above]))
		m->tier[above] = tier;
}

static void find_tiers(struct import *m)
{
	for (uint32_t i = 0; i < m->net.n_nodes; i++)
		m->tier[i] = -1;
	find_leaves(m);
	for (int tier = C4_SPINE; tier < TIERS; tier++)
		for (uint32_t i = 0; i < m->net.n_cables; i++) {
			climb(m, m->net.cables[i].a, m->net.cables[i].b, tier);
			climb(m, m->net.cables[i].b, m->net.cables[i].a, tier);
		}
}

/* ---- names ----------------------------------------------------------------------------------- */

/* Printable, without blanks and slashes. */
static void clean(char *name)
{
	for (; *name; name++)
		if (*name <= ' ' || *name > '~' || *name == '/')
			*name = '_';
}

/* What a switch would be called: 0 the NAME of "MF0;NAME:…", 1 its description, 2 its id. */
static void wish(const struct c4_ibnode *n, int choice, char name[C4_NAME_MAX + 1])
{
	const char *text = choice < 2 ? n->description : n->id;
	const char *semicolon = strchr(text, ';');

	if (choice == 0 && semicolon && strchr(semicolon, ':'))
		snprintf(name, C4_NAME_MAX + 1, "%.*s", (int)strcspn(semicolon + 1, ":"),
			 semicolon + 1);
	else
		snprintf(name, C4_NAME_MAX + 1, "%s", text);
	clean(name);
}

static int count_wishes(struct import *m)
{
	char names[2][C4_NAME_MAX + 1];

	for (uint32_t i = 0; i < m->net.n_nodes; i++) {
		if (!is_switch(&m->net.nodes[i]))
			continue;
		wish(&m->net.nodes[i], 0, names[0]);
		wish(&m->net.nodes[i], 1, names[1]);
		for (int k = 0; k < (strcmp(names[0], names[1]) ? 2 : 1); k++) {
			struct c4_strmap_entry *e = c4_strmap_at(&m->names, names[k]);

			if (!e)
				return -ENOMEM;
			e->value = (void *)((uintptr_t)e->value + 1);
		}
	}
	return 0;
}

/* The first wish that nobody else has. */
static void name_switch(const struct import *m, const struct c4_ibnode *n,
			char name[C4_NAME_MAX + 1])
{
	for (int choice = 0; choice < 2; choice++) {
		const struct c4_strmap_entry *e;

		wish(n, choice, name);
		e = c4_strmap_find(&m->names, name);
		if (*name && e && (uintptr_t)e->value == 1)
			return;
	}
	wish(n, 2, name);
}

/* ---- switches and links ---------------------------------------------------------------------- */

static void add_switches(struct import *m)
{
	char name[C4_NAME_MAX + 1];

	for (uint32_t i = 0; i < m->net.n_nodes; i++) {
		const struct c4_ibnode *n = &m->net.nodes[i];
		int64_t rc;

		if (!is_switch(n) || !n->line)
			continue;
		name_switch(m, n, name);
		if (m->tier[i] < 0 && n->cables)
			c4_complain(m->c, n->line,
				    "switch '%s' has no host within %d tiers, expected leaves, "
				    "spines and cores",
				    name, TIERS);
		rc = c4_fabric_add_switch(m->f,
					  m->tier[i] < 0 ? C4_SPINE : (enum c4_tier)m->tier[i],
					  name, &m->fault);
		if (rc < 0)
			c4_complain(m->c, n->line, "%s", m->fault.what);
		else
			m->index[i] = (uint32_t)rc;
	}
}

static void add_links(struct import *m)
{
	for (uint32_t i = 0; i < m->net.n_cables; i++) {
		const struct c4_ibcable *k = &m->net.cables[i];

		if (!is_switch(&m->net.nodes[k->a]) || !is_switch(&m->net.nodes[k->b]))
			continue;
		if (c4_fabric_join(m->f, m->index[k->a], m->index[k->b], (double)k->gbps,
				   (double)k->gbps, &m->fault) < 0)
			c4_complain(m->c, k->line, "%s", m->fault.what);
	}
}

/* ---- hosts ----------------------------------------------------------------------------------- */

/* "HOST DEVICE", the device ending in a digit: what hosts that were given a name say. */
static bool split(const char *description, char host[C4_NAME_MAX + 1], const char **device)
{
	const char *blank = strchr(description, ' ');
	size_t n = strlen(description);

	if (!blank || blank == description || strchr(blank + 1, ' ') || !blank[1] ||
	    !isdigit((unsigned char)description[n - 1]))
		return false;
	snprintf(host, C4_NAME_MAX + 1, "%.*s", (int)(blank - description), description);
	*device = blank + 1;
	return true;
}

static int name_port(struct import *m, struct port *p)
{
	const struct c4_ibnode *n = &m->net.nodes[p->node];
	char host[C4_NAME_MAX + 1], device[C4_NAME_MAX + 1];
	const char *said;

	if (split(n->description, host, &said)) {
		snprintf(device, sizeof device, n->cables > 1 ? "%.100s:%u" : "%.100s", said,
			 p->number);
	} else {
		snprintf(host, sizeof host, "%s", n->id);
		snprintf(device, sizeof device, "p%u", p->number);
	}
	clean(host);
	clean(device);
	p->host = c4_strmap_intern(&m->names, host);
	p->device = p->host ? c4_strmap_intern(&m->names, device) : NULL;
	return p->device ? 0 : -ENOMEM;
}

static int add_port(struct import *m, const struct c4_ibcable *k, uint32_t adapter, uint8_t number,
		    uint32_t leaf)
{
	struct port *p = &m->ports[m->n_ports];

	if (!is_adapter(&m->net.nodes[adapter]) || !is_switch(&m->net.nodes[leaf]))
		return 0;
	*p = (struct port){.node = adapter,
			   .leaf = m->index[leaf],
			   .number = number,
			   .gbps = k->gbps,
			   .line = k->line};
	m->n_ports++;
	return name_port(m, p);
}

/* Hosts together, their adapters as people count: mlx5_2 before mlx5_10. */
static int by_host(const void *x, const void *y)
{
	const struct port *a = x, *b = y;
	int order = a->host == b->host ? 0 : strverscmp(a->host, b->host);

	if (!order)
		order = strverscmp(a->device, b->device);
	return order ? order : (int)(a->node > b->node) - (int)(a->node < b->node);
}

static int collect_ports(struct import *m)
{
	int rc = 0;

	m->ports = malloc((m->net.n_cables + 1) * sizeof *m->ports);
	if (!m->ports)
		return -ENOMEM;
	for (uint32_t i = 0; i < m->net.n_cables && !rc; i++) {
		const struct c4_ibcable *k = &m->net.cables[i];

		rc = add_port(m, k, k->a, k->port_a, k->b);
		if (!rc)
			rc = add_port(m, k, k->b, k->port_b, k->a);
	}
	qsort(m->ports, m->n_ports, sizeof *m->ports, by_host);
	return rc;
}

static uint32_t plane_of(const struct import *m, const struct port *p)
{
	return m->f->switches[p->leaf].net;
}

/* How many ports of its host before it are in its plane. */
static uint32_t rail_of(const struct import *m, const struct port *p)
{
	uint32_t rail = 0;

	for (const struct port *q = p; q > m->ports && q[-1].host == p->host; q--)
		rail += plane_of(m, q - 1) == plane_of(m, p);
	return rail;
}

static void add_hosts(struct import *m)
{
	for (uint32_t i = 0; i < m->n_ports; i++) {
		const struct port *p = &m->ports[i];
		int64_t rc = 0;

		if (!i || m->ports[i - 1].host != p->host)
			rc = c4_fabric_add_host(m->f, p->host, &m->fault);
		if (rc >= 0)
			rc = c4_fabric_add_nic(m->f, p->device, m->f->switches[p->leaf].name,
					       plane_of(m, p), rail_of(m, p), &m->fault);
		if (rc >= 0) {
			m->f->nics[rc].gbps = p->gbps;
			continue;
		}
		c4_complain(m->c, p->line, "%s", m->fault.what);
		return; /* the next ones would go to the host before */
	}
}

/* ---- all ------------------------------------------------------------------------------------- */

static int finish(struct import *m)
{
	int rc = c4_fabric_finish(m->f, &m->fault);

	if (rc)
		c4_complain(m->c, 1, "%s", m->fault.what);
	return rc;
}

static int build(struct import *m)
{
	int rc;

	find_tiers(m);
	rc = count_wishes(m);
	if (rc)
		return rc;
	add_switches(m);
	if (!m->c->n)
		add_links(m);
	rc = m->c->n ? -EINVAL : finish(m);
	if (!rc)
		rc = collect_ports(m);
	if (rc)
		return rc;
	add_hosts(m);
	return m->c->n ? -EINVAL : finish(m);
}

int c4_fabric_read_ibnet(struct c4_fabric *f, const char *text, size_t len, struct c4_complaints *c)
{
	struct import m = {.f = f, .c = c};
	int rc = c4_ibnet_read(&m.net, text, len, c);

	if (!rc) {
		m.tier = calloc(m.net.n_nodes + 1, sizeof *m.tier);
		m.index = calloc(m.net.n_nodes + 1, sizeof *m.index);
		rc = m.tier && m.index ? build(&m) : -ENOMEM;
	}
	free(m.tier);
	free(m.index);
	free(m.ports);
	c4_strmap_release(&m.names);
	c4_ibnet_release(&m.net);
	return rc;
}
