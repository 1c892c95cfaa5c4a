// SPDX-License-Identifier: BSD-3-Clause
#include "common/base/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "c4/env.h"
#include "common/base/clock.h"
#include "common/base/str.h"

#define MAIN_HOOK "mpi" /* its segment bears no hook's name */

int c4_runtime_dir(char *buf, size_t n)
{
	const char *env = getenv(C4_ENV_RUNTIME_DIR);
	struct c4_str dir;

	c4_str_init(&dir, buf, n);
	if (env && *env) {
		c4_str_add(&dir, env);
	} else {
		c4_str_add(&dir, "/dev/shm/c4-");
		c4_str_add_u64(&dir, getuid());
	}
	return dir.cut ? -ENAMETOOLONG : 0;
}

int c4_runtime_dir_make(const char *dir)
{
	struct stat st;

	if (mkdir(dir, 0700) && errno != EEXIST)
		return -errno;
	if (lstat(dir, &st))
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	/* /dev/shm is everybody's: a directory someone else prepared could feed or fake segments */
	if (st.st_uid != getuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return -EPERM;
	return 0;
}

uint64_t c4_proc_start_jiffies(uint32_t pid)
{
	char name[32], buf[1024], *p;
	struct c4_str path;
	uint64_t start = 0;
	ssize_t n;
	int fd;

	c4_str_init(&path, name, sizeof name);
	c4_str_add(&path, "/proc/");
	c4_str_add_u64(&path, pid);
	c4_str_add(&path, "/stat");
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, buf, sizeof buf - 1);
	close(fd);
	if (n <= 0)
		return 0;
	buf[n] = '\0';
	p = strrchr(buf, ')'); /* the name in parentheses may hold anything */
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (p)
		c4_str_parse_u64(p + 1, &start);
	return start;
}

static uint32_t align_up(uint32_t x, uint32_t a)
{
	return (x + a - 1) / a * a;
}

/* Fills in the table of contents; returns the total size. */
static size_t layout(struct c4_seg_header *h, bool conns)
{
	h->version = C4_SEG_VERSION;
	h->header_bytes = sizeof *h;
	h->thread_off = align_up(sizeof *h, 4096);
	h->thread_cap = C4_SEG_THREADS;
	h->thread_bytes = sizeof(struct c4_seg_thread);
	h->comm_off = align_up(h->thread_off + h->thread_cap * h->thread_bytes, 4096);
	h->comm_cap = C4_SEG_COMMS;
	h->comm_bytes = sizeof(struct c4_seg_comm);
	h->run_off = align_up(h->comm_off + h->comm_cap * h->comm_bytes, 4096);
	h->run_cap = C4_SEG_RUNS;
	h->run_bytes = sizeof(struct c4_seg_run);
	h->ring_off = align_up(h->run_off + h->run_cap * h->run_bytes, 4096);
	h->ring_cap = C4_SEG_EVENTS;
	h->event_bytes = sizeof(struct c4_event);
	h->total_bytes = (uint64_t)h->ring_off + (uint64_t)h->ring_cap * h->event_bytes;
	if (conns) {
		h->conn_off = align_up((uint32_t)h->total_bytes, 4096);
		h->conn_cap = C4_SEG_CONNS;
		h->conn_bytes = sizeof(struct c4_seg_conn);
		h->total_bytes = (uint64_t)h->conn_off + (uint64_t)h->conn_cap * h->conn_bytes;
	}
	return h->total_bytes;
}

static void bind_tables(struct c4_seg *s)
{
	char *base = s->base;

	s->hdr = s->base;
	s->threads = (void *)(base + s->hdr->thread_off);
	s->comms = (void *)(base + s->hdr->comm_off);
	s->runs = (void *)(base + s->hdr->run_off);
	s->ring = (void *)(base + s->hdr->ring_off);
	s->conns = s->hdr->conn_off ? (void *)(base + s->hdr->conn_off) : NULL;
}

static int set_hook(struct c4_seg_header *h, const char *hook)
{
	struct c4_str s;

	c4_str_init(&s, h->hook, sizeof h->hook);
	c4_str_add(&s, hook);
	return s.cut || !s.len || strchr(hook, '/') ? -EINVAL : 0;
}

static int set_path(struct c4_seg *s, const char *dir, const struct c4_seg_header *h)
{
	struct c4_str path;

	c4_str_init(&path, s->path, sizeof s->path);
	c4_str_add(&path, dir);
	c4_str_add(&path, "/");
	c4_str_add_u64(&path, h->pid);
	c4_str_add(&path, "-");
	c4_str_add_u64(&path, h->start_jiffies);
	if (strcmp(h->hook, MAIN_HOOK) != 0) {
		c4_str_add(&path, "-");
		c4_str_add(&path, h->hook);
	}
	c4_str_add(&path, C4_SEG_SUFFIX);
	return path.cut ? -ENAMETOOLONG : 0;
}

/* Growing a file beyond the limit is not an error but a deadly SIGXFSZ. */
static int file_size_allowed(size_t bytes)
{
	struct rlimit lim;

	return getrlimit(RLIMIT_FSIZE, &lim) || lim.rlim_cur >= bytes;
}

static void fill_toc(struct c4_seg_header *toc)
{
	toc->pid = (uint32_t)getpid();
	toc->start_jiffies = c4_proc_start_jiffies(toc->pid);
	toc->clock = c4_clock_source();
	toc->ticks0 = c4_ticks(toc->clock);
	toc->mono0_ns = c4_mono_ns();
	toc->world_rank = -1;
	toc->gpu = -1;
}

int c4_seg_create_for(struct c4_seg *s, const char *dir, const struct c4_seg_want *want)
{
	struct c4_seg_header toc = {0};
	struct c4_seg made = {0};
	int fd, rc;

	fill_toc(&toc);
	made.bytes = layout(&toc, want->conns);
	rc = set_hook(&toc, want->hook);
	if (!rc)
		rc = set_path(&made, dir, &toc);
	if (rc)
		return rc;
	if (!file_size_allowed(made.bytes))
		return -EFBIG;
	fd = open(made.path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	rc = -posix_fallocate(fd, 0, (off_t)made.bytes);
	if (rc)
		goto unlink_file;
	/* populated now: the training process shall not take our page faults later */
	made.base =
		mmap(NULL, made.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (made.base == MAP_FAILED) {
		rc = -errno;
		goto unlink_file;
	}
	close(fd);
	memcpy(made.base, &toc, sizeof toc);
	bind_tables(&made);
	*s = made;
	return 0;

unlink_file:
	unlink(made.path);
	close(fd);
	return rc;
}

int c4_seg_create(struct c4_seg *s, const char *dir)
{
	return c4_seg_create_for(s, dir, &(struct c4_seg_want){.hook = MAIN_HOOK});
}

void c4_seg_publish(struct c4_seg *s)
{
	__atomic_store_n(&s->hdr->magic, C4_SEG_MAGIC, __ATOMIC_RELEASE);
}

void c4_seg_close(struct c4_seg *s)
{
	if (s->base)
		munmap(s->base, s->bytes);
	s->base = NULL;
	s->hdr = NULL;
}

void c4_seg_unlink(const struct c4_seg *s)
{
	unlink(s->path);
}
