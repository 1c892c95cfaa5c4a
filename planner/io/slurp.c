// SPDX-License-Identifier: BSD-3-Clause
#include "planner/io/slurp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE (256u << 10)

static int read_all(int fd, struct c4_buf *ret)
{
	char *piece = malloc(PIECE);
	ssize_t n = 0;
	int rc = piece ? 0 : -ENOMEM;

	while (!rc) {
		n = read(fd, piece, PIECE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		c4_buf_add(ret, piece, (size_t)n);
		if (ret->failed)
			rc = -ENOMEM;
		else if (ret->len > C4_SLURP_MAX)
			rc = -EFBIG;
	}
	free(piece);
	return n < 0 ? -errno : rc;
}

int c4_slurp(const char *path, struct c4_buf *ret, struct c4_fault *fault)
{
	bool standard = !strcmp(path, "-");
	int fd = standard ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return c4_fault_set(fault, -errno, "%s", strerror(errno));
	rc = read_all(fd, ret);
	close(fd);
	if (rc == -EFBIG)
		c4_fault_set(fault, rc, "longer than %zu MiB", C4_SLURP_MAX >> 20);
	else if (rc)
		c4_fault_set(fault, rc, "%s", strerror(-rc));
	return rc;
}
