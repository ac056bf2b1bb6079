/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_job.c - what loads, imports, pulls, pushes and saves that are under way need
 *
 * DOC: Theory of operation
 *
 *	begin -> hold a name -> look whether it is there, or publish it -> ... -> rows -> end
 *
 * A file that no row names goes at once, unless a job holds its name. So a job holds each blob,
 * layer and root disk before it relies on it or publishes it, and until rows name it or it is given
 * up. What is removed while it is held stays as long as the last who holds it; at its end a job
 * looks at what others wanted to remove and, where it may have left something, at all that it held
 * or made itself. Nothing of this is on disk: a daemon that is killed sweeps at its next start.
 *
 * A layer that is converted before its name is known (of an archive) may go again before it is
 * held; image_draft_finish() then converts it once more.
 *
 * Locking: is->lock covers the jobs, their names, and the removing of files; so between a hold and
 * an end nobody removes what is held, and nobody who holds meets half of a removal.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>
#include <utlist.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/str.h"
#include "base/util.h"
#include "image/image_store.h"
#include "store/store.h"

#define HELD_KEY (DIGEST_LEN + 1)

struct image_held {
	char key[HELD_KEY + 1]; /* kind, digest */
	bool unwanted;		/* somebody wanted to remove it meanwhile */
	UT_hash_handle hh;
};

static void held_key(enum image_file kind, const char *digest, char out[static HELD_KEY + 1])
{
	static const char letters[] = {[IMAGE_BLOB] = 'b', [IMAGE_LAYER] = 'l', [IMAGE_DISK] = 'd'};

	(void)snprintf(out, HELD_KEY + 1, "%c%s", letters[kind], digest); /* it fits */
}

static int held_add(struct image_job *job, enum image_file kind, const char *digest)
{
	struct image_held *held;
	char key[HELD_KEY + 1];

	if (!digest_valid(digest))
		return 0; /* '' where an image has no manifest */
	held_key(kind, digest, key);
	HASH_FIND_STR(job->held, key, held);
	if (held)
		return 0;
	held = calloc(1, sizeof(*held));
	if (!held)
		return -ENOMEM;
	memcpy(held->key, key, sizeof(key));
	HASH_ADD_STR(job->held, key, held);
	return 0;
}

/* Whether a job holds it; those who do look at it at their end. is->lock is held. */
static bool held_by_jobs(struct image_store *is, const char *key)
{
	struct image_held *held;
	struct image_job *job;
	bool found = false;

	DL_FOREACH (is->jobs, job) {
		HASH_FIND_STR(job->held, key, held);
		if (!held)
			continue;
		held->unwanted = true;
		found = true;
	}
	return found;
}

/**
 * image_file_held() - Whether a job under way needs a file
 * @is:	    Store; its lock is held
 * @kind:   Kind of file
 * @digest: Its name
 *
 * Return: the answer
 */
bool image_file_held(struct image_store *is, enum image_file kind, const char *digest)
{
	char key[HELD_KEY + 1];

	if (!digest_valid(digest))
		return false;
	held_key(kind, digest, key);
	return held_by_jobs(is, key);
}

static int named_row(void *user, struct store_row *row UNUSED)
{
	*(bool *)user = true;
	return 0;
}

static int file_named(struct image_store *is, enum image_file kind, const char *digest,
		      bool *ret_named)
{
	static const char *const sql[] = {
		[IMAGE_BLOB] = "SELECT 1 FROM images WHERE id = ?1 OR manifest_digest = ?1 "
			       "UNION SELECT 1 FROM image_layers WHERE blob_digest = ?1 "
			       "UNION SELECT 1 FROM manifest_lists WHERE digest = ?1 "
			       "UNION SELECT 1 FROM pulled_layers WHERE blob_digest = ?1",
		[IMAGE_LAYER] = "SELECT 1 FROM layers WHERE diff_id = ?1 "
				"UNION SELECT 1 FROM pulled_layers WHERE diff_id = ?1",
		[IMAGE_DISK] = "SELECT 1 FROM images WHERE chain_id = ?1",
	};

	*ret_named = false;
	return store_exec(is->store, sql[kind], named_row, ret_named, "s", digest);
}

static int file_remove(struct image_store *is, enum image_file kind, const char *digest)
{
	_cleanup_free_ char *path = NULL;

	if (kind == IMAGE_LAYER)
		return layer_remove(is->root, digest);
	if (kind == IMAGE_DISK)
		return rootfs_remove(is->root, digest);
	path = image_blob_path(is, digest);
	if (!path)
		return -ENOMEM;
	return unlink(path) < 0 ? -errno : 0;
}

/**
 * image_file_free() - Remove a file unless a row names it or a job holds it
 * @is:	    Store; its lock is held, and the rows are durable
 * @kind:   Kind of file
 * @digest: Its name; anything else than a digest is no file
 *
 * What cannot be removed is logged and stays until the next start.
 */
void image_file_free(struct image_store *is, enum image_file kind, const char *digest)
{
	bool named;
	int r;

	if (!digest_valid(digest) || image_file_held(is, kind, digest))
		return;
	r = file_named(is, kind, digest, &named);
	if (r == 0 && !named)
		r = file_remove(is, kind, digest);
	if (r < 0 && r != -ENOENT)
		log_warn("cannot remove %.19s: %s; the next start tries again", digest,
			 strerror(-r));
}

/**
 * image_job_hold() - From now on a file stays, if it is there, until the end of the job
 * @job:    Job
 * @kind:   Kind of file
 * @digest: Its name; anything else than a digest is no file
 * @err:    Filled on failure
 *
 * Whether it is there is to be asked afterwards.
 *
 * Return: 0 or -ENOMEM
 */
int image_job_hold(struct image_job *job, enum image_file kind, const char *digest, struct err *err)
{
	int r;

	(void)pthread_mutex_lock(&job->is->lock);
	r = held_add(job, kind, digest);
	(void)pthread_mutex_unlock(&job->is->lock);
	return r < 0 ? err_oom(err) : 0;
}

static int hold_row(void *user, struct store_row *row)
{
	struct image_job *job = user;
	const char *digest = store_row_text(row, 0);

	return digest ? held_add(job, IMAGE_BLOB, digest) : 0;
}

/**
 * image_job_hold_image() - The blobs of an image stay until the end of the job
 * @job: Job
 * @id:	 Image
 * @err: ERR_NOT_FOUND if it is not there
 *
 * Return: 0 or negative errno
 */
int image_job_hold_image(struct image_job *job, const char *id, struct err *err)
{
	struct image_store *is = job->is;
	bool there = false;
	int r;

	(void)pthread_mutex_lock(&is->lock);
	r = store_exec(is->store,
		       "SELECT id FROM images WHERE id = ?1 "
		       "UNION SELECT manifest_digest FROM images WHERE id = ?1 "
		       "UNION SELECT blob_digest FROM image_layers WHERE image_id = ?1",
		       hold_row, job, "s", id);
	if (r == 0)
		r = store_exec(is->store, "SELECT 1 FROM images WHERE id = ?", named_row, &there,
			       "s", id);
	(void)pthread_mutex_unlock(&is->lock);
	if (r < 0)
		return err_sys(err, r, "cannot look up %s", id);
	return there ? 0 : err_user(err, ERR_NOT_FOUND, "No such image: %s", id);
}

/**
 * image_job_begin() - Something is under way
 * @is:	   Store
 * @takes: It takes bytes in: job->in is set
 * @ret:   image_job_end(); set on success only
 * @err:   Filled on failure
 *
 * Return: 0 or negative errno
 */
int image_job_begin(struct image_store *is, bool takes, struct image_job **ret, struct err *err)
{
	struct image_job *job = calloc(1, sizeof(*job));
	uint64_t number;
	int r = 0;

	if (!job)
		return err_oom(err);
	job->is = is;
	(void)pthread_mutex_lock(&is->lock);
	DL_APPEND(is->jobs, job);
	number = is->ingests++;
	(void)pthread_mutex_unlock(&is->lock);
	if (takes)
		r = ingest_new(is->root, number, &job->in, err);
	if (r < 0)
		image_job_end(job, false);
	else
		*ret = job;
	return r;
}

static int job_add_made(void *user, const char *blob_digest, const char *diff_id)
{
	struct image_job *job = user;
	int r = blob_digest ? held_add(job, IMAGE_BLOB, blob_digest) : 0;

	return r < 0 || !diff_id ? r : held_add(job, IMAGE_LAYER, diff_id);
}

/* What was held and is needed no more; the job is not among the others any more. */
static void job_free_held(struct image_job *job, bool all)
{
	static const enum image_file kinds[] = {
		['b'] = IMAGE_BLOB, ['l'] = IMAGE_LAYER, ['d'] = IMAGE_DISK};
	struct image_held *held, *next;

	HASH_ITER (hh, job->held, held, next) {
		if (all || held->unwanted)
			image_file_free(job->is, kinds[(unsigned char)held->key[0]], held->key + 1);
		HASH_DEL(job->held, held);
		free(held);
	}
}

/**
 * image_job_end() - It is done, or has failed
 * @job:     Freed here, with its ingest; may be NULL
 * @garbage: It may have left files that no row names
 */
void image_job_end(struct image_job *job, bool garbage)
{
	struct image_store *is;

	if (!job)
		return;
	is = job->is;
	if (job->in)
		ingest_stop(job->in);
	(void)pthread_mutex_lock(&is->lock);
	DL_DELETE(is->jobs, job);
	if (job->in && garbage && ingest_each_made(job->in, job_add_made, job) < 0)
		log_warn("what a failed load left behind stays until the next start");
	job_free_held(job, garbage);
	(void)pthread_mutex_unlock(&is->lock);
	if (job->in) {
		ingest_free(job->in);
		memory_give_back();
	}
	free(job);
}
