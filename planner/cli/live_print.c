// SPDX-License-Identifier: BSD-3-Clause
#include "planner/cli/live_print.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#define FLOWS_SHOWN 32u

static const char *text_of(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "-";
}

static double number_of(const json_t *j, const char *key)
{
	return json_number_value(json_object_get(j, key));
}

static int integer_of(const json_t *j, const char *key)
{
	return (int)json_integer_value(json_object_get(j, key));
}

/* "leaf0 spine1 leaf2", "?" where it is not known. */
static void put_path(const json_t *path, FILE *out)
{
	size_t i;
	json_t *one;

	if (!json_is_array(path)) {
		fputs("?", out);
		return;
	}
	json_array_foreach(path, i, one)
	{
		const char *s = json_string_value(one);

		fprintf(out, "%s%s", i ? " " : "", s ? s : "?");
	}
}

static void put_agents(const json_t *agents, FILE *out)
{
	size_t i, current = 0, raw = 0;
	json_t *one;

	json_array_foreach(agents, i, one)
	{
		current += json_is_true(json_object_get(one, "current"));
		raw += json_is_true(json_object_get(one, "raw"));
	}
	fprintf(out, "agents: %zu report, %zu follow this plan, %zu can probe live connections\n",
		json_array_size(agents), current, raw);
}

/* On the planned path, beside it, or nobody looked. */
static const char *place_of(const json_t *flow)
{
	const json_t *on = json_object_get(flow, "on_plan");

	if (json_is_true(on))
		return "as planned";
	if (json_is_false(on))
		return "NOT as planned";
	return json_is_array(json_object_get(flow, "planned")) ? "not verified" : "not planned";
}

static void put_flow(const json_t *f, FILE *out)
{
	fprintf(out, "  %-12s %-12s %5d>%-5d %9.3g Gb/s %3.0f%% busy  ", text_of(f, "src"),
		text_of(f, "dst"), integer_of(f, "sport"), integer_of(f, "dport"),
		number_of(f, "gbps"), number_of(f, "busy") * 100);
	put_path(json_object_get(f, "path"), out);
	fprintf(out, "  %s\n", place_of(f));
}

static void put_flows(const json_t *j, FILE *out)
{
	const json_t *flows = json_object_get(j, "flows");
	size_t n = json_array_size(flows), seen = 0, astray = 0, i;
	json_t *one;

	json_array_foreach(flows, i, one)
	{
		seen += json_is_boolean(json_object_get(one, "on_plan"));
		astray += json_is_false(json_object_get(one, "on_plan"));
	}
	fprintf(out,
		"connections: %zu carry something, %zu were verified, %zu are not on their "
		"planned path\n",
		n + (size_t)integer_of(j, "flows_untold"), seen, astray);
	for (i = 0; i < n && i < FLOWS_SHOWN; i++)
		put_flow(json_array_get(flows, i), out);
	if (n > FLOWS_SHOWN)
		fprintf(out, "  … and %zu slower ones\n", n - FLOWS_SHOWN);
}

static void put_suspect(const json_t *s, FILE *out)
{
	const char *source = text_of(s, "source"), *what = "connections";

	if (!strcmp(source, "collector"))
		what = "pairs of hosts (collector)";
	else if (json_is_true(json_object_get(s, "dead")))
		what = "ports should have led over it and did not";

	fprintf(out, "  %s-%s toward %s: %s, %s: %.3g of %.3g Gb/s, %d %s%s\n", text_of(s, "a"),
		text_of(s, "b"), text_of(s, "toward"), text_of(s, "kind"), text_of(s, "state"),
		number_of(s, "measured_gbps"), number_of(s, "nominal_gbps"), integer_of(s, "flows"),
		what, integer_of(s, "alike") ? "; others explain it as well" : "");
}

static void put_suspects(const json_t *suspects, FILE *out)
{
	size_t i;
	json_t *one;

	if (!json_array_size(suspects)) {
		fprintf(out, "suspected links: none\n");
		return;
	}
	fprintf(out, "suspected links:\n");
	json_array_foreach(suspects, i, one) put_suspect(one, out);
}

static void put_words(const json_t *words, FILE *out)
{
	size_t i;
	json_t *one;

	json_array_foreach(words, i, one)
		fprintf(out, "slow for the collector: %s>%s, %.3g times the usual time: %s\n",
			text_of(one, "src"), text_of(one, "dst"), number_of(one, "times_usual"),
			text_of(one, "state"));
}

int c4_live_print(const struct c4_buf *text, FILE *out)
{
	json_t *j = json_loadb(c4_buf_str(text), text->len, 0, NULL);
	const json_t *agents = json_object_get(j, "agents");

	if (!json_is_array(agents)) {
		json_decref(j);
		return -EINVAL;
	}
	put_agents(agents, out);
	put_flows(j, out);
	put_suspects(json_object_get(j, "suspects"), out);
	put_words(json_object_get(j, "words"), out);
	json_decref(j);
	return 0;
}
