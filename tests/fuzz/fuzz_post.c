// SPDX-License-Identifier: BSD-3-Clause
/*
 * Posts as anybody may send them, several to one collector: the input is cut into posts, each
 * behind its length in two bytes, and time goes on between them; then everything that reads the
 * model runs.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "c4.pb-c.h"
#include "collector/api.h"
#include "collector/collector.h"
#include "common/log.h"

#define S 1000000000ull

static void ask(struct c4_collector *c, const char *path, uint64_t mono)
{
	struct c4_request q = {.method = "GET", .path = path, .type = "", .body = ""};
	struct c4_response r = {0};

	c4_api_handle(c, &q, mono, mono, &r);
	while (r.stream && r.stream->next(r.stream, &r.body))
		;
	if (r.stream)
		r.stream->free(r.stream);
	c4_buf_release(&r.body);
}

static void read_all(struct c4_collector *c, uint64_t mono)
{
	ask(c, "/api/v1/jobs", mono);
	ask(c, "/api/v1/ranks", mono);
	ask(c, "/api/v1/comms", mono);
	ask(c, "/api/v1/matrix", mono);
	ask(c, "/api/v1/incidents", mono);
	ask(c, "/api/v1/report", mono);
	ask(c, "/metrics", mono);
}

/* An honest agent keeps worlds small; what is fuzzed is not how long a million ranks take. */
static int too_big(const uint8_t *data, size_t n)
{
	C4__V1__Post *p = c4__v1__post__unpack(NULL, n, data);
	int big = 0;

	for (size_t i = 0; p && i < p->n_processes; i++) {
		const C4__V1__Process *x = p->processes[i];

		big |= x->identity && x->identity->world_size > 4096;
		for (size_t k = 0; k < x->n_comms; k++)
			big |= x->comms[k]->identity && x->comms[k]->identity->size > 4096;
	}
	if (p)
		c4__v1__post__free_unpacked(p, NULL);
	return big;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct c4_collector c;
	uint64_t mono = S;

	c4_log_set_level(C4_LOG_ERROR);
	if (c4_collector_init(&c, NULL, NULL, S, mono, mono))
		return 0;
	while (size >= 2) {
		size_t n = (size_t)data[0] | (size_t)data[1] << 8;
		struct c4_ingest_answer answer;

		data += 2;
		size -= 2;
		n = n < size ? n : size;
		if (!too_big(data, n))
			c4_collector_post(&c, data, n, mono, mono, &answer);
		data += n;
		size -= n;
		mono += S;
		c4_collector_tick(&c, mono, mono);
	}
	read_all(&c, mono);
	for (int i = 0; i < 8; i++) {
		mono += S;
		c4_collector_tick(&c, mono, mono);
	}
	c4_collector_release(&c, mono, mono);
	return 0;
}
