// SPDX-License-Identifier: BSD-3-Clause
/*
 * Messages over all queue pairs at once, both ways, DEPTH under way each. A receiver knows what
 * each message must hold, and that they come in order. See qp.h.
 */
#include "qp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_USUAL 4096
#define STALL_S	    20

/* What message `seq` of queue pair i from end `from` holds: a cheap stream nobody else makes. */
static void fill(uint8_t *at, size_t bytes, char from, unsigned i, unsigned seq)
{
	uint64_t x = ((uint64_t)from << 56 | (uint64_t)i << 32 | seq) * 0x9E3779B97F4A7C15ull + 1;

	for (size_t k = 0; k < bytes; k++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		at[k] = (uint8_t)x;
	}
}

int post_send(unsigned i, uint32_t bytes)
{
	struct flow *f = &me.flow[i];
	uint8_t *at = f->out + (size_t)(f->posted % DEPTH) * BYTES_MAX;
	struct ibv_sge sge = {(uintptr_t)at, bytes, me.mr->lkey};
	struct ibv_send_wr wr = {.wr_id = (uint64_t)i << 1,
				 .sg_list = &sge,
				 .num_sge = 1,
				 .opcode = IBV_WR_SEND,
				 .send_flags = IBV_SEND_SIGNALED},
			   *bad;

	fill(at, bytes, me.name, i, f->posted);
	f->posted++;
	return ibv_post_send(f->qp, &wr, &bad);
}

int post_recv(unsigned i)
{
	struct flow *f = &me.flow[i];
	uint8_t *at = f->in + (size_t)(f->expected % RECEIVES) * BYTES_MAX;
	struct ibv_sge sge = {(uintptr_t)at, BYTES_MAX, me.mr->lkey};
	struct ibv_recv_wr wr = {.wr_id = (uint64_t)i << 1 | 1, .sg_list = &sge, .num_sge = 1},
			   *bad;

	f->expected++;
	return ibv_post_recv(f->qp, &wr, &bad);
}

static void check_message(unsigned i, uint32_t got, uint32_t bytes)
{
	static uint8_t right[BYTES_MAX];
	struct flow *f = &me.flow[i];
	const uint8_t *at = f->in + (size_t)(f->received % RECEIVES) * BYTES_MAX;

	fill(right, bytes, me.name == 'A' ? 'B' : 'A', i, f->received);
	if (got != bytes || memcmp(at, right, bytes) != 0)
		f->bad++;
	f->received++;
}

/* Sends what may be sent, up to `limit` messages. */
static void pump(unsigned i, unsigned limit, uint32_t bytes)
{
	struct flow *f = &me.flow[i];

	while (!f->status && f->posted < limit && f->posted < f->sent + DEPTH &&
	       f->posted < f->received + DEPTH)
		if (post_send(i, bytes))
			f->status = -EIO;
}

static void complete(const struct ibv_wc *wc, unsigned limit, uint32_t bytes)
{
	unsigned i = (unsigned)(wc->wr_id >> 1);
	struct flow *f = &me.flow[i];

	if (wc->status != IBV_WC_SUCCESS) {
		if (!f->status)
			f->status = (int)wc->status;
		return;
	}
	if (wc->wr_id & 1) {
		check_message(i, wc->byte_len, bytes);
		if (f->expected < limit && post_recv(i))
			f->status = -EIO;
	} else {
		f->sent++;
	}
	pump(i, limit, bytes);
}

static int all_done(unsigned limit)
{
	for (unsigned i = 0; i < me.flows; i++) {
		const struct flow *f = &me.flow[i];

		if (!f->status && (f->sent < limit || f->received < limit))
			return 0;
	}
	return 1;
}

static int halfway(unsigned count)
{
	for (unsigned i = 0; i < me.flows; i++)
		if (me.flow[i].sent < count / 2)
			return 0;
	return 1;
}

static void start_flows(unsigned count, uint32_t bytes)
{
	for (unsigned i = 0; i < me.flows; i++) {
		struct flow *f = &me.flow[i];

		f->posted = f->sent = f->expected = f->received = f->bad = 0;
		for (unsigned k = 0; k < RECEIVES && k < count; k++)
			if (post_recv(i))
				die("receive on queue pair %u", i);
	}
	barrier(); /* nobody sends before all can receive */
	for (unsigned i = 0; i < me.flows; i++)
		pump(i, count, bytes);
}

void step_send(const char *name, const char *args, void (*midway)(const char *labels))
{
	char *end;
	unsigned count = (unsigned)strtoul(args, &end, 0);
	uint32_t bytes = *end == 'x' ? (uint32_t)strtoul(end + 1, &end, 0) : BYTES_USUAL;
	long began, last;

	if (count == 0 || bytes == 0 || bytes > BYTES_MAX)
		die("%s=%s", name, args);
	start_flows(count, bytes);
	began = last = now_us();
	while (!all_done(count)) {
		struct ibv_wc wc[16];
		int n = ibv_poll_cq(me.cq, 16, wc);

		for (int k = 0; k < n; k++)
			complete(&wc[k], count, bytes);
		if (n > 0)
			last = now_us();
		else if (now_us() - last > STALL_S * 1000000L)
			break;
		if (midway && halfway(count)) {
			midway(*end == ':' ? end + 1 : "");
			midway = NULL;
		}
	}
	if (!all_done(count))
		fprintf(stderr, "qp: end %c: nothing completes for %d s\n", me.name, STALL_S);
	for (unsigned i = 0; i < me.flows; i++) {
		const struct flow *f = &me.flow[i];

		me.failed |= f->status || f->bad || f->sent != count || f->received != count;
	}
	barrier();
	say_flows(name, now_us() - began);
}

/* 1 if a message's completion comes within the time, negative if it is a bad one. */
int came_within(long us)
{
	struct ibv_wc wc;
	long end = now_us() + us;

	while (now_us() < end)
		if (ibv_poll_cq(me.cq, 1, &wc) > 0)
			return wc.status == IBV_WC_SUCCESS ? 1 : -1;
	return 0;
}
