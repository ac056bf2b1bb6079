/* SPDX-License-Identifier: Apache-2.0 */
/* image_store.h - what the files of the image store share; nobody else includes it */
#pragma once

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "image/image.h"
#include "image/ingest.h"
#include "image/oci.h"

struct image_store {
	char *root;		/* owned */
	struct store *store;	/* borrowed: from daemon/ */
	pthread_mutex_t lock;	/* jobs, ingests, and removing files; above store's */
	struct image_job *jobs; /* under way */
	uint64_t ingests;
	pthread_mutex_t index_lock; /* rewriting index.json; above store's */
};

/* A load, import, pull, push or save under way, and the files that it needs (image_job.c). */
enum image_file { IMAGE_BLOB, IMAGE_LAYER, IMAGE_DISK }; /* by digest, diff id, chain id */
struct image_held;
struct image_job {
	struct image_store *is;	 /* borrowed */
	struct ingest *in;	 /* owned; NULL if it takes nothing in */
	struct image_held *held; /* owned; under is->lock */
	struct image_job *next, *prev;
};
int image_job_begin(struct image_store *is, bool takes, struct image_job **ret, struct err *err);
void image_job_end(struct image_job *job, bool garbage);
int image_job_hold(struct image_job *job, enum image_file kind, const char *digest,
		   struct err *err);
int image_job_hold_image(struct image_job *job, const char *id, struct err *err);
bool image_file_held(struct image_store *is, enum image_file kind, const char *digest);
void image_file_free(struct image_store *is, enum image_file kind, const char *digest);

/* One image on its way in. */
struct image_draft_layer {
	struct layer_info info;
	struct ingest_blob *blob; /* borrowed: from the ingest; NULL: layer and blob are there */
	char known_digest[DIGEST_BUF]; /* of the blob that is there */
	uint64_t known_bytes;
	const char *media_type; /* constant */
};
struct image_draft {
	char id[DIGEST_BUF];
	json_t *config;			   /* owned reference */
	struct oci_config view;		   /* of config */
	struct ingest_blob *config_blob;   /* borrowed, as all blobs */
	struct ingest_blob *manifest_blob; /* NULL: a manifest is made */
	struct ingest_blob *list_blob;	   /* the manifest list its names came as, or NULL */
	json_t *list_doc;		   /* owned reference: of list_blob */
	const char *list_type;		   /* constant */
	char manifest_digest[DIGEST_BUF];
	const char *manifest_type; /* constant */
	uint64_t manifest_bytes;
	char chain_id[DIGEST_BUF];
	struct image_draft_layer *layers; /* owned array of view.diff_ids_n */
	char **tags;			  /* owned: canonical, NULL-terminated; may be NULL */
	char *repo_digest; /* owned: canonical name@digest it was pulled as, or NULL */
	size_t tags_n;
	int64_t tagged_ns; /* 0: the tags came with the image */
	bool again;	   /* another draft has the same image: this one only brings names */
	struct image_draft *next;
};
int image_draft_new(struct ingest *in, struct ingest_blob *config_blob, struct image_draft **ret,
		    struct err *err);
void image_draft_free(struct image_draft *draft);
const char *image_draft_layer_digest(const struct image_draft_layer *layer);
uint64_t image_draft_layer_bytes(const struct image_draft_layer *layer);
int image_draft_add_tag(struct image_draft *draft, const char *canonical);
const char *image_draft_list(const struct image_draft *draft); /* digest, or NULL */
int image_draft_insert_list(struct image_store *is, const struct image_draft *draft);
/* Layers converted and compared, blobs published, disk assembled: all but the rows. */
int image_draft_finish(struct image_job *job, struct image_draft *draft, struct err *err);
/* The rows of all drafts and index.json. replaced: told of tags that pointed elsewhere. */
typedef void (*image_replaced_fn)(void *user, const char *canonical, const char *old_id);
int image_drafts_commit(struct image_store *is, struct image_draft *drafts,
			image_replaced_fn replaced, void *user, struct err *err);

/* Rows (image_rows.c). */
int image_rows_insert(struct image_store *is, const struct image_draft *draft, bool *ret_new);
int image_rows_tag(struct image_store *is, const char *canonical, const char *id, int64_t tagged_ns,
		   const char *list, char ret_old_id[static DIGEST_BUF]);
int image_rows_pulled_as(struct image_store *is, const char *canonical, const char *id);
int image_rows_text(struct image_store *is, const char *sql, const char *a, const char *b,
		    char **ret_text); /* first column of the first row; NULL if none */
int image_rows_texts(struct image_store *is, const char *sql, const char *a,
		     char ***ret_texts); /* first column of all rows, NULL-terminated */
/* The id behind a reference, an id or a prefix: 0, -ENOENT without err, or <0 with err. */
int image_rows_resolve(struct image_store *is, const char *text, char ret_id[static DIGEST_BUF],
		       struct err *err);

/* Layers of pulls that did not end (pull_kept.c). */
int pull_kept_add(struct image_store *is, const char *blob_digest, const char *diff_id);
int pull_kept_forget(struct image_store *is); /* those that an image names */
int pull_kept_check(struct image_store *is);  /* at start: too old, or not whole */
bool pull_kept_whole(struct image_store *is, const char *blob_digest, uint64_t blob_bytes,
		     const char *diff_id);

int image_store_layout(struct image_store *is, struct err *err); /* folders, oci-layout */
int image_index_write(struct image_store *is);			 /* index.json from the rows */
int image_index_text(struct image_store *is, char **ret_text);	 /* what it writes */
typedef int (*image_garbage_fn)(void *user, const char *path);
int image_garbage_each(struct image_store *is, image_garbage_fn fn, void *user);
int image_sweep(struct image_store *is); /* nothing is under way */
char *image_blob_path(const struct image_store *is, const char *digest);

void image_strv_free(char **strv);
int image_strv_add(char ***strv, size_t *n, const char *text);
DEFINE_CLEANUP(char **, image_strv_free)
DEFINE_CLEANUP(struct image *, image_free)
DEFINE_CLEANUP(struct image_draft *, image_draft_free)
