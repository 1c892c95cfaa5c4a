// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/gpu.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/daemon/nvml.h"

#define RETRY_NS   60000000000ull /* the driver may try to load modules: not too often */
#define EVENTS_MAX 64		  /* taken at a time */

struct device {
	struct c4_nvml_device *handle;
	uint32_t links; /* bit i: NVLink i tells its errors */
	struct c4_gpu gpu;
};

struct c4_gpus {
	const char *library;
	bool open;
	uint64_t tried_ns; /* 0: never */
	struct c4_nvml nvml;
	struct c4_nvml_event_set *events; /* NULL: none to be had */
	uint32_t n;
	struct device devices[C4_GPUS_MAX];
};

struct c4_gpus *c4_gpus_new(const char *library)
{
	struct c4_gpus *s = calloc(1, sizeof *s);

	if (s)
		s->library = library;
	return s;
}

void c4_gpus_free(struct c4_gpus *s)
{
	free(s);
}

/* Calls a function of the library if it is there: whether it was, and went well. */
#define CALL(s, function, ...) ((s)->nvml.function && (s)->nvml.function(__VA_ARGS__) == C4_NVML_OK)

/* ---- finding -------------------------------------------------------------------------------- */

static void identify(struct c4_gpus *s, struct device *d, uint32_t index)
{
	struct c4_nvml_pci pci = {0};

	d->gpu.index = index;
	d->links = (1u << C4_NVML_LINKS) - 1;
	if (CALL(s, pci, d->handle, &pci))
		snprintf(d->gpu.bus, sizeof d->gpu.bus, "%04x:%02x:%02x.0", pci.domain & 0xffff,
			 pci.bus & 0xff, pci.device & 0xff);
	if (!CALL(s, name, d->handle, d->gpu.name, sizeof d->gpu.name))
		d->gpu.name[0] = '\0';
	d->gpu.name[sizeof d->gpu.name - 1] = '\0';
}

static void watch_xids(struct c4_gpus *s)
{
	if (!s->nvml.events_wait || !CALL(s, events_create, &s->events)) {
		s->events = NULL;
		return;
	}
	for (uint32_t i = 0; i < s->n; i++)
		(void)CALL(s, events_register, s->devices[i].handle, C4_NVML_EVENT_XID, s->events);
}

static void find_devices(struct c4_gpus *s)
{
	unsigned int n = 0;

	if (!CALL(s, count, &n))
		return;
	for (unsigned int i = 0; i < n && s->n < C4_GPUS_MAX; i++) {
		struct device *d = &s->devices[s->n];

		if (!CALL(s, device, i, &d->handle))
			continue;
		identify(s, d, i);
		s->n++;
	}
}

static bool is_open(struct c4_gpus *s, uint64_t now_ns)
{
	if (s->open)
		return true;
	if (s->tried_ns && now_ns - s->tried_ns < RETRY_NS)
		return false;
	s->tried_ns = now_ns;
	if (c4_nvml_open(&s->nvml, s->library))
		return false;
	find_devices(s);
	s->open = s->n > 0;
	if (s->open)
		watch_xids(s);
	return s->open;
}

/* ---- reading -------------------------------------------------------------------------------- */

static void count_xid(struct c4_gpus *s, const struct c4_nvml_event *ev, uint64_t now_ns)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct c4_gpu *g = &s->devices[i].gpu;

		if (s->devices[i].handle != ev->device || ev->type != C4_NVML_EVENT_XID)
			continue;
		g->xids++;
		g->last_xid = (uint32_t)ev->data;
		g->last_xid_ns = now_ns;
	}
}

static void read_xids(struct c4_gpus *s, uint64_t now_ns)
{
	struct c4_nvml_event ev;

	for (int i = 0; s->events && i < EVENTS_MAX; i++) {
		memset(&ev, 0, sizeof ev);
		if (!CALL(s, events_wait, s->events, &ev, 0))
			return; /* none left, mostly */
		count_xid(s, &ev, now_ns);
	}
}

/* False: this link will never tell. */
static bool add_link_errors(struct c4_gpus *s, struct device *d, unsigned int link, uint64_t *sum)
{
	bool any = false;

	for (int counter = 0; counter < C4_NVML_LINK_COUNTERS; counter++) {
		unsigned long long n = 0;
		int rc = s->nvml.link_errors(d->handle, link, counter, &n);

		any |= rc != C4_NVML_NOT_SUPPORTED && rc != C4_NVML_INVALID;
		if (rc == C4_NVML_OK)
			*sum += n;
	}
	return any;
}

static void read_links(struct c4_gpus *s, struct device *d)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; s->nvml.link_errors && i < C4_NVML_LINKS; i++)
		if (d->links >> i & 1 && !add_link_errors(s, d, i, &sum))
			d->links &= ~(1u << i);
	if (sum > d->gpu.nvlink_errors) /* a link that failed to answer once is no repair */
		d->gpu.nvlink_errors = sum;
}

static void read_device(struct c4_gpus *s, struct device *d)
{
	unsigned int mhz = 0, max_mhz = 0, celsius = 0, milliwatts = 0;
	unsigned long long throttle = 0, ecc = 0;
	struct c4_gpu *g = &d->gpu;

	g->sm_mhz = CALL(s, clock, d->handle, C4_NVML_CLOCK_SM, &mhz) ? mhz : 0;
	g->sm_max_mhz = CALL(s, max_clock, d->handle, C4_NVML_CLOCK_SM, &max_mhz) ? max_mhz : 0;
	g->throttle = CALL(s, throttle, d->handle, &throttle) ? throttle : 0;
	g->celsius =
		CALL(s, temperature, d->handle, C4_NVML_TEMPERATURE_GPU, &celsius) ? celsius : 0;
	g->watts = CALL(s, power, d->handle, &milliwatts) ? milliwatts / 1000 : 0;
	if (CALL(s, ecc, d->handle, C4_NVML_UNCORRECTED, C4_NVML_VOLATILE, &ecc))
		g->ecc_uncorrected = ecc;
	read_links(s, d);
}

uint32_t c4_gpus_read(struct c4_gpus *s, uint64_t now_ns, struct c4_gpu *out)
{
	if (!is_open(s, now_ns))
		return 0;
	read_xids(s, now_ns);
	for (uint32_t i = 0; i < s->n; i++) {
		read_device(s, &s->devices[i]);
		out[i] = s->devices[i].gpu;
	}
	return s->n;
}
