// SPDX-License-Identifier: BSD-3-Clause
#include "agent/mpi/wait.h"

#include "agent/mpi/api.h"
#include "agent/mpi/group.h"

#define NO_CELL (-1)

static uint64_t key_at(const struct c4_requests *reqs, int i)
{
	return reqs->f ? c4_request_key_f(&reqs->f[i]) : c4_request_key_c(&reqs->c[i]);
}

static bool is_null(const struct c4_requests *reqs, int i)
{
	return reqs->f ? reqs->f[i] == c4_mpi.f_request_null : reqs->c[i] == c4_mpi.request_null;
}

void c4_wait_note(struct c4_wait *w, struct c4_requests reqs)
{
	w->reqs = reqs;
	w->p2p = false;
	w->n = reqs.n < C4_WAIT_REQUESTS ? reqs.n : C4_WAIT_REQUESTS;
	for (int i = 0; i < w->n; i++)
		w->keys[i] = key_at(&reqs, i);
	for (int i = 0; c4_mpi.threads && i < w->n; i++)
		w->cells[i] = c4_request_take(w->keys[i]);
}

/* Cell of request i, hidden; the caller puts it back or drops it. */
static int32_t take(struct c4_wait *w, int i)
{
	int32_t cell;

	if (!c4_mpi.threads)
		return c4_request_take(w->keys[i]);
	cell = w->cells[i];
	w->cells[i] = NO_CELL;
	return cell;
}

static void put_back_rest(struct c4_wait *w)
{
	for (int i = 0; c4_mpi.threads && i < w->n; i++)
		if (w->cells[i] != NO_CELL)
			c4_request_put(w->cells[i], w->keys[i]);
}

static void name_awaited(struct c4_wait *w, int limit)
{
	c4_wait_clear(&w->call);
	for (int i = 0; i < w->n && i < limit; i++) {
		int32_t cell = c4_mpi.threads ? w->cells[i] : c4_request_find(w->keys[i]);

		if (cell != NO_CELL)
			c4_wait_add(&w->call, c4_request_at(cell));
	}
	w->p2p = !w->call.collective;
}

/* MPI_Comm_idup: the new communicator exists from now on. */
static void register_duplicate(const struct c4_request *r)
{
	if (r->flags & C4_REQ_F_NEWCOMM)
		c4_group_created(c4_mpi.Comm_f2c(*(const MPI_Fint *)r->newcomm));
	else
		c4_group_created(*(const MPI_Comm *)r->newcomm);
}

static void complete(struct c4_wait *w, int i, bool failed, bool keep)
{
	int32_t cell = take(w, i);
	struct c4_request *r;

	if (cell == NO_CELL)
		return;
	r = c4_request_at(cell);
	c4_complete(&w->call, r, failed);
	if (r->newcomm && !failed)
		register_duplicate(r);
	r->newcomm = NULL;
	if (keep || (r->flags & C4_REQ_PERSISTENT))
		c4_request_put(cell, w->keys[i]);
	else
		c4_request_drop(cell);
}

static void complete_listed(struct c4_wait *w, int ndone, const int *list, bool keep)
{
	int base = w->reqs.f ? 1 : 0;

	for (int k = 0; k < ndone; k++) {
		int i = list ? list[k] - base : k;

		if (i >= w->n)
			c4_seg_lose(&c4_hook.seg, C4_LOST_REQUESTS);
		else if (i >= 0)
			complete(w, i, false, keep);
	}
}

/* Errors do not say which requests are done, but a request that is gone is. */
static void complete_gone(struct c4_wait *w)
{
	for (int i = 0; i < w->n; i++)
		if (is_null(&w->reqs, i))
			complete(w, i, true, false);
}

static void finish(struct c4_wait *w, int rc, int ndone, const int *list, bool keep)
{
	if (rc == MPI_SUCCESS)
		complete_listed(w, ndone, list, keep);
	else
		complete_gone(w);
	put_back_rest(w);
}

void c4_wait_begin(struct c4_wait *w)
{
	name_awaited(w, C4_WAIT_NAMED);
	c4_wait_enter(&w->call);
}

void c4_wait_end(struct c4_wait *w, int rc, int ndone, const int *list)
{
	c4_wait_leave(&w->call, w->p2p);
	finish(w, rc, ndone, list, false);
}

void c4_test_end(struct c4_wait *w, int rc, int ndone, const int *list, bool keep)
{
	name_awaited(w, C4_TEST_NAMED);
	c4_poll_leave(&w->call, rc != MPI_SUCCESS || ndone > 0, w->p2p);
	finish(w, rc, ndone, list, keep);
}
