// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/ds/vec.h"

struct c4_watched {
	struct c4_target *target;
	struct c4_watch *watch;
	uv_poll_t poll;
	bool polled; /* poll is an open handle */
};

void c4_watched_init(struct c4_watch *w, uv_loop_t *loop)
{
	*w = (struct c4_watch){.loop = loop};
}

struct c4_target *c4_watched_get(const struct c4_watch *w, uint32_t i)
{
	return w->list[i]->target;
}

static void on_end(uv_poll_t *poll, int status, int events)
{
	struct c4_watched *one = poll->data;

	(void)status; /* an error ends the watch as well: the next look asks /proc */
	uv_poll_stop(poll);
	if (!(events & UV_READABLE) || one->target->gone) /* kin were told first */
		return;
	c4_target_end(one->target, c4_mono_ns());
	one->watch->ended = true;
}

static void start_poll(struct c4_watched *one)
{
	int fd = one->target->pidfd;

	if (fd < 0 || uv_poll_init(one->watch->loop, &one->poll, fd))
		return;
	one->poll.data = one;
	one->polled = true;
	uv_poll_start(&one->poll, UV_READABLE, on_end);
}

static struct c4_target *find_kin(const struct c4_watch *w, const struct c4_target *t)
{
	for (uint32_t i = 0; i < w->n; i++)
		if (c4_kin_same_process(c4_watched_get(w, i), t))
			return c4_watched_get(w, i);
	return NULL;
}

/* If the process is gone, all kin know it, and the latest sign of life among them counts. */
static void agree_on_end(struct c4_target *t)
{
	struct c4_target *one;
	uint64_t gone_ns = 0;

	c4_kin_for_each (one, t)
		if (one->gone && one->gone_ns > gone_ns)
			gone_ns = one->gone_ns;
	if (!gone_ns)
		return;
	c4_target_end(t, gone_ns);
	c4_kin_for_each (one, t)
		one->gone_ns = gone_ns;
}

static void name_target(struct c4_watch *w, struct c4_target *t)
{
	struct c4_target *kin = find_kin(w, t);

	if (kin) {
		c4_kin_join(t, kin);
		agree_on_end(t);
	} else {
		t->handle = ++w->last_handle;
	}
}

int c4_watched_add(struct c4_watch *w, struct c4_target *t)
{
	struct c4_watched **grown, *one;

	if (w->n == C4_WATCH_MAX)
		return -ENOSPC;
	grown = c4_vec_reserve(w->list, &w->cap, w->n + 1, C4_WATCH_MAX, sizeof *grown);
	if (!grown)
		return -ENOMEM;
	w->list = grown;
	one = calloc(1, sizeof *one);
	if (!one)
		return -ENOMEM;
	one->target = t;
	one->watch = w;
	name_target(w, t);
	w->list[w->n++] = one;
	w->ended |= t->gone;
	start_poll(one);
	return 0;
}

static void free_watched(uv_handle_t *h)
{
	struct c4_watched *one = h->data;

	c4_target_close(one->target);
	free(one);
}

/* The loop may still touch the handle and its descriptor until the close callback. */
static void close_watched(struct c4_watched *one)
{
	c4_kin_leave(one->target);
	one->poll.data = one;
	if (one->polled)
		uv_close((uv_handle_t *)&one->poll, free_watched);
	else
		free_watched((uv_handle_t *)&one->poll);
}

void c4_watched_remove(struct c4_watch *w, uint32_t i)
{
	close_watched(w->list[i]);
	w->n--;
	memmove(&w->list[i], &w->list[i + 1], (w->n - i) * sizeof *w->list);
}

void c4_watched_release(struct c4_watch *w)
{
	for (uint32_t i = 0; i < w->n; i++)
		close_watched(w->list[i]);
	free(w->list);
	w->list = NULL;
	w->n = w->cap = 0;
}
