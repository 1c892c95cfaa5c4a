// SPDX-License-Identifier: BSD-3-Clause
/* c4run: which shape it has, and the environment it gives the job and its own daemons. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/run/env.h"
#include "agent/run/shape.h"

#define ENV(...) ((char *const *)(const char *const[]){__VA_ARGS__, NULL})

static const char *get(char **env, const char *name)
{
	int times = 0;

	for (char **p = env; *p; p++)
		times += !strncmp(*p, name, strlen(name)) && (*p)[strlen(name)] == '=';
	assert_true(times <= 1);
	return c4_env_get(env, name);
}

static void test_job_environment(void **state)
{
	const struct c4_job_env e = {.preload = "/l/libc4mpi.so",
				     .job = "j1",
				     .runtime_dir = "/dev/shm/x",
				     .collector = "127.0.0.1:99"};
	char **env = c4_job_env_new(&e, ENV("HOME=/h", "C4_JOB=old", "C4_NODE=mine"));

	(void)state;
	assert_non_null(env);
	assert_string_equal(get(env, "LD_PRELOAD"), "/l/libc4mpi.so");
	assert_string_equal(get(env, "C4_JOB"), "j1");
	assert_string_equal(get(env, "C4_RUNTIME_DIR"), "/dev/shm/x");
	assert_string_equal(get(env, "C4_COLLECTOR"), "127.0.0.1:99");
	assert_string_equal(get(env, "HOME"), "/h");
	assert_string_equal(get(env, "C4_NODE"), "mine"); /* not given: the user's stays */
	c4_env_free(env);
}

static void test_preload_keeps_the_users(void **state)
{
	const struct c4_job_env e = {.preload = "/l/hook.so"};
	char **env = c4_job_env_new(&e, ENV("LD_PRELOAD=/a.so:/b.so"));

	(void)state;
	assert_string_equal(get(env, "LD_PRELOAD"), "/l/hook.so:/a.so:/b.so");
	c4_env_free(env);
	env = c4_job_env_new(&e, ENV("LD_PRELOAD="));
	assert_string_equal(get(env, "LD_PRELOAD"), "/l/hook.so");
	c4_env_free(env);
	/* c4run inside c4run: once is enough */
	env = c4_job_env_new(&e, ENV("LD_PRELOAD=/a.so /l/hook.so"));
	assert_string_equal(get(env, "LD_PRELOAD"), "/a.so /l/hook.so");
	c4_env_free(env);
	/* a longer name that begins alike is another library */
	env = c4_job_env_new(&e, ENV("LD_PRELOAD=/l/hook.so.1"));
	assert_string_equal(get(env, "LD_PRELOAD"), "/l/hook.so:/l/hook.so.1");
	c4_env_free(env);
}

/* Several libraries, and a plugin of which there can be only one. */
static void test_nccl_variables(void **state)
{
	const struct c4_job_env e = {.preload = "/l/mpi.so:/l/nccl.so",
				     .profiler = "/l/plugin.so",
				     .next_profiler = "inspector"};
	char **env = c4_job_env_new(
		&e, ENV("LD_PRELOAD=/a.so:/l/nccl.so", "NCCL_PROFILER_PLUGIN=inspector"));

	(void)state;
	assert_string_equal(get(env, "LD_PRELOAD"), "/l/mpi.so:/a.so:/l/nccl.so");
	assert_string_equal(get(env, "NCCL_PROFILER_PLUGIN"), "/l/plugin.so");
	assert_string_equal(get(env, "C4_NEXT_PROFILER"), "inspector");
	c4_env_free(env);
	env = c4_job_env_new(&e, ENV("HOME=/"));
	assert_string_equal(get(env, "LD_PRELOAD"), "/l/mpi.so:/l/nccl.so");
	c4_env_free(env);
}

static void test_without_hook_nothing_is_preloaded(void **state)
{
	const struct c4_job_env e = {.job = "j"};
	char **env = c4_job_env_new(&e, ENV("LD_PRELOAD=/a.so"));

	(void)state;
	assert_string_equal(get(env, "LD_PRELOAD"), "/a.so");
	assert_null(get(env, "C4_COLLECTOR"));
	c4_env_free(env);
}

static void test_sidecars_get_no_preload(void **state)
{
	char **env = c4_sidecar_env_new(ENV("LD_PRELOAD=/a.so", "HOME=/h"), "warn");

	(void)state;
	assert_null(get(env, "LD_PRELOAD"));
	assert_string_equal(get(env, "HOME"), "/h");
	assert_string_equal(get(env, "C4_LOG"), "warn");
	c4_env_free(env);
	env = c4_sidecar_env_new(ENV("C4_LOG=debug"), "warn");
	assert_string_equal(get(env, "C4_LOG"), "debug");
	c4_env_free(env);
}

static void test_dry_run_text(void **state)
{
	const struct c4_job_env e = {.preload = "/l/hook.so", .job = "it's", .node = "n0"};
	struct c4_buf out = {0};

	(void)state;
	c4_job_env_print(&e, ENV("LD_PRELOAD=/a.so"), ENV("mpirun", "-np", "2", "a b", ""), &out);
	assert_string_equal(c4_buf_str(&out), "LD_PRELOAD=/l/hook.so:/a.so\n"
					      "C4_JOB='it'\\''s'\n"
					      "C4_NODE=n0\n"
					      "mpirun -np 2 'a b' ''\n");
	c4_buf_release(&out);
}

static struct c4_launch detect(char *const *env, const char *command)
{
	struct c4_launch l;

	c4_launch_detect(&l, env, command, 77);
	return l;
}

static void test_launcher_shape(void **state)
{
	(void)state;
	assert_int_equal(detect(ENV("HOME=/"), "./train").shape, C4_SHAPE_LAUNCHER);
	/* a batch script is rank 0 of its own step, and runs launchers */
	assert_int_equal(detect(ENV("SLURM_PROCID=0", "SLURM_JOB_ID=5"), "/usr/bin/srun").shape,
			 C4_SHAPE_LAUNCHER);
	/* not a number: not a rank */
	assert_int_equal(detect(ENV("PMI_RANK=x"), "./train").shape, C4_SHAPE_LAUNCHER);
	/* too common a name to mean anything alone */
	assert_int_equal(detect(ENV("RANK=1"), "./train").shape, C4_SHAPE_LAUNCHER);
}

static void test_rank_shapes(void **state)
{
	struct c4_launch l = detect(ENV("PMIX_NAMESPACE=123", "OMPI_COMM_WORLD_RANK=3",
					"OMPI_COMM_WORLD_SIZE=8", "OMPI_COMM_WORLD_LOCAL_SIZE=2"),
				    "./train");

	(void)state;
	assert_int_equal(l.shape, C4_SHAPE_RANK);
	assert_int_equal(l.rank, 3);
	assert_int_equal(l.size, 8);
	assert_int_equal(l.local_size, 2);
	assert_string_equal(l.id, "ompi-123");
	l = detect(ENV("SLURM_PROCID=1", "SLURM_NTASKS=4", "SLURM_JOB_ID=9", "SLURM_STEP_ID=2"),
		   "python3");
	assert_int_equal(l.shape, C4_SHAPE_RANK);
	assert_string_equal(l.id, "slurm-9.2");
	l = detect(ENV("RANK=0", "WORLD_SIZE=2", "TORCHELASTIC_RUN_ID=a/b", "MASTER_PORT=1"), "x");
	assert_int_equal(l.shape, C4_SHAPE_RANK);
	assert_string_equal(l.id, "torch-a_b.1");
	l = detect(ENV("PMI_RANK=1"), "x");
	assert_string_equal(l.id, "pmi-ppid77"); /* ranks of a node share their parent */
}

static void test_names(void **state)
{
	char buf[64], cut[4];

	(void)state;
	c4_file_name(buf, sizeof buf, "../a b:c");
	assert_string_equal(buf, "_._a_b_c");
	c4_file_name(cut, sizeof cut, "abcdef");
	assert_string_equal(cut, "abc");
	c4_job_name(buf, sizeof buf, "/opt/x/train", 0, 42);
	assert_ptr_equal(strstr(buf, "train-"), buf);
	assert_non_null(strstr(buf, "-42"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_job_environment),
		cmocka_unit_test(test_preload_keeps_the_users),
		cmocka_unit_test(test_nccl_variables),
		cmocka_unit_test(test_without_hook_nothing_is_preloaded),
		cmocka_unit_test(test_sidecars_get_no_preload),
		cmocka_unit_test(test_dry_run_text),
		cmocka_unit_test(test_launcher_shape),
		cmocka_unit_test(test_rank_shapes),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
