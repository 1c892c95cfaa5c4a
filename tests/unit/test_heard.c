// SPDX-License-Identifier: BSD-3-Clause
/* The collector's word on pairs of hosts: which links are planned as weak then, and which not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "planner/daemon/routes/heard.h"
#include "planner/model/fabric/clos.h"

#define S    1000000000ull
#define RATE 400.0

/* 4 leaves of 2 hosts, 4 spines, 2 rails; host h is under leaf h / 2 of its rail. */
struct scene {
	struct c4_held_fabric *fabric;
	struct c4_edition *edition;
	struct c4_flows flows;
	struct c4_suspects suspects;
	struct c4_heard heard;
	struct c4_ratings r;
	struct c4_rating ratings[64];
	uint64_t now_ns;
	uint16_t port;
};

static int setup(void **state)
{
	static const struct c4_clos shape = {.leaves = 4,
					     .spines = 4,
					     .hosts_per_leaf = 2,
					     .rails = 2,
					     .planes = 1,
					     .gbps = RATE};
	const struct c4_links none = {0};
	struct scene *s = calloc(1, sizeof *s);
	struct c4_held_demand *hd;
	struct c4_fabric f;
	struct c4_demand d;
	struct c4_plan p;

	c4_log_set_level(C4_LOG_ERROR);
	c4_fabric_init(&f);
	assert_int_equal(c4_clos_make(&f, &shape, NULL), 0);
	s->fabric = c4_held_fabric_new(&f);
	c4_demand_init(&d);
	assert_int_equal(c4_plan_init(&p, &d), 0);
	hd = c4_held_demand_new(&d);
	s->edition = c4_edition_new(s->fabric, hd, &p, NULL, NULL, &none,
				    c4_delta_new(1, 0, NULL, NULL));
	assert_non_null(s->edition);
	c4_held_demand_drop(hd);
	c4_plan_release(&p);
	s->now_ns = 1000 * S;
	s->suspects.hold_ns = 30 * S;
	s->r.v = s->ratings;
	assert_int_equal(c4_suspects_follow(&s->suspects, NULL, s->edition, s->now_ns), 0);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	c4_flows_release(&s->flows);
	c4_suspects_release(&s->suspects);
	c4_edition_drop(s->edition);
	c4_held_fabric_drop(s->fabric);
	free(s);
	return 0;
}

/* ---- the network ----------------------------------------------------------------------------- */

static uint32_t nic_of(const struct scene *s, uint32_t host, uint32_t rail)
{
	return s->fabric->fabric.hosts[host].nic + rail;
}

static uint32_t link_of(const struct scene *s, uint32_t leaf, uint32_t spine)
{
	const struct c4_fabric *f = &s->fabric->fabric;
	uint32_t link;
	char name[16];

	snprintf(name, sizeof name, "spine%u", spine);
	link = c4_fabric_link(f, leaf, c4_fabric_switch(f, name), 0);
	assert_int_not_equal(link, C4_NONE);
	return link;
}

/* A connection src → dst over a spine, or of unknown way (spine < 0). */
static struct c4_flow *connect_by(struct scene *s, uint32_t src, uint32_t dst, uint32_t rail,
				  int spine, uint8_t proto)
{
	const struct c4_fabric *f = &s->fabric->fabric;
	uint32_t a = nic_of(s, src, rail), b = nic_of(s, dst, rail);
	struct c4_flow_key key;
	struct c4_flow *x;
	uint8_t from;
	bool fresh;

	key = c4_flow_key_of(a + 1, ++s->port, b + 1, 4791, proto, &from);
	x = c4_flows_at(&s->flows, &key, &fresh);
	assert_true(x && fresh);
	x->nic[from] = a;
	x->nic[!from] = b;
	x->end[from].seen_ns = s->now_ns;
	x->end[from].sent_gbps = proto == 6 ? 10 : 0;
	if (spine >= 0)
		x->way[from].path = (struct c4_path){{link_of(s, f->nics[a].leaf, (uint32_t)spine),
						      link_of(s, f->nics[b].leaf, (uint32_t)spine)},
						     2};
	return x;
}

static void queue_pair(struct scene *s, uint32_t src, uint32_t dst, int spine)
{
	connect_by(s, src, dst, 0, spine, 17);
}

/* ---- the word -------------------------------------------------------------------------------- */

static struct c4_rating *say(struct scene *s, uint32_t src, uint32_t dst, double times)
{
	struct c4_rating *x = &s->ratings[s->r.n++];

	*x = (struct c4_rating){.src = src,
				.dst = dst,
				.src_rail = C4_NONE,
				.dst_rail = C4_NONE,
				.slow = (float)times,
				.connections = 1,
				.accused = times >= 1.3};
	return x;
}

static void listen_to(struct scene *s)
{
	struct c4_map_entry *m;

	c4_map_for_each (m, &s->flows.by_key)
		for (int i = 0; i < 2; i++) {
			struct c4_flow *x = m->value;

			if (x->end[i].seen_ns)
				x->end[i].seen_ns = s->now_ns;
		}
	c4_ratings_close(&s->r);
	assert_int_equal(
		c4_heard_take(&s->heard, &s->suspects, s->edition, &s->flows, &s->r, s->now_ns), 0);
}

static struct c4_suspect *suspect(struct scene *s, uint32_t leaf, uint32_t spine)
{
	uint32_t link = link_of(s, leaf, spine);

	for (uint32_t i = 0; i < s->suspects.n; i++)
		if (s->suspects.v[i].link / 2 == link)
			return &s->suspects.v[i];
	return NULL;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void test_link_that_two_pairs_share(void **state)
{
	struct scene *s = *state;
	struct c4_suspect *x;

	queue_pair(s, 0, 2, 1);
	queue_pair(s, 1, 4, 1);
	queue_pair(s, 0, 6, 2);
	say(s, 0, 2, 8);
	say(s, 1, 4, 10);
	say(s, 0, 6, 1);
	listen_to(s);
	assert_int_equal(s->suspects.n, 1);
	x = suspect(s, 0, 1);
	assert_non_null(x);
	assert_int_equal(x->state, C4_SUSPECT_SLOW);
	assert_int_equal(x->link % 2, 0);
	assert_true(x->source == C4_SUSPECT_BY_COLLECTOR && !x->shared && !x->alike);
	assert_int_equal(x->flows, 2);
	assert_int_equal(x->n_hosts, 2);
	assert_true(x->given_gbps > RATE / 8 * 0.99 && x->given_gbps < RATE / 8 * 1.01);
	assert_int_equal(s->suspects.n_reports, 1); /* the plan hears of it */
	assert_int_equal(s->heard.v[0].state, C4_HEARD_ACCUSES);
}

/* One way, nobody else on it: both its links are planned weak, none is named. */
static void test_two_links_of_one_way(void **state)
{
	struct scene *s = *state;

	queue_pair(s, 0, 2, 1);
	queue_pair(s, 2, 0, 1); /* the way back proves nothing */
	say(s, 0, 2, 4);
	say(s, 2, 0, 1);
	listen_to(s);
	assert_int_equal(s->suspects.n, 2);
	assert_int_equal(suspect(s, 0, 1)->state, C4_SUSPECT_SLOW);
	assert_int_equal(suspect(s, 1, 1)->state, C4_SUSPECT_SLOW);
	assert_int_equal(suspect(s, 0, 1)->alike, 1);
	assert_int_equal(suspect(s, 1, 1)->link % 2, 1);
}

/* More than one way cannot be told apart: that is no reason to plan otherwise. */
static void test_doubt_is_not_planned_with(void **state)
{
	struct scene *s = *state;

	queue_pair(s, 0, 2, 1);
	queue_pair(s, 0, 2, 2);
	say(s, 0, 2, 4);
	listen_to(s);
	assert_int_equal(s->suspects.n, 4);
	assert_int_equal(suspect(s, 0, 1)->state, C4_SUSPECT_DOUBT);
	assert_int_equal(s->suspects.n_reports, 0);
	assert_int_equal(s->heard.v[0].state, C4_HEARD_DOUBT);
}

/* Of a pair's two connections one is slow: the link is slower than the pair. */
static void test_rate_of_a_link_of_two_ways(void **state)
{
	struct scene *s = *state;

	queue_pair(s, 0, 2, 1);
	queue_pair(s, 0, 2, 2);
	queue_pair(s, 0, 4, 2);
	queue_pair(s, 6, 2, 2);
	queue_pair(s, 6, 3, 1);
	say(s, 0, 2, 3)->connections = 2;
	say(s, 0, 4, 1);
	say(s, 6, 2, 1);
	say(s, 6, 3, 1);
	listen_to(s);
	assert_int_equal(s->suspects.n, 1);
	assert_true(suspect(s, 0, 1)->given_gbps > RATE / 5 * 0.99);
	assert_true(suspect(s, 0, 1)->given_gbps < RATE / 5 * 1.01);
}

/* Its data goes over one connection; the others there are of another job. */
static void test_rate_of_a_link_of_one_connection(void **state)
{
	struct scene *s = *state;

	for (uint32_t i = 0; i < 3; i++)
		queue_pair(s, 0, 2, 1);
	say(s, 0, 2, 4);
	listen_to(s);
	assert_true(suspect(s, 0, 1)->given_gbps > RATE / 4 * 0.99);
	assert_true(suspect(s, 0, 1)->given_gbps < RATE / 4 * 1.01);
}

/* A pair of several ways that is nearly well does not clear them. */
static void test_nearly_well_is_not_well(void **state)
{
	struct scene *s = *state;

	queue_pair(s, 0, 2, 1);
	queue_pair(s, 0, 4, 1);
	queue_pair(s, 0, 4, 2);
	say(s, 0, 2, 4);
	say(s, 0, 4, 1.5)->accused = false; /* one of its two ways four times: 2.5 */
	listen_to(s);
	assert_int_equal(suspect(s, 0, 1)->alike, 1);
	s->r.n = 0;
	say(s, 0, 2, 4);
	say(s, 0, 4, 1.3)->accused = false;
	listen_to(s);
	assert_int_equal(suspect(s, 1, 1)->alike, 0); /* what is left */
}

/* Where what is slow is hardly so, what others vary by is still well. */
static void test_noise_is_well(void **state)
{
	struct scene *s = *state;

	queue_pair(s, 0, 2, 1);
	queue_pair(s, 0, 4, 1);
	say(s, 0, 2, 1.35);
	say(s, 0, 4, 1.12)->accused = false;
	listen_to(s);
	assert_int_equal(s->suspects.n, 1);
	assert_non_null(suspect(s, 1, 1));
}

static void test_unknown_ways_accuse_nobody(void **state)
{
	struct scene *s = *state;

	queue_pair(s, 0, 2, 1);
	queue_pair(s, 0, 2, -1);
	say(s, 0, 2, 4);
	say(s, 4, 6, 4); /* no connection at all is known */
	listen_to(s);
	assert_int_equal(s->suspects.n, 0);
	assert_int_equal(s->heard.n, 2);
	assert_int_equal(s->heard.v[0].state, C4_HEARD_UNSEEN);
	assert_int_equal(s->heard.v[1].state, C4_HEARD_UNSEEN);
	assert_int_equal(s->suspects.watches.n, 1); /* it is looked for */
}

static void test_slow_without_an_incident(void **state)
{
	struct scene *s = *state;

	queue_pair(s, 0, 2, 1);
	say(s, 0, 2, 4)->accused = false;
	listen_to(s);
	assert_int_equal(s->suspects.n, 0);
	assert_int_equal(s->heard.n, 0);
}

/* Where there are queue pairs the data go over them; else over the TCP connections that carry. */
static void test_rdma_before_tcp(void **state)
{
	struct scene *s = *state;

	connect_by(s, 0, 2, 0, -1, 6);
	queue_pair(s, 0, 2, 1);
	connect_by(s, 4, 6, 0, 3, 6);
	connect_by(s, 4, 6, 0, 0, 6)->end[0].sent_gbps = 1e-6; /* idle */
	say(s, 0, 2, 4);
	say(s, 4, 6, 4);
	listen_to(s);
	assert_int_equal(s->suspects.n, 4);
	assert_non_null(suspect(s, 0, 1));
	assert_non_null(suspect(s, 2, 3));
}

/* Ranks near one rail speak of that rail's network only. */
static void test_rails_are_apart(void **state)
{
	struct scene *s = *state;
	struct c4_rating *x;

	connect_by(s, 0, 2, 0, 1, 17);
	connect_by(s, 0, 2, 1, 1, 17);
	x = say(s, 0, 2, 4);
	x->src_rail = x->dst_rail = 1;
	x = say(s, 0, 2, 1);
	x->src_rail = x->dst_rail = 0;
	connect_by(s, 4, 6, 0, 2, 17);
	x = say(s, 4, 6, 4); /* none of its connections is known */
	x->src_rail = 0;
	x->dst_rail = 1;
	listen_to(s);
	assert_int_equal(s->suspects.n, 2);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(s->fabric->fabric.links[s->suspects.v[i].link / 2].a / 4, 1);
}

static void test_congestion_is_not_named(void **state)
{
	struct scene *s = *state;

	queue_pair(s, 0, 2, 1);
	queue_pair(s, 1, 4, 1);
	say(s, 0, 2, 3)->shared = true;
	say(s, 1, 4, 3)->shared = true;
	listen_to(s);
	assert_int_equal(s->suspects.n, 1);
	assert_true(suspect(s, 0, 1)->shared);
	assert_int_equal(suspect(s, 0, 1)->state, C4_SUSPECT_SLOW);
}

/* One of the pairs is slow for no reason of others. */
static void test_congestion_for_some_is_named(void **state)
{
	struct scene *s = *state;

	queue_pair(s, 0, 2, 1);
	queue_pair(s, 1, 4, 1);
	say(s, 0, 2, 3);
	say(s, 1, 4, 3)->shared = true;
	listen_to(s);
	assert_false(suspect(s, 0, 1)->shared);
}

/* A connection of unknown way may be what makes the link slow: it is left, but not named. */
static void test_stray_may_explain_it(void **state)
{
	struct scene *s = *state;
	struct c4_flow *stray;

	queue_pair(s, 0, 2, 1);
	queue_pair(s, 1, 4, 1);
	stray = connect_by(s, 0, 6, 0, -1, 6);
	stray->end[0].sent_gbps = stray->end[0].busy_gbps = RATE * 0.6;
	assert_true(c4_suspects_look(&s->suspects, s->edition, &s->flows, s->now_ns));
	say(s, 0, 2, 8);
	say(s, 1, 4, 8);
	listen_to(s);
	assert_true(suspect(s, 0, 1)->shared);
	assert_int_equal(s->suspects.watches.n, 1);
}

/* What is known to be on it is what the word is about. */
static void test_own_traffic_explains_nothing(void **state)
{
	struct scene *s = *state;
	struct c4_map_entry *m;

	queue_pair(s, 0, 2, 1);
	queue_pair(s, 1, 4, 1);
	c4_map_for_each (m, &s->flows.by_key)
		((struct c4_flow *)m->value)->end[0].sent_gbps = RATE * 0.6;
	assert_true(c4_suspects_look(&s->suspects, s->edition, &s->flows, s->now_ns));
	say(s, 0, 2, 8);
	say(s, 1, 4, 8);
	listen_to(s);
	assert_int_equal(s->suspects.window.n, 2);
	assert_false(suspect(s, 0, 1)->shared);
}

/* ---- after a move ---------------------------------------------------------------------------- */

static void move(struct scene *s, uint32_t src, uint32_t dst, int spine)
{
	c4_flows_clear(&s->flows);
	queue_pair(s, src, dst, spine);
}

static void say_for(struct scene *s, uint32_t src, uint32_t dst, double times, unsigned seconds)
{
	for (unsigned i = 0; i < seconds; i++) {
		s->now_ns += S;
		s->r.n = 0;
		say(s, src, dst, times);
		listen_to(s);
	}
}

/* Slow on another way too: it was not the link, and no other link is accused by this pair. */
static void test_slow_ends_take_no_link_after_the_other(void **state)
{
	struct scene *s = *state;

	queue_pair(s, 0, 2, 1);
	say(s, 0, 2, 4);
	listen_to(s);
	assert_int_equal(s->suspects.n, 2);
	move(s, 0, 2, 2);
	say_for(s, 0, 2, 4, 15);
	assert_int_equal(s->heard.v[0].state, C4_HEARD_LEFT);
	assert_int_equal(suspect(s, 0, 1)->state, C4_SUSPECT_SLOW); /* what is told may be old */
	assert_null(suspect(s, 0, 2));
	say_for(s, 0, 2, 4, 10);
	assert_int_equal(s->heard.v[0].state, C4_HEARD_ENDS);
	assert_int_equal(suspect(s, 0, 1)->state, C4_SUSPECT_CLEARED);
	assert_int_equal(suspect(s, 1, 1)->state, C4_SUSPECT_CLEARED);
	assert_int_equal(s->suspects.n, 2);
	move(s, 0, 2, 3);
	say_for(s, 0, 2, 4, 30);
	assert_int_equal(s->suspects.n, 2);
	say_for(s, 0, 2, 1, 70); /* well again, and forgotten */
	assert_int_equal(s->heard.n, 0);
}

/* It goes back and leaves again: the time it is given begins anew. */
static void test_left_twice(void **state)
{
	struct scene *s = *state;

	queue_pair(s, 0, 2, 1);
	say(s, 0, 2, 4);
	listen_to(s);
	move(s, 0, 2, 2);
	say_for(s, 0, 2, 4, 15);
	move(s, 0, 2, 1);
	say_for(s, 0, 2, 4, 2);
	assert_int_equal(s->heard.v[0].state, C4_HEARD_ACCUSES);
	move(s, 0, 2, 2);
	say_for(s, 0, 2, 4, 15);
	assert_int_equal(s->heard.v[0].state, C4_HEARD_LEFT);
	say_for(s, 0, 2, 4, 10);
	assert_int_equal(s->heard.v[0].state, C4_HEARD_ENDS);
}

/* The other way is fast: the links stay weak until their time is over. */
static void test_well_after_a_move(void **state)
{
	struct scene *s = *state;

	queue_pair(s, 0, 2, 1);
	say(s, 0, 2, 4);
	listen_to(s);
	move(s, 0, 2, 2);
	say_for(s, 0, 2, 4, 10);
	say_for(s, 0, 2, 1, 40);
	assert_int_equal(s->heard.v[0].state, C4_HEARD_LEFT);
	assert_int_equal(suspect(s, 0, 1)->state, C4_SUSPECT_SLOW);
	say_for(s, 0, 2, 1, 30);
	assert_int_equal(s->heard.n, 0);
}

/* A pair that is slow by its ends does not acquit a link that others accuse. */
static void test_others_word_stands(void **state)
{
	struct scene *s = *state;

	queue_pair(s, 0, 2, 1);
	queue_pair(s, 1, 4, 1);
	say(s, 0, 2, 4);
	say(s, 1, 4, 4);
	listen_to(s);
	assert_int_equal(suspect(s, 0, 1)->state, C4_SUSPECT_SLOW);
	c4_flows_clear(&s->flows);
	queue_pair(s, 0, 2, 2);
	queue_pair(s, 1, 4, 1);
	for (int i = 0; i < 25; i++) {
		s->now_ns += S;
		s->r.n = 0;
		say(s, 0, 2, 4);
		if (i < 15) /* then it has nothing new to say */
			say(s, 1, 4, 4);
		listen_to(s);
	}
	assert_int_equal(s->heard.v[0].state, C4_HEARD_ENDS);
	assert_int_equal(suspect(s, 0, 1)->state, C4_SUSPECT_SLOW);
}

static void test_accused_pairs_are_bounded(void **state)
{
	struct scene *s = *state;
	static struct c4_rating many[C4_HEARD_MAX + 8];

	s->r.v = many;
	s->r.n = 0;
	for (uint32_t i = 0; i < C4_HEARD_MAX + 8; i++)
		many[s->r.n++] = (struct c4_rating){.src = i % 8,
						    .dst = (i + 1) % 8,
						    .src_rail = i,
						    .dst_rail = i,
						    .slow = 4,
						    .accused = true};
	listen_to(s);
	assert_int_equal(s->heard.n, C4_HEARD_MAX);
	assert_int_equal(s->heard.lost, 8);
	assert_int_equal(s->suspects.n, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_link_that_two_pairs_share),
		T(test_two_links_of_one_way),
		T(test_doubt_is_not_planned_with),
		T(test_rate_of_a_link_of_two_ways),
		T(test_rate_of_a_link_of_one_connection),
		T(test_nearly_well_is_not_well),
		T(test_noise_is_well),
		T(test_unknown_ways_accuse_nobody),
		T(test_slow_without_an_incident),
		T(test_rdma_before_tcp),
		T(test_rails_are_apart),
		T(test_congestion_is_not_named),
		T(test_congestion_for_some_is_named),
		T(test_stray_may_explain_it),
		T(test_own_traffic_explains_nothing),
		T(test_slow_ends_take_no_link_after_the_other),
		T(test_left_twice),
		T(test_well_after_a_move),
		T(test_others_word_stands),
		T(test_accused_pairs_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
