// SPDX-License-Identifier: BSD-3-Clause
/*
 * hook_p2p - every point-to-point call, each completed in every way, with more requests than the
 * hook follows in one call; checks what arrives. Prints OK on rank 0. Any number of ranks from 2.
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

#define MANY 1500 /* more than one call's worth */

static int me, n, next, prev;

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "rank %d: %s:%d: %s\n", me, __FILE__, __LINE__, #cond);    \
			MPI_Abort(MPI_COMM_WORLD, 1);                                              \
		}                                                                                  \
	} while (0)

typedef int send_fn(const void *, int, MPI_Datatype, int, int, MPI_Comm);
typedef int isend_fn(const void *, int, MPI_Datatype, int, int, MPI_Comm, MPI_Request *);

/* Around the ring: a receive is posted first, so that even a synchronous send returns. */
static void blocking(send_fn *send, MPI_Comm c)
{
	int out = me, in = -1;
	MPI_Request req;

	MPI_Irecv(&in, 1, MPI_INT, prev, 1, c, &req);
	MPI_Barrier(c);
	send(&out, 1, MPI_INT, next, 1, c);
	MPI_Wait(&req, MPI_STATUS_IGNORE);
	CHECK(in == prev);
}

static void nonblocking(isend_fn *send, MPI_Comm c)
{
	int out = me, in = -1, flag = 0;
	MPI_Request reqs[2];

	MPI_Irecv(&in, 1, MPI_INT, prev, 2, c, &reqs[0]);
	MPI_Barrier(c);
	send(&out, 1, MPI_INT, next, 2, c, &reqs[1]);
	while (!flag)
		MPI_Testall(2, reqs, &flag, MPI_STATUSES_IGNORE);
	CHECK(in == prev && reqs[0] == MPI_REQUEST_NULL);
}

static void persistent(isend_fn *init, MPI_Comm c)
{
	int out, in, flag;
	MPI_Request reqs[2];

	MPI_Recv_init(&in, 1, MPI_INT, prev, 3, c, &reqs[0]);
	init(&out, 1, MPI_INT, next, 3, c, &reqs[1]);
	for (int i = 0; i < 3; i++) {
		out = me + i;
		in = -1;
		MPI_Start(&reqs[0]);
		MPI_Barrier(c);
		MPI_Start(&reqs[1]);
		do
			MPI_Request_get_status(reqs[0], &flag, MPI_STATUS_IGNORE);
		while (!flag);
		MPI_Waitall(2, reqs, MPI_STATUSES_IGNORE);
		CHECK(in == prev + i && reqs[0] != MPI_REQUEST_NULL);
	}
	MPI_Request_free(&reqs[0]);
	MPI_Request_free(&reqs[1]);
}

static void probes(MPI_Comm c)
{
	int out = me, in = -1, flag = 0;
	MPI_Request req;
	MPI_Message msg;
	MPI_Status st;

	for (int i = 0; i < 4; i++) {
		MPI_Isend(&out, 1, MPI_INT, next, 4, c, &req);
		if (i == 0) {
			MPI_Probe(MPI_ANY_SOURCE, 4, c, &st);
			CHECK(st.MPI_SOURCE == prev);
			MPI_Recv(&in, 1, MPI_INT, st.MPI_SOURCE, 4, c, MPI_STATUS_IGNORE);
		} else if (i == 1) {
			while (!flag)
				MPI_Iprobe(prev, 4, c, &flag, &st);
			MPI_Recv(&in, 1, MPI_INT, prev, 4, c, MPI_STATUS_IGNORE);
		} else if (i == 2) {
			MPI_Mprobe(prev, 4, c, &msg, &st);
			MPI_Mrecv(&in, 1, MPI_INT, &msg, MPI_STATUS_IGNORE);
		} else {
			MPI_Request in_req;

			for (flag = 0; !flag;)
				MPI_Improbe(prev, 4, c, &flag, &msg, &st);
			MPI_Imrecv(&in, 1, MPI_INT, &msg, &in_req);
			MPI_Wait(&in_req, MPI_STATUS_IGNORE);
		}
		CHECK(in == prev);
		in = -1;
		MPI_Wait(&req, MPI_STATUS_IGNORE);
	}
}

static void both_ways(MPI_Comm c)
{
	int out = me, in = -1;

	MPI_Sendrecv(&out, 1, MPI_INT, next, 5, &in, 1, MPI_INT, prev, 5, c, MPI_STATUS_IGNORE);
	CHECK(in == prev);
	MPI_Sendrecv_replace(&out, 1, MPI_INT, next, 6, prev, 6, c, MPI_STATUS_IGNORE);
	CHECK(out == prev);
	MPI_Sendrecv(&out, 1, MPI_INT, MPI_PROC_NULL, 5, &in, 1, MPI_INT, MPI_PROC_NULL, 5, c,
		     MPI_STATUS_IGNORE);
	CHECK(in == prev);
}

static void check_arrivals(const int *in)
{
	for (int i = 0; i < MANY; i++)
		CHECK(in[i] == prev * MANY + i);
}

static void many(MPI_Comm c)
{
	static int out[MANY], in[MANY], indices[2 * MANY];
	static MPI_Request reqs[2 * MANY];
	int left, got, index, flag;

	for (int way = 0; way < 5; way++) {
		for (int i = 0; i < MANY; i++) {
			out[i] = me * MANY + i;
			in[i] = -1;
			MPI_Irecv(&in[i], 1, MPI_INT, prev, i, c, &reqs[i]);
		}
		for (int i = 0; i < MANY; i++)
			MPI_Isend(&out[i], 1, MPI_INT, next, i, c, &reqs[MANY + i]);
		if (way == 0)
			MPI_Waitall(2 * MANY, reqs, MPI_STATUSES_IGNORE);
		for (left = 2 * MANY; way == 1 && left; left -= got)
			MPI_Waitsome(2 * MANY, reqs, &got, indices, MPI_STATUSES_IGNORE);
		for (left = 2 * MANY; way == 2 && left; left -= got)
			MPI_Testsome(2 * MANY, reqs, &got, indices, MPI_STATUSES_IGNORE);
		for (left = 2 * MANY; way == 3 && left; left--)
			MPI_Waitany(2 * MANY, reqs, &index, MPI_STATUS_IGNORE);
		for (left = 2 * MANY; way == 4 && left; left -= flag)
			MPI_Testany(2 * MANY, reqs, &index, &flag, MPI_STATUS_IGNORE);
		check_arrivals(in);
	}
	MPI_Waitall(2 * MANY, reqs, MPI_STATUSES_IGNORE);
	MPI_Waitany(2 * MANY, reqs, &index, MPI_STATUS_IGNORE);
	CHECK(index == MPI_UNDEFINED);
}

/* Requests that are given up, messages nobody sends, handles of nothing. */
static void odd_ends(MPI_Comm c)
{
	MPI_Request req = MPI_REQUEST_NULL;
	int in = -1, out = me, flag = 0;
	MPI_Status st;

	MPI_Wait(&req, &st);
	MPI_Test(&req, &flag, &st);
	CHECK(flag);
	MPI_Irecv(&in, 1, MPI_INT, prev, 77, c, &req);
	MPI_Cancel(&req);
	MPI_Wait(&req, &st);
	MPI_Test_cancelled(&st, &flag);
	CHECK(flag);
	MPI_Irecv(&in, 1, MPI_INT, MPI_PROC_NULL, 78, c, &req);
	MPI_Wait(&req, &st);
	MPI_Isend(&out, 1, MPI_INT, next, 79, c, &req);
	MPI_Request_free(&req);
	MPI_Recv(&in, 1, MPI_INT, prev, 79, c, &st);
	CHECK(in == prev);
	MPI_Send(&out, 1, MPI_INT, MPI_PROC_NULL, 80, c);
	MPI_Barrier(c);
}

/* With errors returned, the hook must neither hide nor add any. */
static void errors(MPI_Comm c)
{
	int x = 0;
	MPI_Comm mine;

	MPI_Comm_dup(c, &mine);
	MPI_Comm_set_errhandler(mine, MPI_ERRORS_RETURN);
	CHECK(MPI_Send(&x, 1, MPI_INT, n + 7, 1, mine) != MPI_SUCCESS);
	CHECK(MPI_Send(&x, -1, MPI_INT, next, 1, mine) != MPI_SUCCESS);
	CHECK(MPI_Bcast(&x, 1, MPI_INT, n + 7, mine) != MPI_SUCCESS);
	CHECK(MPI_Allreduce(&x, &x, 1, MPI_DATATYPE_NULL, MPI_SUM, mine) != MPI_SUCCESS);
	MPI_Comm_free(&mine);
}

int main(int argc, char **argv)
{
	static char attached[1 << 16];
	void *detached;
	int bytes;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &me);
	MPI_Comm_size(MPI_COMM_WORLD, &n);
	next = (me + 1) % n;
	prev = (me + n - 1) % n;
	MPI_Buffer_attach(attached, sizeof attached);
	blocking(MPI_Send, MPI_COMM_WORLD);
	blocking(MPI_Ssend, MPI_COMM_WORLD);
	blocking(MPI_Bsend, MPI_COMM_WORLD);
	blocking(MPI_Rsend, MPI_COMM_WORLD);
	nonblocking(MPI_Isend, MPI_COMM_WORLD);
	nonblocking(MPI_Issend, MPI_COMM_WORLD);
	nonblocking(MPI_Ibsend, MPI_COMM_WORLD);
	nonblocking(MPI_Irsend, MPI_COMM_WORLD);
	persistent(MPI_Send_init, MPI_COMM_WORLD);
	persistent(MPI_Ssend_init, MPI_COMM_WORLD);
	persistent(MPI_Bsend_init, MPI_COMM_WORLD);
	persistent(MPI_Rsend_init, MPI_COMM_WORLD);
	probes(MPI_COMM_WORLD);
	both_ways(MPI_COMM_WORLD);
	many(MPI_COMM_WORLD);
	odd_ends(MPI_COMM_WORLD);
	errors(MPI_COMM_WORLD);
	MPI_Buffer_detach(&detached, &bytes);
	MPI_Finalize();
	if (me == 0)
		puts("OK");
	return 0;
}
