// SPDX-License-Identifier: BSD-3-Clause
#include "agent/mpi/api.h"

#include <dlfcn.h>
#include <errno.h>

#include "common/base/str.h"

#define SYMBOL_BYTES 64

struct c4_mpi c4_mpi;

/* Libraries that may have been loaded privately; looked at only if already there. */
static const char *const sonames[] = {
	"libmpi.so.40", "libmpi.so.12", "libmpi.so", "libmpi_mpifh.so.40", "libmpi_usempif08.so.40",
};

#define SONAMES (sizeof sonames / sizeof sonames[0])

/* Looked for once a resolution, not once a symbol: each look-up may search the file system. The
 * references are kept, for what we find in them must not go away. */
static void *libraries[SONAMES];

static void find_libraries(void)
{
	for (size_t i = 0; i < SONAMES; i++)
		if (!libraries[i])
			libraries[i] = dlopen(sonames[i], RTLD_LAZY | RTLD_NOLOAD);
}

static void *find_privately(const char *name)
{
	void *p = NULL;

	for (size_t i = 0; !p && i < SONAMES; i++)
		p = libraries[i] ? dlsym(libraries[i], name) : NULL;
	return p;
}

/* The next definition after ours, else one in a privately loaded library. */
static void *find_function(const char *name)
{
	void *p = dlsym(RTLD_NEXT, name);

	return p ? p : find_privately(name);
}

void *c4_mpi_data(const char *name)
{
	/* not RTLD_NEXT: the program may hold its own copy of a library's variable */
	void *p = dlsym(RTLD_DEFAULT, name);

	return p ? p : find_privately(name);
}

static int missing(void)
{
	return MPI_ERR_UNSUPPORTED_OPERATION;
}

static void to_lower(char *s)
{
	for (; *s; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s - 'A' + 'a');
}

static void *find_call(const struct c4_mpi_set *set, const char *name)
{
	char symbol[SYMBOL_BYTES];
	struct c4_str s;
	void *p;

	/* one letter of room before the name, for the profiling spelling */
	c4_str_init(&s, symbol, sizeof symbol);
	c4_str_add(&s, "P");
	c4_str_add(&s, name);
	c4_str_add(&s, set->suffix);
	if (set->suffix)
		to_lower(symbol);
	p = find_function(symbol + 1);
	if (!p)
		p = find_function(symbol);
	return p ? p : (void *)missing;
}

static void learn_pmpi(void)
{
	bool all = true;

#define C4_PMPI_FIND(name)                                                                         \
	c4_mpi.name = (__typeof__(c4_mpi.name))find_function("PMPI_" #name);                       \
	all = all && c4_mpi.name;
	C4_PMPI(C4_PMPI_FIND)
#undef C4_PMPI_FIND
	c4_mpi.comm_world = c4_mpi_data("ompi_mpi_comm_world");
	c4_mpi.comm_null = c4_mpi_data("ompi_mpi_comm_null");
	c4_mpi.request_null = c4_mpi_data("ompi_request_null");
	c4_mpi.datatype_null = c4_mpi_data("ompi_mpi_datatype_null");
	c4_mpi.f_in_place[0] = c4_mpi_data("mpi_fortran_in_place_");
	c4_mpi.f_in_place[1] = c4_mpi_data("mpi_fortran_in_place__");
	c4_mpi.f_in_place[2] = c4_mpi_data("mpi_fortran_in_place");
	c4_mpi.f_in_place[3] = c4_mpi_data("MPI_FORTRAN_IN_PLACE");
	c4_mpi.usable = all && c4_mpi.comm_world && c4_mpi.comm_null && c4_mpi.request_null &&
			c4_mpi.datatype_null;
}

void c4_mpi_resolve(struct c4_mpi_set *set)
{
	int saved = errno;

	find_libraries();
	learn_pmpi();
	for (size_t i = 0; i < set->n; i++)
		__atomic_store_n(&set->real[i], find_call(set, set->names[i]), __ATOMIC_RELAXED);
	__atomic_store_n(&set->ready, 1, __ATOMIC_RELEASE);
	errno = saved;
}
