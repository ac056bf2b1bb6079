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
struct platform;

/* Capacity of every root disk: rootfs are assembled with it when an image is loaded. */
#define IMAGE_DISK_BYTES (256ULL << 30)

struct image {
	char id[DIGEST_BUF]; /* digest of the config */
	int64_t created_ns;  /* 0 if the config does not say */
	int64_t tagged_ns;   /* last time one of its tags was set; 0 never */
	uint64_t size_bytes;
	char *architecture, *os, *variant; /* owned */
	char **repo_tags;		   /* owned, familiar ("busybox:latest"), NULL-terminated */
	char **repo_digests;		   /* owned, NULL-terminated */
	char **diff_ids;		   /* owned, NULL-terminated; NULL from image_list() */
	char manifest_digest[DIGEST_BUF];  /* "" if none */
	char *manifest_type;		   /* owned: media type of the manifest */
	bool listed;			   /* a tag came as a manifest list that has it */
	uint64_t manifest_bytes;
	char *comment;	/* owned: of the config or its last history entry, "" if none */
	json_t *labels; /* owned reference: object, or NULL */
	json_t *config; /* owned reference: the whole config document, immutable; NULL from
			   image_list() */
};
void image_free(struct image *image);

int image_store_new(const char *root /* <data-root>/images */, struct store *store,
		    struct image_store **ret, struct err *err);
void image_store_free(struct image_store *is);

/* Progress and result lines of a stream (load, import, pull): JSON objects as `docker load`
 * expects. <0 stops. */
typedef int (*image_progress_fn)(void *user, json_t *line /* borrowed */);

/* docker-archive or OCI archive, plain/gzip/zstd/bzip2/xz, from a stream. platforms: "os/arch",
 * what to take from a multi-platform archive; none: all that is in it. loaded: told of each image
 * once it is there, may be NULL. */
struct image_load {
	bool quiet; /* result lines only */
	const char *const *platforms;
	size_t platforms_n;
	image_progress_fn progress;
	void (*loaded)(void *user, const char *id);
	void *user; /* for both */
};
int image_load(struct image_store *is, const struct byte_source *source,
	       const struct image_load *load, struct err *err);
/* One image out of a registry, or all tags of a repository. */
struct registry_options;
struct registry_auth;
struct image_pull {
	const struct registry_options *registries;
	const char *ref; /* name[:tag][@digest]; neither tag nor digest: all tags */
	const struct registry_auth *auth;
	const char *platform; /* "os/arch[/variant]"; NULL: this host's */
	struct cancel *cancel;
	image_progress_fn progress;
	/* told of each image once it is there; may be NULL */
	void (*pulled)(void *user, const char *id, const char *familiar);
	void *user; /* for both */
};
int image_pull(struct image_store *is, const struct image_pull *pull, struct err *err);

/* One tag, or all tags of a repository, to its registry. */
struct image_push {
	const struct registry_options *registries;
	const char *ref;		 /* name[:tag]; without a tag: all of them */
	const struct platform *platform; /* that image of a manifest list alone; NULL: the list */
	const struct registry_auth *auth;
	struct cancel *cancel;
	image_progress_fn progress;			  /* never called twice at once */
	void (*pushed)(void *user, const char *familiar); /* told of each; may be NULL */
	void *user;
};
int image_push(struct image_store *is, const struct image_push *push, struct err *err);

/* Questions to registries; nothing is stored. auth may be NULL. */
struct image_remote {
	const struct registry_options *registries;
	const struct registry_auth *auth;
	struct cancel *cancel;
};
/* domain: "docker.io", "host:5000". ERR_UNAUTHORIZED where it does not accept the credentials. */
int image_remote_login(const struct image_remote *remote, const char *domain,
		       char **ret_identity_token /* heap, "" if none */, struct err *err);
/* Docker's DistributionInspect; new reference */
int image_remote_describe(const struct image_remote *remote, const char *ref, json_t **ret,
			  struct err *err);
/* Docker's list of search results, at most limit; new reference */
int image_remote_search(const struct image_remote *remote, const char *term, unsigned int limit,
			json_t **ret, struct err *err);

/* a root filesystem tar; ref may be NULL or ""; changes: Dockerfile instructions (CMD, ENTRYPOINT,
 * ENV, ...); ret_id */
int image_import(struct image_store *is, const struct byte_source *source, const char *ref,
		 const char *message, const char *const *changes, size_t n_changes,
		 const char *platform, char ret_id[static DIGEST_BUF], struct err *err);

/* A tar of images: docker's manifest.json and an OCI layout in one, as `docker save` writes it. */
struct image_save {
	const char *const *refs; /* names or ids; a name without a tag: all of its tags */
	size_t refs_n;
	const struct platform *platforms; /* what is taken of each; none: all that is here */
	size_t platforms_n;
	int (*write)(void *user, const void *data, size_t len); /* <0 stops */
	void *user;
};
int image_save(struct image_store *is, const struct image_save *save, struct err *err);

/* Any of: name[:tag][@digest], full id, unambiguous id prefix. ERR_NOT_FOUND "No such image: x".
 * ret_image: image_free(). */
int image_get(struct image_store *is, const char *ref_or_id, struct image **ret_image,
	      struct err *err);
/* The same for a platform, NULL for any: another image of the manifest list that the name came as,
 * if the one it points at does not fit. ERR_NOT_FOUND in dockerd's words. */
int image_get_for(struct image_store *is, const char *ref_or_id, const struct platform *platform,
		  struct image **ret_image, struct err *err);
/* Tags, familiar, that came as a list which has the image; NULL-terminated, heap */
int image_listed_as(struct image_store *is, const char *id, char ***ret_tags, struct err *err);
/* Ids of the other images of that list; NULL-terminated, heap */
int image_siblings(struct image_store *is, const char *ref, const char *id, char ***ret_ids,
		   struct err *err);
/* Docker's ImageManifestSummary array; new reference. name: the one asked for; NULL for any */
int image_manifests(struct image_store *is, const struct image *image, const char *name,
		    json_t **ret, struct err *err);
int image_list(struct image_store *is,
	       struct image ***ret_images /* newest first; free each, then the array */,
	       size_t *ret_n, struct err *err);
int image_tag(struct image_store *is, const char *ref_or_id, const char *repo, const char *tag,
	      char **ret_ref, struct err *err);
/* familiar_ref: with tag, or name@digest. Removes one name of an image, whatever else it has. */
int image_untag(struct image_store *is, const char *familiar_ref, const char *id, struct err *err);
/* Docker's HistoryResponseItem array, newest first. */
int image_history(struct image_store *is, const struct image *image, json_t **ret, struct err *err);
/* Deletes config, manifest, and blobs, layers and rootfs nothing else uses. Caller (core) made sure
 * no container uses it. */
int image_delete(struct image_store *is, const char *id,
		 char ***ret_deleted /* "sha256:..." lines */,
		 uint64_t *ret_bytes /* of layers that went; or NULL */, struct err *err);
/* Layers that are spared for the next attempt of a pull that did not end, unless one uses them. */
int image_prune_kept(struct image_store *is, char ***ret_deleted, uint64_t *ret_bytes,
		     struct err *err);
/* The disk for containers of this image; kept until image_delete. */
int image_rootfs(struct image_store *is, const struct image *image, uint64_t disk_bytes,
		 char **ret_vmdk, struct err *err);
uint64_t image_store_layers_bytes(struct image_store *is);
/* For each image: bytes of those of its layers that other images have, too. */
int image_shared_bytes(struct image_store *is, struct image *const *images, size_t n,
		       int64_t *ret_bytes /* array of n */, struct err *err);
