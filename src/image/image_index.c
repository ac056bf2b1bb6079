/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_index.c - index.json, so that the folder is an OCI layout to everyone else
 *
 * Derived from the rows after every change and at every start: a crash in between heals.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/str.h"
#include "image/image_store.h"
#include "image/reference.h"
#include "store/store.h"

struct index {
	json_t *manifests;
};

/* The whole name, not only its tag as in an archive of `docker save`: a layout that holds all
 * images has many of the tag "latest", and skopeo and umoci find one by what stands here. */
static int index_annotate(json_t *entry, const char *canonical)
{
	return json_object_set_new(entry, "annotations",
				   json_pack("{s:s, s:s}", "io.containerd.image.name", canonical,
					     "org.opencontainers.image.ref.name", canonical));
}

static int index_row(void *user, struct store_row *row)
{
	struct index *index = user;
	const char *canonical = store_row_text(row, 5);
	json_t *entry;

	entry = json_pack("{s:s, s:s, s:I, s:{s:s, s:s}}", "mediaType", store_row_text(row, 0),
			  "digest", store_row_text(row, 1), "size",
			  (json_int_t)store_row_int(row, 2), "platform", "architecture",
			  store_row_text(row, 3), "os", store_row_text(row, 4));
	if (!entry)
		return -ENOMEM;
	if (canonical && index_annotate(entry, canonical) < 0) {
		json_decref(entry);
		return -ENOMEM;
	}
	return json_array_append_new(index->manifests, entry) < 0 ? -ENOMEM : 0;
}

/**
 * image_index_text() - index.json as the rows give it
 * @is:	      Store
 * @ret_text: Heap text
 *
 * Return: 0 or negative errno
 */
int image_index_text(struct image_store *is, char **ret_text)
{
	_cleanup_(json_decrefp) json_t *doc = NULL;
	struct index index;
	int r;

	doc = json_pack("{s:i, s:s, s:[]}", "schemaVersion", 2, "mediaType", OCI_TYPE_INDEX,
			"manifests");
	if (!doc)
		return -ENOMEM;
	index.manifests = json_object_get(doc, "manifests");
	r = store_exec(is->store,
		       "SELECT manifest_type, manifest_digest, manifest_bytes, architecture, os, "
		       "ref FROM images LEFT JOIN image_tags ON image_id = id "
		       "WHERE manifest_digest <> '' ORDER BY added_ns, id, ref",
		       index_row, &index, "");
	if (r < 0)
		return r;
	*ret_text = json_dumps(doc, JSON_COMPACT);
	return *ret_text ? 0 : -ENOMEM;
}

/**
 * image_index_write() - Rewrite index.json from the rows
 * @is: Store
 *
 * Return: 0 or negative errno
 */
int image_index_write(struct image_store *is)
{
	_cleanup_free_ char *path = str_format("%s/index.json", is->root), *text = NULL;
	int r;

	if (!path)
		return -ENOMEM;
	(void)pthread_mutex_lock(&is->index_lock);
	r = image_index_text(is, &text);
	if (r == 0)
		r = fs_write_file(path, text, strlen(text), 0600);
	(void)pthread_mutex_unlock(&is->index_lock);
	return r;
}
