// SPDX-License-Identifier: BSD-3-Clause
/*
 * hook_coll - every collective MPI has, in its blocking, nonblocking, persistent and in-place
 * forms, on all kinds of communicator; checks each result itself. Prints OK on rank 0, exits 1 on
 * the first wrong result. Any number of ranks from 2; intercommunicators and topologies included.
 *
 * Rank r contributes r + 1 (times something) everywhere, so that results have closed forms.
 */
#include <mpi.h>
#include <mpi-ext.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RANKS 64

static int world_rank;

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "rank %d: %s:%d: %s\n", world_rank, __FILE__, __LINE__,    \
				#cond);                                                            \
			MPI_Abort(MPI_COMM_WORLD, 1);                                              \
		}                                                                                  \
	} while (0)

static int rank_of(MPI_Comm c)
{
	int r;

	MPI_Comm_rank(c, &r);
	return r;
}

static int size_of(MPI_Comm c)
{
	int n;

	MPI_Comm_size(c, &n);
	return n;
}

static int triangle(int n)
{
	return n * (n + 1) / 2;
}

/* Completes a request in a way that differs from call to call. */
static void finish(MPI_Request *req)
{
	static int way;
	int flag = 0, index, count, indices[1];

	switch (way++ % 6) {
	case 0: MPI_Wait(req, MPI_STATUS_IGNORE); break;
	case 1: MPI_Waitall(1, req, MPI_STATUSES_IGNORE); break;
	case 2: MPI_Waitany(1, req, &index, MPI_STATUS_IGNORE); break;
	case 3: MPI_Waitsome(1, req, &count, indices, MPI_STATUSES_IGNORE); break;
	case 4:
		while (!flag)
			MPI_Test(req, &flag, MPI_STATUS_IGNORE);
		break;
	default:
		while (!flag)
			MPI_Testall(1, req, &flag, MPI_STATUSES_IGNORE);
	}
}

static void finish_persistent(MPI_Request *req)
{
	MPI_Start(req);
	MPI_Wait(req, MPI_STATUS_IGNORE);
}

/* ---- rooted --------------------------------------------------------------------------------- */

static void check_gathered(const int *got, int n, int each)
{
	for (int i = 0; i < n; i++)
		for (int k = 0; k < each; k++)
			CHECK(got[i * each + k] == i + 1);
}

static void rooted(MPI_Comm c, int root)
{
	int n = size_of(c), me = rank_of(c), mine = me + 1, x, all[MAX_RANKS];
	int counts[MAX_RANKS], displs[MAX_RANKS];
	MPI_Request req;

	for (int i = 0; i < n; i++) {
		counts[i] = 1;
		displs[i] = i;
	}
	x = me == root ? 42 : 0;
	MPI_Bcast(&x, 1, MPI_INT, root, c);
	CHECK(x == 42);
	x = me == root ? 43 : 0;
	MPI_Ibcast(&x, 1, MPI_INT, root, c, &req);
	finish(&req);
	CHECK(x == 43);

	MPI_Reduce(&mine, &x, 1, MPI_INT, MPI_SUM, root, c);
	CHECK(me != root || x == triangle(n));
	x = mine;
	MPI_Reduce(me == root ? MPI_IN_PLACE : &x, &x, 1, MPI_INT, MPI_MAX, root, c);
	CHECK(me != root || x == n);

	MPI_Gather(&mine, 1, MPI_INT, all, 1, MPI_INT, root, c);
	if (me == root)
		check_gathered(all, n, 1);
	MPI_Igatherv(&mine, 1, MPI_INT, all, counts, displs, MPI_INT, root, c, &req);
	finish(&req);
	if (me == root)
		check_gathered(all, n, 1);
	all[me] = mine;
	MPI_Gather(me == root ? MPI_IN_PLACE : &mine, 1, MPI_INT, all, 1, MPI_INT, root, c);
	if (me == root)
		check_gathered(all, n, 1);

	MPI_Scatter(all, 1, MPI_INT, &x, 1, MPI_INT, root, c);
	CHECK(x == mine);
	MPI_Scatterv(all, counts, displs, MPI_INT, me == root ? MPI_IN_PLACE : &x, 1, MPI_INT, root,
		     c);
	CHECK(x == mine);
	MPI_Iscatter(all, 1, MPI_INT, &x, 1, MPI_INT, root, c, &req);
	finish(&req);
	CHECK(x == mine);
}

/* ---- all to all ----------------------------------------------------------------------------- */

static void reductions(MPI_Comm c)
{
	int n = size_of(c), me = rank_of(c), mine = me + 1, x, many[MAX_RANKS], counts[MAX_RANKS];
	MPI_Request req;

	for (int i = 0; i < n; i++) {
		many[i] = i + 1;
		counts[i] = 1;
	}
	MPI_Allreduce(&mine, &x, 1, MPI_INT, MPI_SUM, c);
	CHECK(x == triangle(n));
	x = mine;
	MPI_Allreduce(MPI_IN_PLACE, &x, 1, MPI_INT, MPI_SUM, c);
	CHECK(x == triangle(n));
	MPI_Iallreduce(&mine, &x, 1, MPI_INT, MPI_MAX, c, &req);
	finish(&req);
	CHECK(x == n);
	MPI_Reduce_scatter(many, &x, counts, MPI_INT, MPI_SUM, c);
	CHECK(x == n * mine);
	MPI_Reduce_scatter_block(many, &x, 1, MPI_INT, MPI_SUM, c);
	CHECK(x == n * mine);
	MPI_Ireduce_scatter_block(many, &x, 1, MPI_INT, MPI_SUM, c, &req);
	finish(&req);
	CHECK(x == n * mine);
	MPI_Scan(&mine, &x, 1, MPI_INT, MPI_SUM, c);
	CHECK(x == triangle(mine));
	MPI_Exscan(&mine, &x, 1, MPI_INT, MPI_SUM, c);
	CHECK(me == 0 || x == triangle(me));
	MPI_Iscan(&mine, &x, 1, MPI_INT, MPI_SUM, c, &req);
	finish(&req);
	CHECK(x == triangle(mine));
}

static void gathers(MPI_Comm c)
{
	int n = size_of(c), me = rank_of(c), two[2] = {me + 1, me + 1};
	int all[2 * MAX_RANKS], counts[MAX_RANKS], displs[MAX_RANKS];
	MPI_Request req;

	for (int i = 0; i < n; i++) {
		counts[i] = 2;
		displs[i] = 2 * i;
	}
	MPI_Allgather(two, 2, MPI_INT, all, 2, MPI_INT, c);
	check_gathered(all, n, 2);
	memset(all, 0, sizeof all);
	memcpy(&all[2 * me], two, sizeof two);
	MPI_Allgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, all, 2, MPI_INT, c);
	check_gathered(all, n, 2);
	memset(all, 0, sizeof all);
	MPI_Allgatherv(two, 2, MPI_INT, all, counts, displs, MPI_INT, c);
	check_gathered(all, n, 2);
	memset(all, 0, sizeof all);
	memcpy(&all[2 * me], two, sizeof two);
	MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, all, counts, displs, MPI_INT, c);
	check_gathered(all, n, 2);
	memset(all, 0, sizeof all);
	MPI_Iallgather(two, 2, MPI_INT, all, 2, MPI_INT, c, &req);
	finish(&req);
	check_gathered(all, n, 2);
}

/* Rank r sends 100 r + i to rank i. */
static void exchanges(MPI_Comm c)
{
	int n = size_of(c), me = rank_of(c);
	int out[MAX_RANKS], in[MAX_RANKS], ones[MAX_RANKS], displs[MAX_RANKS],
		byte_displs[MAX_RANKS];
	MPI_Datatype types[MAX_RANKS];
	MPI_Request req;

	for (int i = 0; i < n; i++) {
		out[i] = 100 * me + i;
		ones[i] = 1;
		displs[i] = i;
		byte_displs[i] = (int)sizeof(int) * i;
		types[i] = MPI_INT;
	}
	for (int form = 0; form < 6; form++) {
		memset(in, 0xff, sizeof in);
		switch (form) {
		case 0: MPI_Alltoall(out, 1, MPI_INT, in, 1, MPI_INT, c); break;
		case 1:
			MPI_Alltoallv(out, ones, displs, MPI_INT, in, ones, displs, MPI_INT, c);
			break;
		case 2:
			MPI_Alltoallw(out, ones, byte_displs, types, in, ones, byte_displs, types,
				      c);
			break;
		case 3:
			MPI_Ialltoall(out, 1, MPI_INT, in, 1, MPI_INT, c, &req);
			finish(&req);
			break;
		case 4:
			MPI_Ialltoallw(out, ones, byte_displs, types, in, ones, byte_displs, types,
				       c, &req);
			finish(&req);
			break;
		case 5:
			memcpy(in, out, sizeof in);
			MPI_Alltoall(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, in, 1, MPI_INT, c);
		}
		for (int i = 0; i < n; i++)
			CHECK(in[i] == 100 * i + me);
	}
}

/* ---- several at a time, persistent ---------------------------------------------------------- */

static void overlapped(MPI_Comm c)
{
	int n = size_of(c), mine = rank_of(c) + 1, sums[40], index;
	MPI_Request reqs[41];

	for (int i = 0; i < 40; i++)
		MPI_Iallreduce(&mine, &sums[i], 1, MPI_INT, MPI_SUM, c, &reqs[i]);
	MPI_Ibarrier(c, &reqs[40]);
	MPI_Barrier(c);
	for (int left = 41; left > 21; left--) {
		MPI_Waitany(41, reqs, &index, MPI_STATUS_IGNORE);
		CHECK(index >= 0 && index <= 40);
	}
	MPI_Waitall(41, reqs, MPI_STATUSES_IGNORE);
	for (int i = 0; i < 40; i++)
		CHECK(sums[i] == triangle(n));
}

static void persistent(MPI_Comm c)
{
#ifdef OMPI_HAVE_MPI_EXT_PCOLLREQ
	int n = size_of(c), mine = rank_of(c) + 1, sum = 0, x;
	MPI_Request reqs[2];

	MPIX_Allreduce_init(&mine, &sum, 1, MPI_INT, MPI_SUM, c, MPI_INFO_NULL, &reqs[0]);
	MPIX_Bcast_init(&x, 1, MPI_INT, 0, c, MPI_INFO_NULL, &reqs[1]);
	for (int i = 0; i < 3; i++) {
		sum = 0;
		x = mine == 1 ? 7 + i : 0;
		if (i) {
			MPI_Startall(2, reqs);
			MPI_Waitall(2, reqs, MPI_STATUSES_IGNORE);
		} else {
			finish_persistent(&reqs[0]);
			finish_persistent(&reqs[1]);
		}
		CHECK(sum == triangle(n) && x == 7 + i);
	}
	MPI_Request_free(&reqs[0]);
	MPI_Request_free(&reqs[1]);
#else
	(void)c;
	(void)finish_persistent;
#endif
}

/* ---- topologies ----------------------------------------------------------------------------- */

/* A ring: everybody hears both neighbours. */
static void check_ring(const int *in, int n, int me)
{
	CHECK(in[0] == (me + n - 1) % n + 1);
	CHECK(in[1] == (me + 1) % n + 1);
}

static void neighbors(MPI_Comm c)
{
	int n = size_of(c), me, dims[1] = {n}, periods[1] = {1}, in[2], two[2], ones[2] = {1, 1};
	int displs[2] = {0, 1};
	MPI_Aint byte_displs[2] = {0, sizeof(int)};
	MPI_Datatype types[2] = {MPI_INT, MPI_INT};
	MPI_Request req;
	MPI_Comm ring;

	MPI_Cart_create(c, 1, dims, periods, 0, &ring);
	me = rank_of(ring);
	two[0] = two[1] = me + 1;
	MPI_Neighbor_allgather(two, 1, MPI_INT, in, 1, MPI_INT, ring);
	check_ring(in, n, me);
	MPI_Neighbor_allgatherv(two, 1, MPI_INT, in, ones, displs, MPI_INT, ring);
	check_ring(in, n, me);
	MPI_Ineighbor_allgather(two, 1, MPI_INT, in, 1, MPI_INT, ring, &req);
	finish(&req);
	check_ring(in, n, me);
	/* with two ranks both neighbours are the same one, whose two messages may cross */
	MPI_Neighbor_alltoall(two, 1, MPI_INT, in, 1, MPI_INT, ring);
	check_ring(in, n, me);
	MPI_Neighbor_alltoallv(two, ones, displs, MPI_INT, in, ones, displs, MPI_INT, ring);
	check_ring(in, n, me);
	MPI_Neighbor_alltoallw(two, ones, byte_displs, types, in, ones, byte_displs, types, ring);
	check_ring(in, n, me);
	MPI_Comm_free(&ring);
}

static void graphs(MPI_Comm c)
{
	int n = size_of(c), me = rank_of(c), prev = (me + n - 1) % n, next = (me + 1) % n, in, mine;
	int one = 1;
	MPI_Comm line;

	mine = me + 1;
	MPI_Dist_graph_create_adjacent(c, 1, &prev, &one, 1, &next, &one, MPI_INFO_NULL, 0, &line);
	MPI_Neighbor_allgather(&mine, 1, MPI_INT, &in, 1, MPI_INT, line);
	CHECK(in == prev + 1);
	MPI_Comm_free(&line);
	MPI_Dist_graph_create(c, 1, &me, &one, &next, &one, MPI_INFO_NULL, 0, &line);
	MPI_Neighbor_allgather(&mine, 1, MPI_INT, &in, 1, MPI_INT, line);
	CHECK(in == prev + 1);
	MPI_Comm_free(&line);
}

/* ---- intercommunicators, groups ------------------------------------------------------------- */

static void between(MPI_Comm c)
{
	int n = size_of(c), me = rank_of(c), half = me < n / 2, x, mine = me + 1, others;
	MPI_Comm local, inter, merged;
	MPI_Request req;
	int root;

	MPI_Comm_split(c, half, me, &local);
	MPI_Intercomm_create(local, 0, c, half ? n / 2 : 0, 99, &inter);
	others = half ? triangle(n) - triangle(n / 2) : triangle(n / 2);
	MPI_Barrier(inter);
	MPI_Allreduce(&mine, &x, 1, MPI_INT, MPI_SUM, inter);
	CHECK(x == others);
	MPI_Iallreduce(&mine, &x, 1, MPI_INT, MPI_SUM, inter, &req);
	finish(&req);
	CHECK(x == others);
	/* only the root and the other group have arguments that mean something */
	root = half ? (me == 0 ? MPI_ROOT : MPI_PROC_NULL) : 0;
	x = me == 0 ? 5 : 0;
	if (half && me)
		MPI_Bcast(NULL, 0, MPI_BYTE, root, inter);
	else
		MPI_Bcast(&x, 1, MPI_INT, root, inter);
	CHECK(x == (half && me ? 0 : 5));
	MPI_Sendrecv(&mine, 1, MPI_INT, 0, 3, &x, 0, MPI_INT, MPI_PROC_NULL, 3, inter,
		     MPI_STATUS_IGNORE);
	if (rank_of(local) == 0) {
		int remote, got;

		MPI_Comm_remote_size(inter, &remote);
		for (int i = 0; i < remote; i++)
			MPI_Recv(&got, 1, MPI_INT, MPI_ANY_SOURCE, 3, inter, MPI_STATUS_IGNORE);
	}
	MPI_Intercomm_merge(inter, half, &merged);
	MPI_Allreduce(&mine, &x, 1, MPI_INT, MPI_SUM, merged);
	CHECK(x == triangle(n));
	MPI_Comm_free(&merged);
	MPI_Comm_disconnect(&inter);
	MPI_Comm_free(&local);
}

/* Everybody but the last: not collective over the parent. */
static void subgroup(MPI_Comm c)
{
	int n = size_of(c), me = rank_of(c), last = n - 1, mine = me + 1, x;
	MPI_Group all, most;
	MPI_Comm sub;

	MPI_Comm_group(c, &all);
	MPI_Group_excl(all, 1, &last, &most);
	if (me != last) {
		MPI_Comm_create_group(c, most, 5, &sub);
		MPI_Allreduce(&mine, &x, 1, MPI_INT, MPI_SUM, sub);
		CHECK(x == triangle(n - 1));
		MPI_Comm_free(&sub);
	}
	MPI_Comm_create(c, most, &sub);
	CHECK((sub == MPI_COMM_NULL) == (me == last));
	if (sub != MPI_COMM_NULL) {
		MPI_Barrier(sub);
		MPI_Comm_free(&sub);
	}
	MPI_Group_free(&most);
	MPI_Group_free(&all);
}

static void on(MPI_Comm c)
{
	int n = size_of(c);

	MPI_Barrier(c);
	for (int root = 0; root < n; root++)
		rooted(c, root);
	reductions(c);
	gathers(c);
	exchanges(c);
	overlapped(c);
	persistent(c);
}

int main(int argc, char **argv)
{
	MPI_Comm dup, idup, half;
	MPI_Request req;

	MPI_Init(&argc, &argv);
	world_rank = rank_of(MPI_COMM_WORLD);
	CHECK(size_of(MPI_COMM_WORLD) >= 2 && size_of(MPI_COMM_WORLD) <= MAX_RANKS);
	on(MPI_COMM_WORLD);
	on(MPI_COMM_SELF);
	MPI_Comm_dup(MPI_COMM_WORLD, &dup);
	MPI_Comm_set_name(dup, "double");
	on(dup);
	MPI_Comm_idup(dup, &idup, &req);
	finish(&req);
	on(idup);
	MPI_Comm_split(MPI_COMM_WORLD, world_rank % 2, -world_rank, &half);
	on(half);
	if (size_of(MPI_COMM_WORLD) > 2)
		neighbors(dup);
	graphs(dup);
	between(dup);
	subgroup(dup);
	MPI_Comm_free(&half);
	MPI_Comm_free(&idup);
	MPI_Comm_free(&dup);
	MPI_Barrier(MPI_COMM_WORLD);
	MPI_Finalize();
	if (world_rank == 0)
		puts("OK");
	return 0;
}
