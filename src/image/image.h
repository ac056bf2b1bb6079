/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.h - the image store: references, OCI layout, load, import. Policy (locks over use by
 * containers, events) is core's. All functions are safe from any thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/sha256.h"
#include "image/layer.h"

struct image_store;
struct store; /* SQLite */

struct image {
	char id[DIGEST_BUF]; /* digest of the config */
	int64_t created_ns;
	uint64_t size_bytes;
	char *architecture, *os, *variant; /* owned */
	char **repo_tags;		   /* owned, familiar ("busybox:latest"), NULL-terminated */
	char **repo_digests;		   /* owned, NULL-terminated */
	char **diff_ids;		   /* owned, NULL-terminated */
	char manifest_digest[DIGEST_BUF];  /* "" if none */
	json_t *config; /* owned reference: the whole config document, immutable */
};
void image_free(struct image *image);

int image_store_new(const char *root /* <data-root>/images */, struct store *store,
		    struct image_store **ret, struct err *err);
void image_store_free(struct image_store *is);

/* Progress and result lines of a stream (load, import, pull): JSON objects as `docker load`
 * expects. <0 stops. */
typedef int (*image_progress_fn)(void *user, json_t *line /* borrowed */);

/* docker-archive or OCI archive, plain/gzip/zstd, from a stream */
int image_load(struct image_store *is, const struct byte_source *source, bool quiet,
	       image_progress_fn progress, void *user, struct err *err);
/* a root filesystem tar; ref may be NULL or ""; changes: Dockerfile instructions (CMD, ENTRYPOINT,
 * ENV, ...); ret_id */
int image_import(struct image_store *is, const struct byte_source *source, const char *ref,
		 const char *message, const char *const *changes, size_t n_changes,
		 const char *platform, char ret_id[static DIGEST_BUF], struct err *err);

/* Any of: name[:tag][@digest], full id, unambiguous id prefix. ERR_NOT_FOUND "No such image: x".
 * ret_image: image_free(). */
int image_get(struct image_store *is, const char *ref_or_id, struct image **ret_image,
	      struct err *err);
int image_list(struct image_store *is,
	       struct image ***ret_images /* newest first; free each, then the array */,
	       size_t *ret_n, struct err *err);
int image_tag(struct image_store *is, const char *ref_or_id, const char *repo, const char *tag,
	      char **ret_ref, struct err *err);
int image_untag(struct image_store *is, const char *familiar_ref, struct err *err);
/* Deletes config, manifest, and blobs, layers and rootfs nothing else uses. Caller (core) made sure
 * no container uses it. */
int image_delete(struct image_store *is, const char *id,
		 char ***ret_deleted /* "sha256:..." lines */, struct err *err);
/* The disk for containers of this image; kept until image_delete. */
int image_rootfs(struct image_store *is, const struct image *image, uint64_t disk_bytes,
		 char **ret_vmdk, struct err *err);
uint64_t image_store_layers_bytes(struct image_store *is);
