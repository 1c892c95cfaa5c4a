// SPDX-License-Identifier: BSD-3-Clause
/* c4run: what people read - summary, status line, incident lines - from what a collector says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/run/ledger.h"
#include "agent/run/summary.h"
#include "agent/run/text.h"

static const char report_text[] =
	"{'schema':'c4.report/v1','job':'demo','state':'finished','ranks':8,'ranks_seen':8,"
	" 'nodes':4,'duration_s':41.2,"
	" 'communicators':["
	"  {'name':'pairs','size':2,'ops':12,'bytes':1024,'time_share':0.01,"
	"   'algbw_gbps':0,'busbw_gbps':0,'p2p_messages':5,'latest':[]},"
	"  {'name':'world','size':8,'ops':1200,'bytes':314572800,'time_share':0.12,"
	"   'algbw_gbps':1.2,'busbw_gbps':2.1,'p2p_messages':0,"
	"   'latest':[{'rank':5,'node':'n2','lateness_ms':4.1},{'rank':0,'node':'n0',"
	"   'lateness_ms':0.2}]}],"
	" 'losses':{'events':12,'bad_segments':1,'posts':0},"
	" 'incidents':[{'schema':'c4.incident/v1','id':'i1','kind':'slow-rank',"
	"  'state':'resolved','confirmed':'2025-01-01T00:00:00.000Z',"
	"  'culprit':{'ranks':[5],'node':'n2'},'detect_ms':3100,"
	"  'summary':'rank 5 (node n2) arrives 41 ms late in AllReduce of comm world'}]}";

/* JSON with ' for ", as it is easier to read in C. */
static json_t *parse(const char *text)
{
	char *copy = strdup(text);
	json_t *json;

	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	json = json_loads(copy, 0, NULL);
	free(copy);
	assert_non_null(json);
	return json;
}

static char *summary(const char *report, const char *outcome)
{
	json_t *json = parse(report);
	struct c4_buf out = {0};

	c4_summary_render(&out, json, outcome);
	json_decref(json);
	return c4_buf_take(&out);
}

static void assert_says(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is not in:\n%s", part, text);
}

static void test_summary(void **state)
{
	char *text = summary(report_text, "exit 0");

	(void)state;
	assert_says(text, "c4: job demo: 8 ranks on 4 nodes, 41 s, exit 0\n");
	assert_says(text, "c4:   world                      8    1.2k   300 MiB    12 %   "
			  "1.2 Gb/s   2.1 Gb/s       0  5 (n2) 4.1 ms, 0 (n0) 200 µs\n");
	/* the larger share of time comes first; no rank is late: nothing dangles */
	assert_true(strstr(text, "world  ") < strstr(text, "pairs  "));
	assert_says(text, " 1.0 %          -          -       5\n");
	assert_says(text, "c4: not recorded: 12 events, 1 bad segments\n");
	assert_says(text, "c4: 1 incident\n");
	assert_says(text, "c4:   slow-rank  rank 5 (node n2) arrives 41 ms late in AllReduce of "
			  "comm world (resolved, named after 3.1 s)\n");
	free(text);
}

static void test_unseen(void **state)
{
	char *text = summary("{'job':'j','ranks':0,'communicators':[],'incidents':[]}", "exit 3");

	(void)state;
	assert_says(text, "c4: job j: exit 3\n");
	assert_says(text, "no rank reported");
	assert_null(strstr(text, "communicator "));
	assert_null(strstr(text, "no incidents")); /* nothing seen is not nothing wrong */
	free(text);
	text = summary("{'job':'j','ranks':0,'error':'connection refused'}", "exit 0");
	assert_says(text, "c4: nothing to report: connection refused\n");
	free(text);
}

static void test_hostile_report(void **state)
{
	char *text = summary("{'job':7,'ranks':-4,'ranks_seen':2,'nodes':'x','duration_s':-1e300,"
			     "'communicators':[3,null,{'name':'\\u001b[2J\\n','ops':1e300,"
			     "'latest':[null,{'lateness_ms':-5}]}],'losses':[],"
			     "'incidents':[null,{'culprit':[],'summary':'a\\nb'}]}",
			     "exit 0");

	(void)state;
	assert_null(strchr(text, '\033'));
	assert_says(text, "?[2J?");
	assert_says(text, "a?b");
	free(text);
}

static void test_many_communicators_are_cut(void **state)
{
	json_t *report = parse("{'ranks':1,'ranks_seen':1,'nodes':1,'communicators':[]}");
	struct c4_buf out = {0};

	(void)state;
	for (int i = 0; i < 25; i++)
		json_array_append_new(json_object_get(report, "communicators"),
				      json_pack("{s:s}", "name", "c"));
	c4_summary_render(&out, report, "exit 0");
	assert_says(c4_buf_str(&out), "… and 5 with a smaller share of time\n");
	c4_buf_release(&out);
	json_decref(report);
}

static void test_status_line(void **state)
{
	json_t *job = parse("{'ranks':8,'nodes':['n0','n1','n2','n3'],'ops':1234,'step_ms':20}");
	json_t *comms = parse("[{'name':'x','busbw_gbps':9},{'name':'world','busbw_gbps':2.1}]");
	struct c4_buf out = {0};

	(void)state;
	c4_status_render(&out, job, comms, 41000000000u, 1, "slow-rank rank 5 (n2)", NULL);
	assert_string_equal(c4_buf_str(&out),
			    "c4  00:41  8 ranks on 4 nodes · 1.2k ops · step 20 ms · "
			    "world busbw 2.1 Gb/s · 1 incident: slow-rank rank 5 (n2)");
	c4_buf_release(&out);
	c4_status_render(&out, NULL, NULL, 0, 0, "", NULL);
	assert_string_equal(c4_buf_str(&out), "c4  00:00  no rank has reported yet");
	c4_buf_release(&out);
	c4_status_render(&out, job, comms, 3600000000000u, 0, "", "trouble");
	assert_string_equal(c4_buf_str(&out), "c4  60:00  trouble");
	c4_buf_release(&out);
	json_decref(job);
	json_decref(comms);
}

/* ---- ledger --------------------------------------------------------------------------------- */

static struct c4_ledger ledger;
static char told[4096];

static void on_line(void *arg, const char *line)
{
	size_t len = strlen(told);

	(void)arg;
	snprintf(told + len, sizeof told - len, "%s\n", line);
}

static const char *update(const char *incidents, double at_s)
{
	json_t *list = parse(incidents);

	told[0] = '\0';
	c4_ledger_update(&ledger, list, (uint64_t)(at_s * 1e9), on_line, NULL);
	json_decref(list);
	return told;
}

#define INCIDENT(id, state, confirmed)                                                             \
	"{'id':'" id "','kind':'slow-rank','state':'" state "','confirmed':" confirmed ","         \
	"'culprit':{'ranks':[5],'node':'n2'},'summary':'rank 5 (node n2) arrives late'}"

static void test_each_incident_is_told_once(void **state)
{
	(void)state;
	memset(&ledger, 0, sizeof ledger);
	assert_string_equal(update("[" INCIDENT("a", "suspect", "null") "]", 1), "");
	assert_string_equal(update("[" INCIDENT("a", "confirmed", "'t'") "]", 12.34),
			    "c4: [00:12.3] slow-rank rank 5 (node n2) arrives late\n");
	assert_int_equal(ledger.open, 1);
	assert_string_equal(ledger.newest, "slow-rank rank 5 (n2)");
	assert_string_equal(update("[" INCIDENT("a", "acted", "'t'") "]", 13), "");
	assert_string_equal(update("[" INCIDENT("a", "resolved", "'t'") "]", 61.5),
			    "c4: [01:01.5] resolved slow-rank rank 5 (n2)\n");
	assert_int_equal(ledger.open, 0);
	assert_string_equal(update("[" INCIDENT("a", "resolved", "'t'") "]", 62), "");
}

static void test_unconfirmed_stays_silent(void **state)
{
	(void)state;
	memset(&ledger, 0, sizeof ledger);
	assert_string_equal(update("[" INCIDENT("b", "resolved", "null") "]", 1), "");
	/* both steps between two looks: both are told */
	ledger.loud = true;
	assert_string_equal(update("[" INCIDENT("c", "resolved", "'t'") "]", 1),
			    "c4: [00:01.0] SLOW-RANK rank 5 (node n2) arrives late\n"
			    "c4: [00:01.0] RESOLVED slow-rank rank 5 (n2)\n");
	/* no words from the collector: at least who */
	assert_string_equal(update("[{'id':'d','kind':'crash','state':'confirmed',"
				   "'culprit':{'ranks':[1]}}]",
				   1),
			    "c4: [00:01.0] CRASH rank 1\n");
	assert_string_equal(update("[null, {}, {'id':7,'state':'confirmed'}]", 1), "");
}

static void test_full_ledger_counts(void **state)
{
	json_t *list = json_array();

	(void)state;
	memset(&ledger, 0, sizeof ledger);
	for (int i = 0; i < C4_LEDGER_MAX + 3; i++) {
		char id[16];

		snprintf(id, sizeof id, "%d", i);
		json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "id", id, "state",
						      "confirmed", "kind", "crash"));
	}
	told[0] = '\0';
	c4_ledger_update(&ledger, list, 0, on_line, NULL);
	assert_int_equal(ledger.count, C4_LEDGER_MAX);
	assert_int_equal(ledger.unlisted, 3);
	told[0] = '\0';
	c4_ledger_update(&ledger, list, 0, on_line, NULL);
	assert_string_equal(told, "");
	json_decref(list);
}

static void test_text(void **state)
{
	char buf[32], cut[3];

	(void)state;
	assert_string_equal(c4_text_rate(buf, sizeof buf, 2.13), "2.1 Gb/s");
	assert_string_equal(c4_text_rate(buf, sizeof buf, 0.0123), "12 Mb/s");
	assert_string_equal(c4_text_rate(buf, sizeof buf, 0), "-");
	assert_int_equal(c4_text_width("µs·"), 3);
	assert_int_equal(c4_text_fit("aµs", 2), 3);
	assert_string_equal(c4_text_clean(cut, sizeof cut, "aµ"), "a"); /* no half character */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_summary),
		cmocka_unit_test(test_unseen),
		cmocka_unit_test(test_hostile_report),
		cmocka_unit_test(test_many_communicators_are_cut),
		cmocka_unit_test(test_status_line),
		cmocka_unit_test(test_each_incident_is_told_once),
		cmocka_unit_test(test_unconfirmed_stays_silent),
		cmocka_unit_test(test_full_ledger_counts),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
