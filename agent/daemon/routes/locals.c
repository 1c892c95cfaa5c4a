// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/routes/locals.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

bool c4_locals_read(struct c4_locals *l)
{
	struct c4_locals now = {.n = 0};
	struct ifaddrs *list;

	if (getifaddrs(&list))
		return false;
	for (const struct ifaddrs *i = list; i && now.n < C4_LOCALS_MAX; i = i->ifa_next) {
		struct sockaddr_in in;

		if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET ||
		    (i->ifa_flags & IFF_LOOPBACK))
			continue;
		memcpy(&in, i->ifa_addr, sizeof in);
		now.address[now.n++] = ntohl(in.sin_addr.s_addr);
	}
	freeifaddrs(list);
	qsort(now.address, now.n, sizeof now.address[0], by_value);
	if (now.n == l->n && !memcmp(now.address, l->address, now.n * sizeof now.address[0]))
		return false;
	*l = now;
	return true;
}

bool c4_locals_has(const struct c4_locals *l, uint32_t address)
{
	return bsearch(&address, l->address, l->n, sizeof address, by_value) != NULL;
}
