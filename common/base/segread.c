// SPDX-License-Identifier: BSD-3-Clause
#include "common/base/segread.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ATTEMPTS 4
#define CHUNK	 128u /* records copied at a time */

static int read_at(int fd, void *buf, size_t n, uint64_t off)
{
	ssize_t got = pread(fd, buf, n, (off_t)off);

	return got == (ssize_t)n ? 0 : -EBADMSG;
}

/* A table must have our record size, lie behind the header and inside the file. */
static int table_fits(const struct c4_seg_header *h, uint64_t off, uint64_t cap, uint64_t bytes,
		      size_t want_bytes, uint64_t file_bytes)
{
	return bytes == want_bytes && cap > 0 && cap <= (1u << 24) && off >= h->header_bytes &&
	       off % 64 == 0 && off + cap * bytes <= file_bytes;
}

/* Only some hooks have connections. */
static int conns_fit(const struct c4_seg_header *h, uint64_t file_bytes)
{
	if (!h->conn_off && !h->conn_cap && !h->conn_bytes)
		return 1;
	return table_fits(h, h->conn_off, h->conn_cap, h->conn_bytes, sizeof(struct c4_seg_conn),
			  file_bytes);
}

static int toc_valid(const struct c4_seg_header *h, uint64_t file_bytes)
{
	return h->header_bytes == sizeof *h && h->total_bytes <= file_bytes &&
	       h->clock <= C4_CLOCK_CNTVCT && h->phase <= C4_PHASE_ABORTED &&
	       (h->ring_cap & (h->ring_cap - 1)) == 0 &&
	       table_fits(h, h->thread_off, h->thread_cap, h->thread_bytes,
			  sizeof(struct c4_seg_thread), file_bytes) &&
	       table_fits(h, h->comm_off, h->comm_cap, h->comm_bytes, sizeof(struct c4_seg_comm),
			  file_bytes) &&
	       table_fits(h, h->run_off, h->run_cap, h->run_bytes, sizeof(struct c4_seg_run),
			  file_bytes) &&
	       table_fits(h, h->ring_off, h->ring_cap, h->event_bytes, sizeof(struct c4_event),
			  file_bytes) &&
	       conns_fit(h, file_bytes);
}

static void terminate_strings(struct c4_seg_header *h)
{
	h->job[sizeof h->job - 1] = '\0';
	h->node[sizeof h->node - 1] = '\0';
	h->host[sizeof h->host - 1] = '\0';
	h->program[sizeof h->program - 1] = '\0';
	h->hook[sizeof h->hook - 1] = '\0';
	h->library[sizeof h->library - 1] = '\0';
	h->gpu_bus[sizeof h->gpu_bus - 1] = '\0';
}

/* Between its creation and its allocation a file is short, and holds no magic. */
static int judge_short_file(int fd)
{
	uint64_t magic = 0;

	return pread(fd, &magic, sizeof magic, 0) >= 0 && magic == 0 ? -EAGAIN : -EBADMSG;
}

static int validate(struct c4_seg_reader *r)
{
	struct stat st;

	if (fstat(r->fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	if (st.st_size < (off_t)sizeof r->toc)
		return judge_short_file(r->fd);
	if (read_at(r->fd, &r->toc, sizeof r->toc, 0))
		return -EBADMSG;
	if (r->toc.magic == 0)
		return -EAGAIN;
	if (r->toc.magic != C4_SEG_MAGIC)
		return -EBADMSG;
	if (r->toc.version != C4_SEG_VERSION)
		return -EPROTO;
	if (!toc_valid(&r->toc, (uint64_t)st.st_size))
		return -EBADMSG;
	terminate_strings(&r->toc);
	return 0;
}

int c4_seg_reader_open(struct c4_seg_reader *r, const char *path)
{
	int rc;

	memset(r, 0, sizeof *r);
	r->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (r->fd < 0)
		return -errno;
	rc = validate(r);
	if (rc)
		c4_seg_reader_close(r);
	return rc;
}

void c4_seg_reader_close(struct c4_seg_reader *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

int c4_seg_reader_refresh(struct c4_seg_reader *r)
{
	struct c4_seg_header now;

	if (read_at(r->fd, &now, sizeof now, 0) || now.magic != C4_SEG_MAGIC ||
	    now.phase > C4_PHASE_ABORTED)
		return -EBADMSG;
	terminate_strings(&now);
	r->toc.launch = now.launch;
	r->toc.world_size = now.world_size;
	r->toc.world_rank = now.world_rank;
	memcpy(r->toc.job, now.job, sizeof now.job);
	memcpy(r->toc.library, now.library, sizeof now.library);
	r->toc.phase = now.phase;
	r->toc.abort_code = now.abort_code;
	r->toc.head = now.head;
	memcpy(r->toc.lost, now.lost, sizeof now.lost);
	r->toc.gpu = now.gpu;
	memcpy(r->toc.gpu_bus, now.gpu_bus, sizeof now.gpu_bus);
	r->toc.detail_until = now.detail_until;
	r->toc.detail_now = now.detail_now;
	return 0;
}

/* Reads until two copies in a row agree. */
static int read_stable(int fd, void *out, void *scratch, size_t n, uint64_t off)
{
	if (read_at(fd, out, n, off))
		return -EBADMSG;
	for (int i = 0; i < ATTEMPTS; i++) {
		if (read_at(fd, scratch, n, off))
			return -EBADMSG;
		if (!memcmp(out, scratch, n))
			return 0;
		memcpy(out, scratch, n);
	}
	return -EAGAIN;
}

/* Sets bits of the slots whose 32-bit word at `word_off` is not zero, reading many at a time. */
static int find_used(int fd, uint64_t table_off, uint32_t cap, size_t slot_bytes, size_t word_off,
		     uint64_t *bits)
{
	unsigned char chunk[8192];
	uint32_t per_chunk = (uint32_t)(sizeof chunk / slot_bytes), word;

	for (uint32_t first = 0; first < cap; first += per_chunk) {
		uint32_t n = cap - first < per_chunk ? cap - first : per_chunk;

		if (read_at(fd, chunk, n * slot_bytes, table_off + (uint64_t)first * slot_bytes))
			return -EBADMSG;
		for (uint32_t i = 0; i < n; i++) {
			memcpy(&word, chunk + i * slot_bytes + word_off, sizeof word);
			if (word)
				bits[(first + i) / 64] |= (uint64_t)1 << (first + i) % 64;
		}
	}
	return 0;
}

int c4_seg_used_threads(struct c4_seg_reader *r, uint64_t *bits, uint32_t cap)
{
	memset(bits, 0, (cap + 63) / 64 * sizeof *bits);
	if (cap > r->toc.thread_cap)
		cap = r->toc.thread_cap;
	return find_used(r->fd, r->toc.thread_off, cap, sizeof(struct c4_seg_thread),
			 offsetof(struct c4_seg_thread, tid), bits);
}

int c4_seg_used_comms(struct c4_seg_reader *r, uint64_t *bits, uint32_t cap)
{
	memset(bits, 0, (cap + 63) / 64 * sizeof *bits);
	if (cap > r->toc.comm_cap)
		cap = r->toc.comm_cap;
	return find_used(r->fd, r->toc.comm_off, cap, sizeof(struct c4_seg_comm),
			 offsetof(struct c4_seg_comm, state), bits);
}

int c4_seg_used_conns(struct c4_seg_reader *r, uint64_t *bits, uint32_t cap)
{
	memset(bits, 0, (cap + 63) / 64 * sizeof *bits);
	if (cap > r->toc.conn_cap)
		cap = r->toc.conn_cap;
	return find_used(r->fd, r->toc.conn_off, cap, sizeof(struct c4_seg_conn),
			 offsetof(struct c4_seg_conn, state), bits);
}

int c4_seg_read_thread(struct c4_seg_reader *r, uint32_t i, struct c4_seg_thread *out)
{
	struct c4_seg_thread copy, again;
	int rc;

	if (i >= r->toc.thread_cap)
		return -EINVAL;
	rc = read_stable(r->fd, &copy, &again, sizeof copy,
			 r->toc.thread_off + (uint64_t)i * sizeof copy);
	if (!rc)
		*out = copy;
	return rc;
}

int c4_seg_read_comm(struct c4_seg_reader *r, uint32_t i, struct c4_seg_comm *out)
{
	struct c4_seg_comm copy, again;
	int rc;

	if (i >= r->toc.comm_cap)
		return -EINVAL;
	rc = read_stable(r->fd, &copy, &again, sizeof copy,
			 r->toc.comm_off + (uint64_t)i * sizeof copy);
	if (rc)
		return rc;
	if ((copy.gen & 1) || copy.state == C4_COMM_FREE || copy.state > C4_COMM_DEAD)
		return -EAGAIN;
	if (copy.finished > copy.entered || copy.size == 0 || copy.my_rank < 0 ||
	    (uint32_t)copy.my_rank >= copy.size)
		return -EBADMSG;
	copy.name[sizeof copy.name - 1] = '\0';
	*out = copy;
	return 0;
}

/* The writer counts a step's stages in their order, each before the next. */
static bool conn_plausible(const struct c4_seg_conn *c)
{
	return c->comm && c->rank >= 0 && c->peer >= 0 && c->sends <= 1 &&
	       c->phase <= C4_CONN_FLUSHING && c->transmitted <= c->posted &&
	       c->done <= c->transmitted;
}

int c4_seg_read_conn(struct c4_seg_reader *r, uint32_t i, struct c4_seg_conn *out)
{
	struct c4_seg_conn copy, again;
	int rc;

	if (i >= r->toc.conn_cap)
		return -EINVAL;
	rc = read_stable(r->fd, &copy, &again, sizeof copy,
			 r->toc.conn_off + (uint64_t)i * sizeof copy);
	if (rc)
		return rc;
	if ((copy.gen & 1) || copy.state == C4_COMM_FREE || copy.state > C4_COMM_DEAD)
		return -EAGAIN;
	if (!conn_plausible(&copy))
		return -EBADMSG;
	*out = copy;
	return 0;
}

int c4_seg_read_runs(struct c4_seg_reader *r, const struct c4_seg_comm *c, struct c4_seg_run *runs,
		     size_t cap)
{
	if (c->run_first > r->toc.run_cap || c->run_count > r->toc.run_cap - c->run_first)
		return -EBADMSG;
	if (c->run_count > cap)
		return -E2BIG;
	if (read_at(r->fd, runs, c->run_count * sizeof *runs,
		    r->toc.run_off + (uint64_t)c->run_first * sizeof *runs))
		return -EBADMSG;
	return (int)c->run_count;
}

static int read_head(struct c4_seg_reader *r, uint64_t *head)
{
	return read_at(r->fd, head, sizeof *head, offsetof(struct c4_seg_header, head));
}

/* Skips what the writer has certainly overwritten, or is about to. */
static void skip_overrun(struct c4_seg_reader *r, uint64_t head)
{
	uint64_t oldest = head > r->toc.ring_cap ? head - r->toc.ring_cap : 0;

	if (r->next < oldest) {
		r->lost += oldest - r->next;
		r->next = oldest;
	}
}

/* Longest stretch from r->next that lies in one piece of the ring. */
static size_t stretch(const struct c4_seg_reader *r, uint64_t head, size_t cap)
{
	uint64_t at = r->next & (r->toc.ring_cap - 1);
	uint64_t n = head - r->next;

	if (n > r->toc.ring_cap - at)
		n = r->toc.ring_cap - at;
	return n < cap ? (size_t)n : cap;
}

static bool newer(uint64_t stamp, uint64_t want)
{
	return stamp > want && stamp != C4_STAMP_BUSY;
}

/* Outcome of a look at one record. */
enum look { LOOK_GOOD, LOOK_UNDER_WAY, LOOK_OVERWRITTEN };

/*
 * The writer clears the stamp before it touches the payload and sets it afterwards, so a record is
 * whole if its stamp was the wanted one before the copy and still is after it. Asking after the
 * head alone would not do: a writer that slept for a whole lap may come back to a newer record's
 * place.
 */
static enum look judge_record(const struct c4_seg_reader *r, uint64_t before, uint64_t after)
{
	uint64_t want = r->next + 1;

	if (before == want && after == want)
		return LOOK_GOOD;
	if (r->owner_gone || newer(before, want) || newer(after, want))
		return LOOK_OVERWRITTEN;
	return LOOK_UNDER_WAY;
}

/* Moves the whole ones of out[0…n) together; `again` is a second copy of the same records. Sets
 * *stop before one that is still being written: the writer may be preempted for long, so the caller
 * simply comes again. Returns how many are whole. */
static size_t keep_whole(struct c4_seg_reader *r, struct c4_event *out,
			 const struct c4_event *again, size_t n, int *stop)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++, r->next++) {
		enum look look = judge_record(r, out[i].stamp, again[i].stamp);

		if (look == LOOK_UNDER_WAY) {
			*stop = 1;
			break;
		}
		if (look == LOOK_GOOD)
			out[kept++] = out[i];
		else
			r->lost++;
	}
	return kept;
}

/* One chunk: the number of whole records, or -EBADMSG. *stop: there is nothing more for now. */
static long read_chunk(struct c4_seg_reader *r, struct c4_event *out, size_t cap, int *stop)
{
	struct c4_event again[CHUNK];
	uint64_t head, off;
	size_t n;

	if (read_head(r, &head))
		return -EBADMSG;
	if (head < r->next) /* heads never go back: not our segment any more */
		return -EBADMSG;
	skip_overrun(r, head);
	n = stretch(r, head, cap < CHUNK ? cap : CHUNK);
	*stop = n == 0;
	off = r->toc.ring_off + (r->next & (r->toc.ring_cap - 1)) * sizeof *out;
	if (n && (read_at(r->fd, out, n * sizeof *out, off) ||
		  read_at(r->fd, again, n * sizeof *out, off)))
		return -EBADMSG;
	return (long)keep_whole(r, out, again, n, stop);
}

long c4_seg_read_events(struct c4_seg_reader *r, struct c4_event *out, size_t cap)
{
	size_t got = 0;
	int stop = 0;

	while (got < cap && !stop) {
		long n = read_chunk(r, out + got, cap - got, &stop);

		if (n < 0)
			return n;
		got += (size_t)n;
	}
	return (long)got;
}
