/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * doctor_say.h - one finding of the doctor's, and the parts that find some: what the environment
 * says wrong, and which processes have NCCL without being recorded.
 */
#ifndef C4_CTL_DOCTOR_SAY_H
#define C4_CTL_DOCTOR_SAY_H

#include <jansson.h>
#include <stdbool.h>

#include "collector/ctl/doctor_place.h"

/* Adds a finding; returns it, borrowed, for what else there is to say in JSON. */
__attribute__((format(printf, 4, 5))) json_t *c4_doctor_say(json_t *checks, const char *check,
							    bool ok, const char *fmt, ...);

/* C4_ variables of this process: values nobody understands, names that look like slips. */
void c4_doctor_env(json_t *checks);

/*
 * Processes of this user that have NCCL in memory and mean to record below dir, but have no segment
 * in any of the places: why that is, as far as their memory map and the environment they were
 * started with tell. What they make of their own children (data loaders) is not asked for.
 */
void c4_doctor_procs(json_t *checks, const struct c4_places *places, const char *dir);

#endif
