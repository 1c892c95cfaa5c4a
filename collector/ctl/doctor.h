/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * doctor.h - whether events flow on this machine: libraries, runtime directory, agent, collector,
 * and the segment of each process that is recorded, looked at twice a second apart.
 *
 * One sentence per check. A check that fails says what is wrong and, where that is known, what to
 * do. Nothing is changed, nothing is judged.
 */
#ifndef C4_CTL_DOCTOR_H
#define C4_CTL_DOCTOR_H

#include <jansson.h>
#include <stdio.h>

/*
 * c4.doctor/v1: {"ok": …, "checks": [{"check", "ok", "text", …}]}; takes a second. collector: whom
 * processes are meant to report to, unless their runtime directory names another (c4run's).
 * NULL: out of memory.
 */
json_t *c4_doctor(const char *collector);

void c4_show_doctor(const json_t *answer, FILE *f);

#endif
