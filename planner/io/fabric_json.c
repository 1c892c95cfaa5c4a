// SPDX-License-Identifier: BSD-3-Clause
#include "planner/io/fabric_json.h"

#include <arpa/inet.h>
#include <errno.h>

#include <jansson.h>

#include "planner/io/fabric_yaml.h"

/* A list being written; an item that could not be made is an error of the whole. */
struct list {
	FILE *out;
	bool any;
	bool *no_memory;
};

static struct list open_list(const char *key, FILE *out, bool *no_memory)
{
	fprintf(out, ",\n\"%s\":[", key);
	return (struct list){out, false, no_memory};
}

/* Takes the item. */
static void write_item(struct list *l, json_t *item)
{
	if (!item) {
		*l->no_memory = true;
		return;
	}
	fputs(l->any ? ",\n" : "\n", l->out);
	l->any = true;
	json_dumpf(item, l->out, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
	json_decref(item);
}

static void close_list(struct list *l)
{
	fputs(l->any ? "\n]" : "]", l->out);
}

/* Whole rates without a fraction: 400, not 400.0. */
static json_t *rate(float gbps)
{
	if (gbps == (float)(int)gbps)
		return json_integer((int)gbps);
	return json_real((double)gbps);
}

static json_t *nic_json(const struct c4_fabric *f, const struct c4_nic *nic)
{
	struct in_addr a = {htonl(nic->ipv4)};
	char text[INET_ADDRSTRLEN];
	json_t *j = json_pack("{s:s, s:s, s:i, s:i}", "name", nic->name, "leaf",
			      f->switches[nic->leaf].name, "plane", (int)nic->plane, "rail",
			      (int)nic->rail);

	if (j && nic->ipv4)
		json_object_set_new(j, "ipv4",
				    json_string(inet_ntop(AF_INET, &a, text, sizeof text)));
	if (j && nic->gbps > 0)
		json_object_set_new(j, "gbps", rate(nic->gbps));
	return j;
}

static json_t *host_json(const struct c4_fabric *f, const struct c4_host *h)
{
	json_t *nics = json_array();

	for (uint32_t i = h->nic; nics && i < h->nic + h->nics; i++)
		if (json_array_append_new(nics, nic_json(f, &f->nics[i]))) {
			json_decref(nics);
			nics = NULL;
		}
	return nics ? json_pack("{s:s, s:o}", "name", h->name, "nics", nics) : NULL;
}

static json_t *address_json(uint32_t ipv4)
{
	struct in_addr a = {htonl(ipv4)};
	char text[INET_ADDRSTRLEN];

	return json_string(inet_ntop(AF_INET, &a, text, sizeof text));
}

static json_t *addresses_json(const struct c4_fabric *f, const struct c4_switch *s)
{
	json_t *list = json_array();

	for (uint32_t i = s->address; i; i = f->addresses[i - 1].next)
		json_array_append_new(list, address_json(f->addresses[i - 1].ipv4));
	return list;
}

static json_t *switch_json(const struct c4_fabric *f, const struct c4_switch *s)
{
	json_t *j = json_pack("{s:s, s:s, s:i}", "name", s->name, "tier", c4_tier_name(s->tier),
			      "plane", (int)s->plane);

	if (j) {
		json_object_set_new(j, "pod",
				    s->pod == C4_NONE ? json_null() : json_integer(s->pod));
		json_object_set_new(j, "epoch", json_integer(s->epoch));
		if (s->address)
			json_object_set_new(j, "addresses", addresses_json(f, s));
	}
	return j;
}

static json_t *link_json(const struct c4_fabric *f, const struct c4_link *l)
{
	json_t *j = json_pack("{s:s, s:s, s:o}", "a", f->switches[l->a].name, "b",
			      f->switches[l->b].name, "gbps", rate(l->gbps));

	if (j && l->now_gbps < l->gbps)
		json_object_set_new(j, "now_gbps", rate(l->now_gbps));
	return j;
}

static void write_tier(const struct c4_fabric *f, const char *key, enum c4_tier tier, FILE *out,
		       bool *no_memory)
{
	struct list l = open_list(key, out, no_memory);

	for (uint32_t i = 0; i < f->n_switches; i++)
		if (f->switches[i].tier == tier)
			write_item(&l, json_string(f->switches[i].name));
	close_list(&l);
}

static void write_rest(const struct c4_fabric *f, FILE *out, bool *no_memory)
{
	struct list l = open_list("switches", out, no_memory);

	for (uint32_t i = 0; i < f->n_switches; i++)
		write_item(&l, switch_json(f, &f->switches[i]));
	close_list(&l);
	l = open_list("links", out, no_memory);
	for (uint32_t i = 0; i < f->n_links; i++)
		write_item(&l, link_json(f, &f->links[i]));
	close_list(&l);
}

int c4_fabric_write_json(const struct c4_fabric *f, FILE *out)
{
	bool no_memory = false;
	struct list l;

	fputs("{\"schema\":\"" C4_FABRIC_SCHEMA "\"", out);
	l = open_list("hosts", out, &no_memory);
	for (uint32_t i = 0; i < f->n_hosts; i++)
		write_item(&l, host_json(f, &f->hosts[i]));
	close_list(&l);
	write_tier(f, "leaves", C4_LEAF, out, &no_memory);
	write_tier(f, "spines", C4_SPINE, out, &no_memory);
	write_tier(f, "cores", C4_CORE, out, &no_memory);
	write_rest(f, out, &no_memory);
	fputs("\n}\n", out);
	if (no_memory)
		return -ENOMEM;
	return fflush(out) || ferror(out) ? -EIO : 0;
}
