/* SPDX-License-Identifier: BSD-3-Clause */
/* clos_fabric.h - a regular fabric for a test, made from what matters to it. One thread. */
#ifndef C4_TESTS_CLOS_FABRIC_H
#define C4_TESTS_CLOS_FABRIC_H

#include <stdio.h>
#include <stdlib.h>

#include "planner/model/fabric/clos.h"

/* f: uninitialised. gbps 0: 400; rails and planes 0: 1. A shape that cannot be ends the test. */
static inline void clos_fabric(struct c4_fabric *f, struct c4_clos shape)
{
	struct c4_fault fault;

	shape.gbps = shape.gbps > 0 ? shape.gbps : 400;
	shape.rails = shape.rails ? shape.rails : 1;
	shape.planes = shape.planes ? shape.planes : 1;
	c4_fabric_init(f);
	if (c4_clos_make(f, &shape, &fault)) {
		fprintf(stderr, "no fabric: %s\n", fault.what);
		abort();
	}
}

#endif
