/* SPDX-License-Identifier: Apache-2.0 */
/* image_archive.h - the tar that `docker save` and OCI tools write, read once, from a stream */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "image/ingest.h"

#define IMAGE_ARCHIVE_MEMBERS_MAX 65536

struct image_archive;

/* Read everything into `in`. ret: image_archive_free(). ERR_INVALID if it is no tar, or cut off. */
int image_archive_read(struct ingest *in, const struct byte_source *source,
		       struct image_archive **ret, struct err *err);
void image_archive_free(struct image_archive *archive);
/* A file by its name, links inside the archive followed; NULL if it is not there. */
struct ingest_blob *image_archive_find(struct image_archive *archive, const char *path);
/* The blob of a digest: blobs/sha256/<hex>, whose bytes must hash to it; NULL if it is not there.
 * ERR_INVALID if it hashes to something else. */
int image_archive_blob(struct image_archive *archive, const char *digest, struct ingest_blob **ret,
		       struct err *err);
