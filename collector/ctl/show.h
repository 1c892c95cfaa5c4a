/* SPDX-License-Identifier: BSD-3-Clause */
/* show.h - answers of the API as tables and sentences for people. */
#ifndef C4_CTL_SHOW_H
#define C4_CTL_SHOW_H

#include <jansson.h>
#include <stdio.h>

/* Each takes the answer of the API path of the same name. */
void c4_show_jobs(const json_t *answer, FILE *f);
void c4_show_ranks(const json_t *answer, FILE *f);
void c4_show_comms(const json_t *answer, FILE *f);
void c4_show_matrix(const json_t *answer, FILE *f);
void c4_show_incidents(const json_t *answer, FILE *f);

/* One incident: what happened, who, on what evidence, what to do, what would disprove it. */
void c4_show_why(const json_t *incident, FILE *f);

#endif
