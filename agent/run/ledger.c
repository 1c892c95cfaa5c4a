// SPDX-License-Identifier: BSD-3-Clause
#include "agent/run/ledger.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "agent/run/text.h"
#include "common/base/hash.h"
#include "common/fmt.h"

#define RANKS_SHOWN 64

static const char *culprit_ranks(const json_t *culprit, char *buf, size_t n)
{
	const json_t *list = json_object_get(culprit, "ranks");
	int32_t ranks[RANKS_SHOWN];
	size_t count = json_array_size(list);

	if (count > RANKS_SHOWN)
		count = RANKS_SHOWN;
	for (size_t i = 0; i < count; i++)
		ranks[i] = (int32_t)json_integer_value(json_array_get(list, i));
	return c4_fmt_ranks(buf, n, ranks, count);
}

const char *c4_incident_label(const json_t *incident, char *buf, size_t n)
{
	const json_t *culprit = json_object_get(incident, "culprit");
	char kind[32], node[64], ranks[C4_FMT_BYTES];
	int len;

	c4_text_of(incident, "kind", kind, sizeof kind);
	c4_text_of(culprit, "node", node, sizeof node);
	culprit_ranks(culprit, ranks, sizeof ranks);
	len = snprintf(buf, n, "%s%s%s", kind, *ranks ? " rank " : "", ranks);
	if (*node && len >= 0 && (size_t)len < n)
		snprintf(buf + len, n - (size_t)len, *ranks ? " (%s)" : " node %s", node);
	return buf;
}

static struct c4_ledger_entry *find(struct c4_ledger *l, uint64_t id)
{
	for (unsigned int i = 0; i < l->count; i++)
		if (l->entries[i].id == id)
			return &l->entries[i];
	return NULL;
}

/* "slow-rank rank 5 (node n2) arrives …", "resolved slow-rank rank 5 (n2)" */
static void announce_line(const struct c4_ledger *l, const json_t *incident, bool resolved,
			  uint64_t at_ns, c4_ledger_cb announce, void *arg)
{
	unsigned int tenths = (unsigned int)(at_ns / 100000000u);
	char head[32], label[160], summary[C4_TEXT], line[C4_TEXT + 96];
	const char *rest = label;

	c4_incident_label(incident, label, sizeof label);
	c4_text_of(incident, "summary", summary, sizeof summary);
	snprintf(head, sizeof head, "%s", "resolved");
	if (!resolved) {
		c4_text_of(incident, "kind", head, sizeof head);
		rest = *summary ? summary : label + strlen(head) + (label[strlen(head)] == ' ');
	}
	for (char *p = head; l->loud && *p; p++)
		*p = (char)toupper((unsigned char)*p);
	snprintf(line, sizeof line, "c4: [%02u:%02u.%u] %s %s", tenths / 600, tenths / 10 % 60,
		 tenths % 10, head, rest);
	announce(arg, line);
}

/* Suspects are nobody's business yet, nor ever if they dissolve unconfirmed. */
static bool was_confirmed(const json_t *incident, const char *state)
{
	const char *when = json_string_value(json_object_get(incident, "confirmed"));

	if (!strcmp(state, "resolved"))
		return when && *when;
	return !strcmp(state, "confirmed") || !strcmp(state, "acted");
}

static void look_at(struct c4_ledger *l, const json_t *incident, uint64_t at_ns,
		    c4_ledger_cb announce, void *arg)
{
	const char *id = json_string_value(json_object_get(incident, "id"));
	char state[16];
	struct c4_ledger_entry *e;
	bool resolved;
	uint64_t hash;

	c4_text_of(incident, "state", state, sizeof state);
	if (!id || !was_confirmed(incident, state))
		return;
	resolved = !strcmp(state, "resolved");
	hash = c4_hash_bytes(0, id, strlen(id));
	e = find(l, hash);
	if (!e && l->count == C4_LEDGER_MAX) {
		l->unlisted++;
		return;
	}
	if (!e) {
		e = &l->entries[l->count++];
		e->id = hash;
		e->resolved = false;
		announce_line(l, incident, false, at_ns, announce, arg);
	}
	if (resolved && !e->resolved)
		announce_line(l, incident, true, at_ns, announce, arg);
	e->resolved = resolved;
	if (resolved)
		return;
	l->open++;
	c4_incident_label(incident, l->newest, sizeof l->newest);
}

void c4_ledger_update(struct c4_ledger *l, const json_t *incidents, uint64_t at_ns,
		      c4_ledger_cb announce, void *arg)
{
	size_t i;
	json_t *incident;

	l->open = 0;
	l->unlisted = 0;
	l->newest[0] = '\0';
	json_array_foreach((json_t *)incidents, i, incident)
		look_at(l, incident, at_ns, announce, arg);
}
