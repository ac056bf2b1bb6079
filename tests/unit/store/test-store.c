/* SPDX-License-Identifier: Apache-2.0 */
/* test-store.c - what managers may rely on: migrations, values, transactions, the lock */
#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"
#include "store/migrations.h"
#include "test.h"

struct fixture {
	char dir[64];
	char path[96];
	struct store *store;
};

static void fixture_done(struct fixture *f)
{
	store_close(f->store);
	(void)fs_remove_tree(f->dir);
}

static int fixture_open(struct fixture *f)
{
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/test-store-XXXXXX");
	if (!mkdtemp(f->dir))
		return -errno;
	(void)snprintf(f->path, sizeof(f->path), "%s/arca.db", f->dir);
	return store_open(f->path, &f->store, NULL);
}

#define FIXTURE _cleanup_(fixture_done) struct fixture f = {}

static int count_row(void *user, struct store_row *row)
{
	*(int64_t *)user = store_row_int(row, 0);
	return 0;
}

static int64_t count(struct store *store, const char *sql)
{
	int64_t n = -1;

	return store_exec(store, sql, count_row, &n, "") < 0 ? -1 : n;
}

/* Goal: who only looks sees what was committed, changes nothing, and takes no other schema. */
TEST(reads_beside_a_writer)
{
	struct store *reader = NULL, *none = NULL;
	struct err err = {0};
	FIXTURE;

	ASSERT_OK(fixture_open(&f));
	ASSERT_OK(store_exec(f.store, "CREATE TABLE t (k)", NULL, NULL, ""));
	ASSERT_OK(store_open_read(f.path, &reader, &err));
	ASSERT_OK(store_begin(f.store));
	ASSERT_OK(store_exec(f.store, "INSERT INTO t VALUES (1)", NULL, NULL, ""));
	ASSERT_EQ(count(reader, "SELECT count(*) FROM t"), 0);
	ASSERT_OK(store_commit(f.store));
	ASSERT_EQ(count(reader, "SELECT count(*) FROM t"), 1);
	ASSERT_ERROR(store_exec(reader, "INSERT INTO t VALUES (2)", NULL, NULL, ""), EROFS);
	store_close(reader);
	ASSERT_OK(store_exec(f.store, "PRAGMA user_version = 1", NULL, NULL, ""));
	ASSERT_ERROR(store_open_read(f.path, &none, &err), EPROTONOSUPPORT);
	ASSERT_ERROR(store_open_read("/tmp/no-such.db", &none, &err), ENOENT);
	ASSERT(!none);
}

TEST(opens_twice_and_keeps_rows)
{
	FIXTURE;

	ASSERT_OK(fixture_open(&f));
	ASSERT_OK(store_exec(f.store, "CREATE TABLE t (k TEXT PRIMARY KEY, v)", NULL, NULL, ""));
	ASSERT_OK(store_exec(f.store, "INSERT INTO t VALUES (?, ?)", NULL, NULL, "si", "a",
			     (int64_t)INT64_MIN));
	store_close(f.store);
	f.store = NULL;
	ASSERT_OK(store_open(f.path, &f.store, NULL));
	ASSERT_EQ(count(f.store, "SELECT v FROM t"), INT64_MIN);
	ASSERT_EQ(count(f.store, "PRAGMA user_version"), store_migrations_n);
	ASSERT_EQ(count(f.store, "PRAGMA foreign_keys"), 1);
}

static unsigned int mode_of(const char *path, const char *suffix)
{
	_cleanup_free_ char *name = str_format("%s%s", path, suffix);
	struct stat st;

	return name && stat(name, &st) == 0 ? st.st_mode & 07777 : 0;
}

/* Goal: the folder can be entered by everybody, the rows are read by the daemon alone. */
TEST(nobody_else_reads_it)
{
	mode_t old = umask(022);
	FIXTURE;

	ASSERT_OK(fixture_open(&f));
	ASSERT_OK(store_exec(f.store, "CREATE TABLE t (k)", NULL, NULL, ""));
	ASSERT_EQ(mode_of(f.path, ""), 0600);
	ASSERT_EQ(mode_of(f.path, "-wal"), 0600);
	ASSERT_EQ(mode_of(f.path, "-shm"), 0600);
	store_close(f.store);
	f.store = NULL;
	ASSERT_OK(chmod(f.path, 0644)); /* an earlier version's */
	ASSERT_OK(store_open(f.path, &f.store, NULL));
	ASSERT_EQ(mode_of(f.path, ""), 0600);
	(void)umask(old);
}

TEST(refuses_a_newer_database_and_a_foreign_file)
{
	struct err err = {};
	struct store *store = NULL;
	FIXTURE;

	ASSERT_OK(fixture_open(&f));
	ASSERT_OK(store_exec(f.store, "PRAGMA user_version = 9999", NULL, NULL, ""));
	store_close(f.store);
	f.store = NULL;
	ASSERT_ERROR(store_open(f.path, &store, &err), EPROTONOSUPPORT);
	ASSERT(strstr(err.msg, "newer arcad"));
	ASSERT(!store);

	unlink(f.path);
	ASSERT_OK(
		fs_write_file(f.path, "this is no database, but long enough to look at", 47, 0600));
	ASSERT(store_open(f.path, &store, &err) < 0);
	ASSERT(!store);
	ASSERT(store_open("/nonexistent/x.db", &store, &err) < 0);
}

struct values {
	bool null_text;
	char blob[8];
	size_t blob_len, empty_len;
};

static int values_row(void *user, struct store_row *row)
{
	struct values *v = user;
	const void *blob = store_row_blob(row, 1, &v->blob_len);

	v->null_text = store_row_text(row, 0) == NULL;
	if (blob && v->blob_len <= sizeof(v->blob))
		memcpy(v->blob, blob, v->blob_len);
	(void)store_row_blob(row, 2, &v->empty_len);
	return 0;
}

static int run_step(sqlite3 *db, size_t step)
{
	return sqlite3_exec(db, store_migrations[step], NULL, NULL, NULL) == SQLITE_OK ? 0 : -EIO;
}

/* Steps before the one that makes networks. */
static size_t steps_before_networks(void)
{
	size_t n = 0;

	while (n < store_migrations_n && !strstr(store_migrations[n], "CREATE TABLE networks "))
		n++;
	return n;
}

/* Goal: containers of a daemon without networks get the endpoints they were created with. */
TEST(containers_get_their_endpoints)
{
	static const char rows[] =
		"INSERT INTO containers (id, name, created_ns, image_id, image_bytes, platform,"
		" rootfs, config, host_config, networking, state) VALUES"
		" ('a', 'a', 0, '', 0, '', '', '{}', '{\"NetworkMode\":\"none\"}', '{}', 'exited'),"
		" ('b', 'b', 0, '', 0, '', '', '{}', '{\"NetworkMode\":\"bridge\"}',"
		"  '{\"EndpointsConfig\":{\"n\":{\"Aliases\":[\"x\"]},\"m\":null}}', 'created');";
	FIXTURE;
	sqlite3 *db = NULL;
	char version[64];

	(void)snprintf(f.dir, sizeof(f.dir), "/tmp/test-store-XXXXXX");
	ASSERT(mkdtemp(f.dir) != NULL);
	(void)snprintf(f.path, sizeof(f.path), "%s/arca.db", f.dir);
	ASSERT_EQ(sqlite3_open(f.path, &db), SQLITE_OK);
	for (size_t i = 0; i < steps_before_networks(); i++)
		ASSERT_OK(run_step(db, i));
	(void)snprintf(version, sizeof(version), "PRAGMA user_version = %zu",
		       steps_before_networks());
	ASSERT_EQ(sqlite3_exec(db, rows, NULL, NULL, NULL), SQLITE_OK);
	ASSERT_EQ(sqlite3_exec(db, version, NULL, NULL, NULL), SQLITE_OK);
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
	ASSERT_OK(store_open(f.path, &f.store, NULL));
	ASSERT_EQ(count(f.store, "SELECT count(*) FROM endpoints"), 3);
	ASSERT_EQ(count(f.store, "SELECT count(*) FROM endpoints WHERE container_id = 'a'"
				 " AND network = 'none' AND settings = '{}'"),
		  1);
	ASSERT_EQ(count(f.store, "SELECT count(*) FROM endpoints WHERE container_id = 'b'"
				 " AND network = 'n' AND settings = '{\"Aliases\":[\"x\"]}'"),
		  1);
	ASSERT_EQ(count(f.store, "SELECT count(*) FROM endpoints WHERE container_id = 'b'"
				 " AND network = 'm' AND settings = '{}'"),
		  1);
}

TEST(values_come_back_as_they_went)
{
	struct values v = {.empty_len = 7};
	FIXTURE;

	ASSERT_OK(fixture_open(&f));
	ASSERT_OK(store_exec(f.store, "CREATE TABLE t (a TEXT, b BLOB, c BLOB NOT NULL, d)", NULL,
			     NULL, ""));
	ASSERT_OK(store_exec(f.store, "INSERT INTO t VALUES (?, ?, ?, ?)", NULL, NULL, "sbbn", NULL,
			     "a\0b", (size_t)3, NULL, (size_t)0));
	ASSERT_OK(store_exec(f.store, "SELECT a, b, c FROM t WHERE d IS NULL", values_row, &v, ""));
	ASSERT(v.null_text);
	ASSERT_EQ(v.blob_len, 3);
	ASSERT(memcmp(v.blob, "a\0b", 3) == 0);
	ASSERT_EQ(v.empty_len, 0);
}

TEST(rollback_takes_everything_back)
{
	FIXTURE;

	ASSERT_OK(fixture_open(&f));
	ASSERT_OK(store_exec(f.store, "CREATE TABLE t (k TEXT PRIMARY KEY)", NULL, NULL, ""));
	ASSERT_OK(store_begin(f.store));
	ASSERT_OK(store_exec(f.store, "INSERT INTO t VALUES (?)", NULL, NULL, "s", "x"));
	ASSERT_EQ(store_changes(f.store), 1);
	ASSERT_ERROR(store_exec(f.store, "INSERT INTO t VALUES (?)", NULL, NULL, "s", "x"), EEXIST);
	store_rollback(f.store);
	ASSERT_EQ(count(f.store, "SELECT count(*) FROM t"), 0);

	ASSERT_OK(store_begin(f.store));
	ASSERT_OK(store_exec(f.store, "INSERT INTO t VALUES (?), (?)", NULL, NULL, "ss", "x", "y"));
	ASSERT_OK(store_exec(f.store, "DELETE FROM t", NULL, NULL, ""));
	ASSERT_EQ(count(f.store, "SELECT count(*) FROM t"), 0);
	ASSERT_EQ(store_changes(f.store), 2);
	ASSERT_OK(store_commit(f.store));
	ASSERT_OK(store_sync(f.store));
}

TEST(broken_rules_are_told_apart)
{
	FIXTURE;

	ASSERT_OK(fixture_open(&f));
	ASSERT_ERROR(
		store_exec(f.store,
			   "INSERT INTO image_tags (ref, image_id, tagged_ns) VALUES ('a', 'b', 0)",
			   NULL, NULL, ""),
		EINVAL); /* no such image */
	ASSERT(store_exec(f.store, "SELECT nothing FROM nowhere", NULL, NULL, "") < 0);
}

static int stop_row(void *user, struct store_row *row UNUSED)
{
	++*(int *)user;
	return -ECANCELED;
}

/* the same text, inside its own callback */
static int nested_row(void *user, struct store_row *row UNUSED)
{
	struct store *store = user;
	int seen = 0;

	return store_exec(store, "SELECT k FROM t", stop_row, &seen, "") == -ECANCELED && seen == 1
		       ? 0
		       : -EIO;
}

TEST(callbacks_stop_and_nest)
{
	int seen = 0;
	FIXTURE;

	ASSERT_OK(fixture_open(&f));
	ASSERT_OK(store_exec(f.store, "CREATE TABLE t (k TEXT PRIMARY KEY)", NULL, NULL, ""));
	ASSERT_OK(store_exec(f.store, "INSERT INTO t VALUES ('a'), ('b')", NULL, NULL, ""));
	ASSERT_ERROR(store_exec(f.store, "SELECT k FROM t", stop_row, &seen, ""), ECANCELED);
	ASSERT_EQ(seen, 1);
	ASSERT_OK(store_exec(f.store, "SELECT k FROM t", nested_row, f.store, ""));
	/* more texts than the cache holds */
	for (int i = 0; i < 500; i++) {
		char sql[64];

		(void)snprintf(sql, sizeof(sql), "SELECT count(*) + %d FROM t", i);
		ASSERT_EQ(count(f.store, sql), 2 + i);
	}
}

static void *adder(void *user)
{
	struct store *store = user;

	for (int i = 0; i < 200; i++) {
		int64_t v = -1;

		if (store_begin(store) < 0)
			return "begin";
		if (store_exec(store, "SELECT v FROM t", count_row, &v, "") < 0 ||
		    store_exec(store, "UPDATE t SET v = ?", NULL, NULL, "i", v + 1) < 0) {
			store_rollback(store);
			return "update";
		}
		if (store_commit(store) < 0)
			return "commit";
	}
	return NULL;
}

TEST(transactions_exclude_other_threads)
{
	pthread_t threads[4];
	FIXTURE;

	ASSERT_OK(fixture_open(&f));
	ASSERT_OK(store_exec(f.store, "CREATE TABLE t (v INTEGER)", NULL, NULL, ""));
	ASSERT_OK(store_exec(f.store, "INSERT INTO t VALUES (0)", NULL, NULL, ""));
	for (size_t i = 0; i < 4; i++)
		ASSERT_OK(pthread_create(&threads[i], NULL, adder, f.store));
	for (size_t i = 0; i < 4; i++) {
		void *failed = NULL;

		ASSERT_OK(pthread_join(threads[i], &failed));
		ASSERT(!failed);
	}
	ASSERT_EQ(count(f.store, "SELECT v FROM t"), 800);
}

TEST_MAIN()
