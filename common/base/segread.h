/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * segread.h - reading other processes' segments, trusting nothing.
 *
 * Everything is copied out with pread: a file that shrinks gives a short read, not a signal.
 * A copy is valid only if its guard (gen, entered, stamp, head) is the same afterwards.
 * One thread per reader; nothing allocates.
 */
#ifndef C4_BASE_SEGREAD_H
#define C4_BASE_SEGREAD_H

#include <stddef.h>
#include <stdint.h>

#include "c4/segment.h"

struct c4_seg_reader {
	int fd;			  /* -1: closed */
	struct c4_seg_header toc; /* as validated at opening; strings are terminated */
	uint64_t next;		  /* index of the next event to read */
	uint64_t lost;		  /* events overwritten before they were read */
	int owner_gone;		  /* set by the caller: half-written events count as lost, too */
};

/*
 * Opens and validates. 0; -EAGAIN: not published yet (or still being made), try later; -EPROTO:
 * another version (toc.version is set); -EBADMSG: not a segment or its table of contents does not
 * fit the file; or a negative errno of open(2). On failure nothing stays open.
 */
int c4_seg_reader_open(struct c4_seg_reader *r, const char *path);
void c4_seg_reader_close(struct c4_seg_reader *r);

/* Reads the header's living part anew into r->toc: phase, abort_code, lost, head, detail, and what
 * is only known once the library is up (job, launch, world rank and size, library, GPU).
 * 0 or -EBADMSG if the file shrank. */
int c4_seg_reader_refresh(struct c4_seg_reader *r);

/* Sets the bits of the slots in use among the first cap (a multiple of 64) of a table, clears the
 * others: one look at a table that is mostly empty. 0 or -EBADMSG. */
int c4_seg_used_threads(struct c4_seg_reader *r, uint64_t *bits, uint32_t cap);
int c4_seg_used_comms(struct c4_seg_reader *r, uint64_t *bits, uint32_t cap);
int c4_seg_used_conns(struct c4_seg_reader *r, uint64_t *bits, uint32_t cap);

/* Copies slot i of a table. 0; -EAGAIN: the writer was at it in each of a few attempts (or the
 * slot is free, for communicators and connections); -EBADMSG; -EINVAL: i out of range. */
int c4_seg_read_thread(struct c4_seg_reader *r, uint32_t i, struct c4_seg_thread *out);
int c4_seg_read_comm(struct c4_seg_reader *r, uint32_t i, struct c4_seg_comm *out);
int c4_seg_read_conn(struct c4_seg_reader *r, uint32_t i, struct c4_seg_conn *out);

/* Members' runs of a copied communicator into runs[cap]: their number, or -EBADMSG / -E2BIG. */
int c4_seg_read_runs(struct c4_seg_reader *r, const struct c4_seg_comm *c, struct c4_seg_run *runs,
		     size_t cap);

/*
 * Copies up to cap finished events in order from r->next on and advances it; overwritten ones are
 * added to r->lost and skipped. Stops before an event that is still being written. Returns the
 * number copied, 0 when there is none, or -EBADMSG.
 */
long c4_seg_read_events(struct c4_seg_reader *r, struct c4_event *out, size_t cap);

#endif
