/* SPDX-License-Identifier: BSD-3-Clause */
/* verdict.h - building verdicts; private to diag. An allocation failure is remembered in the list
 * and reported once by c4_diagnose(). */
#ifndef C4_COLLECTOR_DIAG_VERDICT_H
#define C4_COLLECTOR_DIAG_VERDICT_H

#include "collector/diag/diag.h"

/* Appends an empty verdict about the given ranks (copied). The key is a hash of kind, ranks and
 * `about` (a communicator id where the same ranks can be guilty twice, else 0). NULL: no memory.
 * The pointer is valid until the next call. */
struct c4_verdict *c4_verdict_add(struct c4_verdicts *list, const struct c4_diag_job *job,
				  enum c4_incident_kind kind, uint64_t about, const int32_t *ranks,
				  uint32_t nranks);

/* One more line of evidence; silently full after C4_DIAG_EVIDENCE. peers may be NAN. */
void c4_verdict_evidence(struct c4_verdict *v, const char *metric, double value, double peers,
			 uint32_t blocks, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

void c4_verdict_say(struct c4_verdict *v, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Blames the GPU of this rank, if it is known which one that is. */
void c4_verdict_gpu(struct c4_verdict *v, const struct c4_diag_job *job, int32_t rank);

/* "n2/gpu3"; false: the rank's GPU is not known. */
bool c4_diag_gpu_name(const struct c4_diag_job *job, int32_t rank, char *buf, size_t n);

/* "n1→n2 (rank 3 → rank 6)" */
void c4_diag_link_name(const struct c4_diag_job *job, int32_t src, int32_t dst, char *buf,
		       size_t n);

/* Another key for the same fault than its ranks give: these may change while it lasts. */
void c4_verdict_rekey(struct c4_verdict *v, uint64_t about);

/* "rank 5 (node n2)" or "ranks 4,5 (node n2)" or "ranks 1,9". Returns buf. */
const char *c4_verdict_who(const struct c4_verdict *v, char *buf, size_t n);

/* The ranks' common node, or NULL. */
const char *c4_ranks_node(const struct c4_diag_job *job, const int32_t *ranks, uint32_t n);

/* Name for people, never empty. */
const char *c4_diag_comm_name(const struct c4_diag_job *job, uint32_t comm);

#endif
