/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rank_list.h - {"ranks":[…]} as a stream: a hundred thousand ranks are written some at a time,
 * each as it is at that moment. A job that ends meanwhile is skipped.
 */
#ifndef C4_COLLECTOR_RANK_LIST_H
#define C4_COLLECTOR_RANK_LIST_H

#include <stdint.h>

#include "collector/model.h"
#include "common/request.h"

/* job: only this one's, NULL: all. The model must outlive the stream. NULL: out of memory. */
struct c4_stream *c4_rank_list_new(const struct c4_model *m, const char *job, uint64_t now_ns);

#endif
