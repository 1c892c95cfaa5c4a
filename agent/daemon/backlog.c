// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/backlog.h"

#include <stdlib.h>

bool c4_backlog_take(struct c4_backlog *b, struct c4_backlog_item *ret)
{
	if (!b->n)
		return false;
	*ret = b->items[b->first];
	b->first = (b->first + 1) % C4_BACKLOG_POSTS;
	b->n--;
	b->bytes -= ret->len;
	return true;
}

static void drop_oldest(struct c4_backlog *b)
{
	struct c4_backlog_item old;

	if (!c4_backlog_take(b, &old))
		return;
	free(old.data);
	b->dropped++;
}

void c4_backlog_push(struct c4_backlog *b, const struct c4_backlog_item *item)
{
	if (item->len > C4_BACKLOG_BYTES) {
		free(item->data);
		b->dropped++;
		return;
	}
	while (b->n == C4_BACKLOG_POSTS || b->bytes + item->len > C4_BACKLOG_BYTES)
		drop_oldest(b);
	b->items[(b->first + b->n) % C4_BACKLOG_POSTS] = *item;
	b->n++;
	b->bytes += item->len;
}

uint64_t c4_backlog_oldest(const struct c4_backlog *b)
{
	return b->n ? b->items[b->first].seq : 0;
}

void c4_backlog_release(struct c4_backlog *b)
{
	struct c4_backlog_item item;

	while (c4_backlog_take(b, &item))
		free(item.data);
}
