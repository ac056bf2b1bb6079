/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tar.c - read a tar stream: headers and contents
 *
 * DOC: Theory of operation
 *
 * Why not libarchive, which writes our archives: it passes pax names through the locale. In
 * a UTF-8 locale it normalises them (e + U+0301 becomes U+00E9), in the C locale it loses link
 * targets; both change files of an image. A layer's names are bytes and must come out as they went
 * in.
 *
 * A header block is followed by its contents, padded to TAR_BLOCK_BYTES. pax ('x') and GNU ('L',
 * 'K') headers speak about the next entry (tar_pax.c); global pax headers ('g') and volume labels
 * are skipped, as Docker does. GNU sparse files are known in all four of their forms
 * (tar_sparse.c). The end is two zero blocks or the end of the stream at a header.
 *
 * Hostile: every byte. Limits: TAR_SPECIAL_BYTES_MAX, TAR_XATTRS_MAX, TAR_SPARSE_MAX; no number in
 * an archive makes us allocate more than what has arrived.
 */
#include "image/tar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/tar_internal.h"

#define TAR_SIZE_MAX (1ULL << 62)

/* Offsets of header fields (POSIX, pax: ustar Interchange Format). */
enum tar_field {
	TAR_NAME = 0,
	TAR_MODE = 100,
	TAR_UID = 108,
	TAR_GID = 116,
	TAR_SIZE = 124,
	TAR_MTIME = 136,
	TAR_CHECKSUM = 148,
	TAR_TYPE = 156,
	TAR_LINKNAME = 157,
	TAR_MAGIC = 257,
	TAR_DEVMAJOR = 329,
	TAR_DEVMINOR = 337,
	TAR_PREFIX = 345,
	TAR_STAR_TRAILER = 508,
};

/**
 * tar_new() - A reader
 * @read:    Source of the uncompressed tar
 * @user:    Its argument
 * @ret_tar: The reader, owned by the caller
 *
 * Return: 0 or -ENOMEM
 */
int tar_new(tar_read_fn read, void *user, struct tar **ret_tar)
{
	struct tar *tar = calloc(1, sizeof(*tar));

	if (!tar)
		return -ENOMEM;
	tar->read = read;
	tar->user = user;
	*ret_tar = tar;
	return 0;
}

/**
 * tar_free() - Free a reader
 * @tar: Reader or NULL
 */
void tar_free(struct tar *tar)
{
	if (!tar)
		return;
	tar_extra_done(&tar->extra);
	free(tar);
}

/**
 * tar_error() - What was wrong with the bytes
 * @tar: Reader
 *
 * Return: a text after -EINVAL for a defect in the archive, else NULL
 */
const char *tar_error(const struct tar *tar)
{
	return tar->error;
}

/**
 * tar_invalid() - Record a defect
 * @tar:  Reader
 * @text: Literal
 *
 * Return: -EINVAL
 */
int tar_invalid(struct tar *tar, const char *text)
{
	tar->error = text;
	return -EINVAL;
}

/* Have at least one byte, or know that there is none. */
static int tar_fill(struct tar *tar)
{
	const void *data = NULL;
	ssize_t n;

	if (tar->left || tar->source_end)
		return 0;
	n = tar->read(tar->user, &data);
	if (n < 0)
		return (int)n;
	tar->at = data;
	tar->left = (size_t)n;
	tar->source_end = n == 0;
	return 0;
}

/**
 * tar_block() - The next block
 * @tar:       Reader
 * @ret_block: Valid until the next call
 *
 * Return: 1, 0 at the end of the stream, -EINVAL inside a block, or the source's error
 */
int tar_block(struct tar *tar, const unsigned char **ret_block)
{
	size_t got = 0;
	int r;

	r = tar_fill(tar);
	if (r < 0)
		return r;
	if (tar->left >= TAR_BLOCK_BYTES) {
		*ret_block = tar->at;
		tar->at += TAR_BLOCK_BYTES;
		tar->left -= TAR_BLOCK_BYTES;
		return 1;
	}
	while (got < TAR_BLOCK_BYTES) {
		size_t n = MIN(tar->left, TAR_BLOCK_BYTES - got);

		if (n)
			memcpy(tar->block + got, tar->at, n);
		tar->at += n;
		tar->left -= n;
		got += n;
		r = tar_fill(tar);
		if (r < 0)
			return r;
		if (tar->source_end && got < TAR_BLOCK_BYTES)
			return got ? tar_invalid(tar, "unexpected EOF") : 0;
	}
	*ret_block = tar->block;
	return 1;
}

static int tar_skip(struct tar *tar, uint64_t len)
{
	while (len) {
		uint64_t n;
		int r = tar_fill(tar);

		if (r < 0)
			return r;
		if (tar->source_end)
			return tar_invalid(tar, "unexpected EOF");
		n = MIN(len, tar->left);
		tar->at += n;
		tar->left -= n;
		len -= n;
	}
	return 0;
}

/**
 * tar_take() - Append bytes of the stream to a buffer
 * @tar: Reader
 * @out: Buffer
 * @len: How many
 *
 * Return: 0, -EINVAL if the stream ends before, -ENOMEM, or the source's error
 */
int tar_take(struct tar *tar, struct buf *out, uint64_t len)
{
	while (len) {
		uint64_t n;
		int r = tar_fill(tar);

		if (r < 0)
			return r;
		if (tar->source_end)
			return tar_invalid(tar, "unexpected EOF");
		n = MIN(len, tar->left);
		buf_add(out, tar->at, n);
		if (out->failed)
			return -ENOMEM;
		tar->at += n;
		tar->left -= n;
		len -= n;
	}
	return 0;
}

/**
 * tar_number() - A number in a header: octal text or, beyond its range, base 256
 * @field:     Field
 * @len:       Its length
 * @ret_value: The number; 0 for an empty field
 *
 * Return: 0 or -EINVAL
 */
int tar_number(const unsigned char *field, size_t len, int64_t *ret_value)
{
	uint64_t value = 0;
	size_t i = 0;

	if (field[0] & 0x80) {
		bool negative = field[0] & 0x40;

		value = negative ? ~0ULL : 0;
		for (; i < len; i++) {
			uint64_t byte = i ? field[i] : (field[0] & 0x7f) | (negative ? 0x80 : 0);

			if (value >> 55 != (negative ? 0x1ff : 0))
				return -EINVAL;
			value = value << 8 | byte;
		}
		*ret_value = (int64_t)value;
		return 0;
	}
	while (i < len && (field[i] == ' ' || field[i] == 0))
		i++;
	for (; i < len && field[i] >= '0' && field[i] <= '7'; i++)
		value = value << 3 | (uint64_t)(field[i] - '0'); /* 12 digits at most: fits */
	if (i < len && field[i] != ' ' && field[i] != 0)
		return -EINVAL;
	*ret_value = (int64_t)value;
	return 0;
}

static bool tar_checksum_ok(const unsigned char *h)
{
	int64_t sum = 0, signed_sum = 0, want;

	for (size_t i = 0; i < TAR_BLOCK_BYTES; i++) {
		bool inside = i >= TAR_CHECKSUM && i < TAR_CHECKSUM + 8;

		sum += inside ? ' ' : h[i];
		signed_sum += inside ? ' ' : (signed char)h[i];
	}
	return tar_number(h + TAR_CHECKSUM, 8, &want) == 0 && (want == sum || want == signed_sum);
}

static bool tar_is_zero(const unsigned char *h)
{
	return h[0] == 0 && memcmp(h, h + 1, TAR_BLOCK_BYTES - 1) == 0;
}

/* A special header's body. */
static int tar_special(struct tar *tar, uint64_t size, struct buf *out)
{
	int r;

	buf_reset(out);
	if (size > TAR_SPECIAL_BYTES_MAX)
		return tar_invalid(tar, "extended header is too large");
	r = tar_take(tar, out, size);
	if (r < 0)
		return r;
	buf_add(out, "", 0); /* a string also when there is nothing */
	if (out->failed)
		return -ENOMEM;
	return tar_skip(tar, -size & (TAR_BLOCK_BYTES - 1));
}

static int tar_header_numbers(struct tar *tar, const unsigned char *h, struct tar_entry *e)
{
	const struct tar_extra *x = &tar->extra;
	int64_t mode = 0;

	if (tar_number(h + TAR_MODE, 8, &mode) < 0 ||
	    (!x->has_uid && tar_number(h + TAR_UID, 8, &e->uid) < 0) ||
	    (!x->has_gid && tar_number(h + TAR_GID, 8, &e->gid) < 0) ||
	    (!x->has_mtime && tar_number(h + TAR_MTIME, 12, &e->mtime_sec) < 0))
		return tar_invalid(tar, "invalid tar header");
	if ((e->type == TAR_CHAR || e->type == TAR_BLOCK) &&
	    (tar_number(h + TAR_DEVMAJOR, 8, &e->dev_major) < 0 ||
	     tar_number(h + TAR_DEVMINOR, 8, &e->dev_minor) < 0))
		return tar_invalid(tar, "invalid tar header");
	e->mode = (uint32_t)mode & 07777;
	if (x->has_uid)
		e->uid = x->uid;
	if (x->has_gid)
		e->gid = x->gid;
	if (x->has_mtime) {
		e->mtime_sec = x->mtime_sec;
		e->mtime_nsec = x->mtime_nsec;
	}
	return 0;
}

/* Name and link name from the header alone. */
static void tar_header_names(struct tar *tar, const unsigned char *h)
{
	const char *text = (const char *)h;
	size_t prefix = 0, n = strnlen(text + TAR_NAME, 100);

	if (memcmp(h + TAR_MAGIC, "ustar\0", 6) == 0)
		prefix = strnlen(text + TAR_PREFIX,
				 memcmp(h + TAR_STAR_TRAILER, "tar\0", 4) == 0 ? 131 : 155);
	memcpy(tar->name, text + TAR_PREFIX, prefix);
	if (prefix)
		tar->name[prefix++] = '/';
	memcpy(tar->name + prefix, text + TAR_NAME, n);
	tar->name[prefix + n] = '\0';
	n = strnlen(text + TAR_LINKNAME, 100);
	memcpy(tar->link_name, text + TAR_LINKNAME, n);
	tar->link_name[n] = '\0';
}

static const char *tar_first(const char *a, const char *b, const char *c, const char *d)
{
	return a ? a : b ? b : c ? c : d;
}

static int tar_header_size(struct tar *tar, const unsigned char *h, uint64_t *ret_size)
{
	int64_t size;

	if (tar_number(h + TAR_SIZE, 12, &size) < 0 || size < 0 || (uint64_t)size > TAR_SIZE_MAX)
		return tar_invalid(tar, "invalid tar header: size");
	*ret_size = (uint64_t)size;
	return 0;
}

static int tar_entry_type(struct tar *tar, const unsigned char *h, struct tar_entry *e)
{
	size_t len = strlen(e->path);
	char type = (char)h[TAR_TYPE];

	if (type == 0 || type == '7' || type == 'S')
		type = TAR_FILE;
	if (type == 'D' || (type == TAR_FILE && len && e->path[len - 1] == '/'))
		type = TAR_DIR;
	if (type < TAR_FILE || type > TAR_FIFO)
		return tar_invalid(tar, "unhandled tar header type");
	e->type = (enum tar_type)type;
	return 0;
}

/* Contents of a file, sparse or not. */
static int tar_open_file(struct tar *tar, const unsigned char *h, struct tar_entry *e)
{
	struct tar_sparse *sp = &tar->extra.sparse;
	int r = 0;

	e->size = tar->stored;
	if (h[TAR_TYPE] == 'S')
		r = tar_sparse_old(tar, h);
	else if (sp->major == 1 && !sp->used)
		r = tar_invalid(tar, "invalid sparse file");
	else if (sp->major == 1)
		r = tar_sparse_map_data(tar);
	if (r < 0 || !sp->used)
		return r;
	e->size = sp->real_size;
	return tar_sparse_check(tar);
}

static int tar_open_entry(struct tar *tar, const unsigned char *h, struct tar_entry *e)
{
	struct tar_extra *x = &tar->extra;
	uint64_t size = 0;
	int r;

	tar_header_names(tar, h);
	e->path = tar_first(x->sparse_name, x->path, x->gnu_name.len ? x->gnu_name.data : NULL,
			    tar->name);
	e->link =
		tar_first(x->link, x->gnu_link.len ? x->gnu_link.data : NULL, NULL, tar->link_name);
	e->xattrs = x->xattrs;
	e->n_xattrs = x->n_xattrs;
	r = tar_entry_type(tar, h, e);
	if (r == 0)
		r = tar_header_numbers(tar, h, e);
	if (r == 0)
		r = tar_header_size(tar, h, &size);
	if (r < 0)
		return r;
	if (x->has_size)
		size = x->size;
	tar->piece = 0;
	tar->piece_done = tar->file_done = 0;
	/* Only these have contents, whatever the size field of the others says. */
	tar->stored = e->type == TAR_FILE || h[TAR_TYPE] == 'D' ? size : 0;
	tar->padding = -tar->stored & (TAR_BLOCK_BYTES - 1);
	return e->type == TAR_FILE ? tar_open_file(tar, h, e) : 0;
}

/* One header. Return: 1 for an entry, 2 for something that only speaks of the next, 0 at the end */
static int tar_header(struct tar *tar, struct tar_entry *e)
{
	const unsigned char *block;
	unsigned char h[TAR_BLOCK_BYTES];
	uint64_t size = 0;
	int r = tar_block(tar, &block);

	if (r <= 0)
		return r;
	if (tar_is_zero(block)) {
		r = tar_block(tar, &block);
		if (r > 0 && !tar_is_zero(block))
			return tar_invalid(tar, "invalid tar header");
		return r < 0 ? r : 0;
	}
	memcpy(h, block, sizeof(h));
	if (!tar_checksum_ok(h))
		return tar_invalid(tar, "invalid tar header");
	if (!strchr("xXgLKV", h[TAR_TYPE]) || h[TAR_TYPE] == 0) {
		r = tar_open_entry(tar, h, e);
		return r < 0 ? r : 1;
	}
	r = tar_header_size(tar, h, &size);
	if (r < 0)
		return r;
	switch (h[TAR_TYPE]) {
	case 'x':
	case 'X':
		tar_pax_reset(&tar->extra);
		r = tar_special(tar, size, &tar->extra.pax);
		if (r == 0)
			r = tar_pax_parse(tar);
		break;
	case 'L':
		r = tar_special(tar, size, &tar->extra.gnu_name);
		break;
	case 'K':
		r = tar_special(tar, size, &tar->extra.gnu_link);
		break;
	default:
		r = size > TAR_SPECIAL_BYTES_MAX ? tar_invalid(tar, "extended header is too large")
						 : tar_skip(tar, ALIGN_UP(size, TAR_BLOCK_BYTES));
	}
	return r < 0 ? r : 2;
}

/**
 * tar_next() - The next entry
 * @tar:       Reader
 * @ret_entry: The entry
 *
 * Contents of the last entry that were not read are skipped.
 *
 * Return: 1, 0 at the end, -EINVAL for a defect (text in tar_error()), -ENOMEM, or the source's
 * error
 */
int tar_next(struct tar *tar, struct tar_entry *ret_entry)
{
	struct tar_entry e = {};
	int r;

	if (tar->ended)
		return 0;
	r = tar_skip(tar, tar->stored);
	if (r == 0)
		r = tar_skip(tar, tar->padding);
	if (r < 0)
		return r;
	tar->stored = tar->padding = 0;
	tar_extra_reset(&tar->extra);
	do
		r = tar_header(tar, &e);
	while (r == 2);
	if (r == 0)
		tar->ended = true;
	if (r == 1)
		*ret_entry = e;
	return r;
}

/**
 * tar_data() - The next piece of a file's contents
 * @tar:	Reader, after tar_next() gave a TAR_FILE
 * @ret_data:	The bytes, valid until the next call
 * @ret_offset: Their place in the file; what no piece covers is a hole
 *
 * Return: how many, 0 at the end, -EINVAL if the archive is truncated, or the source's error
 */
ssize_t tar_data(struct tar *tar, const void **ret_data, uint64_t *ret_offset)
{
	struct tar_sparse *sp = &tar->extra.sparse;
	uint64_t want = tar->stored;
	size_t n;
	int r;

	if (sp->used) {
		while (tar->piece < sp->n && tar->piece_done == sp->pieces[tar->piece].len) {
			tar->piece++;
			tar->piece_done = 0;
		}
		if (tar->piece == sp->n)
			return 0;
		want = sp->pieces[tar->piece].len - tar->piece_done;
	}
	if (!want)
		return 0;
	r = tar_fill(tar);
	if (r < 0)
		return r;
	if (tar->source_end)
		return tar_invalid(tar, "unexpected EOF");
	n = MIN(want, tar->left);
	*ret_data = tar->at;
	*ret_offset = sp->used ? sp->pieces[tar->piece].offset + tar->piece_done : tar->file_done;
	tar->at += n;
	tar->left -= n;
	tar->stored -= n;
	tar->piece_done += n;
	tar->file_done += n;
	return (ssize_t)n;
}
