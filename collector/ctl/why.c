// SPDX-License-Identifier: BSD-3-Clause
#include "collector/ctl/show.h"

#include <string.h>

#include "c4/incident.h"
#include "common/fmt.h"
#include "common/table.h"

/* By kind: the observation that would show the verdict to be wrong. */
static const char *const falsifiers[C4_INC_MAX] = {
	[C4_INC_CRASH] = "the process is still there, or it left through MPI_Finalize",
	[C4_INC_NODE_LOST] = "any rank of the node, or its agent, is heard of again",
	[C4_INC_HANG_RANK] = "the rank enters the operation the others wait in, or moves on "
			     "elsewhere (c4ctl ranks)",
	[C4_INC_HANG_COMM] =
		"the operation finishes, or a member turns out never to have entered it",
	[C4_INC_MISMATCH] = "all members report the same operation, size and root at that number",
	[C4_INC_DEADLOCK] = "one of the ranks in the cycle moves on without help",
	[C4_INC_SLOW_RANK] = "the rank waits as long as its peers, or it is late only because it "
			     "waits in another communicator (c4ctl ranks: WAIT %)",
	[C4_INC_SLOW_NODE] = "ranks of other nodes are as late as this node's",
	[C4_INC_SLOW_TX] = "the peers' traffic from other senders is as slow",
	[C4_INC_SLOW_RX] = "traffic to other receivers is as slow",
	[C4_INC_SLOW_LINK] = "other connections over the same link are at full speed",
	[C4_INC_CONGESTION] = "the slow connections share no link",
	[C4_INC_SLOW_JOB] = "single ranks stand out, or the step time was as long before",
	[C4_INC_DATA_GAP] = "the agent's posts arrive without a gap (c4_posts_total)",
};

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "-";
}

static const char *falsifier(const char *kind)
{
#define C4_X(sym, name, severity, action) name,
	static const char *const names[] = {C4_INCIDENTS(C4_X)};
#undef C4_X

	for (int i = 0; i < C4_INC_MAX; i++)
		if (!strcmp(kind, names[i]))
			return falsifiers[i];
	return "not known to this version";
}

static void show_culprit(const json_t *culprit, FILE *f)
{
	static const char *const devices[] = {"link", "nic", "gpu"};
	const json_t *list = json_object_get(culprit, "ranks");
	size_t n = json_array_size(list);
	int32_t ranks[1024];
	char buf[256];

	if (n > sizeof ranks / sizeof *ranks)
		n = sizeof ranks / sizeof *ranks;
	for (size_t i = 0; i < n; i++)
		ranks[i] = (int32_t)json_integer_value(json_array_get(list, i));
	if (n)
		fprintf(f, "culprit      rank%s %s, node %s\n", n > 1 ? "s" : "",
			c4_fmt_ranks(buf, sizeof buf, ranks, n), text(culprit, "node"));
	else
		fprintf(f, "culprit      no rank is named\n");
	for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
		if (json_is_string(json_object_get(culprit, devices[i])))
			fprintf(f, "%-12s %s\n", devices[i], text(culprit, devices[i]));
}

static void add_value(struct c4_table *t, const json_t *v)
{
	if (json_is_number(v))
		c4_table_add(t, "%.6g", json_number_value(v));
	else
		c4_table_add(t, "-");
}

static void show_evidence(const json_t *list, FILE *f)
{
	static const char *const heads[] = {"METRIC",	"+VALUE", "+PEERS' MEDIAN",
					    "+WINDOWS", "DETAIL", NULL};
	struct c4_table t;
	const json_t *e;
	size_t i;

	if (!json_array_size(list))
		return;
	c4_table_init(&t, heads);
	json_array_foreach(list, i, e)
	{
		c4_table_add(&t, "%s", text(e, "metric"));
		add_value(&t, json_object_get(e, "value"));
		add_value(&t, json_object_get(e, "peers_median"));
		add_value(&t, json_object_get(e, "blocks"));
		c4_table_add(&t, "%s", text(e, "detail"));
	}
	fputc('\n', f);
	c4_table_print(&t, f);
	fputc('\n', f);
	c4_table_release(&t);
}

void c4_show_why(const json_t *in, FILE *f)
{
	const char *kind = text(in, "kind");

	fprintf(f, "%s\n\n", text(in, "summary"));
	fprintf(f, "incident     %s, %s of job %s, %s\n", text(in, "id"), kind, text(in, "job"),
		text(in, "state"));
	show_culprit(json_object_get(in, "culprit"), f);
	fprintf(f, "confidence   %.2f, severity %s\n",
		json_number_value(json_object_get(in, "confidence")), text(in, "severity"));
	fprintf(f, "seen         first %s, confirmed %s (%.1f s after it began), resolved %s\n",
		text(in, "first_seen"), text(in, "confirmed"),
		json_number_value(json_object_get(in, "detect_ms")) / 1e3, text(in, "resolved"));
	show_evidence(json_object_get(in, "evidence"), f);
	fprintf(f, "recommended  %s\n", text(in, "recommended_action"));
	fprintf(f, "disproved if %s\n", falsifier(kind));
}
