/* SPDX-License-Identifier: Apache-2.0 */
/* images.h - policy over the image store: containers that use images, events, filters */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "image/image.h"

struct core;

/* image_load(), with its events; load->loaded is not called */
int images_load(struct core *core, const struct byte_source *source, const struct image_load *load,
		struct err *err);

struct images_import {
	const char *ref, *message, *platform; /* NULL or "" for none */
	const char *const *changes;
	size_t n_changes;
};
int images_import(struct core *core, const struct byte_source *source,
		  const struct images_import *import, char ret_id[static DIGEST_BUF],
		  struct err *err);

/* image_push(), with its event; push->pushed is not called */
int images_push(struct core *core, const struct image_push *push, struct err *err);
/* filters: is-official, is-automated, stars; text of the query parameter, NULL or "" for none */
int images_search(const struct image_remote *remote, const char *term, unsigned int limit,
		  const char *filters, json_t **ret, struct err *err);

int images_tag(struct core *core, const char *ref_or_id, const char *repo, const char *tag,
	       struct err *err);
/* Between looking an image up and writing down who uses it: no image is removed meanwhile. */
void images_use_begin(void);
void images_use_end(void);

/* ret_records: Docker's [{"Untagged": x}, {"Deleted": y}]; new reference */
int images_remove(struct core *core, const char *ref_or_id, bool force, json_t **ret_records,
		  struct err *err);
/* filters: text of the query parameter, NULL or "" for none */
int images_prune(struct core *core, const char *filters, json_t **ret_records, uint64_t *ret_bytes,
		 struct err *err);
/* Newest first, filtered; free each with image_free(), then the array. reference: one more value of
 * that filter, or NULL. */
int images_list(struct core *core, const char *filters, const char *reference,
		struct image ***ret_images, size_t *ret_n, struct err *err);

struct images_usage {
	int64_t shared_bytes; /* of layers that other images use, too; -1 not computed */
	int64_t containers;   /* made from it, up or not; -1 not computed */
};
int images_usage(struct core *core, struct image *const *images, size_t n, bool shared,
		 struct images_usage **ret, struct err *err);
