/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unpack.c - xz and bzip2 around an archive or a root filesystem
 *
 * Clients may send both to load and import; registries and OCI know neither, so what is stored is
 * the tar inside. libarchive's filters do the work; gzip, zstd and plain bytes pass through
 * untouched (inflate.c is faster at those). All bytes are hostile: memory is bounded by xz's own
 * dictionary limit, output by the disk.
 */
#include "image/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define UNPACK_HEAD 6
#define UNPACK_BUFFER (128 * 1024)

struct unpack {
	struct byte_source from;
	unsigned char head[UNPACK_HEAD]; /* read to tell the kind, not passed on yet */
	size_t head_len, head_at;
	struct archive *filter; /* owned; NULL passes bytes on */
	char *buffer;		/* owned; the filter's input */
	int source_errno;
	bool source_ended;
	const char *error; /* constant, or borrowed from filter */
};

/* The source again from its first byte. */
static ssize_t unpack_source(struct unpack *up, void *data, size_t len)
{
	size_t n = MIN(len, up->head_len - up->head_at);

	if (n == 0)
		return up->from.read(up->from.user, data, len);
	memcpy(data, up->head + up->head_at, n);
	up->head_at += n;
	return (ssize_t)n;
}

static la_ssize_t unpack_fill(struct archive *a, void *user, const void **ret_data)
{
	struct unpack *up = user;
	ssize_t n = unpack_source(up, up->buffer, UNPACK_BUFFER);

	if (n < 0) {
		up->source_errno = (int)n;
		archive_set_error(a, (int)-n, "%s", "read");
		return -1;
	}
	up->source_ended = n == 0;
	*ret_data = up->buffer;
	return n;
}

static int unpack_peek(struct unpack *up)
{
	while (up->head_len < UNPACK_HEAD) {
		ssize_t n = up->from.read(up->from.user, up->head + up->head_len,
					  UNPACK_HEAD - up->head_len);

		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		up->head_len += (size_t)n;
	}
	return 0;
}

static bool unpack_packed(const struct unpack *up)
{
	static const unsigned char xz[] = {0xfd, '7', 'z', 'X', 'Z', 0};
	const unsigned char *h = up->head;

	if (up->head_len < UNPACK_HEAD)
		return false;
	/* "BZh", the level, and the first bytes of a block's magic number */
	return memcmp(h, xz, sizeof(xz)) == 0 || (memcmp(h, "BZh", 3) == 0 && h[3] >= '1' &&
						  h[3] <= '9' && h[4] == 0x31 && h[5] == 0x41);
}

static int unpack_filter(struct unpack *up, struct err *err)
{
	struct archive_entry *entry;

	up->buffer = malloc(UNPACK_BUFFER);
	up->filter = archive_read_new();
	if (!up->buffer || !up->filter)
		return err_oom(err);
	(void)archive_read_support_filter_bzip2(up->filter); /* warn if a program does it */
	(void)archive_read_support_filter_xz(up->filter);
	(void)archive_read_support_format_raw(up->filter);
	if (archive_read_open(up->filter, up, NULL, unpack_fill, NULL) == ARCHIVE_OK &&
	    archive_read_next_header(up->filter, &entry) == ARCHIVE_OK)
		return 0;
	if (up->source_errno)
		return err_sys(err, up->source_errno, "the archive stopped halfway");
	return err_user(err, ERR_INVALID, "invalid archive: %s", archive_error_string(up->filter));
}

/**
 * unpack_new() - Look at a source's first bytes, and put a filter before it if they ask for one
 * @from: Source; borrowed until unpack_free()
 * @ret:  unpack_free(); set on success only
 * @err:  ERR_INVALID if it only looked like xz or bzip2
 *
 * Return: 0 or negative errno
 */
int unpack_new(const struct byte_source *from, struct unpack **ret, struct err *err)
{
	_cleanup_(unpack_freep) struct unpack *up = calloc(1, sizeof(*up));
	int r;

	if (!up)
		return err_oom(err);
	up->from = *from;
	r = unpack_peek(up);
	if (r < 0)
		return err_sys(err, r, "the archive stopped halfway");
	if (unpack_packed(up)) {
		r = unpack_filter(up, err);
		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(up);
	return 0;
}

/**
 * unpack_free() - Free it; the source stays
 * @up: Object; may be NULL
 */
void unpack_free(struct unpack *up)
{
	if (!up)
		return;
	if (up->filter)
		(void)archive_read_free(up->filter); /* readers have nothing to lose */
	free(up->buffer);
	free(up);
}

/**
 * unpack_read() - Next bytes
 * @unpack: Object
 * @data:   Receives them
 * @len:    How many at most
 *
 * Return: bytes, 0 at the end, -EBADMSG if they are broken, or the source's errno
 */
ssize_t unpack_read(void *unpack, void *data, size_t len)
{
	struct unpack *up = unpack;
	la_ssize_t n;

	if (!up->filter)
		return unpack_source(up, data, len);
	n = archive_read_data(up->filter, data, len);
	if (n >= 0)
		return n;
	if (up->source_errno)
		return up->source_errno;
	up->error = up->source_ended ? "unexpected end of compressed data"
				     : archive_error_string(up->filter);
	return -EBADMSG;
}

/**
 * unpack_error() - What is wrong with the bytes
 * @up: Object
 *
 * Return: text after unpack_read() returned -EBADMSG, else NULL
 */
const char *unpack_error(const struct unpack *up)
{
	return up->error;
}
