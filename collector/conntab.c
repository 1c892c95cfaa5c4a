// SPDX-License-Identifier: BSD-3-Clause
#include "collector/conntab.h"

#include <stdlib.h>
#include <string.h>

#include "collector/vclock.h"
#include "common/ds/vec.h"

#define MOST(n) ((n) - (n) / 10)

static uint64_t index_key(const struct c4_conn_key *k)
{
	return (uint64_t)(k->channel & 0xffff) << 48 | (uint64_t)(k->src & 0xffffff) << 24 |
	       (k->dst & 0xffffff);
}

void c4_conntab_release(struct c4_conntab *t)
{
	free(t->conns);
	free(t->tracks);
	c4_map_release(&t->index);
	*t = (struct c4_conntab){0};
}

/* ---- finding --------------------------------------------------------------------------------- */

static bool is_at(const struct c4_conntab *t, uint32_t at, const struct c4_conn_key *k)
{
	return at < t->n && t->conns[at].src == k->src && t->conns[at].dst == k->dst &&
	       t->conns[at].channel == k->channel;
}

int64_t c4_conntab_find(struct c4_conntab *t, const struct c4_conn_key *key)
{
	uintptr_t place;

	if (!is_at(t, t->hint, key)) {
		place = (uintptr_t)c4_map_get(&t->index, index_key(key));
		if (!place)
			return -1;
		t->hint = (uint32_t)(place - 1);
	}
	return t->hint++;
}

int64_t c4_conntab_add(struct c4_conntab *t, const struct c4_conn_key *key, uint64_t now_ns)
{
	void *grown = c4_vec_reserve(t->conns, &t->cap, t->n + 1, UINT32_MAX, sizeof *t->conns);

	if (!grown)
		return -1;
	t->conns = grown;
	grown = c4_vec_reserve(t->tracks, &t->tracks_cap, t->n + 1, UINT32_MAX, sizeof *t->tracks);
	if (!grown)
		return -1;
	t->tracks = grown;
	if (c4_map_put(&t->index, index_key(key), (void *)(uintptr_t)(t->n + 1ull)))
		return -1;
	t->conns[t->n] = (struct c4_diag_conn){key->src, key->dst, key->channel, {0}, {0}};
	memset(&t->tracks[t->n], 0, sizeof t->tracks[t->n]);
	if (!t->opened_ns)
		t->opened_ns = now_ns;
	return t->n++;
}

/* ---- one report ------------------------------------------------------------------------------ */

static bool goes_on(const struct c4_diag_end *end, const struct c4_conn_track *k,
		    const struct c4_conn_report *r)
{
	return end->known && k->teller == r->teller && r->transmitted >= end->transmitted &&
	       r->bytes >= k->bytes && r->busy_ns >= k->busy_ns && r->gpu_ns >= k->gpu_ns &&
	       r->peer_ns >= k->peer_ns;
}

static void add_growth(struct c4_conntab *t, const struct c4_diag_end *end, struct c4_conn_track *k,
		       const struct c4_conn_report *r)
{
	bool full = k->sum_bytes >= C4_CONN_WINDOW_BYTES;

	k->sum_bytes += r->bytes - k->bytes;
	k->sum_steps += r->transmitted - end->transmitted;
	k->sum_busy_ns += r->busy_ns - k->busy_ns;
	k->sum_gpu_ns += r->gpu_ns - k->gpu_ns;
	k->sum_peer_ns += r->peer_ns - k->peer_ns;
	t->filled += !full && k->sum_bytes >= C4_CONN_WINDOW_BYTES;
}

void c4_conntab_tell(struct c4_conntab *t, uint32_t at, bool sends, const struct c4_conn_report *r)
{
	struct c4_diag_end *end = sends ? &t->conns[at].send : &t->conns[at].recv;
	struct c4_conn_track *k = &t->tracks[at][!sends];

	if (goes_on(end, k, r))
		add_growth(t, end, k, r);
	end->known = true;
	end->phase = r->phase;
	end->active = r->active;
	end->opno = r->opno;
	end->posted = r->posted;
	end->transmitted = r->transmitted;
	end->done = r->done;
	k->teller = r->teller;
	k->bytes = r->bytes;
	k->busy_ns = r->busy_ns;
	k->gpu_ns = r->gpu_ns;
	k->peer_ns = r->peer_ns;
	k->told_ns = r->told_ns;
	k->progress_ns = r->progress_ns;
}

static struct c4_diag_end *end_of(struct c4_conntab *t, uint32_t at, int side)
{
	return side ? &t->conns[at].recv : &t->conns[at].send;
}

void c4_conntab_forget(struct c4_conntab *t, uint32_t teller)
{
	for (uint32_t i = 0; i < t->n; i++)
		for (int side = 0; side < 2; side++)
			if (t->tracks[i][side].teller == teller)
				end_of(t, i, side)->known = false;
}

/* ---- time ------------------------------------------------------------------------------------ */

void c4_conntab_age(struct c4_conntab *t, uint64_t (*until)(void *arg, uint32_t teller), void *arg)
{
	for (uint32_t i = 0; i < t->n; i++)
		for (int side = 0; side < 2; side++) {
			const struct c4_conn_track *k = &t->tracks[i][side];
			struct c4_diag_end *end = end_of(t, i, side);
			uint64_t now = end->known ? until(arg, k->teller) : 0;

			now = now > k->told_ns ? now : k->told_ns;
			end->still_ns = end->known ? c4_vclock_since(now, k->progress_ns) : 0;
		}
}

static void close_end(struct c4_diag_end *end, struct c4_conn_track *k)
{
	end->win_bytes = k->sum_bytes;
	end->win_steps = k->sum_steps;
	end->win_busy_ns = k->sum_busy_ns;
	end->win_gpu_ns = k->sum_gpu_ns;
	end->win_peer_ns = k->sum_peer_ns;
	k->sum_bytes = k->sum_steps = k->sum_busy_ns = k->sum_gpu_ns = k->sum_peer_ns = 0;
}

/* In the first window every end that was heard of is expected to carry something. */
static uint32_t ends_known(const struct c4_conntab *t)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n; i++)
		n += t->conns[i].send.known + t->conns[i].recv.known;
	return n;
}

static bool due(const struct c4_conntab *t, uint64_t open_ns)
{
	if (open_ns >= C4_CONN_PATIENCE_NS)
		return true;
	if (open_ns < C4_CONN_WINDOW_NS || !t->filled)
		return false;
	return t->filled >= MOST(t->expected ? t->expected : ends_known(t));
}

bool c4_conntab_poll(struct c4_conntab *t, uint64_t now_ns)
{
	uint64_t open_ns = c4_vclock_since(now_ns, t->opened_ns);
	bool closed = t->filled > 0;

	if (!t->n || !due(t, open_ns))
		return false;
	for (uint32_t i = 0; closed && i < t->n; i++)
		for (int side = 0; side < 2; side++)
			close_end(end_of(t, i, side), &t->tracks[i][side]);
	t->serial += closed;
	t->window_ns = closed ? open_ns : t->window_ns;
	if (closed) /* shrinks slowly: one poor window must not make the next ones poor, too */
		t->expected = t->filled > t->expected / 4 * 3 ? t->filled : t->expected / 4 * 3;
	t->filled = 0;
	t->opened_ns = now_ns;
	return closed;
}
