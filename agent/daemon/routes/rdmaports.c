// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/routes/rdmaports.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "agent/daemon/nic.h"
#include "agent/daemon/sysfs.h"

#define INDEX_BYTES 8 /* of a GID, as text */

/* ---- directories ---------------------------------------------------------------------------- */

/* The next entry that is not hidden and whose name fits; NULL: there are no more. */
static const char *next_name(DIR *d, size_t size)
{
	const struct dirent *e;

	while ((e = readdir(d)))
		if (e->d_name[0] != '.' && strlen(e->d_name) < size)
			return e->d_name;
	return NULL;
}

static DIR *open_dir(const char *root, const char *more)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof path, "%s/class/infiniband%s", root, more);

	return n > 0 && (size_t)n < sizeof path ? opendir(path) : NULL;
}

/* ---- ports and addresses -------------------------------------------------------------------- */

/* Of an IPv4-mapped GID, 0 of any other. */
static uint32_t address_of(const char *gid)
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
	struct in6_addr a;
	uint32_t word;

	if (inet_pton(AF_INET6, gid, &a) != 1 || memcmp(&a, prefix, sizeof prefix) != 0)
		return 0;
	memcpy(&word, a.s6_addr + 12, 4);
	return ntohl(word);
}

static void add_address(struct c4_rdmaports *p, uint32_t address)
{
	for (uint32_t i = 0; i < p->naddresses; i++)
		if (p->address[i] == address)
			return;
	if (p->naddresses == C4_RDMAPORTS_ADDRESSES)
		return;
	p->of[p->naddresses] = (uint8_t)(p->n - 1);
	p->address[p->naddresses++] = address;
}

static void read_gid(struct c4_rdmaports *p, const char *port_dir, const char *index)
{
	struct c4_rdmaport *x = &p->v[p->n - 1];
	char name[48], text[64];
	uint32_t address;

	snprintf(name, sizeof name, "gids/%s", index);
	address = c4_sysfs_line(port_dir, name, text, sizeof text) ? address_of(text) : 0;
	if (!address)
		return; /* empty places in the table read as zeros or not at all */
	add_address(p, address);
	snprintf(name, sizeof name, "gid_attrs/ndevs/%s", index);
	if (!x->net[0])
		c4_sysfs_line(port_dir, name, x->net, sizeof x->net);
}

static void find_addresses(struct c4_rdmaports *p, const char *root)
{
	const struct c4_rdmaport *x = &p->v[p->n - 1];
	char dir[PATH_MAX], more[C4_RDMAPORTS_NAME + 32];
	const char *index;
	DIR *d;
	int n;

	n = snprintf(dir, sizeof dir, "%s/class/infiniband/%s/ports/%s", root, x->device, x->port);
	snprintf(more, sizeof more, "/%s/ports/%s/gids", x->device, x->port);
	d = n > 0 && (size_t)n < sizeof dir ? open_dir(root, more) : NULL;
	while (d && (index = next_name(d, INDEX_BYTES)))
		read_gid(p, dir, index);
	if (d)
		closedir(d);
}

static void find_ports(struct c4_rdmaports *p, const char *root, const char *device)
{
	char more[C4_RDMAPORTS_NAME + 16];
	const char *name;
	DIR *d;

	snprintf(more, sizeof more, "/%s/ports", device);
	d = open_dir(root, more);
	while (d && p->n < C4_RDMAPORTS_MAX && (name = next_name(d, sizeof p->v->port))) {
		struct c4_rdmaport *x = &p->v[p->n++];

		*x = (struct c4_rdmaport){.counts = false};
		strcpy(x->device, device);
		strcpy(x->port, name);
		find_addresses(p, root);
	}
	if (d)
		closedir(d);
}

void c4_rdmaports_find(struct c4_rdmaports *p, const char *root)
{
	DIR *d = open_dir(root, "");
	const char *name;

	p->n = p->naddresses = 0;
	while (d && (name = next_name(d, C4_RDMAPORTS_NAME)))
		find_ports(p, root, name);
	if (d)
		closedir(d);
}

const struct c4_rdmaport *c4_rdmaports_of(const struct c4_rdmaports *p, uint32_t address)
{
	for (uint32_t i = 0; i < p->naddresses; i++)
		if (p->address[i] == address)
			return &p->v[p->of[i]];
	return NULL;
}

/* ---- counters ------------------------------------------------------------------------------- */

void c4_rdmaports_read(struct c4_rdmaports *p, const char *root, uint64_t now_ns)
{
	for (uint32_t i = 0; i < p->n; i++) {
		struct c4_rdmaport *x = &p->v[i];

		x->counts = c4_nic_port_sent(root, x->device, x->port, &x->sent_bytes);
		x->shared = !x->counts;
		if (x->shared && x->net[0])
			x->counts = c4_nic_net_sent(root, x->net, &x->sent_bytes);
	}
	p->read_ns = now_ns;
}

static const struct c4_rdmaport *same(const struct c4_rdmaports *p, const struct c4_rdmaport *port)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (!strcmp(p->v[i].device, port->device) && !strcmp(p->v[i].port, port->port) &&
		    !strcmp(p->v[i].net, port->net))
			return &p->v[i];
	return NULL;
}

double c4_rdmaports_rate(const struct c4_rdmaports *before, const struct c4_rdmaports *now,
			 const struct c4_rdmaport *port)
{
	const struct c4_rdmaport *was = same(before, port);

	if (!was || !was->counts || !port->counts || was->shared != port->shared ||
	    port->sent_bytes < was->sent_bytes || now->read_ns <= before->read_ns)
		return -1;
	return (double)(port->sent_bytes - was->sent_bytes) * 1e9 /
	       (double)(now->read_ns - before->read_ns);
}
