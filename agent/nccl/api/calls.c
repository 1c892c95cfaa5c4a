// SPDX-License-Identifier: BSD-3-Clause
/* The wrappers, made of the tables in real.h: note, real call, note. */
#include "agent/nccl/api/create.h"
#include "agent/nccl/api/life.h"
#include "agent/nccl/api/ops.h"
#include "agent/nccl/api/real.h"

#define real c4_nccl_table.real

/* Our own prototypes: there is no nccl.h to take them from. */
#define DECLARE(name, kind, params, ...)                                                           \
	__attribute__((visibility("default"))) int nccl##name params;
#define DECLARE_OTHER(name, params) DECLARE(name, , params)
C4_NCCL_COLLS(DECLARE)
C4_NCCL_MESSAGES(DECLARE)
C4_NCCL_OTHERS(DECLARE_OTHER)

#define NEED() c4_api_need(__builtin_return_address(0))

/* ---- operations ----------------------------------------------------------------------------- */

/* Numbers from 5 on are operations the program made, in whatever order. */
static uint8_t redop_code(int op)
{
	return (uint8_t)(op < 5 ? op + 1 : 6);
}

#define COLLECTIVE(name, op_kind, params, args, parts, root_rank, reduction)                       \
	int nccl##name params                                                                      \
	{                                                                                          \
		struct c4_coll o;                                                                  \
		int rc;                                                                            \
                                                                                                   \
		NEED();                                                                            \
		if (!c4_api_watching()) {                                                          \
			rc = real.name args;                                                       \
			if (__builtin_expect(rc, 0))                                               \
				c4_comm_failed(comm, rc);                                          \
			return rc;                                                                 \
		}                                                                                  \
		if (c4_call_open(&o.call))                                                         \
			c4_coll_begin(                                                             \
				&o, comm, stream,                                                  \
				(struct c4_op_args){.bytes = count * c4_nccl_type_bytes(type),     \
						    .root = root_rank,                             \
						    .kind = C4_OP_##op_kind,                       \
						    .dtype = (uint8_t)(type + 1),                  \
						    .redop = redop_code(reduction)},               \
				C4_PART_##parts);                                                  \
		rc = real.name args;                                                               \
		c4_coll_end(&o, rc);                                                               \
		return rc;                                                                         \
	}
C4_NCCL_COLLS(COLLECTIVE)

#define MESSAGE(name, op_kind, params, args)                                                       \
	int nccl##name params                                                                      \
	{                                                                                          \
		struct c4_call call;                                                               \
		int rc;                                                                            \
                                                                                                   \
		NEED();                                                                            \
		if (!c4_api_watching()) {                                                          \
			rc = real.name args;                                                       \
			if (__builtin_expect(rc, 0))                                               \
				c4_comm_failed(comm, rc);                                          \
			return rc;                                                                 \
		}                                                                                  \
		if (c4_call_open(&call))                                                           \
			c4_message_begin(&call, comm, C4_OP_##op_kind,                             \
					 count *c4_nccl_type_bytes(type));                         \
		rc = real.name args;                                                               \
		c4_message_end(&call, rc);                                                         \
		return rc;                                                                         \
	}
C4_NCCL_MESSAGES(MESSAGE)

int ncclGroupStart(void)
{
	int rc;

	NEED();
	rc = real.GroupStart();
	c4_group_started(rc);
	return rc;
}

int ncclGroupEnd(void)
{
	struct c4_call call;
	int rc;

	NEED();
	call.self = NULL;
	if (c4_group_pending() && c4_call_open(&call))
		c4_group_end_begin(&call);
	rc = real.GroupEnd();
	c4_group_end_end(&call, rc);
	return rc;
}

/* ---- communicators -------------------------------------------------------------------------- */

int ncclCommInitRank(C4_MADE, int n, struct c4_nccl_id id, int rank)
{
	struct c4_creation c;
	int rc;

	NEED();
	if (c4_call_open(&c.call))
		c4_create_begin(&c, &id, 1, n, rank);
	rc = real.CommInitRank(made, n, id, rank);
	c4_create_end(&c, made, rc);
	return rc;
}

int ncclCommInitRankConfig(C4_MADE, int n, struct c4_nccl_id id, int rank, C4_CONFIG)
{
	struct c4_creation c;
	int rc;

	NEED();
	if (c4_call_open(&c.call))
		c4_create_begin(&c, &id, 1, n, rank);
	rc = real.CommInitRankConfig(made, n, id, rank, config);
	c4_create_end(&c, made, rc);
	return rc;
}

int ncclCommInitRankScalable(C4_MADE, int n, int rank, int nids, struct c4_nccl_id *ids, C4_CONFIG)
{
	struct c4_creation c;
	int rc;

	NEED();
	if (c4_call_open(&c.call))
		c4_create_begin(&c, ids, nids, n, rank);
	rc = real.CommInitRankScalable(made, n, rank, nids, ids, config);
	c4_create_end(&c, made, rc);
	return rc;
}

int ncclCommInitAll(C4_MADE, int n, const int *devices)
{
	struct c4_creation c;
	int rc;

	NEED();
	if (c4_call_open(&c.call))
		c4_create_all_begin(&c);
	rc = real.CommInitAll(made, n, devices);
	c4_create_all_end(&c, made, n, rc);
	return rc;
}

int ncclCommSplit(C4_COMM, int color, int key, C4_MADE, C4_CONFIG)
{
	struct c4_creation c;
	int rc;

	NEED();
	if (c4_call_open(&c.call))
		c4_split_begin(&c, comm);
	rc = real.CommSplit(comm, color, key, made, config);
	c4_split_end(&c, color, made, rc);
	return rc;
}

int ncclCommShrink(C4_COMM, int *gone, int ngone, C4_MADE, C4_CONFIG, int flags)
{
	struct c4_creation c;
	int rc;

	NEED();
	if (c4_call_open(&c.call))
		c4_create_shrunk(&c, comm, gone, ngone);
	rc = real.CommShrink(comm, gone, ngone, made, config, flags);
	c4_create_end(&c, made, rc);
	return rc;
}

int ncclCommRevoke(C4_COMM, int flags)
{
	NEED();
	c4_comm_revoked(comm);
	return real.CommRevoke(comm, flags);
}

int ncclCommFinalize(C4_COMM)
{
	struct c4_call call;
	int rc;

	NEED();
	if (c4_call_open(&call))
		c4_other_enter(&call, C4_OP_FINALIZE);
	rc = real.CommFinalize(comm);
	if (call.self)
		c4_other_leave(&call);
	c4_comm_failed(comm, rc);
	return rc;
}

/* The handle is NCCL's to use again once it is gone, so ours goes first. */
#define ENDING(name, aborted)                                                                      \
	int nccl##name(C4_COMM)                                                                    \
	{                                                                                          \
		struct c4_call call;                                                               \
		int rc;                                                                            \
                                                                                                   \
		NEED();                                                                            \
		c4_comm_ending(comm, aborted);                                                     \
		if (c4_call_open(&call))                                                           \
			c4_other_enter(&call, C4_OP_FINALIZE);                                     \
		rc = real.name(comm);                                                              \
		if (call.self)                                                                     \
			c4_other_leave(&call);                                                     \
		return rc;                                                                         \
	}
ENDING(CommDestroy, false)
ENDING(CommAbort, true)

int ncclCommGetAsyncError(C4_COMM, int *error)
{
	int rc;

	NEED();
	rc = real.CommGetAsyncError(comm, error);
	if (rc == C4_NCCL_SUCCESS && error)
		c4_comm_state(comm, *error);
	return rc;
}

/* ---- first signs of life -------------------------------------------------------------------- */

int ncclGetVersion(int *version)
{
	NEED();
	return real.GetVersion(version);
}

int ncclGetUniqueId(struct c4_nccl_id *id)
{
	NEED();
	return real.GetUniqueId(id);
}
