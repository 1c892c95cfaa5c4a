/* SPDX-License-Identifier: BSD-3-Clause */
/* msg_device.h - devices that are due (devices.h) as messages Gpu and Nic. */
#ifndef C4_AGENT_MSG_DEVICE_H
#define C4_AGENT_MSG_DEVICE_H

#include <stddef.h>

#include "agent/daemon/devices.h"
#include "c4.pb-c.h"
#include "common/ds/arena.h"

/* The messages live in the arena. NULL with *ret_n 0: out of memory. Marks nothing as told. */
C4__V1__Gpu **c4_msg_gpus(struct c4_arena *arena, struct c4_devices *d, uint64_t now_ns,
			  size_t *ret_n);
C4__V1__Nic **c4_msg_nics(struct c4_arena *arena, struct c4_devices *d, uint64_t now_ns,
			  size_t *ret_n);

#endif
