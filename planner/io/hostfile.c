// SPDX-License-Identifier: BSD-3-Clause
#include "planner/io/hostfile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/str.h"
#include "common/ds/vec.h"
#include "planner/io/complaint.h"
#include "planner/io/hostlist.h"
#include "planner/io/lines.h"

#define TORCH_PORT 29500u /* torchrun's own default */

void c4_roster_release(struct c4_roster *l)
{
	free(l->hosts);
	c4_strmap_release(&l->names);
	*l = (struct c4_roster){0};
}

/* ---- in -------------------------------------------------------------------------------------- */

struct parser {
	struct c4_roster *list;
	struct c4_complaints complaints;
	struct c4_fault *fault; /* of the list being expanded */
	uint32_t slots;		/* of each host in it */
};

static int add_host(void *arg, const char *name)
{
	struct parser *p = arg;
	struct c4_roster *l = p->list;
	struct c4_order_host *h =
		c4_vec_reserve(l->hosts, &l->cap, l->n + 1, C4_FABRIC_HOSTS_MAX, sizeof *h);
	struct c4_strmap_entry *e;

	if (!h)
		return c4_fault_set(p->fault, -ENOMEM, "no room for more hosts");
	l->hosts = h;
	e = c4_strmap_at(&l->names, name);
	if (!e)
		return c4_fault_set(p->fault, -ENOMEM, "out of memory");
	if (!e->value) {
		l->hosts[l->n] = (struct c4_order_host){.name = e->key, .host = C4_NONE};
		e->value = (void *)(uintptr_t)++l->n;
	}
	h = &l->hosts[(uintptr_t)e->value - 1];
	if (p->slots > C4_ROSTER_SLOTS_MAX - h->slots)
		return c4_fault_set(p->fault, -E2BIG, "host %.80s has more slots than %u", name,
				    C4_ROSTER_SLOTS_MAX);
	h->slots += p->slots;
	return 0;
}

static int add_list(struct parser *p, uint32_t line, const char *expr, size_t n, uint32_t slots)
{
	struct c4_fault fault = {0};
	int rc;

	p->fault = &fault;
	p->slots = slots;
	rc = c4_hostlist_each(expr, n, add_host, p, &fault);
	if (rc)
		c4_complain(&p->complaints, line, "%s", fault.what);
	return rc;
}

int c4_roster_parse(struct c4_roster *l, const char *name, const char *text, struct c4_buf *errors)
{
	struct parser p = {.list = l, .complaints = {.out = errors, .file = name}};

	return add_list(&p, 0, text, strlen(text), 1);
}

/* Decimal, 1 … C4_ROSTER_SLOTS_MAX, all of the text; 0 otherwise. */
static uint32_t parse_slots(const char *s, size_t n)
{
	uint64_t v = 0;
	char digits[8];

	if (!n || n >= sizeof digits)
		return 0;
	memcpy(digits, s, n);
	digits[n] = '\0';
	return c4_str_parse_u64(digits, &v) == n && v <= C4_ROSTER_SLOTS_MAX ? (uint32_t)v : 0;
}

/* The next word of a line from *at: its length, 0 at the end. */
static size_t next_word(const struct c4_lines *l, size_t *at)
{
	size_t n = 0;

	while (*at < l->n && strchr(" \t\r", l->line[*at]))
		++*at;
	while (*at + n < l->n && !strchr(" \t\r#", l->line[*at + n]))
		n++;
	return n;
}

/* HOSTS[:SLOTS] [slots=SLOTS] [other=…] [# comment] */
static int parse_line(struct parser *p, const struct c4_lines *l)
{
	size_t at = 0, n = next_word(l, &at);
	const char *hosts = l->line + at, *colon = n ? memrchr(hosts, ':', n) : NULL;
	size_t n_hosts = colon ? (size_t)(colon - hosts) : n;
	uint32_t slots = colon ? parse_slots(colon + 1, n - n_hosts - 1) : 1;

	if (!n)
		return 0;
	for (at += n; (n = next_word(l, &at)); at += n)
		if (n > 6 && !memcmp(l->line + at, "slots=", 6))
			slots = parse_slots(l->line + at + 6, n - 6);
	if (slots)
		return add_list(p, l->number, hosts, n_hosts, slots);
	c4_complain(&p->complaints, l->number,
		    "number of slots, expected HOST, HOST:SLOTS or HOST slots=SLOTS with 1 to %u",
		    C4_ROSTER_SLOTS_MAX);
	return -EINVAL;
}

int c4_roster_parse_file(struct c4_roster *l, const char *name, const char *text, size_t n,
			 struct c4_buf *errors)
{
	struct parser p = {.list = l, .complaints = {.out = errors, .file = name}};
	struct c4_lines lines = {.next = text, .end = text + n};
	int rc = 0;

	while (rc != -ENOMEM && c4_lines_next(&lines))
		rc = parse_line(&p, &lines);
	return c4_complaints_close(&p.complaints) ? rc ? rc : -EINVAL : 0;
}

uint32_t c4_roster_find(struct c4_roster *l, const struct c4_fabric *f)
{
	uint32_t unknown = 0;

	for (uint32_t i = 0; i < l->n; i++) {
		l->hosts[i].host = c4_fabric_host(f, l->hosts[i].name);
		unknown += l->hosts[i].host == C4_NONE;
	}
	return unknown;
}

/* ---- out ------------------------------------------------------------------------------------- */

bool c4_hostfile_form(const char *name, enum c4_hostfile_form *ret)
{
	static const char *const names[] = {[C4_HOSTFILE_MPIRUN] = "mpirun",
					    [C4_HOSTFILE_SLURM] = "slurm",
					    [C4_HOSTFILE_TORCHRUN] = "torchrun",
					    [C4_HOSTFILE_LIST] = "list"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(names[i], name)) {
			*ret = (enum c4_hostfile_form)i;
			return true;
		}
	return false;
}

static void write_torch(FILE *f, const struct c4_order_host *hosts, uint32_t n, uint32_t i)
{
	fprintf(f,
		"%s --nnodes=%" PRIu32 " --node_rank=%" PRIu32 " --nproc_per_node=%" PRIu32
		" --master_addr=%s --master_port=%u\n",
		hosts[i].name, n, i, hosts[i].slots, hosts[0].name, TORCH_PORT);
}

void c4_hostfile_write(FILE *f, enum c4_hostfile_form form, const struct c4_order_host *hosts,
		       uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		switch (form) {
		case C4_HOSTFILE_MPIRUN:
			fprintf(f, "%s slots=%" PRIu32 "\n", hosts[i].name, hosts[i].slots);
			break;
		case C4_HOSTFILE_SLURM:
			for (uint32_t k = 0; k < hosts[i].slots; k++)
				fprintf(f, "%s\n", hosts[i].name);
			break;
		case C4_HOSTFILE_TORCHRUN: write_torch(f, hosts, n, i); break;
		case C4_HOSTFILE_LIST: fprintf(f, "%s\n", hosts[i].name); break;
		}
	}
}
