/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * group.h - telling the hook about MPI communicators: members as world ranks, topology, name.
 *
 * A communicator is registered when the call that made it returns, or at its first use if we did
 * not see it made. It is forgotten before the real call frees it: from then on another thread may
 * be given the same handle.
 */
#ifndef C4_MPI_GROUP_H
#define C4_MPI_GROUP_H

#include <mpi.h>
#include <stddef.h>
#include <stdint.h>

#define C4_COMM_KEY(comm) ((uint64_t)(uintptr_t)(comm))

/* Once MPI is up, and before it goes down. */
void c4_groups_open(void);
void c4_groups_close(void);

/*
 * Slot of a communicator, C4_COMM_ALONE or C4_COMM_LOST; registers an unknown one. Null handles are
 * C4_COMM_ALONE. Preserves errno.
 */
uint32_t c4_group_register(MPI_Comm comm);

/* The same for one just made: a handle we know already was freed where we did not see it. */
void c4_group_created(MPI_Comm comm);

void c4_group_name(MPI_Comm comm, const char *name, size_t n);

/* Takes the handle out of the table: its slot. Then either of the two, when the call is through. */
uint32_t c4_group_forget(MPI_Comm comm);
void c4_group_freed(uint32_t slot);
void c4_group_restore(MPI_Comm comm, uint32_t slot);

#endif
