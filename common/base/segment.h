/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * segment.h - making a segment (include/c4/segment.h) and writing records into it.
 *
 * Used inside the training process: libc only, nothing allocates. Creation makes syscalls and may
 * change errno; the record functions do neither and may be called from any thread.
 * The file is named PID-START.seg in the runtime directory, or PID-START-HOOK.seg for any hook but
 * "mpi": a process may have several. Mode 0600, fully allocated at creation so that a full file
 * system fails here and not as a bus error in the middle of training.
 */
#ifndef C4_BASE_SEGMENT_H
#define C4_BASE_SEGMENT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "c4/segment.h"

#define C4_SEG_SUFFIX ".seg"

/* A mapped segment; base NULL: none. */
struct c4_seg {
	void *base;
	size_t bytes;
	struct c4_seg_header *hdr;
	struct c4_seg_thread *threads;
	struct c4_seg_comm *comms;
	struct c4_seg_run *runs;
	struct c4_event *ring;
	struct c4_seg_conn *conns; /* NULL: not asked for */
	char path[PATH_MAX];
};

/* $C4_RUNTIME_DIR, or /dev/shm/c4-UID. 0, or -ENAMETOOLONG. */
int c4_runtime_dir(char *buf, size_t n);

/* Creates the directory (0700) if needed and refuses one that others own or may write to:
 * 0 or a negative errno (-EPERM for the refusal). */
int c4_runtime_dir_make(const char *dir);

/* Start time of a process in clock ticks since boot, 0 if there is no such process. */
uint64_t c4_proc_start_jiffies(uint32_t pid);

/* What a hook wants of its segment. */
struct c4_seg_want {
	const char *hook; /* its name: goes into the file's name and the header */
	bool conns;	  /* with a table of C4_SEG_CONNS connections */
};

/*
 * Creates and maps a segment of this process, everything zero but the table of contents, pid,
 * clock and hook, and no GPU known; the caller fills in who it is and then publishes. 0 or a
 * negative errno, *s untouched: -EEXIST if this hook has one already, -EINVAL for a hook's name
 * that is empty, too long, or no file name.
 */
int c4_seg_create_for(struct c4_seg *s, const char *dir, const struct c4_seg_want *want);

/* The same for the MPI hook. */
int c4_seg_create(struct c4_seg *s, const char *dir);

/* Makes it visible to readers (writes magic). */
void c4_seg_publish(struct c4_seg *s);

/* Unmaps; the file stays. Idempotent. */
void c4_seg_close(struct c4_seg *s);

/* Removes the file. */
void c4_seg_unlink(const struct c4_seg *s);

/* A counter other threads may add to as well. */
static inline void c4_seg_add(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static inline void c4_seg_lose(struct c4_seg *s, enum c4_seg_loss what)
{
	c4_seg_add(&s->hdr->lost[what], 1);
}

/*
 * Appends one record; ev->stamp is set here. Wait-free; callable from any thread. Where threads
 * meet in one place of the ring, a lap apart, one record is dropped and counted.
 */
static inline void c4_seg_push(struct c4_seg *s, const struct c4_event *ev)
{
	uint64_t at = __atomic_fetch_add(&s->hdr->head, 1, __ATOMIC_RELAXED);
	struct c4_event *slot = &s->ring[at & (C4_SEG_EVENTS - 1)];

	uint64_t seen = __atomic_load_n(&slot->stamp, __ATOMIC_RELAXED);

	/*
	 * The reader judges a record by its stamp before and after copying, so the old stamp has
	 * to go before the payload changes, and the new one comes after it. The place is claimed:
	 * a thread that slept for a whole lap must not write where another one does, or has since.
	 */
	if (seen > at || !__atomic_compare_exchange_n(&slot->stamp, &seen, C4_STAMP_BUSY, false,
						      __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
		c4_seg_lose(s, C4_LOST_EVENTS);
		return;
	}
	__atomic_store_n(&slot->comm, ev->comm, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->opno, ev->opno, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->enter_ticks, ev->enter_ticks, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->leave_ticks, ev->leave_ticks, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->before_ticks, ev->before_ticks, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->bytes, ev->bytes, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->kind, ev->kind, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->flags, ev->flags, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->slot, ev->slot, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->root, ev->root, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->stamp, at + 1, __ATOMIC_RELEASE);
}

#endif
