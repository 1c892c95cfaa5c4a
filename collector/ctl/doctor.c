// SPDX-License-Identifier: BSD-3-Clause
#include "collector/ctl/doctor.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "c4/env.h"
#include "collector/ctl/client.h"
#include "collector/ctl/doctor_say.h"
#include "common/base/segment.h"
#include "common/find.h"

#define PLUGIN_VERSIONS 9  /* looked for; more than there are */
#define API_FULL	4u /* the first that tells when kernels ran */

json_t *c4_doctor_say(json_t *checks, const char *check, bool ok, const char *fmt, ...)
{
	char text[1024];
	json_t *one;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	one = json_pack("{s:s, s:b, s:s}", "check", check, "ok", ok, "text", text);
	json_array_append_new(checks, one);
	return one;
}

/* ---- what is installed ----------------------------------------------------------------------- */

/* NULL, having said why, or its handle, never closed: these libraries stay loaded anyway. */
static void *load(json_t *checks, const char *check, const char *name)
{
	char path[PATH_MAX];
	void *library;

	if (c4_find_library(name, path, sizeof path)) {
		c4_doctor_say(checks, check, false, "%s is not installed beside c4ctl", name);
		return NULL;
	}
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!library)
		c4_doctor_say(checks, check, false, "%s cannot be loaded: %s", path, dlerror());
	return library;
}

static void check_library(json_t *checks, const char *check, const char *name, const char *symbol)
{
	void *library = load(checks, check, name);

	if (!library)
		return;
	if (dlsym(library, symbol))
		c4_doctor_say(checks, check, true, "%s can be loaded", name);
	else
		c4_doctor_say(checks, check, false,
			      "%s does not stand in for %s: an old or broken build", name, symbol);
}

static void check_plugin(json_t *checks)
{
	void *library = load(checks, "plugin", C4_LIB_NCCL_PROFILER);
	json_t *found = json_array();
	char text[64] = "";
	size_t len = 0;

	for (int v = 1; library && v <= PLUGIN_VERSIONS; v++) {
		char symbol[32];

		snprintf(symbol, sizeof symbol, "ncclProfiler_v%d", v);
		if (!dlsym(library, symbol))
			continue;
		json_array_append_new(found, json_integer(v));
		len += (size_t)snprintf(text + len, sizeof text - len, "%sv%d", len ? ", " : "", v);
	}
	if (library && json_array_size(found))
		json_object_set(c4_doctor_say(checks, "plugin", true,
					      "%s can be loaded and speaks NCCL's profiler API %s",
					      C4_LIB_NCCL_PROFILER, text),
				"api_versions", found);
	else if (library)
		c4_doctor_say(checks, "plugin", false,
			      "%s exports no version of NCCL's profiler API", C4_LIB_NCCL_PROFILER);
	json_decref(found);
}

/* ---- a runtime directory --------------------------------------------------------------------- */

static const char *trouble_of(const char *dir, const struct stat *st)
{
	struct statvfs fs;

	if (!S_ISDIR(st->st_mode))
		return "is no directory";
	if (st->st_uid != geteuid())
		return "belongs to another user: hooks refuse it";
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return "may be written by others: hooks refuse it (chmod 700 it)";
	if (access(dir, W_OK | X_OK))
		return "cannot be written to";
	if (!statvfs(dir, &fs) && (uint64_t)fs.f_bavail * fs.f_frsize < C4_PLACE_SEGMENT_BYTES)
		return "has no room left for another segment";
	return NULL;
}

static bool check_directory(json_t *checks, const char *dir)
{
	const char *trouble;
	struct stat st;

	if (lstat(dir, &st)) {
		c4_doctor_say(checks, "directory", false,
			      "%s: %s: no hook and no agent was here yet", dir, strerror(errno));
		return false;
	}
	trouble = trouble_of(dir, &st);
	c4_doctor_say(checks, "directory", !trouble, "%s %s", dir, trouble ? trouble : "is usable");
	return S_ISDIR(st.st_mode);
}

static void check_agent(json_t *checks, const struct c4_place *p)
{
	if (!*p->agent_lock)
		c4_doctor_say(checks, "agent", false,
			      "no c4agent runs on %s: segments are not read", p->dir);
	else if (!p->agent)
		c4_doctor_say(checks, "agent", false,
			      "the c4agent of %s is dead, its lock was left behind", p->dir);
	else
		c4_doctor_say(checks, "agent", true, "a c4agent reads %s", p->dir);
}

static void check_collector(json_t *checks, const char *address)
{
	struct c4_client *c = c4_client_new(address);
	json_t *answer = NULL;
	int status = -1;

	if (c)
		answer = c4_client_get(c, "/healthz", NULL, &status);
	if (!c)
		c4_doctor_say(checks, "collector", false, "'%s' is not HOST:PORT", address);
	else if (!answer)
		c4_doctor_say(checks, "collector", false, "%s", c4_client_error(c));
	else if (status != 200)
		c4_doctor_say(checks, "collector", false, "the collector at %s is degraded",
			      address);
	else
		c4_doctor_say(checks, "collector", true, "the collector at %s answers", address);
	json_decref(answer);
	if (c)
		c4_client_free(c);
}

/* ---- segments -------------------------------------------------------------------------------- */

static const char *verdict_on(const struct c4_place_seg *s)
{
	if (s->rc == -EPROTO)
		return "is of another version of c4";
	if (s->rc)
		return "is damaged or still being made";
	if (!s->alive)
		return "was left by a process that is gone";
	if (s->hook_masked)
		return "has event mask 0: NCCL sends nothing";
	if (!s->after.head && !s->comms)
		return "is empty: the process has not used a communicator yet";
	return NULL;
}

static json_t *losses_of(const struct c4_seg_header *h)
{
	static const char *const names[] = {
#define NAME(sym, help) help,
		C4_SEG_LOSSES(NAME)
#undef NAME
	};
	json_t *lost = json_object();

	for (size_t i = 0; i < C4_LOST_MAX; i++)
		if (h->lost[i])
			json_object_set_new(lost, names[i], json_integer((json_int_t)h->lost[i]));
	return lost;
}

static void describe_losses(const json_t *lost, char *buf, size_t size)
{
	const char *name = json_object_iter_key(json_object_iter((json_t *)lost));

	if (name)
		snprintf(buf, size, "; lost: %lld %s%s",
			 (long long)json_integer_value(json_object_get(lost, name)), name,
			 json_object_size(lost) > 1 ? ", and more" : "");
	else
		snprintf(buf, size, "; nothing lost");
}

/* Versions of NCCL's interface that tell less than there is to know. */
static void check_api(json_t *checks, const struct c4_seg_header *h)
{
	const char *told = strstr(h->library, "profiler API v");
	unsigned int version;

	if (told && sscanf(told, "profiler API v%u", &version) == 1 && version < API_FULL)
		c4_doctor_say(
			checks, "api", true,
			"the NCCL of pid %u is older than 2.27: its profiler API v%u tells of "
			"operations, but not when their kernels ran",
			h->pid, version);
}

static void check_segment(json_t *checks, const struct c4_place_seg *s)
{
	const struct c4_seg_header *h = &s->after;
	const char *trouble = verdict_on(s);
	uint64_t fresh = h->head - s->before;
	bool losing = !trouble && c4_place_lost(h) > s->lost_before;
	char lost_text[160], mask[40] = "";
	json_t *one, *lost;

	if (trouble) {
		c4_doctor_say(checks, "segment", false, "%s %s", s->path, trouble);
		return;
	}
	lost = losses_of(h);
	describe_losses(lost, lost_text, sizeof lost_text);
	if (!strcmp(h->hook, "nccl"))
		snprintf(mask, sizeof mask, ", event mask 0x%llx",
			 (unsigned long long)h->detail_now);
	one = c4_doctor_say(checks, "segment", !losing,
			    "%s (pid %u, rank %d, hook %s, %s%s): %u communicators, %llu records, "
			    "%llu of them in the last second%s%s",
			    h->program, h->pid, h->world_rank, h->hook,
			    *h->library ? h->library : "?", mask, s->comms,
			    (unsigned long long)h->head, (unsigned long long)fresh, lost_text,
			    losing ? ", and still losing" : "");
	json_object_update_new(
		one, json_pack("{s:s, s:i, s:i, s:s, s:s, s:i, s:I, s:I, s:I, s:o}", "path",
			       s->path, "pid", (int)h->pid, "rank", (int)h->world_rank, "hook",
			       h->hook, "library", h->library, "communicators", (int)s->comms,
			       "records", (json_int_t)h->head, "records_per_s", (json_int_t)fresh,
			       "event_mask", (json_int_t)h->detail_now, "lost", lost));
	check_api(checks, h);
}

static void check_place(json_t *checks, struct c4_place *p, const char *collector)
{
	check_agent(checks, p);
	check_collector(checks, *p->collector ? p->collector : collector);
	for (uint32_t i = 0; i < p->nsegs; i++)
		if (p->segs[i].alive || p->segs[i].rc || !p->agent)
			check_segment(checks, &p->segs[i]);
	if (!p->nsegs)
		c4_doctor_say(
			checks, "segment", false,
			"no process is recorded in %s: start a job with c4run, or with the hooks "
			"loaded",
			p->dir);
	if (p->more)
		c4_doctor_say(checks, "segment", true, "… and %u more", p->more);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static bool all_ok(const json_t *checks)
{
	const json_t *one;
	size_t i;

	json_array_foreach(checks, i, one)
	{
		if (!json_is_true(json_object_get(one, "ok")))
			return false;
	}
	return true;
}

json_t *c4_doctor(const char *collector)
{
	struct c4_places *places = calloc(1, sizeof *places);
	json_t *checks = json_array(), *answer;
	char dir[PATH_MAX];

	if (!places || !checks) {
		free(places);
		json_decref(checks);
		return NULL;
	}
	c4_doctor_env(checks);
	check_library(checks, "mpi", C4_LIB_MPI, "MPI_Allreduce");
	check_library(checks, "nccl-api", C4_LIB_NCCL_API, "ncclAllReduce");
	check_plugin(checks);
	if (c4_runtime_dir(dir, sizeof dir))
		c4_doctor_say(checks, "directory", false,
			      "the path of the runtime directory is too long");
	else if (check_directory(checks, dir))
		c4_places_look(places, dir);
	for (uint32_t i = 0; i < places->n; i++)
		check_place(checks, &places->place[i], collector);
	if (places->n)
		c4_doctor_procs(checks, places, dir);
	answer = json_pack("{s:s, s:b, s:o}", "schema", "c4.doctor/v1", "ok", all_ok(checks),
			   "checks", checks);
	c4_places_release(places);
	free(places);
	return answer;
}

/* Whether any process recorded something in the second that was looked at. */
static bool flows(const json_t *checks)
{
	const json_t *one;
	size_t i;

	json_array_foreach(checks, i, one)
	{
		if (json_integer_value(json_object_get(one, "records_per_s")) > 0)
			return true;
	}
	return false;
}

void c4_show_doctor(const json_t *answer, FILE *f)
{
	const json_t *checks = json_object_get(answer, "checks"), *one;
	size_t i;

	json_array_foreach(checks, i, one)
	{
		bool ok = json_is_true(json_object_get(one, "ok"));

		fprintf(f, "%-4s %-10s %s\n", ok ? "ok" : "BAD",
			json_string_value(json_object_get(one, "check")),
			json_string_value(json_object_get(one, "text")));
	}
	if (!json_is_true(json_object_get(answer, "ok")))
		fprintf(f, "see the lines that say BAD\n");
	else if (flows(checks))
		fprintf(f, "events flow on this machine\n");
	else
		fprintf(f, "all is in place, but no event came in the last second\n");
}
