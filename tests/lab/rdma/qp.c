// SPDX-License-Identifier: BSD-3-Clause
/*
 * qp.c - queue pairs between two devices of the RDMA bed, as a program with verbs would use them.
 *
 *	qp DEVICE-A DEVICE-B STEP...
 *
 * The process is end A, a child is end B; both walk through the steps together, and say after each
 * one, in a line of JSON, how it went. Steps:
 *
 *	timeout=N			of queue pairs that are connected from now on: 4 us * 2^N
 *	connect=N[:LABELS[/LABELS]]	N more RC queue pairs, INIT, RTR, RTS; flow labels of A's,
 *					of B's (the last one goes on; none: 0)
 *	send=COUNT[xBYTES]		COUNT messages each way over each queue pair, all checked
 *	label=LABELS			A's queue pairs get new labels, nothing under way
 *	move=COUNT[xBYTES]:LABELS	like send; A's get new labels halfway, sends under way
 *	query				what the device says of each queue pair
 *	trial, held, rescue=LABEL	what the device lets one do (qp_live.c): with the first
 *					queue pair only; close must follow
 *	exec=COMMAND			A runs a shell command
 *	close				all queue pairs are destroyed
 *
 * Exit status 0 if every message was the right one. Built with QP_DLOPEN it is not linked to
 * libibverbs, but loads it and looks up versioned symbols, as NCCL does.
 */
#include "qp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIFE_S 240

static void step_connect(const char *args)
{
	unsigned n = (unsigned)atoi(args);
	const char *list = strchr(args, ':');
	uint32_t label = 0;

	list = list ? list + 1 : NULL;
	if (list && me.name == 'B') {
		list = strchr(list, '/');
		list = list ? list + 1 : NULL;
	}
	if (n == 0 || n > QP_MAX - me.flows)
		die("connect=%s", args);
	for (; n; n--) {
		label = next_label(&list, label);
		connect_flow(label);
	}
	barrier();
	say_flows("connect", 0);
}

static void step_query(void)
{
	for (unsigned i = 0; i < me.flows; i++) {
		struct ibv_qp_attr a = {0};
		struct ibv_qp_init_attr init;
		char dgid[INET6_ADDRSTRLEN];
		int error;

		error = verbs.query_qp(me.flow[i].qp, &a, IBV_QP_STATE | IBV_QP_AV, &init);
		inet_ntop(AF_INET6, &a.ah_attr.grh.dgid, dgid, sizeof(dgid));
		say("{\"step\":\"query\",\"end\":\"%c\",\"qpn\":%u,\"error\":%d,\"state\":%d,"
		    "\"label\":%u,\"dgid\":\"%s\",\"sgid_index\":%u,\"hop_limit\":%u,"
		    "\"traffic_class\":%u}\n",
		    me.name, me.flow[i].qp->qp_num, error, (int)a.qp_state,
		    a.ah_attr.grh.flow_label, dgid, a.ah_attr.grh.sgid_index,
		    a.ah_attr.grh.hop_limit, a.ah_attr.grh.traffic_class);
	}
	barrier();
}

static void step_exec(const char *command)
{
	if (me.name == 'A' && system(command) != 0)
		me.failed = 1;
	barrier();
}

static void step_close(void)
{
	barrier();
	for (unsigned i = 0; i < me.flows; i++)
		if (verbs.destroy_qp(me.flow[i].qp))
			me.failed = 1;
	me.flows = 0;
	barrier();
}

static void step_label(const char *labels)
{
	barrier();
	relabel_all(labels);
	barrier();
	say_flows("label", 0);
}

static void step(const char *word)
{
	const char *args = strchr(word, '=');
	size_t n = args ? (size_t)(args - word) : strlen(word);

	args = args ? args + 1 : "";
#define IS(name) (n == strlen(name) && memcmp(word, name, n) == 0)
	if (IS("timeout"))
		me.ack_timeout = (uint8_t)atoi(args);
	else if (IS("connect"))
		step_connect(args);
	else if (IS("send"))
		step_send("send", args, NULL);
	else if (IS("move"))
		step_send("move", args, relabel_all);
	else if (IS("label"))
		step_label(args);
	else if (IS("query"))
		step_query();
	else if (IS("trial"))
		step_trial();
	else if (IS("held"))
		step_held();
	else if (IS("rescue"))
		step_rescue(args);
	else if (IS("exec"))
		step_exec(args);
	else if (IS("close"))
		step_close();
	else
		die("%s: no such step", word);
#undef IS
}

int main(int argc, char **argv)
{
	int pair[2], status;
	pid_t child;

	if (argc < 4 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		die("usage: qp DEVICE-A DEVICE-B STEP...");
	child = fork();
	if (child == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(LIFE_S);
	me.name = child ? 'A' : 'B';
	me.wire = pair[child == 0];
	close(pair[child != 0]);
	load_verbs();
	open_end(argv[child ? 1 : 2]);
	for (int i = 3; i < argc; i++)
		step(argv[i]);
	if (child == 0)
		return me.failed;
	if (waitpid(child, &status, 0) != child || status)
		me.failed = 1;
	return me.failed;
}
