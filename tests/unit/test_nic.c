// SPDX-License-Identifier: BSD-3-Clause
/* Network interfaces, read from trees of files as sysfs has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/daemon/nic.h"
#include "tests/unit/fake/sysfs.h"

#define MLX "class/infiniband/mlx5_0/ports/1/"

static char root[64];
static struct c4_nic_source source;
static struct c4_nic out[C4_NICS_MAX];

static int setup(void **state)
{
	(void)state;
	snprintf(root, sizeof root, "/tmp/c4-sysfs.XXXXXX");
	source = (struct c4_nic_source){root, false};
	memset(out, 0xff, sizeof out);
	return !mkdtemp(root);
}

static int teardown(void **state)
{
	(void)state;
	return sysfs_remove(root);
}

static void put(const char *path, const char *content)
{
	sysfs_put(root, path, content);
}

/* An Ethernet interface; real: there is a device behind it. */
static void put_net(const char *name, bool real)
{
	static const struct {
		const char *file, *content;
	} files[] = {
		{"operstate", "up"},	       {"speed", "25000"},
		{"carrier_changes", "3"},      {"statistics/tx_bytes", "1000000000000"},
		{"statistics/rx_bytes", "7"},  {"statistics/tx_errors", "1"},
		{"statistics/rx_errors", "2"}, {"statistics/rx_dropped", "4"},
	};
	char path[128];

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		snprintf(path, sizeof path, "class/net/%s/%s", name, files[i].file);
		put(path, files[i].content);
	}
	snprintf(path, sizeof path, "class/net/%s/device/vendor", name);
	if (real)
		put(path, "0x15b3");
}

static void put_mlx(void)
{
	put(MLX "state", "4: ACTIVE");
	put(MLX "rate", "200 Gb/sec (4X HDR)");
	put(MLX "counters/port_xmit_data", "1000");
	put(MLX "counters/port_rcv_data", "2000");
	put(MLX "counters/symbol_error", "1");
	put(MLX "counters/port_rcv_errors", "2");
	put(MLX "counters/local_link_integrity_errors", "4");
	put(MLX "counters/port_xmit_discards", "8");
	put(MLX "counters/link_downed", "5");
	put(MLX "counters/port_xmit_wait", "123456");
	put(MLX "hw_counters/local_ack_timeout_err", "16");
	put(MLX "hw_counters/out_of_sequence", "32");
	put(MLX "hw_counters/packet_seq_err", "64");
	put(MLX "hw_counters/rp_cnp_handled", "777");
	put(MLX "hw_counters/rx_write_requests", "99999"); /* of no interest */
}

static void test_nothing(void **state)
{
	(void)state;
	assert_int_equal(c4_nics_read(&source, out), 0);
	source.root = "/nonexistent";
	assert_int_equal(c4_nics_read(&source, out), 0);
}

static void test_ethernet(void **state)
{
	(void)state;
	put_net("eth0", true);
	assert_int_equal(c4_nics_read(&source, out), 1);
	assert_string_equal(out[0].name, "eth0");
	assert_false(out[0].rdma);
	assert_true(out[0].up);
	assert_int_equal(out[0].mbps, 25000);
	assert_int_equal(out[0].tx_bytes, 1000000000000);
	assert_int_equal(out[0].rx_bytes, 7);
	assert_int_equal(out[0].errors, 3);
	assert_int_equal(out[0].drops, 4);
	assert_int_equal(out[0].downs, 3);
	assert_int_equal(out[0].retries, 0);
}

/* A link that is down has no speed, and says so in several ways. */
static void test_down(void **state)
{
	(void)state;
	put_net("eth0", true);
	put("class/net/eth0/operstate", "down");
	put("class/net/eth0/speed", "-1");
	c4_nics_read(&source, out);
	assert_false(out[0].up);
	assert_int_equal(out[0].mbps, 0);
	put("class/net/eth0/speed", "4294967295");
	c4_nics_read(&source, out);
	assert_int_equal(out[0].mbps, 0);
}

static void test_virtual(void **state)
{
	(void)state;
	put_net("lo", false);
	put_net("veth12", false);
	put_net("eth0", true);
	put("class/net/bonding_masters", "bond0"); /* a file among the interfaces */
	assert_int_equal(c4_nics_read(&source, out), 1);
	assert_string_equal(out[0].name, "eth0");
	source.virtual_as_well = true;
	assert_int_equal(c4_nics_read(&source, out), 2);
	assert_string_equal(out[1].name, "veth12");
}

static void test_rdma(void **state)
{
	(void)state;
	put_mlx();
	put_net("eth0", true);
	assert_int_equal(c4_nics_read(&source, out), 2);
	assert_string_equal(out[0].name, "mlx5_0");
	assert_true(out[0].rdma && out[0].up);
	assert_int_equal(out[0].mbps, 200000);
	assert_int_equal(out[0].tx_bytes, 4000); /* counted in words */
	assert_int_equal(out[0].rx_bytes, 8000);
	assert_int_equal(out[0].errors, 7);
	assert_int_equal(out[0].drops, 8);
	assert_int_equal(out[0].retries, 112);
	assert_int_equal(out[0].cnps, 777);
	assert_int_equal(out[0].pauses, 123456);
	assert_int_equal(out[0].downs, 5);
	put(MLX "state", "1: DOWN");
	put(MLX "rate", "2.5 Gb/sec (1X SDR)");
	c4_nics_read(&source, out);
	assert_false(out[0].up);
	assert_int_equal(out[0].mbps, 2500);
}

/* Each port is one; a driver without the standard counters has its own. */
static void test_ports(void **state)
{
	(void)state;
	put_mlx();
	put("class/infiniband/mlx5_0/ports/2/state", "4: ACTIVE");
	put("class/infiniband/rdmap0/ports/1/hw_counters/tx_bytes", "5000");
	put("class/infiniband/rdmap0/ports/1/hw_counters/rx_bytes", "6000");
	put("class/infiniband/rdmap0/ports/1/hw_counters/retrans_pkts", "7");
	assert_int_equal(c4_nics_read(&source, out), 3);
	assert_string_equal(out[1].name, "mlx5_0:2");
	assert_string_equal(out[2].name, "rdmap0");
	assert_int_equal(out[2].tx_bytes, 5000);
	assert_int_equal(out[2].rx_bytes, 6000);
	assert_int_equal(out[2].retries, 7);
}

/* Files with anything in them. */
static void test_absurd(void **state)
{
	(void)state;
	put_net("eth0", true);
	put("class/net/eth0/statistics/tx_bytes", "-5");
	put("class/net/eth0/statistics/rx_bytes", "99999999999999999999999999");
	put("class/net/eth0/statistics/tx_errors", "");
	put("class/net/eth0/statistics/rx_errors", "what?");
	put("class/net/eth0/speed", "1e99");
	put(MLX "state", "");
	put(MLX "rate", "nan");
	assert_int_equal(c4_nics_read(&source, out), 2);
	assert_int_equal(out[0].mbps, 0);
	assert_int_equal(out[1].tx_bytes, 0);
	assert_true(out[1].rx_bytes == UINT64_MAX);
	assert_int_equal(out[1].errors, 0);
	assert_int_equal(out[1].mbps, 0);
}

/* More than we keep: the rest is only counted; names are sorted as people count. */
static void test_many(void **state)
{
	char name[32];

	(void)state;
	for (int i = 0; i < 70; i++) {
		snprintf(name, sizeof name, "eth%d", i);
		put_net(name, true);
	}
	assert_int_equal(c4_nics_read(&source, out), 70);
	assert_string_equal(out[2].name, "eth2");
	assert_string_equal(out[C4_NICS_MAX - 1].name, "eth63");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void test_bytes_of_one(void **state)
{
	uint64_t bytes = 77;

	(void)state;
	put(MLX "counters/port_xmit_data", "250");
	put("class/infiniband/rdmap0/ports/1/hw_counters/tx_bytes", "5000");
	put("class/infiniband/rxe0/ports/1/hw_counters/sent_pkts", "9");
	put_net("eth0", false);
	assert_false(c4_nic_port_sent(root, "rxe0", "1", &bytes));
	assert_false(c4_nic_port_sent(root, "mlx5_0", "2", &bytes));
	assert_false(c4_nic_net_sent(root, "eth1", &bytes));
	assert_int_equal(bytes, 77);
	assert_true(c4_nic_port_sent(root, "mlx5_0", "1", &bytes));
	assert_int_equal(bytes, 1000);
	assert_true(c4_nic_port_sent(root, "rdmap0", "1", &bytes));
	assert_int_equal(bytes, 5000);
	assert_true(c4_nic_net_sent(root, "eth0", &bytes));
	assert_true(bytes == 1000000000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_nothing), T(test_ethernet), T(test_down), T(test_virtual),      T(test_rdma),
		T(test_ports),	 T(test_absurd),   T(test_many), T(test_bytes_of_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
