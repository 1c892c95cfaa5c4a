// SPDX-License-Identifier: BSD-3-Clause
/*
 * libcyaml tells what it met through its log: one line of what, then the way back to the top. From
 * the way follow the line (locate.h) and, through the schema, what was expected there.
 */
#include "planner/io/yaml.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/io/locate.h"

#define MESSAGE_BYTES 256
#define KEY_BYTES     64

/* ---- bounded memory -------------------------------------------------------------------------- */

struct budget {
	size_t held, limit;
};

static void *allocate(void *ctx, void *old, size_t size)
{
	struct budget *b = ctx;
	size_t before = malloc_usable_size(old);
	void *p;

	if (!size) {
		b->held -= before;
		free(old);
		return NULL;
	}
	if (size > before && (b->held > b->limit || size - before > b->limit - b->held))
		return NULL;
	p = realloc(old, size);
	if (p)
		b->held = b->held - before + malloc_usable_size(p);
	return p;
}

/* ---- what the library tells ------------------------------------------------------------------ */

struct account {
	char message[MESSAGE_BYTES];
	/* innermost first; key "" is an item */
	struct {
		char key[KEY_BYTES];
		uint32_t index;
	} way[C4_YAML_STEPS];
	uint32_t n;
	bool has_message;
};

/* For "%.*s". */
struct slice {
	const char *text;
	int n;
};

static void note_step(struct account *a, const char *key, uint32_t index)
{
	if (a->n >= C4_YAML_STEPS)
		return;
	snprintf(a->way[a->n].key, KEY_BYTES, "%s", key);
	a->way[a->n++].index = index;
}

static void __attribute__((format(printf, 3, 0)))
listen(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
	struct account *a = ctx;
	char text[MESSAGE_BYTES], key[KEY_BYTES];
	unsigned index;

	(void)level;
	vsnprintf(text, sizeof text, fmt, args);
	text[strcspn(text, "\n")] = '\0';
	if (sscanf(text, " in mapping field '%63[^']'", key) == 1)
		note_step(a, key, 0);
	else if (sscanf(text, " in sequence entry '%u'", &index) == 1)
		note_step(a, "", index ? index - 1 : 0);
	else if (!a->has_message && !strncmp(text, "Load: ", 6) && !strstr(text, "Backtrace")) {
		memcpy(a->message, text + 6, strlen(text + 6) + 1);
		a->has_message = true;
	}
}

/* ---- what the schema expects ----------------------------------------------------------------- */

static const cyaml_schema_field_t *field_of(const cyaml_schema_value_t *v, const char *key)
{
	const cyaml_schema_field_t *f = v->type == CYAML_MAPPING ? v->mapping.fields : NULL;

	while (f && f->key && strcmp(f->key, key) != 0)
		f++;
	return f && f->key ? f : NULL;
}

/* The schema of the node a path leads to; NULL beyond it. */
static const cyaml_schema_value_t *schema_at(const cyaml_schema_value_t *v,
					     const struct c4_yaml_path *p)
{
	for (uint32_t i = 0; v && i < p->n; i++) {
		const struct c4_yaml_step *s = &p->steps[i];
		const cyaml_schema_field_t *f = s->key ? field_of(v, s->key) : NULL;

		if (s->key)
			v = f ? &f->value : NULL;
		else
			v = v->type == CYAML_SEQUENCE ? v->sequence.entry : NULL;
	}
	return v;
}

static void list_keys(struct c4_buf *b, const cyaml_schema_value_t *v)
{
	for (const cyaml_schema_field_t *f = v->mapping.fields; f->key; f++)
		c4_buf_printf(b, "%s%s", f == v->mapping.fields ? "" : ", ", f->key);
}

static void list_words(struct c4_buf *b, const cyaml_schema_value_t *v)
{
	for (uint32_t i = 0; i < v->enumeration.count; i++)
		c4_buf_printf(b, "%s%s", i ? " or " : "", v->enumeration.strings[i].str);
}

static void describe(struct c4_buf *b, const cyaml_schema_value_t *v)
{
	switch (v ? v->type : CYAML_IGNORE) {
	case CYAML_INT:
	case CYAML_UINT: c4_buf_printf(b, "a whole number, 0 or more"); break;
	case CYAML_FLOAT: c4_buf_printf(b, "a number"); break;
	case CYAML_STRING:
		c4_buf_printf(b, "a text of %u to %u characters", (unsigned)v->string.min,
			      (unsigned)v->string.max);
		break;
	case CYAML_ENUM: list_words(b, v); break;
	case CYAML_SEQUENCE:
		c4_buf_printf(b, "a list of at most %u items", (unsigned)v->sequence.max);
		break;
	case CYAML_MAPPING:
		c4_buf_printf(b, "a mapping with the keys ");
		list_keys(b, v);
		break;
	default: c4_buf_printf(b, "another value"); break;
	}
}

/* ---- putting it together --------------------------------------------------------------------- */

static struct c4_yaml_path path_of(const struct account *a)
{
	struct c4_yaml_path p = {.n = a->n};

	for (uint32_t i = 0; i < a->n; i++) {
		p.steps[i].key = a->way[a->n - 1 - i].key;
		p.steps[i].index = a->way[a->n - 1 - i].index;
		if (!*p.steps[i].key)
			p.steps[i].key = NULL;
	}
	return p;
}

/* The text behind ": " in the library's message, sometimes quoted: the key or value it is about. */
static struct slice subject(const struct account *a)
{
	const char *colon = strstr(a->message, ": ");
	struct slice s = {colon ? colon + 2 : "", 0};

	s.n = (int)strlen(s.text);
	if (s.n >= 2 && s.text[0] == '\'' && s.text[s.n - 1] == '\'') {
		s.text++;
		s.n -= 2;
	}
	return s;
}

/* "links[3].gbps" */
static void print_path(struct c4_buf *b, const struct c4_yaml_path *p)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (p->steps[i].key)
			c4_buf_printf(b, "%s%s", i ? "." : "", p->steps[i].key);
		else
			c4_buf_printf(b, "[%u]", p->steps[i].index);
	c4_buf_printf(b, "%s", p->n ? "" : "the file");
}

static const char *event_name(const char *message)
{
	static const struct {
		const char *theirs, *ours;
	} names[] = {{"got event: SCALAR", "a single value"},
		     {"got event: SEQUENCE_START", "a list"},
		     {"got event: MAPPING_START", "a mapping"}};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strstr(message, names[i].theirs))
			return names[i].ours;
	return NULL;
}

/* What is there, after its path. */
static void print_value(struct c4_buf *b, cyaml_err_t err, const struct account *a)
{
	const char *event = event_name(a->message);

	if (event)
		c4_buf_printf(b, " is %s", event);
	else if (err == CYAML_ERR_STRING_LENGTH_MIN || err == CYAML_ERR_STRING_LENGTH_MAX)
		c4_buf_printf(b, err == CYAML_ERR_STRING_LENGTH_MIN ? " is empty" : " is too long");
	else if (err == CYAML_ERR_SEQUENCE_ENTRIES_MAX)
		c4_buf_printf(b, " has too many items");
	else if (strstr(a->message, "Invalid"))
		c4_buf_printf(b, " is '%.*s'", subject(a).n, subject(a).text);
	else
		c4_buf_printf(b, ": %s", *a->message ? a->message : cyaml_strerror(err));
}

static void print_mistake(struct c4_buf *b, cyaml_err_t err, const struct account *a,
			  struct c4_yaml_path *p, const cyaml_schema_value_t *v)
{
	if (err == CYAML_ERR_INVALID_KEY && v && v->type == CYAML_MAPPING) {
		c4_buf_printf(b, "unknown key '%.*s' in ", subject(a).n, subject(a).text);
		print_path(b, p);
		c4_buf_printf(b, ", expected one of ");
		list_keys(b, v);
		if (p->n < C4_YAML_STEPS)
			p->steps[p->n++] = (struct c4_yaml_step){.key = subject(a).text};
		return;
	}
	print_path(b, p);
	if (err == CYAML_ERR_MAPPING_FIELD_MISSING)
		c4_buf_printf(b, " has no key '%.*s', expected ", subject(a).n, subject(a).text);
	else if (err == CYAML_ERR_UNEXPECTED_EVENT && strstr(a->message, "already seen")) {
		c4_buf_printf(b, " is there twice, expected once");
		return;
	} else {
		print_value(b, err, a);
		c4_buf_printf(b, ", expected ");
	}
	describe(b, v);
}

static void complain(struct c4_complaints *c, cyaml_err_t err, const struct account *a,
		     const cyaml_schema_value_t *schema, const char *text, size_t len)
{
	struct c4_yaml_path p = path_of(a);
	struct c4_buf b = {0};
	uint32_t line;

	/* the way ends at the last key that was read, not at the mapping that lacks one */
	if (err == CYAML_ERR_MAPPING_FIELD_MISSING && p.n && p.steps[p.n - 1].key &&
	    schema_at(schema, &p) && schema_at(schema, &p)->type != CYAML_MAPPING)
		p.n--;
	print_mistake(&b, err, a, &p, schema_at(schema, &p));
	c4_yaml_locate(text, len, &p, &line, 1);
	c4_complain(c, line, "%s", c4_buf_str(&b));
	c4_buf_release(&b);
}

static int refuse(struct c4_complaints *c, cyaml_err_t err, const struct account *a,
		  const cyaml_schema_value_t *schema, const char *text, size_t len)
{
	char what[160];
	uint32_t line;

	if (err == CYAML_ERR_OOM) {
		c4_complain(c, 0, "out of memory, expected to need at most %u times its length",
			    C4_YAML_MEMORY_PER_BYTE);
		return -ENOMEM;
	}
	if (err == CYAML_ERR_LIBYAML_PARSER && c4_yaml_syntax(text, len, &line, what, sizeof what))
		c4_complain(c, line, "%s, expected YAML", what);
	else
		complain(c, err, a, schema, text, len);
	return -EINVAL;
}

static int refuse_empty(struct c4_complaints *c, const cyaml_schema_value_t *schema)
{
	struct c4_buf b = {0};

	describe(&b, schema);
	c4_complain(c, 1, "the file is empty, expected %s", c4_buf_str(&b));
	c4_buf_release(&b);
	return -EINVAL;
}

int c4_yaml_load(const char *text, size_t len, const cyaml_schema_value_t *schema, void **ret,
		 struct c4_complaints *c)
{
	struct budget budget = {.limit = C4_YAML_MEMORY_BASE + C4_YAML_MEMORY_PER_BYTE * len};
	struct account a = {0};
	cyaml_config_t config = {.log_fn = listen,
				 .log_ctx = &a,
				 .log_level = CYAML_LOG_ERROR,
				 .mem_fn = allocate,
				 .mem_ctx = &budget};
	cyaml_data_t *data = NULL;
	cyaml_err_t err = cyaml_load_data((const uint8_t *)text, len, &config, schema, &data, NULL);

	if (err != CYAML_OK)
		return refuse(c, err, &a, schema, text, len);
	*ret = data;
	return data ? 0 : refuse_empty(c, schema);
}

void c4_yaml_free(const cyaml_schema_value_t *schema, void *data)
{
	struct budget budget = {.held = SIZE_MAX};
	cyaml_config_t config = {.mem_fn = allocate, .mem_ctx = &budget};

	cyaml_free(&config, schema, data, 0);
}
