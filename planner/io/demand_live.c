// SPDX-License-Identifier: BSD-3-Clause
#include "planner/io/demand_live.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/ds/vec.h"
#include "planner/io/complaint.h"
#include "planner/model/demand/pattern.h"

/* Where a rank of a job is. */
struct seat {
	const char *node; /* as reported; NULL: nobody has reported this rank */
	uint32_t host;	  /* of the fabric, or C4_NONE */
	uint32_t local;	  /* which of the job's ranks on this host */
	uint32_t of;	  /* how many there are */
};

struct live_job {
	const char *name;
	struct seat *seats;
	uint32_t n, cap;
	bool running;
	double busiest; /* bytes of its busiest communicator */
};

struct builder {
	struct c4_demand d;
	const struct c4_fabric *f;
	struct c4_live_counts counts;
	struct c4_complaints notes;
	struct live_job *jobs;
	uint32_t n_jobs, cap_jobs;
	struct c4_strmap job_of; /* name → index + 1 */
	struct c4_strmap told;	 /* nodes that were complained about */
	uint32_t *on_host;	 /* per host; all 0 between uses */
	struct c4_member *ring;
	uint32_t n_ring, cap_ring;
};

/* ---- ranks ----------------------------------------------------------------------------------- */

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static struct live_job *job_of(struct builder *b, const char *name)
{
	struct c4_strmap_entry *e = c4_strmap_at(&b->job_of, name);
	struct live_job *grown;

	if (!e)
		return NULL;
	if (e->value)
		return &b->jobs[(uintptr_t)e->value - 1];
	grown = c4_vec_reserve(b->jobs, &b->cap_jobs, b->n_jobs + 1, C4_DEMAND_CONNS_MAX,
			       sizeof *grown);
	if (!grown)
		return NULL;
	b->jobs = grown;
	b->jobs[b->n_jobs] = (struct live_job){.name = e->key};
	e->value = (void *)(uintptr_t)++b->n_jobs;
	return &b->jobs[b->n_jobs - 1];
}

static int seat_rank(struct live_job *j, uint32_t rank, const char *node, uint32_t host)
{
	if (rank >= j->n) {
		struct seat *grown = c4_vec_reserve(j->seats, &j->cap, rank + 1, C4_LIVE_RANKS_MAX,
						    sizeof *grown);

		if (!grown)
			return -ENOMEM;
		j->seats = grown;
		memset(grown + j->n, 0, (rank + 1 - j->n) * sizeof *grown);
		j->n = rank + 1;
	}
	j->seats[rank] = (struct seat){.node = node, .host = host};
	return 0;
}

static bool is_over(const char *state)
{
	return !strcmp(state, "gone") || !strcmp(state, "finished");
}

/* The host by its node's name, which users may choose, or else by the machine's own. */
static uint32_t host_of(const struct c4_fabric *f, const char *node, const char *host)
{
	uint32_t found = c4_fabric_host(f, node);

	return found == C4_NONE && host ? c4_fabric_host(f, host) : found;
}

static int read_rank(struct builder *b, const json_t *r)
{
	const char *job = text_of(r, "job"), *node = text_of(r, "node");
	const char *state = text_of(r, "state");
	const json_t *rank = json_object_get(r, "rank");
	json_int_t n = json_integer_value(rank);
	struct live_job *j;

	if (!job || !node || !state || !json_is_integer(rank) || n < 0 || n >= C4_LIVE_RANKS_MAX) {
		c4_complain(&b->notes, 0,
			    "a rank without job, rank, node or state, expected the "
			    "collector's /api/v1/ranks");
		return -EINVAL;
	}
	j = job_of(b, job);
	if (!j)
		return -ENOMEM;
	j->running = j->running || !is_over(state);
	return seat_rank(j, (uint32_t)n, node, host_of(b->f, node, text_of(r, "host")));
}

/* Numbers the ranks on each host. */
static void number_ranks(struct builder *b, struct live_job *j)
{
	for (uint32_t i = 0; i < j->n; i++)
		if (j->seats[i].node && j->seats[i].host != C4_NONE)
			j->seats[i].local = b->on_host[j->seats[i].host]++;
	for (uint32_t i = 0; i < j->n; i++)
		if (j->seats[i].node && j->seats[i].host != C4_NONE)
			j->seats[i].of = b->on_host[j->seats[i].host];
	for (uint32_t i = 0; i < j->n; i++)
		if (j->seats[i].node && j->seats[i].host != C4_NONE)
			b->on_host[j->seats[i].host] = 0;
}

static int read_ranks(struct builder *b, const json_t *ranks)
{
	const json_t *list = json_object_get(ranks, "ranks"), *r;
	size_t i;
	int rc;

	if (!json_is_array(list)) {
		c4_complain(&b->notes, 0, "no \"ranks\", expected the collector's /api/v1/ranks");
		return -EINVAL;
	}
	json_array_foreach(list, i, r)
	{
		rc = read_rank(b, r);
		if (rc)
			return rc;
	}
	for (uint32_t k = 0; k < b->n_jobs; k++)
		number_ranks(b, &b->jobs[k]);
	return 0;
}

/* ---- communicators --------------------------------------------------------------------------- */

static struct live_job *job_of_comm(struct builder *b, const json_t *c)
{
	const char *name = text_of(c, "job");
	const struct c4_strmap_entry *e = name ? c4_strmap_find(&b->job_of, name) : NULL;

	return e ? &b->jobs[(uintptr_t)e->value - 1] : NULL;
}

/* What one member sent: collectives, and its part of the point-to-point bytes. */
static double bytes_of(const json_t *c)
{
	double size = json_number_value(json_object_get(c, "size"));
	double p2p = json_number_value(json_object_get(c, "p2p_bytes"));

	return json_number_value(json_object_get(c, "bytes")) + (size > 0 ? p2p / size : 0);
}

/* Ranks of members in order; NULL past the end or for what nobody has reported. */
static const struct seat *seat_of(const struct live_job *j, const json_t *members, size_t i)
{
	const json_t *v = json_array_get(members, i);
	json_int_t rank = json_integer_value(v);

	if (!json_is_integer(v) || rank < 0 || rank >= (json_int_t)j->n || !j->seats[rank].node)
		return NULL;
	return &j->seats[rank];
}

static bool all_known(struct builder *b, const struct live_job *j, const json_t *c)
{
	const json_t *members = json_object_get(c, "members");
	size_t n = json_array_size(members);

	if (n < 2 || (json_int_t)n != json_integer_value(json_object_get(c, "size")))
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct seat *s = seat_of(j, members, i);
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

static uint32_t rails_of(const struct c4_fabric *f, uint32_t host)
{
	const struct c4_host *h = &f->hosts[host];
	uint32_t rails = 0;

	for (uint32_t i = h->nic; i < h->nic + h->nics; i++)
		rails = f->nics[i].rail >= rails ? f->nics[i].rail + 1 : rails;
	return rails;
}

/* Whether the communicator has all ranks of its job on each of its nodes. */
static bool takes_whole_nodes(struct builder *b, const struct live_job *j, const json_t *members)
{
	size_t n = json_array_size(members);
	bool whole = true;

	for (size_t i = 0; i < n; i++)
		b->on_host[seat_of(j, members, i)->host]++;
	for (size_t i = 0; i < n; i++) {
		const struct seat *s = seat_of(j, members, i);

		whole = whole && b->on_host[s->host] >= s->of;
	}
	for (size_t i = 0; i < n; i++)
		b->on_host[seat_of(j, members, i)->host] = 0;
	return whole;
}

static uint32_t rail_of(const struct c4_fabric *f, const struct seat *s)
{
	return (uint32_t)((uint64_t)s->local * rails_of(f, s->host) / s->of);
}

/* The hosts of the members near this rail (C4_NONE: of all), each once, in rank order. */
static int collect_ring(struct builder *b, const struct live_job *j, const json_t *members,
			uint32_t rail)
{
	size_t n = json_array_size(members);

	b->n_ring = 0;
	for (size_t i = 0; i < n; i++) {
		const struct seat *s = seat_of(j, members, i);
		struct c4_member *grown;

		if (b->on_host[s->host] || (rail != C4_NONE && rail_of(b->f, s) != rail))
			continue;
		grown = c4_vec_reserve(b->ring, &b->cap_ring, b->n_ring + 1, C4_LIVE_RANKS_MAX,
				       sizeof *grown);
		if (!grown)
			break;
		b->ring = grown;
		b->ring[b->n_ring++] = (struct c4_member){s->host, C4_NONE};
		b->on_host[s->host] = 1;
	}
	for (uint32_t i = 0; i < b->n_ring; i++)
		b->on_host[b->ring[i].host] = 0;
	return b->ring ? 0 : -ENOMEM;
}

static uint32_t most_rails(struct builder *b, const struct live_job *j, const json_t *members)
{
	size_t n = json_array_size(members);
	uint32_t most = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t rails = rails_of(b->f, seat_of(j, members, i)->host);

		most = rails > most ? rails : most;
	}
	return most;
}

/* Adds the ring of one rail, if it leaves its node. Connections added, or a negative errno. */
static int64_t add_ring(struct builder *b, const struct live_job *j, const json_t *c,
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

static int add_rings(struct builder *b, const struct live_job *j, const json_t *c,
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
static double weight_of(const struct live_job *j, const json_t *c)
{
	double share = j->busiest > 0 ? bytes_of(c) / j->busiest : 1;

	return share < C4_LIVE_WEIGHT_MIN ? 0 : exp2(round(log2(share)));
}

static int add_comm(struct builder *b, const json_t *c)
{
	const struct live_job *j = job_of_comm(b, c);
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
	t.weight = weight_of(j, c);
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
		struct live_job *j = job_of_comm(b, c);

		if (j && bytes_of(c) > j->busiest)
			j->busiest = bytes_of(c);
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
	for (uint32_t i = 0; i < b->n_jobs; i++)
		free(b->jobs[i].seats);
	free(b->jobs);
	free(b->on_host);
	free(b->ring);
	c4_strmap_release(&b->job_of);
	c4_strmap_release(&b->told);
}

int c4_demand_live(struct c4_demand *d, const struct c4_fabric *f, const json_t *comms,
		   const json_t *ranks, struct c4_live_counts *ret, struct c4_buf *notes)
{
	struct builder b = {.f = f, .notes = {.out = notes, .file = "collector"}};
	int rc = -ENOMEM;

	c4_demand_init(&b.d);
	b.on_host = calloc(f->n_hosts + 1, sizeof *b.on_host);
	if (b.on_host)
		rc = read_ranks(&b, ranks);
	if (!rc)
		rc = read_comms(&b, comms);
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
