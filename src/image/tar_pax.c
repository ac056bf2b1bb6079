/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tar_pax.c - pax extended headers: "length key=value\n" records about the next entry
 *
 * Known keys are in tar_pax_keys; others (access times, ACL texts, comments) mean nothing to an
 * image, as in Docker. Records are cut up in place.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "image/tar_internal.h"

struct tar_pax_key {
	const char *key;
	bool is_prefix;
	int (*set)(struct tar *tar, char *key_rest, char *value, size_t len);
};

/**
 * tar_extra_reset() - Forget what was said about the last entry
 * @x: Extra
 */
void tar_extra_reset(struct tar_extra *x)
{
	tar_pax_reset(x);
	buf_reset(&x->gnu_name);
	buf_reset(&x->gnu_link);
}

/**
 * tar_pax_reset() - Forget what a pax header said; a second one for the same entry replaces it
 * @x: Extra
 */
void tar_pax_reset(struct tar_extra *x)
{
	buf_reset(&x->pax);
	x->path = x->link = x->sparse_name = NULL;
	x->has_size = x->has_uid = x->has_gid = x->has_mtime = false;
	x->n_xattrs = 0;
	x->sparse.n = 0;
	x->sparse.used = x->sparse.offset_is_next = false;
	x->sparse.major = -1;
}

/**
 * tar_extra_done() - Free the buffers
 * @x: Extra
 */
void tar_extra_done(struct tar_extra *x)
{
	buf_done(&x->pax);
	buf_done(&x->gnu_name);
	buf_done(&x->gnu_link);
	free(x->xattrs);
	free(x->sparse.pieces);
}

static int tar_pax_text(struct tar *tar, const char **out, char *value, size_t len)
{
	if (memchr(value, 0, len))
		return tar_invalid(tar, "invalid file name");
	*out = len ? value : NULL; /* an empty value takes the record back */
	return 0;
}

static int tar_set_path(struct tar *tar, char *rest UNUSED, char *value, size_t len)
{
	return tar_pax_text(tar, &tar->extra.path, value, len);
}

static int tar_set_link(struct tar *tar, char *rest UNUSED, char *value, size_t len)
{
	return tar_pax_text(tar, &tar->extra.link, value, len);
}

static int tar_set_sparse_name(struct tar *tar, char *rest UNUSED, char *value, size_t len)
{
	return tar_pax_text(tar, &tar->extra.sparse_name, value, len);
}

static int tar_pax_u64(struct tar *tar, const char *value, uint64_t *ret)
{
	if (str_u64(value, INT64_MAX, ret) < 0)
		return tar_invalid(tar, "invalid number in an extended header");
	return 0;
}

static int tar_set_size(struct tar *tar, char *rest UNUSED, char *value, size_t len)
{
	int r = len ? tar_pax_u64(tar, value, &tar->extra.size) : 0;

	tar->extra.has_size = len > 0;
	return r;
}

static int tar_set_uid(struct tar *tar, char *rest UNUSED, char *value, size_t len)
{
	uint64_t id = 0;
	int r = len ? tar_pax_u64(tar, value, &id) : 0;

	tar->extra.uid = (int64_t)id;
	tar->extra.has_uid = len > 0;
	return r;
}

static int tar_set_gid(struct tar *tar, char *rest UNUSED, char *value, size_t len)
{
	uint64_t id = 0;
	int r = len ? tar_pax_u64(tar, value, &id) : 0;

	tar->extra.gid = (int64_t)id;
	tar->extra.has_gid = len > 0;
	return r;
}

/* Seconds with a fraction of any length, maybe negative: "-1.5" is half a second before -1. */
static int tar_set_mtime(struct tar *tar, char *rest UNUSED, char *value, size_t len)
{
	struct tar_extra *x = &tar->extra;
	bool negative = *value == '-';
	char *dot = strchr(value, '.');
	uint64_t sec;
	uint32_t nsec = 0, unit = 100000000;
	int r;

	x->has_mtime = len > 0;
	if (!len)
		return 0;
	if (dot) {
		*dot = '\0';
		for (const char *p = dot + 1; *p; p++, unit /= 10) {
			if (*p < '0' || *p > '9')
				return tar_invalid(tar, "invalid number in an extended header");
			nsec += (uint32_t)(*p - '0') * unit;
		}
	}
	r = tar_pax_u64(tar, value + negative, &sec);
	if (r < 0)
		return r;
	x->mtime_sec = negative ? -(int64_t)sec : (int64_t)sec;
	x->mtime_nsec = nsec;
	if (negative && nsec) {
		x->mtime_sec--;
		x->mtime_nsec = 1000000000 - nsec;
	}
	return 0;
}

static int tar_xattr_add(struct tar *tar, const char *name, const void *value, size_t len)
{
	struct tar_extra *x = &tar->extra;

	if (x->n_xattrs == TAR_XATTRS_MAX)
		return tar_invalid(tar, "too many extended attributes");
	if (x->n_xattrs == x->cap_xattrs) {
		size_t cap = x->cap_xattrs ? x->cap_xattrs * 2 : 8;
		struct tar_xattr *bigger = realloc(x->xattrs, cap * sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		x->xattrs = bigger;
		x->cap_xattrs = cap;
	}
	x->xattrs[x->n_xattrs++] = (struct tar_xattr){name, value, len};
	return 0;
}

static int tar_set_xattr(struct tar *tar, char *name, char *value, size_t len)
{
	return tar_xattr_add(tar, name, value, len);
}

static int tar_base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* In place: the result is never longer. */
static int tar_base64_decode(char *value, size_t len, size_t *ret_len)
{
	size_t out = 0;
	uint32_t bits = 0;
	int n = 0;

	while (len && value[len - 1] == '=')
		len--;
	for (size_t i = 0; i < len; i++) {
		int digit = tar_base64_digit(value[i]);

		if (digit < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)digit;
		n += 6;
		if (n >= 8) {
			n -= 8;
			value[out++] = (char)(bits >> n);
		}
	}
	*ret_len = out;
	return 0;
}

static void tar_percent_decode(char *name)
{
	char *out = name;

	for (; *name; name++) {
		char two[3] = {0};
		unsigned char byte = 0;

		if (*name == '%' && name[1] && name[2]) {
			two[0] = (char)(name[1] | (name[1] >= 'A' ? 0x20 : 0));
			two[1] = (char)(name[2] | (name[2] >= 'A' ? 0x20 : 0));
			if (str_unhex(two, &byte, 1) == 0 && byte) {
				*out++ = (char)byte;
				name += 2;
				continue;
			}
		}
		*out++ = *name;
	}
	*out = '\0';
}

/* libarchive's own form: a percent-encoded name and a base64 value. */
static int tar_set_xattr_base64(struct tar *tar, char *name, char *value, size_t len)
{
	if (tar_base64_decode(value, len, &len) < 0)
		return tar_invalid(tar, "invalid extended attribute");
	tar_percent_decode(name);
	return tar_xattr_add(tar, name, value, len);
}

static int tar_set_sparse_size(struct tar *tar, char *rest UNUSED, char *value, size_t len UNUSED)
{
	tar->extra.sparse.used = true;
	return tar_pax_u64(tar, value, &tar->extra.sparse.real_size);
}

static int tar_set_sparse_offset(struct tar *tar, char *rest UNUSED, char *value, size_t len UNUSED)
{
	uint64_t offset;
	int r = tar_pax_u64(tar, value, &offset);

	if (r < 0)
		return r;
	tar->extra.sparse.offset_is_next = true;
	return tar_sparse_add(tar, offset, 0);
}

static int tar_set_sparse_bytes(struct tar *tar, char *rest UNUSED, char *value, size_t len UNUSED)
{
	struct tar_sparse *sp = &tar->extra.sparse;

	if (!sp->offset_is_next)
		return tar_invalid(tar, "invalid sparse file");
	sp->offset_is_next = false;
	return tar_pax_u64(tar, value, &sp->pieces[sp->n - 1].len);
}

static int tar_set_sparse_map(struct tar *tar, char *rest UNUSED, char *value, size_t len UNUSED)
{
	return tar_sparse_map_text(tar, value);
}

static int tar_set_sparse_major(struct tar *tar, char *rest UNUSED, char *value, size_t len UNUSED)
{
	uint64_t major;
	int r = tar_pax_u64(tar, value, &major);

	if (r == 0 && major > 1)
		return tar_invalid(tar, "unknown kind of sparse file");
	tar->extra.sparse.major = (int)major;
	return r;
}

static const struct tar_pax_key tar_pax_keys[] = {
	{"path", false, tar_set_path},
	{"linkpath", false, tar_set_link},
	{"size", false, tar_set_size},
	{"uid", false, tar_set_uid},
	{"gid", false, tar_set_gid},
	{"mtime", false, tar_set_mtime},
	{"SCHILY.xattr.", true, tar_set_xattr},
	{"LIBARCHIVE.xattr.", true, tar_set_xattr_base64},
	{"GNU.sparse.name", false, tar_set_sparse_name},
	{"GNU.sparse.size", false, tar_set_sparse_size},
	{"GNU.sparse.realsize", false, tar_set_sparse_size},
	{"GNU.sparse.offset", false, tar_set_sparse_offset},
	{"GNU.sparse.numbytes", false, tar_set_sparse_bytes},
	{"GNU.sparse.map", false, tar_set_sparse_map},
	{"GNU.sparse.major", false, tar_set_sparse_major},
};

static int tar_pax_record(struct tar *tar, char *key, char *value, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(tar_pax_keys); i++) {
		const struct tar_pax_key *k = &tar_pax_keys[i];

		if (k->is_prefix ? str_starts(key, k->key) : str_eq(key, k->key))
			return k->set(tar, key + strlen(k->key), value, len);
	}
	return 0;
}

/**
 * tar_pax_parse() - Read the records of an extended header
 * @tar: Reader with the header's body in extra.pax; is cut up
 *
 * Return: 0, -EINVAL or -ENOMEM
 */
int tar_pax_parse(struct tar *tar)
{
	char *at = tar->extra.pax.data, *end;

	if (!tar->extra.pax.len)
		return 0;
	end = at + tar->extra.pax.len;
	while (at < end && *at) {
		char *digits = at, *equals, *record_end;
		size_t len = 0;
		int r;

		for (; *at >= '0' && *at <= '9' && len <= TAR_SPECIAL_BYTES_MAX; at++)
			len = len * 10 + (size_t)(*at - '0');
		if (*at != ' ' || len > (size_t)(end - digits) || len < (size_t)(at - digits) + 3)
			return tar_invalid(tar, "invalid extended header");
		record_end = digits + len - 1;
		equals = memchr(at, '=', (size_t)(record_end - at));
		if (*record_end != '\n' || !equals || equals == at + 1 ||
		    memchr(at, 0, (size_t)(equals - at)))
			return tar_invalid(tar, "invalid extended header");
		*equals = *record_end = '\0';
		r = tar_pax_record(tar, at + 1, equals + 1, (size_t)(record_end - equals) - 1);
		if (r < 0)
			return r;
		at = record_end + 1;
	}
	return 0;
}
