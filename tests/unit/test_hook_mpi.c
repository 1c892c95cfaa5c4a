// SPDX-License-Identifier: BSD-3-Clause
/*
 * The whole hook under a real mpirun: programs that check their own results run with it, and what
 * their ranks left behind must fit together. Skipped, and says why, where there is no mpirun, no
 * built workload, or a sanitizer (its runtime cannot be preloaded into a plain program).
 */
#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "c4/op.h"
#include "common/base/runs.h"
#include "common/base/segread.h"

#define RANKS	  3
#define LIMIT_S	  "120"
#define MAX_SLOTS C4_SEG_COMMS
#define MAX_FINDS 16

static char build[PATH_MAX];
static char dir[64];

/* What one process left. */
struct left {
	struct c4_seg_reader r;
	struct c4_seg_comm comms[MAX_SLOTS];
	uint32_t ncomms;
};

static struct left ranks[MAX_FINDS];
static int nranks;

static int exists(const char *name)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof path, "%s/%s", build, name);
	return !access(path, R_OK);
}

static const char *why_not(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return "built with a sanitizer";
#endif
	if (system("command -v mpirun > /dev/null 2>&1"))
		return "no mpirun";
	if (!exists("lib/libc4mpi.so"))
		return "no libc4mpi.so built";
	if (!exists("workloads/hook_coll"))
		return "no workloads built";
	return NULL;
}

static int setup(void **state)
{
	char self[PATH_MAX] = "";

	(void)state;
	if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
		return -1;
	strcpy(build, dirname(dirname(self)));
	setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
	setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
	setenv("OMPI_MCA_rmaps_base_oversubscribe", "1", 1);
	setenv("OMPI_MCA_mpi_yield_when_idle", "1", 1);
	strcpy(dir, "/tmp/c4-mpi-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	return setenv("C4_RUNTIME_DIR", dir, 1);
}

static void empty_dir(void)
{
	char cmd[128];

	snprintf(cmd, sizeof cmd, "rm -rf '%s'/*", dir);
	assert_int_equal(system(cmd), 0);
}

static int teardown(void **state)
{
	(void)state;
	empty_dir();
	return rmdir(dir);
}

static void need_everything(void)
{
	const char *why = why_not();

	if (!why)
		return;
	print_message("skipped: %s\n", why);
	skip();
}

/* Runs a workload with the hook; its exit status. out gets what it printed. */
static int run(const char *env, const char *program, char *out, size_t n)
{
	char cmd[3 * PATH_MAX];
	size_t got;
	FILE *p;

	snprintf(cmd, sizeof cmd,
		 "%s timeout " LIMIT_S
		 " mpirun -np %d -x LD_PRELOAD='%s/lib/libc4mpi.so' '%s/workloads/%s'",
		 env, RANKS, build, build, program);
	p = popen(cmd, "r");
	assert_non_null(p);
	got = fread(out, 1, n - 1, p);
	out[got] = '\0';
	return pclose(p);
}

static void run_ok(const char *env, const char *program)
{
	char out[256];

	assert_int_equal(run(env, program, out, sizeof out), 0);
	assert_non_null(strstr(out, "OK"));
}

/* An agent seems to run: segments stay. */
static void announce_agent(void)
{
	char path[96];
	int fd;

	empty_dir();
	snprintf(path, sizeof path, "%s/agent-test.lock", dir);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void read_one(const char *name)
{
	struct left *l = &ranks[nranks];
	char path[512];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	assert_true(nranks < MAX_FINDS);
	assert_int_equal(c4_seg_reader_open(&l->r, path), 0);
	l->ncomms = 0;
	for (uint32_t i = 0; i < C4_SEG_COMMS; i++)
		if (!c4_seg_read_comm(&l->r, i, &l->comms[l->ncomms]))
			l->ncomms++;
	nranks++;
}

static void read_all(void)
{
	struct dirent *d;
	DIR *dp = opendir(dir);

	assert_non_null(dp);
	nranks = 0;
	while ((d = readdir(dp)))
		if (strstr(d->d_name, ".seg"))
			read_one(d->d_name);
	closedir(dp);
}

static void close_all(void)
{
	while (nranks > 0)
		c4_seg_reader_close(&ranks[--nranks].r);
}

static const struct c4_seg_comm *find_comm(const struct left *l, uint64_t id)
{
	for (uint32_t i = 0; i < l->ncomms; i++)
		if (l->comms[i].id == id)
			return &l->comms[i];
	return NULL;
}

static struct left *find_rank(int32_t world_rank)
{
	for (int i = 0; i < nranks; i++)
		if (ranks[i].r.toc.world_rank == world_rank)
			return &ranks[i];
	return NULL;
}

/* All members know the communicator by the same id, at the place they say, and as far along. */
static void check_comm(struct left *l, const struct c4_seg_comm *c)
{
	struct c4_seg_run runs[64];
	int32_t members[64];
	int n = c4_seg_read_runs(&l->r, c, runs, 64);

	assert_true(n > 0);
	assert_int_equal(c->entered, c->finished);
	assert_int_equal(c4_runs_count(runs, (size_t)n, 64), c->size);
	c4_runs_decode(runs, (size_t)n, members);
	assert_int_equal(members[c->my_rank], l->r.toc.world_rank);
	for (uint32_t i = 0; i < c->size; i++) {
		struct left *other = find_rank(members[i]);
		const struct c4_seg_comm *theirs = other ? find_comm(other, c->id) : NULL;

		assert_non_null(theirs);
		assert_int_equal(theirs->my_rank, i);
		assert_int_equal(theirs->entered, c->entered);
		assert_string_equal(theirs->name, c->name);
	}
}

static void check_left(uint32_t want_comms)
{
	read_all();
	assert_int_equal(nranks, RANKS);
	for (int i = 0; i < nranks; i++) {
		const struct c4_seg_header *h = &ranks[i].r.toc;

		assert_int_equal(h->phase, C4_PHASE_FINALIZED);
		assert_int_equal(h->world_size, RANKS);
		assert_int_equal(h->launch, ranks[0].r.toc.launch);
		assert_string_equal(h->job, ranks[0].r.toc.job);
		assert_non_null(strstr(h->library, "MPI"));
		assert_int_equal(h->lost[C4_LOST_COMMS], 0);
		assert_int_equal(h->lost[C4_LOST_RUNS], 0);
		assert_int_equal(h->lost[C4_LOST_THREADS], 0);
		assert_true(ranks[i].ncomms >= want_comms);
		for (uint32_t k = 0; k < ranks[i].ncomms; k++)
			check_comm(&ranks[i], &ranks[i].comms[k]);
	}
	close_all();
}

static void test_collectives(void **state)
{
	(void)state;
	need_everything();
	announce_agent();
	run_ok("", "hook_coll");
	check_left(6);
}

/* Signatures (kind, bytes where uniform, root) of one operation are equal on all members. */
static void test_what_members_must_agree_on(void **state)
{
	static struct c4_event ev[RANKS][C4_SEG_EVENTS];
	const struct c4_seg_comm *dup;
	long n[RANKS];
	uint64_t id = 0;

	(void)state;
	need_everything();
	announce_agent();
	run_ok("", "hook_coll");
	read_all();
	assert_int_equal(nranks, RANKS);
	for (int i = 0; i < RANKS; i++)
		n[i] = c4_seg_read_events(&ranks[i].r, ev[i], C4_SEG_EVENTS);
	for (uint32_t k = 0; k < ranks[0].ncomms; k++)
		if (!strcmp(ranks[0].comms[k].name, "double"))
			id = ranks[0].comms[k].id;
	dup = find_comm(&ranks[0], id);
	assert_non_null(dup);
	assert_true(dup->entered > 90);
	for (uint64_t op = 0; op < dup->entered; op++) {
		uint64_t first = 0;

		for (int i = 0; i < RANKS; i++) {
			uint64_t sig = 0;

			for (long k = 0; k < n[i]; k++)
				if (ev[i][k].comm == id && ev[i][k].opno == op)
					sig = c4_op_signature(op, ev[i][k].kind, ev[i][k].bytes,
							      ev[i][k].root);
			assert_true(sig != 0); /* each operation has left its record */
			first = i ? first : sig;
			assert_int_equal(sig, first);
		}
	}
	close_all();
	(void)n;
}

static void test_messages(void **state)
{
	(void)state;
	need_everything();
	announce_agent();
	run_ok("", "hook_p2p");
	read_all();
	for (int i = 0; i < nranks; i++) {
		const struct c4_seg_comm *world = &ranks[i].comms[0];

		assert_string_equal(world->name, "world");
		assert_true(world->p2p_sends > 7500);
		assert_int_equal(world->p2p_send_bytes, 4 * world->p2p_sends);
		assert_true(world->p2p_recvs > 7500);
	}
	close_all();
	check_left(1);
}

static void test_threads(void **state)
{
	(void)state;
	need_everything();
	announce_agent();
	run_ok("", "hook_threads");
	check_left(5);
}

static void test_fortran(void **state)
{
	(void)state;
	need_everything();
	if (!exists("workloads/hook_fortran")) {
		print_message("skipped: no Fortran workload built\n");
		skip();
	}
	announce_agent();
	run_ok("", "hook_fortran");
	check_left(2);
}

static int segments_left(void)
{
	int n;

	read_all();
	n = nranks;
	close_all();
	return n;
}

static void test_no_agent_no_trace(void **state)
{
	(void)state;
	need_everything();
	empty_dir();
	run_ok("", "hook_fortran");
	assert_int_equal(segments_left(), 0);
}

static void test_inert(void **state)
{
	char cmd[2 * PATH_MAX];

	(void)state;
	need_everything();
	announce_agent();
	run_ok("C4_HOOK=0", "hook_coll");
	assert_int_equal(segments_left(), 0);
	run_ok("C4_RUNTIME_DIR=/proc/nowhere", "hook_coll");
	snprintf(cmd, sizeof cmd, "LD_PRELOAD='%s/lib/libc4mpi.so' sh -c true", build);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(segments_left(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_collectives),
		cmocka_unit_test(test_what_members_must_agree_on),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_fortran),
		cmocka_unit_test(test_no_agent_no_trace),
		cmocka_unit_test(test_inert),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
