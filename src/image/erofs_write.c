/* SPDX-License-Identifier: Apache-2.0 */
/* erofs_write.c - fill an EROFS image as its plan says (erofs_layout.c) */
#include "image/erofs.h"

#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the image is written in place: little endian only"
#endif

#define EROFS_COMPAT_CHECKSUM 1u
#define EROFS_COMPAT_MTIME 2u

static uint8_t erofs_file_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return 1;
	case S_IFDIR:
		return 2;
	case S_IFCHR:
		return 3;
	case S_IFBLK:
		return 4;
	case S_IFIFO:
		return 5;
	case S_IFLNK:
		return 7;
	}
	return 0;
}

static uint64_t erofs_nid(const struct erofs_plan *plan, const struct tree_inode *inode)
{
	return plan->items[inode->index - 1].pos / EROFS_SLOT_BYTES;
}

static uint32_t erofs_rdev(const struct tree_inode *inode)
{
	return (inode->rdev_minor & 0xff) | inode->rdev_major << 8 |
	       (inode->rdev_minor & ~0xffu) << 12;
}

static void erofs_write_xattrs(const struct tree_inode *inode, char *out)
{
	out += sizeof(struct erofs_xattr_header); /* all zero: nothing shared */
	for (uint32_t i = 0; i < inode->n_xattrs; i++) {
		const struct tree_xattr *x = &inode->xattrs[i];
		struct erofs_xattr_entry e = {};
		uint32_t prefix_len;
		int index = erofs_xattr_index(x, &prefix_len);

		if (!index)
			continue;
		e.index = (uint8_t)index;
		e.name_len = (uint8_t)(x->name_len - prefix_len);
		e.value_len = (uint16_t)x->value_len;
		memcpy(out, &e, sizeof(e));
		memcpy(out + sizeof(e), x->name + prefix_len, e.name_len);
		memcpy(out + sizeof(e) + e.name_len, x->value, x->value_len);
		out += ALIGN_UP(sizeof(e) + e.name_len + e.value_len, 4);
	}
}

/* Entries first, names behind them. */
static void erofs_write_dir_block(const struct erofs_dir *dir, uint32_t from, uint32_t to,
				  char *out)
{
	uint32_t name_off = (to - from) * (uint32_t)sizeof(struct erofs_dirent);

	for (uint32_t k = from; k < to; k++) {
		struct erofs_dir_entry e;
		struct erofs_dirent de = {};

		erofs_dir_entry(dir, k, &e);
		de.nid = erofs_nid(dir->plan, e.node->inode);
		de.name_off = (uint16_t)name_off;
		de.type = erofs_file_type(e.node->inode->mode);
		memcpy(out + (k - from) * sizeof(de), &de, sizeof(de));
		memcpy(out + name_off, e.name, e.name_len);
		name_off += e.name_len;
	}
}

static void erofs_write_dir(const struct erofs_plan *plan, const struct erofs_item *item,
			    char *image, char *tail)
{
	struct erofs_dir dir;
	uint32_t block = 0;

	erofs_dir_open(plan, item->node, &dir);
	for (uint32_t k = 0; k < dir.n; block++) {
		uint32_t used, next = erofs_dir_block(&dir, k, &used);
		char *out = block < item->n_blocks
				    ? image + (uint64_t)(item->block + block) * EROFS_BLOCK_BYTES
				    : tail;

		erofs_write_dir_block(&dir, k, next, out);
		k = next;
	}
}

static void erofs_write_item(const struct erofs_plan *plan, const struct erofs_item *item,
			     char *image)
{
	const struct tree_inode *in = item->inode;
	char *out = image + item->pos, *tail = out + sizeof(struct erofs_inode) + item->xattr_bytes;
	struct erofs_inode ei = {
		.format = (uint16_t)(1 | (item->tail ? EROFS_FLAT_INLINE : EROFS_FLAT_PLAIN) << 1),
		.mode = (uint16_t)in->mode,
		.size = item->size,
		.block_or_rdev = item->block,
		.ino = in->index,
		.uid = in->uid,
		.gid = in->gid,
		.mtime_sec = (uint64_t)in->mtime_sec,
		.mtime_nsec = in->mtime_nsec,
		.nlink = in->nlink,
	};

	if (S_ISCHR(in->mode) || S_ISBLK(in->mode))
		ei.block_or_rdev = erofs_rdev(in);
	if (item->xattr_bytes) {
		ei.xattr_count =
			(uint16_t)((item->xattr_bytes - sizeof(struct erofs_xattr_header)) / 4 + 1);
		erofs_write_xattrs(in, out + sizeof(ei));
	}
	memcpy(out, &ei, sizeof(ei));
	if (S_ISDIR(in->mode))
		erofs_write_dir(plan, item, image, tail);
	else if (S_ISLNK(in->mode) && item->tail)
		memcpy(tail, in->target, in->size);
	else if (S_ISLNK(in->mode))
		memcpy(image + (uint64_t)item->block * EROFS_BLOCK_BYTES, in->target, in->size);
}

static uint32_t erofs_crc32c(const uint8_t *p, size_t len)
{
	uint32_t crc = ~0u;

	while (len--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return crc;
}

/**
 * erofs_write() - Fill an image
 * @plan:  What goes where
 * @uuid:  Its identity
 * @image: plan->meta_blocks blocks, all zero
 */
void erofs_write(const struct erofs_plan *plan, const uint8_t uuid[static EROFS_UUID_BYTES],
		 void *image)
{
	struct erofs_super sb = {
		.magic = EROFS_MAGIC,
		.feature_compat = EROFS_COMPAT_CHECKSUM | EROFS_COMPAT_MTIME,
		.block_bits = 12,
		.root_nid = (uint16_t)(plan->items[0].pos / EROFS_SLOT_BYTES),
		.inos = plan->n_items,
		.blocks = plan->blocks,
	};
	uint8_t *at = (uint8_t *)image + EROFS_SUPER_OFFSET;

	for (uint32_t i = 0; i < plan->n_items; i++)
		erofs_write_item(plan, &plan->items[i], image);
	memcpy(sb.uuid, uuid, sizeof(sb.uuid));
	memcpy(at, &sb, sizeof(sb));
	sb.checksum = erofs_crc32c(at, EROFS_BLOCK_BYTES - EROFS_SUPER_OFFSET);
	memcpy(at, &sb, sizeof(sb));
}
