// SPDX-License-Identifier: BSD-3-Clause
#include "planner/io/fabric_yaml.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "planner/io/locate.h"
#include "planner/io/yaml.h"

/* ---- the file, as it is written -------------------------------------------------------------- */

struct y_link {
	char *a, *b;
	double gbps;
	double *now_gbps;
	uint32_t *count;
	int state;
};

struct y_nic {
	char *name, *leaf, *ipv4;
	uint32_t plane, rail;
	double gbps;
};

struct y_host {
	char *name;
	struct y_nic *nics;
	uint32_t n_nics;
};

struct y_switch {
	char *name;
	uint32_t epoch;
	uint32_t *plane, *pod; /* derived ones, as fabric_json.h writes them: not used */
	char **addresses;
	uint32_t n_addresses;
	int tier;
};

struct y_fabric {
	int schema;
	struct y_host *hosts;
	char **leaves, **spines, **cores;
	struct y_switch *switches;
	struct y_link *links;
	uint32_t n_hosts, n_leaves, n_spines, n_cores, n_switches, n_links;
};

enum { STATE_UP, STATE_DOWN };
static const cyaml_strval_t schemas[] = {{C4_FABRIC_SCHEMA, 0}};
static const cyaml_strval_t states[] = {{"up", STATE_UP}, {"down", STATE_DOWN}};

#define TIER_UNSAID (-1) /* stored is tier - TIER_UNSAID, so that nothing said reads as 0 */
static const cyaml_strval_t tiers[] = {{"leaf", C4_LEAF - TIER_UNSAID},
				       {"spine", C4_SPINE - TIER_UNSAID},
				       {"core", C4_CORE - TIER_UNSAID}};

#define MUST	 CYAML_FLAG_DEFAULT
#define MAY	 CYAML_FLAG_OPTIONAL
#define MAY_NULL (CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER_NULL_STR)
#define WORD	 CYAML_FLAG_STRICT
#define LIST	 CYAML_FLAG_POINTER

static const cyaml_schema_field_t link_fields[] = {
	CYAML_FIELD_STRING_PTR("a", CYAML_FLAG_POINTER, struct y_link, a, 1, C4_NAME_MAX),
	CYAML_FIELD_STRING_PTR("b", CYAML_FLAG_POINTER, struct y_link, b, 1, C4_NAME_MAX),
	CYAML_FIELD_FLOAT("gbps", MUST, struct y_link, gbps),
	CYAML_FIELD_FLOAT_PTR("now_gbps", MAY_NULL, struct y_link, now_gbps),
	CYAML_FIELD_ENUM("state", MAY | WORD, struct y_link, state, states, 2),
	CYAML_FIELD_UINT_PTR("count", MAY_NULL, struct y_link, count),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t nic_fields[] = {
	CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct y_nic, name, 1, C4_NAME_MAX),
	CYAML_FIELD_STRING_PTR("leaf", CYAML_FLAG_POINTER, struct y_nic, leaf, 1, C4_NAME_MAX),
	CYAML_FIELD_UINT("plane", MAY, struct y_nic, plane),
	CYAML_FIELD_UINT("rail", MAY, struct y_nic, rail),
	CYAML_FIELD_STRING_PTR("ipv4", MAY_NULL, struct y_nic, ipv4, 0, 15),
	CYAML_FIELD_FLOAT("gbps", MAY, struct y_nic, gbps),
	CYAML_FIELD_END,
};

#define SWITCH_ADDRESSES_MAX 4096u
static const cyaml_schema_value_t an_address = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 7, 15)};

static const cyaml_schema_field_t switch_fields[] = {
	CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct y_switch, name, 1, C4_NAME_MAX),
	CYAML_FIELD_UINT("epoch", MAY, struct y_switch, epoch),
	CYAML_FIELD_ENUM("tier", MAY | WORD, struct y_switch, tier, tiers, 3),
	CYAML_FIELD_UINT_PTR("plane", MAY_NULL, struct y_switch, plane),
	CYAML_FIELD_UINT_PTR("pod", MAY_NULL, struct y_switch, pod),
	CYAML_FIELD_SEQUENCE_COUNT("addresses", LIST | MAY, struct y_switch, addresses, n_addresses,
				   &an_address, 0, SWITCH_ADDRESSES_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t a_link = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct y_link, link_fields)};
static const cyaml_schema_value_t a_nic = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct y_nic, nic_fields)};
static const cyaml_schema_value_t a_switch = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct y_switch, switch_fields)};
static const cyaml_schema_value_t a_name = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, C4_NAME_MAX)};

static const cyaml_schema_field_t host_fields[] = {
	CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct y_host, name, 1, C4_NAME_MAX),
	CYAML_FIELD_SEQUENCE_COUNT("nics", LIST, struct y_host, nics, n_nics, &a_nic, 0,
				   C4_HOST_NICS_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t a_host = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct y_host, host_fields)};

static const cyaml_schema_field_t fabric_fields[] = {
	CYAML_FIELD_ENUM("schema", MUST | WORD, struct y_fabric, schema, schemas, 1),
	CYAML_FIELD_SEQUENCE_COUNT("hosts", LIST, struct y_fabric, hosts, n_hosts, &a_host, 0,
				   C4_FABRIC_HOSTS_MAX),
	CYAML_FIELD_SEQUENCE_COUNT("leaves", LIST, struct y_fabric, leaves, n_leaves, &a_name, 0,
				   C4_FABRIC_SWITCHES_MAX),
	CYAML_FIELD_SEQUENCE_COUNT("spines", LIST, struct y_fabric, spines, n_spines, &a_name, 0,
				   C4_FABRIC_SWITCHES_MAX),
	CYAML_FIELD_SEQUENCE_COUNT("cores", LIST | MAY, struct y_fabric, cores, n_cores, &a_name, 0,
				   C4_FABRIC_SWITCHES_MAX),
	CYAML_FIELD_SEQUENCE_COUNT("switches", LIST | MAY, struct y_fabric, switches, n_switches,
				   &a_switch, 0, C4_FABRIC_SWITCHES_MAX),
	CYAML_FIELD_SEQUENCE_COUNT("links", LIST, struct y_fabric, links, n_links, &a_link, 0,
				   C4_FABRIC_LINKS_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t a_fabric = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct y_fabric, fabric_fields)};

/* ---- mistakes in meaning --------------------------------------------------------------------- */

/* Collected first, so that one more pass over the text finds all their lines. */
struct build {
	struct c4_fabric *f;
	const struct y_fabric *y;
	struct {
		struct c4_yaml_path path;
		struct c4_fault fault;
	} mistakes[C4_COMPLAINTS_MAX];
	uint32_t n;
};

static struct c4_yaml_path item(const char *section, uint32_t index, const char *key)
{
	return (struct c4_yaml_path){
		.steps = {{.key = section}, {.index = index}, {.key = key}},
		.n = key ? 3 : 2,
	};
}

static struct c4_yaml_path nic_item(uint32_t host, uint32_t nic, const char *key)
{
	return (struct c4_yaml_path){
		.steps = {{.key = "hosts"},
			  {.index = host},
			  {.key = "nics"},
			  {.index = nic},
			  {.key = key}},
		.n = key ? 5 : 4,
	};
}

static void blame(struct build *b, struct c4_yaml_path path, const struct c4_fault *fault)
{
	if (b->n < C4_COMPLAINTS_MAX) {
		b->mistakes[b->n].path = path;
		b->mistakes[b->n].fault = *fault;
	}
	b->n++;
}

static void report(const struct build *b, const char *text, size_t len, struct c4_complaints *c)
{
	uint32_t n = b->n < C4_COMPLAINTS_MAX ? b->n : C4_COMPLAINTS_MAX;
	struct c4_yaml_path paths[C4_COMPLAINTS_MAX];
	uint32_t lines[C4_COMPLAINTS_MAX];

	for (uint32_t i = 0; i < n; i++)
		paths[i] = b->mistakes[i].path;
	if (n)
		c4_yaml_locate(text, len, paths, lines, n);
	for (uint32_t i = 0; i < n; i++)
		c4_complain(c, lines[i], "%s", b->mistakes[i].fault.what);
	c->n += b->n - n; /* counted, if not told */
}

/* ---- building -------------------------------------------------------------------------------- */

static void add_tier(struct build *b, enum c4_tier tier, const char *section, char *const *names,
		     uint32_t n)
{
	struct c4_fault fault;

	for (uint32_t i = 0; i < n; i++)
		if (c4_fabric_add_switch(b->f, tier, names[i], &fault) < 0)
			blame(b, item(section, i, NULL), &fault);
}

/* Which key of a NIC its fault is about; NULL: the NIC as such. */
static const char *nic_key(const struct y_nic *n, int64_t rc)
{
	if (rc == -ENOENT)
		return "leaf";
	if (rc == -EEXIST)
		return "name";
	if (n->plane >= C4_FABRIC_PLANES_MAX)
		return "plane";
	return n->rail >= C4_FABRIC_RAILS_MAX ? "rail" : NULL;
}

/* Host byte order. */
static bool read_ipv4(const char *text, uint32_t *ret, struct c4_fault *fault)
{
	struct in_addr a;

	if (inet_pton(AF_INET, text, &a) != 1) {
		c4_fault_set(fault, 0, "ipv4 '%s', expected four numbers such as 10.0.0.1", text);
		return false;
	}
	*ret = ntohl(a.s_addr);
	return true;
}

static bool set_address(struct c4_nic *nic, const struct y_nic *y, struct c4_fault *fault)
{
	return !y->ipv4 || !*y->ipv4 || read_ipv4(y->ipv4, &nic->ipv4, fault);
}

static void add_nic(struct build *b, uint32_t host, uint32_t i)
{
	const struct y_nic *y = &b->y->hosts[host].nics[i];
	struct c4_fault fault;
	int64_t at = c4_fabric_add_nic(b->f, y->name, y->leaf, y->plane, y->rail, &fault);

	if (at < 0) {
		blame(b, nic_item(host, i, nic_key(y, at)), &fault);
		return;
	}
	if (!set_address(&b->f->nics[at], y, &fault))
		blame(b, nic_item(host, i, "ipv4"), &fault);
	if (!(y->gbps >= 0 && y->gbps <= C4_FABRIC_GBPS_MAX)) {
		c4_fault_set(&fault, 0, "gbps %g, expected 0 (unknown) to %g", y->gbps,
			     C4_FABRIC_GBPS_MAX);
		blame(b, nic_item(host, i, "gbps"), &fault);
	} else {
		b->f->nics[at].gbps = (float)y->gbps;
	}
}

/* A host that is refused takes its NICs with it: they would go to the host before. */
static void add_hosts(struct build *b)
{
	struct c4_fault fault;

	for (uint32_t i = 0; i < b->y->n_hosts; i++) {
		const struct y_host *y = &b->y->hosts[i];

		if (c4_fabric_add_host(b->f, y->name, &fault) < 0) {
			blame(b, item("hosts", i, "name"), &fault);
			continue;
		}
		for (uint32_t k = 0; k < y->n_nics; k++)
			add_nic(b, i, k);
	}
}

static const char *link_key(const struct build *b, const struct y_link *y, int64_t rc)
{
	if (c4_fabric_switch(b->f, y->a) == C4_NONE)
		return "a";
	if (c4_fabric_switch(b->f, y->b) == C4_NONE)
		return "b";
	if (rc == -EINVAL && !((float)y->gbps > 0 && y->gbps <= C4_FABRIC_GBPS_MAX))
		return "gbps";
	if (rc == -EINVAL && y->now_gbps && !(*y->now_gbps >= 0 && *y->now_gbps <= y->gbps))
		return "now_gbps";
	return NULL;
}

static bool count_fits(struct build *b, uint32_t i, uint32_t count)
{
	struct c4_fault fault;

	if (count >= 1 && count <= C4_LINK_COUNT_MAX)
		return true;
	c4_fault_set(&fault, 0, "count %u, expected 1 to %u", count, C4_LINK_COUNT_MAX);
	blame(b, item("links", i, "count"), &fault);
	return false;
}

static void add_links(struct build *b)
{
	struct c4_fault fault;

	for (uint32_t i = 0; i < b->y->n_links; i++) {
		const struct y_link *y = &b->y->links[i];
		uint32_t count = y->count ? *y->count : 1;
		double now = y->now_gbps ? *y->now_gbps : y->gbps;
		int64_t rc = 0;

		if (!count_fits(b, i, count))
			continue;
		if (y->state == STATE_DOWN)
			now = 0;
		while (rc >= 0 && count--)
			rc = c4_fabric_add_link(b->f, y->a, y->b, y->gbps, now, &fault);
		if (rc < 0)
			blame(b, item("links", i, link_key(b, y, rc)), &fault);
	}
}

static void add_addresses(struct build *b, uint32_t i, uint32_t s)
{
	struct c4_yaml_path path = {
		.steps = {{.key = "switches"}, {.index = i}, {.key = "addresses"}}, .n = 4};
	const struct y_switch *y = &b->y->switches[i];
	struct c4_fault fault;
	uint32_t ipv4;

	for (uint32_t k = 0; k < y->n_addresses; k++) {
		path.steps[3].index = k;
		if (!read_ipv4(y->addresses[k], &ipv4, &fault) ||
		    c4_fabric_add_address(b->f, s, ipv4, &fault) < 0)
			blame(b, path, &fault);
	}
}

static void set_switches(struct build *b)
{
	struct c4_fault fault;

	for (uint32_t i = 0; i < b->y->n_switches; i++) {
		const struct y_switch *y = &b->y->switches[i];
		uint32_t s = c4_fabric_switch(b->f, y->name);

		if (s == C4_NONE) {
			c4_fault_set(&fault, 0,
				     "switch '%s' is unknown, expected one of the leaves, spines "
				     "or cores",
				     y->name);
			blame(b, item("switches", i, "name"), &fault);
			continue;
		}
		if (y->tier && y->tier + TIER_UNSAID != (int)b->f->switches[s].tier) {
			c4_fault_set(&fault, 0,
				     "tier of %s is %s by the lists above, expected the same",
				     y->name, c4_tier_name(b->f->switches[s].tier));
			blame(b, item("switches", i, "tier"), &fault);
		}
		b->f->switches[s].epoch = y->epoch;
		add_addresses(b, i, s);
	}
}

/* The entry of links that a link of the fabric came from. */
static uint32_t entry_of(const struct y_fabric *y, uint32_t link)
{
	uint32_t i = 0;

	for (uint64_t seen = 0; i < y->n_links; i++) {
		seen += y->links[i].count ? *y->links[i].count : 1;
		if (seen > link)
			break;
	}
	return i;
}

/* Only of a fabric all of whose parts were accepted: its indices are those of the file. */
static void finish(struct build *b)
{
	struct c4_yaml_path path = {.steps = {{.key = "leaves"}}, .n = 1};
	struct c4_fault fault;

	if (!c4_fabric_finish(b->f, &fault))
		return;
	if (fault.link != C4_NONE) {
		path = item("links", entry_of(b->y, fault.link), NULL);
	} else if (fault.nic != C4_NONE) {
		uint32_t host = b->f->nics[fault.nic].host;

		path = nic_item(host, fault.nic - b->f->hosts[host].nic, "plane");
	}
	blame(b, path, &fault);
}

int c4_fabric_read_yaml(struct c4_fabric *f, const char *text, size_t len, struct c4_complaints *c)
{
	struct build *b = calloc(1, sizeof *b);
	void *y = NULL;
	int rc = b ? c4_yaml_load(text, len, &a_fabric, &y, c) : -ENOMEM;

	if (rc) {
		free(b);
		return rc;
	}
	b->f = f;
	b->y = y;
	add_tier(b, C4_LEAF, "leaves", b->y->leaves, b->y->n_leaves);
	add_tier(b, C4_SPINE, "spines", b->y->spines, b->y->n_spines);
	add_tier(b, C4_CORE, "cores", b->y->cores, b->y->n_cores);
	add_hosts(b);
	add_links(b);
	set_switches(b);
	if (!b->n)
		finish(b);
	report(b, text, len, c);
	rc = b->n ? -EINVAL : 0;
	c4_yaml_free(&a_fabric, y);
	free(b);
	return rc;
}
