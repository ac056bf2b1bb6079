/* SPDX-License-Identifier: Apache-2.0 */
/* image_push.h - from the store to a registry; what image_push.c and push_layers.c share */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "image/image_say.h"
#include "image/manifest_list.h"
#include "image/reference.h"
#include "registry/registry.h"

struct push {
	struct image_store *is;	       /* borrowed */
	const struct image_push *args; /* borrowed */
	const struct reference *ref;   /* borrowed: its domain and path */
	struct image_say say;
	char id[DIGEST_BUF];
	char **diff_ids; /* owned; one a layer of the manifest */
	json_t *doc;	 /* owned: the manifest */
	/* borrows from doc; a layer that is sent as gzip is the gzip in the end */
	struct oci_manifest manifest;
	char *from;    /* owned: a repository of this registry that has layers of it, or NULL */
	bool as_it_is; /* it was pulled: its layers are not compressed */
	atomic_bool failed; /* a layer: no other is compressed to its end */
};

/* What is sent under a tag or digest. */
struct push_manifest {
	char *text; /* owned */
	size_t len;
	const char *type; /* borrowed: from the image or list */
	char digest[DIGEST_BUF];
};
int push_put_manifest(struct registry *rg, const struct push_manifest *m, const char *tag,
		      struct err *err);
/* Entries of a list that are not here, from another repository of that registry (push_missing.c).
 */
int push_missing(const struct push *push, const struct manifest_list *list, struct err *err);

/* A blob to send. */
struct push_file {
	struct oci_desc desc;
	const char *shown; /* what progress calls it; NULL: not at all */
	int fd;		   /* owned: its bytes; negative: it lies in the store */
	const char
		*plain; /* borrowed: diff id of the layer it is the gzip of; NULL: it lies there */
};

int push_open(const struct push *push, struct registry **ret, struct err *err);
int push_blob(struct push *push, struct registry *rg, struct push_file *file, struct err *err);
int push_layers(struct push *push, struct err *err);

/* Layers that lie uncompressed (push_gzip.c). */
int push_gzip_plan(const struct push *push, size_t i, struct push_file *file, struct err *err);
int push_gzip_make(const struct push *push, struct push_file *file, struct err *err);
