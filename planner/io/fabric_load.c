// SPDX-License-Identifier: BSD-3-Clause
#include "planner/io/fabric_load.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "planner/io/complaint.h"
#include "planner/io/fabric_yaml.h"
#include "planner/io/ibnet.h"
#include "planner/io/slurm_topology.h"
#include "planner/io/slurp.h"

static const struct reader {
	const char *word;
	int (*read)(struct c4_fabric *f, const char *text, size_t len, struct c4_complaints *c);
} readers[] = {
	[C4_FABRIC_YAML] = {"yaml", c4_fabric_read_yaml},
	[C4_FABRIC_SLURM] = {"slurm", c4_fabric_read_slurm},
	[C4_FABRIC_IBNET] = {"ibnet", c4_fabric_read_ibnet},
};

int c4_fabric_format_of(const char *word)
{
	for (int i = C4_FABRIC_YAML; i <= C4_FABRIC_IBNET; i++)
		if (!strcmp(word, readers[i].word))
			return i;
	return -1;
}

/* By how a line begins; comments and blank lines tell nothing. */
static enum c4_fabric_format guess_line(const char *line, size_t n)
{
	static const struct {
		const char *begin;
		enum c4_fabric_format format;
	} signs[] = {
		{"SwitchName=", C4_FABRIC_SLURM}, {"BlockName=", C4_FABRIC_SLURM},
		{"vendid=", C4_FABRIC_IBNET},	  {"devid=", C4_FABRIC_IBNET},
		{"sysimgguid=", C4_FABRIC_IBNET}, {"switchguid=", C4_FABRIC_IBNET},
		{"caguid=", C4_FABRIC_IBNET},	  {"Switch\t", C4_FABRIC_IBNET},
		{"Ca\t", C4_FABRIC_IBNET},	  {"Rt\t", C4_FABRIC_IBNET},
	};

	for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
		if (n >= strlen(signs[i].begin) &&
		    !strncasecmp(line, signs[i].begin, strlen(signs[i].begin)))
			return signs[i].format;
	return C4_FABRIC_YAML;
}

/* The first line that holds anything decides. */
static enum c4_fabric_format guess(const char *text, size_t len)
{
	const char *end = text + len;

	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));

		stop = stop ? stop : end;
		while (text < stop && (*text == ' ' || *text == '\t' || *text == '\r'))
			text++;
		if (text < stop && *text != '#')
			return guess_line(text, (size_t)(stop - text));
		text = stop + 1;
	}
	return C4_FABRIC_YAML;
}

int c4_fabric_parse(struct c4_fabric *f, const char *name, const char *text, size_t len,
		    enum c4_fabric_format format, struct c4_buf *errors)
{
	struct c4_complaints c = {.out = errors, .file = name};
	int rc;

	if (format == C4_FABRIC_GUESS)
		format = guess(text, len);
	c4_fabric_init(f);
	rc = readers[format].read(f, text, len, &c);
	if (rc && !c.n)
		c4_complain(&c, 0, "%s", strerror(-rc));
	c4_complaints_close(&c);
	if (rc)
		c4_fabric_release(f);
	return rc;
}

int c4_fabric_load(struct c4_fabric *f, const char *path, enum c4_fabric_format format,
		   struct c4_buf *errors)
{
	const char *name = strcmp(path, "-") ? path : "(standard input)";
	struct c4_complaints c = {.out = errors, .file = name};
	struct c4_fault fault;
	struct c4_buf text = {0};
	int rc = c4_slurp(path, &text, &fault);

	if (rc)
		c4_complain(&c, 0, "cannot read: %s, expected a readable file", fault.what);
	else
		rc = c4_fabric_parse(f, name, c4_buf_str(&text), text.len, format, errors);
	c4_buf_release(&text);
	return rc;
}
