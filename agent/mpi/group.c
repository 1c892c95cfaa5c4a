// SPDX-License-Identifier: BSD-3-Clause
#include "agent/mpi/group.h"

#include <errno.h>

#include "agent/hook/comm.h"
#include "agent/mpi/api.h"

#define CHUNK 1024 /* ranks translated at a time */

static MPI_Group world_group;

/* Scratch of a registration, guarded by c4_comm_lock(). */
static struct c4_members own, other;
static int ranks[CHUNK], world_ranks[CHUNK];

void c4_groups_open(void)
{
	c4_mpi.Comm_group(c4_mpi.comm_world, &world_group);
	c4_group_register(c4_mpi.comm_world);
}

void c4_groups_close(void)
{
	c4_mpi.Group_free(&world_group);
}

static int fill_chunk(MPI_Group group, int first, int n)
{
	for (int i = 0; i < n; i++)
		ranks[i] = first + i;
	return c4_mpi.Group_translate_ranks(group, n, ranks, world_group, world_ranks);
}

static int read_members(MPI_Group group, struct c4_members *m)
{
	int size, n;

	c4_members_init(m);
	if (c4_mpi.Group_size(group, &size) != MPI_SUCCESS)
		return -EINVAL;
	for (int first = 0; first < size; first += n) {
		n = size - first < CHUNK ? size - first : CHUNK;
		if (fill_chunk(group, first, n) != MPI_SUCCESS)
			return -EINVAL;
		for (int i = 0; i < n; i++)
			c4_members_add(m, world_ranks[i] == MPI_UNDEFINED ? C4_FOREIGN_PEER
									  : world_ranks[i]);
	}
	return 0;
}

static int read_group(MPI_Comm comm, int (*get)(MPI_Comm, MPI_Group *), struct c4_members *m)
{
	MPI_Group group;
	int rc;

	if (get(comm, &group) != MPI_SUCCESS)
		return -EINVAL;
	rc = read_members(group, m);
	c4_mpi.Group_free(&group);
	return rc;
}

/* Neighbours of a topology: what the neighbourhood collectives send to and receive from. */
static void read_topology(MPI_Comm comm, int my_rank, struct c4_comm_desc *d)
{
	int kind = MPI_UNDEFINED, sources = 0, targets = 0, weighted;

	c4_mpi.Topo_test(comm, &kind);
	if (kind == MPI_CART) {
		c4_mpi.Cartdim_get(comm, &sources);
		sources *= 2;
		targets = sources;
	} else if (kind == MPI_GRAPH) {
		c4_mpi.Graph_neighbors_count(comm, my_rank, &sources);
		targets = sources;
	} else if (kind == MPI_DIST_GRAPH) {
		c4_mpi.Dist_graph_neighbors_count(comm, &sources, &targets, &weighted);
	}
	d->sources = (uint32_t)sources;
	d->targets = (uint32_t)targets;
}

static uint32_t describe_and_add(MPI_Comm comm, int inter)
{
	struct c4_comm_desc d = {.group = &own, .other = inter ? &other : NULL};
	int my_rank;

	if (c4_mpi.Comm_rank(comm, &my_rank) != MPI_SUCCESS ||
	    read_group(comm, c4_mpi.Comm_group, &own))
		return C4_COMM_LOST;
	if (inter && read_group(comm, c4_mpi.Comm_remote_group, &other))
		return C4_COMM_LOST;
	d.my_rank = (uint32_t)my_rank;
	d.name = comm == c4_mpi.comm_world ? "world" : NULL;
	if (!inter)
		read_topology(comm, my_rank, &d);
	return c4_comm_add(&d);
}

static uint32_t register_locked(MPI_Comm comm)
{
	uint32_t slot = c4_comm_find(C4_COMM_KEY(comm));
	int inter = 0, size = 0;

	if (slot != C4_COMM_UNKNOWN)
		return slot;
	/* a place for the handle first: without one the slot could never be found again */
	if (c4_comm_bind(C4_COMM_KEY(comm), C4_COMM_LOST)) {
		c4_seg_lose(&c4_hook.seg, C4_LOST_COMMS);
		return C4_COMM_LOST;
	}
	c4_mpi.Comm_test_inter(comm, &inter);
	c4_mpi.Comm_size(comm, &size);
	slot = !inter && size < 2 ? C4_COMM_ALONE : describe_and_add(comm, inter);
	c4_comm_bind(C4_COMM_KEY(comm), slot);
	return slot;
}

uint32_t c4_group_register(MPI_Comm comm)
{
	int saved = errno;
	uint32_t slot = C4_COMM_LOST;

	if (!comm || comm == c4_mpi.comm_null)
		return C4_COMM_ALONE;
	if (c4_comm_lock()) {
		slot = register_locked(comm);
		c4_comm_unlock();
	}
	errno = saved;
	return slot;
}

static void forget_leftover(MPI_Comm comm)
{
	uint32_t slot = c4_comm_find(C4_COMM_KEY(comm));

	if (slot == C4_COMM_UNKNOWN)
		return;
	c4_comm_unbind(C4_COMM_KEY(comm));
	c4_comm_retire(slot);
}

void c4_group_created(MPI_Comm comm)
{
	int saved = errno;

	if (comm && comm != c4_mpi.comm_null && c4_comm_lock()) {
		forget_leftover(comm);
		register_locked(comm);
		c4_comm_unlock();
	}
	errno = saved;
}

void c4_group_name(MPI_Comm comm, const char *name, size_t n)
{
	uint32_t slot = c4_group_register(comm);

	if (slot < C4_SEG_COMMS && c4_comm_lock()) {
		c4_comm_name(slot, name, n);
		c4_comm_unlock();
	}
}

uint32_t c4_group_forget(MPI_Comm comm)
{
	uint32_t slot = c4_group_register(comm);

	c4_comm_unbind(C4_COMM_KEY(comm));
	return slot;
}

void c4_group_freed(uint32_t slot)
{
	if (slot < C4_SEG_COMMS && c4_comm_lock()) {
		c4_comm_retire(slot);
		c4_comm_unlock();
	}
}

void c4_group_restore(MPI_Comm comm, uint32_t slot)
{
	if (c4_comm_lock()) {
		c4_comm_bind(C4_COMM_KEY(comm), slot);
		c4_comm_unlock();
	}
}
