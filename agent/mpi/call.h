/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * call.h - the vocabulary of the generated wrappers (calls.tbl, wrap.awk): what stands between an
 * MPI call and agent/hook/record.h. _c and _f variants take C and Fortran handles.
 */
#ifndef C4_MPI_CALL_H
#define C4_MPI_CALL_H

#include <assert.h>
#include <mpi.h>

#include "agent/hook/record.h"
#include "agent/mpi/api.h"
#include "agent/mpi/group.h"
#include "agent/mpi/life.h"
#include "agent/mpi/types.h"
#include "agent/mpi/wait.h"

static_assert(sizeof(MPI_Fint) == sizeof(int), "Fortran integers are read as int");

/* ---- opening -------------------------------------------------------------------------------- */

static inline uint32_t c4_slot(MPI_Comm comm)
{
	uint32_t slot = c4_comm_find(C4_COMM_KEY(comm));

	return __builtin_expect(slot == C4_COMM_UNKNOWN, 0) ? c4_group_register(comm) : slot;
}

/* Opens a call on a communicator we have no slot for yet, or never will. */
static __attribute__((noinline, unused)) bool c4_open_odd(struct c4_call *call, MPI_Comm comm)
{
	uint32_t slot = c4_slot(comm);

	if (slot == C4_COMM_ALONE)
		c4_call_close(call);
	else
		c4_call_on(call, slot);
	return call->self;
}

/* Opens a call on a communicator; nothing is recorded of one that has no other members. */
static inline __attribute__((always_inline)) bool c4_open_on(struct c4_call *call, MPI_Comm comm)
{
	uint32_t slot;

	if (!c4_call_open(call))
		return false;
	slot = c4_comm_find(C4_COMM_KEY(comm));
	if (__builtin_expect(slot >= C4_SEG_COMMS, 0))
		return c4_open_odd(call, comm);
	call->slot = slot;
	call->comm = &c4_hook.seg.comms[slot];
	return true;
}

/* The same where the call matters even if nobody else is on the communicator. */
static inline bool c4_open_maker(struct c4_call *call, MPI_Comm comm)
{
	if (c4_call_open(call))
		c4_call_on(call, c4_slot(comm));
	return call->self;
}

/*
 * Whether the arguments of a collective mean what op.h says. The two groups of an intercommunicator
 * may pass different sizes, and arguments that are not significant may be anything.
 */
static inline bool c4_comparable(const struct c4_call *call)
{
	return call->slot < C4_SEG_COMMS && !(call->comm->flags & C4_COMM_INTER);
}

/* ---- sizes ---------------------------------------------------------------------------------- */

static inline bool c4_in_place(const void *buf)
{
	return buf == MPI_IN_PLACE;
}

static inline uint64_t c4_bytes(int count, MPI_Datatype type)
{
	return count > 0 ? (uint64_t)count * c4_type_bytes(type) : 0;
}

static inline __attribute__((always_inline)) void c4_elements(struct c4_op_args *args, int count,
							      MPI_Datatype type)
{
	const struct c4_type_cell *c = c4_type_find(c4_types, type);
	uint32_t each = __builtin_expect(c->handle != NULL, 1) ? c->bytes : c4_type_ask(type);

	args->bytes = count > 0 ? (uint64_t)count * each : 0;
	args->dtype = c->code;
}

static inline uint32_t c4_members(const struct c4_call *call)
{
	return c4_comms[call->slot].peers;
}

static inline int c4_me(const struct c4_call *call)
{
	return call->comm->my_rank;
}

static inline uint32_t c4_targets(const struct c4_call *call)
{
	return c4_comms[call->slot].targets;
}

static inline uint64_t c4_sum(const int *counts, uint32_t n, MPI_Datatype type)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += (uint64_t)(counts[i] > 0 ? counts[i] : 0);
	return sum * c4_type_bytes(type);
}

static inline uint64_t c4_sum_types_c(const int *counts, uint32_t n, const MPI_Datatype *types)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		if (counts[i] > 0)
			sum += c4_bytes(counts[i], types[i]);
	return sum;
}

static inline uint64_t c4_sum_types_f(const int *counts, uint32_t n, const MPI_Fint *types)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		if (counts[i] > 0)
			sum += c4_bytes(counts[i], c4_mpi.Type_f2c(types[i]));
	return sum;
}

#define c4_sum_types(counts, n, types)                                                             \
	_Generic((types), const MPI_Fint *: c4_sum_types_f, const MPI_Datatype *: c4_sum_types_c)(   \
		counts, n, types)

/* ---- point to point ------------------------------------------------------------------------- */

static inline int32_t c4_peer(int rank)
{
	return rank == MPI_PROC_NULL ? C4_NO_PEER : rank;
}

static inline void c4_sent(struct c4_call *call, int dest, uint64_t bytes)
{
	if (dest != MPI_PROC_NULL)
		c4_p2p_sent(call->slot, bytes);
}

static inline void c4_received(struct c4_call *call, int source, uint64_t bytes)
{
	if (source != MPI_PROC_NULL)
		c4_p2p_received(call->slot, bytes);
}

/* Opens a call that names no communicator. */
static inline bool c4_open_anywhere(struct c4_call *call)
{
	if (c4_call_open(call))
		c4_call_on(call, C4_COMM_LOST);
	return call->self;
}

/* A message was posted or prepared. Nothing ever happens to one for MPI_PROC_NULL. */
static inline void c4_message(struct c4_call *call, int rc, uint64_t key, uint8_t kind, int peer,
			      uint64_t bytes, uint8_t flags)
{
	struct c4_op_args args = {.kind = kind, .bytes = bytes, .root = peer};

	if (rc == MPI_SUCCESS && peer != MPI_PROC_NULL)
		c4_follow(call, key, args, flags | C4_REQ_P2P);
	c4_call_close(call);
}

/* A persistent collective was prepared. */
static inline void c4_prepared(struct c4_call *call, int rc, uint64_t key, struct c4_op_args args)
{
	if (rc == MPI_SUCCESS)
		c4_follow(call, key, args, C4_REQ_PERSISTENT);
	c4_call_close(call);
}

/* A probe that does not block returned. */
static inline void c4_probe_end(struct c4_call *call, bool found, int source)
{
	uint32_t slot = call->slot;

	c4_wait_clear(call);
	c4_call_on(call, slot);
	if (!found && source != MPI_PROC_NULL)
		c4_wait_peer(call, slot, source);
	c4_poll_leave(call, found, true);
}

/* MPI_Request_get_status alone is given the handle itself. */
#define C4_HELD_c(request) (&(request))
#define C4_HELD_f(request) (request)

static inline void c4_start_all_c(struct c4_call *call, int n, const MPI_Request *r)
{
	for (int i = 0; i < n; i++)
		c4_start(call, c4_request_key_c(&r[i]));
}

static inline void c4_start_all_f(struct c4_call *call, int n, const MPI_Fint *r)
{
	for (int i = 0; i < n; i++)
		c4_start(call, c4_request_key_f(&r[i]));
}

/* ---- communicators -------------------------------------------------------------------------- */

/* Making and freeing communicators, as operations on the one they start from. */
static const struct c4_op_args c4_creation = {.kind = C4_OP_COMM_CREATE, .root = -1};

static inline void c4_created_c(const MPI_Comm *comm)
{
	c4_group_created(*comm);
}

static inline void c4_created_f(const MPI_Fint *comm)
{
	c4_group_created(c4_mpi.Comm_f2c(*comm));
}

static inline MPI_Comm c4_comm_c(const MPI_Comm *comm)
{
	return *comm;
}

static inline MPI_Comm c4_comm_f(const MPI_Fint *comm)
{
	return c4_mpi.Comm_f2c(*comm);
}

struct c4_freeing {
	MPI_Comm comm;
	uint32_t slot;
};

static inline struct c4_freeing c4_freeing(struct c4_call *call, MPI_Comm comm)
{
	struct c4_freeing f = {comm, c4_group_forget(comm)};

	c4_call_on(call, f.slot);
	return f;
}

static inline void c4_freed(const struct c4_freeing *f, int rc)
{
	if (rc == MPI_SUCCESS)
		c4_group_freed(f->slot);
	else
		c4_group_restore(f->comm, f->slot);
}

static inline void c4_named(struct c4_call *call, int rc, MPI_Comm comm, const char *name, size_t n)
{
	c4_call_close(call);
	if (rc == MPI_SUCCESS)
		c4_group_name(comm, name, n);
}

/* Fortran pads with blanks. */
static inline size_t c4_trimmed(const char *name, size_t n)
{
	while (n && name[n - 1] == ' ')
		n--;
	return n;
}

#define C4_LENGTH_c(name) SIZE_MAX
#define C4_LENGTH_f(name) c4_trimmed(name, name_len)
#define C4_NEWCOMM_c	  0
#define C4_NEWCOMM_f	  C4_REQ_F_NEWCOMM

/* ---- Fortran arguments ---------------------------------------------------------------------- */

/* Before MPI_Init the library cannot be asked; nothing is recorded then either. */
#define C4_FROM_FORTRAN(convert, handle)                                                           \
	(c4_hook_live() ? c4_mpi.convert(*(handle)) : (__typeof__(c4_mpi.convert(0)))NULL)

static inline const void *c4_buffer_f(const void *buf)
{
	for (unsigned int i = 0; i < sizeof c4_mpi.f_in_place / sizeof c4_mpi.f_in_place[0]; i++)
		if (buf && buf == c4_mpi.f_in_place[i])
			return MPI_IN_PLACE;
	return buf;
}

#endif
