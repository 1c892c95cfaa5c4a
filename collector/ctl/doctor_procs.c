// SPDX-License-Identifier: BSD-3-Clause
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "c4/env.h"
#include "collector/ctl/doctor_say.h"
#include "common/find.h"

#define PROCS 1024u /* with NCCL, that are looked at; more are not */
#define TOLD  16u

struct proc {
	uint32_t pid, parent;
	bool nccl, plugin; /* in its memory */
	char name[32];
};

struct procs {
	struct proc *all;
	uint32_t n;
};

/* ---- what /proc tells ------------------------------------------------------------------------ */

static FILE *open_file(uint32_t pid, const char *what)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%u/%s", pid, what);
	return fopen(path, "re");
}

static void look_at_map(struct proc *p)
{
	FILE *f = open_file(p->pid, "maps");
	size_t cap = 0;
	char *line = NULL;

	while (f && getline(&line, &cap, f) > 0) {
		const char *file = strrchr(line, '/');

		if (!file)
			continue;
		p->nccl |= !strncmp(file, "/libnccl.so", 11) || !strncmp(file, "/librccl.so", 11);
		p->plugin |= !strncmp(file + 1, C4_LIB_NCCL_PROFILER, strlen(C4_LIB_NCCL_PROFILER));
	}
	free(line);
	if (f)
		fclose(f);
}

/* "PID (name) STATE PARENT …", and the name may hold anything. */
static void look_at_stat(struct proc *p)
{
	FILE *f = open_file(p->pid, "stat");
	char text[512] = "", *open, *close;

	if (f) {
		text[fread(text, 1, sizeof text - 1, f)] = '\0';
		fclose(f);
	}
	open = strchr(text, '(');
	close = strrchr(text, ')');
	if (!open || !close)
		return;
	*close = '\0';
	snprintf(p->name, sizeof p->name, "%s", open + 1);
	if (sscanf(close + 1, " %*c %u", &p->parent) != 1)
		p->parent = 0;
}

/* Of the environment it was started with; false: not there. */
static bool variable_of(uint32_t pid, const char *name, char *buf, size_t size)
{
	FILE *f = open_file(pid, "environ");
	size_t n = strlen(name), cap = 0;
	char *entry = NULL;
	bool found = false;

	while (f && !found && getdelim(&entry, &cap, '\0', f) > 0)
		if (!strncmp(entry, name, n) && entry[n] == '=') {
			snprintf(buf, size, "%s", entry + n + 1);
			found = true;
		}
	free(entry);
	if (f)
		fclose(f);
	return found;
}

static void collect(struct procs *all)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	struct stat st;

	while (d && all->n < PROCS && (e = readdir(d))) {
		struct proc p = {.pid = (uint32_t)strtoul(e->d_name, NULL, 10)};

		if (!p.pid || p.pid == (uint32_t)getpid() || fstatat(dirfd(d), e->d_name, &st, 0) ||
		    st.st_uid != geteuid())
			continue;
		look_at_map(&p);
		if (!p.nccl && !p.plugin)
			continue;
		look_at_stat(&p);
		if (!strcmp(p.name,
			    "c4ctl")) /* another doctor has the plugin loaded, to look at it */
			continue;
		all->all[all->n++] = p;
	}
	if (d)
		closedir(d);
}

/* ---- whose affair it is ---------------------------------------------------------------------- */

static bool is_recorded(const struct c4_places *places, uint32_t pid)
{
	for (uint32_t i = 0; i < places->n; i++)
		for (uint32_t k = 0; k < places->place[i].nsegs; k++)
			if (!places->place[i].segs[k].rc &&
			    places->place[i].segs[k].reader.toc.pid == pid)
				return true;
	return false;
}

/* A data loader, or what else a process with NCCL forks. */
static bool is_child(const struct procs *all, const struct proc *p)
{
	for (uint32_t i = 0; i < all->n; i++)
		if (all->all[i].pid == p->parent && all->all[i].plugin)
			return true;
	return false;
}

/* Whether it would record where we look. */
static bool belongs(const struct proc *p, const char *dir)
{
	char own[PATH_MAX], standard[64];
	size_t n = strlen(dir);

	snprintf(standard, sizeof standard, "/dev/shm/c4-%u", (unsigned int)geteuid());
	if (!variable_of(p->pid, C4_ENV_RUNTIME_DIR, own, sizeof own) || !*own)
		return !strcmp(dir, standard);
	return !strncmp(own, dir, n) && (own[n] == '\0' || own[n] == '/');
}

/* ---- why it is not recorded ------------------------------------------------------------------ */

static bool is_off(const struct proc *p)
{
	char value[8];

	return variable_of(p->pid, C4_ENV_HOOK, value, sizeof value) && !strcmp(value, "0");
}

static void tell_without_segment(json_t *checks, const struct proc *p)
{
	c4_doctor_say(checks, "process", false,
		      "%s (pid %u) has loaded the plugin but could make no segment, so its event "
		      "mask is 0: is there room in its runtime directory, and is it its own?",
		      p->name, p->pid);
}

static void tell_without_plugin(json_t *checks, const struct proc *p)
{
	char plugin[PATH_MAX];

	if (!variable_of(p->pid, C4_ENV_NCCL_PROFILER, plugin, sizeof plugin) || !*plugin)
		c4_doctor_say(
			checks, "process", false,
			"%s (pid %u) has NCCL but no plugin: %s is not set in its environment "
			"(start it with c4run, and without --hook none)",
			p->name, p->pid, C4_ENV_NCCL_PROFILER);
	else if (!strcmp(plugin, "none"))
		c4_doctor_say(checks, "process", false,
			      "%s (pid %u) has NCCL but no plugin: %s=none in its environment",
			      p->name, p->pid, C4_ENV_NCCL_PROFILER);
	else if (strchr(plugin, '/') && access(plugin, R_OK))
		c4_doctor_say(checks, "process", false,
			      "%s (pid %u) has NCCL but no plugin: %s=%s in its environment, and "
			      "there is no such file",
			      p->name, p->pid, C4_ENV_NCCL_PROFILER, plugin);
	else if (!strcmp(plugin, "c4") || strstr(plugin, C4_LIB_NCCL_PROFILER))
		c4_doctor_say(checks, "process", true,
			      "%s (pid %u) has NCCL and will load the plugin with its first "
			      "communicator",
			      p->name, p->pid);
	else
		c4_doctor_say(checks, "process", false,
			      "%s (pid %u) has another profiler plugin: %s=%s in its environment "
			      "(c4run puts ours in front)",
			      p->name, p->pid, C4_ENV_NCCL_PROFILER, plugin);
}

static void tell(json_t *checks, const struct proc *p)
{
	if (is_off(p))
		c4_doctor_say(checks, "process", false,
			      "%s (pid %u) has %s=0 in its environment: it is not recorded",
			      p->name, p->pid, C4_ENV_HOOK);
	else if (p->plugin)
		tell_without_segment(checks, p);
	else
		tell_without_plugin(checks, p);
}

void c4_doctor_procs(json_t *checks, const struct c4_places *places, const char *dir)
{
	struct procs all = {.all = calloc(PROCS, sizeof *all.all)};
	uint32_t told = 0, more = 0;

	if (all.all)
		collect(&all);
	for (uint32_t i = 0; i < all.n; i++) {
		const struct proc *p = &all.all[i];

		if (is_recorded(places, p->pid) || is_child(&all, p) || !belongs(p, dir))
			continue;
		if (told++ < TOLD)
			tell(checks, p);
		else
			more++;
	}
	if (more)
		c4_doctor_say(checks, "process", false, "… and %u more with NCCL", more);
	free(all.all);
}
