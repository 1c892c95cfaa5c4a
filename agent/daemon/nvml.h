/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nvml.h - the few functions of NVIDIA's management library that the agent calls, found at run
 * time: a node without the library is a node without GPUs. Declared here by their ABI, so that
 * nothing of NVIDIA's is needed to build.
 *
 * A function that this version of the library lacks is NULL. Calls are thread-safe, return
 * C4_NVML_OK or an error, and may block for 100 ms and more.
 */
#ifndef C4_AGENT_NVML_H
#define C4_AGENT_NVML_H

#include <assert.h>
#include <stddef.h>

#define C4_NVML_LIBRARY "libnvidia-ml.so.1"

/* nvmlReturn_t */
#define C4_NVML_OK	      0
#define C4_NVML_INVALID	      2
#define C4_NVML_NOT_SUPPORTED 3

#define C4_NVML_CLOCK_SM	1    /* nvmlClockType_t */
#define C4_NVML_TEMPERATURE_GPU 0    /* nvmlTemperatureSensors_t */
#define C4_NVML_UNCORRECTED	1    /* nvmlMemoryErrorType_t */
#define C4_NVML_VOLATILE	0    /* nvmlEccCounterType_t: since the driver was loaded */
#define C4_NVML_EVENT_XID	8ull /* nvmlEventTypeXidCriticalError */
#define C4_NVML_LINKS		18u
#define C4_NVML_LINK_COUNTERS	4 /* replay, recovery, CRC of flits, CRC of data */

struct c4_nvml_device;
struct c4_nvml_event_set;

/* nvmlPciInfo_t */
struct c4_nvml_pci {
	char bus_id_legacy[16];
	unsigned int domain, bus, device;
	unsigned int device_id, subsystem_id;
	char bus_id[32];
};
static_assert(offsetof(struct c4_nvml_pci, domain) == 16, "ABI");
static_assert(sizeof(struct c4_nvml_pci) == 68, "ABI");

/* nvmlEventData_t; before version 2 of the wait the last two were not there */
struct c4_nvml_event {
	struct c4_nvml_device *device;
	unsigned long long type;
	unsigned long long data; /* the XID */
	unsigned int gpu_instance, compute_instance;
};
static_assert(sizeof(struct c4_nvml_event) == 32, "ABI");

struct c4_nvml {
	void *library;
	int (*init)(void);
	int (*count)(unsigned int *n);
	int (*device)(unsigned int index, struct c4_nvml_device **device);
	int (*pci)(struct c4_nvml_device *, struct c4_nvml_pci *);
	int (*name)(struct c4_nvml_device *, char *name, unsigned int size);
	int (*clock)(struct c4_nvml_device *, int type, unsigned int *mhz);
	int (*max_clock)(struct c4_nvml_device *, int type, unsigned int *mhz);
	int (*throttle)(struct c4_nvml_device *, unsigned long long *reasons);
	int (*temperature)(struct c4_nvml_device *, int sensor, unsigned int *celsius);
	int (*power)(struct c4_nvml_device *, unsigned int *milliwatts);
	int (*ecc)(struct c4_nvml_device *, int type, int counter, unsigned long long *n);
	int (*link_errors)(struct c4_nvml_device *, unsigned int link, int counter,
			   unsigned long long *n);
	int (*events_create)(struct c4_nvml_event_set **);
	int (*events_register)(struct c4_nvml_device *, unsigned long long types,
			       struct c4_nvml_event_set *);
	int (*events_wait)(struct c4_nvml_event_set *, struct c4_nvml_event *, unsigned int ms);
};

/*
 * Loads the library (NULL: C4_NVML_LIBRARY) and initialises it. 0; -ENOENT: no such library;
 * -ENOSYS: it lacks what nothing works without; -ENODEV: it finds no driver. It stays loaded: there
 * is no way back that could not block.
 */
int c4_nvml_open(struct c4_nvml *nvml, const char *library);

#endif
