// SPDX-License-Identifier: BSD-3-Clause
#include "planner/cli/cmd_show.h"

#include <stdbool.h>
#include <stdio.h>

#include "common/http.h"
#include "common/opt.h"
#include "planner/cli/input.h"
#include "planner/cli/live_print.h"
#include "planner/cli/tally.h"
#include "planner/io/plan_read.h"

#define TIMEOUT_MS 10000
#define PLAN_PATH  "/api/v1/plan"
#define LIVE_PATH  "/api/v1/live"

static struct {
	const char *planner;
	bool json;
} opt = {.planner = "127.0.0.1:7441"};

static const struct c4_opt opts[] = {
	{"planner", 'p', C4_OPT_STR, &opt.planner, "HOST:PORT", NULL,
	 "ask this running planner (127.0.0.1:7441)", 0, 0},
	{"json", 'j', C4_OPT_FLAG, &opt.json, NULL, NULL, "print the plan as it is", 0, 0},
	{0},
};

static const struct c4_cli cli = {
	.program = "c4plan show",
	.synopsis = "[OPTION]… [PLAN]",
	.about = "Shows a plan: who is on which spine, the fullest links, what moved and why.\n"
		 "PLAN is a file of c4plan make --json, - standard input; without it a running\n"
		 "planner is asked, and shows what its agents see, too: connections, whether they "
		 "are\n"
		 "on their planned path, links that are slow.",
	.opts = opts,
};

/* live: what agents see, empty if the planner does not tell. */
static int ask(struct c4_buf *text, struct c4_buf *live)
{
	struct c4_http *http = c4_http_new(opt.planner, TIMEOUT_MS);
	int status;

	if (!http)
		return c4_cli_misuse(&cli, "'%s' is not HOST:PORT", opt.planner);
	status = c4_http_get(http, PLAN_PATH, text);
	if (status < 0)
		fprintf(stderr, "c4plan show: cannot reach the planner at %s: %s\n", opt.planner,
			c4_http_error(http));
	else if (status != 200)
		fprintf(stderr, "c4plan show: %s: no plan (HTTP status %d)\n", opt.planner, status);
	if (status == 200 && c4_http_get(http, LIVE_PATH, live) != 200)
		c4_buf_release(live);
	c4_http_free(http);
	return status == 200 ? 0 : 1;
}

/* The plan as it came; what is seen becomes one more key of it. */
static void put_json(const struct c4_buf *text, const struct c4_buf *live)
{
	size_t n = text->len, m = live->len;

	while (n && text->data[n - 1] != '}')
		n--;
	while (m && live->data[m - 1] != '}')
		m--;
	if (!n || !m) {
		fwrite(text->data, 1, text->len, stdout);
		return;
	}
	fwrite(text->data, 1, n - 1, stdout);
	printf(",\n\"live\":%.*s}\n", (int)m, live->data);
}

static int show(const char *name, const struct c4_buf *text, const struct c4_buf *live)
{
	struct c4_plan_visitor v = {
		.route = c4_tally_route, .move = c4_tally_move, .unplaced = c4_tally_unplaced};
	struct c4_plan_summary sum;
	struct c4_buf errors = {0};
	struct c4_tally t;
	int rc;

	c4_tally_init(&t);
	v.arg = &t;
	rc = c4_plan_read(name, c4_buf_str(text), text->len, &v, &sum, &errors);
	if (rc) {
		rc = c4_input_errors(&errors);
	} else if (opt.json) {
		put_json(text, live);
	} else {
		c4_tally_headline(&t, &sum, stdout);
		c4_tally_spines(&t, stdout);
		c4_tally_links(&t, stdout);
		c4_tally_moves(&t, stdout);
		c4_tally_not_placed(&t, stdout);
		if (live->len)
			c4_live_print(live, stdout);
	}
	c4_tally_release(&t);
	return rc;
}

int c4_cmd_show(int argc, char **argv)
{
	int first = c4_cli_parse(&cli, argc, argv), rc;
	struct c4_buf text = {0}, live = {0};

	if (first + 1 < argc)
		return c4_cli_misuse(&cli, "unexpected operand '%s'", argv[first + 1]);
	rc = first < argc ? c4_input_text(argv[first], &text) : ask(&text, &live);
	rc = rc ? rc : show(first < argc ? argv[first] : opt.planner, &text, &live);
	c4_buf_release(&text);
	c4_buf_release(&live);
	return rc;
}
