// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "agent/daemon/devices.h"
#include "agent/daemon/feed.h"
#include "agent/daemon/lock.h"
#include "agent/daemon/routes/routes.h"
#include "agent/daemon/scan.h"
#include "agent/daemon/watch.h"
#include "common/base/segment.h"
#include "common/log.h"

#define MS_NS		1000000ull
#define PATIENCE_MIN_NS 2000000000ull /* a block is cut by time no sooner */
#define FINISH_MS	3000	      /* to deliver the last post */
#define STOP_NS		100000000ull  /* for the poster's thread to notice */
#define SCAN_DELAY_MS	5	      /* a burst of directory events is one scan */
#define ENDS_DELAY_MS	20	      /* behind the first end told, the next ones go together */

struct agent {
	const struct c4_agent_options *options;
	uint64_t interval_ns;
	uint64_t refused;  /* targets there was no room for */
	uint64_t alive_ns; /* when a process was last alive */
	bool finishing;	   /* the last post is under way */
	int status;

	struct c4_lock lock;
	struct c4_scan scan;
	struct c4_watch watch;
	struct c4_feed feed;
	struct c4_devices devices;
	struct c4_routes *routes; /* NULL: no planner */

	uv_loop_t loop;
	uv_timer_t tick, drain, rescan, ends, deadline;
	uv_check_t after_poll;
	uv_async_t news;
	uv_signal_t term, interrupt;
	uv_fs_event_t directory;
};

static void finish(struct agent *a, int status);

/* ---- finding -------------------------------------------------------------------------------- */

static bool is_ours(const struct agent *a, const struct c4_seg_header *h)
{
	if (a->options->job && strcmp(a->options->job, h->job) != 0)
		return false;
	return a->options->any_node || !strcmp(a->options->node, h->node);
}

/* Room for one more by forgetting the one that has been gone longest. */
static void evict_gone(struct agent *a)
{
	for (uint32_t i = 0; i < a->watch.n; i++) {
		if (!c4_watched_get(&a->watch, i)->gone)
			continue;
		c4_target_drop_file(c4_watched_get(&a->watch, i));
		c4_watched_remove(&a->watch, i);
		return;
	}
}

static enum c4_scan_verdict adopt(struct agent *a, struct c4_target *t)
{
	int rc;

	if (a->watch.n == C4_WATCH_MAX)
		evict_gone(a);
	rc = c4_watched_add(&a->watch, t);
	if (!rc)
		return C4_SCAN_TAKEN;
	if (!a->refused++)
		c4_warn("%s: %s: not watched", t->path, strerror(-rc));
	c4_target_close(t);
	return C4_SCAN_RETRY;
}

static enum c4_scan_verdict visit(void *arg, const char *path)
{
	struct agent *a = arg;
	struct c4_target *t;
	int rc = c4_target_open(path, c4_mono_ns(), &t);

	switch (rc) {
	case 0: break;
	case -EAGAIN:
	case -ENOENT: return C4_SCAN_RETRY;
	case -ENOMEM:
	case -EMFILE:
	case -ENFILE:
		if (!a->refused++)
			c4_warn("%s: %s: not watched for now", path, strerror(-rc));
		return C4_SCAN_RETRY;
	case -EPROTO:
		c4_warn("%s: segment of another version of c4: process not watched", path);
		return C4_SCAN_BAD;
	case -EBADMSG: c4_warn("%s: not a valid segment: ignored", path); return C4_SCAN_BAD;
	default: c4_warn("%s: %s: ignored", path, strerror(-rc)); return C4_SCAN_BAD;
	}
	if (is_ours(a, &t->seg.toc))
		return adopt(a, t);
	c4_target_close(t);
	return C4_SCAN_IGNORED;
}

static void on_directory(uv_fs_event_t *h, const char *name, int events, int status);

static int open_directory(struct agent *a)
{
	const struct c4_agent_options *o = a->options;
	int rc = c4_runtime_dir_make(o->runtime_dir);

	if (rc) {
		c4_error("%s: %s: no runtime directory", o->runtime_dir,
			 rc == -EPERM ? "others own it or may write to it" : strerror(-rc));
		return 1;
	}
	rc = c4_lock_take(&a->lock, o->runtime_dir, o->any_node ? "any" : o->node);
	if (rc == -EBUSY) {
		c4_error("%s: held: another agent serves this node", a->lock.path);
		return C4_AGENT_EXIT_BUSY;
	}
	if (rc) {
		c4_error("%s: %s", a->lock.path, strerror(-rc));
		return 1;
	}
	/* only quicker than the tick: without inotify the scan still comes */
	uv_fs_event_stop(&a->directory);
	uv_fs_event_start(&a->directory, on_directory, o->runtime_dir, 0);
	return 0;
}

/* Somebody removed the directory or the lock in it: begin anew there, unless another agent did. */
static void reopen_directory(struct agent *a)
{
	int status;

	c4_warn("%s: gone: made again", a->lock.path);
	c4_lock_release(&a->lock);
	status = open_directory(a);
	if (status == C4_AGENT_EXIT_BUSY)
		finish(a, status);
}

static void scan(struct agent *a)
{
	struct c4_scan_visitor visitor = {visit, a};

	if (a->finishing)
		return;
	if (a->lock.fd < 0 || c4_lock_lost(&a->lock))
		reopen_directory(a);
	c4_scan_run(&a->scan, a->options->runtime_dir, c4_mono_ns(), &visitor);
}

/* ---- looking -------------------------------------------------------------------------------- */

static uint64_t patience_ns(const struct agent *a)
{
	return a->interval_ns * 4 > PATIENCE_MIN_NS ? a->interval_ns * 4 : PATIENCE_MIN_NS;
}

static void look_at_live(struct agent *a)
{
	for (uint32_t i = 0; i < a->watch.n; i++) {
		struct c4_target *t = c4_watched_get(&a->watch, i);
		uint64_t now = c4_mono_ns();

		if (t->gone)
			continue;
		a->alive_ns = now;
		c4_target_drain(t, now, a->interval_ns);
		c4_fold_cut(t->fold, now, patience_ns(a));
		c4_target_look(t, now);
		a->watch.ended |= t->gone;
	}
}

/* Reads what the ended ones left; true if there were any. */
static bool conclude_ended(struct agent *a)
{
	uint64_t now = c4_mono_ns();
	bool any = a->watch.ended;

	a->watch.ended = false;
	for (uint32_t i = 0; any && i < a->watch.n; i++) {
		struct c4_target *t = c4_watched_get(&a->watch, i);

		if (t->gone && !t->end_seq)
			c4_target_conclude(t, now);
	}
	return any;
}

static void on_ends(uv_timer_t *h);

/* Ends are told at once, not with the next tick: who died first is evidence. */
static void tell_ends(struct agent *a)
{
	if (a->finishing || uv_is_active((uv_handle_t *)&a->ends) || !conclude_ended(a))
		return;
	c4_feed_post(&a->feed, &a->watch, C4_FEED_ENDED, c4_mono_ns());
	uv_timer_start(&a->ends, on_ends, ENDS_DELAY_MS, 0);
}

static void on_ends(uv_timer_t *h)
{
	tell_ends(h->data);
}

static void on_after_poll(uv_check_t *h)
{
	tell_ends(h->data);
}

/* ---- timers --------------------------------------------------------------------------------- */

static void on_drain(uv_timer_t *h);

/* Sets the timer to the earliest target that cannot wait for the tick. */
static void plan_drains(struct agent *a)
{
	uint64_t now = c4_mono_ns(), first = UINT64_MAX;

	for (uint32_t i = 0; i < a->watch.n; i++) {
		const struct c4_target *t = c4_watched_get(&a->watch, i);

		if (!t->gone && t->period_ns < a->interval_ns &&
		    t->drained_ns + t->period_ns < first)
			first = t->drained_ns + t->period_ns;
	}
	if (first == UINT64_MAX)
		uv_timer_stop(&a->drain);
	else
		uv_timer_start(&a->drain, on_drain, first > now ? (first - now) / MS_NS + 1 : 1, 0);
}

static void on_drain(uv_timer_t *h)
{
	struct agent *a = h->data;

	for (uint32_t i = 0; i < a->watch.n; i++) {
		struct c4_target *t = c4_watched_get(&a->watch, i);
		uint64_t now = c4_mono_ns();

		if (!t->gone && now >= t->drained_ns + t->period_ns)
			c4_target_drain(t, now, a->interval_ns);
	}
	plan_drains(a);
}

static void on_tick(uv_timer_t *h);

static void set_interval(struct agent *a, uint64_t ms)
{
	if (ms < C4_AGENT_INTERVAL_MIN_MS)
		ms = C4_AGENT_INTERVAL_MIN_MS;
	if (ms > C4_AGENT_INTERVAL_MAX_MS)
		ms = C4_AGENT_INTERVAL_MAX_MS;
	a->interval_ns = ms * MS_NS;
	a->feed.interval_ms = (uint32_t)ms;
	uv_timer_start(&a->tick, on_tick, ms, ms);
}

static void react(struct agent *a)
{
	uint32_t wish = c4_feed_react(&a->feed, &a->watch);

	if (a->finishing && c4_feed_settled(&a->feed) && !c4_devices_busy(&a->devices) &&
	    c4_routes_settled(a->routes))
		uv_stop(&a->loop);
	else if (wish && wish != a->feed.interval_ms && !a->finishing)
		set_interval(a, wish);
}

static void on_tick(uv_timer_t *h)
{
	struct agent *a = h->data;
	uint64_t idle_ns = (uint64_t)a->options->idle_exit_ms * MS_NS;

	react(a);
	scan(a);
	look_at_live(a);
	conclude_ended(a);
	a->feed.bad_segments = a->scan.bad;
	if (!a->finishing)
		c4_devices_tick(&a->devices, c4_mono_ns());
	c4_feed_post(&a->feed, &a->watch, C4_FEED_ALL, c4_mono_ns());
	plan_drains(a);
	if (idle_ns && c4_mono_ns() - a->alive_ns >= idle_ns) {
		c4_info("no live process for %llu ms: ending",
			(unsigned long long)(idle_ns / MS_NS));
		finish(a, 0);
	}
}

static void on_rescan(uv_timer_t *h)
{
	scan(h->data);
}

static void on_directory(uv_fs_event_t *h, const char *name, int events, int status)
{
	struct agent *a = h->data;

	(void)name, (void)events, (void)status; /* the scan finds out itself */
	if (!uv_is_active((uv_handle_t *)&a->rescan))
		uv_timer_start(&a->rescan, on_rescan, SCAN_DELAY_MS, 0);
}

static void on_news(uv_async_t *h)
{
	react(h->data);
}

static void notify(void *arg)
{
	struct agent *a = arg;

	uv_async_send(&a->news);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void on_deadline(uv_timer_t *h)
{
	struct agent *a = h->data;

	if (!c4_routes_settled(a->routes))
		c4_warn("the planner has not answered for %d ms: given up", FINISH_MS);
	else if (c4_feed_settled(&a->feed))
		c4_warn("a driver has not answered for %d ms: given up", FINISH_MS);
	else
		c4_warn("the last post was not delivered within %d ms: given up", FINISH_MS);
	uv_stop(&a->loop);
}

/* Tells everything one last time and gives the poster until the deadline. */
static void finish(struct agent *a, int status)
{
	if (a->finishing)
		return;
	a->finishing = true;
	a->status = status;
	uv_timer_stop(&a->tick);
	uv_timer_stop(&a->drain);
	uv_timer_stop(&a->rescan);
	uv_timer_stop(&a->ends);
	for (uint32_t i = 0; i < a->watch.n; i++) {
		struct c4_target *t = c4_watched_get(&a->watch, i);

		if (!t->end_seq)
			c4_target_conclude(t, c4_mono_ns());
	}
	c4_feed_post(&a->feed, &a->watch, C4_FEED_LAST, c4_mono_ns());
	c4_routes_finish(a->routes);
	uv_timer_start(&a->deadline, on_deadline, FINISH_MS, 0);
}

static void on_signal(uv_signal_t *h, int signo)
{
	c4_info("%s: ending", signo == SIGINT ? "SIGINT" : "SIGTERM");
	finish(h->data, 0);
}

static void init_handles(struct agent *a)
{
	uv_timer_init(&a->loop, &a->tick);
	uv_timer_init(&a->loop, &a->drain);
	uv_timer_init(&a->loop, &a->rescan);
	uv_timer_init(&a->loop, &a->ends);
	uv_timer_init(&a->loop, &a->deadline);
	uv_check_init(&a->loop, &a->after_poll);
	uv_async_init(&a->loop, &a->news, on_news);
	uv_signal_init(&a->loop, &a->term);
	uv_signal_init(&a->loop, &a->interrupt);
	uv_fs_event_init(&a->loop, &a->directory);
	a->tick.data = a->drain.data = a->rescan.data = a->ends.data = a->deadline.data = a;
	a->after_poll.data = a->news.data = a->term.data = a->interrupt.data = a;
	a->directory.data = a;
}

static void close_one(uv_handle_t *h, void *arg)
{
	(void)arg;
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

static void say_ready(const struct agent *a)
{
	static const char word[] = "ready\n";
	int fd = (int)a->options->ready_fd;

	c4_info("watching %s as node %s: posting to %s", a->options->runtime_dir,
		a->options->any_node ? "any" : a->options->node, a->options->collector);
	if (fd < 0)
		return;
	if (write(fd, word, sizeof word - 1) < 0)
		c4_warn("descriptor %d: %s: nobody told that we are ready", fd, strerror(errno));
	close(fd);
}

static void run_loop(struct agent *a)
{
	a->alive_ns = c4_mono_ns();
	set_interval(a, (uint64_t)a->options->interval_ms);
	uv_check_start(&a->after_poll, on_after_poll);
	uv_signal_start(&a->term, on_signal, SIGTERM);
	uv_signal_start(&a->interrupt, on_signal, SIGINT);
	on_tick(&a->tick);
	say_ready(a);
	uv_run(&a->loop, UV_RUN_DEFAULT);
}

static int start_feed(struct agent *a)
{
	struct c4_poster_config config = {a->options->collector, notify, a};
	int rc;

	a->feed.agent = a->options->node;
	rc = c4_feed_start(&a->feed, &config);
	if (rc)
		c4_error("collector %s: %s", a->options->collector,
			 rc == -EINVAL ? "not a usable address" : strerror(-rc));
	return rc ? 1 : 0;
}

static void on_reading_ended(void *arg)
{
	react(arg);
}

static int init_devices(struct agent *a)
{
	const struct c4_agent_options *o = a->options;
	struct c4_devices_config config = {
		.nvml = o->nvml,
		.nics = {o->sysfs ? o->sysfs : "/sys", o->virtual_nics},
		.idle = on_reading_ended,
		.arg = a,
	};
	int rc = c4_devices_init(&a->devices, &a->loop, &config);

	if (rc)
		c4_error("%s", strerror(-rc));
	a->feed.devices = &a->devices;
	return rc ? 1 : 0;
}

static void on_routes_settled(void *arg)
{
	react(arg);
}

static int start_routes(struct agent *a)
{
	const struct c4_agent_options *o = a->options;
	struct c4_routes_config config = {
		.loop = &a->loop,
		.planner = o->planner,
		.runtime_dir = o->runtime_dir,
		.node = o->node,
		.sysfs = o->sysfs ? o->sysfs : "/sys",
		.instance = a->feed.instance,
		.settled = on_routes_settled,
		.arg = a,
	};

	return o->planner && c4_routes_start(&config, &a->routes) ? 1 : 0;
}

/* Two descriptors for each process under watch: the usual soft limit is too low for many. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		c4_debug("file limit: %s: stays as it is", strerror(errno));
}

int c4_agent_run(const struct c4_agent_options *options)
{
	static struct agent a;

	a = (struct agent){.options = options, .lock.fd = -1};
	if (uv_loop_init(&a.loop))
		return 1;
	raise_file_limit();
	init_handles(&a);
	c4_watched_init(&a.watch, &a.loop);
	a.status = open_directory(&a);
	if (!a.status)
		a.status = init_devices(&a);
	if (!a.status)
		a.status = start_feed(&a);
	if (!a.status)
		a.status = start_routes(&a);
	if (!a.status) {
		run_loop(&a);
		/* a request in flight may hold the poster's thread, a driver a worker: then only
		 * the kernel cleans up */
		if (!c4_routes_stop(a.routes, STOP_NS) || !c4_feed_stop(&a.feed, STOP_NS) ||
		    c4_devices_busy(&a.devices)) {
			c4_lock_release(&a.lock);
			_exit(a.status);
		}
	}
	c4_watched_release(&a.watch);
	c4_scan_release(&a.scan);
	c4_devices_release(&a.devices);
	uv_walk(&a.loop, close_one, NULL);
	uv_run(&a.loop, UV_RUN_DEFAULT);
	c4_routes_free(a.routes);
	uv_loop_close(&a.loop);
	c4_lock_release(&a.lock);
	return a.status;
}
