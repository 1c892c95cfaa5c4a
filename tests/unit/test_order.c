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

#include "common/buf.h"
#include "planner/io/hostfile.h"
#include "planner/model/fabric/clos.h"
#include "planner/model/demand/order.h"

struct world {
	struct c4_fabric f;
	struct c4_roster list;
	struct c4_buf errors;
};

static void make(struct world *w, const struct c4_clos *shape)
{
	struct c4_fault fault;

	c4_fabric_init(&w->f);
	assert_int_equal(c4_clos_make(&w->f, shape, &fault), 0);
}

/* h0 … h31, four a leaf, leaf0 … leaf7; two rails. */
static int make_flat(void **state)
{
	const struct c4_clos shape = {.leaves = 8,
				      .spines = 4,
				      .hosts_per_leaf = 4,
				      .rails = 2,
				      .planes = 1,
				      .gbps = 400};

	*state = calloc(1, sizeof(struct world));
	make(*state, &shape);
	return 0;
}

/* The same, in four pods of two leaves. */
static int make_pods(void **state)
{
	const struct c4_clos shape = {.leaves = 8,
				      .spines = 4,
				      .hosts_per_leaf = 4,
				      .rails = 2,
				      .planes = 1,
				      .pods = 4,
				      .gbps = 400};

	*state = calloc(1, sizeof(struct world));
	make(*state, &shape);
	return 0;
}

static int drop_world(void **state)
{
	struct world *w = *state;

	c4_roster_release(&w->list);
	c4_fabric_release(&w->f);
	c4_buf_release(&w->errors);
	free(w);
	return 0;
}

static void parse(struct world *w, const char *hosts)
{
	assert_int_equal(c4_roster_parse(&w->list, "list", hosts, &w->errors), 0);
	c4_roster_find(&w->list, &w->f);
}

static struct c4_crossings crossings(const struct world *w)
{
	struct c4_crossings c;

	c4_order_count(&w->f, w->list.hosts, w->list.n, &c);
	return c;
}

static void assert_order(const struct world *w, const char *want)
{
	struct c4_buf b = {0};

	for (uint32_t i = 0; i < w->list.n; i++)
		c4_buf_printf(&b, "%s%s", i ? " " : "", w->list.hosts[i].name);
	assert_string_equal(c4_buf_str(&b), want);
	c4_buf_release(&b);
}

/* ---- order ----------------------------------------------------------------------------------- */

static void test_hosts_of_a_leaf_become_neighbours(void **state)
{
	struct world *w = *state;

	parse(w, "h0,h4,h1,h5,h2,h6");
	assert_int_equal(crossings(w).leaf, 6);
	assert_int_equal(crossings(w).spine, 12); /* two rails */
	assert_int_equal(c4_order_sort(&w->f, w->list.hosts, w->list.n), 0);
	assert_order(w, "h0 h1 h2 h4 h5 h6");
	assert_int_equal(crossings(w).leaf, 2);
	assert_int_equal(crossings(w).spine, 4);
	assert_int_equal(crossings(w).pod, 0);
}

static void test_the_first_mention_decides(void **state)
{
	struct world *w = *state;

	parse(w, "h30,h9,h2,h29,h1,h8");
	assert_int_equal(c4_order_sort(&w->f, w->list.hosts, w->list.n), 0);
	assert_order(w, "h30 h29 h9 h8 h2 h1");
}

static void test_one_leaf_crosses_nothing(void **state)
{
	struct world *w = *state;

	parse(w, "h[0-3]");
	assert_int_equal(crossings(w).leaf, 0);
	assert_int_equal(crossings(w).spine, 0);
	c4_roster_release(&w->list);
	parse(w, "h7");
	assert_int_equal(crossings(w).leaf, 0);
	c4_roster_release(&w->list);
	parse(w, "h0,h31"); /* there and back */
	assert_int_equal(crossings(w).leaf, 2);
}

/* Every list of hosts ends with as many crossings as it has leaves and pods: none can do better. */
static void test_as_few_crossings_as_leaves_and_pods(void **state)
{
	struct world *w = *state;
	uint32_t seed = 1;

	for (int round = 0; round < 200; round++) {
		uint32_t leaves = 0, pods = 0, n_leaves = 0, n_pods = 0;

		c4_roster_release(&w->list);
		for (uint32_t i = 0, n = 2 + (uint32_t)round % 31; i < n; i++) {
			char name[8];

			seed = seed * 1103515245u + 12345u;
			snprintf(name, sizeof name, "h%u", seed >> 16 & 31u);
			parse(w, name);
		}
		assert_int_equal(c4_order_sort(&w->f, w->list.hosts, w->list.n), 0);
		for (uint32_t i = 0; i < w->list.n; i++) {
			leaves |= 1u << w->list.hosts[i].host / 4;
			pods |= 1u << w->list.hosts[i].host / 8;
		}
		n_leaves = (uint32_t)__builtin_popcount(leaves);
		n_pods = (uint32_t)__builtin_popcount(pods);
		assert_int_equal(crossings(w).leaf, n_leaves > 1 ? n_leaves : 0);
		assert_int_equal(crossings(w).pod, n_pods > 1 ? n_pods : 0);
		assert_int_equal(crossings(w).core, n_pods > 1 ? 2 * n_pods : 0);
	}
}

static void test_leaves_of_a_pod_stay_together(void **state)
{
	struct world *w = *state;

	parse(w, "h0,h8,h4,h12,h1");
	assert_int_equal(crossings(w).pod, 4);
	assert_int_equal(c4_order_sort(&w->f, w->list.hosts, w->list.n), 0);
	assert_order(w, "h0 h1 h4 h8 h12");
	assert_int_equal(crossings(w).pod, 2);
	assert_int_equal(crossings(w).leaf, 4);
}

static void test_unknown_hosts_come_last(void **state)
{
	struct world *w = *state;
	struct c4_fault fault;

	assert_true(c4_fabric_add_host(&w->f, "bare", &fault) >= 0);
	parse(w, "x,h0,bare,h4,y,h1");
	assert_int_equal(c4_order_sort(&w->f, w->list.hosts, w->list.n), 0);
	assert_order(w, "h0 h1 h4 x bare y");
	assert_int_equal(crossings(w).leaf, 1);
	assert_int_equal(crossings(w).unknown, 4);
}

/* Rails that disagree: hosts alike in the first rail are grouped by the second. NICs of any order.
 */
static void test_later_rails_break_ties(void **state)
{
	static const char *const second[] = {"b", "c", "b", "c"};
	struct world *w = *state;
	struct c4_fault fault;

	c4_fabric_release(&w->f);
	c4_fabric_init(&w->f);
	for (char leaf[] = "a"; *leaf <= 'c'; ++*leaf)
		assert_true(c4_fabric_add_switch(&w->f, C4_LEAF, leaf, &fault) >= 0);
	for (uint32_t i = 0; i < 4; i++) {
		char name[] = {'n', (char)('0' + i), '\0'};
		uint32_t turned = i / 2; /* half of the hosts list their NICs the other way round */

		assert_true(c4_fabric_add_host(&w->f, name, &fault) >= 0);
		for (uint32_t k = 0; k < 2; k++) {
			uint32_t rail = k ^ turned;

			assert_true(c4_fabric_add_nic(&w->f, rail ? "r1" : "r0",
						      rail ? second[i] : "a", 0, rail,
						      &fault) >= 0);
		}
	}
	assert_int_equal(c4_fabric_finish(&w->f, &fault), 0);
	parse(w, "n[0-3]");
	assert_int_equal(crossings(w).spine, 4);
	assert_int_equal(c4_order_sort(&w->f, w->list.hosts, w->list.n), 0);
	assert_order(w, "n0 n2 n1 n3");
	assert_int_equal(crossings(w).spine, 2);
	assert_int_equal(w->f.nics[c4_order_first_nic(&w->f, 3)].rail, 0);
}

/* ---- lists in and out ------------------------------------------------------------------------ */

static void test_hostfile_forms(void **state)
{
	struct world *w = *state;
	const char *text = "# nodes\n"
			   "h0 slots=8\r\n"
			   "  h4:4   max_slots=9 # two\n"
			   "\n"
			   "n[08-10] slots=2\n"
			   "h0\n"
			   "last";

	assert_int_equal(c4_roster_parse_file(&w->list, "hosts", text, strlen(text), &w->errors),
			 0);
	assert_order(w, "h0 h4 n08 n09 n10 last");
	assert_int_equal(w->list.hosts[0].slots, 9); /* named twice */
	assert_int_equal(w->list.hosts[1].slots, 4);
	assert_int_equal(w->list.hosts[4].slots, 2);
	assert_int_equal(w->list.hosts[5].slots, 1);
	assert_int_equal(c4_roster_find(&w->list, &w->f), 4);
}

static void refuses(struct world *w, const char *text, const char *words)
{
	struct c4_roster list = {0};
	struct c4_buf errors = {0};

	(void)w;
	assert_int_not_equal(c4_roster_parse_file(&list, "hosts", text, strlen(text), &errors), 0);
	if (!strstr(c4_buf_str(&errors), words))
		fail_msg("\"%s\" is not in \"%s\"", words, c4_buf_str(&errors));
	c4_buf_release(&errors);
	c4_roster_release(&list);
}

static void test_hostfile_mistakes_have_lines(void **state)
{
	refuses(*state, "h0\nh1 slots=x\n", "hosts:2: number of slots, expected");
	refuses(*state, "h0\nh1:\n", "hosts:2:");
	refuses(*state, "h0 slots=0\n", "hosts:1:");
	refuses(*state, "h0 slots=65537\n", "hosts:1:");
	refuses(*state, "h0 slots=65536\nh0\n", "hosts:2: host h0 has more slots than 65536");
	refuses(*state, "h[3-1]\n", "hosts:1:");
	refuses(*state, "h0\n\nh[0-99999999]\n", "hosts:3:");
}

static void assert_written(const struct world *w, const char *form, const char *want)
{
	enum c4_hostfile_form which;
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	assert_non_null(f);
	assert_true(c4_hostfile_form(form, &which));
	c4_hostfile_write(f, which, w->list.hosts, w->list.n);
	fclose(f);
	assert_string_equal(text, want);
	free(text);
}

static void test_written_forms(void **state)
{
	struct world *w = *state;
	enum c4_hostfile_form form;
	const char *text = "h1 slots=2\nh0 slots=3\n";

	assert_int_equal(c4_roster_parse_file(&w->list, "hosts", text, strlen(text), &w->errors),
			 0);
	assert_written(w, "mpirun", "h1 slots=2\nh0 slots=3\n");
	assert_written(w, "slurm", "h1\nh1\nh0\nh0\nh0\n");
	assert_written(w, "list", "h1\nh0\n");
	assert_written(w, "torchrun",
		       "h1 --nnodes=2 --node_rank=0 --nproc_per_node=2 --master_addr=h1 "
		       "--master_port=29500\n"
		       "h0 --nnodes=2 --node_rank=1 --nproc_per_node=3 --master_addr=h1 "
		       "--master_port=29500\n");
	assert_false(c4_hostfile_form("pbs", &form));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_flat, drop_world)
#define PODS(name) cmocka_unit_test_setup_teardown(name, make_pods, drop_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_hosts_of_a_leaf_become_neighbours),
		TEST(test_the_first_mention_decides),
		TEST(test_one_leaf_crosses_nothing),
		PODS(test_as_few_crossings_as_leaves_and_pods),
		PODS(test_leaves_of_a_pod_stay_together),
		TEST(test_unknown_hosts_come_last),
		TEST(test_later_rails_break_ties),
		TEST(test_hostfile_forms),
		TEST(test_hostfile_mistakes_have_lines),
		TEST(test_written_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
