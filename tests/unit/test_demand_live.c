// SPDX-License-Identifier: BSD-3-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/io/demand_live.h"
#include "tests/unit/clos_fabric.h"

struct world {
	struct c4_fabric f;
	struct c4_demand d;
	struct c4_buf notes;
	struct c4_live_counts counts;
	json_t *comms, *ranks;
};

/* h0 … h7, two a leaf, four rails. */
static int make_world(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	clos_fabric(&w->f,
		    (struct c4_clos){.leaves = 4, .spines = 2, .hosts_per_leaf = 2, .rails = 4});
	c4_demand_init(&w->d);
	w->comms = json_pack("{s:[]}", "comms");
	w->ranks = json_pack("{s:[]}", "ranks");
	*state = w;
	return 0;
}

static int drop_world(void **state)
{
	struct world *w = *state;

	c4_demand_release(&w->d);
	c4_fabric_release(&w->f);
	c4_buf_release(&w->notes);
	json_decref(w->comms);
	json_decref(w->ranks);
	free(w);
	return 0;
}

static void rank(struct world *w, const char *job, int number, const char *node, const char *host)
{
	json_array_append_new(json_object_get(w->ranks, "ranks"),
			      json_pack("{s:s, s:i, s:s, s:s, s:s}", "job", job, "rank", number,
					"node", node, "host", host, "state", "running"));
}

/* `per` ranks on each of the hosts h0, h1, … */
static void ranks(struct world *w, const char *job, int n, int per)
{
	for (int i = 0; i < n; i++) {
		char node[16];

		snprintf(node, sizeof node, "h%d", i / per);
		rank(w, job, i, node, node);
	}
}

/* A communicator of the ranks first, first + step, … */
static json_t *comm(struct world *w, const char *job, const char *id, int first, int step, int n,
		    double bytes)
{
	json_t *members = json_array(), *c;

	for (int i = 0; i < n; i++)
		json_array_append_new(members, json_integer(first + i * step));
	c = json_pack("{s:s, s:s, s:i, s:o, s:f, s:i, s:b}", "job", job, "id", id, "size", n,
		      "members", members, "bytes", bytes, "p2p_bytes", 0, "freed", 0);
	json_array_append_new(json_object_get(w->comms, "comms"), c);
	return c;
}

static void derive(struct world *w)
{
	c4_demand_release(&w->d);
	assert_int_equal(c4_demand_live(&w->d, &w->f, w->comms, w->ranks, &w->counts, &w->notes),
			 0);
}

static const struct c4_conn *conn(const struct world *w, const char *id)
{
	const struct c4_strmap_entry *e = c4_strmap_find(&w->d.ids, id);

	return e ? &w->d.conns[(uintptr_t)e->value - 1] : NULL;
}

static void test_a_world_is_a_ring_of_nodes(void **state)
{
	struct world *w = *state;

	ranks(w, "j", 12, 4);
	comm(w, "j", "c0ffee", 0, 1, 12, 1e9);
	derive(w);
	assert_int_equal(w->counts.planned, 1);
	assert_int_equal(w->d.n_conns, 3 * 4); /* three nodes, four rails */
	assert_string_equal(w->d.jobs[0].name, "j");
	assert_non_null(conn(w, "j/c0ffee:2>0/r3p0"));
	assert_int_equal(conn(w, "j/c0ffee:0>1/r2p0")->dst, c4_fabric_nic(&w->f, "h1/r2p0"));
	assert_true(w->d.conns[0].weight == 1);
}

/* Order of ranks in the communicator, not of nodes; a node is entered once. */
static void test_the_ring_goes_in_rank_order(void **state)
{
	struct world *w = *state;

	rank(w, "j", 0, "h6", "x");
	rank(w, "j", 1, "h1", "x");
	rank(w, "j", 2, "h6", "x");
	rank(w, "j", 3, "h4", "x");
	comm(w, "j", "c", 0, 1, 4, 1);
	derive(w);
	assert_int_equal(w->d.n_conns, 12);
	assert_int_equal(conn(w, "j/c:0>1/r0p0")->src, c4_fabric_nic(&w->f, "h6/r0p0"));
	assert_int_equal(conn(w, "j/c:1>2/r0p0")->dst, c4_fabric_nic(&w->f, "h4/r0p0"));
	assert_int_equal(conn(w, "j/c:2>0/r0p0")->dst, c4_fabric_nic(&w->f, "h6/r0p0"));
}

/* Data parallel groups across tensor parallel nodes: each keeps to the rail of its ranks. */
static void test_a_part_of_each_node_uses_its_rails(void **state)
{
	struct world *w = *state;

	ranks(w, "j", 32, 8); /* four nodes */
	comm(w, "j", "dp0", 0, 8, 4, 1);
	comm(w, "j", "dp7", 7, 8, 4, 1);
	derive(w);
	assert_int_equal(w->counts.planned, 2);
	assert_int_equal(w->d.n_conns, 8);
	assert_non_null(conn(w, "j/dp0:0>1/r0p0"));
	assert_non_null(conn(w, "j/dp7:3>0/r3p0"));
	assert_null(conn(w, "j/dp0:0>1/r1p0"));
}

static void test_weights_are_powers_of_two_within_a_job(void **state)
{
	struct world *w = *state;

	ranks(w, "j", 4, 1);
	ranks(w, "k", 2, 1);
	comm(w, "j", "a", 0, 1, 4, 1e9);
	comm(w, "j", "b", 0, 1, 2, 2.1e8);
	comm(w, "j", "c", 2, 1, 2, 1e6);
	json_object_set_new(comm(w, "j", "d", 0, 2, 2, 0), "p2p_bytes", json_real(1e9));
	comm(w, "k", "a", 0, 1, 2, 5);
	derive(w);
	assert_true(conn(w, "j/a:0>1/r0p0")->weight == 1);
	assert_true(conn(w, "j/b:0>1/r0p0")->weight == 0.25f);
	assert_null(conn(w, "j/c:0>1/r0p0"));
	assert_true(conn(w, "j/d:0>1/r0p0")->weight == 0.5f); /* half of the bytes per member */
	assert_true(conn(w, "k/a:0>1/r0p0")->weight == 1);
	assert_int_equal(w->counts.idle, 1);
}

static void test_before_any_traffic_all_count_alike(void **state)
{
	struct world *w = *state;

	ranks(w, "j", 4, 1);
	comm(w, "j", "a", 0, 1, 4, 0);
	comm(w, "j", "b", 0, 1, 2, 0);
	derive(w);
	assert_int_equal(w->counts.planned, 2);
	assert_true(conn(w, "j/b:0>1/r0p0")->weight == 1);
}

static void test_what_needs_no_network_is_left_out(void **state)
{
	struct world *w = *state;

	ranks(w, "j", 4, 2);
	comm(w, "j", "self", 0, 1, 1, 1);
	comm(w, "j", "tp", 0, 1, 2, 1); /* both on h0 */
	json_object_set_new(comm(w, "j", "old", 0, 1, 4, 1), "freed", json_true());
	derive(w);
	assert_int_equal(w->d.n_conns, 0);
	assert_int_equal(w->counts.inside, 2);
	assert_int_equal(w->counts.ended, 1);
}

static void test_jobs_that_ended_are_left_out(void **state)
{
	struct world *w = *state;
	json_t *r;
	size_t i;

	ranks(w, "j", 2, 1);
	comm(w, "j", "c", 0, 1, 2, 1);
	comm(w, "nobody", "c", 0, 1, 2, 1);
	json_array_foreach(json_object_get(w->ranks, "ranks"), i, r)
		json_object_set_new(r, "state", json_string(i ? "finished" : "gone"));
	derive(w);
	assert_int_equal(w->counts.ended, 2);
	assert_int_equal(w->d.n_conns, 0);
	r = json_array_get(json_object_get(w->ranks, "ranks"), 0);
	json_object_set_new(r, "state", json_string("sleeping"));
	derive(w);
	assert_int_equal(w->counts.planned, 1);
}

static void test_what_cannot_be_mapped_is_said(void **state)
{
	struct world *w = *state;
	const char *said;

	rank(w, "j", 0, "h0", "x");
	rank(w, "j", 1, "mars", "moon");
	rank(w, "j", 2, "named", "h5"); /* known by the machine's own name */
	comm(w, "j", "a", 0, 1, 2, 1);
	comm(w, "j", "b", 0, 1, 3, 1);
	comm(w, "j", "c", 0, 2, 2, 1);
	comm(w, "j", "d", 2, 5, 2, 1); /* rank 7 was never seen */
	derive(w);
	assert_int_equal(w->counts.unknown, 3);
	assert_int_equal(w->counts.planned, 1);
	assert_int_equal(conn(w, "j/c:0>1/r0p0")->dst, c4_fabric_nic(&w->f, "h5/r0p0"));
	said = strstr(c4_buf_str(&w->notes), "job j: node mars is no host of the fabric");
	assert_non_null(said);
	assert_null(strstr(strstr(said, "mars") + 1, "mars")); /* once */
}

static void test_members_that_contradict_their_size(void **state)
{
	struct world *w = *state;
	json_t *c;

	ranks(w, "j", 4, 1);
	c = comm(w, "j", "a", 0, 1, 4, 1);
	json_object_set_new(c, "size", json_integer(5));
	json_object_set_new(comm(w, "j", "b", 0, 1, 2, 1), "members", json_array());
	json_object_del(comm(w, "j", "c", 0, 1, 2, 1), "id");
	json_array_append_new(json_object_get(comm(w, "j", "d", 0, 1, 2, 1), "members"),
			      json_string("x"));
	derive(w);
	assert_int_equal(w->counts.unknown, 4);
	assert_int_equal(w->d.n_conns, 0);
}

static void refuses(struct world *w, const json_t *comms, const json_t *all, const char *words)
{
	struct c4_live_counts counts = {.planned = 77};

	c4_buf_release(&w->notes);
	assert_int_equal(c4_demand_live(&w->d, &w->f, comms, all, &counts, &w->notes), -EINVAL);
	assert_non_null(strstr(c4_buf_str(&w->notes), words));
	assert_int_equal(counts.planned, 77);
}

static void test_answers_of_another_form(void **state)
{
	struct world *w = *state;

	refuses(w, NULL, w->ranks, "/api/v1/comms");
	refuses(w, w->comms, NULL, "/api/v1/ranks");
	refuses(w, w->ranks, w->comms, "/api/v1/ranks");
	json_array_append_new(json_object_get(w->ranks, "ranks"), json_pack("{s:s}", "job", "j"));
	refuses(w, w->comms, w->ranks, "a rank without");
	json_array_clear(json_object_get(w->ranks, "ranks"));
	rank(w, "j", 1 << 20, "h0", "h0");
	refuses(w, w->comms, w->ranks, "a rank without");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, drop_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_world_is_a_ring_of_nodes),
		TEST(test_the_ring_goes_in_rank_order),
		TEST(test_a_part_of_each_node_uses_its_rails),
		TEST(test_weights_are_powers_of_two_within_a_job),
		TEST(test_before_any_traffic_all_count_alike),
		TEST(test_what_needs_no_network_is_left_out),
		TEST(test_jobs_that_ended_are_left_out),
		TEST(test_what_cannot_be_mapped_is_said),
		TEST(test_members_that_contradict_their_size),
		TEST(test_answers_of_another_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
