/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * yaml.h - loading a YAML text by a libcyaml schema, with complaints people can act on: file, line,
 * what is there, what the schema expects there. Memory is bounded (aliases multiply). One thread.
 */
#ifndef C4_PLANNER_IO_YAML_H
#define C4_PLANNER_IO_YAML_H

#include <stddef.h>

#include <cyaml/cyaml.h>

#include "planner/io/complaint.h"

/* What a text may unfold to; an honest one takes 5 to 10 bytes per byte. */
#define C4_YAML_MEMORY_BASE	((size_t)64 << 20)
#define C4_YAML_MEMORY_PER_BYTE 16u

/*
 * *ret is what the schema describes; give it back with c4_yaml_free(). 0, or a negative errno with
 * a complaint: -EINVAL, -ENOMEM.
 */
int c4_yaml_load(const char *text, size_t len, const cyaml_schema_value_t *schema, void **ret,
		 struct c4_complaints *c);
void c4_yaml_free(const cyaml_schema_value_t *schema, void *data);

#endif
