/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nic.h - counters of this node's network interfaces, from sysfs: real ones (with a device behind
 * them) of class net, and each port of class infiniband. What a driver does not count reads 0.
 * Reading may block while firmware answers: it belongs on a worker. Thread-safe, no state.
 */
#ifndef C4_AGENT_NIC_H
#define C4_AGENT_NIC_H

#include <stdbool.h>
#include <stdint.h>

#define C4_NICS_MAX	  64u
#define C4_NIC_NAME_BYTES 64

/* As message Nic. */
struct c4_nic {
	char name[C4_NIC_NAME_BYTES]; /* eth0, mlx5_0, mlx5_0:2 for a second port */
	bool rdma, up;
	uint32_t mbps;
	uint64_t tx_bytes, rx_bytes;
	uint64_t errors, drops, retries, cnps, pauses, downs;
};

struct c4_nic_source {
	const char *root;     /* where sysfs is mounted */
	bool virtual_as_well; /* veth, bridges, bonds; but never lo */
};

/*
 * Reads them into out[C4_NICS_MAX], RDMA ports first, each class in the order of its names. Returns
 * how many there are in all: further ones are left out.
 */
uint32_t c4_nics_read(const struct c4_nic_source *source, struct c4_nic *out);

/*
 * Bytes that one port of an RDMA device, or one interface, has sent. False: nobody counts them (or
 * it is not there), *ret_bytes untouched.
 */
bool c4_nic_port_sent(const char *root, const char *device, const char *port, uint64_t *ret_bytes);
bool c4_nic_net_sent(const char *root, const char *name, uint64_t *ret_bytes);

#endif
