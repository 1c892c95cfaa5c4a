// SPDX-License-Identifier: BSD-3-Clause
#include "planner/io/probes.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "planner/io/json_walk.h"
#include "planner/io/plan_read.h"
#include "planner/io/slurp.h"
#include "planner/model/oracle/path.h"

struct reader {
	struct c4_oracle *oracle;
	const struct c4_fabric *f;
	struct c4_json_place at;
	bool schema_seen;
};

static uint32_t take_nic(const struct reader *r, const char *key)
{
	const char *name = json_string_value(json_object_get(r->at.item->value, key));

	return name ? c4_fabric_nic(r->f, name) : C4_NONE;
}

static int read_probe(struct reader *r)
{
	const struct c4_conn c = {.src = take_nic(r, "src"), .dst = take_nic(r, "dst"), .qps = 1};
	struct c4_plan_record record;
	struct c4_route route;
	struct c4_path path;
	const char *wrong;
	int rc;

	if (c.src == C4_NONE || c.dst == C4_NONE)
		return c4_json_complain(
			&r->at, "\"src\" and \"dst\", expected NICs of the fabric: \"host/nic\"");
	wrong = c4_plan_record_parse(r->at.item->value, "path", &record);
	if (wrong)
		return c4_json_complain(&r->at, "%s", wrong);
	if (record.sport < C4_PORT_FIRST)
		return c4_json_complain(&r->at, "\"sport\", expected a port from 49152 to 65535");
	if (!c4_plan_record_route(r->f, &c, &record, &route))
		return c4_json_complain(&r->at, "no such path between these NICs in the fabric");
	c4_path_of_route(r->f, &c, &route, &path);
	rc = c4_oracle_learn(r->oracle, c.src, c.dst, record.sport, &path);
	return rc == -EINVAL ? c4_json_complain(&r->at, "the path cannot be") : rc;
}

static int on_item(void *arg, const struct c4_json_item *item)
{
	struct reader *r = arg;
	const char *text = json_string_value(item->value);
	int rc;

	r->at.item = item;
	if (!strcmp(item->key, "schema")) {
		r->schema_seen = text && !strcmp(text, C4_PROBES_SCHEMA);
		return 0;
	}
	if (strcmp(item->key, "probes") != 0 || !item->value)
		return 0;
	rc = item->index < 0 ? c4_json_complain(&r->at, "\"probes\", expected an array")
			     : read_probe(r);
	return rc == -EINVAL ? 0 : rc; /* told: the reading goes on */
}

/* What the reading as a whole came to. */
static void judge(const struct reader *r, int rc)
{
	if (rc == -EOPNOTSUPP)
		c4_complain(r->at.complaints, 0,
			    "this oracle learns nothing, expected table or linear");
	else if (rc)
		c4_complain(r->at.complaints, 0, "%s", strerror(-rc));
	else if (!r->schema_seen)
		c4_complain(r->at.complaints, 0,
			    "no \"schema\", expected \"" C4_PROBES_SCHEMA "\"");
}

int c4_probes_read(struct c4_oracle *o, const struct c4_fabric *f, const char *name,
		   const char *text, size_t n, struct c4_buf *errors)
{
	static const char *const streamed[] = {"probes", NULL};
	struct c4_complaints c = {.out = errors, .file = name};
	struct c4_json_mistake mistake = {0};
	struct reader r = {.oracle = o, .f = f, .at.complaints = &c};
	int rc = c4_oracle_begin(o, f), closed;

	if (!rc)
		rc = c4_json_walk(text, n, streamed, on_item, &r, &mistake);
	if (!c4_json_complain_mistake(&c, &mistake))
		judge(&r, rc);
	closed = c4_complaints_close(&c);
	return rc ? rc : closed;
}

int c4_probes_load(struct c4_oracle *o, const struct c4_fabric *f, const char *path,
		   struct c4_buf *errors)
{
	struct c4_buf text = {0};
	struct c4_fault fault;
	int rc = c4_slurp(path, &text, &fault);

	if (rc)
		c4_buf_printf(errors, "%s: %s\n", path, fault.what);
	else
		rc = c4_probes_read(o, f, path, c4_buf_str(&text), text.len, errors);
	c4_buf_release(&text);
	return rc;
}
