/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fabric_yaml.h - c4.fabric/v1 as YAML (planner/FORMATS.md): reading, and writing with one item per
 * line, so that people, scripts and diffs see single links. The JSON of fabric_json.h is YAML too
 * and reads back. Silent: mistakes go to the complaints. One thread.
 */
#ifndef C4_PLANNER_IO_FABRIC_YAML_H
#define C4_PLANNER_IO_FABRIC_YAML_H

#include <stdio.h>

#include "planner/io/complaint.h"
#include "planner/model/fabric/fabric.h"

#define C4_FABRIC_SCHEMA  "c4.fabric/v1"
#define C4_LINK_COUNT_MAX 256u /* parallel links in one entry */

/* Fills an initialised fabric and finishes it. 0 or a negative errno with complaints. */
int c4_fabric_read_yaml(struct c4_fabric *f, const char *text, size_t len, struct c4_complaints *c);

/* 0 or -EIO. */
int c4_fabric_write_yaml(const struct c4_fabric *f, FILE *out);

#endif
