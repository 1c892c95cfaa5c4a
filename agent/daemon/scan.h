/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scan.h - which segments there are in the runtime directory. Each file is shown to the visitor
 * until it has been taken, ignored or found bad; a file that vanished is forgotten. Bounded:
 * files beyond C4_SCAN_FILES are counted and left alone. One thread.
 */
#ifndef C4_AGENT_SCAN_H
#define C4_AGENT_SCAN_H

#include <stdint.h>

#include "common/ds/map.h"

#define C4_SCAN_FILES 8192u

enum c4_scan_verdict {
	C4_SCAN_RETRY, /* not ready: show it again */
	C4_SCAN_TAKEN,
	C4_SCAN_IGNORED, /* somebody else's */
	C4_SCAN_BAD,
};

struct c4_scan_visitor {
	enum c4_scan_verdict (*visit)(void *arg, const char *path);
	void *arg;
};

/* All zero is a valid new one. */
struct c4_scan {
	struct c4_map files; /* hash of name and inode → struct file */
	uint64_t round;
	uint64_t bad;	  /* files that are no segments of ours, cumulative; each once */
	uint64_t crowded; /* files not looked at for want of room, cumulative; each time */
};

/* Reads the directory once. 0 or a negative errno of opendir(3). */
int c4_scan_run(struct c4_scan *s, const char *dir, uint64_t now_ns,
		const struct c4_scan_visitor *visitor);

void c4_scan_release(struct c4_scan *s);

#endif
