/* SPDX-License-Identifier: BSD-3-Clause */
/* reply.h - a RouteAnswer from the newest edition. Loop's thread. */
#ifndef C4_PLANNER_REPLY_H
#define C4_PLANNER_REPLY_H

#include "planner/daemon/routes/routes.h"

struct c4_reply_opts {
	uint32_t host;
	bool unchanged, standing;
};

/* Appends the answer. 0 or -ENOMEM. */
int c4_reply_encode(struct c4_routes *r, const struct c4_reply_opts *o, struct c4_buf *out);

#endif
