/* SPDX-License-Identifier: Apache-2.0 */
/* layer_store.c - the folders layers/ and rootfs/ of the store, and how they come and go */
#include "image/layer_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/id.h"
#include "base/str.h"
#include "image/tree_file.h"

#define STORE_TMP_PREFIX ".tmp-"

/**
 * store_tmp_make() - A new empty folder beside the complete ones
 * @store_root: The image store's folder
 * @kind:	"layers" or "rootfs"; created if missing
 * @ret_tmp:	store_tmp_done() it
 *
 * Return: 0 or negative errno
 */
int store_tmp_make(const char *store_root, const char *kind, struct store_tmp *ret_tmp)
{
	_cleanup_free_ char *parent = str_format("%s/%s", store_root, kind);
	_cleanup_free_ char *path = NULL;
	char id[ID_BUF];
	int r;

	id_generate(id);
	path = str_format("%s/%s/" STORE_TMP_PREFIX "%.16s", store_root, kind, id);
	if (!parent || !path)
		return -ENOMEM;
	r = fs_mkdir_p(parent, 0711);
	if (r < 0)
		return r;
	if (mkdir(path, 0711) < 0)
		return -errno;
	ret_tmp->path = TAKE_PTR(path);
	return 0;
}

/**
 * store_tmp_publish() - Give the folder its final name
 * @tmp:  Folder; empty afterwards if it was published
 * @path: Final path, same parent
 *
 * If another thread was faster its folder stays and ours goes: both hold the same.
 *
 * Return: 0 or negative errno
 */
int store_tmp_publish(struct store_tmp *tmp, const char *path)
{
	if (rename(tmp->path, path) < 0)
		return errno == EEXIST || errno == ENOTEMPTY ? 0 : -errno;
	free(TAKE_PTR(tmp->path));
	return 0;
}

/**
 * store_tmp_done() - Remove the folder if it was not published
 * @tmp: Folder, or all zero
 */
void store_tmp_done(struct store_tmp *tmp)
{
	if (tmp->path)
		(void)fs_remove_tree(tmp->path); /* the sweep at the next start tries again */
	free(TAKE_PTR(tmp->path));
}

/**
 * layer_path() - Where a layer is
 * @store_root: The image store's folder
 * @diff_id:	Valid digest
 * @file:	"data", "tree" or NULL for the folder
 *
 * Return: heap path, or NULL
 */
char *layer_path(const char *store_root, const char *diff_id, const char *file)
{
	return str_format("%s/layers/%s%s%s", store_root, digest_hex(diff_id), file ? "/" : "",
			  file ? file : "");
}

/**
 * layer_present() - Whether a layer is in the store
 * @store_root: The image store's folder
 * @diff_id:	Digest
 *
 * Return: the answer
 */
bool layer_present(const char *store_root, const char *diff_id)
{
	struct layer_info info;

	return layer_info(store_root, diff_id, &info) == 0;
}

/**
 * layer_folder_info() - What is known of a layer without reading it, wherever its folder is
 * @folder:   The folder
 * @diff_id:  Its digest
 * @ret_info: The answer
 *
 * Return: 0, -ENOENT, -EBADMSG for a damaged layer, or negative errno
 */
int layer_folder_info(const char *folder, const char *diff_id, struct layer_info *ret_info)
{
	_cleanup_free_ char *tree = str_format("%s/tree", folder);
	_cleanup_free_ char *data = str_format("%s/data", folder);
	struct tree_file_header h;
	struct stat st;
	int r;

	if (!tree || !data)
		return -ENOMEM;
	r = tree_file_read_header(tree, &h);
	if (r < 0)
		return r;
	if (stat(data, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size != h.data_blocks * TREE_BLOCK_BYTES)
		return -EBADMSG;
	*ret_info = (struct layer_info){
		.size_bytes = h.size_bytes,
		.data_bytes = (uint64_t)st.st_size,
		.entries = h.n_nodes - 1,
	};
	memcpy(ret_info->diff_id, diff_id, DIGEST_BUF);
	return 0;
}

/**
 * layer_info() - What is known of a layer without reading it
 * @store_root: The image store's folder
 * @diff_id:	Digest
 * @ret_info:	The answer
 *
 * Return: 0, -EINVAL for no digest, -ENOENT, -EBADMSG for a damaged layer, or negative errno
 */
int layer_info(const char *store_root, const char *diff_id, struct layer_info *ret_info)
{
	_cleanup_free_ char *folder = NULL;

	if (!digest_valid(diff_id))
		return -EINVAL;
	folder = layer_path(store_root, diff_id, NULL);
	return folder ? layer_folder_info(folder, diff_id, ret_info) : -ENOMEM;
}

/* Out of sight first, so that nobody meets half a folder. */
static int store_remove(const char *store_root, const char *kind, const char *id)
{
	_cleanup_(store_tmp_done) struct store_tmp tmp = {};
	_cleanup_free_ char *path = NULL, *gone = NULL;
	int r;

	if (!digest_valid(id))
		return -EINVAL;
	path = str_format("%s/%s/%s", store_root, kind, digest_hex(id));
	r = store_tmp_make(store_root, kind, &tmp);
	if (r < 0)
		return r;
	gone = str_format("%s/gone", tmp.path);
	if (!path || !gone)
		return -ENOMEM;
	return rename(path, gone) < 0 ? -errno : 0;
}

/**
 * layer_remove() - Remove a layer nothing uses any more
 * @store_root: The image store's folder
 * @diff_id:	Digest
 *
 * Return: 0, -EINVAL for no digest, -ENOENT, or negative errno
 */
int layer_remove(const char *store_root, const char *diff_id)
{
	return store_remove(store_root, "layers", diff_id);
}

/**
 * rootfs_remove() - Remove a root file system nothing uses any more; its layers stay
 * @store_root: The image store's folder
 * @chain_id:	Digest from rootfs_chain_id()
 *
 * Return: 0, -EINVAL for no digest, -ENOENT, or negative errno
 */
int rootfs_remove(const char *store_root, const char *chain_id)
{
	return store_remove(store_root, "rootfs", chain_id);
}
