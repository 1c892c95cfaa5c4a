// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX 2048

/* Field numbers of proc(5), counted from 1. */
enum { STATE = 3, UTIME = 14, STIME = 15, THREADS = 20, START = 22, EXIT_CODE = 52 };

/* Fields 3 and up follow the name, which is in parentheses and may hold anything, even ") R 1". */
int c4_proc_parse_stat(const char *text, struct c4_proc_stat *out)
{
	const char *p = strrchr(text, ')');
	uint64_t v[EXIT_CODE + 1] = {0};
	int field = STATE;
	char *end;

	if (!p || p[1] != ' ' || !p[2] || p[3] != ' ')
		return -EBADMSG;
	for (const char *q = p + 3; *q && *q != '\n' && field < EXIT_CODE; q = end) {
		v[++field] = strtoull(q, &end, 10);
		if (end == q)
			return -EBADMSG;
	}
	if (field < START)
		return -EBADMSG;
	out->state = p[2];
	out->cpu_jiffies = v[UTIME] + v[STIME];
	out->threads = (uint32_t)v[THREADS];
	out->start_jiffies = v[START];
	out->exit_code = (int32_t)v[EXIT_CODE];
	return 0;
}

int c4_proc_parse_schedstat(const char *text, uint64_t *queue_ns)
{
	unsigned long long ran, queued;

	if (sscanf(text, "%llu %llu", &ran, &queued) != 2)
		return -EBADMSG;
	*queue_ns = queued;
	return 0;
}

int c4_proc_parse_io(const char *text, uint64_t *bytes)
{
	unsigned long long in, out;

	if (sscanf(text, "rchar: %llu wchar: %llu", &in, &out) != 2)
		return -EBADMSG;
	*bytes = in + out;
	return 0;
}

/* Reads /proc/PID/NAME into text[TEXT_MAX]. */
static int read_file(uint32_t pid, const char *name, char *text)
{
	char path[48];
	ssize_t n;
	int fd, err;

	snprintf(path, sizeof path, "/proc/%u/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	n = read(fd, text, TEXT_MAX - 1);
	err = errno;
	close(fd);
	if (n < 0)
		return -err;
	text[n] = '\0';
	return n ? 0 : -ESRCH;
}

int c4_proc_read_stat(uint32_t pid, struct c4_proc_stat *out)
{
	char text[TEXT_MAX];
	int rc = read_file(pid, "stat", text);

	return rc ? rc : c4_proc_parse_stat(text, out);
}

int c4_proc_read(uint32_t pid, struct c4_proc *out)
{
	struct c4_proc p = {0};
	char text[TEXT_MAX];
	int rc = c4_proc_read_stat(pid, &p.stat);

	if (rc)
		return rc;
	p.has_queue =
		!read_file(pid, "schedstat", text) && !c4_proc_parse_schedstat(text, &p.queue_ns);
	p.has_io = !read_file(pid, "io", text) && !c4_proc_parse_io(text, &p.io_bytes);
	*out = p;
	return 0;
}

uint64_t c4_proc_jiffies_to_ns(uint64_t jiffies)
{
	static long per_second;

	if (!per_second)
		per_second = sysconf(_SC_CLK_TCK);
	return per_second > 0 ? jiffies * (1000000000u / (uint64_t)per_second) : 0;
}
