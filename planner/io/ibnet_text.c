// SPDX-License-Identifier: BSD-3-Clause
#include "planner/io/ibnet_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ds/vec.h"
#include "planner/io/lines.h"
#include "planner/model/fabric/fabric.h"

#define ID_MAX 64u

struct reader {
	struct c4_ibnet *net;
	struct c4_complaints *c;
	uint32_t line;
	uint32_t node; /* whose record it is; C4_NONE before the first */
};

/* A line being read. */
struct cursor {
	const char *s, *end;
};

static void skip_blanks(struct cursor *at)
{
	while (at->s < at->end && isspace((unsigned char)*at->s))
		at->s++;
}

static bool skip_char(struct cursor *at, char ch)
{
	if (at->s == at->end || *at->s != ch)
		return false;
	at->s++;
	return true;
}

/* Text up to the closing character, which is passed over. False if there is none. */
static bool until(struct cursor *at, char close, const char **text, size_t *n)
{
	const char *stop = memchr(at->s, close, (size_t)(at->end - at->s));

	if (!stop)
		return false;
	*text = at->s;
	*n = (size_t)(stop - at->s);
	at->s = stop + 1;
	return true;
}

static bool quoted(struct cursor *at, const char **text, size_t *n)
{
	return skip_char(at, '"') && until(at, '"', text, n);
}

/* "[12]" */
static bool port_number(struct cursor *at, uint8_t *port)
{
	unsigned v = 0;
	int digits = 0;

	if (!skip_char(at, '['))
		return false;
	for (; at->s < at->end && isdigit((unsigned char)*at->s) && digits < 3; digits++)
		v = v * 10 + (unsigned)(*at->s++ - '0');
	*port = (uint8_t)v;
	return digits && v <= UINT8_MAX && skip_char(at, ']');
}

/* ---- rates ----------------------------------------------------------------------------------- */

/* Nominal Gb/s of one lane, as the field calls them. Longer names come before their beginnings. */
static const struct {
	const char *name;
	float gbps;
} speeds[] = {{"FDR10", 10}, {"SDR", 2.5f}, {"DDR", 5},	  {"QDR", 10}, {"FDR", 14},
	      {"EDR", 25},   {"HDR", 50},   {"NDR", 100}, {"XDR", 200}};

/* "4xHDR" at s; 0 if it is something else. */
static float rate_at(const char *s, const char *end)
{
	unsigned lanes = 0;

	while (s < end && isdigit((unsigned char)*s) && lanes < 100)
		lanes = lanes * 10 + (unsigned)(*s++ - '0');
	if (!lanes || s == end || *s++ != 'x')
		return 0;
	for (size_t i = 0; i < sizeof speeds / sizeof *speeds; i++) {
		size_t n = strlen(speeds[i].name);

		if ((size_t)(end - s) >= n && !memcmp(s, speeds[i].name, n))
			return (float)lanes * speeds[i].gbps;
	}
	return 0;
}

/* The last word of the line that is a rate. */
static float rate_of(const char *begin, const char *end)
{
	for (const char *s = end; s > begin; s--) {
		float gbps = isspace((unsigned char)s[-1]) ? rate_at(s, end) : 0;

		if (gbps > 0)
			return gbps;
	}
	return 0;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static bool is_id(const char *s, size_t n)
{
	return n > 2 && n <= ID_MAX && strchr("SHR", *s) && s[1] == '-';
}

/* Index of the node of this id, new or not; negative errno. */
static int64_t node_of(struct c4_ibnet *net, const char *id, size_t n)
{
	char name[ID_MAX + 1];
	struct c4_strmap_entry *e;
	struct c4_ibnode *grown;

	snprintf(name, sizeof name, "%.*s", (int)n, id);
	e = c4_strmap_at(&net->by_id, name);
	if (!e)
		return -ENOMEM;
	if (e->value)
		return (int64_t)(uintptr_t)e->value - 1;
	grown = c4_vec_reserve(net->nodes, &net->cap_nodes, net->n_nodes + 1, C4_IBNET_NODES_MAX,
			       sizeof *grown);
	if (!grown)
		return -E2BIG;
	net->nodes = grown;
	net->nodes[net->n_nodes++] = (struct c4_ibnode){.id = e->key, .description = ""};
	e->value = (void *)(uintptr_t)net->n_nodes;
	return net->n_nodes - 1;
}

static int too_large(struct reader *r, int64_t rc)
{
	c4_complain(r->c, r->line, "out of memory, or beyond %u nodes and %u cables",
		    C4_IBNET_NODES_MAX, C4_IBNET_CABLES_MAX);
	return (int)rc;
}

/* The quoted text behind '#'. */
static const char *description(struct reader *r, struct cursor at)
{
	char text[C4_NAME_MAX + 1];
	const char *s = "";
	size_t n = 0;

	while (at.s < at.end && *at.s != '"')
		at.s++;
	if (!quoted(&at, &s, &n))
		return "";
	snprintf(text, sizeof text, "%.*s", (int)(n < C4_NAME_MAX ? n : C4_NAME_MAX), s);
	s = c4_strmap_intern(&r->net->texts, text);
	return s ? s : "";
}

/* `Switch 36 "S-…" # "description" …`, behind the first word */
static int take_record(struct reader *r, struct cursor at)
{
	struct c4_ibnode *node;
	const char *id = NULL;
	size_t n = 0;
	int64_t i;

	while (at.s < at.end && *at.s != '"')
		at.s++;
	if (!quoted(&at, &id, &n) || !is_id(id, n)) {
		c4_complain(r->c, r->line, "a record without an id, expected one such as \"S-…\"");
		r->node = C4_NONE;
		return 0;
	}
	i = node_of(r->net, id, n);
	if (i < 0)
		return too_large(r, i);
	node = &r->net->nodes[i];
	r->node = (uint32_t)i;
	if (node->line)
		c4_complain(r->c, r->line, "'%s' has a record already, in line %u, expected one",
			    node->id, node->line);
	node->line = r->line;
	node->description = description(r, at);
	return 0;
}

/* ---- cables ---------------------------------------------------------------------------------- */

static bool same_cable(const struct c4_ibcable *x, const struct c4_ibcable *y)
{
	return (x->a == y->a && x->port_a == y->port_a && x->b == y->b && x->port_b == y->port_b) ||
	       (x->a == y->b && x->port_a == y->port_b && x->b == y->a && x->port_b == y->port_a);
}

/* 1: this cable is known; 0: both ports are free; negative: one holds another cable. */
static int look_up(struct reader *r, const struct c4_ibcable *k)
{
	void *at_a = c4_map_get(&r->net->ports, (uint64_t)k->a << 8 | k->port_a);
	void *at_b = c4_map_get(&r->net->ports, (uint64_t)k->b << 8 | k->port_b);
	const struct c4_ibcable *known;
	bool a = at_a != NULL;

	if (!at_a && !at_b)
		return 0;
	known = &r->net->cables[(uintptr_t)(a ? at_a : at_b) - 1];
	if (same_cable(known, k))
		return 1;
	c4_complain(r->c, r->line,
		    "port %u of '%s' has another cable in line %u, expected one per port",
		    a ? k->port_a : k->port_b, r->net->nodes[a ? k->a : k->b].id, known->line);
	return -EINVAL;
}

static int add_cable(struct reader *r, const struct c4_ibcable *k)
{
	struct c4_ibnet *net = r->net;
	struct c4_ibcable *grown = c4_vec_reserve(net->cables, &net->cap_cables, net->n_cables + 1,
						  C4_IBNET_CABLES_MAX, sizeof *grown);
	void *value = (void *)((uintptr_t)net->n_cables + 1);

	if (!grown)
		return -E2BIG;
	net->cables = grown;
	if (c4_map_put(&net->ports, (uint64_t)k->a << 8 | k->port_a, value) ||
	    c4_map_put(&net->ports, (uint64_t)k->b << 8 | k->port_b, value))
		return -ENOMEM;
	net->cables[net->n_cables++] = *k;
	net->nodes[k->a].cables++;
	net->nodes[k->b].cables++;
	return 0;
}

/* `[1](guid) "S-…"[22] # … 4xHDR` */
static bool parse_port(struct cursor at, struct c4_ibcable *k, const char **peer, size_t *n)
{
	const char *begin = at.s, *ignored;
	size_t length;

	if (!port_number(&at, &k->port_a))
		return false;
	if (skip_char(&at, '(') && !until(&at, ')', &ignored, &length))
		return false;
	skip_blanks(&at);
	if (!quoted(&at, peer, n) || !is_id(*peer, *n) || !port_number(&at, &k->port_b))
		return false;
	k->gbps = rate_of(begin, at.end);
	return true;
}

static int take_port(struct reader *r, struct cursor at)
{
	struct c4_ibcable k = {.a = r->node, .line = r->line};
	const char *peer;
	int64_t i;
	size_t n;
	int rc;

	if (r->node == C4_NONE) {
		c4_complain(r->c, r->line, "a port without a node, expected a record first");
		return 0;
	}
	if (!parse_port(at, &k, &peer, &n)) {
		c4_complain(r->c, r->line,
			    "a port of another form, expected [1] \"S-…\"[2] # … "
			    "4xHDR");
		return 0;
	}
	if (!(k.gbps > 0)) {
		c4_complain(r->c, r->line, "a port without a rate, expected one such as 4xHDR");
		return 0;
	}
	i = node_of(r->net, peer, n);
	if (i < 0)
		return too_large(r, i);
	k.b = (uint32_t)i;
	if (k.a == k.b || look_up(r, &k))
		return 0; /* a loop plug, the other end of a known cable, or told */
	rc = add_cable(r, &k);
	return rc ? too_large(r, rc) : 0;
}

/* ---- lines ----------------------------------------------------------------------------------- */

static bool begins(const struct c4_lines *l, const char *word)
{
	size_t n = strlen(word);

	return l->n > n && !memcmp(l->line, word, n);
}

static int take_line(struct reader *r, const struct c4_lines *l)
{
	static const char *const records[] = {"Switch", "Ca", "Rt"};
	static const char *const facts[] = {
		"vendid=", "devid=", "sysimgguid=", "switchguid=", "caguid=", "rtguid="};
	struct cursor at = {l->line, l->line + l->n};

	skip_blanks(&at);
	if (at.s == at.end || *at.s == '#')
		return 0;
	if (*at.s == '[')
		return take_port(r, at);
	for (size_t i = 0; i < sizeof records / sizeof *records; i++)
		if (begins(l, records[i]) && isspace((unsigned char)l->line[strlen(records[i])]))
			return take_record(r, at);
	for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
		if (begins(l, facts[i]))
			return 0;
	c4_complain(r->c, r->line, "'%.*s', expected a Switch, Ca or Rt record or a port",
		    (int)(l->n < 60 ? l->n : 60), l->line);
	return 0;
}

/* A node that others name but that has no record: the file was cut. */
static void check_whole(struct reader *r)
{
	for (uint32_t i = 0; i < r->net->n_cables; i++) {
		const struct c4_ibcable *k = &r->net->cables[i];
		const struct c4_ibnode *a = &r->net->nodes[k->a], *b = &r->net->nodes[k->b];

		if (!a->line || !b->line)
			c4_complain(r->c, k->line, "'%s' has no record, expected one in the file",
				    a->line ? b->id : a->id);
	}
}

int c4_ibnet_read(struct c4_ibnet *net, const char *text, size_t len, struct c4_complaints *c)
{
	struct reader r = {.net = net, .c = c, .node = C4_NONE};
	struct c4_lines l = {.next = text, .end = text + len};
	int rc = 0;

	while (!rc && c4_lines_next(&l)) {
		r.line = l.number;
		rc = take_line(&r, &l);
	}
	if (!rc && !c->n)
		check_whole(&r);
	return rc ? rc : c->n ? -EINVAL : 0;
}

void c4_ibnet_release(struct c4_ibnet *net)
{
	free(net->nodes);
	free(net->cables);
	c4_strmap_release(&net->by_id);
	c4_strmap_release(&net->texts);
	c4_map_release(&net->ports);
}
