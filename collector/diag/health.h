/* SPDX-License-Identifier: BSD-3-Clause */
/* health.h - what the states of GPUs and network interfaces mean. Pure. */
#ifndef C4_COLLECTOR_DIAG_HEALTH_H
#define C4_COLLECTOR_DIAG_HEALTH_H

#include "collector/diag/diag.h"

/* NVML's mask of throttle reasons in words, "" for none but idleness. Returns buf. */
const char *c4_health_throttle_words(uint64_t mask, char *buf, size_t n);

/* Speed of the slowest interface that carries something, Mbit/s; 0: not known. */
uint32_t c4_health_slowest_mbps(const struct c4_diag_health *h);

/* True if any interface that carries something reports a fault of its own. */
bool c4_health_own_fault(const struct c4_diag_health *h);

/* True if the interface reports what only its own side of a cable can cause: line errors, or that
 * it went down. Retries and drops may be anybody's. */
bool c4_health_nic_own_fault(const struct c4_diag_nic *n);

#endif
