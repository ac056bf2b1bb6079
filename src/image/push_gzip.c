/* SPDX-License-Identifier: Apache-2.0 */
/*
 * push_gzip.c - layers that lie uncompressed go out as gzip
 *
 * DOC: Theory of operation
 *
 *	blob of the store -> its digest is the diff id? -> gzip in a file without a name -> upload
 *
 * What was loaded or imported as a tar lies in the store as it came; registries are given gzip, as
 * dockerd gives it. The gzip is made by the thread that sends it, into a file that has no name and
 * so is gone with its descriptor, whatever happens. It is always the same (deflate.c), and digest
 * and length are remembered with the layer: the next push asks for the blob before it makes it.
 * Should it become another one (a newer ISA-L), the new one counts.
 *
 * The layer's own digest is compared on the way: a damaged one is not sent under a good name.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cancel.h"
#include "base/str.h"
#include "image/deflate.h"
#include "image/image_push.h"
#include "store/store.h"

struct gzip_source {
	const struct push *push; /* borrowed */
	int fd;
};

static ssize_t gzip_read(void *user, void *data, size_t len)
{
	struct gzip_source *source = user;
	struct cancel *cancel = source->push->args->cancel;
	ssize_t n;

	if (source->push->failed || (cancel && cancel_fired(cancel)))
		return -ECANCELED;
	n = read(source->fd, data, len);
	return n < 0 ? -errno : n;
}

static int gzip_row(void *user, struct store_row *row)
{
	struct oci_desc *desc = user;

	(void)snprintf(desc->digest, sizeof(desc->digest), "%s", store_row_text(row, 0));
	desc->size = (uint64_t)store_row_int(row, 1);
	return 0;
}

static int gzip_remember(const struct push *push, const struct push_file *file, struct err *err)
{
	/* of a layer that went meanwhile nothing is remembered */
	int r = store_exec(push->is->store,
			   "INSERT OR REPLACE INTO pushed_gzips "
			   "SELECT diff_id, ?, ? FROM layers WHERE diff_id = ?",
			   NULL, NULL, "sis", file->desc.digest, (int64_t)file->desc.size,
			   file->plain);

	return r < 0 ? err_sys(err, r, "cannot write the gzip of %s down", file->plain) : 0;
}

/* The gzip of a blob, as a descriptor without a name. */
static int gzip_make(const struct push *push, const char *path, struct deflate_result *ret,
		     int *ret_fd)
{
	_cleanup_free_ char *dir = str_format("%s/ingest", push->is->root);
	_cleanup_close_ int in = open(path, O_RDONLY | O_CLOEXEC), out = -EBADF;
	struct gzip_source gs = {.push = push, .fd = in};
	struct byte_source source = {gzip_read, &gs};
	int r;

	if (in < 0)
		return -errno;
	if (!dir)
		return -ENOMEM;
	out = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (out < 0)
		return -errno;
	r = deflate_gzip(&source, out, ret);
	if (r == 0)
		*ret_fd = TAKE_FD(out);
	return r;
}

/**
 * push_gzip_make() - Compress a layer
 * @push: Push
 * @file: With plain; gets descriptor, digest and length
 * @err:  Filled on failure
 *
 * Return: 0, -ECANCELED, or another negative errno
 */
int push_gzip_make(const struct push *push, struct push_file *file, struct err *err)
{
	_cleanup_free_ char *path = image_blob_path(push->is, file->plain);
	struct deflate_result made;
	int r;

	if (!path)
		return err_oom(err);
	r = gzip_make(push, path, &made, &file->fd);
	if (r < 0)
		return err_sys(err, r, "cannot compress layer %s", file->plain);
	if (!str_eq(made.digest_in, file->plain))
		return err_user(err, ERR_INTERNAL, "layer %s is damaged: it hashes to %s",
				file->plain, made.digest_in);
	memcpy(file->desc.digest, made.digest, DIGEST_BUF);
	file->desc.size = made.bytes;
	return gzip_remember(push, file, err);
}

/**
 * push_gzip_plan() - Whether a layer goes out as gzip, and as which
 * @push: Push
 * @i:	  Which layer
 * @file: Of the layer as it lies there; changed if it is to be compressed
 * @err:  Filled on failure
 *
 * Where it is not known what it becomes, it is compressed here.
 *
 * Return: 0 or negative errno
 */
int push_gzip_plan(const struct push *push, size_t i, struct push_file *file, struct err *err)
{
	int r;

	/* no gzip is its own diff id */
	if (push->as_it_is || !str_eq(file->desc.digest, push->diff_ids[i]))
		return 0;
	file->plain = push->diff_ids[i];
	file->desc.media_type = oci_layer_type_gzip(file->desc.media_type);
	r = store_exec(push->is->store,
		       "SELECT blob_digest, blob_bytes FROM pushed_gzips WHERE diff_id = ?",
		       gzip_row, &file->desc, "s", file->plain);
	if (r < 0)
		return err_sys(err, r, "cannot look up the gzip of %s", file->plain);
	return str_eq(file->desc.digest, file->plain) ? push_gzip_make(push, file, err) : 0;
}
