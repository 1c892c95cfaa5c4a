/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * find.h - where our own programs and libraries are: beside the running binary (a build tree or an
 * installation moved as a whole works), then PATH. Each returns 0 and the path in buf[n], or a
 * negative errno with buf untouched.
 */
#ifndef C4_COMMON_FIND_H
#define C4_COMMON_FIND_H

#include <stddef.h>

#define C4_LIB_MPI	     "libc4mpi.so"
#define C4_LIB_NCCL_API	     "libc4nccl.so"
#define C4_LIB_ROUTE	     "libc4route.so"
#define C4_LIB_NCCL_PROFILER "libnccl-profiler-c4.so"

int c4_find_program(const char *name, char *buf, size_t n);

/* ../lib/NAME (build tree) or ../lib/c4/NAME (installed). */
int c4_find_library(const char *name, char *buf, size_t n);

/* First directory of path (as $PATH) that has an executable NAME. */
int c4_find_in_path(const char *path, const char *name, char *buf, size_t n);

#endif
