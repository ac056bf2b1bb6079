/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer_data.c - the data file of a layer: contents one behind the other, in large writes
 *
 * DOC: Theory of operation
 *
 * Small files dominate, so everything is gathered into one LAYER_DATA_BUFFER and written in its
 * multiples. A buffer of nothing but zeros is not written at all, and a jump over a sparse file's
 * hole moves the write position: both become holes in the data file and read as zeros. The file's
 * length is set at the end.
 */
#include "image/layer_data.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/util.h"
#include "image/tree.h"

#define LAYER_DATA_BUFFER KIB(512)
#define LAYER_DATA_AHEAD MIB(16) /* written before the disk is told to begin */
#define LAYER_DATA_BYTES_MAX ((uint64_t)UINT32_MAX * TREE_BLOCK_BYTES)

struct layer_data {
	int fd;		  /* borrowed: the caller's */
	uint64_t base;	  /* where the current file begins, a multiple of TREE_BLOCK_BYTES */
	uint64_t flushed; /* file position of buffer[0] */
	uint64_t begun;	  /* the disk has begun to write what is before this */
	size_t len;
	char buffer[LAYER_DATA_BUFFER];
};

/**
 * layer_data_new() - Write a data file
 * @fd:	      Empty file; stays the caller's
 * @ret_data: The writer, owned by the caller
 *
 * Return: 0 or -ENOMEM
 */
int layer_data_new(int fd, struct layer_data **ret_data)
{
	struct layer_data *d = malloc(sizeof(*d));

	if (!d)
		return -ENOMEM;
	memset(d, 0, offsetof(struct layer_data, buffer));
	d->fd = fd;
	*ret_data = d;
	return 0;
}

/**
 * layer_data_free() - Free a writer; what was not finished is lost
 * @d: Writer or NULL
 */
void layer_data_free(struct layer_data *d)
{
	free(d);
}

/**
 * layer_data_blocks() - Where the next file's contents will begin
 * @d: Writer
 *
 * Return: block number; with all files written, the length of the data file in blocks
 */
uint64_t layer_data_blocks(const struct layer_data *d)
{
	return d->base / TREE_BLOCK_BYTES;
}

static bool layer_data_is_zero(const char *p, size_t len)
{
	return len && p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

/* So that the fdatasync() at the end finds most of it done. */
static void layer_data_begin_writing(struct layer_data *d)
{
	if (d->flushed - d->begun < LAYER_DATA_AHEAD)
		return;
	(void)sync_file_range(d->fd, (off_t)d->begun, (off_t)(d->flushed - d->begun),
			      SYNC_FILE_RANGE_WRITE); /* a hint */
	d->begun = d->flushed;
}

static int layer_data_flush(struct layer_data *d)
{
	int r = 0;

	if (!layer_data_is_zero(d->buffer, d->len))
		r = fs_pwrite_all(d->fd, d->buffer, d->len, (off_t)d->flushed);
	d->flushed += d->len;
	d->len = 0;
	layer_data_begin_writing(d);
	return r;
}

/* Move forward to @position: zeros in the buffer, or a hole. */
static int layer_data_skip(struct layer_data *d, uint64_t position)
{
	uint64_t gap = position - (d->flushed + d->len);
	int r;

	if (gap <= sizeof(d->buffer) - d->len) {
		memset(d->buffer + d->len, 0, gap);
		d->len += gap;
		return 0;
	}
	r = layer_data_flush(d);
	d->flushed = position;
	return r;
}

/**
 * layer_data_write() - Write a piece of the current file
 * @d:	    Writer
 * @offset: Position in the file, not before the end of the last piece
 * @data:   Bytes
 * @len:    How many
 *
 * Return: 0, -EFBIG beyond what blocks can address, -EBADMSG if pieces go backwards, or the errno
 * of a write
 */
int layer_data_write(struct layer_data *d, uint64_t offset, const void *data, size_t len)
{
	const char *p = data;
	int r;

	if (offset > LAYER_DATA_BYTES_MAX || d->base + offset + len > LAYER_DATA_BYTES_MAX)
		return -EFBIG;
	if (d->base + offset < d->flushed + d->len)
		return -EBADMSG;
	r = layer_data_skip(d, d->base + offset);
	while (len && r == 0) {
		size_t n = MIN(len, sizeof(d->buffer) - d->len);

		memcpy(d->buffer + d->len, p, n);
		d->len += n;
		p += n;
		len -= n;
		if (d->len == sizeof(d->buffer))
			r = layer_data_flush(d);
	}
	return r;
}

/**
 * layer_data_align() - End the current file
 * @d:		Writer
 * @file_bytes: Its length, not less than what was written
 *
 * Return: as layer_data_write()
 */
int layer_data_align(struct layer_data *d, uint64_t file_bytes)
{
	uint64_t end;

	if (file_bytes > LAYER_DATA_BYTES_MAX)
		return -EFBIG;
	end = d->base + ALIGN_UP(file_bytes, TREE_BLOCK_BYTES);
	if (end > LAYER_DATA_BYTES_MAX)
		return -EFBIG;
	if (end < d->flushed + d->len)
		return -EBADMSG;
	d->base = end;
	return layer_data_skip(d, end);
}

/**
 * layer_data_finish() - Write what is buffered and set the file's length
 * @d: Writer
 *
 * Return: 0 or negative errno
 */
int layer_data_finish(struct layer_data *d)
{
	int r = layer_data_flush(d);

	if (r < 0)
		return r;
	return ftruncate(d->fd, (off_t)d->base) < 0 ? -errno : 0;
}
