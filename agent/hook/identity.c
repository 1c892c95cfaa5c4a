// SPDX-License-Identifier: BSD-3-Clause
#include "agent/hook/identity.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "c4/env.h"
#include "common/base/hash.h"
#include "common/base/str.h"

/* First one set wins; each list ends with NULL. */
static const char *const job_vars[] = {
	C4_ENV_JOB,
	"SLURM_JOB_ID",
	"PMIX_NAMESPACE",
	"OMPI_MCA_ess_base_jobid",
	"TORCHELASTIC_RUN_ID",
	NULL,
};
static const char *const launch_vars[] = {
	"PMIX_NAMESPACE",
	"SLURM_STEP_ID",
	"OMPI_MCA_ess_base_jobid",
	NULL,
};
static const char *const rank_vars[] = {
	"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID", "RANK", NULL,
};
static const char *const size_vars[] = {
	"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS", "WORLD_SIZE", NULL,
};

static const char *first_set(const char *const *vars)
{
	for (; *vars; vars++) {
		const char *value = getenv(*vars);

		if (value && *value)
			return value;
	}
	return NULL;
}

static int64_t number(const char *const *vars, int64_t unknown)
{
	const char *text = first_set(vars);
	uint64_t x;

	return text && c4_str_parse_u64(text, &x) && x <= INT32_MAX ? (int64_t)x : unknown;
}

static uint64_t hash_text(const char *text)
{
	size_t n = 0;

	if (!text)
		return 0;
	while (text[n])
		n++;
	return c4_hash_bytes(0, text, n);
}

static void fill_job(struct c4_seg_header *h)
{
	const char *job = first_set(job_vars);
	struct c4_str s;

	c4_str_init(&s, h->job, sizeof h->job);
	if (job) {
		c4_str_add(&s, job);
		return;
	}
	/* ranks started by one shell or launcher on one node: the best guess there is */
	c4_str_add(&s, "pid-");
	c4_str_add_u64(&s, (uint64_t)getppid());
}

static void copy(char *dst, size_t size, const char *src)
{
	struct c4_str s;

	c4_str_init(&s, dst, size);
	c4_str_add(&s, src);
}

void c4_identity_fill(struct c4_seg_header *h)
{
	const char *node = getenv(C4_ENV_NODE);
	char host[256] = "";

	gethostname(host, sizeof host - 1);
	fill_job(h);
	copy(h->host, sizeof h->host, host);
	copy(h->node, sizeof h->node, node && *node ? node : host);
	copy(h->program, sizeof h->program, program_invocation_short_name);
	h->launch = hash_text(first_set(launch_vars));
	h->world_rank = (int32_t)number(rank_vars, -1);
	h->world_size = (uint32_t)number(size_vars, 0);
}

const char *c4_identity_namespace(void)
{
	return first_set(launch_vars);
}
