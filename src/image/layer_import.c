/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer_import.c - one layer from a stream of bytes into the store
 *
 * DOC: Theory of operation
 *
 * Two threads work on a layer, for two cores. The caller's reads the source, inflates and digests;
 * a second one parses the tar and writes. Between them is a ring of LAYER_PIPE_SLOTS buffers. The
 * source is only ever called on the caller's thread. Everything up to the last byte is digested,
 * also what stands behind the tar's end mark.
 *
 * The layer grows in layers/.tmp-<random> and is renamed to layers/<diff id> when its bytes are on
 * disk and its digest is right; on any failure the folder is removed. What a crash leaves behind is
 * removed by image_sweep() at the next start.
 *
 * Hostile: every byte of the source.
 */
#include "image/layer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/memory.h"
#include "base/str.h"
#include "image/inflate.h"
#include "image/layer_data.h"
#include "image/layer_store.h"
#include "image/layer_tar.h"
#include "image/tree_file.h"

#define LAYER_PIPE_SLOTS 4u
#define LAYER_PIPE_SLOT_BYTES KIB(256)

/* A ring with one writer (source side) and one reader (tar side). */
struct layer_pipe {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned int filled, emptied; /* running counts; filled - emptied slots are full */
	bool reading;		      /* the reader still looks at slot emptied */
	bool ended;		      /* the writer is done */
	bool stopped;		      /* the reader gave up */
	int error;		      /* with ended: negative errno of the source, or 0 */
	size_t len[LAYER_PIPE_SLOTS];
	unsigned char *slots; /* owned */
};

struct layer_job {
	struct layer_pipe pipe;
	const char *folder; /* borrowed: the caller's */
	int result;
	struct err err;
};

static void layer_pipe_done(struct layer_pipe *p)
{
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->changed);
	free(p->slots);
}

static void layer_job_done(struct layer_job *job)
{
	layer_pipe_done(&job->pipe);
}

static int layer_pipe_init(struct layer_pipe *p)
{
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	p->slots = malloc(LAYER_PIPE_SLOTS * LAYER_PIPE_SLOT_BYTES);
	return p->slots ? 0 : -ENOMEM;
}

/* Writer: an empty slot, or NULL when the reader gave up. */
static unsigned char *layer_pipe_slot(struct layer_pipe *p)
{
	unsigned char *slot = NULL;

	pthread_mutex_lock(&p->lock);
	while (!p->stopped && p->filled - p->emptied == LAYER_PIPE_SLOTS)
		pthread_cond_wait(&p->changed, &p->lock);
	if (!p->stopped)
		slot = p->slots + (p->filled % LAYER_PIPE_SLOTS) * LAYER_PIPE_SLOT_BYTES;
	pthread_mutex_unlock(&p->lock);
	return slot;
}

static void layer_pipe_push(struct layer_pipe *p, size_t len)
{
	pthread_mutex_lock(&p->lock);
	p->len[p->filled++ % LAYER_PIPE_SLOTS] = len;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

static void layer_pipe_end(struct layer_pipe *p, int error)
{
	pthread_mutex_lock(&p->lock);
	p->ended = true;
	p->error = error;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

static void layer_pipe_stop(struct layer_pipe *p)
{
	pthread_mutex_lock(&p->lock);
	p->stopped = true;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

/* Reader: the next full slot; the one before it goes back. */
static ssize_t layer_pipe_next(void *user, const void **ret_data)
{
	struct layer_pipe *p = user;
	ssize_t n = 0;

	pthread_mutex_lock(&p->lock);
	if (p->reading) {
		p->emptied++;
		p->reading = false;
		pthread_cond_signal(&p->changed);
	}
	while (!p->ended && p->filled == p->emptied)
		pthread_cond_wait(&p->changed, &p->lock);
	if (p->filled != p->emptied) {
		unsigned int i = p->emptied % LAYER_PIPE_SLOTS;

		*ret_data = p->slots + i * LAYER_PIPE_SLOT_BYTES;
		n = (ssize_t)p->len[i];
		p->reading = true;
	} else {
		n = p->error;
	}
	pthread_mutex_unlock(&p->lock);
	return n;
}

static int layer_create_file(const char *folder, const char *name, int *ret_fd, struct err *err)
{
	_cleanup_free_ char *path = str_format("%s/%s", folder, name);
	int fd;

	if (!path)
		return err_oom(err);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, -errno, "cannot create a layer's %s", name);
	*ret_fd = fd;
	return 0;
}

/*
 * Everything on disk before the folder gets its name. The tree's writing is begun first, so that
 * both files' blocks are in one commit of the journal: half the time for a small layer.
 */
static int layer_sync(int tree_fd, int data_fd)
{
	(void)sync_file_range(tree_fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* a hint */
	return fdatasync(data_fd) < 0 || fdatasync(tree_fd) < 0 ? -errno : 0;
}

/* The tar's entries; then the rest of the stream, so that all of it is digested. */
static int layer_job_read(struct layer_job *job, struct tree *t, struct layer_data *data)
{
	const void *rest;
	ssize_t n;
	int r = layer_tar_read(layer_pipe_next, &job->pipe, t, data, &job->err);

	if (r < 0)
		return r;
	do
		n = layer_pipe_next(&job->pipe, &rest);
	while (n > 0);
	return (int)n; /* a failure is the source's; its side tells the story */
}

static int layer_job_run(struct layer_job *job)
{
	_cleanup_(tree_freep) struct tree *t = NULL;
	_cleanup_(layer_data_freep) struct layer_data *data = NULL;
	_cleanup_close_ int fd = -EBADF, tree_fd = -EBADF;
	struct tree_file_header header;
	int r;

	r = layer_create_file(job->folder, "data", &fd, &job->err);
	if (r == 0)
		r = layer_create_file(job->folder, "tree", &tree_fd, &job->err);
	if (r < 0)
		return r;
	if (tree_new(&t) < 0 || layer_data_new(fd, &data) < 0)
		return err_oom(&job->err);
	r = layer_job_read(job, t, data);
	if (r < 0)
		return r;
	r = layer_data_finish(data);
	if (r == 0)
		r = tree_file_write(t, layer_data_blocks(data), tree_fd, &header);
	if (r == 0)
		r = layer_sync(tree_fd, fd);
	return r < 0 ? err_sys(&job->err, r, "cannot write the layer") : 0;
}

static void *layer_job_thread(void *user)
{
	struct layer_job *job = user;

	job->result = layer_job_run(job);
	layer_pipe_stop(&job->pipe);
	return NULL;
}

/* Inflate and digest to the end; @pipe may be NULL. Returns early with 0 when the reader gave up.
 */
static int layer_pump(struct inflate *in, struct layer_pipe *pipe, struct sha256 *sha,
		      unsigned char *scratch)
{
	for (;;) {
		unsigned char *slot = pipe ? layer_pipe_slot(pipe) : scratch;
		size_t len = 0;
		ssize_t n = 1;

		if (!slot)
			return 0;
		while (n > 0 && len < LAYER_PIPE_SLOT_BYTES) {
			n = inflate_read(in, slot + len, LAYER_PIPE_SLOT_BYTES - len);
			len += n > 0 ? (size_t)n : 0;
		}
		if (n < 0)
			return (int)n;
		sha256_add(sha, slot, len);
		if (len && pipe)
			layer_pipe_push(pipe, len);
		if (n == 0)
			return 0;
	}
}

static int layer_source_failed(const struct inflate *in, int r, struct err *err)
{
	if (inflate_error(in))
		return err_user(err, ERR_INVALID, "invalid layer: %s", inflate_error(in));
	return err_sys(err, r, "cannot read the layer");
}

static int layer_check_digest(const char *expect, const char *got, struct err *err)
{
	if (!expect || str_eq(expect, got))
		return 0;
	return err_user(err, ERR_INVALID, "invalid diffID for layer: expected \"%s\", got \"%s\"",
			expect, got);
}

/* The layer is there already: only see that these bytes are it. */
static int layer_verify(struct inflate *in, const char *expect, struct err *err)
{
	_cleanup_free_ unsigned char *scratch = malloc(LAYER_PIPE_SLOT_BYTES);
	char diff_id[DIGEST_BUF];
	struct sha256 sha;
	int r;

	if (!scratch)
		return err_oom(err);
	sha256_start(&sha);
	r = layer_pump(in, NULL, &sha, scratch);
	if (r < 0)
		return layer_source_failed(in, r, err);
	sha256_finish(&sha, diff_id);
	return layer_check_digest(expect, diff_id, err);
}

static int layer_convert(struct inflate *in, const char *folder, char diff_id[static DIGEST_BUF],
			 struct err *err)
{
	_cleanup_(layer_job_done) struct layer_job job = {.folder = folder};
	pthread_t thread;
	struct sha256 sha;
	int r;

	if (layer_pipe_init(&job.pipe) < 0)
		return err_oom(err);
	r = pthread_create(&thread, NULL, layer_job_thread, &job);
	if (r != 0)
		return err_sys(err, -r, "cannot start a thread");
	sha256_start(&sha);
	r = layer_pump(in, &job.pipe, &sha, NULL);
	layer_pipe_end(&job.pipe, r);
	(void)pthread_join(thread, NULL); /* it exists and is not us */
	if (r < 0)
		return layer_source_failed(in, r, err);
	if (job.result < 0) {
		*err = job.err;
		return job.result;
	}
	sha256_finish(&sha, diff_id);
	return 0;
}

/* ret_info is of our own folder: what is published somebody may remove at once. */
static int layer_publish(const char *store_root, struct store_tmp *tmp, const char *diff_id,
			 struct layer_info *ret_info, struct err *err)
{
	_cleanup_free_ char *path = layer_path(store_root, diff_id, NULL);
	struct layer_info there;
	int r;

	if (!path)
		return err_oom(err);
	r = layer_folder_info(tmp->path, diff_id, ret_info);
	if (r < 0)
		return err_sys(err, r, "cannot read layer %s", diff_id);
	if (layer_info(store_root, diff_id, &there) == -EBADMSG)
		(void)layer_remove(store_root, diff_id); /* damaged: ours takes its place */
	r = store_tmp_publish(tmp, path);
	return r < 0 ? err_sys(err, r, "cannot publish layer %s", diff_id) : 0;
}

/**
 * layer_import() - Read one layer and publish it
 * @store_root:	    The image store's folder
 * @source:	    The layer: plain, gzip or zstd; called on this thread only
 * @expect_diff_id: Digest the uncompressed tar must have, or NULL
 * @ret_info:	    What was read; may be NULL
 * @err:	    Filled on failure
 *
 * A layer that is there already is verified, not replaced. On failure nothing stays behind. Safe
 * from any thread, also for the same layer twice at once.
 *
 * Return: 0, -EINVAL for any defect in the bytes, or negative errno
 */
int layer_import(const char *store_root, const struct byte_source *source,
		 const char *expect_diff_id, struct layer_info *ret_info, struct err *err)
{
	_cleanup_(store_tmp_done) struct store_tmp tmp = {};
	_cleanup_(inflate_freep) struct inflate *in = NULL;
	char diff_id[DIGEST_BUF];
	struct layer_info info;
	int r;

	if (expect_diff_id && !digest_valid(expect_diff_id))
		return err_user(err, ERR_INVALID, "invalid diffID \"%.80s\"", expect_diff_id);
	if (inflate_new(source, &in) < 0)
		return err_oom(err);
	if (expect_diff_id && layer_info(store_root, expect_diff_id, &info) == 0) {
		r = layer_verify(in, expect_diff_id, err);
	} else {
		r = store_tmp_make(store_root, "layers", &tmp);
		if (r < 0)
			return err_sys(err, r, "cannot create a layer");
		r = layer_convert(in, tmp.path, diff_id, err);
		if (r == 0)
			r = layer_check_digest(expect_diff_id, diff_id, err);
		if (r == 0)
			r = layer_publish(store_root, &tmp, diff_id, &info, err);
		memory_give_back();
	}
	if (r == 0 && ret_info)
		*ret_info = info;
	return r;
}
