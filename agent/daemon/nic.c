// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/nic.h"

#include <dirent.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/daemon/sysfs.h"

#define TEXT_BYTES 128

/* A file that adds to a member of struct c4_nic. */
struct counter {
	const char *file;
	size_t at;
	uint64_t scale;
};

#define AT(member) offsetof(struct c4_nic, member)
static const struct counter net_counters[] = {
	{"statistics/tx_bytes", AT(tx_bytes), 1},
	{"statistics/rx_bytes", AT(rx_bytes), 1},
	{"statistics/tx_errors", AT(errors), 1},
	{"statistics/rx_errors", AT(errors), 1},
	{"statistics/tx_dropped", AT(drops), 1},
	{"statistics/rx_dropped", AT(drops), 1},
	{"statistics/rx_missed_errors", AT(drops), 1},
	{"carrier_changes", AT(downs), 1},
	{0},
};

/* Data is counted in words of 4 bytes. Which of the hw_counters there are is the driver's choice:
 * mlx5, then bnxt_re, irdma, efa. */
static const struct counter port_counters[] = {
	{"counters/port_xmit_data", AT(tx_bytes), 4},
	{"counters/port_rcv_data", AT(rx_bytes), 4},
	{"counters/symbol_error", AT(errors), 1},
	{"counters/port_rcv_errors", AT(errors), 1},
	{"counters/local_link_integrity_errors", AT(errors), 1},
	{"hw_counters/rx_icrc_encapsulated", AT(errors), 1},
	{"counters/port_xmit_discards", AT(drops), 1},
	{"hw_counters/out_of_buffer", AT(drops), 1},
	{"hw_counters/rx_drops", AT(drops), 1},
	{"hw_counters/local_ack_timeout_err", AT(retries), 1},
	{"hw_counters/out_of_sequence", AT(retries), 1},
	{"hw_counters/packet_seq_err", AT(retries), 1},
	{"hw_counters/rnr_nak_retry_err", AT(retries), 1},
	{"hw_counters/roce_adp_retrans", AT(retries), 1},
	{"hw_counters/to_retransmits", AT(retries), 1},
	{"hw_counters/tcpRetransSegs", AT(retries), 1},
	{"hw_counters/retrans_pkts", AT(retries), 1},
	{"hw_counters/rp_cnp_handled", AT(cnps), 1},
	{"hw_counters/rx_cnp_pkts", AT(cnps), 1},
	{"hw_counters/cnpHandled", AT(cnps), 1},
	{"counters/port_xmit_wait", AT(pauses), 1},
	{"counters/link_downed", AT(downs), 1},
	{0},
};

/* Instead of the first two, where there are none (efa). */
static const struct counter plain_byte_counters[] = {
	{"hw_counters/tx_bytes", AT(tx_bytes), 1},
	{"hw_counters/rx_bytes", AT(rx_bytes), 1},
	{0},
};
#undef AT

/* ---- files ---------------------------------------------------------------------------------- */

static bool exists(const char *dir, const char *name)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof path, "%s/%s", dir, name);

	return n > 0 && (size_t)n < sizeof path && !access(path, F_OK);
}

static void add_counters(struct c4_nic *nic, const char *dir, const struct counter *list)
{
	char text[TEXT_BYTES];

	for (const struct counter *c = list; c->file; c++) {
		uint64_t *sum = (uint64_t *)((char *)nic + c->at);

		if (c4_sysfs_line(dir, c->file, text, sizeof text) && text[0] != '-')
			*sum += strtoull(text, NULL, 10) * c->scale;
	}
}

static uint32_t to_mbps(double mbps)
{
	return mbps > 0 && mbps < UINT32_MAX ? (uint32_t)mbps : 0;
}

/* ---- interfaces ----------------------------------------------------------------------------- */

static void read_net(struct c4_nic *nic, const char *dir, const char *name)
{
	char text[TEXT_BYTES];

	*nic = (struct c4_nic){0};
	snprintf(nic->name, sizeof nic->name, "%s", name);
	c4_sysfs_line(dir, "operstate", text, sizeof text);
	nic->up = !strcmp(text, "up");
	c4_sysfs_line(dir, "speed", text, sizeof text);
	nic->mbps = to_mbps(strtod(text, NULL));
	add_counters(nic, dir, net_counters);
}

static void read_port(struct c4_nic *nic, const char *dir, const char *device, const char *port)
{
	bool first = !strcmp(port, "1");
	char text[TEXT_BYTES];

	*nic = (struct c4_nic){.rdma = true};
	snprintf(nic->name, sizeof nic->name, "%.48s%s%.8s", device, first ? "" : ":",
		 first ? "" : port);
	c4_sysfs_line(dir, "state", text, sizeof text);
	nic->up = strtol(text, NULL, 10) == 4; /* "4: ACTIVE" */
	c4_sysfs_line(dir, "rate", text, sizeof text);
	nic->mbps = to_mbps(strtod(text, NULL) * 1000); /* "100 Gb/sec (4X EDR)" */
	add_counters(nic, dir, port_counters);
	if (!exists(dir, port_counters[0].file))
		add_counters(nic, dir, plain_byte_counters);
}

/* ---- directories ---------------------------------------------------------------------------- */

/* Where reading has come to: out[0…n), n may exceed what fits. */
struct reading {
	const struct c4_nic_source *source;
	struct c4_nic *out;
	uint32_t n;
	const char *device; /* whose ports are being visited */
};

/* Room for one more; NULL: it is only counted. */
static struct c4_nic *next_nic(struct reading *r)
{
	uint32_t i = r->n++;

	return i < C4_NICS_MAX ? &r->out[i] : NULL;
}

typedef void visit_entry(struct reading *r, const char *dir, const char *name);

static int no_dots(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

/* Calls visit for each entry of dir with its path, in the order of their names. */
static void for_each_entry(struct reading *r, const char *dir, visit_entry *visit)
{
	struct dirent **list;
	char path[PATH_MAX];
	int n = scandir(dir, &list, no_dots, versionsort);

	for (int i = 0; i < n; i++) {
		int len = snprintf(path, sizeof path, "%s/%s", dir, list[i]->d_name);

		if (len > 0 && (size_t)len < sizeof path)
			visit(r, path, list[i]->d_name);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
}

static void visit_net(struct reading *r, const char *dir, const char *name)
{
	struct c4_nic *nic;

	if (!strcmp(name, "lo") || !exists(dir, "statistics"))
		return;
	if (!r->source->virtual_as_well && !exists(dir, "device"))
		return;
	nic = next_nic(r);
	if (nic)
		read_net(nic, dir, name);
}

static void visit_port(struct reading *r, const char *dir, const char *port)
{
	struct c4_nic *nic = next_nic(r);

	if (nic)
		read_port(nic, dir, r->device, port);
}

static void visit_device(struct reading *r, const char *dir, const char *name)
{
	char ports[PATH_MAX + 8];

	snprintf(ports, sizeof ports, "%s/ports", dir);
	r->device = name;
	for_each_entry(r, ports, visit_port);
}

uint32_t c4_nics_read(const struct c4_nic_source *source, struct c4_nic *out)
{
	struct reading r = {.source = source, .out = out};
	char dir[PATH_MAX];

	if (snprintf(dir, sizeof dir, "%s/class/infiniband", source->root) < (int)sizeof dir)
		for_each_entry(&r, dir, visit_device);
	if (snprintf(dir, sizeof dir, "%s/class/net", source->root) < (int)sizeof dir)
		for_each_entry(&r, dir, visit_net);
	return r.n;
}

/* ---- one of them ---------------------------------------------------------------------------- */

static bool read_counter(const char *dir, const struct counter *c, uint64_t *ret)
{
	char text[TEXT_BYTES];

	if (!c4_sysfs_line(dir, c->file, text, sizeof text) || text[0] < '0' || text[0] > '9')
		return false;
	*ret = strtoull(text, NULL, 10) * c->scale;
	return true;
}

bool c4_nic_port_sent(const char *root, const char *device, const char *port, uint64_t *ret_bytes)
{
	char dir[PATH_MAX];
	int n = snprintf(dir, sizeof dir, "%s/class/infiniband/%s/ports/%s", root, device, port);

	return n > 0 && (size_t)n < sizeof dir &&
	       (read_counter(dir, &port_counters[0], ret_bytes) ||
		read_counter(dir, &plain_byte_counters[0], ret_bytes));
}

bool c4_nic_net_sent(const char *root, const char *name, uint64_t *ret_bytes)
{
	char dir[PATH_MAX];
	int n = snprintf(dir, sizeof dir, "%s/class/net/%s", root, name);

	return n > 0 && (size_t)n < sizeof dir && read_counter(dir, &net_counters[0], ret_bytes);
}
