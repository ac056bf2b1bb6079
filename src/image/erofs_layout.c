/* SPDX-License-Identifier: Apache-2.0 */
/*
 * erofs_layout.c - where each inode and directory block of an EROFS image goes
 *
 * DOC: Theory of operation
 *
 *     | block 0: superblock | inodes, breadth first .. | directory blocks | layer 0 | layer 1 | ..
 *
 * Every inode is an extended one, followed by its xattrs and, if it fits, by the tail: a symlink's
 * target or a directory's last block. A tail must lie in one block. The children of a directory
 * have their inodes side by side, so that `ls -l` reads few blocks. The root is always the first
 * inode, right behind the superblock: its number must fit into 16 bits.
 *
 * No state, no I/O. Limits: 2^32 blocks, 16 TiB.
 */
#include "image/erofs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define EROFS_FIRST_INODE (EROFS_SUPER_OFFSET + (uint32_t)sizeof(struct erofs_super))

static const struct {
	const char *prefix;
	int index;
	bool whole; /* the prefix is the name */
} erofs_xattr_names[] = {
	{"user.", 1, false},
	{"system.posix_acl_access", 2, true},
	{"system.posix_acl_default", 3, true},
	{"trusted.", 4, false},
	{"security.", 6, false},
};

/**
 * erofs_xattr_index() - How EROFS stores an attribute's name
 * @x:		    Attribute
 * @ret_prefix_len: How much of the name the index stands for
 *
 * Return: the index, or 0 if EROFS has none: the attribute is left out, as a file system without
 * it would
 */
int erofs_xattr_index(const struct tree_xattr *x, uint32_t *ret_prefix_len)
{
	for (size_t i = 0; i < ARRAY_SIZE(erofs_xattr_names); i++) {
		uint32_t len = (uint32_t)strlen(erofs_xattr_names[i].prefix);

		if (x->name_len < len || memcmp(x->name, erofs_xattr_names[i].prefix, len) != 0)
			continue;
		if (erofs_xattr_names[i].whole != (x->name_len == len))
			continue;
		*ret_prefix_len = len;
		return erofs_xattr_names[i].index;
	}
	return 0;
}

static uint32_t erofs_xattr_bytes(const struct tree_inode *inode)
{
	uint32_t bytes = 0, prefix_len;

	for (uint32_t i = 0; i < inode->n_xattrs; i++) {
		const struct tree_xattr *x = &inode->xattrs[i];

		if (erofs_xattr_index(x, &prefix_len))
			bytes += (uint32_t)ALIGN_UP(sizeof(struct erofs_xattr_entry) + x->name_len -
							    prefix_len + x->value_len,
						    4);
	}
	return bytes ? bytes + (uint32_t)sizeof(struct erofs_xattr_header) : 0;
}

/**
 * erofs_dir_open() - Iterate a directory
 * @plan:    Plan
 * @node:    Its index in plan->order
 * @ret_dir: Iterator, borrows from @plan
 */
void erofs_dir_open(const struct erofs_plan *plan, uint32_t node, struct erofs_dir *ret_dir)
{
	const struct tree_node *const *c = plan->order + plan->first_child[node];
	uint32_t n = plan->order[node]->n_children, dot = 0, dotdot;

	while (dot < n && tree_name_cmp(c[dot]->name, c[dot]->name_len, ".", 1) < 0)
		dot++;
	dotdot = dot;
	while (dotdot < n && tree_name_cmp(c[dotdot]->name, c[dotdot]->name_len, "..", 2) < 0)
		dotdot++;
	*ret_dir = (struct erofs_dir){plan, node, dot, dotdot + 1, n + 2};
}

/**
 * erofs_dir_entry() - One entry
 * @dir:       Iterator
 * @k:	       Which, below dir->n
 * @ret_entry: The entry
 */
void erofs_dir_entry(const struct erofs_dir *dir, uint32_t k, struct erofs_dir_entry *ret_entry)
{
	const struct tree_node *self = dir->plan->order[dir->node], *n;

	if (k == dir->dot) {
		*ret_entry = (struct erofs_dir_entry){".", 1, self};
	} else if (k == dir->dotdot) {
		*ret_entry = (struct erofs_dir_entry){"..", 2, self->parent};
	} else {
		n = dir->plan->order[dir->plan->first_child[dir->node] + k - (k > dir->dot) -
				     (k > dir->dotdot)];
		*ret_entry = (struct erofs_dir_entry){n->name, n->name_len, n};
	}
}

/**
 * erofs_dir_block() - How many entries one block holds
 * @dir:      Iterator
 * @k:	      First entry of the block
 * @ret_used: Bytes used
 *
 * Return: the first entry of the next block
 */
uint32_t erofs_dir_block(const struct erofs_dir *dir, uint32_t k, uint32_t *ret_used)
{
	uint32_t used = 0;

	for (; k < dir->n; k++) {
		struct erofs_dir_entry e;
		uint32_t more;

		erofs_dir_entry(dir, k, &e);
		more = (uint32_t)sizeof(struct erofs_dirent) + e.name_len;
		if (used + more > EROFS_BLOCK_BYTES)
			break;
		used += more;
	}
	*ret_used = used;
	return k;
}

static uint64_t erofs_dir_bytes(const struct erofs_plan *plan, uint32_t node)
{
	struct erofs_dir dir;
	uint64_t blocks = 0;
	uint32_t used = 0;

	erofs_dir_open(plan, node, &dir);
	for (uint32_t k = 0; k < dir.n; blocks++)
		k = erofs_dir_block(&dir, k, &used);
	return (blocks - 1) * EROFS_BLOCK_BYTES + used;
}

/**
 * erofs_plan_free() - Free a plan
 * @plan: Plan or NULL
 */
void erofs_plan_free(struct erofs_plan *plan)
{
	if (!plan)
		return;
	free(plan->order);
	free(plan->first_child);
	free(plan->items);
	free(plan);
}

/* Number nodes breadth first and inodes as they are met; count links. */
static int erofs_plan_order(struct erofs_plan *plan, struct tree *t)
{
	plan->order[plan->n_order++] = tree_root(t);
	for (uint32_t i = 0; i < plan->n_order; i++) {
		const struct tree_node *n = plan->order[i];
		_cleanup_free_ const struct tree_node **sorted = NULL;
		int r;

		if (!n->inode->index) {
			plan->items[plan->n_items].inode = n->inode;
			plan->items[plan->n_items].node = i;
			n->inode->index = ++plan->n_items;
		}
		n->inode->nlink++; /* a directory: of its name; "." and children's ".." below */
		if (!tree_is_dir(n))
			continue;
		n->inode->nlink++;
		if (n != n->parent)
			n->parent->inode->nlink++;
		r = tree_sorted_children(n, &sorted);
		if (r < 0)
			return r;
		plan->first_child[i] = plan->n_order;
		if (n->n_children)
			memcpy(plan->order + plan->n_order, sorted,
			       n->n_children * sizeof(*sorted));
		plan->n_order += n->n_children;
	}
	return 0;
}

static uint64_t erofs_place(struct erofs_plan *plan, struct erofs_item *item, uint64_t pos)
{
	uint32_t head, tail = 0;

	item->xattr_bytes = erofs_xattr_bytes(item->inode);
	head = (uint32_t)sizeof(struct erofs_inode) + item->xattr_bytes;
	item->size = item->inode->size;
	if (S_ISDIR(item->inode->mode))
		item->size = erofs_dir_bytes(plan, item->node);
	pos = ALIGN_UP(pos, EROFS_SLOT_BYTES);
	if (!S_ISREG(item->inode->mode))
		tail = item->size % EROFS_BLOCK_BYTES;
	if (tail && head + tail <= EROFS_BLOCK_BYTES) {
		item->tail = tail;
		if ((pos + head) % EROFS_BLOCK_BYTES + tail > EROFS_BLOCK_BYTES)
			pos = ALIGN_UP(pos, EROFS_BLOCK_BYTES);
	}
	if (S_ISDIR(item->inode->mode) || S_ISLNK(item->inode->mode))
		item->n_blocks = (uint32_t)(ALIGN_UP(item->size - item->tail, EROFS_BLOCK_BYTES) /
					    EROFS_BLOCK_BYTES);
	item->pos = pos;
	return pos + head + item->tail;
}

static int erofs_plan_blocks(struct erofs_plan *plan, uint64_t next, const uint64_t *layer_blocks,
			     size_t n_layers, struct err *err)
{
	_cleanup_free_ uint64_t *base = calloc(n_layers + 1, sizeof(*base));

	if (!base)
		return err_oom(err);
	for (uint32_t i = 0; i < plan->n_items; i++) {
		plan->items[i].block = plan->items[i].n_blocks ? (uint32_t)next : 0;
		next += plan->items[i].n_blocks;
	}
	base[0] = next;
	for (size_t i = 0; i < n_layers; i++)
		base[i + 1] = base[i] + layer_blocks[i];
	if (base[n_layers] > UINT32_MAX)
		return err_user(err, ERR_INVALID, "image is larger than 16 TiB");
	plan->meta_blocks = (uint32_t)next;
	plan->blocks = (uint32_t)base[n_layers];
	for (uint32_t i = 0; i < plan->n_items; i++) {
		const struct tree_inode *inode = plan->items[i].inode;

		if (S_ISREG(inode->mode) && inode->size)
			plan->items[i].block = (uint32_t)(base[inode->layer] + inode->block);
	}
	return 0;
}

/**
 * erofs_plan_new() - Decide where everything goes
 * @t:		  Merged tree; its inodes' index and nlink fields must be 0 and are used up
 * @layer_blocks: Length of each layer's data, blocks
 * @n_layers:	  How many
 * @ret_plan:	  The plan, owned by the caller; borrows from @t
 * @err:	  Filled on failure
 *
 * Return: 0, -EINVAL above 16 TiB, or -ENOMEM
 */
int erofs_plan_new(struct tree *t, const uint64_t *layer_blocks, size_t n_layers,
		   struct erofs_plan **ret_plan, struct err *err)
{
	_cleanup_(erofs_plan_freep) struct erofs_plan *plan = calloc(1, sizeof(*plan));
	size_t n = tree_node_count(t);
	uint64_t pos = EROFS_FIRST_INODE;
	int r;

	if (!plan)
		return err_oom(err);
	plan->order = calloc(n, sizeof(*plan->order));
	plan->first_child = calloc(n, sizeof(*plan->first_child));
	plan->items = calloc(n, sizeof(*plan->items));
	if (!plan->order || !plan->first_child || !plan->items || erofs_plan_order(plan, t) < 0)
		return err_oom(err);
	for (uint32_t i = 0; i < plan->n_items; i++)
		pos = erofs_place(plan, &plan->items[i], pos);
	pos = ALIGN_UP(pos, EROFS_BLOCK_BYTES);
	r = erofs_plan_blocks(plan, pos / EROFS_BLOCK_BYTES, layer_blocks, n_layers, err);
	if (r == 0)
		*ret_plan = TAKE_PTR(plan);
	return r;
}
