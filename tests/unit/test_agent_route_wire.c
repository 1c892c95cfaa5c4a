// SPDX-License-Identifier: BSD-3-Clause
/* Datagrams between agents, quotes of ICMP, what is told, and small things that limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/daemon/routes/bucket.h"
#include "agent/daemon/routes/connwatch.h"
#include "agent/daemon/routes/findings.h"
#include "agent/daemon/routes/helper_wire.h"
#include "agent/daemon/routes/portrange.h"
#include "agent/daemon/routes/rawprober.h"
#include "agent/daemon/routes/report.h"
#include "c4/route.h"
#include "route.pb-c.h"

#define S 1000000000ull

static const struct c4_help question = {.type = C4_HELP_QUESTION,
					.proto = C4_ROUTE_TCP,
					.ttls = 3,
					.n = 2,
					.nonce = 0xdeadbeef,
					.from = 0x0a000001,
					.to = 0x0a000002,
					.sport = 5000,
					.port = {61000, 61001},
					.hop = {{1, 2, 3}, {4, 5, 0xffffffff}}};

static void test_help(void **state)
{
	unsigned char buf[C4_HELP_BYTES];
	struct c4_help back, most = question;
	size_t n = c4_help_encode(&question, buf);

	(void)state;
	assert_int_equal(n, 24 + 2 * (2 + 12));
	assert_true(c4_help_decode(buf, n, &back));
	assert_memory_equal(&back, &question, sizeof back);
	most.n = C4_HELP_PORTS;
	for (uint16_t i = 0; i < C4_HELP_PORTS; i++)
		most.port[i] = (uint16_t)(1 + i);
	assert_int_equal(c4_help_encode(&most, buf), C4_HELP_BYTES);
	assert_true(c4_help_decode(buf, C4_HELP_BYTES, &back));
}

static void test_bad_help(void **state)
{
	unsigned char good[C4_HELP_BYTES], bad[C4_HELP_BYTES + 1];
	static const struct {
		size_t at;
		unsigned char value;
	} wrong[] = {
		{0, 0}, /* magic */
		{4, 9}, /* version */
		{5, 0}, /* type */
		{5, 3},	 {6, 1} /* ICMP */,	{7, 0} /* no TTL */,
		{7, 4},	 {23, 0} /* no port */, {23, 17} /* too many */,
		{23, 1}, /* longer than that */
	};
	size_t n = c4_help_encode(&question, good);
	struct c4_help back;

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		memcpy(bad, good, n);
		bad[wrong[i].at] = wrong[i].value;
		assert_false(c4_help_decode(bad, n, &back));
	}
	memcpy(bad, good, n);
	memset(bad + 24, 0, 2); /* port 0 */
	assert_false(c4_help_decode(bad, n, &back));
	for (size_t len = 0; len < n; len++)
		assert_false(c4_help_decode(good, len, &back));
	memcpy(bad, good, n);
	assert_false(c4_help_decode(bad, n + 1, &back));
}

/* Outer header 20 bytes, ICMP 8, inner header 20, ports 4. */
static void make_quote(unsigned char *p)
{
	memset(p, 0, 60);
	p[0] = 0x45;
	p[9] = 1;
	memcpy(p + 12, "\x0b\0\0\1", 4);
	p[20] = 11;
	p[28] = 0x45;
	memcpy(p + 32, "\x12\x34", 2);
	p[37] = 6;
	memcpy(p + 40, "\x0a\0\0\1\x0a\0\0\2\xee\x48\x13\x88", 12);
}

static void test_quote(void **state)
{
	unsigned char p[64];
	struct c4_raw_quote q;

	(void)state;
	make_quote(p);
	assert_true(c4_raw_quote(p, 52, &q));
	assert_int_equal(q.offender, 0x0b000001);
	assert_int_equal(q.id, 0x1234);
	assert_int_equal(q.probe.src, 0x0a000001);
	assert_int_equal(q.probe.dst, 0x0a000002);
	assert_int_equal(q.probe.sport, 61000);
	assert_int_equal(q.probe.dport, 5000);
	assert_int_equal(q.probe.proto, 6);
	for (size_t n = 0; n < 52; n++)
		assert_false(c4_raw_quote(p, n, &q));
	p[20] = 3; /* unreachable */
	assert_false(c4_raw_quote(p, 60, &q));
	make_quote(p);
	p[28] = 0x4f; /* options beyond the end */
	assert_false(c4_raw_quote(p, 60, &q));
	make_quote(p);
	p[0] = 0x44; /* shorter than a header */
	assert_false(c4_raw_quote(p, 60, &q));
	make_quote(p);
	p[37] = 1;
	assert_false(c4_raw_quote(p, 60, &q));
}

static void test_bucket(void **state)
{
	struct c4_bucket b;
	uint32_t n = 0;

	(void)state;
	c4_bucket_init(&b, 100, 10);
	while (c4_bucket_take(&b, 50 * S))
		n++;
	assert_int_equal(n, 10);
	for (uint64_t ms = 1; ms <= 1000; ms++)
		n += c4_bucket_take(&b, 50 * S + ms * 1000000u);
	assert_int_equal(n, 110);
	for (n = 0; c4_bucket_take(&b, 500 * S);)
		n++;
	assert_int_equal(n, 10); /* a long rest is worth no more */
}

static void expect_range(uint16_t low, uint16_t high, uint32_t first, uint32_t n)
{
	struct c4_portrange r = c4_portrange_beside(low, high);

	assert_int_equal(r.low, first);
	assert_int_equal(r.n, n);
	assert_true(r.low + r.n <= 65536);
}

static void test_ports(void **state)
{
	struct c4_portrange r = {65000, 536};
	bool seen[536] = {false};

	(void)state;
	expect_range(32768, 60999, 61000, 4536);
	expect_range(32768, 62999, 63000, 2536);
	expect_range(20000, 65000, 16384, 20000 - 16384);
	expect_range(1024, 65535, 61000, 4536);
	expect_range(0, 65535, 61000, 4536);
	for (uint32_t k = 0; k < r.n; k++)
		seen[c4_portrange_nth(&r, 0x123456789abcull, k) - 65000] = true;
	for (uint32_t k = 0; k < r.n; k++)
		assert_true(seen[k]);
}

/* What came while the report was under way is not taken for told. */
static void test_findings(void **state)
{
	struct c4_findings f;
	struct c4_findings_mark mark;
	struct c4_finding x = {.nhops = 2};
	struct c4_finding_doubt doubt = {1, 2, 3, 4};

	(void)state;
	assert_int_equal(c4_findings_init(&f), 0);
	for (uint16_t i = 0; i < 10; i++) {
		x.flow.sport = i;
		c4_findings_add(&f, &x);
	}
	c4_findings_doubt(&f, &doubt);
	mark = c4_findings_mark(&f);
	x.flow.sport = 10;
	c4_findings_add(&f, &x);
	doubt.src = 5;
	c4_findings_doubt(&f, &doubt);
	c4_findings_told(&f, mark);
	assert_int_equal(f.n, 1);
	assert_int_equal(c4_findings_get(&f, 0)->flow.sport, 10);
	assert_int_equal(f.ndoubts, 1);
	assert_int_equal(f.doubt[0].src, 5);
	mark = c4_findings_mark(&f);
	for (uint32_t i = 0; i < C4_FINDINGS_MAX + 5; i++)
		c4_findings_add(&f, &x);
	assert_int_equal(f.lost, 6);
	c4_findings_told(&f, mark); /* those were pushed out: nothing of the others goes */
	assert_int_equal(f.n, C4_FINDINGS_MAX);
	c4_findings_release(&f);
}

static void test_report(void **state)
{
	struct c4_findings f;
	struct c4_finding x = {.flow = {1, 2, 3, 4, 6, 2}, .nhops = 2, .live = true, .at_ns = S};
	struct c4_plan_route route = {.id = "r", .qp = 3};
	struct c4_plan plan = {.instance = "p", .version = 9, .routes = &route, .nroutes = 1};
	struct c4_flow flows[] = {{.sport = 7, .route = 1, .reversed = true}, {.route = 2}};
	uint32_t address = 0x7f000001;
	struct c4_report r = {.node = "n1",
			      .instance = 5,
			      .plan = &plan,
			      .addresses = &address,
			      .naddresses = 1,
			      .findings = &f,
			      .flows = flows,
			      .nflows = 2,
			      .helper_port = 9999,
			      .raw = true,
			      .now_ns = 3 * S};
	C4__V1__RouteReport *m;
	size_t n;
	void *data;

	(void)state;
	x.hop[1] = (struct c4_hop){0x0b000001, 55};
	assert_int_equal(c4_findings_init(&f), 0);
	c4_findings_add(&f, &x);
	data = c4_report_encode(&r, &n);
	assert_non_null(data);
	m = c4__v1__route_report__unpack(NULL, n, data);
	assert_non_null(m);
	assert_string_equal(m->node, "n1");
	assert_int_equal(m->plan_version, 9);
	assert_int_equal(m->n_probes, 1);
	assert_int_equal(m->probes[0]->n_hops, 2);
	assert_int_equal(m->probes[0]->hops[0], 0);
	assert_int_equal(m->probes[0]->hops[1], 0x0b000001);
	assert_int_equal(m->probes[0]->hop_rtt_us[1], 55);
	assert_int_equal(m->probes[0]->age_ms, 2000);
	assert_string_equal(m->flows[0]->id, "r");
	assert_true(m->flows[0]->reversed);
	assert_string_equal(m->flows[1]->id, ""); /* no such route (any more) */
	c4__v1__route_report__free_unpacked(m, NULL);
	free(data);
	c4_findings_release(&f);
}

static void test_delta(void **state)
{
	struct c4_sock last = {.acked_bytes = 100,
			       .received_bytes = 50,
			       .busy_us = 1000000,
			       .limited_us = 5000,
			       .retransmits = 2};
	struct c4_sock now = {.src = 1,
			      .dst = 2,
			      .sport = 3,
			      .dport = 4,
			      .acked_bytes = 1100,
			      .received_bytes = 20,
			      .busy_us = 1500000,
			      .limited_us = 15000,
			      .retransmits = 5,
			      .rtt_us = 70,
			      .min_rtt_us = 60};
	struct c4_flow x = c4_connwatch_delta(&last, &now, S);

	(void)state;
	assert_int_equal(x.sent_bytes, 1000);
	assert_int_equal(x.received_bytes, 0); /* a counter that fell is no traffic */
	assert_int_equal(x.busy_ms, 500);
	assert_int_equal(x.limited_ms, 10);
	assert_int_equal(x.retransmits, 3);
	assert_int_equal(x.interval_ms, 1000);
	assert_int_equal(x.rtt_us, 70);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_help),   cmocka_unit_test(test_bad_help),
		cmocka_unit_test(test_quote),  cmocka_unit_test(test_bucket),
		cmocka_unit_test(test_ports),  cmocka_unit_test(test_findings),
		cmocka_unit_test(test_report), cmocka_unit_test(test_delta),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
