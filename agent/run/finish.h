/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * finish.h - the end of a session: the job has ended, now the last data, the verdict and the
 * daemons, in the order of enum c4_stage. Every stage has a deadline; a signal that would end us
 * makes us hurry.
 */
#ifndef C4_RUN_FINISH_H
#define C4_RUN_FINISH_H

#include "agent/run/session.h"

/* The job has ended or could not be started. */
void c4_finish_begin(struct c4_session *s);

/* What the present stage waited for may have happened. */
void c4_finish_advance(struct c4_session *s);

/* Somebody wants us gone. */
void c4_finish_hurry(struct c4_session *s);

/* Writes --report with what is known so far, the job still running. */
void c4_finish_report_now(struct c4_session *s);

#endif
