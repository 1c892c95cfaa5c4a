// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/talk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/http.h"
#include "common/log.h"
#include "planner/daemon/routes/live.h"
#include "planner/daemon/verdicts.h"

#define TELL_TIMEOUT_MS 5000
#define SECOND_NS	1000000000ull
#define MS_NS		1000000ull

/* ---- telling --------------------------------------------------------------------------------- */

static bool tell_wanted(const struct c4_talk *t, uint64_t now_ns)
{
	bool due = now_ns >= t->tell.pause.next_ns;

	if (!t->tell.http || !t->routes->edition)
		return false;
	if (t->routes->suspects.changed && !t->tell.pause.pause_ns)
		return true; /* news do not wait, but for a collector that does not answer */
	return due && (t->routes->suspects.changed || t->routes->suspects.n || t->tell.standing);
}

static bool tell_begin(struct c4_talk *t, uint64_t now_ns)
{
	uint32_t n = 0;
	json_t *j = c4_live_links(t->routes, now_ns, C4_TALK_TELL_TTL_S, &n);

	t->tell.body = j ? json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
	json_decref(j);
	t->tell.standing = n > 0;
	t->routes->suspects.changed = false;
	t->tell.busy = t->tell.body != NULL;
	return t->tell.busy;
}

static void on_tell(uv_work_t *w)
{
	struct c4_talk *t = w->data;
	struct c4_buf answer = {0};

	t->tell.status = c4_http_post(t->tell.http, "/v1/links", "application/json", t->tell.body,
				      strlen(t->tell.body), &answer);
	if (t->tell.status < 0)
		snprintf(t->tell.why, sizeof t->tell.why, "%s", c4_http_error(t->tell.http));
	else
		snprintf(t->tell.why, sizeof t->tell.why, "status %d: %.200s", t->tell.status,
			 c4_buf_str(&answer));
	c4_buf_release(&answer);
}

static void on_told(uv_work_t *w, int status)
{
	struct c4_talk *t = w->data;
	uint64_t now_ns = c4_mono_ns();

	(void)status; /* never cancelled */
	t->tell.busy = false;
	free(t->tell.body);
	t->tell.body = NULL;
	if (t->tell.status >= 200 && t->tell.status < 300) {
		t->told++;
		c4_pause_for(&t->tell.pause, now_ns, C4_TALK_TELL_S * SECOND_NS);
		return;
	}
	if (!t->tell.pause.pause_ns)
		c4_warn("collector: %s: it hears of links later", t->tell.why);
	t->tell_errors++;
	t->routes->suspects.changed = true;
	c4_pause_longer(&t->tell.pause, now_ns);
}

/* ---- hearing --------------------------------------------------------------------------------- */

static void on_hear(uv_work_t *w)
{
	struct c4_talk *t = w->data;

	t->hear.rc = c4_verdicts_ask(t->hear.asking, &t->hear.edition->fabric->fabric,
				     &t->hear.ratings, t->hear.why, sizeof t->hear.why);
}

static void on_heard(uv_work_t *w, int status)
{
	struct c4_talk *t = w->data;
	uint64_t now_ns = c4_mono_ns();

	(void)status;
	t->hear.busy = false;
	if (!t->hear.rc) {
		t->heard++;
		c4_routes_hear(t->routes, t->hear.edition, &t->hear.ratings);
		c4_pause_for(&t->hear.pause, now_ns, C4_TALK_HEAR_MS * MS_NS);
	} else {
		if (!t->hear.pause.pause_ns)
			c4_warn("%s: its verdicts are not heard", t->hear.why);
		t->hear_errors++;
		c4_pause_longer(&t->hear.pause, now_ns);
	}
	c4_ratings_release(&t->hear.ratings);
	c4_edition_drop(t->hear.edition);
	t->hear.edition = NULL;
}

/* Without connections on known ways nobody could say which links are meant. */
static bool hear_wanted(const struct c4_talk *t, uint64_t now_ns)
{
	return t->hear.asking && t->routes->edition && (t->routes->flows.n || t->routes->heard.n) &&
	       now_ns >= t->hear.pause.next_ns;
}

/* ---- public ---------------------------------------------------------------------------------- */

int c4_talk_init(struct c4_talk *t, uv_loop_t *loop, struct c4_routes *routes,
		 const char *collector)
{
	*t = (struct c4_talk){.loop = loop, .routes = routes};
	t->tell.work.data = t->hear.work.data = t;
	if (!collector)
		return 0;
	t->tell.http = c4_http_new(collector, TELL_TIMEOUT_MS);
	t->hear.asking = c4_asking_new(collector);
	return t->tell.http && t->hear.asking ? 0 : -EINVAL;
}

void c4_talk_release(struct c4_talk *t)
{
	c4_http_free(t->tell.http);
	free(t->tell.body);
	c4_asking_free(t->hear.asking);
	c4_ratings_release(&t->hear.ratings);
	*t = (struct c4_talk){0};
}

void c4_talk_tick(struct c4_talk *t, uint64_t now_ns)
{
	if (!t->tell.busy && tell_wanted(t, now_ns) && tell_begin(t, now_ns))
		uv_queue_work(t->loop, &t->tell.work, on_tell, on_told);
	if (!t->hear.busy && hear_wanted(t, now_ns)) {
		t->hear.edition = c4_edition_hold(t->routes->edition);
		t->hear.busy = true;
		uv_queue_work(t->loop, &t->hear.work, on_hear, on_heard);
	}
}
