// SPDX-License-Identifier: BSD-3-Clause
#include "collector/incident_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "collector/json.h"
#include "collector/text.h"

static json_t *ranks_json(const struct c4_incident *in)
{
	uint32_t n = in->nranks < C4_INCIDENT_RANKS ? in->nranks : C4_INCIDENT_RANKS;
	json_t *ranks = json_array();

	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(ranks, json_integer(in->ranks[i]));
	return ranks;
}

static json_t *evidence_json(const struct c4_incident *in)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < in->nevidence; i++) {
		const struct c4_evidence *e = &in->evidence[i];
		json_t *one = json_pack("{s:s, s:o, s:o, s:i}", "metric", e->metric, "value",
					c4_json_real(e->value), "peers_median",
					c4_json_real(e->peers_median), "blocks", (int)e->blocks);

		if (one && e->detail[0])
			json_object_set_new(one, "detail", json_string(e->detail));
		json_array_append_new(list, one);
	}
	return list;
}

static json_t *name_json(const char *name)
{
	return *name ? json_string(name) : json_null();
}

static json_t *culprit_json(const struct c4_incident *in)
{
	return json_pack("{s:o, s:I, s:o, s:o, s:o, s:o}", "ranks", ranks_json(in), "count",
			 (json_int_t)in->nranks, "node", name_json(in->node), "gpu",
			 name_json(in->gpu), "nic", name_json(in->nic), "link",
			 name_json(in->link));
}

json_t *c4_incident_to_json(const struct c4_incident *in)
{
	return json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:s, s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:I, "
		"s:I}",
		"schema", C4_INCIDENT_SCHEMA, "id", in->id, "job", in->job, "kind",
		c4_incident_kind_name(in->kind), "state", c4_incident_state_name(in->state),
		"culprit", culprit_json(in), "confidence", c4_json_real(in->confidence), "severity",
		c4_incident_severity(in->kind), "recommended_action", c4_incident_action(in),
		"summary", in->summary, "waiting", (json_int_t)in->nwaiting, "evidence",
		evidence_json(in), "first_seen", c4_json_time(in->first_wall_ns), "confirmed",
		c4_json_time(in->confirmed_wall_ns), "resolved", c4_json_time(in->resolved_wall_ns),
		"detect_ms", (json_int_t)in->detect_ms, "flaps", (json_int_t)in->flaps);
}

/* ---- back ------------------------------------------------------------------------------------ */

static bool read_ranks(struct c4_incident *in, const json_t *culprit)
{
	const json_t *ranks = json_object_get(culprit, "ranks");
	json_int_t count = json_integer_value(json_object_get(culprit, "count"));
	size_t n = json_array_size(ranks);

	if (n > C4_INCIDENT_RANKS)
		return false;
	in->nranks = count > (json_int_t)n && count <= UINT32_MAX && n == C4_INCIDENT_RANKS
			     ? (uint32_t)count
			     : (uint32_t)n;
	in->ranks = calloc(n + 1, sizeof *in->ranks);
	if (!in->ranks)
		return false;
	for (size_t i = 0; i < n; i++)
		in->ranks[i] = (int32_t)json_integer_value(json_array_get(ranks, i));
	return true;
}

static double number_or_nan(const json_t *v)
{
	return json_is_number(v) ? json_number_value(v) : NAN;
}

static void read_evidence(struct c4_incident *in, const json_t *list)
{
	size_t n = json_array_size(list);

	in->nevidence = n < C4_DIAG_EVIDENCE ? (uint32_t)n : C4_DIAG_EVIDENCE;
	for (uint32_t i = 0; i < in->nevidence; i++) {
		const json_t *j = json_array_get(list, i);
		struct c4_evidence *e = &in->evidence[i];

		c4_text_copy(e->metric, sizeof e->metric,
			     json_string_value(json_object_get(j, "metric")));
		c4_text_copy(e->detail, sizeof e->detail,
			     json_string_value(json_object_get(j, "detail")));
		e->value = json_number_value(json_object_get(j, "value"));
		e->peers_median = number_or_nan(json_object_get(j, "peers_median"));
		e->blocks = (uint32_t)json_integer_value(json_object_get(j, "blocks"));
	}
}

static void read_name(const json_t *culprit, const char *key, char *buf, size_t n)
{
	c4_text_copy(buf, n, json_string_value(json_object_get(culprit, key)));
}

static bool read_fields(struct c4_incident *in, const json_t *j)
{
	const char *schema = NULL, *id = NULL, *job = NULL, *kind = NULL, *state = NULL;
	const char *summary = NULL;
	json_t *culprit = NULL;
	int k, st;

	if (json_unpack((json_t *)j, "{s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "schema", &schema, "id",
			&id, "job", &job, "kind", &kind, "state", &state, "summary", &summary,
			"culprit", &culprit) ||
	    strcmp(schema, C4_INCIDENT_SCHEMA) != 0)
		return false;
	k = c4_incident_kind_of(kind);
	st = c4_incident_state_of(state);
	if (k < 0 || st < 0 || !read_ranks(in, culprit))
		return false;
	in->kind = (enum c4_incident_kind)k;
	in->state = (enum c4_incident_state)st;
	c4_text_copy(in->id, sizeof in->id, id);
	c4_text_copy(in->job, sizeof in->job, job);
	c4_text_copy(in->summary, sizeof in->summary, summary);
	read_name(culprit, "node", in->node, sizeof in->node);
	read_name(culprit, "gpu", in->gpu, sizeof in->gpu);
	read_name(culprit, "nic", in->nic, sizeof in->nic);
	read_name(culprit, "link", in->link, sizeof in->link);
	return true;
}

struct c4_incident *c4_incident_from_json(const json_t *j)
{
	struct c4_incident *in = calloc(1, sizeof *in);

	if (!in || !read_fields(in, j)) {
		c4_incident_free(in);
		return NULL;
	}
	in->confidence = json_number_value(json_object_get(j, "confidence"));
	in->nwaiting = (uint32_t)json_integer_value(json_object_get(j, "waiting"));
	in->flaps = (uint32_t)json_integer_value(json_object_get(j, "flaps"));
	in->detect_ms = (uint64_t)json_integer_value(json_object_get(j, "detect_ms"));
	read_evidence(in, json_object_get(j, "evidence"));
	return in;
}
