// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "collector/keeper.h"
#include "collector/store.h"
#include "common/log.h"

#define S    1000000000ull
#define WALL (1700000000ull * S)
#define WEEK (7ull * 86400 * S)

struct fixture {
	char dir[64], path[96];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	c4_log_set_level(C4_LOG_ERROR);
	strcpy(f->dir, "/tmp/c4-store-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof f->path, "%s/c4.db", f->dir);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char cmd[128];

	snprintf(cmd, sizeof cmd, "rm -rf %s", f->dir);
	assert_int_equal(system(cmd), 0);
	free(f);
	return 0;
}

static struct c4_store_row row(const char *id, uint64_t changed, bool open)
{
	return (struct c4_store_row){
		.id = (char *)id,
		.job = (char *)"train",
		.kind = (char *)"crash",
		.state = (char *)(open ? "confirmed" : "resolved"),
		.body = (char *)"{}",
		.launch = UINT64_MAX, /* all 64 bits must survive */
		.key = 1ull << 63,
		.first_ns = changed,
		.confirmed_ns = changed,
		.changed_ns = changed,
		.open = open,
	};
}

static size_t load(struct c4_store *s, struct c4_store_row **rows)
{
	size_t n = 0;

	assert_int_equal(c4_store_load(s, rows, &n), 0);
	return n;
}

static void test_rows_survive(void **state)
{
	struct fixture *f = *state;
	struct c4_store *s = c4_store_new(f->path, WEEK);
	struct c4_store_row r[] = {row("b", WALL, true), row("a", WALL, true)}, *back;

	assert_int_equal(c4_store_sync(s, r, 2, WALL), 0);
	r[0].state = (char *)"resolved";
	r[0].open = false;
	assert_int_equal(c4_store_sync(s, r, 1, WALL), 0);
	c4_store_free(s);

	s = c4_store_new(f->path, WEEK);
	assert_int_equal(c4_store_sync(s, NULL, 0, WALL), 0);
	assert_int_equal(load(s, &back), 2);
	assert_string_equal(back[0].id, "a");
	assert_string_equal(back[1].state, "resolved");
	assert_true(back[1].launch == UINT64_MAX && back[1].key == 1ull << 63);
	c4_store_rows_free(back, 2);
	c4_store_free(s);
}

/* The process dies without closing: what was synced is there. */
static void test_survives_sudden_death(void **state)
{
	struct fixture *f = *state;
	struct c4_store *s = c4_store_new(f->path, WEEK), *other;
	struct c4_store_row r = row("a", WALL, true), *back;

	assert_int_equal(c4_store_sync(s, &r, 1, WALL), 0);
	other = c4_store_new(f->path, WEEK); /* reads the log the first one still holds */
	assert_int_equal(c4_store_sync(other, NULL, 0, WALL), 0);
	assert_int_equal(load(other, &back), 1);
	c4_store_rows_free(back, 1);
	c4_store_free(other);
	c4_store_free(s);
}

static void test_old_ones_expire_but_not_open_ones(void **state)
{
	struct fixture *f = *state;
	struct c4_store *s = c4_store_new(f->path, WEEK);
	struct c4_store_row r[] = {row("a", WALL, true), row("b", WALL, false)}, *back;

	assert_int_equal(c4_store_sync(s, r, 2, WALL), 0);
	assert_int_equal(c4_store_sync(s, NULL, 0, WALL + WEEK), 0);
	assert_int_equal(load(s, &back), 2);
	c4_store_rows_free(back, 2);
	assert_int_equal(c4_store_sync(s, NULL, 0, WALL + WEEK + 1), 0);
	assert_int_equal(load(s, &back), 1);
	assert_string_equal(back[0].id, "a");
	c4_store_rows_free(back, 1);
	c4_store_free(s);
}

static void test_full_disk(void **state)
{
	struct fixture *f = *state;
	struct c4_store *s = c4_store_new(f->path, WEEK);
	char *big = malloc(1 << 20);
	struct c4_store_row r = row("a", WALL, true), *back;

	memset(big, 'x', (1 << 20) - 1);
	big[(1 << 20) - 1] = '\0';
	c4_store_limit_pages(s, 16);
	assert_int_equal(c4_store_sync(s, NULL, 0, WALL), 0);
	r.body = big;
	assert_int_equal(c4_store_sync(s, &r, 1, WALL), -ENOSPC);
	assert_non_null(strstr(c4_store_error(s), "full"));
	r.body = (char *)"{}"; /* the disk has room again */
	assert_int_equal(c4_store_sync(s, &r, 1, WALL), 0);
	assert_int_equal(load(s, &back), 1);
	c4_store_rows_free(back, 1);
	c4_store_free(s);
	free(big);
}

static void test_no_directory(void **state)
{
	struct fixture *f = *state;
	char path[128];
	struct c4_store *s;
	struct c4_store_row r = row("a", WALL, true);

	snprintf(path, sizeof path, "%s/none/c4.db", f->dir);
	s = c4_store_new(path, WEEK);
	assert_true(c4_store_sync(s, &r, 1, WALL) < 0);
	assert_non_null(strstr(c4_store_error(s), path));
	snprintf(path, sizeof path, "%s/none", f->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(c4_store_sync(s, &r, 1, WALL), 0); /* tried anew each time */
	c4_store_free(s);
}

static void overwrite(const char *path, off_t at, const char *text)
{
	int fd = open(path, O_WRONLY);

	assert_true(fd >= 0);
	for (int i = 0; i < 64; i++)
		assert_int_equal(pwrite(fd, text, strlen(text), at + i * (off_t)strlen(text)),
				 strlen(text));
	close(fd);
}

static void test_corrupt_file_is_moved_aside(void **state)
{
	struct fixture *f = *state;
	struct c4_store *s = c4_store_new(f->path, WEEK);
	struct c4_store_row r = row("a", WALL, true), *back = NULL;

	assert_int_equal(c4_store_sync(s, &r, 1, WALL), 0);
	c4_store_free(s);
	overwrite(f->path, 100, "this is no b-tree page at all, nor is it a schema. ");
	s = c4_store_new(f->path, WEEK);
	assert_int_equal(c4_store_sync(s, NULL, 0, WALL), 0);
	assert_non_null(strstr(c4_store_moved(s), ".corrupt-"));
	assert_int_equal(access(c4_store_moved(s), F_OK), 0);
	assert_int_equal(load(s, &back), 0);
	assert_int_equal(c4_store_sync(s, &r, 1, WALL), 0);
	assert_string_equal(c4_store_moved(s), "");
	c4_store_free(s);
}

static void test_newer_schema_is_left_alone(void **state)
{
	struct fixture *f = *state;
	struct c4_store *s = c4_store_new(f->path, WEEK);
	sqlite3 *db;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	sqlite3_exec(db, "CREATE TABLE incidents(x); PRAGMA user_version=9", NULL, NULL, NULL);
	sqlite3_close(db);
	assert_int_equal(c4_store_sync(s, NULL, 0, WALL), -EPROTO);
	assert_non_null(strstr(c4_store_error(s), "newer"));
	assert_string_equal(c4_store_moved(s), "");
	c4_store_free(s);
}

static void test_foreign_file_is_no_store(void **state)
{
	struct fixture *f = *state;
	FILE *file;

	assert_int_equal(c4_store_check(f->path), 0);
	file = fopen(f->path, "w");
	fputs("root:x:0:0:root:/root:/bin/bash\n", file);
	fclose(file);
	assert_int_equal(c4_store_check(f->path), -EBADMSG);
}

/* ---- the keeper ------------------------------------------------------------------------------ */

static void verdict(struct c4_incidents *set, uint64_t key, uint64_t now)
{
	struct c4_job job = {.id = "train", .name = "train", .launch = 7};
	struct c4_verdict v = {.kind = C4_INC_CRASH, .key = key, .confirmed = true};
	struct c4_verdicts vs = {.n = 1, .v = &v};

	c4_incidents_apply(set, &job, &vs, now, WALL + now);
}

static struct c4_keeper *begin(struct c4_incidents *set, const char *path)
{
	struct c4_keeper *k = c4_keeper_new(NULL, c4_store_new(path, WEEK), set);

	c4_incidents_init(set, NULL, NULL);
	c4_keeper_start(k, S, WALL);
	return k;
}

static void test_restart_loses_nothing(void **state)
{
	struct fixture *f = *state;
	struct c4_incidents set;
	struct c4_keeper *k = begin(&set, f->path);
	char id[C4_INCIDENT_ID_BYTES];

	verdict(&set, 1, 2 * S);
	verdict(&set, 2, 3 * S);
	strcpy(id, set.v[1]->id);
	c4_keeper_tick(k, 3 * S, WALL);
	assert_false(set.v[0]->dirty || set.v[1]->dirty);
	c4_keeper_free(k); /* dies without a last word */
	c4_incidents_release(&set);

	k = begin(&set, f->path);
	assert_int_equal(set.n, 2);
	assert_string_equal(set.v[1]->id, id);
	assert_int_equal(set.v[1]->confirmed_wall_ns, WALL + 3 * S);
	verdict(&set, 2, 5 * S); /* the fault is still there: same incident */
	assert_int_equal(set.n, 2);
	assert_int_equal(set.v[1]->state, C4_INC_STATE_CONFIRMED);
	c4_keeper_free(k);
	c4_incidents_release(&set);
}

static void test_outage_is_survived_in_memory(void **state)
{
	struct fixture *f = *state;
	struct c4_incidents set;
	char path[128];
	struct c4_keeper *k;

	snprintf(path, sizeof path, "%s/later/c4.db", f->dir);
	k = begin(&set, path);
	assert_non_null(c4_keeper_problem(k));
	assert_int_equal(c4_keeper_errors(k), 1);
	verdict(&set, 1, 2 * S);
	c4_keeper_tick(k, S + S / 2, WALL); /* too early for another try */
	assert_int_equal(c4_keeper_errors(k), 1);
	c4_keeper_tick(k, 3 * S, WALL);
	assert_int_equal(c4_keeper_errors(k), 2);
	snprintf(path, sizeof path, "%s/later", f->dir);
	mkdir(path, 0700);
	c4_keeper_tick(k, 4 * S, WALL); /* the pause has doubled */
	assert_non_null(c4_keeper_problem(k));
	c4_keeper_tick(k, 6 * S, WALL);
	assert_null(c4_keeper_problem(k));
	assert_false(set.v[0]->dirty); /* what was missed is written */
	c4_keeper_free(k);
	c4_incidents_release(&set);
}

static void test_corruption_under_way_rewrites_everything(void **state)
{
	struct fixture *f = *state;
	struct c4_incidents set;
	struct c4_keeper *k = begin(&set, f->path);

	for (uint64_t key = 0; key < 40; key++)
		verdict(&set, key, 2 * S);
	c4_keeper_tick(k, 2 * S, WALL);
	c4_keeper_free(k);
	overwrite(f->path, 100, "this is no b-tree page at all, nor is it a schema. ");
	k = c4_keeper_new(NULL, c4_store_new(f->path, WEEK), &set);
	c4_keeper_start(k, 3 * S, WALL);
	assert_true(set.v[0]->dirty);
	c4_keeper_finish(k, 4 * S, WALL);
	assert_false(set.v[0]->dirty);
	c4_keeper_free(k);
	c4_incidents_release(&set);
	k = begin(&set, f->path);
	assert_int_equal(set.n, 40);
	c4_keeper_free(k);
	c4_incidents_release(&set);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_rows_survive),
		T(test_survives_sudden_death),
		T(test_old_ones_expire_but_not_open_ones),
		T(test_full_disk),
		T(test_no_directory),
		T(test_corrupt_file_is_moved_aside),
		T(test_newer_schema_is_left_alone),
		T(test_foreign_file_is_no_store),
		T(test_restart_loses_nothing),
		T(test_outage_is_survived_in_memory),
		T(test_corruption_under_way_rewrites_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
