// SPDX-License-Identifier: BSD-3-Clause
#include "collector/store.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/ds/vec.h"

#define BUSY_MS	 1000
#define LOAD_MAX 4096u

struct c4_store {
	char *path;
	uint64_t retain_ns;
	sqlite3 *db; /* NULL: closed */
	sqlite3_stmt *upsert, *expire;
	int max_pages;
	char error[256];
	char moved[PATH_MAX];
};

struct c4_store *c4_store_new(const char *path, uint64_t retain_ns)
{
	struct c4_store *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->path = strdup(path);
	s->retain_ns = retain_ns;
	if (!s->path) {
		free(s);
		return NULL;
	}
	return s;
}

static void store_close(struct c4_store *s)
{
	sqlite3_finalize(s->upsert);
	sqlite3_finalize(s->expire);
	s->upsert = s->expire = NULL;
	sqlite3_close(s->db); /* checkpoints the log */
	s->db = NULL;
}

void c4_store_free(struct c4_store *s)
{
	if (!s)
		return;
	store_close(s);
	free(s->path);
	free(s);
}

const char *c4_store_error(const struct c4_store *s)
{
	return s->error;
}

const char *c4_store_moved(const struct c4_store *s)
{
	return s->moved;
}

void c4_store_limit_pages(struct c4_store *s, int pages)
{
	s->max_pages = pages;
}

int c4_store_check(const char *path)
{
	static const char magic[16] = "SQLite format 3";
	char head[sizeof magic];
	FILE *f = fopen(path, "rb");
	size_t n = f ? fread(head, 1, sizeof head, f) : 0;

	if (f)
		fclose(f);
	return n && (n < sizeof head || memcmp(head, magic, sizeof head) != 0) ? -EBADMSG : 0;
}

/* ---- opening --------------------------------------------------------------------------------- */

static const char schema[] = "BEGIN IMMEDIATE;"
			     "CREATE TABLE incidents("
			     " id TEXT PRIMARY KEY, job TEXT NOT NULL, launch INTEGER NOT NULL,"
			     " key INTEGER NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,"
			     " open INTEGER NOT NULL, first_ns INTEGER NOT NULL,"
			     " confirmed_ns INTEGER NOT NULL, resolved_ns INTEGER NOT NULL,"
			     " changed_ns INTEGER NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;"
			     "CREATE INDEX incidents_changed ON incidents(open, changed_ns);"
			     "PRAGMA user_version=1;"
			     "COMMIT";
static_assert(C4_STORE_SCHEMA == 1, "the schema text says user_version too");

static const char upsert_sql[] =
	"INSERT INTO incidents VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)"
	" ON CONFLICT(id) DO UPDATE SET state=?6, open=?7, confirmed_ns=?9, resolved_ns=?10,"
	" changed_ns=?11, body=?12";
static const char expire_sql[] = "DELETE FROM incidents WHERE open=0 AND changed_ns<?1";

static int to_errno(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
	case SQLITE_ROW: return 0;
	case SQLITE_NOMEM: return -ENOMEM;
	case SQLITE_FULL: return -ENOSPC;
	case SQLITE_READONLY: return -EROFS;
	case SQLITE_BUSY:
	case SQLITE_LOCKED: return -EBUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB: return -EBADMSG;
	default: return -EIO;
	}
}

static int fail(struct c4_store *s, int rc)
{
	snprintf(s->error, sizeof s->error, "%s: %s", s->path,
		 s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc));
	return to_errno(rc);
}

static int exec(struct c4_store *s, const char *sql)
{
	return sqlite3_exec(s->db, sql, NULL, NULL, NULL);
}

/* A number or a word that a pragma answers: 0 or an SQLite code. */
static int pragma(struct c4_store *s, const char *sql, char *word, size_t n)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);

	word[0] = '\0';
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		const unsigned char *text = sqlite3_column_text(st, 0);

		snprintf(word, n, "%s", text ? (const char *)text : "");
	}
	sqlite3_finalize(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int check_schema(struct c4_store *s)
{
	char word[64];
	int rc = pragma(s, "PRAGMA user_version", word, sizeof word);
	int version = atoi(word);

	if (rc)
		return fail(s, rc);
	if (version > C4_STORE_SCHEMA) {
		snprintf(s->error, sizeof s->error,
			 "%s: written by a newer c4 (schema %d, known up to %d)", s->path, version,
			 C4_STORE_SCHEMA);
		return -EPROTO;
	}
	if (version == 0) {
		rc = exec(s, schema);
		if (rc) {
			(void)fail(s, rc);
			exec(s, "ROLLBACK");
			return to_errno(rc);
		}
	}
	return 0;
}

static int check_health(struct c4_store *s)
{
	char word[64];
	int rc = pragma(s, "PRAGMA quick_check(1)", word, sizeof word);

	if (rc)
		return fail(s, rc);
	if (!strcmp(word, "ok"))
		return 0;
	snprintf(s->error, sizeof s->error, "%s: %s", s->path, word);
	return -EBADMSG;
}

static int set_up(struct c4_store *s)
{
	char word[64], limit[64];
	int rc;

	sqlite3_busy_timeout(s->db, BUSY_MS);
	if (s->max_pages) {
		snprintf(limit, sizeof limit, "PRAGMA max_page_count=%d", s->max_pages);
		pragma(s, limit, word, sizeof word);
	}
	rc = check_health(s);
	if (rc)
		return rc;
	rc = pragma(s, "PRAGMA journal_mode=WAL", word, sizeof word);
	if (rc)
		return fail(s, rc);
	rc = check_schema(s);
	if (rc)
		return rc;
	/* survives the collector's death at any moment; a power cut may cost the last rows */
	rc = exec(s, "PRAGMA synchronous=NORMAL");
	if (!rc)
		rc = sqlite3_prepare_v2(s->db, upsert_sql, -1, &s->upsert, NULL);
	if (!rc)
		rc = sqlite3_prepare_v2(s->db, expire_sql, -1, &s->expire, NULL);
	return rc ? fail(s, rc) : 0;
}

static int open_once(struct c4_store *s)
{
	int rc = sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);

	rc = rc ? fail(s, rc) : set_up(s);
	if (rc)
		store_close(s);
	return rc;
}

/* Renames the file and its log; a log left behind would be replayed into the new database. */
static int move_aside(struct c4_store *s)
{
	static const char *const tails[] = {"", "-wal", "-shm"};
	char from[PATH_MAX], to[PATH_MAX], stamp[32];
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm);
	for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
		int n = snprintf(from, sizeof from, "%s%s", s->path, tails[i]);
		int m = snprintf(to, sizeof to, "%s.corrupt-%s%s", s->path, stamp, tails[i]);

		if (n >= (int)sizeof from || m >= (int)sizeof to)
			return -ENAMETOOLONG;
		if (rename(from, to) && i == 0)
			return -errno;
		if (i == 0)
			snprintf(s->moved, sizeof s->moved, "%s", to);
	}
	return 0;
}

static int ensure_open(struct c4_store *s)
{
	int rc;

	if (s->db)
		return 0;
	rc = open_once(s);
	if (rc != -EBADMSG)
		return rc;
	rc = move_aside(s);
	if (rc) {
		snprintf(s->error, sizeof s->error, "%s: is corrupt and cannot be moved aside: %s",
			 s->path, strerror(-rc));
		return rc;
	}
	return open_once(s);
}

/* ---- writing --------------------------------------------------------------------------------- */

static int put_row(struct c4_store *s, const struct c4_store_row *r)
{
	const char *const texts[] = {r->id, r->job, NULL, NULL, r->kind, r->state};
	const uint64_t numbers[] = {r->open, r->first_ns, r->confirmed_ns, r->resolved_ns,
				    r->changed_ns};
	int rc;

	for (int i = 0; i < 6; i++)
		if (texts[i])
			sqlite3_bind_text(s->upsert, i + 1, texts[i], -1, SQLITE_STATIC);
	sqlite3_bind_int64(s->upsert, 3, (sqlite3_int64)r->launch);
	sqlite3_bind_int64(s->upsert, 4, (sqlite3_int64)r->key);
	for (int i = 0; i < 5; i++)
		sqlite3_bind_int64(s->upsert, i + 7, (sqlite3_int64)numbers[i]);
	sqlite3_bind_text(s->upsert, 12, r->body, -1, SQLITE_STATIC);
	rc = sqlite3_step(s->upsert);
	sqlite3_reset(s->upsert);
	sqlite3_clear_bindings(s->upsert);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int expire(struct c4_store *s, uint64_t wall_ns)
{
	uint64_t before = wall_ns > s->retain_ns ? wall_ns - s->retain_ns : 0;
	int rc;

	sqlite3_bind_int64(s->expire, 1, (sqlite3_int64)before);
	rc = sqlite3_step(s->expire);
	sqlite3_reset(s->expire);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int write_rows(struct c4_store *s, const struct c4_store_row *rows, size_t n,
		      uint64_t wall_ns)
{
	int rc = exec(s, "BEGIN IMMEDIATE");

	for (size_t i = 0; !rc && i < n; i++)
		rc = put_row(s, &rows[i]);
	if (!rc)
		rc = expire(s, wall_ns);
	if (!rc)
		rc = exec(s, "COMMIT");
	if (!rc)
		return 0;
	rc = fail(s, rc);
	if (!sqlite3_get_autocommit(s->db))
		exec(s, "ROLLBACK");
	return rc;
}

int c4_store_sync(struct c4_store *s, const struct c4_store_row *rows, size_t n, uint64_t wall_ns)
{
	int rc;

	s->moved[0] = '\0';
	rc = ensure_open(s);
	if (!rc)
		rc = write_rows(s, rows, n, wall_ns);
	if (rc == -EBADMSG && s->db) { /* broke under us: begin a new file with the next sync */
		store_close(s);
		(void)move_aside(s);
	} else if (rc && rc != -ENOSPC && rc != -EBUSY) {
		store_close(s);
	}
	return rc;
}

/* ---- reading --------------------------------------------------------------------------------- */

static char *column(sqlite3_stmt *st, int i)
{
	const unsigned char *text = sqlite3_column_text(st, i);

	return strdup(text ? (const char *)text : "");
}

static bool read_row(sqlite3_stmt *st, struct c4_store_row *r)
{
	*r = (struct c4_store_row){
		.id = column(st, 0),
		.job = column(st, 1),
		.launch = (uint64_t)sqlite3_column_int64(st, 2),
		.key = (uint64_t)sqlite3_column_int64(st, 3),
		.kind = column(st, 4),
		.state = column(st, 5),
		.open = sqlite3_column_int(st, 6) != 0,
		.first_ns = (uint64_t)sqlite3_column_int64(st, 7),
		.confirmed_ns = (uint64_t)sqlite3_column_int64(st, 8),
		.resolved_ns = (uint64_t)sqlite3_column_int64(st, 9),
		.changed_ns = (uint64_t)sqlite3_column_int64(st, 10),
		.body = column(st, 11),
	};
	return r->id && r->job && r->kind && r->state && r->body;
}

void c4_store_rows_free(struct c4_store_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(rows[i].id);
		free(rows[i].job);
		free(rows[i].kind);
		free(rows[i].state);
		free(rows[i].body);
	}
	free(rows);
}

static int read_rows(sqlite3_stmt *st, struct c4_store_row **rows, size_t *n)
{
	uint32_t cap = 0, used = 0;
	int rc;

	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct c4_store_row *grown =
			c4_vec_reserve(*rows, &cap, used + 1, LOAD_MAX, sizeof *grown);

		if (!grown)
			return SQLITE_NOMEM;
		*rows = grown;
		*n = ++used;
		if (!read_row(st, &grown[used - 1]))
			return SQLITE_NOMEM;
	}
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int c4_store_load(struct c4_store *s, struct c4_store_row **ret, size_t *ret_n)
{
	/* the newest ones and whatever is open, oldest first */
	static const char sql[] = "SELECT * FROM (SELECT * FROM incidents ORDER BY open DESC,"
				  " changed_ns DESC LIMIT 4096) ORDER BY id";
	struct c4_store_row *rows = NULL;
	sqlite3_stmt *st = NULL;
	size_t n = 0;
	int rc;

	if (!s->db)
		return -EBADF;
	rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);
	if (!rc)
		rc = read_rows(st, &rows, &n);
	sqlite3_finalize(st);
	if (rc) {
		c4_store_rows_free(rows, n);
		return fail(s, rc);
	}
	*ret = rows;
	*ret_n = n;
	return 0;
}
