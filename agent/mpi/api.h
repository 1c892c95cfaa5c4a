/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * api.h - finding the real functions. We never link against the MPI library: it may be any, and it
 * may be loaded late and privately (Python modules).
 *
 * A wrapper calls the next definition of its own name, so that other interposing tools keep
 * working; our own questions to the library go to the PMPI_ names, which nobody counts.
 * Each set of names (C, Fortran 77/90, Fortran 2008) is looked up at its first use, by whoever
 * comes first; two threads at once find the same.
 */
#ifndef C4_MPI_API_H
#define C4_MPI_API_H

#include <mpi.h>
#include <stdbool.h>
#include <stddef.h>

/* Wrapped functions of one language; generated from calls.tbl. */
struct c4_mpi_set {
	const char *const *names; /* of C: "MPI_Send"; other spellings are derived */
	void **real;
	size_t n;
	const char *suffix; /* NULL: C; else names are lower case and end so */
	int ready;	    /* atomic */
};

extern struct c4_mpi_set c4_set_c __attribute__((visibility("hidden")));
extern struct c4_mpi_set c4_set_f77 __attribute__((visibility("hidden")));
extern struct c4_mpi_set c4_set_f08 __attribute__((visibility("hidden")));

/* Functions we call on our own account. */
#define C4_PMPI(X)                                                                                 \
	X(Cartdim_get)                                                                             \
	X(Comm_f2c)                                                                                \
	X(Comm_get_parent)                                                                         \
	X(Comm_group)                                                                              \
	X(Comm_rank)                                                                               \
	X(Comm_remote_group)                                                                       \
	X(Comm_size)                                                                               \
	X(Comm_test_inter)                                                                         \
	X(Dist_graph_neighbors_count)                                                              \
	X(Get_library_version)                                                                     \
	X(Graph_neighbors_count)                                                                   \
	X(Group_free)                                                                              \
	X(Group_rank)                                                                              \
	X(Group_size)                                                                              \
	X(Group_translate_ranks)                                                                   \
	X(Op_f2c)                                                                                  \
	X(Query_thread)                                                                            \
	X(Request_c2f)                                                                             \
	X(Topo_test)                                                                               \
	X(Type_f2c)                                                                                \
	X(Type_size)

/* What the library is made of; valid when `usable`. */
struct c4_mpi {
#define C4_PMPI_MEMBER(name) __typeof__(PMPI_##name) *name;
	C4_PMPI(C4_PMPI_MEMBER)
#undef C4_PMPI_MEMBER
	MPI_Comm comm_world, comm_null;
	MPI_Request request_null;
	MPI_Datatype datatype_null;
	MPI_Fint f_request_null;
	const void *f_in_place[4]; /* Fortran's MPI_IN_PLACE is the address of a variable */
	bool usable;		   /* an Open MPI with all we need: known handles, known layout */
	bool threads;		   /* several threads may be inside at once */
};

extern struct c4_mpi c4_mpi __attribute__((visibility("hidden")));

/* Looks the set up. Preserves errno. */
void c4_mpi_resolve(struct c4_mpi_set *set);

static inline void c4_mpi_need(struct c4_mpi_set *set)
{
	if (__builtin_expect(!__atomic_load_n(&set->ready, __ATOMIC_ACQUIRE), 0))
		c4_mpi_resolve(set);
}

/* Address of a variable of the library, as the program sees it; NULL if there is none. */
void *c4_mpi_data(const char *name);

#endif
