/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inflate.c - a byte source that undoes gzip or zstd, or passes plain bytes on
 *
 * DOC: Theory of operation
 *
 * The first bytes of the stream choose the decoder; nothing else (no name, no media type) is
 * believed. gzip goes through ISA-L, zstd through libzstd; both accept several members or frames
 * one behind the other. Zero bytes behind the last gzip member are padding, anything else is a
 * defect. Output goes straight into the reader's buffer; input is read in INFLATE_IN_BYTES pieces.
 *
 * Hostile: every byte. Limits: INFLATE_BYTES_MAX of output, zstd windows of 128 MiB (its own
 * default). One reader at a time; any thread.
 */
#include "image/inflate.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <stdint.h>
#include <string.h>
#include <zstd.h>

#include "base/util.h"

#define INFLATE_IN_BYTES KIB(64)
#define INFLATE_MAGIC_MAX 6

struct inflate {
	struct byte_source from; /* borrowed: whoever made us */
	enum inflate_kind kind;
	bool started;	 /* the magic was looked at */
	bool source_end; /* from has no more */
	bool member_end; /* between two members or frames */
	bool end;
	uint64_t out_bytes;
	const char *error;	    /* borrowed: a literal; set with -EINVAL */
	ZSTD_DStream *zstd;	    /* owned */
	struct inflate_state *gzip; /* owned */
	size_t in_pos, in_len;
	unsigned char in[INFLATE_IN_BYTES];
};

static const struct {
	const char *name;
	unsigned char len;
	unsigned char bytes[INFLATE_MAGIC_MAX];
} inflate_refused[] = {
	{"bzip2-compressed archives are not supported", 3, {'B', 'Z', 'h'}},
	{"xz-compressed archives are not supported", 6, {0xfd, '7', 'z', 'X', 'Z', 0}},
};

/**
 * inflate_new() - A decoder on top of a source
 * @from:	 Compressed or plain bytes; must outlive the decoder
 * @ret_inflate: The decoder, owned by the caller
 *
 * Return: 0 or -ENOMEM
 */
int inflate_new(const struct byte_source *from, struct inflate **ret_inflate)
{
	struct inflate *in = malloc(sizeof(*in));

	if (!in)
		return -ENOMEM;
	memset(in, 0, offsetof(struct inflate, in));
	in->from = *from;
	*ret_inflate = in;
	return 0;
}

/**
 * inflate_free() - Free a decoder
 * @in: Decoder or NULL
 */
void inflate_free(struct inflate *in)
{
	if (!in)
		return;
	(void)ZSTD_freeDStream(in->zstd); /* NULL is fine, and it cannot fail */
	free(in->gzip);
	free(in);
}

/**
 * inflate_error() - What was wrong with the bytes
 * @in: Decoder
 *
 * Return: a text after inflate_read() returned -EINVAL for a defect in the stream, else NULL
 */
const char *inflate_error(const struct inflate *in)
{
	return in->error;
}

/**
 * inflate_kind() - Which compression was found
 * @in: Decoder from which something was read
 *
 * Return: the kind
 */
enum inflate_kind inflate_kind(const struct inflate *in)
{
	return in->kind;
}

static int inflate_invalid(struct inflate *in, const char *text)
{
	in->error = text;
	return -EINVAL;
}

/* Have at least one byte of input, or know that there is none. */
static int inflate_fill(struct inflate *in)
{
	ssize_t n;

	if (in->in_pos < in->in_len || in->source_end)
		return 0;
	n = in->from.read(in->from.user, in->in, sizeof(in->in));
	if (n < 0)
		return (int)n;
	in->in_pos = 0;
	in->in_len = (size_t)n;
	in->source_end = n == 0;
	return 0;
}

static int inflate_find_magic(struct inflate *in)
{
	const unsigned char *p = in->in;
	uint32_t word;

	while (in->in_len < INFLATE_MAGIC_MAX && !in->source_end) {
		ssize_t n = in->from.read(in->from.user, in->in + in->in_len,
					  sizeof(in->in) - in->in_len);

		if (n < 0)
			return (int)n;
		in->in_len += (size_t)n;
		in->source_end = n == 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(inflate_refused); i++)
		if (in->in_len >= inflate_refused[i].len &&
		    memcmp(p, inflate_refused[i].bytes, inflate_refused[i].len) == 0)
			return inflate_invalid(in, inflate_refused[i].name);
	if (in->in_len >= 3 && p[0] == 0x1f && p[1] == 0x8b && p[2] == 8) {
		in->kind = INFLATE_GZIP;
		in->gzip = malloc(sizeof(*in->gzip));
		if (!in->gzip)
			return -ENOMEM;
		isal_inflate_init(in->gzip);
		in->gzip->crc_flag = ISAL_GZIP;
		return 0;
	}
	if (in->in_len < 4)
		return 0;
	memcpy(&word, p, sizeof(word)); /* little endian, as every machine we run on */
	if (word == ZSTD_MAGICNUMBER ||
	    (word & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START) {
		in->kind = INFLATE_ZSTD;
		in->zstd = ZSTD_createDStream();
		if (!in->zstd)
			return -ENOMEM;
	}
	return 0;
}

/* Between two gzip members: begin the next one, or find the end. */
static int inflate_next_member(struct inflate *in)
{
	int r;

	while (in->in_pos < in->in_len && in->in[in->in_pos] == 0)
		in->in_pos++; /* padding, as from a tape */
	if (in->in_pos == in->in_len) {
		r = inflate_fill(in);
		if (r < 0)
			return r;
		in->end = in->source_end;
		return 0;
	}
	if (in->in[in->in_pos] != 0x1f)
		return inflate_invalid(in, "gzip: invalid header");
	isal_inflate_reset(in->gzip);
	in->gzip->crc_flag = ISAL_GZIP;
	in->member_end = false;
	return 0;
}

static ssize_t inflate_read_gzip(struct inflate *in, void *data, size_t len)
{
	struct inflate_state *z = in->gzip;
	int r;

	while (!in->end) {
		uint32_t want = len > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)len;
		bool ended;

		if (in->member_end) {
			r = inflate_next_member(in);
			if (r < 0)
				return r;
			continue;
		}
		r = inflate_fill(in);
		if (r < 0)
			return r;
		ended = in->source_end;
		z->next_in = in->in + in->in_pos;
		z->avail_in = (uint32_t)(in->in_len - in->in_pos);
		z->next_out = data;
		z->avail_out = want;
		r = isal_inflate(z);
		in->in_pos = in->in_len - z->avail_in;
		if (r != ISAL_DECOMP_OK && r != ISAL_END_INPUT && r != ISAL_OUT_OVERFLOW)
			return inflate_invalid(in, r == ISAL_INCORRECT_CHECKSUM
							   ? "gzip: invalid checksum"
							   : "gzip: invalid data");
		in->member_end = z->block_state == ISAL_BLOCK_FINISH;
		if (z->avail_out < want)
			return want - z->avail_out;
		if (ended && !in->member_end)
			return inflate_invalid(in, "gzip: unexpected EOF");
	}
	return 0;
}

static ssize_t inflate_read_zstd(struct inflate *in, void *data, size_t len)
{
	while (!in->end) {
		ZSTD_inBuffer from;
		ZSTD_outBuffer to = {data, len, 0};
		size_t left;
		int r = inflate_fill(in);

		if (r < 0)
			return r;
		if (in->source_end && in->member_end) {
			in->end = true;
			break;
		}
		from = (ZSTD_inBuffer){in->in, in->in_len, in->in_pos};
		left = ZSTD_decompressStream(in->zstd, &to, &from);
		if (ZSTD_isError(left))
			return inflate_invalid(in, "zstd: invalid data");
		in->in_pos = from.pos;
		in->member_end = left == 0;
		if (to.pos)
			return (ssize_t)to.pos;
		if (in->source_end && !in->member_end)
			return inflate_invalid(in, "zstd: unexpected EOF");
	}
	return 0;
}

static ssize_t inflate_read_plain(struct inflate *in, void *data, size_t len)
{
	size_t have = in->in_len - in->in_pos;

	if (!have) {
		ssize_t n = in->source_end ? 0 : in->from.read(in->from.user, data, len);

		in->source_end = in->source_end || n == 0;
		return n;
	}
	have = MIN(have, len);
	memcpy(data, in->in + in->in_pos, have);
	in->in_pos += have;
	return (ssize_t)have;
}

/**
 * inflate_read() - Read plain bytes; fits struct byte_source
 * @inflate: Decoder
 * @data:    Receives bytes
 * @len:     How many at most, not 0
 *
 * Return: bytes read, 0 at the proper end, -EINVAL for a defect (text in inflate_error()), or the
 * source's own error
 */
ssize_t inflate_read(void *inflate, void *data, size_t len)
{
	struct inflate *in = inflate;
	ssize_t n;

	if (in->error)
		return -EINVAL;
	if (!in->started) {
		int r = inflate_find_magic(in);

		if (r < 0)
			return r;
		in->started = true;
	}
	switch (in->kind) {
	case INFLATE_GZIP:
		n = inflate_read_gzip(in, data, len);
		break;
	case INFLATE_ZSTD:
		n = inflate_read_zstd(in, data, len);
		break;
	default:
		n = inflate_read_plain(in, data, len);
	}
	if (n > 0) {
		in->out_bytes += (uint64_t)n;
		if (in->out_bytes > INFLATE_BYTES_MAX)
			return inflate_invalid(in, "archive is larger than 1 TiB");
	}
	return n;
}
