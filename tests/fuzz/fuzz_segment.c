// SPDX-License-Identifier: BSD-3-Clause
/*
 * Bytes as a segment: whatever a process leaves in shared memory, the reader and the fold get
 * through it. A plain input of 600 kB would be mutated where nobody looks, so the input says what
 * to write where in a good segment:
 *
 *	u8 options, then patches: u24 offset, u8 length, bytes
 *
 * options: 1 the file is the input itself, 2 cut the file behind the last patch, 4 the owner is gone
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/daemon/fold.h"
#include "common/base/runs.h"
#include "common/base/segment.h"
#include "common/base/segread.h"

#define BATCH	    256
#define EVENTS	    64
#define SLOTS_MAX   4096u
#define EVENTS_READ (1u << 14)

static char path[64]; /* a real file: readers refuse links, so no memfd */
static int file;
static unsigned char *good;
static size_t good_len;

static void write_at(const void *data, size_t n, size_t off)
{
	if (pwrite(file, data, n, (off_t)off) != (ssize_t)n)
		abort();
}

static void remove_file(void)
{
	unlink(path);
}

static void make_good(void)
{
	struct c4_seg s;

	if (c4_seg_create_for(&s, "/tmp", &(struct c4_seg_want){.hook = "nccl", .conns = true}))
		abort();
	s.comms[0] = (struct c4_seg_comm){
		.gen = 2, .state = C4_COMM_LIVE, .id = 7, .size = 4, .run_count = 1};
	s.runs[0] = (struct c4_seg_run){0, 1, 4};
	s.threads[0].tid = 1;
	s.conns[0] = (struct c4_seg_conn){
		.gen = 2, .state = C4_COMM_LIVE, .comm = 7, .peer = 1, .posted = 3};
	for (uint64_t i = 0; i < EVENTS; i++)
		c4_seg_push(&s, &(struct c4_event){.comm = 7,
						   .opno = i,
						   .enter_ticks = i * 1000,
						   .leave_ticks = i * 1000 + 100,
						   .kind = C4_OP_ALLREDUCE});
	c4_seg_publish(&s);
	snprintf(path, sizeof path, "%s", s.path);
	file = open(path, O_RDWR | O_CLOEXEC);
	good = malloc(s.bytes);
	if (file < 0 || !good)
		abort();
	memcpy(good, s.base, s.bytes);
	good_len = s.bytes;
	c4_seg_close(&s);
	atexit(remove_file);
}

/* Applies the patches of data[0…n), or with undo writes the good bytes back. Returns the end of the
 * last one. */
static size_t patch(const uint8_t *data, size_t n, bool undo)
{
	size_t end = 0;

	while (n >= 5) {
		size_t off = data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16, len = data[3];

		off %= good_len;
		data += 4;
		n -= 4;
		if (len > n)
			len = n;
		if (len > good_len - off)
			len = good_len - off;
		if (undo)
			write_at(good + off, len, off);
		else
			write_at(data, len, off);
		end = off + len;
		data += len;
		n -= len;
	}
	return end;
}

static void resize(size_t n)
{
	if (ftruncate(file, (off_t)n))
		abort();
}

static void read_tables(struct c4_seg_reader *r)
{
	static struct c4_seg_run runs[C4_SEG_RUNS];
	static uint64_t bits[SLOTS_MAX / 64];
	struct c4_seg_thread thread;
	struct c4_seg_comm comm;
	struct c4_seg_conn conn;

	c4_seg_reader_refresh(r);
	c4_seg_used_threads(r, bits, SLOTS_MAX);
	c4_seg_used_comms(r, bits, SLOTS_MAX);
	c4_seg_used_conns(r, bits, SLOTS_MAX);
	for (uint32_t i = 0; i < 4; i++) {
		c4_seg_read_thread(r, i, &thread);
		if (!c4_seg_read_conn(r, i, &conn) &&
		    (conn.transmitted > conn.posted || conn.done > conn.transmitted))
			abort(); /* the promise: plausible */
		if (c4_seg_read_comm(r, i, &comm))
			continue;
		if (comm.name[sizeof comm.name - 1])
			abort(); /* the promise: terminated */
		int n = c4_seg_read_runs(r, &comm, runs, C4_SEG_RUNS);
		if (n > 0)
			c4_runs_count(runs, (size_t)n, comm.size);
	}
}

static void fold_events(struct c4_seg_reader *r)
{
	static struct c4_event batch[BATCH];
	struct c4_fold *f = c4_fold_new(r->toc.comm_cap);
	struct c4_tick_rate rate;
	uint64_t from = r->next, at;
	long n;

	if (!f)
		abort();
	c4_tick_rate_init(&rate, r->toc.clock, r->toc.ticks0, r->toc.mono0_ns);
	do {
		at = r->next;
		n = c4_seg_read_events(r, batch, BATCH);
		for (long i = 0; i < n; i++)
			c4_fold_add(f, &batch[i], &rate, c4_mono_ns());
	} while (n >= 0 && r->next > at && r->next - from < EVENTS_READ);
	c4_fold_cut(f, UINT64_MAX, 0);
	c4_fold_flush(f);
	c4_fold_free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct c4_seg_reader r;
	uint8_t options;
	size_t end;

	if (!good)
		make_good();
	if (!n)
		return 0;
	options = *data++;
	n--;
	if (options & 1) {
		resize(0);
		write_at(data, n, 0);
	} else {
		end = patch(data, n, false);
		if (options & 2)
			resize(end);
	}
	if (!c4_seg_reader_open(&r, path)) {
		r.owner_gone = !!(options & 4);
		read_tables(&r);
		fold_events(&r);
		c4_seg_reader_close(&r);
	}
	if (options & 3) {
		resize(good_len);
		write_at(good, good_len, 0);
	} else {
		patch(data, n, true);
	}
	return 0;
}
