/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unpack.c - xz and bzip2 around an archive or a root filesystem
 *
 * Clients may send both to load and import; registries and OCI know neither, so what is stored is
 * the tar inside. gzip, zstd and plain bytes pass through untouched (inflate.c is faster at those).
 *
 * All bytes are hostile. An xz stream names the memory that it wants (its dictionary, up to 4 GiB),
 * so liblzma is used itself: libarchive's filter sets it no limit. bzip2 has 3.7 MiB at most and
 * stays with libarchive. Output is bounded by what reads it, and by the disk.
 */
#include "image/unpack.h"

#include <errno.h>
#include <lzma.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "image/archive.h"

#define UNPACK_HEAD 6
#define UNPACK_BUFFER (128 * 1024)

enum unpack_kind { UNPACK_PLAIN, UNPACK_XZ, UNPACK_BZIP2 };

struct unpack {
	struct byte_source from;
	enum unpack_kind kind;
	unsigned char head[UNPACK_HEAD]; /* read to tell the kind, not passed on yet */
	size_t head_len, head_at;
	lzma_stream xz;			   /* UNPACK_XZ */
	bool xz_ended;			   /* its last stream was whole */
	const struct archive_api *archive; /* UNPACK_BZIP2 */
	struct archive *filter;		   /* owned; UNPACK_BZIP2 */
	char *buffer;			   /* owned; the decoder's input */
	int source_errno;
	bool source_ended;
	char text[128];
	const char *error; /* constant, text, or borrowed from filter */
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
		up->archive->set_error(a, (int)-n, "%s", "read");
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

static enum unpack_kind unpack_find_kind(const struct unpack *up)
{
	static const unsigned char xz[] = {0xfd, '7', 'z', 'X', 'Z', 0};
	const unsigned char *h = up->head;

	if (up->head_len < UNPACK_HEAD)
		return UNPACK_PLAIN;
	if (memcmp(h, xz, sizeof(xz)) == 0)
		return UNPACK_XZ;
	/* "BZh", the level, and the first bytes of a block's magic number */
	if (memcmp(h, "BZh", 3) == 0 && h[3] >= '1' && h[3] <= '9' && h[4] == 0x31 && h[5] == 0x41)
		return UNPACK_BZIP2;
	return UNPACK_PLAIN;
}

static int unpack_xz(struct unpack *up, struct err *err)
{
	up->buffer = malloc(UNPACK_BUFFER);
	if (!up->buffer ||
	    lzma_stream_decoder(&up->xz, UNPACK_XZ_MEMORY_MAX, LZMA_CONCATENATED) != LZMA_OK)
		return err_oom(err);
	return 0;
}

static int unpack_bzip2(struct unpack *up, struct err *err)
{
	struct archive_entry *entry;
	int r = archive_load(&up->archive, err);

	if (r < 0)
		return r;
	up->buffer = malloc(UNPACK_BUFFER);
	up->filter = up->archive->read_new();
	if (!up->buffer || !up->filter)
		return err_oom(err);
	(void)up->archive->read_support_filter_bzip2(up->filter); /* warn if a program does it */
	(void)up->archive->read_support_format_raw(up->filter);
	if (up->archive->read_open(up->filter, up, NULL, unpack_fill, NULL) == ARCHIVE_OK &&
	    up->archive->read_next_header(up->filter, &entry) == ARCHIVE_OK)
		return 0;
	if (up->source_errno)
		return err_sys(err, up->source_errno, "the archive stopped halfway");
	return err_user(err, ERR_INVALID, "invalid archive: %s",
			up->archive->error_string(up->filter));
}

/**
 * unpack_new() - Look at a source's first bytes, and put a filter before it if they ask for one
 * @from: Source; borrowed until unpack_free()
 * @ret:  unpack_free(); set on success only
 * @err:  ERR_INVALID if it only looked like bzip2
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
	up->xz = (lzma_stream)LZMA_STREAM_INIT;
	r = unpack_peek(up);
	if (r < 0)
		return err_sys(err, r, "the archive stopped halfway");
	up->kind = unpack_find_kind(up);
	if (up->kind == UNPACK_XZ)
		r = unpack_xz(up, err);
	else if (up->kind == UNPACK_BZIP2)
		r = unpack_bzip2(up, err);
	if (r < 0)
		return r;
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
	lzma_end(&up->xz); /* one that was never begun is fine */
	if (up->filter)
		(void)up->archive->read_free(up->filter); /* readers have nothing to lose */
	free(up->buffer);
	free(up);
}

static ssize_t unpack_xz_failed(struct unpack *up, lzma_ret code)
{
	switch (code) {
	case LZMA_MEM_ERROR:
		return -ENOMEM;
	case LZMA_MEMLIMIT_ERROR:
		(void)snprintf(up->text, sizeof(up->text),
			       "xz: unpacking it takes %llu MiB of memory, more than the %llu MiB "
			       "allowed",
			       (unsigned long long)(lzma_memusage(&up->xz) / MIB(1)),
			       (unsigned long long)(UNPACK_XZ_MEMORY_MAX / MIB(1))); /* fits */
		up->error = up->text;
		break;
	case LZMA_BUF_ERROR: /* it wants input, and there is none */
		up->error = "unexpected end of compressed data";
		break;
	case LZMA_OPTIONS_ERROR:
		up->error = "xz: unsupported filters";
		break;
	default:
		up->error = "xz: invalid data";
	}
	return -EBADMSG;
}

static ssize_t unpack_read_xz(struct unpack *up, void *data, size_t len)
{
	lzma_stream *xz = &up->xz;

	xz->next_out = data;
	xz->avail_out = len;
	while (xz->avail_out == len && !up->xz_ended) {
		lzma_ret code;

		if (xz->avail_in == 0 && !up->source_ended) {
			ssize_t n = unpack_source(up, up->buffer, UNPACK_BUFFER);

			if (n < 0)
				return n;
			up->source_ended = n == 0;
			xz->next_in = (const uint8_t *)up->buffer;
			xz->avail_in = (size_t)n;
		}
		code = lzma_code(xz, up->source_ended ? LZMA_FINISH : LZMA_RUN);
		up->xz_ended = code == LZMA_STREAM_END;
		if (code != LZMA_OK && code != LZMA_STREAM_END)
			return unpack_xz_failed(up, code);
	}
	return (ssize_t)(len - xz->avail_out);
}

static ssize_t unpack_read_bzip2(struct unpack *up, void *data, size_t len)
{
	la_ssize_t n = up->archive->read_data(up->filter, data, len);

	if (n >= 0)
		return n;
	if (up->source_errno)
		return up->source_errno;
	up->error = up->source_ended ? "unexpected end of compressed data"
				     : up->archive->error_string(up->filter);
	return -EBADMSG;
}

/**
 * unpack_read() - Next bytes
 * @unpack: Object
 * @data:   Receives them
 * @len:    How many at most, not 0
 *
 * Return: bytes, 0 at the end, -EBADMSG if they are broken or want too much memory (text in
 * unpack_error()), or the source's errno
 */
ssize_t unpack_read(void *unpack, void *data, size_t len)
{
	struct unpack *up = unpack;

	if (up->error)
		return -EBADMSG;
	if (up->kind == UNPACK_XZ)
		return unpack_read_xz(up, data, len);
	if (up->kind == UNPACK_BZIP2)
		return unpack_read_bzip2(up, data, len);
	return unpack_source(up, data, len);
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
