/* SPDX-License-Identifier: BSD-3-Clause */
/* view_matrix.h - source × destination matrices as JSON (/api/v1/matrix). */
#ifndef C4_COLLECTOR_VIEW_MATRIX_H
#define C4_COLLECTOR_VIEW_MATRIX_H

#include <jansson.h>

#include "collector/model.h"

#define C4_VIEW_CELLS 16384u /* of one answer; of larger matrices the slowest cells are told */

/*
 * The matrix of this communicator's last window of time, at most *left cells, which are taken off.
 * A new reference; NULL: out of memory.
 */
json_t *c4_view_matrix(const struct c4_job *j, const struct c4_comm *c, uint32_t *left);

/* True if `which` is this communicator's name or id. */
bool c4_view_is_comm(const struct c4_comm *c, const char *which);

#endif
