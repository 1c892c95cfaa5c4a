// SPDX-License-Identifier: BSD-3-Clause
#include "agent/nccl/api/real.h"

#include <dlfcn.h>
#include <errno.h>

static const char *const names[] = {
#define NAME(name, ...) "nccl" #name,
	C4_NCCL_COLLS(NAME) C4_NCCL_MESSAGES(NAME) C4_NCCL_OTHERS(NAME) C4_NCCL_ASKED(NAME)
#undef NAME
};

#define CALLS (sizeof names / sizeof names[0])

static_assert(sizeof(struct c4_nccl_real) == CALLS * sizeof(void *),
	      "a pointer per name, in order");

union c4_nccl_table c4_nccl_table;

static const char *const sonames[] = {"libnccl.so.2", "libnccl.so", "librccl.so.1", "librccl.so",
				      NULL};

static int missing(void)
{
	return C4_NCCL_INVALID_USAGE;
}

/* The object an address belongs to; its name is NULL if there is none. */
static Dl_info object_of(const void *address)
{
	Dl_info info = {0};

	if (!address || !dladdr(address, &info))
		info.dli_fname = NULL;
	return info;
}

/* A reference to a loaded library, never given back: what we found in it must not go away. */
static void *hold(const char *file)
{
	return file ? dlopen(file, RTLD_LAZY | RTLD_NOLOAD) : NULL;
}

static void *not_ours(void *p)
{
	return p && object_of(p).dli_fbase != object_of(&c4_nccl_table).dli_fbase ? p : NULL;
}

static void *find_in(const char *file, const char *name)
{
	void *library = hold(file);

	return library ? not_ours(dlsym(library, name)) : NULL;
}

void *c4_nccl_find(const char *name, const void *caller, const char *const *files)
{
	void *p = find_in(object_of(caller).dli_fname, name);

	for (; !p && *files; files++)
		p = find_in(*files, name);
	return p;
}

static void *find_call(const char *name, const void *caller)
{
	void *p = not_ours(dlsym(RTLD_NEXT, name));

	return p ? p : c4_nccl_find(name, caller, sonames);
}

void c4_nccl_resolve(const void *caller)
{
	void **real = c4_nccl_table.all;
	int saved = errno;

	for (size_t i = 0; i < CALLS; i++) {
		void *p = find_call(names[i], caller);

		real[i] = p ? p : (void *)missing;
	}
	hold(object_of((void *)c4_nccl_table.real.CommInitRank).dli_fname);
	errno = saved;
}
