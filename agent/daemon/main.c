// SPDX-License-Identifier: BSD-3-Clause
/* c4agent - watches the training processes of one node. */
#include <limits.h>
#include <signal.h>
#include <unistd.h>

#include "agent/daemon/agent.h"
#include "c4/env.h"
#include "c4/segment.h"
#include "common/base/segment.h"
#include "common/log.h"
#include "common/opt.h"

static struct c4_agent_options o = {.interval_ms = 500, .ready_fd = -1};

static const struct c4_opt opts[] = {
	{"collector", 'c', C4_OPT_STR, &o.collector, "HOST:PORT", C4_ENV_COLLECTOR,
	 "where to post (required)", 0, 0},
	{"planner", 'p', C4_OPT_STR, &o.planner, "HOST:PORT", C4_ENV_PLANNER,
	 "whose routes to keep in the node's plan table (default: none)", 0, 0},
	{"runtime-dir", 'd', C4_OPT_STR, &o.runtime_dir, "DIR", C4_ENV_RUNTIME_DIR,
	 "where segments live (default /dev/shm/c4-UID)", 0, 0},
	{"node", 'n', C4_OPT_STR, &o.node, "NAME", C4_ENV_NODE,
	 "this node's name (default: host name)", 0, 0},
	{"any-node", 0, C4_OPT_FLAG, &o.any_node, NULL, NULL,
	 "adopt the segments of all nodes (several on one machine)", 0, 0},
	{"job", 'j', C4_OPT_STR, &o.job, "ID", NULL, "only segments of this job (default: all)", 0,
	 0},
	{"interval", 'i', C4_OPT_MS, &o.interval_ms, "TIME", NULL,
	 "time between posts, 50ms to 60s (default 500ms)", C4_AGENT_INTERVAL_MIN_MS,
	 C4_AGENT_INTERVAL_MAX_MS},
	{"idle-exit", 0, C4_OPT_MS, &o.idle_exit_ms, "TIME", NULL,
	 "end after so long without a live process (default 0: never)", 0, 0},
	{"ready-fd", 0, C4_OPT_INT, &o.ready_fd, "N", NULL,
	 "write \"ready\" to this descriptor and close it once running", 0, INT_MAX},
	{"nvml", 0, C4_OPT_STR, &o.nvml, "FILE", NULL,
	 "library that tells of GPUs (default libnvidia-ml.so.1)", 0, 0},
	{"sysfs", 0, C4_OPT_STR, &o.sysfs, "DIR", NULL,
	 "where the node's sysfs is mounted (default /sys)", 0, 0},
	{"virtual-nics", 0, C4_OPT_FLAG, &o.virtual_nics, NULL, NULL,
	 "tell of virtual network interfaces, too (veth, bridges)", 0, 0},
	{0}};

static const struct c4_cli cli = {
	"c4agent", "[OPTION]…",
	"Watches the training processes of this node and posts what they do to the collector.\n"
	"Ends in good order on SIGTERM or SIGINT.",
	opts};

int main(int argc, char **argv)
{
	static char host[C4_NAME_BYTES], dir[PATH_MAX];

	if (c4_cli_parse(&cli, argc, argv) < argc)
		return c4_cli_misuse(&cli, "takes no operands");
	if (!o.collector || !*o.collector)
		return c4_cli_misuse(&cli, "no collector: give --collector HOST:PORT or set %s",
				     C4_ENV_COLLECTOR);
	if (!o.node && gethostname(host, sizeof host - 1) == 0)
		o.node = host;
	if (!o.node || !*o.node)
		return c4_cli_misuse(&cli, "no host name: give --node NAME");
	if (!o.runtime_dir && c4_runtime_dir(dir, sizeof dir) == 0)
		o.runtime_dir = dir;
	if (!o.runtime_dir || !*o.runtime_dir)
		return c4_cli_misuse(&cli, "no runtime directory: give --runtime-dir DIR");
	if (o.planner && !*o.planner)
		o.planner = NULL;
	c4_log_init("c4agent");
	signal(SIGPIPE, SIG_IGN);
	return c4_agent_run(&o);
}
