// SPDX-License-Identifier: BSD-3-Clause
#include "agent/run/shape.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What each launcher tells its ranks; the first row whose rank and size are there wins. */
struct dialect {
	const char *name;
	const char *rank;
	const char *size;	/* NULL: none */
	const char *local_size; /* NULL: none */
	const char *id[2];	/* together they name the launch */
	bool needs_size;	/* the rank variable's name alone says too little */
};

/* clang-format off */
static const struct dialect dialects[] = {
	{"ompi", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE",
	 {"PMIX_NAMESPACE", NULL}, false},
	{"pmi", "PMI_RANK", "PMI_SIZE", "MPI_LOCALNRANKS", {"PMI_JOBID", NULL}, false},
	{"pmix", "PMIX_RANK", NULL, NULL, {"PMIX_NAMESPACE", NULL}, false},
	{"slurm", "SLURM_PROCID", "SLURM_NTASKS", NULL, {"SLURM_JOB_ID", "SLURM_STEP_ID"}, false},
	{"torch", "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE",
	 {"TORCHELASTIC_RUN_ID", "MASTER_PORT"}, true},
};

static const char *const launchers[] = {
	"mpirun", "mpiexec", "mpiexec.hydra", "mpirun.openmpi", "mpiexec.openmpi", "mpirun.mpich",
	"mpiexec.mpich", "orterun", "prterun", "prun", "srun", "sbatch", "torchrun", "aprun",
	"jsrun", "flux", "ibrun",
};
/* clang-format on */

#define COUNT(a) (sizeof(a) / sizeof *(a))

const char *c4_env_get(char *const *env, const char *name)
{
	size_t n = strlen(name);

	for (; env && *env; env++)
		if (!strncmp(*env, name, n) && (*env)[n] == '=')
			return *env + n + 1;
	return NULL;
}

const char *c4_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

void c4_file_name(char *buf, size_t n, const char *s)
{
	size_t i;

	for (i = 0; s[i] && i + 1 < n; i++) {
		bool plain = isalnum((unsigned char)s[i]) || s[i] == '_' || s[i] == '-' ||
			     (s[i] == '.' && i);

		buf[i] = plain ? s[i] : '_';
	}
	buf[i] = '\0';
}

void c4_job_name(char *buf, size_t n, const char *command, long wall_s, long pid)
{
	time_t t = wall_s;
	char program[32], stamp[24] = "";
	struct tm tm;

	c4_file_name(program, sizeof program, c4_base_name(command));
	if (localtime_r(&t, &tm))
		strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &tm);
	snprintf(buf, n, "%s-%s-%ld", program, stamp, pid);
}

static long number(char *const *env, const char *name, long otherwise)
{
	const char *s = name ? c4_env_get(env, name) : NULL;
	char *end;
	long v;

	if (!s || !isdigit((unsigned char)*s))
		return otherwise;
	v = strtol(s, &end, 10);
	return *end || v > INT32_MAX ? otherwise : v;
}

static bool is_launcher(const char *command)
{
	const char *name = c4_base_name(command);

	for (size_t i = 0; i < COUNT(launchers); i++)
		if (!strcmp(name, launchers[i]))
			return true;
	return false;
}

static void name_launch(struct c4_launch *l, const struct dialect *d, char *const *env, long parent)
{
	char raw[256];
	const char *first = c4_env_get(env, d->id[0]);
	const char *second = d->id[1] ? c4_env_get(env, d->id[1]) : NULL;

	if (first && *first)
		snprintf(raw, sizeof raw, "%s-%s%s%s", d->name, first, second ? "." : "",
			 second ? second : "");
	else
		snprintf(raw, sizeof raw, "%s-ppid%ld", d->name, parent);
	c4_file_name(l->id, sizeof l->id, raw);
}

void c4_launch_detect(struct c4_launch *l, char *const *env, const char *command, long parent)
{
	*l = (struct c4_launch){.shape = C4_SHAPE_LAUNCHER, .rank = -1};
	if (is_launcher(command))
		return;
	for (size_t i = 0; i < COUNT(dialects); i++) {
		const struct dialect *d = &dialects[i];
		long rank = number(env, d->rank, -1);
		long size = number(env, d->size, 0);

		if (rank < 0 || (d->needs_size && size <= 0))
			continue;
		l->shape = C4_SHAPE_RANK;
		l->rank = rank;
		l->size = size;
		l->local_size = number(env, d->local_size, 0);
		name_launch(l, d, env, parent);
		return;
	}
}
