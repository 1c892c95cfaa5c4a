// SPDX-License-Identifier: BSD-3-Clause
#include "collector/comm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/stats.h"
#include "collector/vclock.h"
#include "common/base/hash.h"
#include "common/base/runs.h"

#define NAME_MEMBERS 28u /* bytes a list of members may take in a name */
#define NAME_RUNS    8u

static void on_window(void *arg, const struct c4_joined *w);

static uint64_t hash_runs(const struct c4_seg_run *runs, uint32_t n)
{
	uint64_t h = n;

	for (uint32_t i = 0; i < n; i++) {
		h = c4_hash_u64(h, (uint32_t)runs[i].first);
		h = c4_hash_u64(h, (uint32_t)runs[i].stride);
		h = c4_hash_u64(h, runs[i].count);
	}
	return h;
}

/* "0-7" or "0-6:2"; n suffices. */
static int run_text(char *buf, size_t n, const struct c4_seg_run *r)
{
	int64_t last = r->first + (int64_t)r->stride * (r->count - 1);

	if (r->count == 1)
		return snprintf(buf, n, "%d", r->first);
	if (r->count == 2)
		return snprintf(buf, n, "%d,%lld", r->first, (long long)last);
	if (r->stride == 1)
		return snprintf(buf, n, "%d-%lld", r->first, (long long)last);
	return snprintf(buf, n, "%d-%lld:%d", r->first, (long long)last, r->stride);
}

void c4_comm_name_members(struct c4_comm *c)
{
	struct c4_seg_run runs[NAME_RUNS];
	size_t len = strlen(c->name), n = sizeof c->name;
	size_t limit = len + NAME_MEMBERS < n ? len + NAME_MEMBERS : n;
	bool told = c->ranks && c4_comm_complete(c);
	int nruns = told ? c4_runs_encode(c->ranks, c->size, runs, NAME_RUNS) : -1;
	bool all = nruns >= 0;

	len += (size_t)snprintf(c->name + len, n - len, "{");
	for (int i = 0; told && i < (all ? nruns : (int)NAME_RUNS); i++) {
		char item[48];
		int m = run_text(item, sizeof item, &runs[i]);

		if (len + (size_t)m + sizeof ",…}" >= limit) {
			all = false;
			break;
		}
		len += (size_t)snprintf(c->name + len, n - len, "%s%s", i ? "," : "", item);
	}
	snprintf(c->name + len, n - len, "%s}", all ? "" : "…");
}

static int alloc_tables(struct c4_comm *c, const struct c4_comm_identity *who)
{
	c->state = calloc(c->size, sizeof *c->state);
	c->members = calloc(c->size, sizeof *c->members);
	c->join = c4_join_new(c->size, on_window, c);
	if (!c->state || !c->members || !c->join)
		return -1;
	if (!who->nruns && !(who->flags & C4_COMM_REPORTED))
		return 0;
	c->ranks = malloc(c->size * sizeof *c->ranks);
	if (!c->ranks)
		return -1;
	for (uint32_t i = 0; i < c->size; i++)
		c->ranks[i] = -1;
	if (who->nruns)
		c4_runs_decode(who->runs, who->nruns, c->ranks);
	return 0;
}

struct c4_comm *c4_comm_new(const struct c4_comm_identity *who, uint64_t now_ns,
			    struct c4_stats *stats)
{
	struct c4_comm *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->id = who->id;
	c->size = who->size;
	c->flags = who->flags;
	c->created_ns = now_ns;
	c->runs_hash = hash_runs(who->runs, who->nruns);
	c->stats = stats;
	if (alloc_tables(c, who)) {
		c4_comm_free(c);
		return NULL;
	}
	snprintf(c->name, sizeof c->name, "%s", *who->name ? who->name : "comm");
	if (!*who->name)
		c4_comm_name_members(c);
	return c;
}

void c4_comm_free(struct c4_comm *c)
{
	if (!c)
		return;
	c4_join_free(c->join);
	c4_conntab_release(&c->conns);
	free(c->ranks);
	free(c->state);
	free(c->members);
	free(c);
}

bool c4_comm_same(const struct c4_comm *c, const struct c4_comm_identity *who)
{
	return c->size == who->size && c->runs_hash == hash_runs(who->runs, who->nruns);
}

int64_t c4_comm_member_of(const struct c4_comm *c, uint32_t rank, uint32_t hint)
{
	if (!c->ranks)
		return hint < c->size ? (int64_t)hint : -1;
	if (hint < c->size && c->ranks[hint] == (int32_t)rank)
		return hint;
	/* an intercommunicator's ranks count within their own group */
	for (uint32_t i = 0; i < c->size; i++)
		if (c->ranks[i] == (int32_t)rank)
			return i;
	return -1;
}

bool c4_comm_claim(struct c4_comm *c, uint32_t member, uint32_t rank)
{
	if (!c->ranks || member >= c->size)
		return false;
	if (c->ranks[member] < 0 || !c->state[member].known)
		c->ranks[member] = (int32_t)rank;
	return c->ranks[member] == (int32_t)rank;
}

bool c4_comm_presume(struct c4_comm *c, uint32_t world_size)
{
	uint32_t odd = C4_COMM_FOREIGN | C4_COMM_TRUNCATED | C4_COMM_INTER;
	bool same = c->ranks && c->known && c->size == world_size && !(c->flags & odd);

	if (!(c->flags & C4_COMM_REPORTED))
		return false;
	for (uint32_t m = 0; same && m < c->size; m++)
		same = !c->state[m].known || c->ranks[m] == (int32_t)m;
	for (uint32_t m = 0; c->ranks && m < c->size; m++)
		if (!c->state[m].known)
			c->ranks[m] = same ? (int32_t)m : -1;
	return same;
}

bool c4_comm_complete(const struct c4_comm *c)
{
	return c->ranks && (!(c->flags & C4_COMM_REPORTED) || c->known == c->size);
}

int c4_comm_piece(struct c4_comm *c, uint32_t member, const struct c4_piece *p, uint64_t inside_ns,
		  uint64_t now_ns)
{
	int rc = c4_join_add(c->join, member, p, now_ns);

	if (rc)
		return rc;
	c->members[member].bytes += p->bytes;
	c->members[member].inside_ns += inside_ns;
	c->inside_ns += inside_ns;
	return 0;
}

void c4_comm_excuse_unknown(struct c4_comm *c, uint64_t now_ns)
{
	if (c->waited || c4_vclock_since(now_ns, c->created_ns) < C4_COMM_GRACE_NS)
		return;
	for (uint32_t m = 0; m < c->size; m++)
		if (!c->state[m].known)
			c4_join_excuse(c->join, m);
	c->waited = true;
}

/* ---- what a closed window says --------------------------------------------------------------- */

/* Range over members of the time inside synchronising operations; false if there were none. */
static bool sync_range(const struct c4_comm *c, const struct c4_diag_window *w, uint64_t *ret_min,
		       uint64_t *ret_max)
{
	uint64_t min = UINT64_MAX, max = 0;
	bool any = false;

	for (uint32_t m = 0; m < c->size; m++) {
		const struct c4_diag_part *p = &w->parts[m];

		/* a part with holes has a smaller sum for want of data, not for being late */
		if (!p->present || p->missing || !p->sync_count)
			continue;
		min = p->sync_sum_ns < min ? p->sync_sum_ns : min;
		max = p->sync_sum_ns > max ? p->sync_sum_ns : max;
		any = true;
	}
	*ret_min = min;
	*ret_max = max;
	return any;
}

static void add_members(struct c4_comm *c, const struct c4_diag_window *w, uint64_t max)
{
	uint64_t span = 0;
	uint32_t spans = 0;

	for (uint32_t m = 0; m < c->size; m++) {
		const struct c4_diag_part *p = &w->parts[m];
		struct c4_member *x = &c->members[m];

		if (!p->present)
			continue;
		x->own_ns += p->own_sum_ns;
		x->span_ns += p->span_sum_ns;
		if (p->span_count > spans) {
			span = p->span_sum_ns;
			spans = p->span_count;
		}
		if (!p->missing && p->sync_count) {
			x->late_ns += max - p->sync_sum_ns;
			x->late_ops += p->sync_count;
		}
	}
	if (spans)
		c->step_ns = (double)span / spans;
}

static void on_window(void *arg, const struct c4_joined *w)
{
	struct c4_comm *c = arg;
	uint64_t min, max = 0;

	if (w->complete)
		c->stats->windows++;
	else
		c->stats->windows_incomplete++;
	if (sync_range(c, w->window, &min, &max) && w->complete) {
		c->busy_ns += (double)min;
		c->alg_bytes += (double)w->alg_bytes;
		c->bus_bytes += (double)w->bus_bytes;
	}
	add_members(c, w->window, max);
}

/* ---- numbers for people --------------------------------------------------------------------- */

uint64_t c4_comm_ops(const struct c4_comm *c)
{
	uint64_t ops = 0;

	for (uint32_t m = 0; m < c->size; m++)
		ops = c->state[m].finished > ops ? c->state[m].finished : ops;
	return ops;
}

uint64_t c4_comm_bytes(const struct c4_comm *c)
{
	uint64_t bytes = 0;

	for (uint32_t m = 0; m < c->size; m++)
		bytes = c->members[m].bytes > bytes ? c->members[m].bytes : bytes;
	return bytes;
}

static double gbps(double bytes, double ns)
{
	return ns > 0 ? bytes * 8 / ns : 0;
}

double c4_comm_algbw_gbps(const struct c4_comm *c)
{
	return gbps(c->alg_bytes, c->busy_ns);
}

double c4_comm_busbw_gbps(const struct c4_comm *c)
{
	return gbps(c->bus_bytes, c->busy_ns);
}

double c4_member_lateness_ms(const struct c4_member *m)
{
	return m->late_ops ? (double)m->late_ns / (double)m->late_ops / 1e6 : 0;
}

uint32_t c4_comm_latest(const struct c4_comm *c, uint32_t *out, uint32_t n)
{
	uint32_t found = 0;

	for (uint32_t m = 0; m < c->size; m++) {
		double late = c4_member_lateness_ms(&c->members[m]);
		uint32_t at = found;

		if (late <= 0)
			continue;
		while (at && late > c4_member_lateness_ms(&c->members[out[at - 1]]))
			at--;
		if (at >= n)
			continue;
		found += found < n;
		memmove(&out[at + 1], &out[at], (found - at - 1) * sizeof *out);
		out[at] = m;
	}
	return found;
}
