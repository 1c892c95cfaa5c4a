// SPDX-License-Identifier: BSD-3-Clause
#include "agent/mpi/types.h"

#include <stdbool.h>
#include <stddef.h>

#include "agent/mpi/api.h"
#include "common/base/str.h"

/* The code is the place + 1: append only. */
static const char *const type_names[] = {
	"char",
	"signed_char",
	"unsigned_char",
	"byte",
	"short",
	"unsigned_short",
	"int",
	"unsigned",
	"long",
	"unsigned_long",
	"long_long_int",
	"unsigned_long_long",
	"float",
	"double",
	"long_double",
	"wchar",
	"packed",
	"int8_t",
	"uint8_t",
	"int16_t",
	"uint16_t",
	"int32_t",
	"uint32_t",
	"int64_t",
	"uint64_t",
	"aint",
	"offset",
	"count",
	"c_bool",
	"c_float_complex",
	"c_double_complex",
	"c_long_double_complex",
	"cxx_bool",
	"cxx_cplex",
	"cxx_dblcplex",
	"cxx_ldblcplex",
	"float_int",
	"double_int",
	"longdbl_int",
	"long_int",
	"short_int",
	"2int",
	"character",
	"logical",
	"logical1",
	"logical2",
	"logical4",
	"logical8",
	"integer",
	"integer1",
	"integer2",
	"integer4",
	"integer8",
	"integer16",
	"real",
	"real2",
	"real4",
	"real8",
	"real16",
	"dblprec",
	"cplex",
	"complex4",
	"complex8",
	"complex16",
	"complex32",
	"dblcplex",
	"2integer",
	"2real",
	"2dblprec",
	"2cplex",
	"2dblcplex",
	"ub",
	"lb",
};

static const char *const redop_names[] = {
	"max", "min",  "sum",  "prod",	 "land",   "band",    "lor",
	"bor", "lxor", "bxor", "maxloc", "minloc", "replace", "no_op",
};

struct c4_type_cell c4_types[C4_TYPE_CELLS];
struct c4_type_cell c4_redops[C4_TYPE_CELLS];

static void add(struct c4_type_cell *cells, const char *prefix, const char *name, size_t index,
		bool sized)
{
	char symbol[64];
	struct c4_str s;
	struct c4_type_cell *c;
	int bytes = 0;
	void *handle;

	c4_str_init(&s, symbol, sizeof symbol);
	c4_str_add(&s, prefix);
	c4_str_add(&s, name);
	handle = c4_mpi_data(symbol);
	if (!handle)
		return;
	if (sized && c4_mpi.Type_size(handle, &bytes) != MPI_SUCCESS)
		bytes = 0;
	c = (struct c4_type_cell *)c4_type_find(cells, handle);
	c->handle = handle;
	c->bytes = bytes > 0 ? (uint32_t)bytes : 0;
	c->code = (uint8_t)(index + 1);
}

void c4_types_learn(void)
{
	for (size_t i = 0; i < sizeof type_names / sizeof type_names[0]; i++)
		add(c4_types, "ompi_mpi_", type_names[i], i, true);
	for (size_t i = 0; i < sizeof redop_names / sizeof redop_names[0]; i++)
		add(c4_redops, "ompi_mpi_op_", redop_names[i], i, false);
}

uint32_t c4_type_ask(MPI_Datatype type)
{
	int bytes;

	/* never ask about what is no handle: the library would call the error handler */
	if (!type || type == c4_mpi.datatype_null ||
	    c4_mpi.Type_size(type, &bytes) != MPI_SUCCESS || bytes < 0)
		return 0;
	return (uint32_t)bytes;
}
