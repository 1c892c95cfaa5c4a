// SPDX-License-Identifier: BSD-3-Clause
#include "planner/cli/cmd_order.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/opt.h"
#include "planner/cli/input.h"
#include "planner/io/hostfile.h"
#include "planner/model/demand/order.h"

static struct {
	const char *fabric, *hosts, *hostfile, *format, *out;
	int64_t slots;
	bool json;
} opt = {.format = "mpirun"};

static const struct c4_opt opts[] = {
	{"fabric", 'f', C4_OPT_STR, &opt.fabric, "FILE", NULL, "the network", 0, 0},
	{"hosts", 'H', C4_OPT_STR, &opt.hosts, "LIST", NULL, "hosts to order: h0,h5,n[00-15]", 0,
	 0},
	{"hostfile", 0, C4_OPT_STR, &opt.hostfile, "FILE", NULL,
	 "… from a file: HOST, HOST:SLOTS or HOST slots=SLOTS a line; - is standard input", 0, 0},
	{"slots", 'n', C4_OPT_INT, &opt.slots, "N", NULL,
	 "ranks per host, whatever the list says (1 per mention)", 1, C4_ROSTER_SLOTS_MAX},
	{"format", 0, C4_OPT_STR, &opt.format, "FORMAT", NULL, C4_HOSTFILE_FORMS " (mpirun)", 0, 0},
	{"json", 'j', C4_OPT_FLAG, &opt.json, NULL, NULL, "print JSON, c4.order/v1", 0, 0},
	{"output", 'o', C4_OPT_STR, &opt.out, "FILE", NULL, "write there (standard output)", 0, 0},
	{0},
};

static const struct c4_cli cli = {
	.program = "c4plan order",
	.synopsis = "--fabric FILE --hosts LIST|--hostfile FILE [OPTION]…",
	.about = "Sorts hosts by pod and leaf, so that a ring over the ranks leaves each leaf "
		 "once.\nWhat the ring crosses before and after is said on standard error.",
	.opts = opts,
};

struct work {
	struct c4_fabric f;
	struct c4_roster list;
	uint32_t unknown;
	struct c4_crossings before, after;
};

static int failed(const char *what)
{
	fprintf(stderr, "c4plan order: %s\n", what);
	return 1;
}

static int read_hosts(struct work *w)
{
	struct c4_buf text = {0}, errors = {0};
	int rc;

	if (opt.hosts) {
		rc = c4_roster_parse(&w->list, "--hosts", opt.hosts, &errors);
	} else {
		if (c4_input_text(opt.hostfile, &text))
			return 1;
		rc = c4_roster_parse_file(&w->list, opt.hostfile, c4_buf_str(&text), text.len,
					  &errors);
		c4_buf_release(&text);
	}
	if (rc)
		return c4_input_errors(&errors);
	for (uint32_t i = 0; opt.slots && i < w->list.n; i++)
		w->list.hosts[i].slots = (uint32_t)opt.slots;
	return w->list.n ? 0 : failed("no hosts, expected at least one");
}

static int sort(struct work *w)
{
	w->unknown = c4_roster_find(&w->list, &w->f);
	c4_order_count(&w->f, w->list.hosts, w->list.n, &w->before);
	if (c4_order_sort(&w->f, w->list.hosts, w->list.n))
		return failed("out of memory");
	c4_order_count(&w->f, w->list.hosts, w->list.n, &w->after);
	return 0;
}

/* ---- output ---------------------------------------------------------------------------------- */

static bool has_cores(const struct c4_fabric *f)
{
	for (uint32_t i = 0; i < f->n_switches; i++)
		if (f->switches[i].tier == C4_CORE)
			return true;
	return false;
}

static void say_crossings(const struct work *w)
{
	const struct c4_crossings *b = &w->before, *a = &w->after;

	fprintf(stderr,
		"ring of %" PRIu32 " hosts: between leaves %" PRIu64 " times before, %" PRIu64
		" after; connections through spines %" PRIu64 " → %" PRIu64 ", %" PRIu64 " saved\n",
		w->list.n, b->leaf, a->leaf, b->spine, a->spine,
		b->spine > a->spine ? b->spine - a->spine : 0);
	if (has_cores(&w->f))
		fprintf(stderr,
			"between pods %" PRIu64 " → %" PRIu64 "; connections through cores %" PRIu64
			" → %" PRIu64 "\n",
			b->pod, a->pod, b->core, a->core);
	if (!w->unknown)
		return;
	fprintf(stderr, "not in the fabric, put last:");
	for (uint32_t i = 0; i < w->list.n; i++)
		if (w->list.hosts[i].host == C4_NONE)
			fprintf(stderr, " %s", w->list.hosts[i].name);
	fputc('\n', stderr);
}

static json_t *crossings_json(const struct c4_crossings *c)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "leaf", (json_int_t)c->leaf, "pod",
			 (json_int_t)c->pod, "spine", (json_int_t)c->spine, "core",
			 (json_int_t)c->core, "unknown", (json_int_t)c->unknown);
}

static json_t *host_json(const struct work *w, const struct c4_order_host *h, uint64_t rank)
{
	uint32_t nic = h->host == C4_NONE ? C4_NONE : c4_order_first_nic(&w->f, h->host);
	const struct c4_switch *leaf = nic == C4_NONE ? NULL : &w->f.switches[w->f.nics[nic].leaf];

	return json_pack("{s:s, s:I, s:I, s:o, s:o}", "name", h->name, "rank", (json_int_t)rank,
			 "slots", (json_int_t)h->slots, "leaf",
			 leaf ? json_string(leaf->name) : json_null(), "pod",
			 leaf ? json_integer(leaf->pod) : json_null());
}

static json_t *order_json(const struct work *w)
{
	json_t *hosts = json_array(), *unknown = json_array();
	uint64_t rank = 0;

	for (uint32_t i = 0; i < w->list.n; i++) {
		const struct c4_order_host *h = &w->list.hosts[i];

		json_array_append_new(hosts, host_json(w, h, rank));
		if (h->host == C4_NONE)
			json_array_append_new(unknown, json_string(h->name));
		rank += h->slots;
	}
	return json_pack("{s:s, s:o, s:{s:o, s:o, s:I}, s:o}", "schema", "c4.order/v1", "hosts",
			 hosts, "crossings", "before", crossings_json(&w->before), "after",
			 crossings_json(&w->after), "saved",
			 (json_int_t)(w->before.spine - w->after.spine), "unknown", unknown);
}

static int print_to(const struct work *w, enum c4_hostfile_form form, FILE *out)
{
	json_t *j;
	int rc = 0;

	if (opt.json) {
		j = order_json(w);
		rc = j ? json_dumpf(j, out, JSON_INDENT(1)) : -1;
		fputc('\n', out);
		json_decref(j);
	} else {
		c4_hostfile_write(out, form, w->list.hosts, w->list.n);
	}
	return fflush(out) || ferror(out) || rc;
}

static int print(const struct work *w, enum c4_hostfile_form form)
{
	FILE *out = opt.out ? fopen(opt.out, "w") : stdout;
	int rc = !out || print_to(w, form, out);

	if (out && opt.out && fclose(out))
		rc = 1;
	if (rc)
		return failed(opt.out ? "cannot write the output file" : "cannot write");
	if (!opt.json)
		say_crossings(w);
	return 0;
}

int c4_cmd_order(int argc, char **argv)
{
	int first = c4_cli_parse(&cli, argc, argv), rc;
	enum c4_hostfile_form form;
	struct work w = {0};

	if (first < argc)
		return c4_cli_misuse(&cli, "unexpected operand '%s'", argv[first]);
	if (!opt.fabric || !opt.hosts == !opt.hostfile)
		return c4_cli_misuse(&cli, "--fabric and one of --hosts and --hostfile are needed");
	if (!c4_hostfile_form(opt.format, &form))
		return c4_cli_misuse(&cli, "--format: '%s' is not %s", opt.format,
				     C4_HOSTFILE_FORMS);
	if (c4_input_fabric(opt.fabric, &w.f))
		return 1;
	rc = read_hosts(&w);
	rc = rc ? rc : sort(&w);
	rc = rc ? rc : print(&w, form);
	c4_roster_release(&w.list);
	c4_fabric_release(&w.f);
	return rc;
}
