// SPDX-License-Identifier: BSD-3-Clause
#include "planner/cli/cmd_show.h"

#include <stdbool.h>
#include <stdio.h>

#include "common/http.h"
#include "common/opt.h"
#include "planner/cli/input.h"
#include "planner/cli/tally.h"
#include "planner/io/plan_read.h"

#define TIMEOUT_MS 10000
#define PLAN_PATH  "/api/v1/plan"

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
		 "planner is asked.",
	.opts = opts,
};

static int ask(struct c4_buf *text)
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
	c4_http_free(http);
	return status == 200 ? 0 : 1;
}

static int show(const char *name, const struct c4_buf *text)
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
		fwrite(text->data, 1, text->len, stdout);
	} else {
		c4_tally_headline(&t, &sum, stdout);
		c4_tally_spines(&t, stdout);
		c4_tally_links(&t, stdout);
		c4_tally_moves(&t, stdout);
		c4_tally_not_placed(&t, stdout);
	}
	c4_tally_release(&t);
	return rc;
}

int c4_cmd_show(int argc, char **argv)
{
	int first = c4_cli_parse(&cli, argc, argv), rc;
	struct c4_buf text = {0};

	if (first + 1 < argc)
		return c4_cli_misuse(&cli, "unexpected operand '%s'", argv[first + 1]);
	rc = first < argc ? c4_input_text(argv[first], &text) : ask(&text);
	rc = rc ? rc : show(first < argc ? argv[first] : opt.planner, &text);
	c4_buf_release(&text);
	return rc;
}
