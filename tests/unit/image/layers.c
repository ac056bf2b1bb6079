/* SPDX-License-Identifier: Apache-2.0 */
/* layers.c - what the layer tests share */
#include "layers.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"
#include "image/layer_store.h"
#include "image/tar.h"

static void tar_checksum(char *h)
{
	unsigned int sum = 0;

	memset(h + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += (unsigned char)h[i];
	(void)snprintf(h + 148, 8, "%06o", sum);
}

static void tar_pad(struct buf *b)
{
	static const char zeros[512];

	buf_add(b, zeros, -b->len & 511);
}

void tar_put_raw(struct buf *b, const char *name, char type, unsigned long long size_field,
		 const void *data, size_t len)
{
	char h[512] = {0};

	memcpy(h, name, MIN(strlen(name), 100));
	memcpy(h + 100, "0000644", 8);
	memcpy(h + 108, "0000000", 8);
	memcpy(h + 116, "0000000", 8);
	(void)snprintf(h + 124, 12, "%011llo", size_field & 077777777777);
	memcpy(h + 136, "00000000000", 12);
	h[156] = type;
	memcpy(h + 257, "ustar\00000", 8);
	tar_checksum(h);
	buf_add(b, h, sizeof(h));
	buf_add(b, data, len);
	tar_pad(b);
}

static void tar_record(struct buf *out, const char *key, const void *value, size_t len)
{
	size_t body = strlen(key) + len + 3, total = body + 1;
	char digits[24];

	while (total != body + (size_t)snprintf(digits, sizeof(digits), "%zu", total))
		total = body + strlen(digits);
	buf_addf(out, "%zu %s=", total, key);
	buf_add(out, value, len);
	buf_adds(out, "\n");
}

void tar_put_pax(struct buf *b, const char *key, const void *value, size_t len)
{
	_cleanup_buf_ struct buf records = {};

	tar_record(&records, key, value, len);
	tar_put_raw(b, "pax", 'x', records.len, records.data, records.len);
}

static void tar_put_pax_lines(struct buf *b, const char *lines)
{
	_cleanup_buf_ struct buf records = {};

	while (*lines) {
		size_t n = strcspn(lines, "\n"), key = strcspn(lines, "=");
		_cleanup_free_ char *name = strndup(lines, key);

		tar_record(&records, name, lines + key + 1, n - key - 1);
		lines += n + (lines[n] == '\n');
	}
	tar_put_raw(b, "pax", 'x', records.len, records.data, records.len);
}

void tar_put_spec(struct buf *b, const struct tar_spec *s)
{
	char type = s->type ? s->type : '0', *h;
	size_t len = s->len || !s->data ? s->len : strlen(s->data), at;

	if (s->pax)
		tar_put_pax_lines(b, s->pax);
	at = b->len;
	tar_put_raw(b, s->name, type, len, s->data, len);
	h = b->data + at;
	(void)snprintf(h + 100, 8, "%07o", (s->mode ? s->mode : type == '5' ? 0755 : 0644) & 07777);
	(void)snprintf(h + 108, 8, "%07o", s->uid);
	(void)snprintf(h + 116, 8, "%07o", s->gid);
	(void)snprintf(h + 136, 12, "%011llo", (unsigned long long)s->mtime);
	(void)snprintf(h + 329, 8, "%07o", s->dev_major);
	(void)snprintf(h + 337, 8, "%07o", s->dev_minor);
	if (s->link)
		memcpy(h + 157, s->link, MIN(strlen(s->link), 100));
	tar_checksum(h);
}

void tar_end(struct buf *b)
{
	static const char zeros[1024];

	buf_add(b, zeros, sizeof(zeros));
}

void scratch_init(struct scratch *s)
{
	(void)snprintf(s->path, sizeof(s->path), "/tmp/arca-layer-XXXXXX");
	if (!mkdtemp(s->path))
		abort();
}

void scratch_done(struct scratch *s)
{
	if (fs_remove_tree(s->path) < 0)
		abort();
}

ssize_t memory_read(void *user, void *data, size_t len)
{
	struct memory_source *m = user;
	size_t n = MIN(len, m->len - m->at);

	if (m->step)
		n = MIN(n, m->step);
	if (n)
		memcpy(data, m->data + m->at, n);
	m->at += n;
	return (ssize_t)n;
}

int import_tar(const char *store, struct buf *tar, struct layer_info *ret_info, struct err *err)
{
	struct memory_source m = {.data = tar->data, .len = tar->len};
	struct byte_source from = {memory_read, &m};

	return layer_import(store, &from, NULL, ret_info, err);
}

static void show_contents(const char *store, const char *diff_id, const struct tree_inode *in,
			  struct buf *out)
{
	_cleanup_free_ char *path = layer_path(store, diff_id, "data");
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[64] = {0};

	if (in->size && pread(fd, text, MIN(in->size, 40), (off_t)in->block * 4096) < 0)
		abort();
	buf_addf(out, " %s", text);
}

static void show_node(const char *store, const char (*ids)[DIGEST_BUF], const struct tree_node *n,
		      const char *path, struct buf *out, uint32_t *next)
{
	struct tree_inode *in = n->inode;
	unsigned int mode = in->mode & 07777;

	if (S_ISDIR(in->mode))
		buf_addf(out, "d %s %o", path, mode);
	else if (S_ISLNK(in->mode))
		buf_addf(out, "l %s -> %.*s", path, (int)in->size, in->target);
	else if (S_ISCHR(in->mode) || S_ISBLK(in->mode))
		buf_addf(out, "%c %s %u:%u", S_ISCHR(in->mode) ? 'c' : 'b', path, in->rdev_major,
			 in->rdev_minor);
	else if (S_ISFIFO(in->mode))
		buf_addf(out, "p %s", path);
	else {
		buf_addf(out, "f %s %o", path, mode);
		show_contents(store, ids[in->layer], in, out);
	}
	if (in->nlink) { /* met before: number it; the first one goes without */
		if (!in->index)
			in->index = ++*next;
		buf_addf(out, " #%u", in->index);
	}
	in->nlink++;
	buf_adds(out, "\n");
}

static void show_dir(const char *store, const char (*ids)[DIGEST_BUF], const struct tree_node *dir,
		     const char *path, struct buf *out, uint32_t *next)
{
	_cleanup_free_ const struct tree_node **sorted = NULL;

	if (tree_sorted_children(dir, &sorted) < 0)
		abort();
	for (uint32_t i = 0; i < dir->n_children; i++) {
		_cleanup_free_ char *sub = str_format("%s%s%.*s", path, *path ? "/" : "",
						      (int)sorted[i]->name_len, sorted[i]->name);

		show_node(store, ids, sorted[i], sub, out, next);
		if (tree_is_dir(sorted[i]))
			show_dir(store, ids, sorted[i], sub, out, next);
	}
}

char *show_layers(const char *store, struct buf *tars, size_t n, struct err *err)
{
	_cleanup_(rootfs_merged_done) struct rootfs_merged m = {};
	_cleanup_buf_ struct buf out = {};
	char ids[8][DIGEST_BUF];
	const char *list[8];
	struct layer_info info;
	uint32_t next = 0;

	for (size_t i = 0; i < n; i++) {
		tar_end(&tars[i]);
		if (import_tar(store, &tars[i], &info, err) < 0)
			return NULL;
		memcpy(ids[i], info.diff_id, DIGEST_BUF);
		list[i] = ids[i];
	}
	if (rootfs_merge(store, list, n, &m, err) < 0)
		return NULL;
	buf_adds(&out, "");
	show_dir(store, ids, tree_root(m.tree), "", &out, &next);
	return buf_steal(&out);
}

size_t count_files(const char *store, const char *kind)
{
	_cleanup_free_ char *path = str_format("%s/%s", store, kind);
	_cleanup_closedir_ DIR *dir = opendir(path);
	size_t n = 0;

	while (dir && readdir(dir))
		n++;
	return n < 2 ? 0 : n - 2;
}
