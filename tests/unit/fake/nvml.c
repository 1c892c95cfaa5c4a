// SPDX-License-Identifier: BSD-3-Clause
/*
 * A stand-in for libnvidia-ml.so.1, for tests on machines without a GPU: the functions that the
 * agent asks for, with answers a test puts into fake_nvml. With FAKE_OLD it is an older version of
 * the library, which has some under other names and lacks others.
 */
#include "tests/unit/fake/nvml.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/daemon/nvml.h"

#define EXPORT	__attribute__((visibility("default")))
#define TIMEOUT 10 /* NVML_ERROR_TIMEOUT */

EXPORT struct fake_nvml fake_nvml = {.gpus = FAKE_GPUS, .mhz = 1500};

static char devices[FAKE_GPUS];

static int answer(void)
{
	while (fake_nvml.wedged)
		pause();
	return fake_nvml.rc;
}

static unsigned int index_of(const struct c4_nvml_device *d)
{
	return (unsigned int)((const char *)d - devices);
}

EXPORT int nvmlInit_v2(void);
EXPORT int nvmlInit_v2(void)
{
	fake_nvml.inits++;
	return fake_nvml.init_rc;
}

EXPORT int nvmlDeviceGetCount_v2(unsigned int *n);
EXPORT int nvmlDeviceGetCount_v2(unsigned int *n)
{
	*n = fake_nvml.gpus;
	return C4_NVML_OK;
}

EXPORT int nvmlDeviceGetHandleByIndex_v2(unsigned int i, struct c4_nvml_device **d);
EXPORT int nvmlDeviceGetHandleByIndex_v2(unsigned int i, struct c4_nvml_device **d)
{
	*d = (struct c4_nvml_device *)&devices[i % FAKE_GPUS];
	return C4_NVML_OK;
}

EXPORT int nvmlDeviceGetPciInfo_v3(struct c4_nvml_device *d, struct c4_nvml_pci *pci);
EXPORT int nvmlDeviceGetPciInfo_v3(struct c4_nvml_device *d, struct c4_nvml_pci *pci)
{
	memset(pci, 0, sizeof *pci);
	pci->bus = 0x3b + index_of(d);
	snprintf(pci->bus_id, sizeof pci->bus_id, "00000000:%02X:00.0", pci->bus);
	return C4_NVML_OK;
}

EXPORT int nvmlDeviceGetName(struct c4_nvml_device *d, char *name, unsigned int size);
EXPORT int nvmlDeviceGetName(struct c4_nvml_device *d, char *name, unsigned int size)
{
	snprintf(name, size, "Fake GPU %u", index_of(d));
	return C4_NVML_OK;
}

EXPORT int nvmlDeviceGetClockInfo(struct c4_nvml_device *d, int type, unsigned int *mhz);
EXPORT int nvmlDeviceGetClockInfo(struct c4_nvml_device *d, int type, unsigned int *mhz)
{
	(void)d;
	*mhz = type == C4_NVML_CLOCK_SM ? fake_nvml.mhz : 1;
	return answer();
}

EXPORT int nvmlDeviceGetMaxClockInfo(struct c4_nvml_device *d, int type, unsigned int *mhz);
EXPORT int nvmlDeviceGetMaxClockInfo(struct c4_nvml_device *d, int type, unsigned int *mhz)
{
	(void)d;
	*mhz = type == C4_NVML_CLOCK_SM ? 1980 : 1;
	return answer();
}

#ifdef FAKE_OLD
#define nvmlThrottle nvmlDeviceGetCurrentClocksThrottleReasons
#define nvmlWait     nvmlEventSetWait
#else
#define nvmlThrottle nvmlDeviceGetCurrentClocksEventReasons
#define nvmlWait     nvmlEventSetWait_v2
#endif

EXPORT int nvmlThrottle(struct c4_nvml_device *d, unsigned long long *reasons);
EXPORT int nvmlThrottle(struct c4_nvml_device *d, unsigned long long *reasons)
{
	(void)d;
	*reasons = fake_nvml.throttle;
	return answer();
}

EXPORT int nvmlDeviceGetTemperature(struct c4_nvml_device *d, int sensor, unsigned int *celsius);
EXPORT int nvmlDeviceGetTemperature(struct c4_nvml_device *d, int sensor, unsigned int *celsius)
{
	*celsius = 60 + index_of(d) + (unsigned int)sensor;
	return answer();
}

#ifndef FAKE_OLD
EXPORT int nvmlDeviceGetPowerUsage(struct c4_nvml_device *d, unsigned int *milliwatts);
EXPORT int nvmlDeviceGetPowerUsage(struct c4_nvml_device *d, unsigned int *milliwatts)
{
	(void)d;
	*milliwatts = 412345;
	return answer();
}
#endif

EXPORT int nvmlDeviceGetTotalEccErrors(struct c4_nvml_device *d, int type, int counter,
				       unsigned long long *n);
EXPORT int nvmlDeviceGetTotalEccErrors(struct c4_nvml_device *d, int type, int counter,
				       unsigned long long *n)
{
	(void)d;
	*n = type == C4_NVML_UNCORRECTED && counter == C4_NVML_VOLATILE ? fake_nvml.ecc : 999;
	return answer();
}

EXPORT int nvmlDeviceGetNvLinkErrorCounter(struct c4_nvml_device *d, unsigned int link, int counter,
					   unsigned long long *n);
EXPORT int nvmlDeviceGetNvLinkErrorCounter(struct c4_nvml_device *d, unsigned int link, int counter,
					   unsigned long long *n)
{
	(void)d, (void)counter;
	fake_nvml.link_questions++;
	*n = fake_nvml.link_errors;
	if (fake_nvml.no_links || link >= 4) /* the others are not there */
		return link % 2 ? C4_NVML_INVALID : C4_NVML_NOT_SUPPORTED;
	return answer();
}

EXPORT int nvmlEventSetCreate(struct c4_nvml_event_set **set);
EXPORT int nvmlEventSetCreate(struct c4_nvml_event_set **set)
{
	*set = (struct c4_nvml_event_set *)devices;
	return C4_NVML_OK;
}

EXPORT int nvmlDeviceRegisterEvents(struct c4_nvml_device *d, unsigned long long types,
				    struct c4_nvml_event_set *set);
EXPORT int nvmlDeviceRegisterEvents(struct c4_nvml_device *d, unsigned long long types,
				    struct c4_nvml_event_set *set)
{
	(void)d, (void)set;
	return types == C4_NVML_EVENT_XID ? C4_NVML_OK : C4_NVML_INVALID;
}

EXPORT int nvmlWait(struct c4_nvml_event_set *set, struct c4_nvml_event *ev, unsigned int ms);
EXPORT int nvmlWait(struct c4_nvml_event_set *set, struct c4_nvml_event *ev, unsigned int ms)
{
	unsigned int xid;

	(void)set, (void)ms;
	if (!fake_nvml.nevents)
		return TIMEOUT;
	xid = fake_nvml.events[0];
	memmove(fake_nvml.events, fake_nvml.events + 1, --fake_nvml.nevents * sizeof xid);
	ev->device = (struct c4_nvml_device *)&devices[xid % FAKE_GPUS];
	ev->type = C4_NVML_EVENT_XID;
	ev->data = xid;
	return C4_NVML_OK;
}
