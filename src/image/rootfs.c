/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rootfs.c - layers become one disk: merged EROFS metadata and a VMDK descriptor
 *
 * DOC: Theory of operation
 *
 * rootfs/<chain id>/meta.erofs holds the merged tree, disk.vmdk strings it together with the data
 * files of the layers and a sparse pad that fills the disk up to its constant capacity:
 *
 *     [ meta.erofs | layers/<1>/data | layers/<2>/data | ... | pad ]
 *
 * Extents have paths relative to the descriptor, so the data root can move. The pad is one file for
 * all disks; it is only ever read, and only grows. The folder appears by rename, so a descriptor
 * that exists is whole; if a later configuration asks for another capacity only the descriptor is
 * written anew. Trees are checked when they are opened (tree_read.c).
 */
#include "image/layer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/id.h"
#include "base/memory.h"
#include "base/str.h"
#include "image/erofs.h"
#include "image/layer_store.h"
#include "image/rootfs.h"
#include "image/tree_file.h"

#define ROOTFS_SECTOR_BYTES 512u
#define ROOTFS_CAPACITY_LINE "# capacity_bytes=%llu\n"
#define ROOTFS_DESCRIPTOR_MAX KIB(128)
#define ROOTFS_NODES_MAX (2 * LAYER_ENTRIES_MAX) /* merged, counting those replaced on the way */

/**
 * rootfs_chain_id() - The name of a stack of layers (OCI image-spec, config.md: ChainID)
 * @diff_ids: Valid digests, lowest first
 * @n:	      How many; 0 gives the digest of nothing
 * @out:      Receives the chain id
 */
void rootfs_chain_id(const char *const *diff_ids, size_t n, char out[static DIGEST_BUF])
{
	char text[2 * DIGEST_BUF];

	if (n == 0) {
		sha256_digest_text("", 0, out);
		return;
	}
	memcpy(out, diff_ids[0], DIGEST_BUF);
	for (size_t i = 1; i < n; i++) {
		int len = snprintf(text, sizeof(text), "%s %s", out, diff_ids[i]);

		sha256_digest_text(text, (size_t)len, out);
	}
}

/**
 * rootfs_merged_done() - Let go of a merged tree and its layers
 * @m: Merged tree, or all zero
 */
void rootfs_merged_done(struct rootfs_merged *m)
{
	tree_free(m->tree);
	for (size_t i = 0; i < m->n_files; i++)
		tree_file_done(&m->files[i]);
	free(m->files);
	free(m->blocks);
}

static int rootfs_open_layer(const char *store_root, const char *diff_id,
			     struct tree_file *ret_file, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	struct layer_info info;
	int r;

	if (!digest_valid(diff_id))
		return err_user(err, ERR_INVALID, "invalid diffID \"%.80s\"", diff_id);
	path = layer_path(store_root, diff_id, "tree");
	if (!path)
		return err_oom(err);
	r = layer_info(store_root, diff_id, &info); /* knows whether the data is whole */
	if (r == 0)
		r = tree_file_open(path, ret_file);
	if (r == -ENOENT)
		return err_sys(err, r, "layer %s is missing", diff_id);
	return r < 0 ? err_sys(err, r, "layer %s is damaged", diff_id) : 0;
}

/**
 * rootfs_merge() - Merge layers in memory
 * @store_root: The image store's folder
 * @diff_ids:	Lowest first
 * @n:		How many, 0 is fine
 * @ret_merged: rootfs_merged_done() it
 * @err:	Filled on failure
 *
 * Return: 0, -EINVAL for layers that do not fit together, or negative errno
 */
int rootfs_merge(const char *store_root, const char *const *diff_ids, size_t n,
		 struct rootfs_merged *ret_merged, struct err *err)
{
	_cleanup_(rootfs_merged_done) struct rootfs_merged m = {};
	int r;

	if (n > LAYERS_PER_IMAGE_MAX)
		return err_user(err, ERR_INVALID, "max depth exceeded");
	m.files = calloc(n + 1, sizeof(*m.files));
	m.blocks = calloc(n + 1, sizeof(*m.blocks));
	if (!m.files || !m.blocks || tree_new(&m.tree) < 0)
		return err_oom(err);
	for (size_t i = 0; i < n; i++) {
		r = rootfs_open_layer(store_root, diff_ids[i], &m.files[i], err);
		if (r < 0)
			return r;
		m.n_files++;
		m.blocks[i] = m.files[i].header->data_blocks;
		r = tree_merge(m.tree, &m.files[i], (uint32_t)i, err);
		if (r < 0)
			return r;
		if (tree_node_count(m.tree) > ROOTFS_NODES_MAX)
			return err_user(err, ERR_INVALID, "image has too many files");
	}
	*ret_merged = m;
	m = (struct rootfs_merged){};
	return 0;
}

/* Space is reserved before the file is mapped: a full disk is an error here, not a SIGBUS. */
static int rootfs_write_meta(const char *path, const struct erofs_plan *plan, const char *chain_id)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	size_t len = (size_t)plan->meta_blocks * EROFS_BLOCK_BYTES;
	uint8_t id[SHA256_DIGEST_SIZE]; /* its first bytes are the UUID */
	void *map;
	int r;

	if (fd < 0)
		return -errno;
	r = posix_fallocate(fd, 0, (off_t)len);
	if (r != 0)
		return -r;
	map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	r = str_unhex(digest_hex(chain_id), id, sizeof(id));
	if (r == 0)
		erofs_write(plan, id, map);
	(void)munmap(map, len); /* our own mapping: cannot fail */
	if (r == 0 && fdatasync(fd) < 0)
		r = -errno;
	return r;
}

static int rootfs_make_pad(const char *store_root, uint64_t bytes)
{
	_cleanup_free_ char *path = str_format("%s/pad", store_root);
	_cleanup_close_ int fd = -EBADF;
	struct stat st;

	if (!path)
		return -ENOMEM;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size < bytes && ftruncate(fd, (off_t)bytes) < 0)
		return -errno;
	return 0;
}

static void rootfs_add_extent(struct buf *b, uint64_t bytes, const char *kind, const char *name)
{
	if (bytes)
		buf_addf(b, "RW %llu FLAT \"../../%s%s\" 0\n",
			 (unsigned long long)(bytes / ROOTFS_SECTOR_BYTES), kind, name);
}

static int rootfs_describe(uint64_t meta_bytes, const char *chain_id, const char *const *diff_ids,
			   const uint64_t *layer_blocks, size_t n, uint64_t disk_bytes,
			   struct buf *out, struct err *err)
{
	uint64_t used = meta_bytes;
	char name[DIGEST_BUF + 16];

	for (size_t i = 0; i < n; i++)
		used += layer_blocks[i] * EROFS_BLOCK_BYTES;
	if (used > disk_bytes || disk_bytes % EROFS_BLOCK_BYTES)
		return err_user(err, ERR_INVALID, "image needs %llu bytes, the root disk has %llu",
				(unsigned long long)used, (unsigned long long)disk_bytes);
	buf_adds(out, "# Disk DescriptorFile\nversion=1\n");
	buf_addf(out, ROOTFS_CAPACITY_LINE, (unsigned long long)disk_bytes);
	buf_adds(out, "CID=fffffffe\nparentCID=ffffffff\ncreateType=\"twoGbMaxExtentFlat\"\n\n"
		      "# Extent description\n");
	(void)snprintf(name, sizeof(name), "%s/meta.erofs", digest_hex(chain_id)); /* fits */
	rootfs_add_extent(out, meta_bytes, "rootfs/", name);
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "%s/data", digest_hex(diff_ids[i])); /* fits */
		rootfs_add_extent(out, layer_blocks[i] * EROFS_BLOCK_BYTES, "layers/", name);
	}
	rootfs_add_extent(out, disk_bytes - used, "pad", "");
	buf_adds(out, "\n# The Disk Data Base\n#DDB\nddb.adapterType = \"ide\"\n");
	return out->failed ? err_oom(err) : 0;
}

/* Whether the published descriptor is for this capacity. */
static bool rootfs_is_current(const char *vmdk, uint64_t disk_bytes)
{
	_cleanup_free_ char *text = NULL;
	char line[64];

	(void)snprintf(line, sizeof(line), ROOTFS_CAPACITY_LINE, (unsigned long long)disk_bytes);
	return fs_read_file(vmdk, ROOTFS_DESCRIPTOR_MAX, &text, NULL) == 0 && strstr(text, line);
}

/* The metadata is there, the descriptor is for another capacity. */
static int rootfs_redescribe(const char *store_root, const char *chain_id,
			     const char *const *diff_ids, size_t n, uint64_t disk_bytes,
			     struct err *err)
{
	_cleanup_free_ char *meta = NULL, *vmdk = NULL, *fresh = NULL;
	_cleanup_free_ uint64_t *blocks = calloc(n + 1, sizeof(*blocks));
	_cleanup_buf_ struct buf text = {};
	char id[ID_BUF];
	struct stat st;
	int r;

	id_generate(id);
	meta = str_format("%s/rootfs/%s/meta.erofs", store_root, digest_hex(chain_id));
	vmdk = str_format("%s/rootfs/%s/disk.vmdk", store_root, digest_hex(chain_id));
	fresh = str_format("%s/rootfs/%s/.tmp-%.16s", store_root, digest_hex(chain_id), id);
	if (!meta || !vmdk || !fresh || !blocks)
		return err_oom(err);
	if (stat(meta, &st) < 0)
		return err_sys(err, -errno, "root file system %s is damaged", chain_id);
	for (size_t i = 0; i < n; i++) {
		struct layer_info info;

		r = layer_info(store_root, diff_ids[i], &info);
		if (r < 0)
			return err_sys(err, r, "layer %s is damaged", diff_ids[i]);
		blocks[i] = info.data_bytes / EROFS_BLOCK_BYTES;
	}
	r = rootfs_describe((uint64_t)st.st_size, chain_id, diff_ids, blocks, n, disk_bytes, &text,
			    err);
	if (r < 0)
		return r;
	r = fs_write_file(fresh, text.data, text.len, 0600);
	if (r == 0 && rename(fresh, vmdk) < 0)
		r = -errno;
	return r < 0 ? err_sys(err, r, "cannot write the disk descriptor") : 0;
}

static int rootfs_build(const char *store_root, const char *chain_id, const char *const *diff_ids,
			size_t n, uint64_t disk_bytes, const char *folder, struct err *err)
{
	_cleanup_(rootfs_merged_done) struct rootfs_merged m = {};
	_cleanup_(erofs_plan_freep) struct erofs_plan *plan = NULL;
	_cleanup_free_ char *meta = str_format("%s/meta.erofs", folder);
	_cleanup_free_ char *vmdk = str_format("%s/disk.vmdk", folder);
	_cleanup_buf_ struct buf text = {};
	int r;

	if (!meta || !vmdk)
		return err_oom(err);
	r = rootfs_merge(store_root, diff_ids, n, &m, err);
	if (r == 0)
		r = erofs_plan_new(m.tree, m.blocks, n, &plan, err);
	if (r == 0)
		r = rootfs_describe((uint64_t)plan->meta_blocks * EROFS_BLOCK_BYTES, chain_id,
				    diff_ids, m.blocks, n, disk_bytes, &text, err);
	if (r < 0)
		return r;
	r = rootfs_write_meta(meta, plan, chain_id);
	if (r < 0)
		return err_sys(err, r, "cannot write the image's metadata");
	r = fs_write_file(vmdk, text.data, text.len, 0600);
	return r < 0 ? err_sys(err, r, "cannot write the disk descriptor") : 0;
}

static int rootfs_make(const char *store_root, const char *chain_id, const char *const *diff_ids,
		       size_t n, uint64_t disk_bytes, struct err *err)
{
	_cleanup_(store_tmp_done) struct store_tmp tmp = {};
	_cleanup_free_ char *path = str_format("%s/rootfs/%s", store_root, digest_hex(chain_id));
	int r;

	if (!path)
		return err_oom(err);
	r = store_tmp_make(store_root, "rootfs", &tmp);
	if (r < 0)
		return err_sys(err, r, "cannot create a root file system");
	r = rootfs_build(store_root, chain_id, diff_ids, n, disk_bytes, tmp.path, err);
	memory_give_back();
	if (r < 0)
		return r;
	r = store_tmp_publish(&tmp, path);
	return r < 0 ? err_sys(err, r, "cannot publish root file system %s", chain_id) : 0;
}

/**
 * rootfs_assemble() - The disk of a stack of layers
 * @store_root: The image store's folder
 * @diff_ids:	Layers in the store, lowest first
 * @n:		How many; 0 gives an empty root
 * @disk_bytes: Capacity the disk must have, a multiple of 4096
 * @ret_vmdk:	Heap path of the descriptor, owned by the caller
 * @err:	Filled on failure
 *
 * Merges and writes only what is not there yet. Safe from any thread, also for the same layers
 * twice at once.
 *
 * Return: 0, -EINVAL for layers that do not fit together or the disk, or negative errno
 */
int rootfs_assemble(const char *store_root, const char *const *diff_ids, size_t n,
		    uint64_t disk_bytes, char **ret_vmdk, struct err *err)
{
	_cleanup_free_ char *vmdk = NULL;
	char chain_id[DIGEST_BUF];
	int r;

	for (size_t i = 0; i < n; i++)
		if (!digest_valid(diff_ids[i]))
			return err_user(err, ERR_INVALID, "invalid diffID \"%.80s\"", diff_ids[i]);
	rootfs_chain_id(diff_ids, n, chain_id);
	vmdk = str_format("%s/rootfs/%s/disk.vmdk", store_root, digest_hex(chain_id));
	if (!vmdk)
		return err_oom(err);
	if (!rootfs_is_current(vmdk, disk_bytes)) {
		if (fs_exists(vmdk))
			r = rootfs_redescribe(store_root, chain_id, diff_ids, n, disk_bytes, err);
		else
			r = rootfs_make(store_root, chain_id, diff_ids, n, disk_bytes, err);
		if (r < 0)
			return r;
	}
	r = rootfs_make_pad(store_root, disk_bytes);
	if (r < 0)
		return err_sys(err, r, "cannot make the disks' pad");
	*ret_vmdk = TAKE_PTR(vmdk);
	return 0;
}
