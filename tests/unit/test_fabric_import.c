// SPDX-License-Identifier: BSD-3-Clause
/* Fabrics that others describe: Slurm's topology.conf, ibnetdiscover. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "planner/io/fabric_load.h"
#include "planner/io/hostlist.h"

static void load(struct c4_fabric *f, const char *text)
{
	struct c4_buf errors = {0};

	if (c4_fabric_parse(f, "F", text, strlen(text), C4_FABRIC_GUESS, &errors))
		fail_msg("%s", c4_buf_str(&errors));
}

static void refuse(const char *text, enum c4_fabric_format format, const char *begins)
{
	struct c4_buf errors = {0};
	struct c4_fabric f;

	assert_int_not_equal(c4_fabric_parse(&f, "F", text, strlen(text), format, &errors), 0);
	if (strncmp(c4_buf_str(&errors), begins, strlen(begins)) != 0)
		fail_msg("'%s'\nis not '%s…'", c4_buf_str(&errors), begins);
	c4_buf_release(&errors);
}

/* ---- host lists ------------------------------------------------------------------------------ */

static int join(void *arg, const char *name)
{
	char *text = arg;

	strcat(strcat(text, *text ? " " : ""), name);
	return 0;
}

static void test_hostlists_expand(void **state)
{
	static const struct {
		const char *expr, *names;
	} cases[] = {
		{"a", "a"},
		{"a,b", "a b"},
		{"tux[0-2,7]", "tux0 tux1 tux2 tux7"},
		{"n[08-10,3]x", "n08x n09x n10x n3x"},
		{"r[1-2]n[0,5-6],io", "r1n0 r1n5 r1n6 r2n0 r2n5 r2n6 io"},
		{"n[000]", "n000"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[256] = "";
		struct c4_fault fault;

		assert_int_equal(
			c4_hostlist_each(cases[i].expr, strlen(cases[i].expr), join, text, &fault),
			0);
		assert_string_equal(text, cases[i].names);
	}
}

static int ignore(void *arg, const char *name)
{
	(void)arg;
	return name[0] == '!' ? -ECANCELED : 0;
}

static void test_hostlists_that_are_none(void **state)
{
	static const char *const bad[] = {"",	   "a,",
					  "a,,b",  "a[",
					  "a[]",   "a[1-]",
					  "a[1,]", "a[3-1]",
					  "a[x]",  "a[1x]",
					  "a[-1]", "a[1]b[",
					  "a b",   "[1][1][1][1][1][1][1][1][1]"};
	struct c4_fault fault;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (c4_hostlist_each(bad[i], strlen(bad[i]), ignore, NULL, &fault) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
	assert_int_equal(c4_hostlist_each("a[0-9999999]", 12, ignore, NULL, &fault), -E2BIG);
	assert_int_equal(c4_hostlist_each("a[0-9],!,b", 10, ignore, NULL, &fault), -ECANCELED);
}

/* ---- Slurm ----------------------------------------------------------------------------------- */

static void test_slurm_tiers_come_from_depth(void **state)
{
	struct c4_fabric f;

	(void)state;
	load(&f, "# site\n"
		 "SwitchName=top Switches=s[0-1]  # comes before what it is above\n"
		 "SwitchName=s0 Switches=l[0-1] LinkSpeed=200\n"
		 "switchname=s1 switches=l[0-1]\n"
		 "SwitchName=l0 Nodes=n[0-1],\\\nio\n"
		 "SwitchName=l1 Nodes=n[2-3,0]\n");
	assert_int_equal(f.n_switches, 5);
	assert_int_equal(f.switches[c4_fabric_switch(&f, "top")].tier, C4_CORE);
	assert_int_equal(f.switches[c4_fabric_switch(&f, "s1")].tier, C4_SPINE);
	assert_int_equal(f.switches[c4_fabric_switch(&f, "l1")].tier, C4_LEAF);
	assert_int_equal(f.n_links, 6);
	assert_true(f.links[2].gbps == 200.f && f.links[4].gbps == 100.f);
	assert_int_equal(f.n_hosts, 5);
	assert_int_equal(f.nics[c4_fabric_nic(&f, "n0/r1p0")].leaf, c4_fabric_switch(&f, "l1"));
	assert_int_not_equal(c4_fabric_nic(&f, "io"), C4_NONE);
	c4_fabric_release(&f);
}

static void test_slurm_mistakes(void **state)
{
	(void)state;
	refuse("SwitchName=a Nodes=x\nSwitchName=a Nodes=y\n", C4_FABRIC_GUESS,
	       "F:2: switch 'a' is already described in line 1, expected");
	refuse("SwitchName=a Nodes=x\n\nSwitchName=b Switches=a,c\n", C4_FABRIC_GUESS,
	       "F:3: switch 'c' is unknown, expected");
	refuse("SwitchName=a \\\n Nodes=x\nSwitchName=b\n", C4_FABRIC_GUESS,
	       "F:3: a switch without Nodes= or Switches=, expected");
	refuse("SwitchName=a Nodes=x Switches=b\n", C4_FABRIC_GUESS,
	       "F:1: a switch with Nodes= and");
	refuse("SwitchName=a Nodes=x Colour=red\n", C4_FABRIC_GUESS, "F:1: 'Colour=red', expected");
	refuse("SwitchName=a Nodes=x[1-\n", C4_FABRIC_GUESS, "F:1: host list 'x[1-' has no ']'");
	refuse("SwitchName=a Nodes=x[0-2],x1\n", C4_FABRIC_GUESS, "F:1: node 'x1' is twice below");
	refuse("SwitchName=a Switches=b\nSwitchName=b Switches=a\n", C4_FABRIC_GUESS,
	       "F:1: switch 'a' is above 3 tiers or part of a ring");
	refuse("SwitchName=a Nodes=x\nSwitchName=b Switches=a\nSwitchName=c Switches=a,b\n",
	       C4_FABRIC_GUESS, "F:3: link a–c joins leaf and core, expected");
	refuse("nonsense\n", C4_FABRIC_SLURM, "F:1: 'nonsense', expected SwitchName=");
	refuse("", C4_FABRIC_SLURM, "F:1: no leaf");
}

/* ---- ibnetdiscover --------------------------------------------------------------------------- */

/* Two leaves, two spines, parallel cables, an adapter with two ports, an aggregation node. */
static const char ib[] =
	"#\n# Topology file: generated on Sat Oct 11 18:37:46 2025\n#\n\n"
	"vendid=0x2c9\ndevid=0xd2f0\nsysimgguid=0x1\nswitchguid=0x1(1)\n"
	"Switch\t41 \"S-0001\"\t\t# \"MF0;leafA:MQM8700/U1\" enhanced port 0 lid 1 lmc 0\n"
	"[1]\t\"H-00a0\"[1](a1) \t\t# \"node01 mlx5_10\" lid 2 4xHDR\n"
	"[2]\t\"H-00b0\"[1](b1) \t\t# \"node01 mlx5_2\" lid 3 4xHDR\n"
	"[31]\t\"S-0003\"[1] \t\t# \"MF0;spine:MQM8700/U1\" lid 4 4xHDR\n"
	"[32]\t\"S-0003\"[2] \t\t# \"MF0;spine:MQM8700/U1\" lid 4 4xEDR\n"
	"[33]\t\"S-0004\"[1] \t\t# \"MF0;spine:MQM8700/U1\" lid 5 2xNDR\n"
	"\nswitchguid=0x2(2)\n"
	"Switch\t41 \"S-0002\"\t\t# \"leaf B\" enhanced port 0 lid 1 lmc 0\n"
	"[1]\t\"H-00c0\"[1](c1) \t\t# \"node02 mlx5_0\" lid 2 4xHDR\n"
	"[2]\t\"H-00c0\"[2](c2) \t\t# \"node02 mlx5_0\" lid 2 4xHDR\n"
	"[31]\t\"S-0003\"[3] \t\t# \"MF0;spine:MQM8700/U1\" lid 4 4xFDR10\n"
	"\nSwitch\t41 \"S-0003\"\t\t# \"MF0;spine:MQM8700/U1\" enhanced port 0 lid 4 lmc 0\n"
	"[1]\t\"S-0001\"[31] \t\t# \"MF0;leafA:MQM8700/U1\" lid 1 4xHDR\n"
	"[2]\t\"S-0001\"[32] \t\t# \"MF0;leafA:MQM8700/U1\" lid 1 4xEDR\n"
	"[3]\t\"S-0002\"[31] \t\t# \"leaf B\" lid 1 4xFDR10\n"
	"[41]\t\"H-00e0\"[1](e1) \t\t# \"Mellanox Technologies Aggregation Node\" lid 9 4xHDR\n"
	"\nSwitch\t41 \"S-0004\"\t\t# \"MF0;spine:MQM8700/U1\" enhanced port 0 lid 5 lmc 0\n"
	"[1]\t\"S-0001\"[33] \t\t# \"MF0;leafA:MQM8700/U1\" lid 1 2xNDR\n"
	"\ncaguid=0xa0\nCa\t1 \"H-00a0\"\t\t# \"node01 mlx5_10\"\n"
	"[1](a1) \t\"S-0001\"[1]\t\t# lid 2 lmc 0 \"MF0;leafA:MQM8700/U1\" lid 1 4xHDR\n"
	"\nCa\t1 \"H-00b0\"\t\t# \"node01 mlx5_2\"\n"
	"[1](b1) \t\"S-0001\"[2]\t\t# lid 3 lmc 0 \"MF0;leafA:MQM8700/U1\" lid 1 4xHDR\n"
	"\nCa\t2 \"H-00c0\"\t\t# \"node02 mlx5_0\"\n"
	"[1](c1) \t\"S-0002\"[1]\t\t# lid 2 lmc 0 \"leaf B\" lid 1 4xHDR\n"
	"[2](c2) \t\"S-0002\"[2]\t\t# lid 2 lmc 0 \"leaf B\" lid 1 4xHDR\n"
	"\nCa\t1 \"H-00e0\"\t\t# \"Mellanox Technologies Aggregation Node\"\n"
	"[1](e1) \t\"S-0003\"[41]\t\t# lid 9 lmc 0 \"MF0;spine:MQM8700/U1\" lid 4 4xHDR\n";

static void test_ibnet_is_read(void **state)
{
	struct c4_fabric f;

	(void)state;
	load(&f, ib);
	assert_int_equal(f.n_switches, 4);
	assert_int_equal(f.switches[c4_fabric_switch(&f, "leafA")].tier, C4_LEAF);
	assert_int_equal(f.switches[c4_fabric_switch(&f, "leaf_B")].tier, C4_LEAF);
	/* two of one name: by id; and no host makes the first a leaf */
	assert_int_equal(f.switches[c4_fabric_switch(&f, "S-0003")].tier, C4_SPINE);
	assert_int_equal(f.switches[c4_fabric_switch(&f, "S-0004")].tier, C4_SPINE);
	assert_int_equal(f.n_links, 4);
	assert_true(f.links[0].gbps == 200.f && f.links[1].gbps == 100.f);
	assert_true(f.links[2].gbps == 200.f && f.links[3].gbps == 40.f);
	assert_int_equal(f.n_hosts, 2);
	assert_int_equal(f.nics[c4_fabric_nic(&f, "node01/mlx5_2")].rail, 0);
	assert_int_equal(f.nics[c4_fabric_nic(&f, "node01/mlx5_10")].rail, 1);
	assert_int_equal(f.nics[c4_fabric_nic(&f, "node02/mlx5_0:2")].leaf,
			 c4_fabric_switch(&f, "leaf_B"));
	assert_int_equal(f.nics[c4_fabric_nic(&f, "node02/mlx5_0:1")].plane, 0);
	c4_fabric_release(&f);
}

/* Networks that no cable joins are planes; rails are counted within each. */
static void test_ibnet_planes_are_networks(void **state)
{
	struct c4_fabric f;

	(void)state;
	load(&f, "Switch\t2 \"S-1\" # \"A\"\n[1] \"H-1\"[1](1) # \"n mlx5_0\" lid 1 4xNDR\n"
		 "Switch\t2 \"S-2\" # \"B\"\n[1] \"H-1\"[2](2) # \"n mlx5_0\" lid 1 4xNDR\n"
		 "Ca\t2 \"H-1\" # \"n mlx5_0\"\n");
	assert_int_equal(f.n_nets, 2);
	assert_int_equal(f.nics[c4_fabric_nic(&f, "n/mlx5_0:1")].plane, 0);
	assert_int_equal(f.nics[c4_fabric_nic(&f, "n/mlx5_0:2")].plane, 1);
	assert_int_equal(f.nics[c4_fabric_nic(&f, "n/mlx5_0:2")].rail, 0);
	assert_true(f.nics[0].gbps == 400.f);
	c4_fabric_release(&f);
}

static void test_ibnet_mistakes(void **state)
{
	char cut[sizeof ib];

	(void)state;
	memcpy(cut, ib, sizeof cut);
	*strstr(cut, "\ncaguid=0xa0") = '\0';
	refuse(cut, C4_FABRIC_GUESS, "F:10: 'H-00a0' has no record, expected one");
	refuse("[1] \"S-1\"[2] # 4xHDR\n", C4_FABRIC_IBNET, "F:1: a port without a node, expected");
	refuse("Switch\t2 \"S-1\"\n[1] \"S-2\"[2]\n", C4_FABRIC_GUESS,
	       "F:2: a port without a rate");
	refuse("Switch\t2 \"S-1\"\n[999] \"S-2\"[2] # 4xHDR\n", C4_FABRIC_GUESS,
	       "F:2: a port of another form, expected");
	refuse("Switch\t2 \"S-1\"\n[1] \"S-2\"[2] # 4xHDR\n[1] \"S-2\"[3] # 4xHDR\n",
	       C4_FABRIC_GUESS, "F:3: port 1 of 'S-1' has another cable in line 2");
	refuse("Switch\t2 \"S-1\"\nSwitch\t2 \"S-1\"\n", C4_FABRIC_GUESS,
	       "F:2: 'S-1' has a record already, in line 1");
	refuse("Switch\t2\n", C4_FABRIC_IBNET, "F:1: a record without an id, expected");
	refuse("hello\n", C4_FABRIC_IBNET, "F:1: 'hello', expected a Switch, Ca or Rt record");
	refuse("# nothing\n", C4_FABRIC_IBNET, "F:1: no leaf");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hostlists_expand),
		cmocka_unit_test(test_hostlists_that_are_none),
		cmocka_unit_test(test_slurm_tiers_come_from_depth),
		cmocka_unit_test(test_slurm_mistakes),
		cmocka_unit_test(test_ibnet_is_read),
		cmocka_unit_test(test_ibnet_planes_are_networks),
		cmocka_unit_test(test_ibnet_mistakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
