// SPDX-License-Identifier: BSD-3-Clause
/* Members of a communicator that have not come yet: who they are, where that can be told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "c4/segment.h"
#include "collector/comm.h"
#include "collector/stats.h"

static struct c4_stats stats;

static struct c4_comm *new_comm(uint32_t flags)
{
	struct c4_comm_identity who = {.id = 7, .size = 4, .flags = flags, .name = ""};
	struct c4_comm *c = c4_comm_new(&who, 1, &stats);

	assert_non_null(c);
	return c;
}

static void come(struct c4_comm *c, uint32_t member, uint32_t rank)
{
	assert_true(c4_comm_claim(c, member, rank));
	c->state[member].known = true;
	c->known++;
}

static void test_the_world(void **state)
{
	struct c4_comm *c = new_comm(C4_COMM_REPORTED);

	(void)state;
	assert_false(c4_comm_presume(c, 4)); /* nobody has come: nothing to go by */
	come(c, 0, 0);
	come(c, 3, 3);
	assert_true(c4_comm_presume(c, 4));
	assert_int_equal(c->ranks[1], 1);
	assert_int_equal(c->ranks[2], 2);
	assert_false(c4_comm_complete(c));
	come(c, 1, 2); /* it was not so */
	assert_int_equal(c->ranks[1], 2);
	assert_false(c4_comm_presume(c, 4));
	assert_int_equal(c->ranks[2], -1);
	assert_false(c4_comm_claim(c, 1, 1)); /* taken */
	come(c, 2, 1);
	assert_true(c4_comm_complete(c));
	c4_comm_free(c);
}

static void test_part_of_the_world(void **state)
{
	struct c4_comm *c = new_comm(C4_COMM_REPORTED);

	(void)state;
	come(c, 0, 0);
	assert_false(c4_comm_presume(c, 8));
	assert_int_equal(c->ranks[1], -1);
	c4_comm_free(c);
	c = new_comm(0); /* truncated: its members are not told one by one */
	assert_false(c4_comm_presume(c, 4));
	c4_comm_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_world),
		cmocka_unit_test(test_part_of_the_world),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
