// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/detail.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/daemon/target.h"
#include "common/base/clock.h"

/* Whether fd is the file that is being read, and has not been cut: writing must not make it grow.
 */
static int is_segment(int fd, const struct c4_target *t)
{
	struct stat held, named;

	return !fstat(t->seg.fd, &held) && !fstat(fd, &named) && held.st_ino == named.st_ino &&
	       held.st_dev == named.st_dev && named.st_size >= (off_t)sizeof(struct c4_seg_header);
}

static int write_until(int fd, const struct c4_target *t, uint64_t until)
{
	size_t at = offsetof(struct c4_seg_header, detail_until);

	if (!is_segment(fd, t))
		return -ESTALE;
	return pwrite(fd, &until, sizeof until, (off_t)at) == sizeof until ? 0 : -EIO;
}

int c4_detail_ask(struct c4_target *t, uint64_t span_ns)
{
	uint64_t until =
		c4_ticks(t->seg.toc.clock) + (uint64_t)((double)span_ns / t->rate.ns_per_tick);
	int fd, rc;

	if (!t->conns.cap)
		return -ENOTSUP;
	if (t->gone || t->broken || t->seg.fd < 0)
		return -ESTALE;
	fd = open(t->path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	rc = write_until(fd, t, until);
	close(fd);
	if (!rc)
		c4_conns_ask(&t->conns, c4_mono_ns() + span_ns);
	return rc;
}
