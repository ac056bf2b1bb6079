/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tar_sparse.c - GNU tar's sparse files: the old header, and the pax forms 0.0, 0.1 and 1.0
 *
 * All forms end as a list of pieces; tar_sparse_check() is what makes it trustworthy.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/tar_internal.h"

#define TAR_OLD_SPARSE 386
#define TAR_OLD_EXTENDED 482
#define TAR_OLD_REAL_SIZE 483
#define TAR_OLD_PIECES 4
#define TAR_EXT_EXTENDED 504
#define TAR_EXT_PIECES 21
#define TAR_PIECE_BYTES 24
#define TAR_NUMBER_TEXT_MAX 20

/**
 * tar_sparse_add() - Append a piece
 * @tar:    Reader
 * @offset: Where in the file
 * @len:    How long
 *
 * Return: 0, -EINVAL for too many, or -ENOMEM
 */
int tar_sparse_add(struct tar *tar, uint64_t offset, uint64_t len)
{
	struct tar_sparse *sp = &tar->extra.sparse;

	if (sp->n == TAR_SPARSE_MAX)
		return tar_invalid(tar, "sparse file with too many pieces");
	if (sp->n == sp->cap) {
		size_t cap = sp->cap ? sp->cap * 2 : 64;
		struct tar_piece *bigger = realloc(sp->pieces, cap * sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		sp->pieces = bigger;
		sp->cap = cap;
	}
	sp->pieces[sp->n++] = (struct tar_piece){offset, len};
	return 0;
}

/* Return: 1 at the list's end, 0 if there may be more, or an error */
static int tar_sparse_old_list(struct tar *tar, const unsigned char *at, size_t n)
{
	for (size_t i = 0; i < n; i++, at += TAR_PIECE_BYTES) {
		int64_t offset, len;
		int r;

		if (at[0] == 0)
			return 1;
		if (tar_number(at, 12, &offset) < 0 || tar_number(at + 12, 12, &len) < 0 ||
		    offset < 0 || len < 0)
			return tar_invalid(tar, "invalid sparse file");
		r = tar_sparse_add(tar, (uint64_t)offset, (uint64_t)len);
		if (r < 0)
			return r;
	}
	return 0;
}

/**
 * tar_sparse_old() - The old GNU form: pieces in the header and in blocks behind it
 * @tar:    Reader, right behind the header
 * @header: The header block
 *
 * Return: 0, -EINVAL, -ENOMEM, or the source's error
 */
int tar_sparse_old(struct tar *tar, const unsigned char *header)
{
	struct tar_sparse *sp = &tar->extra.sparse;
	bool more = header[TAR_OLD_EXTENDED];
	int64_t real;
	int r;

	if (tar_number(header + TAR_OLD_REAL_SIZE, 12, &real) < 0 || real < 0)
		return tar_invalid(tar, "invalid sparse file");
	sp->n = 0;
	sp->used = true;
	sp->real_size = (uint64_t)real;
	r = tar_sparse_old_list(tar, header + TAR_OLD_SPARSE, TAR_OLD_PIECES);
	while (r >= 0 && more) {
		const unsigned char *block;

		r = tar_block(tar, &block);
		if (r == 0)
			return tar_invalid(tar, "unexpected EOF");
		if (r > 0) {
			more = block[TAR_EXT_EXTENDED];
			r = tar_sparse_old_list(tar, block, TAR_EXT_PIECES);
		}
	}
	return MIN(r, 0);
}

/* Decimal digits up to @stop; leaves *at behind it. */
static int tar_sparse_decimal(const char **at, char stop, uint64_t *ret_value)
{
	const char *p = *at;
	uint64_t value = 0;

	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return -EINVAL;
	if (*p != stop && !(stop == ',' && *p == 0))
		return -EINVAL;
	*at = *p ? p + 1 : p;
	*ret_value = value;
	return 0;
}

/**
 * tar_sparse_map_text() - pax 0.1: "offset,length,offset,length"
 * @tar:  Reader
 * @text: The list
 *
 * Return: 0, -EINVAL or -ENOMEM
 */
int tar_sparse_map_text(struct tar *tar, const char *text)
{
	tar->extra.sparse.n = 0;
	tar->extra.sparse.offset_is_next = false; /* its piece is gone */
	while (*text) {
		uint64_t offset, len;
		int r;

		if (tar_sparse_decimal(&text, ',', &offset) < 0 ||
		    tar_sparse_decimal(&text, ',', &len) < 0)
			return tar_invalid(tar, "invalid sparse file");
		r = tar_sparse_add(tar, offset, len);
		if (r < 0)
			return r;
	}
	return 0;
}

/* One line "number\n" of a map at the start of the contents, which comes in whole blocks. */
static int tar_sparse_line(struct tar *tar, struct buf *map, uint64_t *ret_value)
{
	const char *at;
	int r;

	while (!memchr(map->data ? map->data : "", '\n', map->len)) {
		if (map->len > TAR_NUMBER_TEXT_MAX || tar->stored < TAR_BLOCK_BYTES)
			return tar_invalid(tar, "invalid sparse file");
		r = tar_take(tar, map, TAR_BLOCK_BYTES);
		if (r < 0)
			return r;
		tar->stored -= TAR_BLOCK_BYTES;
	}
	at = map->data;
	if (tar_sparse_decimal(&at, '\n', ret_value) < 0)
		return tar_invalid(tar, "invalid sparse file");
	buf_consume(map, (size_t)(at - map->data));
	return 0;
}

/**
 * tar_sparse_map_data() - pax 1.0: the list stands in front of the contents
 * @tar: Reader, at the contents
 *
 * Return: 0, -EINVAL, -ENOMEM, or the source's error
 */
int tar_sparse_map_data(struct tar *tar)
{
	_cleanup_buf_ struct buf map = {};
	uint64_t n, offset, len;
	int r = tar_sparse_line(tar, &map, &n);

	if (r == 0 && n > TAR_SPARSE_MAX)
		return tar_invalid(tar, "sparse file with too many pieces");
	tar->extra.sparse.n = 0;
	for (uint64_t i = 0; i < n && r == 0; i++) {
		r = tar_sparse_line(tar, &map, &offset);
		if (r == 0)
			r = tar_sparse_line(tar, &map, &len);
		if (r == 0)
			r = tar_sparse_add(tar, offset, len);
	}
	return r;
}

/**
 * tar_sparse_check() - Make sure that pieces ascend, fit into the file and are all there
 * @tar: Reader with the list complete
 *
 * Return: 0 or -EINVAL
 */
int tar_sparse_check(struct tar *tar)
{
	const struct tar_sparse *sp = &tar->extra.sparse;
	uint64_t end = 0, sum = 0;

	for (size_t i = 0; i < sp->n; i++) {
		const struct tar_piece *p = &sp->pieces[i];

		if (p->offset < end || p->offset > sp->real_size ||
		    p->len > sp->real_size - p->offset)
			return tar_invalid(tar, "invalid sparse file");
		end = p->offset + p->len;
		sum += p->len; /* no overflow: pieces do not overlap */
	}
	return sum > tar->stored ? tar_invalid(tar, "invalid sparse file") : 0;
}
