// SPDX-License-Identifier: BSD-3-Clause
/* Writing c4.fabric/v1 as YAML. Names that YAML could take for something else are quoted. */
#include "planner/io/fabric_yaml.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

/* Words that some YAML reader takes for a truth value or for nothing. */
static bool is_special(const char *s)
{
	static const char *const words[] = {"y",     "n",    "yes", "no",  "true",
					    "false", "null", "on",  "off", "nan"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (!strcasecmp(s, words[i]))
			return true;
	return false;
}

static bool is_plain(const char *s)
{
	if (!isalpha((unsigned char)*s) || is_special(s))
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("._-/", *s))
			return false;
	return true;
}

static void write_name(const char *s, FILE *out)
{
	if (is_plain(s)) {
		fputs(s, out);
		return;
	}
	putc('"', out);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			putc('\\', out);
		putc(*s, out);
	}
	putc('"', out);
}

/* The key of a list, with "[]" behind it if nothing follows. */
static void write_section(const char *key, uint32_t n, FILE *out)
{
	fprintf(out, "%s:%s\n", key, n ? "" : " []");
}

static void write_tier(const struct c4_fabric *f, const char *key, enum c4_tier tier, FILE *out)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < f->n_switches; i++)
		n += f->switches[i].tier == tier;
	if (!n && tier == C4_CORE)
		return;
	write_section(key, n, out);
	for (uint32_t i = 0; i < f->n_switches; i++) {
		if (f->switches[i].tier != tier)
			continue;
		fputs("- ", out);
		write_name(f->switches[i].name, out);
		putc('\n', out);
	}
}

static void write_ipv4(uint32_t ipv4, FILE *out)
{
	struct in_addr a = {htonl(ipv4)};
	char text[INET_ADDRSTRLEN];

	fputs(inet_ntop(AF_INET, &a, text, sizeof text), out);
}

static void write_nic(const struct c4_fabric *f, const struct c4_nic *nic, FILE *out)
{
	fputs("  - {name: ", out);
	write_name(nic->name, out);
	fputs(", leaf: ", out);
	write_name(f->switches[nic->leaf].name, out);
	fprintf(out, ", plane: %u, rail: %u", nic->plane, nic->rail);
	if (nic->ipv4) {
		fputs(", ipv4: ", out);
		write_ipv4(nic->ipv4, out);
	}
	if (nic->gbps > 0)
		fprintf(out, ", gbps: %.9g", (double)nic->gbps);
	fputs("}\n", out);
}

static void write_hosts(const struct c4_fabric *f, FILE *out)
{
	write_section("hosts", f->n_hosts, out);
	for (uint32_t i = 0; i < f->n_hosts; i++) {
		const struct c4_host *h = &f->hosts[i];

		fputs("- name: ", out);
		write_name(h->name, out);
		putc('\n', out);
		fputs("  ", out);
		write_section("nics", h->nics, out);
		for (uint32_t k = 0; k < h->nics; k++)
			write_nic(f, &f->nics[h->nic + k], out);
	}
}

static void write_switch(const struct c4_fabric *f, const struct c4_switch *s, FILE *out)
{
	fputs("- {name: ", out);
	write_name(s->name, out);
	if (s->epoch)
		fprintf(out, ", epoch: %u", s->epoch);
	for (uint32_t i = s->address; i; i = f->addresses[i - 1].next) {
		fputs(i == s->address ? ", addresses: [" : ", ", out);
		write_ipv4(f->addresses[i - 1].ipv4, out);
	}
	fputs(s->address ? "]}\n" : "}\n", out);
}

/* Only what is not said by the lists above. */
static void write_switches(const struct c4_fabric *f, FILE *out)
{
	bool any = false;

	for (uint32_t i = 0; i < f->n_switches; i++) {
		const struct c4_switch *s = &f->switches[i];

		if (!s->epoch && !s->address)
			continue;
		if (!any)
			write_section("switches", 1, out);
		any = true;
		write_switch(f, s, out);
	}
}

static void write_links(const struct c4_fabric *f, FILE *out)
{
	write_section("links", f->n_links, out);
	for (uint32_t i = 0; i < f->n_links; i++) {
		const struct c4_link *l = &f->links[i];

		fputs("- {a: ", out);
		write_name(f->switches[l->a].name, out);
		fputs(", b: ", out);
		write_name(f->switches[l->b].name, out);
		fprintf(out, ", gbps: %.9g", (double)l->gbps);
		if (l->now_gbps < l->gbps)
			fprintf(out, ", now_gbps: %.9g", (double)l->now_gbps);
		fputs("}\n", out);
	}
}

int c4_fabric_write_yaml(const struct c4_fabric *f, FILE *out)
{
	fputs("schema: " C4_FABRIC_SCHEMA "\n", out);
	write_hosts(f, out);
	write_tier(f, "leaves", C4_LEAF, out);
	write_tier(f, "spines", C4_SPINE, out);
	write_tier(f, "cores", C4_CORE, out);
	write_switches(f, out);
	write_links(f, out);
	return fflush(out) || ferror(out) ? -EIO : 0;
}
