/* SPDX-License-Identifier: Apache-2.0 */
/* image_push.h - from the store to a registry; what image_push.c and push_layers.c share */
#pragma once

#include <pthread.h>

#include "image/image_say.h"
#include "image/image_store.h"
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
	struct oci_manifest manifest;
	char *from; /* owned: a repository of this registry that has layers of it, or NULL */
};

int push_open(const struct push *push, struct registry **ret, struct err *err);
/* One blob, unless it is there. shown: what progress calls it, or NULL for none. */
int push_blob(struct push *push, struct registry *rg, const struct oci_desc *desc,
	      const char *shown, struct err *err);
int push_layers(struct push *push, struct err *err);
