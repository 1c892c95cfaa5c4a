// SPDX-License-Identifier: BSD-3-Clause
#include "planner/io/route_json.h"

#include <math.h>
#include <string.h>

#include "common/base/label.h"

void c4_json_text(struct c4_buf *out, const char *text)
{
	c4_buf_add(out, "\"", 1);
	while (*text) {
		size_t plain =
			strcspn(text, "\"\\\x7f\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r"
				      "\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a"
				      "\x1b\x1c\x1d\x1e\x1f");

		c4_buf_add(out, text, plain);
		text += plain;
		if (*text)
			c4_buf_printf(out, "\\u%04x", (unsigned char)*text++);
	}
	c4_buf_add(out, "\"", 1);
}

void c4_json_real(struct c4_buf *out, const char *key, double v)
{
	if (isfinite(v))
		c4_buf_printf(out, ",\"%s\":%.12g", key, v);
	else
		c4_buf_printf(out, ",\"%s\":null", key); /* what JSON cannot say */
}

void c4_json_way(struct c4_buf *out, const char *key, const struct c4_fabric *f,
		 const struct c4_way *w)
{
	c4_buf_printf(out, ",\"%s\":[", key);
	for (uint16_t i = 0; i < w->n; i++) {
		c4_buf_add(out, ",", i > 0);
		c4_json_text(out, f->switches[w->at[i]].name);
	}
	c4_buf_add(out, "]", 1);
}

void c4_json_qp(struct c4_buf *out, bool *any, const char *id, uint32_t qp)
{
	c4_buf_printf(out, *any ? ",\n{\"id\":" : "\n{\"id\":");
	c4_json_text(out, id);
	c4_buf_printf(out, ",\"qp\":%u", qp);
	*any = true;
}

static void put_parallel(struct c4_buf *out, const struct c4_route *r)
{
	unsigned int up = r->parallel_core & 15u, down = r->parallel_core >> 4;

	if (r->state == C4_ROUTE_SPINE && (r->parallel_up || r->parallel_down))
		c4_buf_printf(out, ",\"parallel\":[%u,%u]", r->parallel_up, r->parallel_down);
	else if (r->state == C4_ROUTE_CORE && (r->parallel_up || r->parallel_down || up || down))
		c4_buf_printf(out, ",\"parallel\":[%u,%u,%u,%u]", r->parallel_up, up, down,
			      r->parallel_down);
}

static void put_nic(struct c4_buf *out, const char *key, const struct c4_fabric *f, uint32_t nic)
{
	const struct c4_nic *n = &f->nics[nic];

	c4_buf_printf(out, ",\"%s\":\"%s/%s\"", key, f->hosts[n->host].name, n->name);
}

bool c4_json_route(struct c4_buf *out, bool *any, const struct c4_json_route *r)
{
	struct c4_way way = c4_way_of(r->f, r->c, r->route), other = {0};

	if (!way.n)
		return false;
	if (r->backup)
		other = c4_way_of(r->f, r->c, r->backup);
	c4_json_qp(out, any, r->c->id, r->qp);
	c4_buf_printf(out, ",\"job\":");
	c4_json_text(out, r->d->jobs[r->c->job].name);
	c4_buf_printf(out, ",\"plane\":%u", r->f->nics[r->c->src].plane);
	c4_json_way(out, "path", r->f, &way);
	put_parallel(out, r->route);
	if (other.n > 1)
		c4_json_way(out, "backup", r->f, &other);
	put_nic(out, "src", r->f, r->c->src);
	put_nic(out, "dst", r->f, r->c->dst);
	c4_json_real(out, "load", (double)r->c->weight * (double)r->route->share);
	if (r->route->sport)
		c4_buf_printf(out, ",\"sport\":%u,\"flow_label\":%u}", r->route->sport,
			      c4_label_of_port(r->route->sport));
	else
		c4_buf_printf(out, ",\"sport\":null,\"flow_label\":null}");
	return true;
}

const char *c4_json_unplaced(const struct c4_route *r)
{
	switch ((enum c4_route_state)r->state) {
	case C4_ROUTE_NONE: return "not-planned";
	case C4_ROUTE_NO_PATH: return "no-path";
	case C4_ROUTE_TWO_PLANES: return "two-planes";
	case C4_ROUTE_LOCAL:
	case C4_ROUTE_SPINE:
	case C4_ROUTE_CORE: break;
	}
	return NULL;
}
