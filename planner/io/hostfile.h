/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hostfile.h - lists of hosts in the launchers' forms, in and out.
 *
 * In: "h0,h5,n[00-15]" (hostlist.h), or a file of lines "HOSTS", "HOSTS:SLOTS",
 * "HOSTS slots=SLOTS" with # comments. A host named again gets more slots, as with mpirun.
 * Out: see enum c4_hostfile_form. One thread.
 */
#ifndef C4_PLANNER_HOSTFILE_H
#define C4_PLANNER_HOSTFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/ds/strmap.h"
#include "planner/model/demand/order.h"

#define C4_ROSTER_SLOTS_MAX 65536u /* of one host */

/* Names, slots, and the fabric's index (C4_NONE until c4_roster_find()). */
struct c4_roster {
	struct c4_order_host *hosts;
	uint32_t n, cap;
	struct c4_strmap names; /* interned; value: index + 1 */
};

void c4_roster_release(struct c4_roster *l);

/* Both add to the list: 0, -ENOMEM, or -EINVAL with lines "NAME:LINE: what, expected what". */
int c4_roster_parse(struct c4_roster *l, const char *name, const char *text, struct c4_buf *errors);
int c4_roster_parse_file(struct c4_roster *l, const char *name, const char *text, size_t n,
			 struct c4_buf *errors);

/* Looks the hosts up; returns how many the fabric does not know. */
uint32_t c4_roster_find(struct c4_roster *l, const struct c4_fabric *f);

enum c4_hostfile_form {
	C4_HOSTFILE_MPIRUN,   /* "HOST slots=N" per host, for mpirun --hostfile */
	C4_HOSTFILE_SLURM,    /* a line per rank, for SLURM_HOSTFILE and srun -m arbitrary */
	C4_HOSTFILE_TORCHRUN, /* "HOST ARGUMENTS-OF-TORCHRUN" per host, static rendezvous */
	C4_HOSTFILE_LIST      /* a line per host */
};

#define C4_HOSTFILE_FORMS "mpirun, slurm, torchrun or list"

bool c4_hostfile_form(const char *name, enum c4_hostfile_form *ret);
void c4_hostfile_write(FILE *f, enum c4_hostfile_form form, const struct c4_order_host *hosts,
		       uint32_t n);

#endif
