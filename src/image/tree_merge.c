/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree_merge.c - one layer on top of the layers below it (OCI image-spec, layer.md)
 *
 * DOC: Theory of operation
 *
 * The merged tree is a plain tree: whiteouts and opaque marks are used up here and never stored.
 * A layer's marks hide what lower layers brought, never the layer's own entries. Rules: a
 * directory on a directory keeps the children and takes the new metadata (an implied one changes
 * nothing); everything else replaces. Hard links to lower layers are looked up before the layer
 * changes anything, so a link may name a file that the same layer then hides.
 *
 * Names, targets and xattrs point into the tree file: it must stay open as long as the tree.
 */
#include "image/tree_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct tree_merger {
	struct tree *t;		   /* borrowed: the caller's */
	const struct tree_file *f; /* borrowed: the caller's */
	uint32_t layer;
	struct tree_node **dirs;    /* owned: merged directory of each of the layer's nodes */
	struct tree_inode **inodes; /* owned: merged inode of each of the layer's; links: by node */
	struct tree_inode **links;  /* owned: lower inode of each TREE_LINK node */
};

static void tree_merger_done(struct tree_merger *m)
{
	free(m->dirs);
	free(m->inodes);
	free(m->links);
}

/* The target of a link into lower layers; the error names both ends. */
static int tree_merge_link(struct tree_merger *m, uint32_t i, struct err *err)
{
	const struct tree_file_node *n = &m->f->nodes[i];
	const char *text = m->f->strings + n->link_off, *name = NULL;
	_cleanup_free_ char *path = strndup(text, n->link_len);
	struct tree_node *dir = NULL, *target = NULL;
	size_t len = 0;
	int r;

	if (!path)
		return err_oom(err);
	r = tree_resolve(m->t, path, false, &dir, &name, &len);
	if (r == -ENOMEM)
		return err_oom(err);
	if (r == 0)
		target = tree_find(m->t, dir, name, len);
	if (!target)
		return err_user(err, ERR_INVALID,
				"hard link \"%.*s\" to \"%s\": no such file in the layers below",
				(int)n->name_len, m->f->strings + n->name_off, path);
	if (tree_is_dir(target))
		return err_user(err, ERR_INVALID, "hard link \"%.*s\" to \"%s\": is a directory",
				(int)n->name_len, m->f->strings + n->name_off, path);
	m->links[i] = target->inode;
	return 0;
}

static struct tree_inode *tree_merge_inode(struct tree_merger *m, uint32_t index)
{
	const struct tree_file_inode *in = &m->f->inodes[index - 1];
	struct tree_inode *inode = m->inodes[index - 1];
	struct tree_xattr *xattrs = NULL;

	if (inode)
		return inode;
	inode = tree_inode_new(m->t, in->mode);
	if (in->n_xattrs)
		xattrs = tree_alloc(m->t, in->n_xattrs * sizeof(*xattrs));
	if (!inode || (in->n_xattrs && !xattrs))
		return NULL;
	for (uint32_t i = 0; i < in->n_xattrs; i++) {
		const struct tree_file_xattr *x = &m->f->xattrs[in->xattr_first + i];

		xattrs[i] = (struct tree_xattr){m->f->strings + x->name_off,
						m->f->strings + x->value_off, x->name_len,
						x->value_len};
	}
	inode->uid = in->uid;
	inode->gid = in->gid;
	inode->rdev_major = in->rdev_major;
	inode->rdev_minor = in->rdev_minor;
	inode->mtime_sec = in->mtime_sec;
	inode->mtime_nsec = in->mtime_nsec;
	inode->size = in->size;
	inode->layer = m->layer;
	inode->block = in->block;
	inode->target = m->f->strings + in->target_off;
	inode->xattrs = xattrs;
	inode->n_xattrs = in->n_xattrs;
	m->inodes[index - 1] = inode;
	return inode;
}

/* A directory of the layer on what is there; the root has no name to look up. */
static int tree_merge_dir(struct tree_merger *m, uint32_t i, struct tree_node *there)
{
	const struct tree_file_node *n = &m->f->nodes[i];

	m->dirs[i] = there;
	if (n->flags & TREE_OPAQUE)
		tree_remove_children(m->t, there);
	if ((n->flags & TREE_IMPLIED) && there->inode)
		return 0;
	there->inode = tree_merge_inode(m, n->inode);
	return there->inode ? 0 : -ENOMEM;
}

static int tree_merge_node(struct tree_merger *m, uint32_t i, struct tree_node *parent)
{
	const struct tree_file_node *n = &m->f->nodes[i];
	const char *name = m->f->strings + n->name_off;
	struct tree_node *there = tree_find(m->t, parent, name, n->name_len);
	bool is_dir = n->inode && S_ISDIR(m->f->inodes[n->inode - 1].mode);

	if (there && !(is_dir && tree_is_dir(there))) {
		tree_remove(m->t, there);
		there = NULL;
	}
	if (n->flags & TREE_WHITEOUT)
		return 0;
	if (!there)
		there = tree_add(m->t, parent, name, n->name_len);
	if (!there)
		return -ENOMEM;
	if (is_dir)
		return tree_merge_dir(m, i, there);
	there->inode = n->flags & TREE_LINK ? m->links[i] : tree_merge_inode(m, n->inode);
	return there->inode ? 0 : -ENOMEM;
}

/**
 * tree_merge() - Apply one layer on top of what is merged already
 * @t:	   Merged tree, or a new one
 * @f:	   Checked tree of the layer; must outlive @t
 * @layer: Its number, for inode->layer
 * @err:   Filled on failure
 *
 * After a failure @t is good for nothing but tree_free().
 *
 * Return: 0, -EINVAL for a link that leads nowhere, or -ENOMEM
 */
int tree_merge(struct tree *t, const struct tree_file *f, uint32_t layer, struct err *err)
{
	_cleanup_(tree_merger_done) struct tree_merger m = {.t = t, .f = f, .layer = layer};
	uint32_t n_nodes = f->header->n_nodes;
	int r;

	m.dirs = calloc(n_nodes, sizeof(*m.dirs));
	m.links = calloc(n_nodes, sizeof(*m.links));
	m.inodes = calloc(f->header->n_inodes + 1u, sizeof(*m.inodes));
	if (!m.dirs || !m.inodes || !m.links)
		return err_oom(err);
	for (uint32_t i = 0; i < n_nodes; i++) {
		r = f->nodes[i].flags & TREE_LINK ? tree_merge_link(&m, i, err) : 0;
		if (r < 0)
			return r;
	}
	r = tree_merge_dir(&m, 0, tree_root(t));
	for (uint32_t i = 0; i < n_nodes && r == 0; i++)
		for (uint32_t k = 0; k < f->nodes[i].n_children && r == 0; k++)
			r = tree_merge_node(&m, f->nodes[i].first_child + k, m.dirs[i]);
	return r < 0 ? err_oom(err) : 0;
}
