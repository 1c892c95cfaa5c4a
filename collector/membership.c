// SPDX-License-Identifier: BSD-3-Clause
#include "collector/membership.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/vclock.h"
#include "common/ds/vec.h"

#define COMM_LINGER_NS 5000000000ull /* freed communicators: late blocks still find them */
#define COMM_KEEP      256u	     /* … and are shown, as long as they are this few */

struct c4_seat *c4_rank_seat(struct c4_rank *r, uint64_t comm_id)
{
	/* posts name communicators in the same order each time: the next one is the best guess */
	for (uint32_t n = 0; n < r->nseats; n++) {
		uint32_t i = r->seat_hint + n;

		if (i >= r->nseats)
			i -= r->nseats;
		if (r->seats[i].id != comm_id)
			continue;
		r->seat_hint = i + 1 < r->nseats ? i + 1 : 0;
		return &r->seats[i];
	}
	return NULL;
}

static struct c4_seat *seat_add(struct c4_rank *r, uint64_t comm_id)
{
	struct c4_seat *grown = c4_vec_reserve(r->seats, &r->seats_cap, r->nseats + 1,
					       C4_MODEL_SEATS, sizeof *grown);

	if (!grown)
		return NULL;
	r->seats = grown;
	r->seats[r->nseats] = (struct c4_seat){.id = comm_id};
	return &r->seats[r->nseats++];
}

static void seat_remove(struct c4_rank *r, const struct c4_comm *c)
{
	for (uint32_t i = 0; i < r->nseats; i++) {
		if (r->seats[i].comm != c)
			continue;
		r->seats[i] = r->seats[--r->nseats];
		r->seat_hint = 0;
		return;
	}
}

/* How often this name was given in the job, this time included. */
static uint64_t name_uses(struct c4_job *j, const struct c4_comm *c)
{
	bool room =
		j->comm_names.used < C4_MODEL_JOB_COMMS || c4_strmap_find(&j->comm_names, c->name);
	struct c4_strmap_entry *e = room ? c4_strmap_at(&j->comm_names, c->name) : NULL;
	uintptr_t uses;

	if (!e)
		return c->id | 2; /* the book is full: the id tells them apart */
	uses = (uintptr_t)e->value + 1;
	e->value = (void *)uses;
	return uses;
}

/* Two communicators of one job never show the same name: members first, then a number. */
static void comm_unique_name(struct c4_job *j, struct c4_comm *c)
{
	uint64_t uses = name_uses(j, c);
	size_t len;

	if (uses > 1 && !strchr(c->name, '{')) {
		c4_comm_name_members(c);
		uses = name_uses(j, c);
	}
	len = strlen(c->name);
	if (uses > 1)
		snprintf(c->name + len, sizeof c->name - len, "#%llu", (unsigned long long)uses);
}

static int comm_slot(struct c4_job *j)
{
	uint32_t cap = j->comms_cap;
	void *grown;

	for (uint32_t i = 0; j->comms_live < j->ncomms && i < j->ncomms; i++)
		if (!j->comms[i])
			return (int)i;
	grown = c4_vec_reserve(j->comms, &cap, j->ncomms + 1, C4_MODEL_JOB_COMMS, sizeof *j->comms);
	if (!grown)
		return -1;
	j->comms = grown;
	grown = reallocarray(j->diag_comms, cap, sizeof *j->diag_comms);
	if (!grown)
		return -1;
	j->diag_comms = grown;
	j->comms_cap = cap;
	return (int)j->ncomms++;
}

/* Members that were not known when the communicator was named are now. */
static void comm_rename(struct c4_job *j, struct c4_comm *c)
{
	char *list = strstr(c->name, "{…}");

	if (!list)
		return;
	*list = '\0';
	c4_comm_name_members(c);
	comm_unique_name(j, c);
}

static bool comm_judged(const struct c4_comm *c)
{
	uint32_t odd = C4_COMM_FOREIGN | C4_COMM_TRUNCATED | C4_COMM_INTER;

	return c4_comm_complete(c) && !(c->flags & odd);
}

static void comm_publish(struct c4_job *j, struct c4_comm *c)
{
	j->comms[c->slot] = c;
	j->comms_live++;
	j->diag_comms[c->slot] = (struct c4_diag_comm){
		.id = c->id,
		.name = c->name,
		.size = c->size,
		.members = c->ranks,
		.judged = comm_judged(c),
		.state = c->state,
		.gpu = c->flags & C4_COMM_GPU,
	};
}

static struct c4_comm *comm_make(struct c4_model *m, struct c4_job *j,
				 const struct c4_comm_identity *who, uint64_t now_ns)
{
	struct c4_comm *c;
	int slot;

	if (m->members + who->size > C4_MODEL_MEMBERS)
		return NULL;
	slot = comm_slot(j);
	if (slot < 0)
		return NULL;
	j->comms[slot] = NULL;
	j->diag_comms[slot] = (struct c4_diag_comm){.name = ""};
	c = c4_comm_new(who, now_ns, m->stats);
	if (!c)
		return NULL;
	if (c4_map_put(&j->comm_by_id, c->id, c)) {
		c4_comm_free(c);
		return NULL;
	}
	c->slot = (uint32_t)slot;
	comm_unique_name(j, c);
	comm_publish(j, c);
	m->members += c->size;
	return c;
}

static void comm_drop_conns(struct c4_model *m, struct c4_job *j, struct c4_comm *c)
{
	m->conns -= c->conns.n;
	c4_conntab_release(&c->conns);
	j->diag_comms[c->slot].nconns = 0;
	j->diag_comms[c->slot].conns = NULL;
}

static void comm_drop(struct c4_model *m, struct c4_job *j, struct c4_comm *c)
{
	uint32_t n = c->ranks ? c->size : j->nranks;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t rank = c->ranks ? (uint32_t)c->ranks[i] : i;

		if (rank >= j->nranks)
			continue;
		seat_remove(&j->ranks[rank], c);
		if (j->now[rank].call.comm == c->slot)
			j->now[rank].call.comm = C4_DIAG_NONE;
	}
	comm_drop_conns(m, j, c);
	c4_map_del(&j->comm_by_id, c->id);
	j->comms[c->slot] = NULL;
	j->diag_comms[c->slot] = (struct c4_diag_comm){.name = ""};
	j->comms_live--;
	m->members -= c->size;
	m->stats->comms_evicted++;
	c4_comm_free(c);
}

void c4_job_forget_comms(struct c4_model *m, struct c4_job *j, uint64_t now_ns)
{
	for (uint32_t i = 0; i < j->ncomms; i++) {
		struct c4_comm *c = j->comms[i];

		if (!c || !c->freed_ns || c4_vclock_since(now_ns, c->freed_ns) <= COMM_LINGER_NS)
			continue;
		comm_drop_conns(m, j, c);
		if (j->comms_live > COMM_KEEP)
			comm_drop(m, j, c);
	}
}

int64_t c4_comm_conn(struct c4_model *m, struct c4_comm *c, const struct c4_conn_key *key,
		     uint64_t now_ns, enum c4_part_refusal *ret_why)
{
	int64_t at = c4_conntab_find(&c->conns, key);

	if (at >= 0)
		return at;
	*ret_why = C4_PART_CONNS_FULL;
	if (m->conns >= C4_MODEL_CONNS)
		return -1;
	*ret_why = C4_PART_MEMORY;
	at = c4_conntab_add(&c->conns, key, now_ns);
	m->conns += at >= 0;
	return at;
}

static struct c4_comm *comm_for(struct c4_model *m, struct c4_job *j,
				const struct c4_comm_identity *who, uint64_t now_ns,
				enum c4_part_refusal *why)
{
	struct c4_comm *c = c4_map_get(&j->comm_by_id, who->id);

	*why = C4_PART_COMM;
	if (c)
		return c4_comm_same(c, who) ? c : NULL;
	*why = C4_PART_COMMS_FULL;
	return comm_make(m, j, who, now_ns);
}

/* Told again: a process sits in one place only. */
static enum c4_part_refusal seat_confirm(const struct c4_seat *s,
					 const struct c4_comm_identity *who, uint32_t my_rank)
{
	if (!c4_comm_same(s->comm, who))
		return C4_PART_COMM;
	return who->flags & C4_COMM_REPORTED && s->member != my_rank ? C4_PART_MEMBER : C4_PART_OK;
}

static int64_t seat_member(struct c4_comm *c, const struct c4_rank *r, uint32_t my_rank,
			   enum c4_part_refusal *why)
{
	*why = C4_PART_MEMBER;
	if (c->flags & C4_COMM_REPORTED)
		return c4_comm_claim(c, my_rank, r->rank) ? (int64_t)my_rank : -1;
	*why = C4_PART_COMM;
	return c4_comm_member_of(c, r->rank, my_rank);
}

enum c4_part_refusal c4_rank_join(struct c4_model *m, struct c4_rank *r,
				  const struct c4_comm_identity *who, uint32_t my_rank,
				  uint64_t now_ns)
{
	struct c4_seat *s = c4_rank_seat(r, who->id);
	enum c4_part_refusal why;
	struct c4_comm *c;
	int64_t member;

	if (s && s->comm)
		return seat_confirm(s, who, my_rank);
	if (!s)
		s = seat_add(r, who->id);
	if (!s)
		return C4_PART_COMMS_FULL;
	c = comm_for(m, r->job, who, now_ns, &why);
	if (!c)
		return why;
	member = seat_member(c, r, my_rank, &why);
	if (member < 0)
		return why;
	s->comm = c;
	s->member = (uint32_t)member;
	c->known += !c->state[member].known;
	c->state[member].known = true;
	if (c->flags & C4_COMM_REPORTED && c4_comm_complete(c)) {
		comm_rename(r->job, c);
		r->job->diag_comms[c->slot].judged = comm_judged(c);
	}
	return C4_PART_OK;
}
