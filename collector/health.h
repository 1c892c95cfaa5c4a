/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * health.h - the GPUs and network interfaces of one agent's node, as they were last told.
 *
 * Counters are cumulative on the wire; what is shown and judged is how far they moved within the
 * last minute (between half a minute and a whole one), so that an old error does not accuse
 * anybody today. Counters that go back begin anew. At most C4_HEALTH_GPUS and C4_HEALTH_NICS are
 * kept, further ones are left to the caller to count. Owned by the agent. One thread.
 */
#ifndef C4_COLLECTOR_HEALTH_H
#define C4_COLLECTOR_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "c4.pb-c.h"
#include "collector/diag/diag.h"
#include "collector/stats.h"

#define C4_HEALTH_GPUS 64u
#define C4_HEALTH_NICS 64u

struct c4_health;

struct c4_health *c4_health_new(void); /* NULL: out of memory */
void c4_health_free(struct c4_health *h);

/* What an agent says of a device. C4_PART_OK, or why it was left out. */
enum c4_part_refusal c4_health_gpu(struct c4_health *h, const C4__V1__Gpu *g, uint64_t now_ns);
enum c4_part_refusal c4_health_nic(struct c4_health *h, const C4__V1__Nic *n, uint64_t now_ns);

/* For the diagnosis, with ages as of now. Valid until the next call; h may be NULL (then NULL). */
const struct c4_diag_health *c4_health_now(struct c4_health *h, uint64_t now_ns);

/* The GPU at this PCI bus address, else (bus "") with this index; NULL: not known. The same
 * address may be written with a long or a short domain, in any case. */
const struct c4_diag_gpu *c4_health_find_gpu(const struct c4_health *h, const char *bus,
					     int32_t index);

#endif
