// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/feed.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "agent/daemon/detail.h"
#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/log.h"

#define DETAIL_INTERVALS 4
#define DETAIL_MIN_NS	 2000000000ull

static uint64_t draw_instance(void)
{
	uint64_t v = 0;

	if (getrandom(&v, sizeof v, GRND_NONBLOCK) != sizeof v)
		v = c4_hash_u64(c4_mono_ns(), (uint64_t)(uintptr_t)&v);
	return v ? v : 1;
}

int c4_feed_start(struct c4_feed *f, const struct c4_poster_config *config)
{
	f->instance = draw_instance();
	f->seq = f->dropped = f->pushed_out = 0;
	f->anew = false;
	f->writer = c4_post_writer_new();
	if (!f->writer)
		return -ENOMEM;
	f->poster = c4_poster_start(config);
	if (f->poster)
		return 0;
	c4_post_writer_free(f->writer);
	return -EINVAL;
}

bool c4_feed_stop(struct c4_feed *f, uint64_t patience_ns)
{
	if (!c4_poster_stop(f->poster, patience_ns))
		return false;
	c4_post_writer_free(f->writer);
	return true;
}

/* ---- posting -------------------------------------------------------------------------------- */

static void send_post(struct c4_feed *f, uint64_t now_ns, bool last)
{
	struct c4_post_head head = {.agent = f->agent,
				    .instance = f->instance,
				    .seq = ++f->seq,
				    .interval_ms = f->interval_ms,
				    .dropped_posts = f->dropped,
				    .bad_segments = f->bad_segments,
				    .last = last};
	size_t len;
	void *data = c4_post_finish(f->writer, &head, C4_POSTER_ROOM, &len);

	if (data)
		c4_poster_send(f->poster, f->seq, now_ns, data, len);
	else
		f->anew = true; /* out of memory: what it told is told again */
}

static bool is_wanted(const struct c4_target *t, enum c4_feed_extent extent, uint64_t now_ns)
{
	if (!c4_target_presentable(c4_kin_process(t), now_ns))
		return false;
	return t->gone ? !t->end_seq : extent != C4_FEED_ENDED;
}

static void tell_anew(struct c4_feed *f, struct c4_watch *w)
{
	if (f->devices)
		c4_devices_forget_told(f->devices);
	for (uint32_t i = 0; i < w->n; i++) {
		struct c4_target *t = c4_watched_get(w, i);

		c4_target_forget_posted(t);
		t->end_seq = 0;
	}
}

static void add_target(struct c4_feed *f, struct c4_target *t, uint64_t now_ns)
{
	if (!c4_post_add(f->writer, t, now_ns)) {
		send_post(f, now_ns, false);
		c4_post_begin(f->writer);
		if (!c4_post_add(f->writer, t, now_ns))
			return; /* out of memory: its turn comes with the next post */
	}
	if (t->gone)
		t->end_seq = f->seq + 1;
}

/* The process first: its parts mean nothing to a collector that has not been told of it. */
static void add_process(struct c4_feed *f, struct c4_target *t, enum c4_feed_extent extent,
			uint64_t now_ns)
{
	if (is_wanted(t, extent, now_ns))
		add_target(f, t, now_ns);
	if (!t->introduced)
		return;
	for (struct c4_target *part = t->kin; part != t; part = part->kin)
		if (is_wanted(part, extent, now_ns))
			add_target(f, part, now_ns);
}

void c4_feed_post(struct c4_feed *f, struct c4_watch *w, enum c4_feed_extent extent,
		  uint64_t now_ns)
{
	if (f->anew && extent != C4_FEED_ENDED) {
		tell_anew(f, w);
		f->anew = false;
	}
	c4_post_begin(f->writer);
	if (f->devices && extent != C4_FEED_ENDED)
		c4_post_add_devices(f->writer, f->devices, now_ns);
	for (uint32_t i = 0; i < w->n; i++)
		if (!c4_kin_is_part(c4_watched_get(w, i)))
			add_process(f, c4_watched_get(w, i), extent, now_ns);
	send_post(f, now_ns, extent == C4_FEED_LAST);
}

/* ---- what became of it ---------------------------------------------------------------------- */

/* Whether the process's end is told (or never can be), and so the files no longer needed. */
static bool end_settled(const struct c4_target *t, uint64_t settled)
{
	bool nameless = !c4_target_has_rank(c4_kin_process(t));
	const struct c4_target *one;

	c4_kin_for_each (one, t)
		if (!one->gone || (one->end_seq ? one->end_seq > settled : !nameless))
			return false;
	return true;
}

/* For long enough to outlast a late answer or two. */
static void ask_detail(const struct c4_feed *f, const struct c4_watch *w)
{
	uint64_t span_ns = (uint64_t)f->interval_ms * DETAIL_INTERVALS * 1000000u;

	if (span_ns < DETAIL_MIN_NS)
		span_ns = DETAIL_MIN_NS;
	for (uint32_t i = 0; i < w->n; i++) {
		struct c4_target *t = c4_watched_get(w, i);
		int rc = c4_detail_ask(t, span_ns);

		if (rc && rc != -ENOTSUP && rc != -ESTALE)
			c4_debug("%s: %s: cannot ask for detail", t->path, strerror(-rc));
	}
}

uint32_t c4_feed_react(struct c4_feed *f, struct c4_watch *w)
{
	struct c4_poster_news news;
	bool lost;

	c4_poster_news(f->poster, &news);
	lost = news.pushed_out > f->pushed_out;
	f->pushed_out = news.pushed_out;
	f->dropped = news.dropped;
	f->anew |= lost || news.resync;
	if (news.detail)
		ask_detail(f, w);
	for (uint32_t i = 0; i < w->n;) {
		struct c4_target *t = c4_watched_get(w, i);

		if (!end_settled(t, news.settled)) {
			i++;
			continue;
		}
		c4_target_drop_file(t);
		/* perhaps its end was in a lost post: it stays, without its file, to be told again
		 */
		if (lost)
			i++;
		else
			c4_watched_remove(w, i);
	}
	return news.interval_ms;
}

bool c4_feed_settled(struct c4_feed *f)
{
	return c4_poster_settled(f->poster) >= f->seq;
}
