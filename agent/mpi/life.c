// SPDX-License-Identifier: BSD-3-Clause
#include "agent/mpi/life.h"

#include <errno.h>
#include <string.h>

#include "agent/hook/identity.h"
#include "agent/mpi/api.h"
#include "agent/mpi/group.h"
#include "agent/mpi/types.h"
#include "common/base/str.h"

/* c4_call_open() for the times when calls are not recorded. */
static void show_life(struct c4_call *call, uint8_t kind)
{
	call->self = &c4_self;
	if (!call->self->line)
		c4_thread_claim(call->self);
	call->self->frame = (uintptr_t)__builtin_frame_address(0);
	c4_other_enter(call, kind);
}

void c4_init_enter(struct c4_call *call)
{
	call->self = NULL;
	if (c4_mpi.usable && !c4_hook_open("mpi"))
		show_life(call, C4_OP_INIT);
}

/* "Open MPI v4.1.4, package: …" -> "Open MPI 4.1.4" */
static void tidy_version(const char *raw, char *out, size_t size)
{
	struct c4_str s;
	char *v;

	c4_str_init(&s, out, size);
	c4_str_add(&s, raw);
	out[strcspn(out, ",\n")] = '\0';
	v = strstr(out, " v");
	if (v)
		memmove(v + 1, v + 2, strlen(v + 2) + 1);
}

/* A world spawned by another has the same launcher and job, but is a job of its own to us. */
static const char *spawned_suffix(char *buf, size_t size)
{
	MPI_Comm parent = NULL;
	struct c4_str s;

	if (c4_mpi.Comm_get_parent(&parent) != MPI_SUCCESS || !parent || parent == c4_mpi.comm_null)
		return NULL;
	c4_str_init(&s, buf, size);
	c4_str_add(&s, "+");
	c4_str_add(&s, c4_identity_namespace());
	return buf;
}

static void learn_world(void)
{
	char raw[MPI_MAX_LIBRARY_VERSION_STRING] = "", version[C4_NAME_BYTES],
	     suffix[C4_NAME_BYTES];
	int rank = -1, size = 0, level = MPI_THREAD_SINGLE, n;

	c4_mpi.Comm_rank(c4_mpi.comm_world, &rank);
	c4_mpi.Comm_size(c4_mpi.comm_world, &size);
	c4_mpi.Query_thread(&level);
	c4_mpi.Get_library_version(raw, &n);
	c4_mpi.threads = level == MPI_THREAD_MULTIPLE;
	c4_mpi.f_request_null = c4_mpi.Request_c2f(c4_mpi.request_null);
	tidy_version(raw, version, sizeof version);
	c4_hook_identify(rank, (uint32_t)size, version, spawned_suffix(suffix, sizeof suffix));
}

void c4_init_leave(struct c4_call *call, int rc)
{
	int saved = errno;

	c4_other_leave(call);
	if (rc == MPI_SUCCESS) {
		learn_world();
		c4_types_learn();
		c4_groups_open();
		c4_hook_start();
	}
	errno = saved;
}

void c4_finalize_enter(struct c4_call *call)
{
	call->self = NULL;
	if (!c4_hook_live())
		return;
	/* callbacks of the library may still make calls: nobody needs to know */
	c4_hook_stop();
	c4_hook_phase(C4_PHASE_FINALIZING);
	c4_groups_close();
	show_life(call, C4_OP_FINALIZE);
}

void c4_finalize_leave(struct c4_call *call)
{
	c4_other_leave(call);
	c4_hook_phase(C4_PHASE_FINALIZED);
	c4_hook_finish();
}

void c4_abort_enter(int code)
{
	if (!c4_hook_live())
		return;
	c4_hook.seg.hdr->abort_code = code;
	c4_hook_phase(C4_PHASE_ABORTED);
}
