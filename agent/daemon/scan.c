// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/scan.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/segment.h"

/* Who has not published his segment by now died on the way, or is no segment. */
#define UNPUBLISHED_NS 10000000000ull
#define FORGET_BATCH   256

struct file {
	enum c4_scan_verdict verdict;
	uint64_t round; /* last seen */
	uint64_t found_ns;
	bool counted; /* among the bad */
};

static bool is_segment(const char *name)
{
	size_t n = strlen(name), suffix = sizeof C4_SEG_SUFFIX - 1;

	return name[0] != '.' && n > suffix && !strcmp(name + n - suffix, C4_SEG_SUFFIX);
}

/* The file's entry, new ones with verdict RETRY; NULL: no room. */
static struct file *file_of(struct c4_scan *s, const struct dirent *e, uint64_t now_ns)
{
	uint64_t key = c4_hash_u64(c4_hash_bytes(0, e->d_name, strlen(e->d_name)), e->d_ino);
	struct file *f = c4_map_get(&s->files, key);

	if (f)
		return f;
	f = s->files.used < C4_SCAN_FILES ? calloc(1, sizeof *f) : NULL;
	if (!f)
		return NULL;
	f->found_ns = now_ns;
	if (c4_map_put(&s->files, key, f)) {
		free(f);
		return NULL;
	}
	return f;
}

static void count_bad(struct c4_scan *s, struct file *f, uint64_t now_ns)
{
	bool overdue = f->verdict == C4_SCAN_RETRY && now_ns - f->found_ns >= UNPUBLISHED_NS;

	if (f->counted || (f->verdict != C4_SCAN_BAD && !overdue))
		return;
	f->counted = true;
	s->bad++;
}

static void consider(struct c4_scan *s, const char *dir, const struct dirent *e, uint64_t now_ns,
		     const struct c4_scan_visitor *visitor)
{
	struct file *f = file_of(s, e, now_ns);
	char path[PATH_MAX];
	int n;

	if (!f) {
		s->crowded++;
		return;
	}
	f->round = s->round;
	if (f->verdict != C4_SCAN_RETRY)
		return;
	n = snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
	f->verdict =
		n > 0 && (size_t)n < sizeof path ? visitor->visit(visitor->arg, path) : C4_SCAN_BAD;
	count_bad(s, f, now_ns);
}

/* Deletion moves entries of the map, so keys are collected first. False: that was all of them. */
static bool forget_some(struct c4_scan *s)
{
	struct c4_map_entry *e;
	uint64_t keys[FORGET_BATCH];
	uint32_t n = 0;

	c4_map_for_each (e, &s->files)
		if (((struct file *)e->value)->round != s->round && n < FORGET_BATCH)
			keys[n++] = e->key;
	for (uint32_t i = 0; i < n; i++)
		free(c4_map_del(&s->files, keys[i]));
	return n == FORGET_BATCH;
}

int c4_scan_run(struct c4_scan *s, const char *dir, uint64_t now_ns,
		const struct c4_scan_visitor *visitor)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	if (!d)
		return -errno;
	s->round++;
	while ((e = readdir(d)))
		if (is_segment(e->d_name))
			consider(s, dir, e, now_ns, visitor);
	closedir(d);
	while (forget_some(s))
		;
	return 0;
}

void c4_scan_release(struct c4_scan *s)
{
	struct c4_map_entry *e;

	c4_map_for_each (e, &s->files)
		free(e->value);
	c4_map_release(&s->files);
}
