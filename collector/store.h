/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * store.h - incidents on disk: SQLite in WAL mode, schema version in PRAGMA user_version.
 *
 * Opening is part of each sync, so that a store that could not be opened (no directory, full or
 * read-only disk) is tried again by whoever retries. A broken database is moved aside as
 * FILE.corrupt-TIME, never deleted, and a new one begun. A database of a newer
 * schema is left alone and is an error.
 *
 * Blocking: call it where waiting is allowed. One call at a time, from any thread. Silent: what
 * happened is in c4_store_error() and c4_store_moved().
 */
#ifndef C4_COLLECTOR_STORE_H
#define C4_COLLECTOR_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define C4_STORE_SCHEMA 1

struct c4_store;

/* One incident as a row. Strings are owned by the row. */
struct c4_store_row {
	char *id, *job, *kind, *state, *body;
	uint64_t launch, key;
	uint64_t first_ns, confirmed_ns, resolved_ns, changed_ns; /* wall clock */
	bool open;
};

/* 0 if there is no such file or it may be ours; -EBADMSG if it is something else than a database,
 * which nobody should begin to write to. */
int c4_store_check(const char *path);

/* Does not touch the file yet. NULL: out of memory. */
struct c4_store *c4_store_new(const char *path, uint64_t retain_ns);
void c4_store_free(struct c4_store *s);

/*
 * Opens the file if it is not open, writes the rows in one transaction and forgets closed ones
 * older than the retention. 0, or a negative errno with nothing written: the caller keeps the rows
 * and tries again later.
 */
int c4_store_sync(struct c4_store *s, const struct c4_store_row *rows, size_t n, uint64_t wall_ns);

/* After a successful sync: everything kept, oldest first. Rows are the caller's. 0 or errno. */
int c4_store_load(struct c4_store *s, struct c4_store_row **ret, size_t *ret_n);
void c4_store_rows_free(struct c4_store_row *rows, size_t n);

/* Why the last call failed, in words. */
const char *c4_store_error(const struct c4_store *s);

/* Where a corrupt file was moved by the last sync; "" if none was. The new file knows nothing:
 * write everything again. */
const char *c4_store_moved(const struct c4_store *s);

/* For tests: the database may not grow beyond so many pages. 0: no limit. */
void c4_store_limit_pages(struct c4_store *s, int pages);

#endif
