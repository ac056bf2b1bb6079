/* SPDX-License-Identifier: Apache-2.0 */
/* ingest.h - bytes on their way into the image store: hashed, written, and converted meanwhile */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/sha256.h"
#include "image/layer.h"

struct ingest;
struct ingest_blob;

/* What the first bytes say. */
enum ingest_kind { INGEST_OTHER, INGEST_TAR, INGEST_GZIP, INGEST_ZSTD };

/* root: the image store's. ingest_free() stops conversions and removes everything not published. */
int ingest_new(const char *root, uint64_t number, struct ingest **ret, struct err *err);
void ingest_free(struct ingest *in);
/* Stop conversions; what was made until then is told. */
void ingest_stop(struct ingest *in);
/* What it has put into blobs/ and layers/: digest and diff id, NULL for what it has not. */
int ingest_each_made(struct ingest *in,
		     int (*fn)(void *user, const char *blob_digest, const char *diff_id),
		     void *user);

/* Blobs are written by one thread, several at a time if need be. They live until ingest_free(). */
int ingest_blob_begin(struct ingest *in, struct ingest_blob **ret, struct err *err);
int ingest_blob_add(struct ingest *in, struct ingest_blob *blob, const void *data, size_t len,
		    struct err *err);
int ingest_blob_end(struct ingest *in, struct ingest_blob *blob, struct err *err);

/* Of an ended blob. */
const char *ingest_blob_digest(const struct ingest_blob *blob);
uint64_t ingest_blob_size(const struct ingest_blob *blob);
enum ingest_kind ingest_blob_kind(const struct ingest_blob *blob);
int ingest_blob_read(struct ingest *in, const struct ingest_blob *blob, size_t max, char **ret_data,
		     size_t *ret_len, struct err *err);
/* How far the conversion of a blob has come; true once it has ended, well or not. */
bool ingest_blob_progress(struct ingest *in, const struct ingest_blob *blob, uint64_t *ret_bytes);
/* Until a conversion ends, or so long. */
void ingest_wait(struct ingest *in, unsigned int timeout_ms);
/* Wait for the conversion (begun while the bytes came in, if they looked like a layer). */
int ingest_blob_layer(struct ingest *in, struct ingest_blob *blob, struct layer_info *ret_info,
		      struct err *err);
/* Once more, of a layer that somebody removed meanwhile. */
int ingest_blob_layer_again(struct ingest *in, struct ingest_blob *blob,
			    struct layer_info *ret_info, struct err *err);
/* Move it to blobs/sha256/, durable. Twice is fine. */
int ingest_blob_publish(struct ingest *in, struct ingest_blob *blob, struct err *err);
/* A document of our own making, straight to blobs/sha256/. */
int ingest_document(struct ingest *in, const void *data, size_t len,
		    char ret_digest[static DIGEST_BUF], struct err *err);
