// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/fabric/fabric.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ds/vec.h"

/* What a name in by_name stands for: (index + 1) << 1, and this bit. */
enum { TAG_SWITCH, TAG_HOST };

int c4_fault_set(struct c4_fault *fault, int err, const char *fmt, ...)
{
	va_list ap;

	if (!fault)
		return err;
	va_start(ap, fmt);
	vsnprintf(fault->what, sizeof fault->what, fmt, ap);
	va_end(ap);
	return err;
}

static int no_memory(struct c4_fault *fault)
{
	return c4_fault_set(fault, -ENOMEM, "out of memory");
}

const char *c4_tier_name(enum c4_tier tier)
{
	static const char *const names[] = {"leaf", "spine", "core"};

	return names[tier];
}

void c4_fabric_init(struct c4_fabric *f)
{
	*f = (struct c4_fabric){0};
}

void c4_fabric_release(struct c4_fabric *f)
{
	free(f->switches);
	free(f->links);
	free(f->hosts);
	free(f->nics);
	free(f->link_of);
	free(f->link_at);
	free(f->addresses);
	c4_map_release(&f->by_address);
	c4_strmap_release(&f->by_name);
	c4_strmap_release(&f->names);
	c4_fabric_init(f);
}

/* ---- names ----------------------------------------------------------------------------------- */

/* Names go into messages, host files and paths: nothing that could break a line or a field. */
static int check_name(const char *kind, const char *name, const char *banned,
		      struct c4_fault *fault)
{
	size_t n = strnlen(name, C4_NAME_MAX + 1);

	if (n == 0 || n > C4_NAME_MAX)
		return c4_fault_set(fault, -EINVAL, "%s name %s, expected 1 to %u bytes", kind,
				    n ? "too long" : "empty", C4_NAME_MAX);
	for (size_t i = 0; i < n; i++)
		if (name[i] <= ' ' || name[i] > '~' || strchr(banned, name[i]))
			return c4_fault_set(fault, -EINVAL,
					    "%s name with character 0x%02x, expected printable "
					    "ASCII without blanks%s%s",
					    kind, (unsigned char)name[i], *banned ? " and " : "",
					    banned);
	return 0;
}

/* The value of a name, 0 if nobody has it. */
static uint64_t tagged(const struct c4_fabric *f, const char *name)
{
	struct c4_strmap_entry *e = c4_strmap_find(&f->by_name, name);

	return e ? (uintptr_t)e->value : 0;
}

static uint32_t index_of(const struct c4_fabric *f, const char *name, unsigned tag)
{
	uint64_t v = tagged(f, name);

	return v && (v & 1) == tag ? (uint32_t)(v >> 1) - 1 : C4_NONE;
}

uint32_t c4_fabric_switch(const struct c4_fabric *f, const char *name)
{
	return index_of(f, name, TAG_SWITCH);
}

uint32_t c4_fabric_switch_at(const struct c4_fabric *f, uint32_t ipv4)
{
	return (uint32_t)(uintptr_t)c4_map_get(&f->by_address, ipv4) - 1;
}

uint32_t c4_fabric_host(const struct c4_fabric *f, const char *name)
{
	return index_of(f, name, TAG_HOST);
}

static int name_in_use(const struct c4_fabric *f, const char *name, struct c4_fault *fault)
{
	uint64_t v = tagged(f, name);
	const char *kind = "host";

	if ((v & 1) == TAG_SWITCH)
		kind = c4_tier_name(f->switches[(v >> 1) - 1].tier);
	return c4_fault_set(fault, -EEXIST,
			    "name '%s' is already that of a %s, expected names to be unique", name,
			    kind);
}

/* Takes a name that nobody may have; *kept is the fabric's copy. */
static int claim(struct c4_fabric *f, const char *name, unsigned tag, uint32_t index,
		 const char **kept, struct c4_fault *fault)
{
	struct c4_strmap_entry *e = c4_strmap_at(&f->by_name, name);

	if (!e)
		return no_memory(fault);
	if (e->value)
		return name_in_use(f, name, fault);
	e->value = (void *)(((uintptr_t)index + 1) << 1 | tag);
	*kept = e->key;
	return 0;
}

/* ---- adding ---------------------------------------------------------------------------------- */

/* Room for one more item of the array *data. */
static int reserve(void **data, uint32_t *cap, uint32_t used, uint32_t limit, size_t item,
		   const char *kind, struct c4_fault *fault)
{
	void *grown;

	if (used >= limit)
		return c4_fault_set(fault, -E2BIG, "too many %s, expected at most %u", kind, limit);
	grown = c4_vec_reserve(*data, cap, used + 1, limit, item);
	if (!grown)
		return no_memory(fault);
	*data = grown;
	return 0;
}

int64_t c4_fabric_add_switch(struct c4_fabric *f, enum c4_tier tier, const char *name,
			     struct c4_fault *fault)
{
	struct c4_switch s = {.tier = tier};
	int rc = check_name(c4_tier_name(tier), name, "", fault);

	if (!rc)
		rc = reserve((void **)&f->switches, &f->cap_switches, f->n_switches,
			     C4_FABRIC_SWITCHES_MAX, sizeof s, "switches", fault);
	if (!rc)
		rc = claim(f, name, TAG_SWITCH, f->n_switches, &s.name, fault);
	if (rc)
		return rc;
	f->switches[f->n_switches] = s;
	return f->n_switches++;
}

int64_t c4_fabric_add_host(struct c4_fabric *f, const char *name, struct c4_fault *fault)
{
	struct c4_host h = {.nic = f->n_nics};
	int rc = check_name("host", name, "/", fault);

	if (!rc)
		rc = reserve((void **)&f->hosts, &f->cap_hosts, f->n_hosts, C4_FABRIC_HOSTS_MAX,
			     sizeof h, "hosts", fault);
	if (!rc)
		rc = claim(f, name, TAG_HOST, f->n_hosts, &h.name, fault);
	if (rc)
		return rc;
	f->hosts[f->n_hosts] = h;
	return f->n_hosts++;
}

/* A leaf by name, or -ENOENT with what else it is. */
static int64_t find_leaf(const struct c4_fabric *f, const char *name, struct c4_fault *fault)
{
	uint32_t s = c4_fabric_switch(f, name);

	if (s == C4_NONE)
		return c4_fault_set(fault, -ENOENT,
				    "leaf '%.*s' is unknown, expected one of the leaves",
				    (int)C4_NAME_MAX, name);
	if (f->switches[s].tier != C4_LEAF)
		return c4_fault_set(fault, -EINVAL, "'%s' is a %s, expected a leaf", name,
				    c4_tier_name(f->switches[s].tier));
	return s;
}

static int check_place(const struct c4_fabric *f, uint32_t plane, uint32_t rail,
		       struct c4_fault *fault)
{
	if (!f->n_hosts)
		return c4_fault_set(fault, -EINVAL, "a NIC without a host, expected a host first");
	if (f->hosts[f->n_hosts - 1].nics >= C4_HOST_NICS_MAX)
		return c4_fault_set(fault, -E2BIG, "too many NICs in host %s, expected at most %u",
				    f->hosts[f->n_hosts - 1].name, C4_HOST_NICS_MAX);
	if (plane >= C4_FABRIC_PLANES_MAX)
		return c4_fault_set(fault, -EINVAL, "plane %u, expected 0 to %u", plane,
				    C4_FABRIC_PLANES_MAX - 1);
	if (rail >= C4_FABRIC_RAILS_MAX)
		return c4_fault_set(fault, -EINVAL, "rail %u, expected 0 to %u", rail,
				    C4_FABRIC_RAILS_MAX - 1);
	return 0;
}

/* Interned names are equal when their pointers are. */
static bool host_has(const struct c4_fabric *f, const struct c4_host *h, const char *interned)
{
	for (uint32_t i = h->nic; i < h->nic + h->nics; i++)
		if (f->nics[i].name == interned)
			return true;
	return false;
}

int64_t c4_fabric_add_nic(struct c4_fabric *f, const char *name, const char *leaf, uint32_t plane,
			  uint32_t rail, struct c4_fault *fault)
{
	struct c4_nic nic = {.host = f->n_hosts - 1, .plane = plane, .rail = rail};
	struct c4_host *h;
	int64_t at;
	int rc = check_name("NIC", name, "", fault);

	if (!rc)
		rc = check_place(f, plane, rail, fault);
	if (rc)
		return rc;
	at = find_leaf(f, leaf, fault);
	if (at < 0)
		return at;
	nic.leaf = (uint32_t)at;
	h = &f->hosts[nic.host];
	nic.name = c4_strmap_intern(&f->names, name);
	if (!nic.name)
		return no_memory(fault);
	if (host_has(f, h, nic.name))
		return c4_fault_set(fault, -EEXIST,
				    "host %s has a NIC '%s' already, expected names to be unique",
				    h->name, name);
	rc = reserve((void **)&f->nics, &f->cap_nics, f->n_nics, C4_FABRIC_NICS_MAX, sizeof nic,
		     "NICs", fault);
	if (rc)
		return rc;
	f->nics[f->n_nics] = nic;
	h->nics++;
	return f->n_nics++;
}

static int check_rate(double gbps, double now_gbps, struct c4_fault *fault)
{
	/* As stored: a number so small that it rounds to nothing is nothing. */
	if (!((float)gbps > 0 && gbps <= C4_FABRIC_GBPS_MAX))
		return c4_fault_set(fault, -EINVAL, "gbps %g, expected above 0, at most %g", gbps,
				    C4_FABRIC_GBPS_MAX);
	if (!(now_gbps >= 0 && now_gbps <= gbps))
		return c4_fault_set(fault, -EINVAL,
				    "now_gbps %g, expected 0 (dead) to the link's gbps %g",
				    now_gbps, gbps);
	return 0;
}

int64_t c4_fabric_join(struct c4_fabric *f, uint32_t a, uint32_t b, double gbps, double now_gbps,
		       struct c4_fault *fault)
{
	const struct c4_switch *sa = &f->switches[a], *sb = &f->switches[b];
	bool swap = sa->tier > sb->tier;
	struct c4_link l = {.a = swap ? b : a,
			    .b = swap ? a : b,
			    .gbps = (float)gbps,
			    .now_gbps = (float)now_gbps};
	int rc = check_rate(gbps, now_gbps, fault);

	if (rc)
		return rc;
	if (f->switches[l.b].tier != f->switches[l.a].tier + 1)
		return c4_fault_set(fault, -EINVAL,
				    "link %.60s–%.60s joins %s and %s, expected leaf–spine or "
				    "spine–core",
				    sa->name, sb->name, c4_tier_name(sa->tier),
				    c4_tier_name(sb->tier));
	rc = reserve((void **)&f->links, &f->cap_links, f->n_links, C4_FABRIC_LINKS_MAX, sizeof l,
		     "links", fault);
	if (rc)
		return rc;
	f->links[f->n_links] = l;
	return f->n_links++;
}

int64_t c4_fabric_add_link(struct c4_fabric *f, const char *a, const char *b, double gbps,
			   double now_gbps, struct c4_fault *fault)
{
	uint32_t sa = c4_fabric_switch(f, a), sb = c4_fabric_switch(f, b);
	const char *unknown = sa == C4_NONE ? a : b;

	if (sa != C4_NONE && sb != C4_NONE)
		return c4_fabric_join(f, sa, sb, gbps, now_gbps, fault);
	if (tagged(f, unknown))
		return c4_fault_set(fault, -EINVAL, "'%s' is a host, expected a switch", unknown);
	return c4_fault_set(fault, -ENOENT,
			    "switch '%.*s' is unknown, expected one of the leaves, spines or cores",
			    (int)C4_NAME_MAX, unknown);
}

/* ---- addresses of switches -------------------------------------------------------------------
 */

static int check_address(const struct c4_fabric *f, uint32_t ipv4, struct c4_fault *fault)
{
	uint32_t other = c4_fabric_switch_at(f, ipv4);

	if (!ipv4 || ipv4 >> 28 >= 0xe) /* multicast and above never answer */
		return c4_fault_set(fault, -EINVAL, "%u.%u.%u.%u is no address of one machine",
				    ipv4 >> 24, ipv4 >> 16 & 255, ipv4 >> 8 & 255, ipv4 & 255);
	if (other != C4_NONE)
		return c4_fault_set(fault, -EEXIST,
				    "address of %s, expected each to be of one switch",
				    f->switches[other].name);
	if (f->n_addresses >= C4_FABRIC_ADDRESSES_MAX)
		return c4_fault_set(fault, -E2BIG, "more than %u addresses of switches",
				    C4_FABRIC_ADDRESSES_MAX);
	return 0;
}

int64_t c4_fabric_add_address(struct c4_fabric *f, uint32_t at, uint32_t ipv4,
			      struct c4_fault *fault)
{
	uint32_t *end = &f->switches[at].address;
	int rc = check_address(f, ipv4, fault);
	struct c4_address *grown;

	if (rc)
		return rc;
	grown = c4_vec_reserve(f->addresses, &f->cap_addresses, f->n_addresses + 1,
			       C4_FABRIC_ADDRESSES_MAX, sizeof *grown);
	if (!grown)
		return no_memory(fault);
	f->addresses = grown;
	if (c4_map_put(&f->by_address, ipv4, (void *)(uintptr_t)(at + 1)))
		return no_memory(fault);
	while (*end)
		end = &f->addresses[*end - 1].next;
	f->addresses[f->n_addresses] = (struct c4_address){.ipv4 = ipv4};
	*end = ++f->n_addresses;
	return f->n_addresses - 1;
}

/* ---- NICs by name ---------------------------------------------------------------------------- */

static uint32_t nic_of(const struct c4_fabric *f, const struct c4_host *h, const char *name)
{
	for (uint32_t i = h->nic; i < h->nic + h->nics; i++)
		if (!strcmp(f->nics[i].name, name))
			return i;
	return C4_NONE;
}

uint32_t c4_fabric_nic(const struct c4_fabric *f, const char *host_slash_nic)
{
	const char *slash = strchr(host_slash_nic, '/');
	char host[C4_NAME_MAX + 1];
	uint32_t h;

	if (!slash) {
		h = c4_fabric_host(f, host_slash_nic);
		return h != C4_NONE && f->hosts[h].nics == 1 ? f->hosts[h].nic : C4_NONE;
	}
	if ((size_t)(slash - host_slash_nic) >= sizeof host)
		return C4_NONE;
	*(char *)mempcpy(host, host_slash_nic, (size_t)(slash - host_slash_nic)) = '\0';
	h = c4_fabric_host(f, host);
	return h == C4_NONE ? C4_NONE : nic_of(f, &f->hosts[h], slash + 1);
}
