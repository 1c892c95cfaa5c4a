// SPDX-License-Identifier: BSD-3-Clause
#include "planner/io/demand_json.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ds/vec.h"
#include "planner/io/json_walk.h"
#include "planner/io/slurp.h"
#include "planner/model/demand/pattern.h"

struct reader {
	struct c4_demand d;
	const struct c4_fabric *f;
	bool schema_seen, content_seen;
	struct c4_json_place at;
	const json_t *object; /* at.item's */
	/* scratch of one job */
	struct c4_member *members;
	uint32_t n_members, cap_members;
	struct c4_pair *pairs;
	uint32_t n_pairs, cap_pairs;
};

static const char *type_name(const json_t *v)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array",
		[JSON_STRING] = "a string",  [JSON_INTEGER] = "an integer",
		[JSON_REAL] = "a number",    [JSON_TRUE] = "true",
		[JSON_FALSE] = "false",	     [JSON_NULL] = "null"};

	return names[json_typeof(v)];
}

/* ---- values of the present object ------------------------------------------------------------ */

/* *ret is `otherwise` when the key is absent; a NULL there means that it must not be. */
static int take_name(struct reader *r, const char *key, const char *otherwise, const char **ret)
{
	const json_t *v = json_object_get(r->object, key);
	const char *s = json_string_value(v);

	if (!v && otherwise)
		s = otherwise;
	else if (!v)
		return c4_json_complain(&r->at, "no \"%s\", expected a name", key);
	else if (!s)
		return c4_json_complain(&r->at, "\"%s\" is %s, expected a name in quotes", key,
					type_name(v));
	if (!*s || strlen(s) > C4_DEMAND_NAME_MAX)
		return c4_json_complain(&r->at, "\"%s\" has %zu bytes, expected 1 to %u", key,
					strlen(s), C4_DEMAND_NAME_MAX);
	*ret = s;
	return 0;
}

static int take_number(struct reader *r, const char *key, double otherwise, double *ret)
{
	const json_t *v = json_object_get(r->object, key);

	*ret = v ? json_number_value(v) : otherwise;
	if (v && !json_is_number(v))
		return c4_json_complain(&r->at, "\"%s\" is %s, expected a number", key,
					type_name(v));
	if (!(*ret > 0 && isfinite(*ret)))
		return c4_json_complain(&r->at, "\"%s\" is %g, expected a number above 0", key,
					*ret);
	return 0;
}

static int take_qps(struct reader *r, uint32_t *ret)
{
	const json_t *v = json_object_get(r->object, "qps");
	json_int_t n = v ? json_integer_value(v) : 1;

	if (v && !json_is_integer(v))
		return c4_json_complain(&r->at, "\"qps\" is %s, expected an integer from 1 to %u",
					type_name(v), C4_CONN_QPS_MAX);
	if (n < 1 || n > (json_int_t)C4_CONN_QPS_MAX)
		return c4_json_complain(&r->at, "\"qps\" is %lld, expected an integer from 1 to %u",
					(long long)n, C4_CONN_QPS_MAX);
	*ret = (uint32_t)n;
	return 0;
}

/* "host/nic" or "host": the host, and the NIC or C4_NONE for all of them. */
static int find_member(struct reader *r, const char *key, const char *text, struct c4_member *ret)
{
	const char *slash = strchr(text, '/');
	char host[C4_NAME_MAX + 1];
	size_t n = slash ? (size_t)(slash - text) : strlen(text);

	snprintf(host, sizeof host, "%.*s", n < sizeof host ? (int)n : 0, text);
	ret->host = *host ? c4_fabric_host(r->f, host) : C4_NONE;
	if (ret->host == C4_NONE)
		return c4_json_complain(&r->at, "\"%s\": no host \"%.*s\" in the fabric", key,
					(int)(n < 80 ? n : 80), text);
	ret->nic = slash ? c4_fabric_nic(r->f, text) : C4_NONE;
	if (slash && ret->nic == C4_NONE)
		return c4_json_complain(&r->at, "\"%s\": host %s has no NIC \"%.80s\"", key, host,
					slash + 1);
	if (!r->f->hosts[ret->host].nics)
		return c4_json_complain(&r->at, "\"%s\": host %s has no NIC", key, host);
	return 0;
}

/* One NIC: "host/nic", or "host" if it has one only. */
static int take_nic(struct reader *r, const char *key, uint32_t *ret)
{
	const json_t *v = json_object_get(r->object, key);
	const struct c4_host *h;
	struct c4_member m;

	if (!json_is_string(v))
		return c4_json_complain(&r->at, "\"%s\" is %s, expected \"host/nic\"", key,
					v ? type_name(v) : "missing");
	if (find_member(r, key, json_string_value(v), &m))
		return -EINVAL;
	h = &r->f->hosts[m.host];
	if (m.nic == C4_NONE && h->nics > 1)
		return c4_json_complain(
			&r->at, "\"%s\": host %s has %u NICs, expected one of them: \"%s/%s\"", key,
			h->name, h->nics, h->name, r->f->nics[h->nic].name);
	*ret = m.nic == C4_NONE ? h->nic : m.nic;
	return 0;
}

/* Index of the job of this name; made if it is new. */
static int take_job(struct reader *r, uint32_t *ret)
{
	const char *name;
	int64_t job;

	if (take_name(r, "job", "default", &name))
		return -EINVAL;
	job = c4_demand_job(&r->d, name);
	if (job < 0)
		return (int)job;
	*ret = (uint32_t)job;
	return 0;
}

/* ---- connections ----------------------------------------------------------------------------- */

/* A mistake in the document lets the reading go on, to tell the next ones; the rest does not. */
static int go_on(int rc)
{
	return rc == -EINVAL || rc == -EEXIST ? 0 : rc;
}

static int read_connection(struct reader *r)
{
	uint32_t job = 0, src, dst, qps;
	struct c4_fault fault;
	const char *id;
	double weight;
	int64_t rc = 0;

	if (!json_is_object(r->object))
		return c4_json_complain(&r->at, "%s, expected an object", type_name(r->object));
	if (take_name(r, "id", NULL, &id) || take_nic(r, "src", &src) || take_nic(r, "dst", &dst) ||
	    take_number(r, "weight", 1, &weight) || take_qps(r, &qps))
		return -EINVAL;
	rc = take_job(r, &job);
	if (rc)
		return (int)rc;
	rc = c4_demand_add(&r->d, id, job, src, dst, weight, qps, &fault);
	if (rc < 0)
		c4_json_complain(&r->at, "%s", fault.what);
	return rc < 0 ? (int)rc : 0;
}

/* ---- jobs ------------------------------------------------------------------------------------ */

static int read_members(struct reader *r, const json_t *list)
{
	const json_t *v;
	size_t i;

	r->n_members = 0;
	if (!json_array_size(list))
		return c4_json_complain(
			&r->at, "\"members\" is %s, expected an array of \"host/nic\" or \"host\"",
			!list		      ? "missing"
			: json_is_array(list) ? "empty"
					      : type_name(list));
	json_array_foreach(list, i, v)
	{
		struct c4_member *grown =
			c4_vec_reserve(r->members, &r->cap_members, r->n_members + 1,
				       C4_FABRIC_NICS_MAX, sizeof *grown);
		char key[40];

		if (!grown)
			return -ENOMEM;
		r->members = grown;
		snprintf(key, sizeof key, "members[%zu]", i);
		if (!json_is_string(v))
			return c4_json_complain(&r->at,
						"\"%s\" is %s, expected \"host/nic\" or \"host\"",
						key, type_name(v));
		if (find_member(r, key, json_string_value(v), &grown[r->n_members]))
			return -EINVAL;
		r->n_members++;
	}
	return 0;
}

static bool is_member(const struct reader *r, const json_t *v)
{
	return json_is_integer(v) && json_integer_value(v) >= 0 &&
	       json_integer_value(v) < (json_int_t)r->n_members;
}

static int read_pairs(struct reader *r, const json_t *list)
{
	const json_t *v;
	size_t i;

	r->n_pairs = 0;
	if (!json_is_array(list))
		return c4_json_complain(&r->at,
					"\"pairs\" is %s, expected an array of [from, to] for p2p",
					list ? type_name(list) : "missing");
	json_array_foreach(list, i, v)
	{
		struct c4_pair *grown = c4_vec_reserve(r->pairs, &r->cap_pairs, r->n_pairs + 1,
						       C4_DEMAND_CONNS_MAX, sizeof *grown);
		const json_t *from = json_array_get(v, 0), *to = json_array_get(v, 1);

		if (!grown)
			return -ENOMEM;
		r->pairs = grown;
		if (json_array_size(v) != 2 || !is_member(r, from) || !is_member(r, to))
			return c4_json_complain(
				&r->at,
				"\"pairs[%zu]\" is no pair of members, expected [from, to] "
				"with numbers from 0 to %u",
				i, r->n_members - 1);
		r->pairs[r->n_pairs++] = (struct c4_pair){(uint32_t)json_integer_value(from),
							  (uint32_t)json_integer_value(to)};
	}
	return 0;
}

static int read_pattern(struct reader *r, enum c4_pattern *ret)
{
	const json_t *v = json_object_get(r->object, "pattern");
	const char *name = v ? json_string_value(v) : "ring";

	if (!name)
		return c4_json_complain(&r->at, "\"pattern\" is %s, expected %s", type_name(v),
					C4_PATTERN_NAMES);
	if (!c4_pattern_parse(name, ret))
		return c4_json_complain(&r->at, "\"pattern\" is \"%.60s\", expected %s", name,
					C4_PATTERN_NAMES);
	return 0;
}

/* Ids begin with the team's name: the given one, the job's, or for a job's later teams JOB#INDEX.
 */
static int name_team(struct reader *r, struct c4_team *t, char *room, size_t size, bool first)
{
	const char *job = r->d.jobs[t->job].name;

	if (first)
		snprintf(room, size, "%s", job);
	else
		snprintf(room, size, "%s#%lld", job, (long long)r->at.item->index);
	return take_name(r, "id", room, &t->name);
}

static int read_team(struct reader *r, struct c4_team *t, bool first)
{
	char name[C4_DEMAND_NAME_MAX + 1];
	struct c4_fault fault;
	int64_t rc;

	if (read_pattern(r, &t->pattern) || take_number(r, "weight", 1, &t->weight) ||
	    take_qps(r, &t->qps) || name_team(r, t, name, sizeof name, first))
		return -EINVAL;
	rc = read_members(r, json_object_get(r->object, "members"));
	if (!rc && t->pattern == C4_PATTERN_P2P)
		rc = read_pairs(r, json_object_get(r->object, "pairs"));
	if (rc)
		return (int)rc;
	t->members = r->members;
	t->n_members = r->n_members;
	t->pairs = r->pairs;
	t->n_pairs = r->n_pairs;
	rc = c4_pattern_add(&r->d, r->f, t, &fault);
	if (rc < 0)
		c4_json_complain(&r->at, "%s", fault.what);
	return rc < 0 ? (int)rc : 0;
}

/* Members may be missing where only the intensity of a job is told. */
static int read_job(struct reader *r)
{
	struct c4_team t = {.rail = C4_NONE};
	uint32_t known = r->d.n_jobs;
	double intensity;
	int rc;

	if (!json_is_object(r->object))
		return c4_json_complain(&r->at, "%s, expected an object", type_name(r->object));
	rc = take_job(r, &t.job);
	if (rc)
		return rc;
	if (take_number(r, "intensity", r->d.jobs[t.job].intensity, &intensity))
		return -EINVAL;
	r->d.jobs[t.job].intensity = intensity;
	if (!json_object_get(r->object, "members") && !json_object_get(r->object, "pattern"))
		return 0;
	return read_team(r, &t, t.job >= known);
}

/* ---- document -------------------------------------------------------------------------------- */

static int read_schema(struct reader *r)
{
	const char *schema = json_string_value(r->object);

	r->schema_seen = true;
	if (!schema || strcmp(schema, C4_DEMAND_SCHEMA) != 0)
		return c4_json_complain(&r->at, "schema %s%.60s%s, expected \"%s\"",
					schema ? "\"" : "", schema ? schema : type_name(r->object),
					schema ? "\"" : "", C4_DEMAND_SCHEMA);
	return 0;
}

static int on_item(void *arg, const struct c4_json_item *item)
{
	struct reader *r = arg;
	bool conns = !strcmp(item->key, "connections"), jobs = !strcmp(item->key, "jobs");

	r->at.item = item;
	r->object = item->value;
	if (!strcmp(item->key, "schema"))
		return go_on(read_schema(r));
	if (!conns && !jobs)
		return 0;
	r->content_seen = true;
	if (!item->value)
		return 0;
	if (item->index < 0)
		return go_on(c4_json_complain(&r->at, "\"%s\" is %s, expected an array", item->key,
					      type_name(item->value)));
	return go_on(conns ? read_connection(r) : read_job(r));
}

static void judge_document(struct reader *r)
{
	const struct c4_json_item top = {.key = "", .index = -1, .line = 1};

	r->at.item = &top;
	r->object = NULL;
	if (!r->schema_seen)
		c4_json_complain(&r->at, "no \"schema\", expected \"%s\"", C4_DEMAND_SCHEMA);
	if (!r->content_seen)
		c4_json_complain(&r->at,
				 "neither \"connections\" nor \"jobs\", expected one of them");
}

static int walk(struct reader *r, const char *text, size_t n)
{
	static const char *const streamed[] = {"connections", "jobs", NULL};
	struct c4_json_mistake mistake = {0};
	int rc = c4_json_walk(text, n, streamed, on_item, r, &mistake);
	int closed;

	if (rc == -ENOMEM)
		c4_complain(r->at.complaints, 0, "out of memory");
	else if (!c4_json_complain_mistake(r->at.complaints, &mistake) && !rc)
		judge_document(r);
	closed = c4_complaints_close(r->at.complaints);
	return rc ? rc : closed;
}

static int read_text(struct c4_demand *d, const struct c4_fabric *f, const char *text, size_t n,
		     struct c4_complaints *complaints)
{
	struct reader r = {.f = f, .at.complaints = complaints};
	int rc;

	c4_demand_init(&r.d);
	rc = walk(&r, text, n);
	free(r.members);
	free(r.pairs);
	if (rc)
		c4_demand_release(&r.d);
	else
		*d = r.d;
	return rc;
}

int c4_demand_json_read(struct c4_demand *d, const struct c4_fabric *f, const char *name,
			const char *text, size_t n, struct c4_buf *errors)
{
	struct c4_complaints c = {.out = errors, .file = name};

	return read_text(d, f, text, n, &c);
}

int c4_demand_json_load(struct c4_demand *d, const struct c4_fabric *f, const char *path,
			struct c4_buf *errors)
{
	struct c4_complaints c = {.out = errors, .file = path};
	struct c4_buf text = {0};
	struct c4_fault fault;
	int rc = c4_slurp(path, &text, &fault);

	if (rc)
		c4_complain(&c, 0, "%s", fault.what);
	else
		rc = read_text(d, f, c4_buf_str(&text), text.len, &c);
	c4_buf_release(&text);
	return rc;
}
