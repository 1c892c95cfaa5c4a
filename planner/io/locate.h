/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * locate.h - where in a YAML text something is. The schema loader gives values, not lines, and a
 * mistake in meaning (an unknown leaf) shows only later: the line is looked up then, by one more
 * pass of the event parser that answers many questions at once. No recursion; one thread.
 */
#ifndef C4_PLANNER_IO_LOCATE_H
#define C4_PLANNER_IO_LOCATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define C4_YAML_STEPS 6

/* The way from the top to a node: each step a key of a mapping, or (key NULL) an item of a list. */
struct c4_yaml_path {
	struct c4_yaml_step {
		const char *key;
		uint32_t index; /* from 0 */
	} steps[C4_YAML_STEPS];
	uint32_t n;
};

/*
 * lines[i], from 1: that of the key or item paths[i] names, else of the nearest node above it that
 * is there.
 */
void c4_yaml_locate(const char *text, size_t len, const struct c4_yaml_path *paths, uint32_t *lines,
		    size_t n);

/* What makes the text no YAML at all, and where. False if nothing does. */
bool c4_yaml_syntax(const char *text, size_t len, uint32_t *line, char *what, size_t n);

#endif
