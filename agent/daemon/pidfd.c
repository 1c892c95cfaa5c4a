// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/pidfd.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/daemon/proc.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

/* <linux/pidfd.h> of Linux 6.15; C libraries of today do not know it yet. */
struct pidfd_info {
	uint64_t mask; /* in: wanted, out: present */
	uint64_t cgroup;
	uint32_t ids[11];
	int32_t exit_code;
};
#define INFO_EXIT      (UINT64_C(1) << 3)
#define PIDFD_GET_INFO _IOWR(0xFF, 11, struct pidfd_info)

int c4_pidfd_open(uint32_t pid)
{
	long fd = syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : (int)fd;
}

static bool from_exit_record(int fd, int32_t *status)
{
	struct pidfd_info info = {.mask = INFO_EXIT};

	if (fd < 0 || ioctl(fd, PIDFD_GET_INFO, &info) || !(info.mask & INFO_EXIT))
		return false;
	*status = info.exit_code;
	return true;
}

static bool from_zombie(uint32_t pid, uint64_t start_jiffies, int32_t *status)
{
	struct c4_proc_stat st;

	if (c4_proc_read_stat(pid, &st) || st.state != 'Z' || st.start_jiffies != start_jiffies)
		return false;
	*status = st.exit_code;
	return true;
}

bool c4_pidfd_status(int fd, uint32_t pid, uint64_t start_jiffies, int32_t *status)
{
	/* between the two looks the parent may fetch the status: then the record is there */
	return from_exit_record(fd, status) || from_zombie(pid, start_jiffies, status) ||
	       from_exit_record(fd, status);
}
