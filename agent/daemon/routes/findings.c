// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/routes/findings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int c4_findings_init(struct c4_findings *f)
{
	*f = (struct c4_findings){0};
	f->ring = calloc(C4_FINDINGS_MAX, sizeof *f->ring);
	return f->ring ? 0 : -ENOMEM;
}

void c4_findings_release(struct c4_findings *f)
{
	free(f->ring);
	*f = (struct c4_findings){0};
}

void c4_findings_add(struct c4_findings *f, const struct c4_finding *x)
{
	f->ring[(f->begin + f->n) % C4_FINDINGS_MAX] = *x;
	if (f->n < C4_FINDINGS_MAX) {
		f->n++;
		return;
	}
	f->begin++;
	f->lost++;
}

void c4_findings_doubt(struct c4_findings *f, const struct c4_finding_doubt *x)
{
	if (f->ndoubts == C4_FINDINGS_DOUBTS)
		f->lost++;
	else
		f->doubt[f->ndoubts++] = *x;
}

const struct c4_finding *c4_findings_get(const struct c4_findings *f, uint32_t i)
{
	return &f->ring[(f->begin + i) % C4_FINDINGS_MAX];
}

struct c4_findings_mark c4_findings_mark(const struct c4_findings *f)
{
	return (struct c4_findings_mark){f->begin + f->n, f->ndoubts};
}

void c4_findings_told(struct c4_findings *f, struct c4_findings_mark mark)
{
	if (mark.end > f->begin) { /* else newer ones have pushed them all out */
		f->n -= (uint32_t)(mark.end - f->begin);
		f->begin = mark.end;
	}
	f->ndoubts -= mark.ndoubts;
	memmove(f->doubt, f->doubt + mark.ndoubts, f->ndoubts * sizeof f->doubt[0]);
}
