// SPDX-License-Identifier: BSD-3-Clause
/* Segments: creation and its failures, reading what a process left, refusing what is none. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/segment.h"
#include "common/base/segread.h"

static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/c4-segment-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char cmd[128];

	(void)state;
	snprintf(cmd, sizeof cmd, "rm -rf '%s'", dir);
	return system(cmd);
}

static void make(struct c4_seg *s)
{
	assert_int_equal(c4_seg_create(s, dir), 0);
}

static void drop(struct c4_seg *s)
{
	c4_seg_unlink(s);
	c4_seg_close(s);
}

/* Overwrites bytes of the file behind a published segment. */
static void corrupt(const char *path, off_t at, const void *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, n, at), n);
	close(fd);
}

static void test_create_and_read(void **state)
{
	struct c4_seg_reader r;
	struct c4_seg s = {0};
	struct stat st;

	(void)state;
	make(&s);
	assert_int_equal(c4_seg_reader_open(&r, s.path), -EAGAIN);
	strcpy(s.hdr->job, "job");
	s.hdr->world_rank = 3;
	c4_seg_publish(&s);
	assert_int_equal(stat(s.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, s.hdr->total_bytes);
	assert_true(st.st_blocks * 512 >= st.st_size); /* allocated: no bus error later */
	assert_int_equal(c4_seg_reader_open(&r, s.path), 0);
	assert_int_equal(r.toc.pid, getpid());
	assert_int_equal(r.toc.start_jiffies, c4_proc_start_jiffies((uint32_t)getpid()));
	assert_string_equal(r.toc.job, "job");
	assert_int_equal(r.toc.world_rank, 3);
	c4_seg_reader_close(&r);
	drop(&s);
	assert_int_equal(c4_seg_reader_open(&r, s.path), -ENOENT);
}

static void test_second_of_same_process_is_refused(void **state)
{
	struct c4_seg s = {0}, t = {0};

	(void)state;
	make(&s);
	assert_int_equal(c4_seg_create(&t, dir), -EEXIST);
	assert_null(t.base);
	drop(&s);
}

static void test_refresh_follows_what_becomes_known(void **state)
{
	struct c4_seg_reader r;
	struct c4_seg s = {0};

	(void)state;
	make(&s);
	c4_seg_publish(&s);
	assert_int_equal(c4_seg_reader_open(&r, s.path), 0);
	assert_int_equal(r.toc.world_rank, -1);
	s.hdr->world_rank = 5;
	s.hdr->world_size = 8;
	s.hdr->phase = C4_PHASE_RUN;
	strcpy(s.hdr->job, "late");
	memset(s.hdr->library, 'x', sizeof s.hdr->library);
	c4_seg_lose(&s, C4_LOST_COMMS);
	assert_int_equal(c4_seg_reader_refresh(&r), 0);
	assert_int_equal(r.toc.world_rank, 5);
	assert_int_equal(r.toc.world_size, 8);
	assert_int_equal(r.toc.phase, C4_PHASE_RUN);
	assert_string_equal(r.toc.job, "late");
	assert_int_equal(strlen(r.toc.library), sizeof r.toc.library - 1);
	assert_int_equal(r.toc.lost[C4_LOST_COMMS], 1);
	c4_seg_reader_close(&r);
	drop(&s);
}

static void test_foreign_and_truncated_files(void **state)
{
	struct c4_seg_reader r;
	char path[96];
	int fd;

	(void)state;
	snprintf(path, sizeof path, "%s/1-1.seg", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(c4_seg_reader_open(&r, path), -EAGAIN); /* just being made */
	assert_int_equal(ftruncate(fd, 300), 0);
	assert_int_equal(c4_seg_reader_open(&r, path), -EAGAIN); /* … still */
	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_int_equal(c4_seg_reader_open(&r, path), -EAGAIN); /* no magic yet */
	assert_int_equal(pwrite(fd, "#!/bin/sh", 9, 0), 9);
	assert_int_equal(c4_seg_reader_open(&r, path), -EBADMSG);
	close(fd);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(c4_seg_reader_open(&r, path), -EBADMSG); /* and does not block */
	unlink(path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(c4_seg_reader_open(&r, path), -ELOOP);
	unlink(path);
}

static void test_another_version(void **state)
{
	struct c4_seg_reader r;
	struct c4_seg s = {0};

	(void)state;
	make(&s);
	s.hdr->version = 99;
	c4_seg_publish(&s);
	assert_int_equal(c4_seg_reader_open(&r, s.path), -EPROTO);
	assert_int_equal(r.toc.version, 99);
	drop(&s);
}

/* Every word of the table of contents, each with values that lie: never accepted with a table
 * outside the file, never a crash. */
static void test_lying_table_of_contents(void **state)
{
	static const uint32_t lies[] = {0, 1, 63, 0x7fffffff, 0x80000000, 0xffffffc0, 0xffffffff};
	struct c4_seg_reader r;
	struct c4_seg s = {0};
	uint32_t honest;

	(void)state;
	make(&s);
	c4_seg_publish(&s);
	for (off_t at = 12; at < 72; at += 4) {
		memcpy(&honest, (char *)s.base + at, sizeof honest);
		for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
			corrupt(s.path, at, &lies[i], sizeof lies[i]);
			if (c4_seg_reader_open(&r, s.path))
				continue;
			assert_true(r.toc.ring_off + (uint64_t)r.toc.ring_cap * r.toc.event_bytes <=
				    s.bytes);
			assert_true(r.toc.comm_off + (uint64_t)r.toc.comm_cap * r.toc.comm_bytes <=
				    s.bytes);
			c4_seg_reader_close(&r);
		}
		corrupt(s.path, at, &honest, sizeof honest);
	}
	assert_int_equal(c4_seg_reader_open(&r, s.path), 0);
	c4_seg_reader_close(&r);
	drop(&s);
}

static void test_file_that_shrinks_under_the_reader(void **state)
{
	struct c4_seg_thread t;
	struct c4_seg_reader r;
	struct c4_event ev[4];
	struct c4_seg s = {0};

	(void)state;
	make(&s);
	c4_seg_publish(&s);
	c4_seg_push(&s, &(struct c4_event){.comm = 1});
	assert_int_equal(c4_seg_reader_open(&r, s.path), 0);
	c4_seg_close(&s); /* the mapping must not outlive what it maps */
	assert_int_equal(truncate(s.path, 600), 0);
	assert_int_equal(c4_seg_read_thread(&r, 0, &t), -EBADMSG);
	assert_int_equal(c4_seg_read_events(&r, ev, 4), -EBADMSG);
	assert_int_equal(truncate(s.path, 100), 0);
	assert_int_equal(c4_seg_reader_refresh(&r), -EBADMSG);
	c4_seg_reader_close(&r);
	unlink(s.path);
}

static void test_corrupt_communicator(void **state)
{
	struct c4_seg_run runs[C4_SEG_RUNS];
	struct c4_seg_reader r;
	struct c4_seg_comm c;
	struct c4_seg s = {0};

	(void)state;
	make(&s);
	c4_seg_publish(&s);
	assert_int_equal(c4_seg_reader_open(&r, s.path), 0);
	assert_int_equal(c4_seg_read_comm(&r, 0, &c), -EAGAIN); /* free */
	s.comms[0] = (struct c4_seg_comm){.state = C4_COMM_LIVE, .size = 4, .my_rank = 1, .id = 9};
	assert_int_equal(c4_seg_read_comm(&r, 0, &c), 0);
	s.comms[0].gen = 1; /* being written, for ever */
	assert_int_equal(c4_seg_read_comm(&r, 0, &c), -EAGAIN);
	s.comms[0].gen = 2;
	s.comms[0].my_rank = 4;
	assert_int_equal(c4_seg_read_comm(&r, 0, &c), -EBADMSG);
	s.comms[0].my_rank = 1;
	s.comms[0].finished = 7; /* more than were entered */
	assert_int_equal(c4_seg_read_comm(&r, 0, &c), -EBADMSG);
	assert_int_equal(c4_seg_read_comm(&r, C4_SEG_COMMS, &c), -EINVAL);
	c = (struct c4_seg_comm){.run_first = C4_SEG_RUNS - 1, .run_count = 2};
	assert_int_equal(c4_seg_read_runs(&r, &c, runs, C4_SEG_RUNS), -EBADMSG);
	c = (struct c4_seg_comm){.run_first = 0xffffffff, .run_count = 0xffffffff};
	assert_int_equal(c4_seg_read_runs(&r, &c, runs, C4_SEG_RUNS), -EBADMSG);
	c4_seg_reader_close(&r);
	drop(&s);
}

static void test_directory_of_somebody_else(void **state)
{
	char path[96];
	struct stat st;

	(void)state;
	snprintf(path, sizeof path, "%s/run", dir);
	assert_int_equal(c4_runtime_dir_make(path), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(c4_runtime_dir_make(path), 0);
	assert_int_equal(chmod(path, 0777), 0);
	assert_int_equal(c4_runtime_dir_make(path), -EPERM);
	rmdir(path);
	assert_int_equal(symlink(dir, path), 0);
	assert_int_equal(c4_runtime_dir_make(path), -ENOTDIR);
	unlink(path);
	assert_int_equal(c4_runtime_dir_make("/nonexistent/run"), -ENOENT);
}

/* A limit on file sizes would kill a process that grows a file beyond it. */
static void test_file_size_limit(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0) {
		struct rlimit lim = {65536, 65536};
		struct c4_seg s = {0};

		setrlimit(RLIMIT_FSIZE, &lim);
		_exit(c4_seg_create(&s, dir) == -EFBIG && !s.base ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_full_file_system(void **state)
{
	struct c4_seg s = {0};

	(void)state;
	if (mount("c4test", dir, "tmpfs", 0, "size=64k")) {
		print_message("no right to mount a small tmpfs\n");
		skip();
	}
	assert_int_equal(c4_seg_create(&s, dir), -ENOSPC);
	assert_null(s.base);
	assert_int_equal(access(s.path[0] ? s.path : "/nonexistent", F_OK), -1);
	/* nothing is left behind: what is removed last would not go otherwise */
	assert_int_equal(umount(dir), 0);
}

/* What a process wrote before it was killed can be read after. */
static void test_owner_killed(void **state)
{
	struct c4_seg_reader r;
	struct c4_event ev[64];
	struct c4_seg_comm c;
	struct c4_seg_thread t;
	char path[PATH_MAX] = "";
	int fd[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(fd), 0);
	pid = fork();
	if (pid == 0) {
		struct c4_seg s = {0};

		if (c4_seg_create(&s, dir))
			_exit(1);
		c4_seg_publish(&s);
		s.comms[0] = (struct c4_seg_comm){
			.state = C4_COMM_LIVE, .size = 2, .id = 7, .entered = 11, .finished = 10};
		s.threads[0].tid = 1;
		s.threads[0].kind = 1;
		for (uint64_t i = 0; i < 10; i++)
			c4_seg_push(&s, &(struct c4_event){.comm = 7, .opno = i});
		/* an event whose writer got no further than its number */
		__atomic_fetch_add(&s.hdr->head, 1, __ATOMIC_RELAXED);
		if (write(fd[1], s.path, sizeof s.path) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(fd[0], path, sizeof path), sizeof path);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(fd[0]);
	close(fd[1]);
	assert_int_equal(c4_seg_reader_open(&r, path), 0);
	assert_int_equal(c4_seg_read_comm(&r, 0, &c), 0);
	assert_int_equal(c.entered, 11);
	assert_int_equal(c4_seg_read_thread(&r, 0, &t), 0);
	assert_int_equal(t.kind, 1);
	assert_int_equal(c4_seg_read_events(&r, ev, 64), 10);
	assert_int_equal(c4_seg_read_events(&r, ev, 64), 0);
	assert_int_equal(r.lost, 0);
	r.owner_gone = 1;
	assert_int_equal(c4_seg_read_events(&r, ev, 64), 0);
	assert_int_equal(r.lost, 1);
	c4_seg_reader_close(&r);
	unlink(path);
}

/* ---- several hooks in one process ----------------------------------------------------------- */

static void make_for(struct c4_seg *s, const char *hook, bool conns)
{
	assert_int_equal(
		c4_seg_create_for(s, dir, &(struct c4_seg_want){.hook = hook, .conns = conns}), 0);
}

static void test_each_hook_has_its_file(void **state)
{
	struct c4_seg mpi = {0}, nccl = {0}, again = {0};
	char want[PATH_MAX];

	(void)state;
	make(&mpi);
	make_for(&nccl, "nccl", true);
	assert_string_equal(mpi.hdr->hook, "mpi");
	assert_string_equal(nccl.hdr->hook, "nccl");
	strcpy(want, mpi.path);
	strcpy(strrchr(want, '.'), "-nccl.seg");
	assert_string_equal(nccl.path, want);
	assert_int_equal(c4_seg_create_for(&again, dir, &(struct c4_seg_want){.hook = "nccl"}),
			 -EEXIST);
	assert_int_equal(c4_seg_create_for(&again, dir, &(struct c4_seg_want){.hook = ""}),
			 -EINVAL);
	assert_int_equal(c4_seg_create_for(&again, dir, &(struct c4_seg_want){.hook = "../x"}),
			 -EINVAL);
	assert_int_equal(
		c4_seg_create_for(&again, dir, &(struct c4_seg_want){.hook = "0123456789abcdef"}),
		-EINVAL);
	assert_null(again.base);
	drop(&mpi);
	drop(&nccl);
}

static void test_connections_only_where_asked_for(void **state)
{
	uint64_t bits[C4_SEG_CONNS / 64];
	struct c4_seg_reader r;
	struct c4_seg_conn c;
	struct c4_seg s = {0};

	(void)state;
	make(&s);
	c4_seg_publish(&s);
	assert_null(s.conns);
	assert_int_equal(c4_seg_reader_open(&r, s.path), 0);
	assert_int_equal(r.toc.conn_cap, 0);
	assert_int_equal(r.toc.gpu, -1);
	assert_int_equal(c4_seg_used_conns(&r, bits, C4_SEG_CONNS), 0);
	assert_int_equal(bits[0], 0);
	assert_int_equal(c4_seg_read_conn(&r, 0, &c), -EINVAL);
	c4_seg_reader_close(&r);
	drop(&s);
}

static void test_connection_is_read(void **state)
{
	uint64_t bits[C4_SEG_CONNS / 64];
	struct c4_seg_reader r;
	struct c4_seg_conn c;
	struct c4_seg s = {0};

	(void)state;
	make_for(&s, "nccl", true);
	c4_seg_publish(&s);
	assert_int_equal(c4_seg_reader_open(&r, s.path), 0);
	s.conns[70] = (struct c4_seg_conn){.state = C4_COMM_LIVE,
					   .comm = 9,
					   .rank = 1,
					   .peer = 2,
					   .sends = 1,
					   .phase = C4_CONN_SENDING,
					   .posted = 5,
					   .transmitted = 4,
					   .done = 4};
	assert_int_equal(c4_seg_used_conns(&r, bits, C4_SEG_CONNS), 0);
	assert_int_equal(bits[0], 0);
	assert_int_equal(bits[1], (uint64_t)1 << 6);
	assert_int_equal(c4_seg_read_conn(&r, 70, &c), 0);
	assert_int_equal(c.posted, 5);
	assert_int_equal(c.phase, C4_CONN_SENDING);
	assert_int_equal(c4_seg_read_conn(&r, 71, &c), -EAGAIN); /* free */
	assert_int_equal(c4_seg_read_conn(&r, C4_SEG_CONNS, &c), -EINVAL);
	s.conns[70].gen = 1;
	assert_int_equal(c4_seg_read_conn(&r, 70, &c), -EAGAIN); /* being written */
	c4_seg_reader_close(&r);
	drop(&s);
}

#define SPOIL_CONN(member, bad)                                                                    \
	do {                                                                                       \
		s.conns[0] = good;                                                                 \
		s.conns[0].member = (bad);                                                         \
		assert_int_equal(c4_seg_read_conn(&r, 0, &c), -EBADMSG);                           \
	} while (0)

static void test_corrupt_connection(void **state)
{
	const struct c4_seg_conn good = {.state = C4_COMM_LIVE,
					 .comm = 9,
					 .peer = 1,
					 .posted = 3,
					 .transmitted = 2,
					 .done = 1};
	struct c4_seg_reader r;
	struct c4_seg_conn c = {.comm = 77};
	struct c4_seg s = {0};

	(void)state;
	make_for(&s, "nccl", true);
	c4_seg_publish(&s);
	assert_int_equal(c4_seg_reader_open(&r, s.path), 0);
	SPOIL_CONN(comm, 0);
	SPOIL_CONN(rank, -1);
	SPOIL_CONN(peer, -1);
	SPOIL_CONN(sends, 2);
	SPOIL_CONN(phase, C4_CONN_FLUSHING + 1);
	SPOIL_CONN(transmitted, 4);
	SPOIL_CONN(done, 3);
	assert_int_equal(c.comm, 77); /* untouched */
	s.conns[0] = good;
	assert_int_equal(c4_seg_read_conn(&r, 0, &c), 0);
	c4_seg_reader_close(&r);
	drop(&s);
}

#define SPOIL_TOC(member, bad)                                                                     \
	do {                                                                                       \
		struct c4_seg_header saved = *s.hdr;                                               \
		s.hdr->member = (bad);                                                             \
		assert_int_equal(c4_seg_reader_open(&r, s.path), -EBADMSG);                        \
		*s.hdr = saved;                                                                    \
	} while (0)

static void test_lying_table_of_connections(void **state)
{
	struct c4_seg_reader r;
	struct c4_seg s = {0};

	(void)state;
	make_for(&s, "nccl", true);
	c4_seg_publish(&s);
	SPOIL_TOC(conn_off, 0);
	SPOIL_TOC(conn_off, 65);
	SPOIL_TOC(conn_off, UINT32_MAX / 64 * 64);
	SPOIL_TOC(conn_cap, 0);
	SPOIL_TOC(conn_cap, C4_SEG_CONNS + 1);
	SPOIL_TOC(conn_cap, UINT32_MAX);
	SPOIL_TOC(conn_bytes, 64);
	assert_int_equal(c4_seg_reader_open(&r, s.path), 0);
	c4_seg_reader_close(&r);
	drop(&s);
}

static void test_refresh_follows_gpu_and_detail(void **state)
{
	struct c4_seg_reader r;
	struct c4_seg s = {0};

	(void)state;
	make_for(&s, "nccl", true);
	c4_seg_publish(&s);
	assert_int_equal(c4_seg_reader_open(&r, s.path), 0);
	s.hdr->gpu = 3;
	memset(s.hdr->gpu_bus, 'b', sizeof s.hdr->gpu_bus);
	s.hdr->detail_until = 99;
	s.hdr->detail_now = 6;
	assert_int_equal(c4_seg_reader_refresh(&r), 0);
	assert_int_equal(r.toc.gpu, 3);
	assert_int_equal(strlen(r.toc.gpu_bus), sizeof r.toc.gpu_bus - 1);
	assert_int_equal(r.toc.detail_until, 99);
	assert_int_equal(r.toc.detail_now, 6);
	c4_seg_reader_close(&r);
	drop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create_and_read),
		cmocka_unit_test(test_second_of_same_process_is_refused),
		cmocka_unit_test(test_refresh_follows_what_becomes_known),
		cmocka_unit_test(test_foreign_and_truncated_files),
		cmocka_unit_test(test_another_version),
		cmocka_unit_test(test_lying_table_of_contents),
		cmocka_unit_test(test_file_that_shrinks_under_the_reader),
		cmocka_unit_test(test_corrupt_communicator),
		cmocka_unit_test(test_directory_of_somebody_else),
		cmocka_unit_test(test_file_size_limit),
		cmocka_unit_test(test_full_file_system),
		cmocka_unit_test(test_owner_killed),
		cmocka_unit_test(test_each_hook_has_its_file),
		cmocka_unit_test(test_connections_only_where_asked_for),
		cmocka_unit_test(test_connection_is_read),
		cmocka_unit_test(test_corrupt_connection),
		cmocka_unit_test(test_lying_table_of_connections),
		cmocka_unit_test(test_refresh_follows_gpu_and_detail),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
