// SPDX-License-Identifier: BSD-3-Clause
#include "collector/ctl/doctor_place.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/segment.h"

static const struct timespec interval = {1, 0};

static bool ends_with(const char *name, const char *suffix)
{
	size_t n = strlen(name), k = strlen(suffix);

	return n > k && !strcmp(name + n - k, suffix);
}

static bool join(char *buf, const char *dir, const char *name)
{
	int n = snprintf(buf, PATH_MAX, "%s/%s", dir, name);

	return n > 0 && n < PATH_MAX;
}

/* ---- a directory ----------------------------------------------------------------------------- */

static void read_address(struct c4_place *p, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd < 0 ? -1 : read(fd, p->collector, sizeof p->collector - 1);

	if (fd >= 0)
		close(fd);
	p->collector[n > 0 ? n : 0] = '\0';
	p->collector[strcspn(p->collector, "\n")] = '\0';
}

static void add_segment(struct c4_place *p, const char *path)
{
	if (p->nsegs == C4_PLACE_SEGS) {
		p->more++;
		return;
	}
	if (!p->segs)
		p->segs = calloc(C4_PLACE_SEGS, sizeof *p->segs);
	if (!p->segs)
		return;
	p->segs[p->nsegs].reader.fd = -1;
	snprintf(p->segs[p->nsegs++].path, PATH_MAX, "%s", path);
}

static void take_entry(struct c4_place *p, const char *name)
{
	char path[PATH_MAX];

	if (name[0] == '.' || !join(path, p->dir, name))
		return;
	if (ends_with(name, C4_SEG_SUFFIX))
		add_segment(p, path);
	else if (!strncmp(name, "agent-", 6) && ends_with(name, ".lock"))
		memcpy(p->agent_lock, path, sizeof path);
	else if (!strcmp(name, "run.collector"))
		read_address(p, path);
}

/* Whether there is anything of ours in it. */
static bool take_directory(struct c4_place *p, const char *dir)
{
	struct dirent *e;
	DIR *d = opendir(dir);

	*p = (struct c4_place){.nsegs = 0};
	snprintf(p->dir, sizeof p->dir, "%s", dir);
	while (d && (e = readdir(d)))
		take_entry(p, e->d_name);
	if (d)
		closedir(d);
	return p->nsegs || *p->agent_lock || *p->collector;
}

static void take_inner(struct c4_places *all, const char *dir)
{
	char path[PATH_MAX];
	struct dirent *e;
	DIR *d = opendir(dir);

	while (d && (e = readdir(d)) && all->n < C4_PLACES)
		if (e->d_type == DT_DIR && e->d_name[0] != '.' && join(path, dir, e->d_name))
			all->n += take_directory(&all->place[all->n], path);
	if (d)
		closedir(d);
}

/* ---- segments -------------------------------------------------------------------------------- */

static void first_look(struct c4_place_seg *s)
{
	s->rc = c4_seg_reader_open(&s->reader, s->path);
	if (!s->rc)
		s->before = s->reader.toc.head;
}

static void second_look(struct c4_place_seg *s)
{
	uint64_t used[C4_SEG_COMMS / 64];
	const struct c4_seg_header *h = &s->reader.toc;

	if (s->rc)
		return;
	s->rc = c4_seg_reader_refresh(&s->reader);
	if (!s->rc)
		s->rc = c4_seg_used_comms(&s->reader, used, C4_SEG_COMMS);
	if (s->rc)
		return;
	for (size_t i = 0; i < sizeof used / sizeof *used; i++)
		s->comms += (uint32_t)__builtin_popcountll(used[i]);
	s->after = *h;
	s->alive = c4_proc_start_jiffies(h->pid) == h->start_jiffies;
	s->hook_masked = !strcmp(h->hook, "nccl") && !h->detail_now;
}

static void each_segment(struct c4_places *all, void (*look)(struct c4_place_seg *))
{
	for (uint32_t i = 0; i < all->n; i++)
		for (uint32_t k = 0; k < all->place[i].nsegs; k++)
			look(&all->place[i].segs[k]);
}

void c4_places_look(struct c4_places *all, const char *dir)
{
	all->n += take_directory(&all->place[0], dir);
	take_inner(all, dir);
	if (!all->n)
		all->n = 1; /* nothing anywhere: that is to be said of dir */
	each_segment(all, first_look);
	nanosleep(&interval, NULL);
	each_segment(all, second_look);
}

static void close_segment(struct c4_place_seg *s)
{
	c4_seg_reader_close(&s->reader);
}

void c4_places_release(struct c4_places *all)
{
	each_segment(all, close_segment);
	for (uint32_t i = 0; i < all->n; i++)
		free(all->place[i].segs);
	all->n = 0;
}
