/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ibnet.h - reading what `ibnetdiscover` prints: records of switches ("S-guid"), adapters
 * ("H-guid") and routers (left out), each followed by its ports.
 *
 * A switch with adapters is a leaf, its neighbours spines, theirs cores. Switches are called by
 * their description where it is unique ("MF0;NAME:…" by NAME), else by id. An adapter described as
 * "HOST DEVICE" is the NIC HOST/DEVICE (DEVICE:PORT if several ports are cabled), else ID/pPORT.
 * A plane is a network that cables join; the rail is the adapter's place among those of its host
 * in that plane. Aggregation nodes inside switches are no hosts. Rates are nominal: 4xHDR = 200.
 * Silent: mistakes go to the complaints. One thread.
 */
#ifndef C4_PLANNER_IO_IBNET_H
#define C4_PLANNER_IO_IBNET_H

#include <stddef.h>

#include "planner/io/complaint.h"
#include "planner/model/fabric/fabric.h"

/* Fills an initialised fabric and finishes it. 0 or a negative errno with complaints. */
int c4_fabric_read_ibnet(struct c4_fabric *f, const char *text, size_t len,
			 struct c4_complaints *c);

#endif
