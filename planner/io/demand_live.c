// SPDX-License-Identifier: BSD-3-Clause
#include "planner/io/demand_live.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/ds/vec.h"
#include "planner/io/complaint.h"
#include "planner/io/seats.h"
#include "planner/model/demand/pattern.h"

struct builder {
	struct c4_demand d;
	const struct c4_fabric *f;
	struct c4_live_counts counts;
	struct c4_complaints notes;
	struct c4_seats seats;
	double *busiest;       /* per job of seats: bytes of its busiest communicator */
	struct c4_strmap told; /* nodes that were complained about */
	struct c4_member *ring;
	uint32_t n_ring, cap_ring;
};

/* ---- communicators --------------------------------------------------------------------------- */

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

/* What one member sent: collectives, and its part of the point-to-point bytes. */
static double bytes_of(const json_t *c)
{
	double size = json_number_value(json_object_get(c, "size"));
	double p2p = json_number_value(json_object_get(c, "p2p_bytes"));

	return json_number_value(json_object_get(c, "bytes")) + (size > 0 ? p2p / size : 0);
}

/* Ranks of members in order; NULL past the end or for what nobody has reported. */
static const struct c4_seat *seat_of(const struct c4_seat_job *j, const json_t *members, size_t i)
{
	const json_t *v = json_array_get(members, i);

	return json_is_integer(v) ? c4_seat_of(j, json_integer_value(v)) : NULL;
}

static bool all_known(struct builder *b, const struct c4_seat_job *j, const json_t *c)
{
	const json_t *members = json_object_get(c, "members");
	size_t n = json_array_size(members);

	if (n < 2 || (json_int_t)n != json_integer_value(json_object_get(c, "size")))
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct c4_seat *s = seat_of(j, members, i);
		struct c4_strmap_entry *told;

		if (!s)
			return false;
		if (s->host != C4_NONE && b->f->hosts[s->host].nics)
			continue;
		told = c4_strmap_at(&b->told, s->node);
		if (told && !told->value) {
			told->value = b;
			c4_complain(&b->notes, 0,
				    "job %.80s: node %.80s is no host of the fabric with a NIC",
				    j->name, s->node);
		}
		return false;
	}
	return true;
}

/* Whether the communicator has all ranks of its job on each of its nodes. */
static bool takes_whole_nodes(struct builder *b, const struct c4_seat_job *j, const json_t *members)
{
	size_t n = json_array_size(members);
	bool whole = true;

	for (size_t i = 0; i < n; i++)
		b->seats.on_host[seat_of(j, members, i)->host]++;
	for (size_t i = 0; i < n; i++) {
		const struct c4_seat *s = seat_of(j, members, i);

		whole = whole && b->seats.on_host[s->host] >= s->of;
	}
	for (size_t i = 0; i < n; i++)
		b->seats.on_host[seat_of(j, members, i)->host] = 0;
	return whole;
}

/* The hosts of the members near this rail (C4_NONE: of all), each once, in rank order. */
static int collect_ring(struct builder *b, const struct c4_seat_job *j, const json_t *members,
			uint32_t rail)
{
	size_t n = json_array_size(members);

	b->n_ring = 0;
	for (size_t i = 0; i < n; i++) {
		const struct c4_seat *s = seat_of(j, members, i);
		struct c4_member *grown;

		if (b->seats.on_host[s->host] || (rail != C4_NONE && c4_seat_rail(b->f, s) != rail))
			continue;
		grown = c4_vec_reserve(b->ring, &b->cap_ring, b->n_ring + 1, C4_SEATS_RANKS_MAX,
				       sizeof *grown);
		if (!grown)
			break;
		b->ring = grown;
		b->ring[b->n_ring++] = (struct c4_member){s->host, C4_NONE};
		b->seats.on_host[s->host] = 1;
	}
	for (uint32_t i = 0; i < b->n_ring; i++)
		b->seats.on_host[b->ring[i].host] = 0;
	return b->ring ? 0 : -ENOMEM;
}

static uint32_t most_rails(struct builder *b, const struct c4_seat_job *j, const json_t *members)
{
	size_t n = json_array_size(members);
	uint32_t most = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t rails = c4_seats_rails(b->f, seat_of(j, members, i)->host);

		most = rails > most ? rails : most;
	}
	return most;
}

/* Adds the ring of one rail, if it leaves its node. Connections added, or a negative errno. */
static int64_t add_ring(struct builder *b, const struct c4_seat_job *j, const json_t *c,
			struct c4_team *t)
{
	struct c4_fault fault;
	int64_t rc = collect_ring(b, j, json_object_get(c, "members"), t->rail);

	if (rc || b->n_ring < 2)
		return rc;
	t->members = b->ring;
	t->n_members = b->n_ring;
	rc = c4_pattern_add(&b->d, b->f, t, &fault);
	if (rc < 0)
		c4_complain(&b->notes, 0, "communicator %.80s: %s", t->name, fault.what);
	return rc;
}

static int add_rings(struct builder *b, const struct c4_seat_job *j, const json_t *c,
		     struct c4_team *t)
{
	const json_t *members = json_object_get(c, "members");
	uint32_t rails = most_rails(b, j, members);
	int64_t added = 0;

	if (takes_whole_nodes(b, j, members))
		rails = 0;
	for (uint32_t rail = 0; rail < rails || (!rails && !rail); rail++) {
		int64_t rc;

		t->rail = rails ? rail : C4_NONE;
		rc = add_ring(b, j, c, t);
		if (rc == -ENOMEM || rc == -E2BIG)
			return (int)rc;
		added += rc > 0 ? rc : 0;
	}
	b->counts.planned += added > 0;
	b->counts.inside += added == 0;
	return 0;
}

/* Against the busiest communicator of the job, to a power of two; 0: not worth a route. */
static double weight_of(double busiest, const json_t *c)
{
	double share = busiest > 0 ? bytes_of(c) / busiest : 1;

	return share < C4_LIVE_WEIGHT_MIN ? 0 : exp2(round(log2(share)));
}

static int add_comm(struct builder *b, const json_t *c)
{
	uint32_t at = c4_seats_job(&b->seats, text_of(c, "job"));
	const struct c4_seat_job *j = at == C4_NONE ? NULL : &b->seats.jobs[at];
	const char *id = text_of(c, "id");
	struct c4_team t = {.pattern = C4_PATTERN_RING, .qps = 1};
	char name[C4_NAME_MAX * 2];
	int64_t job;

	if (!j || !j->running || json_is_true(json_object_get(c, "freed"))) {
		b->counts.ended++;
		return 0;
	}
	if (json_integer_value(json_object_get(c, "size")) == 1) {
		b->counts.inside++;
		return 0;
	}
	if (!id || !all_known(b, j, c)) {
		b->counts.unknown++;
		return 0;
	}
	t.weight = weight_of(b->busiest[at], c);
	if (t.weight <= 0) {
		b->counts.idle++;
		return 0;
	}
	job = c4_demand_job(&b->d, j->name);
	if (job < 0)
		return (int)job;
	snprintf(name, sizeof name, "%.120s/%.100s", j->name, id);
	t.name = name;
	t.job = (uint32_t)job;
	return add_rings(b, j, c, &t);
}

static int read_comms(struct builder *b, const json_t *comms)
{
	const json_t *list = json_object_get(comms, "comms"), *c;
	size_t i;
	int rc;

	if (!json_is_array(list)) {
		c4_complain(&b->notes, 0, "no \"comms\", expected the collector's /api/v1/comms");
		return -EINVAL;
	}
	json_array_foreach(list, i, c)
	{
		uint32_t at = c4_seats_job(&b->seats, text_of(c, "job"));

		if (at != C4_NONE && bytes_of(c) > b->busiest[at])
			b->busiest[at] = bytes_of(c);
	}
	json_array_foreach(list, i, c)
	{
		rc = add_comm(b, c);
		if (rc)
			return rc;
	}
	return 0;
}

/* ---- all ------------------------------------------------------------------------------------- */

static void release(struct builder *b)
{
	c4_seats_release(&b->seats);
	free(b->busiest);
	free(b->ring);
	c4_strmap_release(&b->told);
}

int c4_demand_live(struct c4_demand *d, const struct c4_fabric *f, const json_t *comms,
		   const json_t *ranks, struct c4_live_counts *ret, struct c4_buf *notes)
{
	struct builder b = {.f = f, .notes = {.out = notes, .file = "collector"}};
	int rc;

	c4_demand_init(&b.d);
	rc = c4_seats_read(&b.seats, f, ranks, &b.notes);
	if (!rc) {
		b.busiest = calloc((size_t)b.seats.n + 1, sizeof *b.busiest);
		rc = b.busiest ? read_comms(&b, comms) : -ENOMEM;
	}
	if (rc == -ENOMEM)
		c4_complain(&b.notes, 0, "out of memory");
	c4_complaints_close(&b.notes);
	release(&b);
	if (rc) {
		c4_demand_release(&b.d);
		return rc;
	}
	*d = b.d;
	*ret = b.counts;
	return 0;
}
