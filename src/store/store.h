/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - SQLite: one database, WAL, forward-only migrations
 *
 * A thin, domain-free layer: open with migrations (steps listed in store/migrations.c, which is
 * where every table of the project is written down), prepared statements by text, transactions. One
 * connection behind one mutex; statements are cached. Managers own their SQL
 * (core/container_rows.c, image/image_rows.c ...).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct store;
struct store_row;

int store_open(const char *path, struct store **ret_store, struct err *err);
int store_open_read(const char *path, struct store **ret_store, struct err *err);
void store_close(struct store *store);

/*
 * Run one statement. fmt: one letter per '?' : 's' const char * (NULL = NULL), 'i' int64_t, 'b'
 * (const void *, size_t), 'n' NULL. row: called per result row, may be NULL; <0 stops and is
 * returned.
 */
typedef int (*store_row_fn)(void *user, struct store_row *row);
int store_exec(struct store *store, const char *sql, store_row_fn row, void *user, const char *fmt,
	       ...);
const char *store_row_text(struct store_row *row,
			   int column); /* NULL for NULL; valid inside the callback */
int64_t store_row_int(struct store_row *row, int column);
const void *store_row_blob(struct store_row *row, int column, size_t *ret_len);
int64_t store_changes(struct store *store); /* rows changed by this thread's last store_exec within
					       its transaction */

/* BEGIN IMMEDIATE ... COMMIT; the mutex is held between, and store_exec() of the same thread may be
 * used inside. */
int store_begin(struct store *store);
int store_commit(struct store *store);
void store_rollback(struct store *store);
/* Commits so far survive a power cut as well (a killed daemon never loses one); not inside a
 * transaction. For those who unlink files after deleting rows. */
int store_sync(struct store *store);
