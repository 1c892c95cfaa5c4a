// SPDX-License-Identifier: BSD-3-Clause
#include "collector/ctl/doctor_place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "c4/env.h"
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

/* ---- segments -------------------------------------------------------------------------------- */

static bool is_alive(const struct c4_seg_header *h)
{
	return c4_proc_start_jiffies(h->pid) == h->start_jiffies;
}

uint64_t c4_place_lost(const struct c4_seg_header *h)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < C4_LOST_MAX; i++)
		sum += h->lost[i];
	return sum;
}

/* Whether its process lives. */
static bool first_look(struct c4_place_seg *s)
{
	s->rc = c4_seg_reader_open(&s->reader, s->path);
	if (s->rc)
		return false;
	s->before = s->reader.toc.head;
	s->lost_before = c4_place_lost(&s->reader.toc);
	return is_alive(&s->reader.toc);
}

static void second_look(struct c4_place_seg *s)
{
	uint64_t used[C4_SEG_COMMS / 64];

	if (s->rc)
		return;
	s->rc = c4_seg_reader_refresh(&s->reader);
	if (!s->rc)
		s->rc = c4_seg_used_comms(&s->reader, used, C4_SEG_COMMS);
	if (s->rc)
		return;
	for (size_t i = 0; i < sizeof used / sizeof *used; i++)
		s->comms += (uint32_t)__builtin_popcountll(used[i]);
	s->after = s->reader.toc;
	s->alive = is_alive(&s->after);
	s->hook_masked = !strcmp(s->after.hook, "nccl") && !s->after.detail_now;
}

/* Whom the process reports to is in the environment it was started with. */
static void learn_collector(struct c4_place *p, uint32_t pid)
{
	size_t n = strlen(C4_ENV_COLLECTOR), cap = 0;
	char path[64], *entry = NULL;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%u/environ", pid);
	f = fopen(path, "re");
	while (f && !*p->collector && getdelim(&entry, &cap, '\0', f) > 0)
		if (!strncmp(entry, C4_ENV_COLLECTOR, n) && entry[n] == '=')
			snprintf(p->collector, sizeof p->collector, "%s", entry + n + 1);
	free(entry);
	if (f)
		fclose(f);
}

/* ---- a directory ----------------------------------------------------------------------------- */

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
}

static bool is_held(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool held = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK;

	if (fd >= 0)
		close(fd);
	return held;
}

static void take_directory(struct c4_place *p, const char *dir)
{
	struct dirent *e;
	DIR *d = opendir(dir);

	*p = (struct c4_place){.nsegs = 0};
	snprintf(p->dir, sizeof p->dir, "%s", dir);
	while (d && (e = readdir(d)))
		take_entry(p, e->d_name);
	if (d)
		closedir(d);
	p->agent = *p->agent_lock && is_held(p->agent_lock);
}

static void drop(struct c4_place *p)
{
	for (uint32_t i = 0; i < p->nsegs; i++)
		c4_seg_reader_close(&p->segs[i].reader);
	free(p->segs);
	p->segs = NULL;
	p->nsegs = p->more = 0;
}

/* Keeps it if somebody lives there; c4run's job directories outlive a kill. */
static void add_place(struct c4_places *all, const char *dir)
{
	struct c4_place *p = &all->place[all->n];
	bool alive;

	take_directory(p, dir);
	alive = p->agent;
	for (uint32_t i = 0; i < p->nsegs; i++)
		alive |= first_look(&p->segs[i]);
	if (alive)
		all->n++;
	else
		drop(p);
}

static void take_inner(struct c4_places *all, const char *dir)
{
	char path[PATH_MAX];
	struct dirent *e;
	DIR *d = opendir(dir);

	while (d && (e = readdir(d)) && all->n < C4_PLACES)
		if (e->d_type == DT_DIR && e->d_name[0] != '.' && join(path, dir, e->d_name))
			add_place(all, path);
	if (d)
		closedir(d);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static void look_again(struct c4_place *p)
{
	for (uint32_t i = 0; i < p->nsegs; i++) {
		second_look(&p->segs[i]);
		if (p->segs[i].alive && !*p->collector)
			learn_collector(p, p->segs[i].after.pid);
	}
}

void c4_places_look(struct c4_places *all, const char *dir)
{
	add_place(all, dir);
	take_inner(all, dir);
	if (!all->n) {
		take_directory(&all->place[all->n++], dir);
		drop(&all->place[0]); /* what the dead left behind */
		return;
	}
	nanosleep(&interval, NULL);
	for (uint32_t i = 0; i < all->n; i++)
		look_again(&all->place[i]);
}

void c4_places_release(struct c4_places *all)
{
	for (uint32_t i = 0; i < all->n; i++)
		drop(&all->place[i]);
	all->n = 0;
}
