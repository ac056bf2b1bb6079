/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ingest.c - bytes on their way into the image store
 *
 * DOC: Theory of operation
 *
 * An ingest is one load, import or pull: a folder ingest/<n>/ for its blobs and a few workers. The
 * caller's thread appends to one blob at a time (hash, write). A blob whose first bytes look like a
 * layer is handed to a worker at once, which reads the growing file behind the writer and converts
 * it: no queue in memory, whatever the size. What does not look like a layer is converted only when
 * somebody asks for it as one.
 *
 * Nothing is trusted here: digests are computed, never taken from a name; whoever publishes has
 * compared them. What was not published is gone after ingest_free(); layers that were converted
 * and then not wanted are told by ingest_each_made().
 *
 * Locking: in->lock covers every field of a blob that a worker reads or writes.
 * Limits: INGEST_WORKERS threads, INGEST_DISK_RESERVE bytes left free on the disk.
 */
#include "image/ingest.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <utlist.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "base/util.h"

#define INGEST_WORKERS 2
#define INGEST_HEAD 512 /* enough to tell a tar */
#define INGEST_DISK_RESERVE MIB(128)
#define INGEST_CHECK_EVERY MIB(16)

enum ingest_job { JOB_NONE, JOB_QUEUED, JOB_RUNNING, JOB_DONE };

struct ingest_blob {
	struct ingest *in; /* borrowed: the owner */
	unsigned int number;
	int fd; /* while being written */
	struct sha256 sha;
	uint64_t size;
	char digest[DIGEST_BUF];
	unsigned char head[INGEST_HEAD];
	size_t head_len;
	enum ingest_kind kind;
	bool sniffed, published;
	/* under in->lock */
	uint64_t written;   /* readable by a worker */
	uint64_t converted; /* read by it */
	bool ended;
	enum ingest_job job;
	int job_result;
	struct err job_err;
	struct layer_info info;
	struct ingest_blob *next, *prev;	     /* all */
	struct ingest_blob *queue_next, *queue_prev; /* waiting for a worker */
};

struct ingest {
	char *root; /* owned */
	char *dir;  /* owned */
	pthread_mutex_t lock;
	pthread_cond_t changed; /* written, ended, job, stop, queue */
	bool stop;
	struct ingest_blob *blobs, *queue;
	unsigned int blobs_n, workers_n;
	uint64_t since_check;
	pthread_t workers[INGEST_WORKERS];
};

static char *ingest_blob_path(const struct ingest *in, const struct ingest_blob *blob)
{
	if (blob->published)
		return str_format("%s/blobs/sha256/%s", in->root, digest_hex(blob->digest));
	return str_format("%s/%u", in->dir, blob->number);
}

/* What a worker reads: the file behind its writer. */
struct ingest_tail {
	struct ingest_blob *blob;
	int fd;
	uint64_t at;
};

static ssize_t ingest_tail_read(void *user, void *data, size_t len)
{
	struct ingest_tail *tail = user;
	struct ingest_blob *blob = tail->blob;
	struct ingest *in = blob->in;
	uint64_t readable;
	bool stop;
	ssize_t n;

	(void)pthread_mutex_lock(&in->lock);
	while (!in->stop && !blob->ended && tail->at == blob->written)
		(void)pthread_cond_wait(&in->changed, &in->lock);
	stop = in->stop;
	readable = blob->written - tail->at;
	(void)pthread_mutex_unlock(&in->lock);
	if (stop)
		return -ECANCELED;
	if (readable == 0)
		return 0;
	n = pread(tail->fd, data, MIN(len, readable), (off_t)tail->at);
	if (n < 0)
		return -errno;
	if (n == 0)
		return -EIO; /* somebody cut our file */
	tail->at += (uint64_t)n;
	(void)pthread_mutex_lock(&in->lock);
	blob->converted = tail->at;
	(void)pthread_mutex_unlock(&in->lock);
	return n;
}

static int ingest_convert(struct ingest *in, struct ingest_blob *blob, struct layer_info *ret_info,
			  struct err *err)
{
	_cleanup_free_ char *path = ingest_blob_path(in, blob);
	_cleanup_close_ int fd = -EBADF;
	struct ingest_tail tail = {.blob = blob};
	struct byte_source source = {.read = ingest_tail_read, .user = &tail};

	if (!path)
		return err_oom(err);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, -errno, "cannot read %s", path);
	tail.fd = fd;
	return layer_import(in->root, &source, NULL, ret_info, err);
}

static void *ingest_worker(void *user)
{
	struct ingest *in = user;

	(void)pthread_mutex_lock(&in->lock);
	while (!in->stop) {
		struct ingest_blob *blob = in->queue;
		struct layer_info info = {};
		struct err err = {};
		int r;

		if (!blob) {
			(void)pthread_cond_wait(&in->changed, &in->lock);
			continue;
		}
		DL_DELETE2(in->queue, blob, queue_prev, queue_next);
		blob->job = JOB_RUNNING;
		(void)pthread_mutex_unlock(&in->lock);
		r = ingest_convert(in, blob, &info, &err);
		(void)pthread_mutex_lock(&in->lock);
		blob->job = JOB_DONE;
		blob->job_result = r;
		blob->job_err = err;
		blob->info = info;
		(void)pthread_cond_broadcast(&in->changed);
	}
	(void)pthread_mutex_unlock(&in->lock);
	return NULL;
}

/* Give a blob to the workers; in->lock is held. Workers are made as they are needed. */
static int ingest_enqueue(struct ingest *in, struct ingest_blob *blob)
{
	int r;

	if (in->workers_n < INGEST_WORKERS) {
		r = pthread_create(&in->workers[in->workers_n], NULL, ingest_worker, in);
		if (r != 0 && in->workers_n == 0)
			return -r;
		if (r == 0)
			in->workers_n++;
	}
	blob->job = JOB_QUEUED;
	DL_APPEND2(in->queue, blob, queue_prev, queue_next);
	(void)pthread_cond_broadcast(&in->changed);
	return 0;
}

static void ingest_blob_sniff(struct ingest_blob *blob)
{
	const unsigned char *h = blob->head;

	blob->sniffed = true;
	if (blob->head_len >= 4 && h[0] == 0x1f && h[1] == 0x8b && h[2] == 8)
		blob->kind = INGEST_GZIP;
	else if (blob->head_len >= 4 && memcmp(h, "\x28\xb5\x2f\xfd", 4) == 0)
		blob->kind = INGEST_ZSTD;
	else if (blob->head_len == INGEST_HEAD && memcmp(h + 257, "ustar", 5) == 0)
		blob->kind = INGEST_TAR;
}

DEFINE_CLEANUP(struct ingest *, ingest_free)

/**
 * ingest_new() - Begin to take in an image
 * @root:   The image store's folder
 * @number: Unique among those alive
 * @ret:    ingest_free(); set on success only
 * @err:    Filled on failure
 *
 * Return: 0 or negative errno
 */
int ingest_new(const char *root, uint64_t number, struct ingest **ret, struct err *err)
{
	_cleanup_(ingest_freep) struct ingest *in = calloc(1, sizeof(*in));
	pthread_condattr_t attr;
	int r;

	if (!in)
		return err_oom(err);
	(void)pthread_mutex_init(&in->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&in->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
	in->root = strdup(root);
	in->dir = str_format("%s/ingest/%llu", root, (unsigned long long)number);
	if (!in->root || !in->dir)
		return err_oom(err);
	r = fs_mkdir_p(in->dir, 0700);
	if (r < 0)
		return err_sys(err, r, "cannot make %s", in->dir);
	*ret = TAKE_PTR(in);
	return 0;
}

/**
 * ingest_stop() - No conversion goes on
 * @in: Ingest, to be freed
 */
void ingest_stop(struct ingest *in)
{
	(void)pthread_mutex_lock(&in->lock);
	in->stop = true;
	(void)pthread_cond_broadcast(&in->changed);
	(void)pthread_mutex_unlock(&in->lock);
	for (; in->workers_n > 0; in->workers_n--)
		(void)pthread_join(in->workers[in->workers_n - 1], NULL);
}

/**
 * ingest_each_made() - What an ingest has put into the store
 * @in:	  Ingest that was stopped
 * @fn:	  Told the digest of each published blob and the diff id of each converted layer, NULL for
 *	  what is not; <0 stops
 * @user: For @fn
 *
 * Return: 0 or what @fn returned
 */
int ingest_each_made(struct ingest *in,
		     int (*fn)(void *user, const char *blob_digest, const char *diff_id),
		     void *user)
{
	struct ingest_blob *blob;
	int r = 0;

	DL_FOREACH (in->blobs, blob) {
		bool converted = blob->job == JOB_DONE && blob->job_result == 0;

		r = fn(user, blob->published ? blob->digest : NULL,
		       converted ? blob->info.diff_id : NULL);
		if (r < 0)
			break;
	}
	return r;
}

/**
 * ingest_free() - End an ingest: stop its workers, remove what was not published
 * @in: Ingest; may be NULL
 */
void ingest_free(struct ingest *in)
{
	struct ingest_blob *blob, *next;

	if (!in)
		return;
	ingest_stop(in);
	DL_FOREACH_SAFE (in->blobs, blob, next) {
		if (blob->fd >= 0)
			(void)close(blob->fd); /* goes away with the folder */
		free(blob);
	}
	if (in->dir && fs_remove_tree(in->dir) < 0)
		log_warn("cannot remove %s, it stays until the next start", in->dir);
	(void)pthread_cond_destroy(&in->changed);
	(void)pthread_mutex_destroy(&in->lock);
	free(in->dir);
	free(in->root);
	free(in);
}

/**
 * ingest_blob_begin() - Start a blob
 * @in:	 Ingest
 * @ret: The blob, owned by @in
 * @err: Filled on failure
 *
 * Return: 0 or negative errno
 */
int ingest_blob_begin(struct ingest *in, struct ingest_blob **ret, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ struct ingest_blob *blob = calloc(1, sizeof(*blob));

	if (!blob)
		return err_oom(err);
	blob->in = in;
	blob->number = in->blobs_n++;
	path = ingest_blob_path(in, blob);
	if (!path)
		return err_oom(err);
	blob->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (blob->fd < 0)
		return err_sys(err, -errno, "cannot make %s", path);
	sha256_start(&blob->sha);
	DL_APPEND(in->blobs, blob);
	*ret = TAKE_PTR(blob);
	return 0;
}

static int ingest_check_disk(struct ingest *in, size_t len, struct err *err)
{
	struct statvfs st;

	in->since_check += len;
	if (in->since_check < INGEST_CHECK_EVERY)
		return 0;
	in->since_check = 0;
	if (statvfs(in->dir, &st) < 0)
		return 0; /* the write itself will tell */
	if ((uint64_t)st.f_bavail * st.f_frsize < INGEST_DISK_RESERVE)
		return err_sys(err, -ENOSPC, "cannot write to %s", in->dir);
	return 0;
}

/* Tell the workers of new bytes, and hand the blob to them once it looks like a layer. */
static int ingest_blob_advance(struct ingest *in, struct ingest_blob *blob, bool ended)
{
	bool sniff = !blob->sniffed && (ended || blob->head_len == INGEST_HEAD);
	int r = 0;

	if (sniff)
		ingest_blob_sniff(blob);
	(void)pthread_mutex_lock(&in->lock);
	blob->written = blob->size;
	blob->ended = ended;
	if (sniff && blob->kind != INGEST_OTHER)
		r = ingest_enqueue(in, blob);
	else if (blob->job == JOB_RUNNING)
		(void)pthread_cond_broadcast(&in->changed);
	(void)pthread_mutex_unlock(&in->lock);
	return r;
}

/**
 * ingest_blob_add() - Append to the blob being written
 * @in:	  Ingest
 * @blob: Begun, not ended
 * @data: Bytes
 * @len:  How many
 * @err:  Filled on failure
 *
 * Return: 0 or negative errno
 */
int ingest_blob_add(struct ingest *in, struct ingest_blob *blob, const void *data, size_t len,
		    struct err *err)
{
	size_t head = MIN(len, INGEST_HEAD - blob->head_len);
	int r;

	assert(blob->fd >= 0);
	r = ingest_check_disk(in, len, err);
	if (r < 0)
		return r;
	memcpy(blob->head + blob->head_len, data, head);
	blob->head_len += head;
	r = fs_write_all(blob->fd, data, len);
	if (r < 0)
		return err_sys(err, r, "cannot write to %s", in->dir);
	blob->size += len;
	r = ingest_blob_advance(in, blob, false);
	if (r < 0)
		return err_sys(err, r, "cannot start a thread");
	/* the worker is already at it while we hash */
	sha256_add(&blob->sha, data, len);
	return 0;
}

/**
 * ingest_blob_end() - The blob is complete
 * @in:	  Ingest
 * @blob: Begun; its digest and size are known from now on
 * @err:  Filled on failure
 *
 * Return: 0 or negative errno
 */
int ingest_blob_end(struct ingest *in, struct ingest_blob *blob, struct err *err)
{
	int fd = TAKE_FD(blob->fd), r;

	assert(fd >= 0);
	sha256_finish(&blob->sha, blob->digest);
	r = ingest_blob_advance(in, blob, true);
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r < 0 ? err_sys(err, r, "cannot write to %s", in->dir) : 0;
}

/**
 * ingest_blob_digest() - What the bytes hash to
 * @blob: Ended
 *
 * Return: "sha256:<hex>", borrowed from @blob
 */
const char *ingest_blob_digest(const struct ingest_blob *blob)
{
	return blob->digest;
}

/**
 * ingest_blob_size() - How long it is
 * @blob: Ended
 *
 * Return: bytes
 */
uint64_t ingest_blob_size(const struct ingest_blob *blob)
{
	return blob->size;
}

/**
 * ingest_blob_kind() - What its first bytes look like
 * @blob: Ended
 *
 * Return: the kind
 */
enum ingest_kind ingest_blob_kind(const struct ingest_blob *blob)
{
	return blob->kind;
}

/**
 * ingest_blob_read() - A small blob in memory
 * @in:	      Ingest
 * @blob:     Ended
 * @max:      Largest size accepted, bytes
 * @ret_data: Heap bytes with a NUL behind them
 * @ret_len:  Bytes without it
 * @err:      ERR_INVALID above @max
 *
 * Return: 0 or negative errno
 */
int ingest_blob_read(struct ingest *in, const struct ingest_blob *blob, size_t max, char **ret_data,
		     size_t *ret_len, struct err *err)
{
	_cleanup_free_ char *path = ingest_blob_path(in, blob);
	int r;

	if (!path)
		return err_oom(err);
	if (blob->size > max)
		return err_user(err, ERR_INVALID, "%.19s is too large: %llu bytes, at most %zu",
				blob->digest, (unsigned long long)blob->size, max);
	r = fs_read_file(path, max, ret_data, ret_len);
	return r < 0 ? err_sys(err, r, "cannot read %s", path) : 0;
}

/**
 * ingest_blob_progress() - How far the conversion of a blob has come
 * @in:	       Ingest
 * @blob:      Blob
 * @ret_bytes: Bytes of it that were read
 *
 * Return: whether it has ended, well or not
 */
bool ingest_blob_progress(struct ingest *in, const struct ingest_blob *blob, uint64_t *ret_bytes)
{
	bool ended;

	(void)pthread_mutex_lock(&in->lock);
	*ret_bytes = blob->converted;
	ended = blob->job == JOB_DONE;
	(void)pthread_mutex_unlock(&in->lock);
	return ended;
}

/**
 * ingest_wait() - Wait until something happens to a conversion
 * @in:		Ingest
 * @timeout_ms: At most so long, milliseconds
 */
void ingest_wait(struct ingest *in, unsigned int timeout_ms)
{
	int64_t end_ns = clock_monotonic_ns() + timeout_ms * NSEC_PER_MSEC;
	struct timespec end = {.tv_sec = end_ns / NSEC_PER_SEC, .tv_nsec = end_ns % NSEC_PER_SEC};

	(void)pthread_mutex_lock(&in->lock);
	(void)pthread_cond_timedwait(&in->changed, &in->lock, &end); /* early is fine */
	(void)pthread_mutex_unlock(&in->lock);
}

/**
 * ingest_blob_layer() - The layer that a blob holds
 * @in:	      Ingest
 * @blob:     Ended
 * @ret_info: Of the layer, which is in layers/ now
 * @err:      ERR_INVALID if it is no layer, with the reason
 *
 * Return: 0 or negative errno
 */
int ingest_blob_layer(struct ingest *in, struct ingest_blob *blob, struct layer_info *ret_info,
		      struct err *err)
{
	int r = 0;

	assert(blob->fd < 0);
	(void)pthread_mutex_lock(&in->lock);
	if (blob->job == JOB_NONE)
		r = ingest_enqueue(in, blob);
	while (r == 0 && blob->job != JOB_DONE)
		(void)pthread_cond_wait(&in->changed, &in->lock);
	(void)pthread_mutex_unlock(&in->lock);
	if (r < 0)
		return err_sys(err, r, "cannot start a thread");
	if (blob->job_result < 0) {
		if (err)
			*err = blob->job_err;
		return blob->job_result;
	}
	*ret_info = blob->info;
	return 0;
}

/**
 * ingest_blob_layer_again() - Convert a blob once more
 * @in:	      Ingest
 * @blob:     Converted
 * @ret_info: Of the layer, which is in layers/ again
 * @err:      As of ingest_blob_layer()
 *
 * Return: 0 or negative errno
 */
int ingest_blob_layer_again(struct ingest *in, struct ingest_blob *blob,
			    struct layer_info *ret_info, struct err *err)
{
	(void)pthread_mutex_lock(&in->lock);
	assert(blob->job == JOB_DONE);
	blob->job = JOB_NONE;
	(void)pthread_mutex_unlock(&in->lock);
	return ingest_blob_layer(in, blob, ret_info, err);
}

/**
 * ingest_blob_publish() - Move a blob into blobs/sha256/
 * @in:	  Ingest
 * @blob: Ended, not being converted; found in order by the caller
 * @err:  Filled on failure
 *
 * Its bytes are durable afterwards; its name is once the caller has synced the folder.
 *
 * Return: 0 or negative errno
 */
int ingest_blob_publish(struct ingest *in, struct ingest_blob *blob, struct err *err)
{
	_cleanup_free_ char *from = NULL, *to = NULL;
	_cleanup_close_ int fd = -EBADF;

	if (blob->published)
		return 0;
	from = ingest_blob_path(in, blob);
	to = str_format("%s/blobs/sha256/%s", in->root, digest_hex(blob->digest));
	if (!from || !to)
		return err_oom(err);
	if (!fs_exists(to)) {
		fd = open(from, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || fdatasync(fd) < 0 || rename(from, to) < 0)
			return err_sys(err, -errno, "cannot publish %s", to);
	}
	blob->published = true;
	return 0;
}

/**
 * ingest_document() - Store a document of our own
 * @in:		Ingest
 * @data:	Bytes
 * @len:	How many
 * @ret_digest: Their digest
 * @err:	Filled on failure
 *
 * Return: 0 or negative errno
 */
int ingest_document(struct ingest *in, const void *data, size_t len,
		    char ret_digest[static DIGEST_BUF], struct err *err)
{
	struct ingest_blob *blob;
	int r;

	r = ingest_blob_begin(in, &blob, err);
	if (r == 0)
		r = ingest_blob_add(in, blob, data, len, err);
	if (r == 0)
		r = ingest_blob_end(in, blob, err);
	if (r == 0)
		r = ingest_blob_publish(in, blob, err);
	if (r < 0)
		return r;
	memcpy(ret_digest, blob->digest, DIGEST_BUF);
	return 0;
}
