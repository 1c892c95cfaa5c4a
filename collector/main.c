// SPDX-License-Identifier: BSD-3-Clause
/* c4collector: options, store, socket, loop; everything else is in the modules. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "collector/api.h"
#include "collector/collector.h"
#include "common/base/clock.h"
#include "common/fmt.h"
#include "common/listen.h"
#include "common/log.h"
#include "common/opt.h"
#include "common/server.h"
#include "common/startup.h"

static struct {
	const char *listen, *store;
	int64_t ready_fd, retain_ms;
} opt = {
	.listen = "127.0.0.1:7440",
	.ready_fd = -1,
	.retain_ms = 7ll * 86400 * 1000,
};

static const struct c4_opt opts[] = {
	{"listen", 'l', C4_OPT_STR, &opt.listen, "HOST:PORT", NULL,
	 "where to listen (127.0.0.1:7440; port 0: any)", 0, 0},
	{"store", 's', C4_OPT_STR, &opt.store, "FILE", NULL,
	 "incidents on disk; 'none': in memory only (c4.db in the state directory)", 0, 0},
	{"retain", 0, C4_OPT_MS, &opt.retain_ms, "TIME", NULL,
	 "how long resolved incidents are kept (7 days)", 0, 0},
	{"ready-fd", 0, C4_OPT_INT, &opt.ready_fd, "N", NULL,
	 "write \"PORT\\n\" to descriptor N once listening, and close it", 0, INT_MAX},
	{0},
};

static const struct c4_cli cli = {
	.program = "c4collector",
	.synopsis = "[OPTION]…",
	.about = "Joins what agents tell of a cluster's jobs, names ranks that are slow or stuck, "
		 "and serves\n"
		 "the results over HTTP (agents, JSON, Prometheus) on one port.",
	.opts = opts,
};

struct program {
	uv_loop_t loop;
	uv_timer_t tick;
	uv_signal_t term, intr;
	struct c4_collector collector;
	struct c4_server *server;
};

/* ---- requests -------------------------------------------------------------------------------- */

static void on_request(void *arg, const struct c4_request *q, struct c4_response *out)
{
	struct program *p = arg;

	c4_api_handle(&p->collector, q, c4_mono_ns(), c4_wall_ns(), out);
}

static void on_refused(void *arg, enum c4_server_refusal why, struct c4_response *out)
{
	struct program *p = arg;

	if (why == C4_SERVER_TOO_LARGE) {
		p->collector.stats.posts_refused[C4_POST_TOO_LARGE]++;
		c4_api_error(out, 413, "larger than %u bytes", C4_SERVER_BODY_MAX);
	} else {
		p->collector.stats.posts_refused[C4_POST_BUSY]++;
		c4_api_error(out, 503, "too many posts at once");
	}
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void on_tick(uv_timer_t *t)
{
	struct program *p = t->data;

	c4_collector_tick(&p->collector, c4_mono_ns(), c4_wall_ns());
}

static void on_signal(uv_signal_t *s, int signum)
{
	struct program *p = s->data;

	if (!p->server)
		return;
	c4_info("%s: ending", strsignal(signum));
	c4_server_stop(p->server);
	p->server = NULL;
	uv_close((uv_handle_t *)&p->tick, NULL);
	/* the handlers stay: a second signal must not cut the flush short */
	uv_unref((uv_handle_t *)&p->term);
	uv_unref((uv_handle_t *)&p->intr);
}

static void start_handles(struct program *p)
{
	uv_timer_init(&p->loop, &p->tick);
	uv_signal_init(&p->loop, &p->term);
	uv_signal_init(&p->loop, &p->intr);
	p->tick.data = p->term.data = p->intr.data = p;
	uv_timer_start(&p->tick, on_tick, C4_TICK_MS, C4_TICK_MS);
	uv_signal_start(&p->term, on_signal, SIGTERM);
	uv_signal_start(&p->intr, on_signal, SIGINT);
}

/* ---- starting -------------------------------------------------------------------------------- */

/* NULL in *ret: none is wanted. False after telling why it cannot be. */
static bool open_store(struct c4_store **ret)
{
	char path[PATH_MAX];

	*ret = NULL;
	if (opt.store && !strcmp(opt.store, "none"))
		return true;
	if (opt.store) {
		snprintf(path, sizeof path, "%s", opt.store);
	} else if (c4_startup_state_path("c4.db", path, sizeof path)) {
		c4_warn("store: no state directory: incidents are kept in memory only");
		return true;
	}
	c4_startup_make_parents(path);
	if (c4_store_check(path)) {
		c4_error("store %s: not a c4 database: name another file", path);
		return false;
	}
	*ret = c4_store_new(path, (uint64_t)opt.retain_ms * 1000000);
	if (!*ret)
		c4_error("store %s: out of memory", path);
	return *ret != NULL;
}

static int serve(struct program *p, int fd, uint16_t port)
{
	const struct c4_server_calls calls = {on_request, on_refused, p};

	p->server = c4_server_start(&p->loop, fd, &calls);
	if (!p->server) {
		c4_error("cannot serve HTTP: %s", strerror(errno));
		close(fd);
		return 1;
	}
	start_handles(p);
	c4_info("listening on %s, port %u", opt.listen, port);
	if (c4_startup_tell_ready(opt.ready_fd, port))
		return 1;
	uv_run(&p->loop, UV_RUN_DEFAULT);
	return 0;
}

static bool start_collector(struct program *p)
{
	struct c4_store *store;

	uv_loop_init(&p->loop);
	if (!open_store(&store))
		return false;
	if (!c4_collector_init(&p->collector, &p->loop, store, (uint64_t)opt.retain_ms * 1000000,
			       c4_mono_ns(), c4_wall_ns()))
		return true;
	c4_error("out of memory");
	c4_store_free(store);
	return false;
}

int main(int argc, char **argv)
{
	static struct program p;
	char err[512];
	uint16_t port;
	int fd, rc, first = c4_cli_parse(&cli, argc, argv);

	if (first < argc)
		return c4_cli_misuse(&cli, "unexpected operand '%s'", argv[first]);
	c4_log_init(cli.program);
	c4_startup_raise_descriptors();
	fd = c4_listen(opt.listen, &port, err, sizeof err);
	if (fd < 0) {
		c4_error("cannot listen on %s", err);
		return 1;
	}
	if (!start_collector(&p))
		return 1;
	rc = serve(&p, fd, port);
	c4_collector_release(&p.collector, c4_mono_ns(), c4_wall_ns());
	return rc;
}
