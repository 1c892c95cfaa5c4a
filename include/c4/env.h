/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * env.h - environment variables users and parts of c4 agree on, written once.
 * Columns: constant suffix, variable, what it means (shown by --help pages).
 */
#ifndef C4_ENV_H
#define C4_ENV_H

#define C4_ENV_LIST(X)                                                                             \
	X(JOB, "C4_JOB", "job id shared by all ranks (default: the scheduler's or launcher's)")    \
	X(NODE, "C4_NODE", "node name of this process (default: host name)")                       \
	X(RUNTIME_DIR, "C4_RUNTIME_DIR", "where segments live (default: /dev/shm/c4-UID)")         \
	X(COLLECTOR, "C4_COLLECTOR", "HOST:PORT of the collector")                                 \
	X(PLANNER, "C4_PLANNER", "HOST:PORT of the planner")                                       \
	X(HOOK, "C4_HOOK", "0: hooks stay inert")                                                  \
	X(NCCL_DETAIL, "C4_NCCL_DETAIL",                                                           \
	  "NCCL transport steps: duty (1 s of 10, default), on, or off (when asked for)")          \
	X(LOG, "C4_LOG", "error, warn, info or debug")                                             \
	X(NCCL_PROFILER, "NCCL_PROFILER_PLUGIN", "NCCL's own: the profiler plugin it loads")       \
	X(NEXT_PROFILER, "C4_NEXT_PROFILER", "profiler plugin that c4's passes everything on to")

#define C4_ENV_DEF(sym, var, help) static const char C4_ENV_##sym[] __attribute__((unused)) = var;
C4_ENV_LIST(C4_ENV_DEF)
#undef C4_ENV_DEF

#endif
