// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/routes/qpshare.h"

/* An interface counts headers, and acknowledgements of what came; TCP's numbers are without. */
#define HEADERS	  (1 + 1.0 / 16) /* of packets of 1500 bytes, and some that are smaller */
#define ANSWERING (1.0 / 32)	 /* one acknowledgement for two packets */

static int port_of(const struct c4_rdmaports *p, uint32_t address)
{
	const struct c4_rdmaport *x = c4_rdmaports_of(p, address);

	return x ? (int)(x - p->v) : -1;
}

static void count(struct c4_qpshare *ret, const struct c4_qpshare_scene *scene,
		  uint32_t pairs[C4_RDMAPORTS_MAX])
{
	for (uint32_t i = 0; i < scene->ngroups; i++) {
		const struct c4_qpair_group *g = &scene->groups[i];
		int port = port_of(scene->now, g->src);

		ret->missing |= port < 0;
		if (port >= 0 && !c4_locals_has(scene->locals, g->dst))
			pairs[port] += g->n;
	}
}

/* What TCP had of this port's interface. */
static double tcp_bytes(const struct c4_qpshare_scene *scene, uint32_t port)
{
	double sum = 0;

	for (uint32_t i = 0; i < scene->ntcp; i++) {
		const struct c4_flow *f = &scene->tcp[i];

		if (port_of(scene->now, f->src) == (int)port)
			sum += (double)f->sent_bytes * HEADERS +
			       (double)f->received_bytes * ANSWERING;
	}
	return sum;
}

static bool are_fresh(const struct c4_qpshare_scene *scene)
{
	return scene->now_ns - scene->now->read_ns < C4_QPSHARE_OLD_NS &&
	       scene->now->read_ns - scene->before->read_ns < C4_QPSHARE_OLD_NS;
}

void c4_qpshare_make(struct c4_qpshare *ret, const struct c4_qpshare_scene *scene)
{
	uint32_t pairs[C4_RDMAPORTS_MAX] = {0};

	*ret = (struct c4_qpshare){.ports = scene->now};
	count(ret, scene, pairs);
	if (!are_fresh(scene))
		return;
	for (uint32_t i = 0; i < scene->now->n; i++) {
		const struct c4_rdmaport *port = &scene->now->v[i];
		double rate = pairs[i] ? c4_rdmaports_rate(scene->before, scene->now, port) : 0;
		double bytes = rate * (double)scene->interval_ns / 1e9;

		if (rate > 0 && port->shared)
			bytes -= tcp_bytes(scene, i);
		if (bytes > 0)
			ret->bytes[i] = bytes / pairs[i];
	}
}

uint64_t c4_qpshare_of(const struct c4_qpshare *s, const struct c4_qpair_group *g)
{
	int port = port_of(s->ports, g->src);

	return port < 0 ? 0 : (uint64_t)(s->bytes[port] * g->n);
}
