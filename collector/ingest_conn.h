/* SPDX-License-Identifier: BSD-3-Clause */
/* ingest_conn.h - Conn messages of a process → tables of connections; part of ingest. */
#ifndef C4_COLLECTOR_INGEST_CONN_H
#define C4_COLLECTOR_INGEST_CONN_H

#include "collector/ingest_process.h"

/* All connections a message tells of. */
void c4_ingest_conns(struct c4_ingest_ctx *ctx, struct c4_rank *r, const C4__V1__Process *p);

#endif
