// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/nvml.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

/* A function, by its newest name first. */
struct symbol {
	const char *name, *other;
	size_t at;
};

#define AT(member) offsetof(struct c4_nvml, member)
static const struct symbol symbols[] = {
	{"nvmlInit_v2", NULL, AT(init)},
	{"nvmlDeviceGetCount_v2", NULL, AT(count)},
	{"nvmlDeviceGetHandleByIndex_v2", NULL, AT(device)},
	{"nvmlDeviceGetPciInfo_v3", NULL, AT(pci)},
	{"nvmlDeviceGetName", NULL, AT(name)},
	{"nvmlDeviceGetClockInfo", NULL, AT(clock)},
	{"nvmlDeviceGetMaxClockInfo", NULL, AT(max_clock)},
	{"nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons",
	 AT(throttle)},
	{"nvmlDeviceGetTemperature", NULL, AT(temperature)},
	{"nvmlDeviceGetPowerUsage", NULL, AT(power)},
	{"nvmlDeviceGetTotalEccErrors", NULL, AT(ecc)},
	{"nvmlDeviceGetNvLinkErrorCounter", NULL, AT(link_errors)},
	{"nvmlEventSetCreate", NULL, AT(events_create)},
	{"nvmlDeviceRegisterEvents", NULL, AT(events_register)},
	{"nvmlEventSetWait_v2", "nvmlEventSetWait", AT(events_wait)},
};
#undef AT

static void find_symbols(struct c4_nvml *nvml)
{
	for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
		const struct symbol *s = &symbols[i];
		void *f = dlsym(nvml->library, s->name);

		if (!f && s->other)
			f = dlsym(nvml->library, s->other);
		memcpy((char *)nvml + s->at, &f, sizeof f);
	}
}

int c4_nvml_open(struct c4_nvml *nvml, const char *library)
{
	struct c4_nvml found = {0};

	found.library = dlopen(library ? library : C4_NVML_LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!found.library)
		return -ENOENT;
	find_symbols(&found);
	if (!found.init || !found.count || !found.device)
		return -ENOSYS;
	if (found.init() != C4_NVML_OK)
		return -ENODEV;
	*nvml = found;
	return 0;
}
