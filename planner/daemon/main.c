// SPDX-License-Identifier: BSD-3-Clause
/* c4planner: options, socket, signals, loop; everything else is in the modules. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "common/base/clock.h"
#include "common/fmt.h"
#include "common/listen.h"
#include "common/log.h"
#include "common/opt.h"
#include "common/server.h"
#include "common/startup.h"
#include "planner/daemon/api.h"
#include "planner/daemon/planner.h"
#include "planner/io/oracle_spec.h"

static struct {
	const char *fabric, *collector, *demand, *listen, *state, *oracle;
	int64_t interval_ms, hold_ms, flows_keep_ms, flows_min_mbps, ready_fd;
	bool flows;
} opt = {
	.listen = "127.0.0.1:7441",
	.interval_ms = 5000,
	.hold_ms = 30000,
	.flows_keep_ms = 600000,
	.ready_fd = -1,
};

static const struct c4_opt opts[] = {
	{"fabric", 'f', C4_OPT_STR, &opt.fabric, "FILE", NULL,
	 "the network (c4.fabric/v1, topology.conf, ibnetdiscover); may appear later", 0, 0},
	{"collector", 'c', C4_OPT_STR, &opt.collector, "HOST:PORT", "C4_COLLECTOR",
	 "plan for the jobs that this collector sees, and hear its verdicts on the network", 0, 0},
	{"demand", 'd', C4_OPT_STR, &opt.demand, "FILE", NULL,
	 "plan for this demand (c4.demand/v1), not for its jobs; read again when it changes", 0, 0},
	{"listen", 'l', C4_OPT_STR, &opt.listen, "HOST:PORT", NULL,
	 "where to listen (127.0.0.1:7441; port 0: any)", 0, 0},
	{"state", 's', C4_OPT_STR, &opt.state, "FILE", NULL,
	 "the plan on disk; 'none': a restart plans anew (planner.state in the state directory)", 0,
	 0},
	{"oracle", 'o', C4_OPT_STR, &opt.oracle, "SPEC", NULL,
	 "how switches choose: " C4_ORACLE_SPEC_HELP " (none: no source ports)", 0, 0},
	{"interval", 'i', C4_OPT_MS, &opt.interval_ms, "TIME", NULL,
	 "time between two looks at the demand, 100ms to 1h (5s)", 100, 3600000},
	{"hold", 0, C4_OPT_MS, &opt.hold_ms, "TIME", NULL,
	 "a link that came back is used again after this, and later if it failed often (30s)", 1,
	 86400000},
	{"flows", 0, C4_OPT_FLAG, &opt.flows, NULL, NULL,
	 "plan for the connections that agents see, beside what is told", 0, 0},
	{"flows-keep", 0, C4_OPT_MS, &opt.flows_keep_ms, "TIME", NULL,
	 "… and go on for so long after their last traffic (10min)", 1000, 86400000},
	{"flows-min", 0, C4_OPT_INT, &opt.flows_min_mbps, "MBPS", NULL,
	 "… if two hosts send at least so much (1% of the NIC; 1 where its rate is unknown)", 0,
	 1000000000},
	{"ready-fd", 0, C4_OPT_INT, &opt.ready_fd, "N", NULL,
	 "write \"PORT\\n\" to descriptor N once listening, and close it", 0, INT_MAX},
	{0},
};

static const struct c4_cli cli = {
	.program = "c4planner",
	.synopsis = "[OPTION]…",
	.about = "Gives each connection of the running jobs a path through the network, so that no "
		 "link carries\n"
		 "more than it must, keeps the plan up to date, and serves it over HTTP.",
	.opts = opts,
};

struct program {
	uv_loop_t loop;
	uv_timer_t tick;
	uv_signal_t term, intr, hup;
	struct c4_planner planner;
	struct c4_server *server;
};

/* ---- requests -------------------------------------------------------------------------------- */

static void on_request(void *arg, const struct c4_request *q, struct c4_response *out)
{
	struct program *p = arg;

	c4_planner_api_handle(&p->planner, q, c4_mono_ns(), out);
}

static void on_refused(void *arg, enum c4_server_refusal why, struct c4_response *out)
{
	(void)arg;
	if (why == C4_SERVER_TOO_LARGE)
		c4_planner_api_error(out, 413, "larger than %u bytes", C4_PLANNER_BODY_MAX);
	else
		c4_planner_api_error(out, 503, "too many posts at once");
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void on_tick(uv_timer_t *t)
{
	struct program *p = t->data;

	c4_planner_tick(&p->planner, c4_mono_ns());
}

static void on_reload(uv_signal_t *s, int signum)
{
	struct program *p = s->data;

	(void)signum;
	c4_planner_reload(&p->planner);
	c4_planner_tick(&p->planner, c4_mono_ns());
}

static void on_signal(uv_signal_t *s, int signum)
{
	struct program *p = s->data;

	if (!p->server)
		return;
	c4_info("%s: ending", strsignal(signum));
	c4_planner_end(&p->planner);
	c4_server_stop(p->server);
	p->server = NULL;
	uv_close((uv_handle_t *)&p->tick, NULL);
	uv_close((uv_handle_t *)&p->hup, NULL);
	/* the handlers stay: a second signal must not cut the last write short */
	uv_unref((uv_handle_t *)&p->term);
	uv_unref((uv_handle_t *)&p->intr);
}

static void start_signal(struct program *p, uv_signal_t *s, uv_signal_cb cb, int signum)
{
	uv_signal_init(&p->loop, s);
	s->data = p;
	uv_signal_start(s, cb, signum);
}

static void start_handles(struct program *p)
{
	uv_timer_init(&p->loop, &p->tick);
	p->tick.data = p;
	uv_timer_start(&p->tick, on_tick, 0, C4_PLANNER_TICK_MS);
	start_signal(p, &p->term, on_signal, SIGTERM);
	start_signal(p, &p->intr, on_signal, SIGINT);
	start_signal(p, &p->hup, on_reload, SIGHUP);
}

/* ---- starting -------------------------------------------------------------------------------- */

/* NULL: none is kept. */
static const char *state_path(void)
{
	static char path[PATH_MAX];

	if (opt.state && !strcmp(opt.state, "none"))
		return NULL;
	if (!opt.state && c4_startup_state_path("planner.state", path, sizeof path)) {
		c4_warn("state: no state directory: a restart plans anew");
		return NULL;
	}
	if (!opt.state)
		opt.state = path;
	c4_startup_make_parents(opt.state);
	return opt.state;
}

/* NULL in *ret: none is wanted. False after telling why it cannot be. */
static bool make_oracle(struct c4_oracle **ret)
{
	struct c4_fault fault;

	*ret = NULL;
	if (!opt.oracle || !c4_oracle_spec(opt.oracle, ret, &fault))
		return true;
	c4_error("oracle %s: %s", opt.oracle, fault.what);
	return false;
}

static bool start_planner(struct program *p)
{
	const struct c4_planner_config config = {
		.engine = {.fabric = opt.fabric,
			   .state = state_path(),
			   .replan = {.hold_ns = (uint64_t)opt.hold_ms * 1000000}},
		.demand = opt.demand,
		.collector = opt.collector,
		.interval_ns = (uint64_t)opt.interval_ms * 1000000,
		.flows = opt.flows,
		.pairs = {.keep_ns = (uint64_t)opt.flows_keep_ms * 1000000,
			  .least_gbps = (double)opt.flows_min_mbps / 1000},
	};
	struct c4_oracle *oracle;
	int rc;

	uv_loop_init(&p->loop);
	if (!make_oracle(&oracle))
		return false;
	rc = c4_planner_init(&p->planner, &p->loop, &config, oracle, c4_mono_ns(), c4_wall_ns());
	if (rc == -EINVAL)
		c4_error("collector %s: not HOST:PORT", opt.collector);
	else if (rc)
		c4_error("%s", strerror(-rc));
	return !rc;
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
	if (!start_planner(&p))
		return 1;
	rc = serve(&p, fd, port);
	c4_planner_release(&p.planner);
	return rc;
}
