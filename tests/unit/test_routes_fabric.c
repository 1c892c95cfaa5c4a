// SPDX-License-Identifier: BSD-3-Clause
/* Addresses of switches: in the fabric, in its files, and NICs by theirs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/daemon/held.h"
#include "planner/io/fabric_json.h"
#include "planner/io/fabric_load.h"
#include "planner/io/fabric_yaml.h"

#define HEAD                                                                                       \
	"schema: c4.fabric/v1\nhosts:\n- name: h0\n  nics:\n"                                      \
	"  - {name: r0p0, leaf: leaf0, ipv4: 10.0.0.9}\n- name: h1\n  nics:\n"                     \
	"  - {name: r0p0, leaf: leaf1, ipv4: 10.0.0.3}\n"                                          \
	"leaves: [leaf0, leaf1]\nspines: [spine0]\n"                                               \
	"links:\n- {a: leaf0, b: spine0, gbps: 1}\n- {a: leaf1, b: spine0, gbps: 1}\n"
#define GOOD                                                                                       \
	HEAD "switches:\n- {name: spine0, addresses: [10.78.1.6, 10.78.1.2]}\n"                    \
	     "- {name: leaf1, epoch: 3, addresses: [10.77.1.1]}\n- {name: leaf0, epoch: 1}\n"

static int load(struct c4_fabric *f, const char *text, struct c4_buf *errors)
{
	char path[] = "/tmp/c4-fabric-XXXXXX";
	int fd = mkstemp(path), rc;
	FILE *out = fdopen(fd, "w");

	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
	rc = c4_fabric_load(f, path, C4_FABRIC_GUESS, errors);
	remove(path);
	return rc;
}

static void check_good(const struct c4_fabric *f)
{
	uint32_t spine = c4_fabric_switch(f, "spine0"), leaf = c4_fabric_switch(f, "leaf1");
	uint32_t first = f->switches[spine].address;

	assert_int_equal(f->n_addresses, 3);
	assert_int_equal(c4_fabric_switch_at(f, 0x0A4E0106), spine);
	assert_int_equal(c4_fabric_switch_at(f, 0x0A4E0102), spine);
	assert_int_equal(c4_fabric_switch_at(f, 0x0A4D0101), leaf);
	assert_int_equal(c4_fabric_switch_at(f, 0x0A4D0102), C4_NONE);
	assert_int_equal(c4_fabric_switch_at(f, 0), C4_NONE);
	assert_int_equal(f->addresses[first - 1].ipv4, 0x0A4E0106); /* in the file's order */
	assert_int_equal(f->switches[leaf].epoch, 3);
	assert_int_equal(f->switches[c4_fabric_switch(f, "leaf0")].address, 0);
}

static void test_files(void **state)
{
	typedef int (*write_fn)(const struct c4_fabric *, FILE *);
	const write_fn writers[] = {c4_fabric_write_yaml, c4_fabric_write_json};
	struct c4_buf errors = {0};
	struct c4_fabric f, again;

	(void)state;
	assert_int_equal(load(&f, GOOD, &errors), 0);
	check_good(&f);
	for (int i = 0; i < 2; i++) { /* what is written reads back */
		char *text = NULL;
		size_t n;
		FILE *out = open_memstream(&text, &n);

		assert_int_equal(writers[i](&f, out), 0);
		fclose(out);
		assert_int_equal(load(&again, text, &errors), 0);
		check_good(&again);
		c4_fabric_release(&again);
		free(text);
	}
	c4_fabric_release(&f);
	c4_buf_release(&errors);
}

static void check_bad(const char *text, const char *line, const char *what)
{
	struct c4_buf errors = {0};
	struct c4_fabric f;

	assert_int_not_equal(load(&f, text, &errors), 0);
	assert_non_null(strstr(c4_buf_str(&errors), line));
	assert_non_null(strstr(c4_buf_str(&errors), what));
	c4_buf_release(&errors);
}

static void test_mistakes(void **state)
{
	(void)state;
	check_bad(HEAD "switches:\n- name: spine0\n  addresses:\n  - 10.0.0.256\n",
		  ":17:", "10.0.0.256");
	check_bad(HEAD "switches:\n- {name: spine0, addresses: [1.2.3.4, 1.2.3.4]}\n",
		  ":15:", "address of spine0");
	check_bad(HEAD "switches:\n- {name: spine0, addresses: [1.2.3.4]}\n"
		       "- {name: leaf0, addresses: [1.2.3.4]}\n",
		  ":16:", "address of spine0");
	check_bad(HEAD "switches:\n- {name: spine0, addresses: [224.0.0.1]}\n",
		  ":15:", "no address of one machine");
	check_bad(HEAD "switches:\n- {name: spine0, addresses: [0.0.0.0]}\n",
		  ":15:", "no address of one machine");
}

static void test_nics_by_address(void **state)
{
	struct c4_buf errors = {0};
	struct c4_held_fabric *h, *other;
	struct c4_fabric f;

	(void)state;
	assert_int_equal(load(&f, GOOD, &errors), 0);
	h = c4_held_fabric_new(&f);
	assert_non_null(h);
	assert_int_equal(c4_held_fabric_nic_at(h, 0x0A000009), 0);
	assert_int_equal(c4_held_fabric_nic_at(h, 0x0A000003), 1);
	assert_int_equal(c4_held_fabric_nic_at(h, 0x0A000004), C4_NONE);
	assert_int_equal(c4_held_fabric_nic_at(h, 0), C4_NONE);
	assert_int_equal(load(&f, HEAD, &errors), 0);
	other = c4_held_fabric_new(&f);
	assert_true(h->digest == other->digest);       /* the same network … */
	assert_true(h->addresses != other->addresses); /* … of which something else is known */
	c4_held_fabric_drop(h);
	c4_held_fabric_drop(other);
	c4_buf_release(&errors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_nics_by_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
