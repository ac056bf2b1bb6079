/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.c - one SQLite database behind one lock
 *
 * DOC: Theory of operation
 *
 * One connection, opened without SQLite's own mutexes; our lock is recursive, so the thread that
 * began a transaction (or sits in a row callback) goes on using the store while all others wait.
 * Row callbacks run with the lock held: they copy and return, and never take a manager's lock.
 *
 * Durability: WAL with synchronous=NORMAL. A commit is in the kernel when store_commit() returns,
 * so a killed daemon loses nothing (DESIGN section 6). A power cut may take back the last commits,
 * in order and as whole transactions; store_sync() is for those who unlink files after a commit and
 * must not see the rows come back.
 *
 * Statements are cached by text, the least recently used one leaves. A statement that is already
 * stepping further up the stack is prepared a second time. Limits: STORE_STATEMENTS_MAX,
 * STORE_BUSY_MS (another process, e.g. the sqlite3 shell, holding the file).
 */
#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "store/migrations.h"

#define STORE_STATEMENTS_MAX 192
#define STORE_BUSY_MS 10000

struct store_statement {
	char *sql; /* owned; the key */
	sqlite3_stmt *stmt;
	bool busy; /* stepping further up this thread's stack */
	bool cached;
	UT_hash_handle hh; /* in order of last use */
};

struct store_row {
	sqlite3_stmt *stmt;
};

struct store {
	sqlite3 *db;
	pthread_mutex_t lock; /* recursive */
	struct store_statement *statements;
	int64_t changes; /* by the last statement that writes */
	bool in_transaction;
};

static int store_errno(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_CONSTRAINT:
		return rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY
			       ? -EEXIST
			       : -EINVAL;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	case SQLITE_CANTOPEN:
		return -ENOENT;
	default:
		return -EIO;
	}
}

/* A broken rule of the schema is an outcome the manager asked for; all else is worth a line. */
static int store_failed(struct store *store, int rc, const char *sql)
{
	if ((rc & 0xff) != SQLITE_CONSTRAINT)
		log_error("database: %s in \"%.80s\"", sqlite3_errmsg(store->db), sql);
	return store_errno(rc);
}

static void store_statement_free(struct store_statement *s)
{
	(void)sqlite3_finalize(s->stmt); /* repeats the error of the last step */
	free(s->sql);
	free(s);
}

static void store_lock(struct store *store)
{
	int r = pthread_mutex_lock(&store->lock);

	assert(r == 0);
	(void)r; /* for builds without asserts */
}

static void store_unlock(struct store *store)
{
	(void)pthread_mutex_unlock(&store->lock); /* we hold it */
}

static void store_cache_trim(struct store *store)
{
	struct store_statement *s, *next;

	if (HASH_COUNT(store->statements) < STORE_STATEMENTS_MAX)
		return;
	HASH_ITER (hh, store->statements, s, next) {
		if (s->busy)
			continue;
		HASH_DEL(store->statements, s);
		store_statement_free(s);
		return;
	}
}

static int store_prepare(struct store *store, const char *sql, struct store_statement **ret)
{
	struct store_statement *s, *cached;
	int rc;

	HASH_FIND_STR(store->statements, sql, cached);
	if (cached && !cached->busy) {
		/* move to the end: the head is the least recently used */
		HASH_DEL(store->statements, cached);
		HASH_ADD_KEYPTR(hh, store->statements, cached->sql, strlen(cached->sql), cached);
		*ret = cached;
		return 0;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->sql = strdup(sql);
	if (!s->sql) {
		free(s);
		return -ENOMEM;
	}
	rc = sqlite3_prepare_v3(store->db, sql, -1, cached ? 0 : SQLITE_PREPARE_PERSISTENT,
				&s->stmt, NULL);
	if (rc != SQLITE_OK) {
		store_statement_free(s);
		return store_failed(store, rc, sql);
	}
	if (!cached) {
		store_cache_trim(store);
		s->cached = true;
		HASH_ADD_KEYPTR(hh, store->statements, s->sql, strlen(s->sql), s);
	}
	*ret = s;
	return 0;
}

static int store_bind(sqlite3_stmt *stmt, const char *fmt, va_list ap)
{
	int at = 1, rc = SQLITE_OK;

	for (const char *f = fmt; f && *f && rc == SQLITE_OK; f++, at++) {
		switch (*f) {
		case 's': {
			const char *text = va_arg(ap, const char *);

			rc = text ? sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC)
				  : sqlite3_bind_null(stmt, at);
			break;
		}
		case 'i':
			rc = sqlite3_bind_int64(stmt, at, va_arg(ap, int64_t));
			break;
		case 'b': {
			const void *data = va_arg(ap, const void *);
			size_t len = va_arg(ap, size_t);

			rc = sqlite3_bind_blob64(stmt, at, len ? data : "", len, SQLITE_STATIC);
			break;
		}
		case 'n':
			rc = sqlite3_bind_null(stmt, at);
			break;
		default:
			assert(!"unknown letter in a statement's format");
		}
	}
	/* a statement with more or fewer '?' than letters is a bug, not an input */
	assert(rc != SQLITE_OK || at - 1 == sqlite3_bind_parameter_count(stmt));
	return rc;
}

static int store_step(struct store *store, struct store_statement *s, store_row_fn row, void *user)
{
	struct store_row r = {.stmt = s->stmt};
	int rc, stop;

	while ((rc = sqlite3_step(s->stmt)) == SQLITE_ROW) {
		stop = row ? row(user, &r) : 0;
		if (stop < 0)
			return stop;
	}
	return rc == SQLITE_DONE ? 0 : store_failed(store, rc, s->sql);
}

/**
 * store_exec() - Run one statement
 * @store: Store; callable from any thread, and from a row callback
 * @sql:   One statement; its text is the key of the cache, so values belong into @fmt
 * @row:   Called for each result row with the lock held; may be NULL
 * @user:  For @row
 * @fmt:   One letter per '?': s text (NULL is NULL), i int64_t, b pointer and size_t, n NULL
 *
 * Return: 0, what @row returned if negative, -EEXIST for a unique key that is taken, or another
 * negative errno (logged)
 */
int store_exec(struct store *store, const char *sql, store_row_fn row, void *user, const char *fmt,
	       ...)
{
	struct store_statement *s = NULL;
	va_list ap;
	int r, rc;

	store_lock(store);
	r = store_prepare(store, sql, &s);
	if (r < 0) {
		store_unlock(store);
		return r;
	}
	s->busy = true;
	va_start(ap, fmt);
	rc = store_bind(s->stmt, fmt, ap);
	va_end(ap);
	r = rc == SQLITE_OK ? store_step(store, s, row, user) : store_failed(store, rc, sql);
	if (r == 0 && !sqlite3_stmt_readonly(s->stmt))
		store->changes = sqlite3_changes64(store->db);
	(void)sqlite3_reset(s->stmt);	       /* repeats the error of the last step */
	(void)sqlite3_clear_bindings(s->stmt); /* cannot fail */
	s->busy = false;
	if (!s->cached)
		store_statement_free(s);
	store_unlock(store);
	return r;
}

/**
 * store_row_text() - A column as text
 * @row:    Row
 * @column: From 0
 *
 * Return: the text, valid inside the callback; NULL for NULL
 */
const char *store_row_text(struct store_row *row, int column)
{
	return (const char *)sqlite3_column_text(row->stmt, column);
}

/**
 * store_row_int() - A column as a number
 * @row:    Row
 * @column: From 0
 *
 * Return: the number; 0 for NULL
 */
int64_t store_row_int(struct store_row *row, int column)
{
	return sqlite3_column_int64(row->stmt, column);
}

/**
 * store_row_blob() - A column as bytes
 * @row:     Row
 * @column:  From 0
 * @ret_len: Their number
 *
 * Return: the bytes, valid inside the callback; NULL for NULL and for none
 */
const void *store_row_blob(struct store_row *row, int column, size_t *ret_len)
{
	const void *data = sqlite3_column_blob(row->stmt, column);

	*ret_len = (size_t)sqlite3_column_bytes(row->stmt, column);
	return data;
}

/**
 * store_changes() - Rows changed by the last INSERT, UPDATE or DELETE
 * @store: Store; call between store_begin() and store_commit(), or another thread may have come
 *	   between
 *
 * Return: their number
 */
int64_t store_changes(struct store *store)
{
	int64_t n;

	store_lock(store);
	n = store->changes;
	store_unlock(store);
	return n;
}

/**
 * store_begin() - Start a transaction and keep the store for this thread
 * @store: Store, not in a transaction of this thread
 *
 * End it with store_commit() or store_rollback(), on every path.
 *
 * Return: 0, or negative errno (then no transaction was begun)
 */
int store_begin(struct store *store)
{
	int r;

	store_lock(store);
	assert(!store->in_transaction);
	r = store_exec(store, "BEGIN IMMEDIATE", NULL, NULL, "");
	if (r < 0) {
		store_unlock(store);
		return r;
	}
	store->in_transaction = true;
	return 0;
}

/**
 * store_commit() - Make a transaction's changes visible and survive this process
 * @store: Store in a transaction of this thread
 *
 * Return: 0, or negative errno: everything was rolled back. The transaction is over either way.
 */
int store_commit(struct store *store)
{
	int r;

	assert(store->in_transaction);
	r = store_exec(store, "COMMIT", NULL, NULL, "");
	if (r < 0) {
		store_rollback(store);
		return r;
	}
	store->in_transaction = false;
	store_unlock(store);
	return 0;
}

/**
 * store_rollback() - Give up a transaction
 * @store: Store in a transaction of this thread
 */
void store_rollback(struct store *store)
{
	assert(store->in_transaction);
	/* a full disk or an I/O error made SQLite roll back by itself */
	if (!sqlite3_get_autocommit(store->db))
		(void)store_exec(store, "ROLLBACK", NULL, NULL, ""); /* logged there */
	store->in_transaction = false;
	store_unlock(store);
}

/**
 * store_sync() - Make all commits so far survive a power cut
 * @store: Store, not in a transaction
 *
 * Return: 0, or negative errno
 */
int store_sync(struct store *store)
{
	int rc;

	store_lock(store);
	assert(!store->in_transaction);
	rc = sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	store_unlock(store);
	return store_errno(rc);
}

static int store_pragmas(struct store *store)
{
	static const char *const pragmas[] = {
		"PRAGMA journal_mode = WAL",  "PRAGMA synchronous = NORMAL",
		"PRAGMA foreign_keys = ON",   "PRAGMA trusted_schema = OFF",
		"PRAGMA cache_size = -1024", /* KiB: arcad is small */
		"PRAGMA temp_store = MEMORY", "PRAGMA journal_size_limit = 4194304",
	};

	for (size_t i = 0; i < ARRAY_SIZE(pragmas); i++) {
		int rc = sqlite3_exec(store->db, pragmas[i], NULL, NULL, NULL);

		if (rc != SQLITE_OK)
			return store_failed(store, rc, pragmas[i]);
	}
	return 0;
}

static int store_version_row(void *user, struct store_row *row)
{
	*(int64_t *)user = store_row_int(row, 0);
	return 0;
}

static int store_migrate_step(struct store *store, size_t step)
{
	char version[48];
	int rc, r;

	r = store_begin(store);
	if (r < 0)
		return r;
	rc = sqlite3_exec(store->db, store_migrations[step], NULL, NULL, NULL);
	if (rc == SQLITE_OK) {
		(void)snprintf(version, sizeof(version), "PRAGMA user_version = %zu", step + 1);
		rc = sqlite3_exec(store->db, version, NULL, NULL, NULL);
	}
	if (rc != SQLITE_OK) {
		r = store_failed(store, rc, "migration");
		store_rollback(store);
		return r;
	}
	return store_commit(store);
}

static int store_migrate(struct store *store, const char *path, struct err *err)
{
	int64_t version = 0;
	int r;

	r = store_exec(store, "PRAGMA user_version", store_version_row, &version, "");
	if (r < 0)
		return err_sys(err, r, "cannot read the database %s", path);
	if (version < 0 || (uint64_t)version > store_migrations_n)
		return err_sys(
			err, -EPROTONOSUPPORT,
			"the database %s was made by a newer arcad (version %lld, known: %zu)",
			path, (long long)version, store_migrations_n);
	for (size_t step = (size_t)version; step < store_migrations_n; step++) {
		r = store_migrate_step(store, step);
		if (r < 0)
			return err_sys(err, r, "cannot bring the database %s to version %zu", path,
				       step + 1);
	}
	return 0;
}

DEFINE_CLEANUP(struct store *, store_close)

/* The rows hold the containers' environments, secrets and all; SQLite alone makes 0644 of it. Its
 * log and index beside it get the modes of the database. */
static int store_make_file(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	return fd < 0 || fchmod(fd, 0600) < 0 ? -errno : 0;
}

static int store_new(struct store **ret_store, struct err *err)
{
	struct store *store = calloc(1, sizeof(*store));
	pthread_mutexattr_t attr;

	if (!store)
		return err_oom(err);
	(void)pthread_mutexattr_init(&attr); /* none of the three can fail on Linux */
	(void)pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	(void)pthread_mutex_init(&store->lock, &attr);
	(void)pthread_mutexattr_destroy(&attr);
	*ret_store = store;
	return 0;
}

static int store_open_file(struct store *store, const char *path, int flags, struct err *err)
{
	int rc = sqlite3_open_v2(path, &store->db,
				 flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);

	if (rc != SQLITE_OK)
		return err_sys(err, store_errno(rc), "cannot open the database %s", path);
	(void)sqlite3_busy_timeout(store->db, STORE_BUSY_MS); /* cannot fail */
	return 0;
}

/**
 * store_open() - Open or make the database and bring it to today's schema
 * @path:	File; its folder exists
 * @ret_store:	The store, closed with store_close()
 * @err:	Filled on failure
 *
 * Return: 0, or negative errno: unreadable, not a database, or of a newer version
 */
int store_open(const char *path, struct store **ret_store, struct err *err)
{
	_cleanup_(store_closep) struct store *store = NULL;
	int r = store_new(&store, err);

	if (r < 0)
		return r;
	r = store_make_file(path);
	if (r < 0)
		return err_sys(err, r, "cannot open the database %s", path);
	r = store_open_file(store, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, err);
	if (r < 0)
		return r;
	r = store_pragmas(store);
	if (r < 0)
		return err_sys(err, r, "cannot open the database %s", path);
	r = store_migrate(store, path, err);
	if (r < 0)
		return r;
	*ret_store = TAKE_PTR(store);
	return 0;
}

/**
 * store_open_read() - Open a database to look at it, beside a daemon that may be using it
 * @path:	File
 * @ret_store:	The store, for statements that change nothing; closed with store_close()
 * @err:	Filled on failure
 *
 * Readers of a WAL hold up no writer. The schema is taken as it is, so it must be today's.
 *
 * Return: 0, or negative errno: unreadable, not a database, or of another version
 */
int store_open_read(const char *path, struct store **ret_store, struct err *err)
{
	_cleanup_(store_closep) struct store *store = NULL;
	int64_t version = 0;
	int r = store_new(&store, err);

	if (r == 0)
		r = store_open_file(store, path, SQLITE_OPEN_READONLY, err);
	if (r < 0)
		return r;
	r = store_exec(store, "PRAGMA user_version", store_version_row, &version, "");
	if (r < 0)
		return err_sys(err, r, "cannot read the database %s", path);
	if ((uint64_t)version != store_migrations_n)
		return err_sys(err, -EPROTONOSUPPORT,
			       "the database %s is of another arcad (version %lld, known: %zu)",
			       path, (long long)version, store_migrations_n);
	*ret_store = TAKE_PTR(store);
	return 0;
}

/**
 * store_close() - Close the database
 * @store: Store that no thread uses any more; may be NULL
 */
void store_close(struct store *store)
{
	struct store_statement *s, *next;

	if (!store)
		return;
	HASH_ITER (hh, store->statements, s, next) {
		HASH_DEL(store->statements, s);
		store_statement_free(s);
	}
	(void)sqlite3_close(store->db); /* all statements are gone: cannot be busy */
	(void)pthread_mutex_destroy(&store->lock);
	free(store);
}
