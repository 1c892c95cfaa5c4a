// SPDX-License-Identifier: BSD-3-Clause
#include "planner/io/oracle_spec.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "planner/model/oracle/oracle_hash.h"
#include "planner/model/oracle/oracle_linear.h"
#include "planner/model/oracle/oracle_table.h"

/* Decimal or 0x…, up to the end of the word. */
static bool parse_u32(const char *s, uint32_t most, uint32_t *ret)
{
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(s, &end, 0);
	if (errno || end == s || *end || *s == '-' || v > most)
		return false;
	*ret = (uint32_t)v;
	return true;
}

static bool take_word(struct c4_hash_model *m, const char *word)
{
	if (!strcmp(word, "alike"))
		return m->alike = true;
	if (!strncmp(word, "seed=", 5))
		return parse_u32(word + 5, UINT32_MAX, &m->seed);
	if (!strncmp(word, "resilient=", 10))
		return parse_u32(word + 10, C4_RESILIENT_MAX, &m->resilient);
	return false;
}

static int parse(char *spec, struct c4_hash_model *m, struct c4_fault *fault)
{
	char *rest, *word = strtok_r(spec, ",", &rest);
	int kind = word ? c4_flowhash_kind(word) : -1;

	if (kind < 0)
		return c4_fault_set(fault, -EINVAL, "oracle \"%.60s\", expected %s",
				    word ? word : "", C4_HASH_SPEC_HELP);
	m->kind = (enum c4_flowhash_kind)kind;
	while ((word = strtok_r(NULL, ",", &rest)))
		if (!take_word(m, word))
			return c4_fault_set(fault, -EINVAL, "oracle: \"%.60s\", expected %s", word,
					    C4_HASH_SPEC_HELP);
	return 0;
}

int c4_hash_spec(const char *spec, struct c4_hash_model *ret, struct c4_fault *fault)
{
	struct c4_hash_model m = {0};
	char *copy = strdup(spec);
	int rc = copy ? parse(copy, &m, fault) : c4_fault_set(fault, -ENOMEM, "out of memory");

	free(copy);
	if (!rc)
		*ret = m;
	return rc;
}

static int make_hash(const char *spec, struct c4_oracle **ret, struct c4_fault *fault)
{
	struct c4_hash_model m;
	int rc = c4_hash_spec(spec, &m, fault);

	if (!rc)
		*ret = c4_oracle_hash_new(&m);
	return rc;
}

int c4_oracle_spec(const char *spec, struct c4_oracle **ret, struct c4_fault *fault)
{
	struct c4_oracle *o = NULL;
	int rc = 0;

	if (!strcmp(spec, "none")) {
		*ret = NULL;
		return 0;
	}
	if (!strcmp(spec, "table"))
		o = c4_oracle_table_new(C4_ORACLE_PROBES);
	else if (!strcmp(spec, "linear"))
		o = c4_oracle_linear_new(C4_ORACLE_PROBES);
	else
		rc = make_hash(spec, &o, fault);
	if (rc)
		return rc;
	if (!o)
		return c4_fault_set(fault, -ENOMEM, "out of memory");
	*ret = o;
	return 0;
}
