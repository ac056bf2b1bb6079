/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_archive.c - the tar that `docker save` and OCI tools write, read once, from a stream
 *
 * DOC: Theory of operation
 *
 * The order of members is free: the manifest may come last. So every regular file becomes a blob of
 * an ingest (which converts what looks like a layer meanwhile), and a table remembers which name
 * is which blob. Names are only ever keys of that table, never paths on our disk; symbolic and hard
 * links (old `docker save` has them) are resolved inside it, at most LINKS_MAX deep.
 *
 * tar.c reads the tar, not libarchive, which keeps as many pieces of a sparse file as an archive
 * cares to list: gigabytes. gzip and zstd around it are undone by inflate.c, bzip2 and xz by
 * unpack.c. It runs on the caller's thread. All bytes are hostile. Limits: those of tar.h,
 * IMAGE_ARCHIVE_MEMBERS_MAX, MEMBER_NAME_MAX.
 */
#include "image/image_archive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/cleanup.h"
#include "base/sha256.h"
#include "base/str.h"
#include "image/inflate.h"
#include "image/tar.h"
#include "image/unpack.h"

#define LINKS_MAX 8
#define MEMBER_NAME_MAX 4096
#define BUFFER_BYTES (512 * 1024)

struct member {
	char *path;		  /* owned; normalised; the key */
	char *link;		  /* owned; normalised target, or NULL */
	struct ingest_blob *blob; /* borrowed: from the ingest; NULL for a link */
	UT_hash_handle hh;
};

struct image_archive {
	struct member *members;
};

struct reader {
	struct ingest *in;	  /* borrowed */
	struct unpack *unpack;	  /* owned */
	struct inflate *inflate;  /* owned */
	struct tar *tar;	  /* owned */
	char *buffer;		  /* owned */
	struct image_archive *to; /* borrowed */
	int files;		  /* also those that a later one of the same name replaced */
	int source_errno;	  /* of the stream itself */
};

static void reader_done(struct reader *rd)
{
	tar_free(rd->tar);
	inflate_free(rd->inflate);
	unpack_free(rd->unpack);
	free(rd->buffer);
}

static void member_free(struct member *m)
{
	free(m->path);
	free(m->link);
	free(m);
}

static ssize_t reader_fill(void *user, const void **ret_data)
{
	struct reader *rd = user;
	ssize_t n = inflate_read(rd->inflate, rd->buffer, BUFFER_BYTES);

	if (n < 0) {
		rd->source_errno = (int)n;
		return n;
	}
	*ret_data = rd->buffer;
	return n;
}

/* "./a//b/../c" -> "a/c", relative to `base`'s folder unless base is NULL; NULL if it escapes. */
static char *member_normalise(const char *base, const char *path)
{
	_cleanup_free_ char *out = NULL;
	const char *slash = base && *path != '/' ? strrchr(base, '/') : NULL;
	size_t len = slash ? (size_t)(slash - base) : 0, n;

	out = malloc(len + strlen(path) + 2);
	if (!out)
		return NULL;
	if (len)
		memcpy(out, base, len);
	for (; *path; path += n) {
		path += strspn(path, "/");
		n = strcspn(path, "/");
		if (n == 0 || (n == 1 && path[0] == '.'))
			continue;
		if (n == 2 && path[0] == '.' && path[1] == '.') {
			if (len == 0)
				return NULL;
			while (len && out[--len] != '/')
				;
			continue;
		}
		if (len)
			out[len++] = '/';
		memcpy(out + len, path, n);
		len += n;
	}
	out[len] = '\0';
	return len ? TAKE_PTR(out) : NULL;
}

/* Add a member; a later one of the same name replaces an earlier one, as on disk. */
static int reader_remember(struct reader *rd, const char *path, const char *link,
			   struct ingest_blob *blob, struct err *err)
{
	struct member *m, *old;

	HASH_FIND_STR(rd->to->members, path, old);
	if (old) {
		HASH_DEL(rd->to->members, old);
		member_free(old);
	}
	if (HASH_COUNT(rd->to->members) >= IMAGE_ARCHIVE_MEMBERS_MAX)
		return err_user(err, ERR_INVALID, "invalid archive: more than %d members",
				IMAGE_ARCHIVE_MEMBERS_MAX);
	m = calloc(1, sizeof(*m));
	if (!m)
		return err_oom(err);
	m->path = strdup(path);
	m->link = link ? strdup(link) : NULL;
	m->blob = blob;
	if (!m->path || (link && !m->link)) {
		member_free(m);
		return err_oom(err);
	}
	HASH_ADD_KEYPTR(hh, rd->to->members, m->path, strlen(m->path), m);
	return 0;
}

static int reader_failed(struct reader *rd, int r, struct err *err)
{
	if (unpack_error(rd->unpack))
		return err_user(err, ERR_INVALID, "invalid archive: %s", unpack_error(rd->unpack));
	if (inflate_error(rd->inflate))
		return err_user(err, ERR_INVALID, "invalid archive: %s",
				inflate_error(rd->inflate));
	if (rd->source_errno)
		return err_sys(err, rd->source_errno, "the archive stopped halfway");
	if (tar_error(rd->tar))
		return err_user(err, ERR_INVALID, "invalid archive: %s", tar_error(rd->tar));
	return err_sys(err, r, "cannot read the archive");
}

static int reader_data(struct reader *rd, struct ingest_blob *blob, const struct tar_entry *entry,
		       const char *path, struct err *err)
{
	uint64_t at = 0, offset;
	const void *data;
	ssize_t n;
	int r;

	while ((n = tar_data(rd->tar, &data, &offset)) > 0) {
		if (offset != at)
			return err_user(err, ERR_INVALID, "invalid archive: %.200s has holes",
					path);
		r = ingest_blob_add(rd->in, blob, data, (size_t)n, err);
		if (r < 0)
			return r;
		at += (uint64_t)n;
	}
	if (n < 0)
		return reader_failed(rd, (int)n, err);
	if (at != entry->size)
		return err_user(err, ERR_INVALID, "invalid archive: %.200s has holes", path);
	return 0;
}

static int reader_file(struct reader *rd, const struct tar_entry *entry, const char *path,
		       struct err *err)
{
	struct ingest_blob *blob;
	int r;

	if (++rd->files > IMAGE_ARCHIVE_MEMBERS_MAX)
		return err_user(err, ERR_INVALID, "invalid archive: more than %d files",
				IMAGE_ARCHIVE_MEMBERS_MAX);
	r = ingest_blob_begin(rd->in, &blob, err);
	if (r < 0)
		return r;
	r = reader_data(rd, blob, entry, path, err);
	if (r < 0)
		return r;
	r = ingest_blob_end(rd->in, blob, err);
	if (r < 0)
		return r;
	return reader_remember(rd, path, NULL, blob, err);
}

static int reader_member(struct reader *rd, const struct tar_entry *entry, struct err *err)
{
	_cleanup_free_ char *path = NULL, *link = NULL;

	if (strlen(entry->path) > MEMBER_NAME_MAX)
		return 0; /* no name we would ever ask for */
	path = member_normalise(NULL, entry->path);
	if (!path)
		return 0; /* the root, or outside of it: nobody can ask for that either */
	if (entry->type == TAR_LINK || entry->type == TAR_SYMLINK) {
		if (strlen(entry->link) > MEMBER_NAME_MAX)
			return 0;
		link = member_normalise(entry->type == TAR_LINK ? NULL : path, entry->link);
		if (!link || strlen(link) > MEMBER_NAME_MAX)
			return 0;
		return reader_remember(rd, path, link, NULL, err);
	}
	return entry->type == TAR_FILE ? reader_file(rd, entry, path, err) : 0;
}

static int reader_open(struct reader *rd, const struct byte_source *source, struct err *err)
{
	struct byte_source unpacked = {.read = unpack_read};
	int r;

	r = unpack_new(source, &rd->unpack, err);
	if (r < 0)
		return r;
	unpacked.user = rd->unpack;
	r = inflate_new(&unpacked, &rd->inflate);
	if (r < 0)
		return err_sys(err, r, "cannot read the archive");
	rd->buffer = malloc(BUFFER_BYTES);
	if (!rd->buffer || tar_new(reader_fill, rd, &rd->tar) < 0)
		return err_oom(err);
	return 0;
}

/* Whatever follows the tar's end belongs to the request: read it, or the client sees a reset. */
static int reader_drain(struct reader *rd, struct err *err)
{
	ssize_t n;

	while ((n = inflate_read(rd->inflate, rd->buffer, BUFFER_BYTES)) > 0)
		;
	if (n < 0) {
		rd->source_errno = (int)n;
		return reader_failed(rd, (int)n, err);
	}
	return 0;
}

DEFINE_CLEANUP(struct image_archive *, image_archive_free)

/**
 * image_archive_read() - Take in a whole archive
 * @in:	      Receives every file as a blob
 * @source:   The bytes
 * @ret:      Names of the blobs; set on success only
 * @err:      ERR_INVALID if it is no tar or ends early
 *
 * Return: 0 or negative errno
 */
int image_archive_read(struct ingest *in, const struct byte_source *source,
		       struct image_archive **ret, struct err *err)
{
	_cleanup_(image_archive_freep) struct image_archive *archive = calloc(1, sizeof(*archive));
	_cleanup_(reader_done) struct reader rd = {.in = in, .to = archive};
	struct tar_entry entry;
	int r;

	if (!archive)
		return err_oom(err);
	r = reader_open(&rd, source, err);
	if (r < 0)
		return r;
	while ((r = tar_next(rd.tar, &entry)) > 0) {
		r = reader_member(&rd, &entry, err);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return reader_failed(&rd, r, err);
	r = reader_drain(&rd, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(archive);
	return 0;
}

/**
 * image_archive_free() - Forget the names; the blobs are the ingest's
 * @archive: Archive; may be NULL
 */
void image_archive_free(struct image_archive *archive)
{
	struct member *m, *next;

	if (!archive)
		return;
	HASH_ITER (hh, archive->members, m, next) {
		HASH_DEL(archive->members, m);
		member_free(m);
	}
	free(archive);
}

/**
 * image_archive_find() - A file by its name
 * @archive: Archive
 * @path:    As a manifest writes it; hostile
 *
 * Return: the blob, or NULL
 */
struct ingest_blob *image_archive_find(struct image_archive *archive, const char *path)
{
	_cleanup_free_ char *key = NULL;
	const char *at;
	struct member *m;

	if (strlen(path) > MEMBER_NAME_MAX)
		return NULL;
	key = member_normalise(NULL, path);
	at = key;
	for (int i = 0; at && i <= LINKS_MAX; i++) {
		HASH_FIND_STR(archive->members, at, m);
		if (!m)
			return NULL;
		if (m->blob)
			return m->blob;
		at = m->link;
	}
	return NULL;
}

/**
 * image_archive_blob() - A file of an OCI layout by its digest
 * @archive: Archive
 * @digest:  Well-formed digest
 * @ret:     The blob, or NULL if the archive does not have it
 * @err:     ERR_INVALID if its bytes hash to something else
 *
 * Return: 0 or negative errno
 */
int image_archive_blob(struct image_archive *archive, const char *digest, struct ingest_blob **ret,
		       struct err *err)
{
	_cleanup_free_ char *path = str_format("blobs/sha256/%s", digest_hex(digest));
	struct ingest_blob *blob;

	if (!path)
		return err_oom(err);
	blob = image_archive_find(archive, path);
	if (blob && !str_eq(ingest_blob_digest(blob), digest))
		return err_user(err, ERR_INVALID, "invalid archive: %s has the digest %s", path,
				ingest_blob_digest(blob));
	*ret = blob;
	return 0;
}
