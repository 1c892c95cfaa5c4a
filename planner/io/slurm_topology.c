// SPDX-License-Identifier: BSD-3-Clause
/*
 * First all lines are cut into records, for a line may name switches that come later. Tiers follow
 * from the records by a few rounds of "above the highest below", then the fabric is built.
 */
#include "planner/io/slurm_topology.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "common/ds/strmap.h"
#include "common/ds/vec.h"
#include "planner/io/hostlist.h"
#include "planner/io/lines.h"

#define RECORDS_MAX C4_FABRIC_SWITCHES_MAX
#define TIERS	    3

struct slice {
	const char *s;
	size_t n;
};

struct record {
	const char *name; /* interned */
	struct slice nodes, switches;
	double gbps;
	bool speed_said;
	uint32_t line;
	int height;	/* 0: a leaf */
	uint32_t index; /* in the fabric */
};

struct edge {
	uint32_t above, below; /* records */
};

struct place {
	uint32_t host, record; /* a node below a leaf */
};

struct topology {
	struct c4_fabric *f;
	struct c4_complaints *c;
	struct record *records;
	struct edge *edges;
	struct place *places;
	const char **hosts; /* names, in order of appearance */
	uint32_t n_records, n_edges, n_places, n_hosts;
	uint32_t cap_records, cap_edges, cap_places, cap_hosts;
	struct c4_strmap by_name, by_host; /* index + 1 */
	uint32_t now;			   /* the record whose list is being expanded */
	struct c4_fault fault;
};

/* ---- lines to records ------------------------------------------------------------------------ */

static struct slice next_word(struct slice *rest)
{
	struct slice w;

	while (rest->n && isspace((unsigned char)*rest->s)) {
		rest->s++;
		rest->n--;
	}
	w = (struct slice){rest->s, 0};
	while (w.n < rest->n && !isspace((unsigned char)w.s[w.n]))
		w.n++;
	rest->s += w.n;
	rest->n -= w.n;
	return w;
}

static bool key_is(struct slice w, const char *key, struct slice *value)
{
	size_t n = strlen(key);

	if (w.n <= n || strncasecmp(w.s, key, n) != 0 || w.s[n] != '=')
		return false;
	*value = (struct slice){w.s + n + 1, w.n - n - 1};
	return true;
}

static void set_speed(struct record *r, struct slice v)
{
	char text[32];
	double gbps;

	snprintf(text, sizeof text, "%.*s", (int)(v.n < 31 ? v.n : 31), v.s);
	gbps = strtod(text, NULL);
	r->speed_said = gbps > 0 && gbps <= C4_FABRIC_GBPS_MAX;
	if (r->speed_said)
		r->gbps = gbps;
}

static int set_name(struct topology *t, struct record *r, struct slice v)
{
	char name[C4_NAME_MAX + 1];
	struct c4_strmap_entry *e;

	if (!v.n || v.n > C4_NAME_MAX) {
		c4_complain(t->c, r->line, "SwitchName of %zu bytes, expected 1 to %u", v.n,
			    C4_NAME_MAX);
		return -EINVAL;
	}
	snprintf(name, sizeof name, "%.*s", (int)v.n, v.s);
	e = c4_strmap_at(&t->by_name, name);
	if (!e)
		return -ENOMEM;
	if (e->value) {
		c4_complain(t->c, r->line,
			    "switch '%s' is already described in line %u, expected names to be "
			    "unique",
			    name, t->records[(uintptr_t)e->value - 1].line);
		return -EINVAL;
	}
	e->value = (void *)((uintptr_t)t->n_records + 1);
	r->name = e->key;
	return 0;
}

static int take_word(struct topology *t, struct record *r, struct slice w)
{
	struct slice v;

	if (key_is(w, "SwitchName", &v))
		return r->name ? 0 : set_name(t, r, v);
	if (key_is(w, "Nodes", &v))
		r->nodes = v;
	else if (key_is(w, "Switches", &v))
		r->switches = v;
	else if (key_is(w, "LinkSpeed", &v))
		set_speed(r, v);
	else {
		c4_complain(t->c, r->line,
			    "'%.*s', expected SwitchName=, Nodes=, Switches= or LinkSpeed=",
			    (int)(w.n < 60 ? w.n : 60), w.s);
		return -EINVAL;
	}
	return 0;
}

static int check_record(struct topology *t, const struct record *r)
{
	const char *what = NULL;

	if (!r->name)
		what = "a line without SwitchName=, expected one";
	else if (r->nodes.n && r->switches.n)
		what = "a switch with Nodes= and Switches=, expected one of them";
	else if (!r->nodes.n && !r->switches.n)
		what = "a switch without Nodes= or Switches=, expected one of them";
	if (what)
		c4_complain(t->c, r->line, "%s", what);
	return what ? -EINVAL : 0;
}

static int add_record(struct topology *t, const struct record *r)
{
	struct record *grown = c4_vec_reserve(t->records, &t->cap_records, t->n_records + 1,
					      RECORDS_MAX, sizeof *grown);

	if (!grown && t->n_records >= RECORDS_MAX)
		c4_complain(t->c, r->line, "too many switches, expected at most %u", RECORDS_MAX);
	if (!grown)
		return -ENOMEM;
	t->records = grown;
	t->records[t->n_records++] = *r;
	return 0;
}

/* A line without comment. Mistakes are told and passed over, so that all are told at once. */
static int take_line(struct topology *t, struct slice line, uint32_t number)
{
	struct record r = {.line = number, .gbps = C4_SLURM_GBPS};
	struct slice w = next_word(&line);
	int rc = 0;

	if (!w.n)
		return 0;
	for (; w.n && !rc; w = next_word(&line))
		rc = take_word(t, &r, w);
	if (!rc)
		rc = check_record(t, &r);
	if (!rc || (rc == -EINVAL && r.name)) /* a name once taken needs its record */
		rc = add_record(t, &r);
	return rc == -EINVAL ? 0 : rc;
}

/*
 * A backslash at the end joins the next line, in place; the ends of line that go are put behind
 * the joined line, so that the numbers of the next ones stay right. Returns the new length.
 */
static size_t join_lines(char *text, size_t len)
{
	size_t kept = 0, owed = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\\' && i + 1 < len && text[i + 1] == '\n') {
			owed++;
			i++;
			continue;
		}
		text[kept++] = text[i];
		for (; text[i] == '\n' && owed; owed--)
			text[kept++] = '\n';
	}
	return kept;
}

static int take_lines(struct topology *t, const char *text, size_t len)
{
	struct c4_lines l = {.next = text, .end = text + len};
	int rc = 0;

	while (!rc && c4_lines_next(&l)) {
		const char *comment = memchr(l.line, '#', l.n);
		size_t n = comment ? (size_t)(comment - l.line) : l.n;

		rc = take_line(t, (struct slice){l.line, n}, l.number);
	}
	return rc;
}

/* ---- what the lists name --------------------------------------------------------------------- */

static int add_edge(void *arg, const char *name)
{
	struct topology *t = arg;
	struct c4_strmap_entry *e = c4_strmap_find(&t->by_name, name);
	struct edge *grown;

	if (!e)
		return c4_fault_set(&t->fault, -ENOENT,
				    "switch '%s' is unknown, expected a line SwitchName=%s", name,
				    name);
	grown = c4_vec_reserve(t->edges, &t->cap_edges, t->n_edges + 1, C4_FABRIC_LINKS_MAX,
			       sizeof *grown);
	if (!grown)
		return c4_fault_set(&t->fault, -E2BIG, "too many links, expected at most %u",
				    C4_FABRIC_LINKS_MAX);
	t->edges = grown;
	t->edges[t->n_edges++] = (struct edge){t->now, (uint32_t)(uintptr_t)e->value - 1};
	return 0;
}

/* Index of the node of this name, new or not; negative errno. */
static int64_t host_of(struct topology *t, const char *name)
{
	struct c4_strmap_entry *e = c4_strmap_at(&t->by_host, name);
	const char **grown;

	if (e && e->value)
		return (int64_t)(uintptr_t)e->value - 1;
	grown = c4_vec_reserve(t->hosts, &t->cap_hosts, t->n_hosts + 1, C4_FABRIC_HOSTS_MAX,
			       sizeof *grown);
	if (!e || !grown)
		return c4_fault_set(&t->fault, -E2BIG, "too many nodes, expected at most %u",
				    C4_FABRIC_HOSTS_MAX);
	t->hosts = grown;
	t->hosts[t->n_hosts++] = e->key;
	e->value = (void *)(uintptr_t)t->n_hosts;
	return t->n_hosts - 1;
}

static int add_place(void *arg, const char *name)
{
	struct topology *t = arg;
	int64_t host = host_of(t, name);
	struct place *grown;

	if (host < 0)
		return (int)host;
	grown = c4_vec_reserve(t->places, &t->cap_places, t->n_places + 1, C4_FABRIC_NICS_MAX,
			       sizeof *grown);
	if (!grown)
		return c4_fault_set(&t->fault, -E2BIG, "too many NICs, expected at most %u",
				    C4_FABRIC_NICS_MAX);
	t->places = grown;
	t->places[t->n_places++] = (struct place){(uint32_t)host, t->now};
	return 0;
}

static void expand_lists(struct topology *t)
{
	for (t->now = 0; t->now < t->n_records; t->now++) {
		const struct record *r = &t->records[t->now];
		struct slice list = r->nodes.n ? r->nodes : r->switches;

		if (c4_hostlist_each(list.s, list.n, r->nodes.n ? add_place : add_edge, t,
				     &t->fault))
			c4_complain(t->c, r->line, "%s", t->fault.what);
	}
}

/* ---- tiers ----------------------------------------------------------------------------------- */

/* Height = the longest way down; what still grows after as many rounds as tiers is a ring. */
static void find_heights(struct topology *t)
{
	for (int round = 0; round < TIERS; round++)
		for (uint32_t i = 0; i < t->n_edges; i++) {
			struct record *above = &t->records[t->edges[i].above];
			int below = t->records[t->edges[i].below].height;

			if (above->height <= below)
				above->height = below + 1;
		}
	for (uint32_t i = 0; i < t->n_records; i++)
		if (t->records[i].height >= TIERS)
			c4_complain(t->c, t->records[i].line,
				    "switch '%s' is above %d tiers or part of a ring, expected "
				    "leaves, spines and cores",
				    t->records[i].name, TIERS);
}

/* ---- records to fabric ----------------------------------------------------------------------- */

static void add_switches(struct topology *t)
{
	for (int tier = C4_LEAF; tier < TIERS; tier++)
		for (uint32_t i = 0; i < t->n_records; i++) {
			struct record *r = &t->records[i];
			int64_t rc;

			if (r->height != tier)
				continue;
			rc = c4_fabric_add_switch(t->f, (enum c4_tier)tier, r->name, &t->fault);
			if (rc < 0)
				c4_complain(t->c, r->line, "%s", t->fault.what);
			else
				r->index = (uint32_t)rc;
		}
}

static void add_links(struct topology *t)
{
	for (uint32_t i = 0; i < t->n_edges; i++) {
		const struct record *above = &t->records[t->edges[i].above];
		const struct record *below = &t->records[t->edges[i].below];

		if (c4_fabric_join(t->f, below->index, above->index, above->gbps, above->gbps,
				   &t->fault) < 0)
			c4_complain(t->c, above->line, "%s", t->fault.what);
	}
}

static void add_host(struct topology *t, uint32_t host, const uint32_t *places, uint32_t n)
{
	int64_t rc = c4_fabric_add_host(t->f, t->hosts[host], &t->fault);
	char nic[32];

	for (uint32_t i = 0; i < n && rc >= 0; i++) {
		const struct record *r = &t->records[places[i]];

		if (i && places[i - 1] == places[i])
			rc = c4_fault_set(&t->fault, -EEXIST,
					  "node '%s' is twice below switch '%s', expected once",
					  t->hosts[host], r->name);
		snprintf(nic, sizeof nic, "r%up0", i);
		if (rc >= 0)
			rc = c4_fabric_add_nic(t->f, nic, r->name, 0, i, &t->fault);
		if (rc >= 0)
			t->f->nics[rc].gbps = r->speed_said ? (float)r->gbps : 0;
	}
	if (rc < 0)
		c4_complain(t->c, t->records[places[0]].line, "%s", t->fault.what);
}

/* Places come in order of lines; hosts need theirs together: a counting sort. */
static int add_hosts(struct topology *t)
{
	uint32_t *at = calloc(t->n_hosts + 2, sizeof *at);
	uint32_t *records = malloc((t->n_places + 1) * sizeof *records);

	if (!at || !records) {
		free(at);
		free(records);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < t->n_places; i++)
		at[t->places[i].host + 2]++;
	for (uint32_t h = 1; h <= t->n_hosts; h++)
		at[h + 1] += at[h];
	for (uint32_t i = 0; i < t->n_places; i++)
		records[at[t->places[i].host + 1]++] = t->places[i].record;
	for (uint32_t h = 0; h < t->n_hosts; h++)
		add_host(t, h, records + at[h], at[h + 1] - at[h]);
	free(at);
	free(records);
	return 0;
}

static int build(struct topology *t)
{
	int rc;

	add_switches(t);
	if (t->c->n)
		return -EINVAL;
	add_links(t);
	rc = add_hosts(t);
	if (rc || t->c->n)
		return rc ? rc : -EINVAL;
	rc = c4_fabric_finish(t->f, &t->fault);
	if (rc)
		c4_complain(t->c, 1, "%s", t->fault.what);
	return rc;
}

static int read_all(struct topology *t, char *text, size_t len)
{
	int rc;

	rc = take_lines(t, text, join_lines(text, len));
	if (rc || t->c->n)
		return rc ? rc : -EINVAL;
	expand_lists(t);
	if (!t->c->n)
		find_heights(t);
	return t->c->n ? -EINVAL : build(t);
}

int c4_fabric_read_slurm(struct c4_fabric *f, const char *text, size_t len, struct c4_complaints *c)
{
	struct topology t = {.f = f, .c = c};
	char *copy = malloc(len + 1);
	int rc = -ENOMEM;

	if (copy) {
		memcpy(copy, text, len);
		rc = read_all(&t, copy, len);
	}
	free(copy);
	free(t.records);
	free(t.edges);
	free(t.places);
	free(t.hosts);
	c4_strmap_release(&t.by_name);
	c4_strmap_release(&t.by_host);
	return rc;
}
