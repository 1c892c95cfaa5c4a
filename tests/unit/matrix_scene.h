/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * matrix_scene.h - for tests of diagnosis by source × destination matrices: jobs of eight ranks
 * whose connections carry the same amount in each window, at a rate that a test makes a fault of.
 */
#ifndef C4_TESTS_MATRIX_SCENE_H
#define C4_TESTS_MATRIX_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/scene.h"

#define MIB    (1ull << 20)
#define NORMAL 100.0 /* network ns per KiB of a healthy connection */

/* ---- traffic --------------------------------------------------------------------------------- */

/* The same ±5 % in each test run, different per connection and window. */
static inline double jitter(const struct c4_diag_conn *k, uint64_t serial)
{
	uint64_t x = (k->src * 131 + k->dst * 31 + k->channel * 7 + serial * 977) * 2654435761u;

	return 1 + 0.05 * ((double)((x >> 20) % 101) - 50) / 50;
}

/* One window: what the network took per KiB is what both ends see of it. */
static inline void carry(struct c4_diag_conn *k, uint64_t bytes, uint64_t steps, double ns_per_kib)
{
	uint64_t ns = (uint64_t)((double)bytes / 1024 * ns_per_kib);

	k->send.win_bytes = k->recv.win_bytes = bytes;
	k->send.win_steps = k->recv.win_steps = steps;
	k->send.win_busy_ns = k->recv.win_peer_ns = ns;
	k->send.win_peer_ns = k->recv.win_busy_ns = 0;
	k->send.win_gpu_ns = k->recv.win_gpu_ns = ns / 4;
}

/* Every connection of all communicators carries 512 MiB at the normal rate. */
static inline void healthy(struct scene *s)
{
	for (uint32_t c = 0; c < s->job.ncomms; c++)
		for (uint32_t i = 0; i < s->comms[c].nconns; i++) {
			struct c4_diag_conn *k = &s->conns[c][i];

			carry(k, 512 * MIB, 1024, NORMAL * jitter(k, s->comms[c].conn_serial));
		}
}

static inline void slow(struct scene *s, uint32_t comm, uint32_t src, uint32_t dst, double times)
{
	carry(scene_find(s, comm, src, dst), 512 * MIB, 1024,
	      NORMAL * times * jitter(scene_find(s, comm, src, dst), s->comms[comm].conn_serial));
}

/* Time goes by, a window closes in each communicator, and somebody looks. */
static inline void window(struct scene *s)
{
	s->job.now_ns += S(2);
	for (uint32_t c = 0; c < s->job.ncomms; c++) {
		s->comms[c].conn_serial += s->comms[c].nconns > 0;
		s->comms[c].conn_window_ns = S(2);
	}
	scene_look(s);
}

/* Eight ranks, two to a node, everybody talks to everybody. */
static inline struct scene *all_to_all(void)
{
	struct scene *s = scene_new(8);

	scene_comm(s, "ep", 100, 0, 1, 2, 3, 4, 5, 6, 7, -1);
	scene_gpu(s, 0);
	for (uint32_t a = 0; a < 8; a++)
		for (uint32_t b = 0; b < 8; b++)
			if (a / 2 != b / 2)
				scene_conn(s, 0, a, b, 0);
	return s;
}

/* Eight nodes of one rank, a ring: one connection per source and destination. */
static inline struct scene *ring(void)
{
	struct scene *s = scene_new(8);

	scene_comm(s, "dp", 100, 0, 1, 2, 3, 4, 5, 6, 7, -1);
	scene_gpu(s, 0);
	for (uint32_t r = 0; r < 8; r++) {
		s->ranks[r].node = scene_nodes[r];
		scene_conn(s, 0, r, (r + 1) % 8, 0);
	}
	return s;
}

/* Another communicator of the same ranks, in another order. */
static inline void other_ring(struct scene *s)
{
	static const uint32_t order[] = {0, 2, 4, 6, 1, 3, 5, 7};

	scene_comm(s, "cp", 100, 0, 1, 2, 3, 4, 5, 6, 7, -1);
	scene_gpu(s, 1);
	for (uint32_t i = 0; i < 8; i++)
		scene_conn(s, 1, order[i], order[(i + 1) % 8], 0);
}

typedef void (*fault_fn)(struct scene *s);

/* n windows with this fault; none: healthy ones. */
static inline void run(struct scene *s, unsigned int n, fault_fn fault)
{
	while (n--) {
		healthy(s);
		if (fault)
			fault(s);
		window(s);
	}
}

static inline const struct c4_verdict *only(struct scene *s, enum c4_incident_kind kind)
{
	const struct c4_verdict *v = scene_verdict(s, kind);

	assert_non_null(v);
	assert_int_equal(scene_confirmed(s), 1);
	return v;
}

#endif
