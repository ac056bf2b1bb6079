/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree.c - a file system tree without contents: nodes, inodes, names
 *
 * DOC: Theory of operation
 *
 * Nodes and inodes are never freed one by one: they live in an arena of mapped chunks that goes
 * back to the kernel with the tree, so an import leaves the heap as it found it. One hash table
 * finds (directory, name); its key is random per tree, because names are hostile and a table that
 * can be flooded is a way to stop the daemon. A removed directory's children stay in the table
 * but nothing reaches them: keys contain the directory's address, which is never used again.
 *
 * Used by one thread at a time. Paths here never touch the host's file system.
 */
#include "image/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <utlist.h>

#include "base/id.h"
#include "image/layer.h"

#define TREE_CHUNK_BYTES KIB(256)
#define TREE_BUCKETS_MIN 256u

struct tree_chunk {
	struct tree_chunk *next;
	size_t size;
};

struct tree {
	struct tree_chunk *chunks; /* owned */
	char *free_at, *free_end;
	struct tree_node **buckets; /* owned */
	size_t n_buckets, n_nodes;
	uint64_t key[2];
	struct tree_node *root;
};

/**
 * tree_alloc() - Zeroed memory that lives as long as the tree
 * @t:	  Tree
 * @size: Bytes
 *
 * Return: aligned memory, or NULL
 */
void *tree_alloc(struct tree *t, size_t size)
{
	void *p;

	size = ALIGN_UP(size, 8);
	if ((size_t)(t->free_end - t->free_at) < size) {
		size_t bytes =
			MAX(TREE_CHUNK_BYTES, ALIGN_UP(size + sizeof(struct tree_chunk), 4096));
		struct tree_chunk *c = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (c == MAP_FAILED)
			return NULL;
		c->size = bytes;
		LL_PREPEND(t->chunks, c);
		t->free_at = (char *)c + ALIGN_UP(sizeof(*c), 8);
		t->free_end = (char *)c + bytes;
	}
	p = t->free_at;
	t->free_at += size;
	return p;
}

/**
 * tree_copy() - A copy of bytes with a NUL behind them, in the tree's memory
 * @t:	  Tree
 * @data: Bytes
 * @len:  How many
 *
 * Return: the copy, or NULL
 */
const void *tree_copy(struct tree *t, const void *data, size_t len)
{
	char *p = tree_alloc(t, len + 1);

	if (p && len)
		memcpy(p, data, len);
	return p;
}

/**
 * tree_inode_new() - An inode owned by root with time 0
 * @t:	  Tree
 * @mode: Type and permissions
 *
 * Return: the inode, or NULL
 */
struct tree_inode *tree_inode_new(struct tree *t, uint32_t mode)
{
	struct tree_inode *inode = tree_alloc(t, sizeof(*inode));

	if (inode)
		inode->mode = mode;
	return inode;
}

static inline uint64_t tree_rotate(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

static inline void tree_sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = tree_rotate(v[1], 13) ^ v[0];
	v[3] = tree_rotate(v[3], 16) ^ v[2];
	v[0] = tree_rotate(v[0], 32) + v[3];
	v[2] += v[1];
	v[3] = tree_rotate(v[3], 21) ^ v[0];
	v[1] = tree_rotate(v[1], 17) ^ v[2];
	v[2] = tree_rotate(v[2], 32);
}

static inline void tree_sip_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	tree_sip_round(v);
	v[0] ^= word;
}

/* SipHash-1-3 over (directory, name). */
static uint64_t tree_hash(const struct tree *t, const struct tree_node *dir, const char *name,
			  size_t len)
{
	uint64_t v[4] = {t->key[0] ^ 0x736f6d6570736575ULL, t->key[1] ^ 0x646f72616e646f6dULL,
			 t->key[0] ^ 0x6c7967656e657261ULL, t->key[1] ^ 0x7465646279746573ULL};
	uint64_t last = (uint64_t)len << 56, word;
	size_t i;

	tree_sip_word(v, (uintptr_t)dir);
	for (i = 0; i + 8 <= len; i += 8) {
		memcpy(&word, name + i, sizeof(word));
		tree_sip_word(v, word);
	}
	word = 0;
	memcpy(&word, name + i, len - i);
	tree_sip_word(v, last | word);
	v[2] ^= 0xff;
	for (i = 0; i < 3; i++)
		tree_sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static struct tree_node **tree_bucket(struct tree *t, const struct tree_node *dir, const char *name,
				      size_t len)
{
	return &t->buckets[tree_hash(t, dir, name, len) & (t->n_buckets - 1)];
}

/**
 * tree_new() - A tree of nothing but an implied root
 * @ret_tree: The tree, owned by the caller
 *
 * Return: 0 or -ENOMEM
 */
int tree_new(struct tree **ret_tree)
{
	_cleanup_(tree_freep) struct tree *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->n_buckets = TREE_BUCKETS_MIN;
	t->buckets = calloc(t->n_buckets, sizeof(*t->buckets));
	random_bytes(t->key, sizeof(t->key));
	t->root = tree_alloc(t, sizeof(*t->root));
	if (!t->buckets || !t->root)
		return -ENOMEM;
	t->root->inode = tree_inode_new(t, S_IFDIR | 0755);
	if (!t->root->inode)
		return -ENOMEM;
	t->root->parent = t->root;
	t->root->flags = TREE_IMPLIED;
	t->root->name = "";
	t->n_nodes = 1;
	*ret_tree = TAKE_PTR(t);
	return 0;
}

/**
 * tree_free() - Free a tree and all that was allocated in it
 * @t: Tree or NULL
 */
void tree_free(struct tree *t)
{
	struct tree_chunk *c, *next;

	if (!t)
		return;
	LL_FOREACH_SAFE (t->chunks, c, next)
		(void)munmap(c, c->size); /* our own mapping: cannot fail */
	free(t->buckets);
	free(t);
}

/**
 * tree_root() - The root directory
 * @t: Tree
 *
 * Return: the node, never NULL
 */
struct tree_node *tree_root(struct tree *t)
{
	return t->root;
}

/**
 * tree_node_count() - How many nodes were ever added, the root included
 * @t: Tree
 *
 * Return: the count
 */
size_t tree_node_count(const struct tree *t)
{
	return t->n_nodes;
}

/**
 * tree_find() - Look a name up
 * @t:	  Tree
 * @dir:  Directory
 * @name: Name, any bytes
 * @len:  Its length
 *
 * Return: the node, or NULL
 */
struct tree_node *tree_find(struct tree *t, struct tree_node *dir, const char *name, size_t len)
{
	struct tree_node *n = *tree_bucket(t, dir, name, len);

	while (n && !(n->parent == dir && n->name_len == len && memcmp(n->name, name, len) == 0))
		n = n->hash_next;
	return n;
}

static void tree_grow(struct tree *t)
{
	size_t n_old = t->n_buckets;
	struct tree_node **old = t->buckets;
	struct tree_node **buckets = calloc(n_old * 2, sizeof(*buckets));

	if (!buckets)
		return; /* slower, not wrong */
	t->buckets = buckets;
	t->n_buckets = n_old * 2;
	for (size_t i = 0; i < n_old; i++) {
		struct tree_node *n = old[i], *next;

		for (; n; n = next) {
			struct tree_node **b = tree_bucket(t, n->parent, n->name, n->name_len);

			next = n->hash_next;
			n->hash_next = *b;
			*b = n;
		}
	}
	free(old);
}

/**
 * tree_add() - Add a name that is not there; the caller fills in what it names
 * @t:	  Tree
 * @dir:  Directory
 * @name: Name, at most LAYER_NAME_MAX bytes; lives at least as long as the tree
 * @len:  Its length
 *
 * Return: the node, or NULL without memory
 */
struct tree_node *tree_add(struct tree *t, struct tree_node *dir, const char *name, size_t len)
{
	struct tree_node *n = tree_alloc(t, sizeof(*n));
	struct tree_node **b;

	if (!n)
		return NULL;
	if (t->n_nodes >= t->n_buckets)
		tree_grow(t);
	n->parent = dir;
	n->name = name;
	n->name_len = (uint16_t)len;
	b = tree_bucket(t, dir, name, len);
	n->hash_next = *b;
	*b = n;
	DL_APPEND(dir->children, n);
	dir->n_children++;
	t->n_nodes++;
	return n;
}

/**
 * tree_remove() - Take a node, and with it all below it, out of the tree
 * @t:	  Tree
 * @node: Not the root
 */
void tree_remove(struct tree *t, struct tree_node *node)
{
	struct tree_node **b = tree_bucket(t, node->parent, node->name, node->name_len);

	while (*b != node)
		b = &(*b)->hash_next;
	*b = node->hash_next;
	DL_DELETE(node->parent->children, node);
	node->parent->n_children--;
}

/**
 * tree_remove_children() - Empty a directory
 * @t:	 Tree
 * @dir: Directory
 */
void tree_remove_children(struct tree *t, struct tree_node *dir)
{
	while (dir->children)
		tree_remove(t, dir->children);
}

/* One step into @name, or to the directory a symlink there has pushed onto the path. */
static int tree_step(struct tree *t, struct tree_node **at, const char *name, size_t len,
		     bool create)
{
	struct tree_node *next;

	if (len > LAYER_NAME_MAX)
		return -ENAMETOOLONG;
	next = tree_find(t, *at, name, len);
	if (next && tree_is_dir(next)) {
		*at = next;
		return 0;
	}
	if (next && next->inode && S_ISLNK(next->inode->mode))
		return -ELOOP; /* the caller follows */
	if (!create)
		return next && next->inode ? -ENOTDIR : -ENOENT;
	if (next) { /* a whiteout keeps hiding: what comes instead is opaque */
		uint16_t opaque = next->flags & TREE_WHITEOUT ? TREE_OPAQUE : 0;

		tree_remove(t, next);
		next = tree_add(t, *at, next->name, len);
		if (next)
			next->flags = opaque;
	} else {
		const char *copy = tree_copy(t, name, len);

		next = copy ? tree_add(t, *at, copy, len) : NULL;
	}
	if (!next)
		return -ENOMEM;
	next->flags |= TREE_IMPLIED;
	next->inode = tree_inode_new(t, S_IFDIR | 0755);
	*at = next;
	return next->inode ? 0 : -ENOMEM;
}

/* The path that goes on where the symlink @name points: its target, then what was left. */
static int tree_follow(struct tree *t, struct tree_node **at, const char *name, size_t len,
		       const char *rest, char **path)
{
	const struct tree_inode *link = tree_find(t, *at, name, len)->inode;
	size_t rest_len = strlen(rest);
	char *joined;

	if (link->size + rest_len + 2 > 2 * LAYER_PATH_MAX)
		return -ENAMETOOLONG;
	joined = malloc(link->size + rest_len + 2);
	if (!joined)
		return -ENOMEM;
	memcpy(joined, link->target, link->size);
	joined[link->size] = '/';
	memcpy(joined + link->size + 1, rest, rest_len + 1);
	if (*joined == '/')
		*at = t->root;
	free(*path);
	*path = joined;
	return 0;
}

/**
 * tree_resolve() - Find the directory a path's last component is in
 * @t:	      Tree
 * @path:     Components with slashes between; no component of it may be ".." (the caller checked)
 * @create:   Add missing directories as implied ones
 * @ret_dir:  The directory
 * @ret_name: Last component, inside @path; "" for the root itself
 * @ret_len:  Its length
 *
 * Symlinks on the way (never the last component) are followed inside the tree, as a chroot would.
 *
 * Return: 0, -ENOENT, -ENOTDIR, -ELOOP, -ENAMETOOLONG or -ENOMEM
 */
int tree_resolve(struct tree *t, const char *path, bool create, struct tree_node **ret_dir,
		 const char **ret_name, size_t *ret_len)
{
	_cleanup_free_ char *owned = NULL;
	struct tree_node *at = t->root;
	const char *end = path + strlen(path), *last, *p;
	int links = 0;

	while (end > path && end[-1] == '/')
		end--;
	for (last = end; last > path && last[-1] != '/';)
		last--;
	owned = strndup(path, (size_t)(last - path));
	if (!owned)
		return -ENOMEM;
	for (p = owned; *p;) {
		size_t len = strcspn(p, "/");
		const char *rest = p + len + strspn(p + len, "/");
		int r = 0;

		if (len == 2 && memcmp(p, "..", 2) == 0)
			at = at->parent; /* from a symlink's target */
		else if (len != 0 && !(len == 1 && *p == '.'))
			r = tree_step(t, &at, p, len, create);
		if (r == -ELOOP && ++links <= TREE_SYMLINKS_MAX) {
			r = tree_follow(t, &at, p, len, rest, &owned);
			rest = owned;
		}
		if (r < 0)
			return r;
		p = rest;
	}
	*ret_dir = at;
	*ret_name = last;
	*ret_len = (size_t)(end - last);
	return 0;
}

/**
 * tree_name_cmp() - The order of names in a tree file and in EROFS: bytes, unsigned
 * @a:	   Name
 * @a_len: Its length
 * @b:	   Name
 * @b_len: Its length
 *
 * Return: <0, 0 or >0
 */
int tree_name_cmp(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int d = memcmp(a, b, MIN(a_len, b_len));

	return d ? d : (a_len > b_len) - (a_len < b_len);
}

static int tree_node_cmp(const void *a, const void *b)
{
	const struct tree_node *x = *(struct tree_node *const *)a,
			       *y = *(struct tree_node *const *)b;

	return tree_name_cmp(x->name, x->name_len, y->name, y->name_len);
}

/**
 * tree_sorted_children() - A directory's children by name
 * @dir:	Directory
 * @ret_sorted: Heap array of dir->n_children nodes (NULL if none), owned by the caller
 *
 * Return: 0 or -ENOMEM
 */
int tree_sorted_children(const struct tree_node *dir, const struct tree_node ***ret_sorted)
{
	const struct tree_node **sorted, *n;
	size_t i = 0;

	*ret_sorted = NULL;
	if (!dir->n_children)
		return 0;
	sorted = malloc(dir->n_children * sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	DL_FOREACH (dir->children, n)
		sorted[i++] = n;
	qsort(sorted, i, sizeof(*sorted), tree_node_cmp);
	*ret_sorted = sorted;
	return 0;
}
