/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * detail.h - asking a process for more: transport steps, which cost it something, until a time that
 * is written into its segment. The wish runs out by itself, so it is repeated while it lasts; a
 * process whose agent is gone goes back to its usual detail. The only thing an agent ever writes
 * into a segment.
 */
#ifndef C4_AGENT_DETAIL_H
#define C4_AGENT_DETAIL_H

#include <stdint.h>

struct c4_target;

/*
 * Wants transport steps from now on for span_ns, and tells of connections more often meanwhile. 0;
 * -ENOTSUP: it has no connections to tell of; -ESTALE: gone, or its file is another one now; or a
 * negative errno of open(2).
 */
int c4_detail_ask(struct c4_target *t, uint64_t span_ns);

#endif
