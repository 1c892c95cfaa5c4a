/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fabric_json.h - c4.fabric/v1 as JSON (planner/FORMATS.md), for scripts. One object per line is
 * made and written at a time: memory does not grow with the fabric. One thread.
 */
#ifndef C4_PLANNER_IO_FABRIC_JSON_H
#define C4_PLANNER_IO_FABRIC_JSON_H

#include <stdio.h>

#include "planner/model/fabric/fabric.h"

/* 0, -EIO or -ENOMEM. */
int c4_fabric_write_json(const struct c4_fabric *f, FILE *out);

#endif
