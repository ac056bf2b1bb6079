/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_store.c - the store's folder: made, opened, kept clean
 *
 * DOC: Theory of operation
 *
 *     <root>/oci-layout, index.json, blobs/sha256/<hex>   an OCI layout of all images
 *     <root>/layers/<hex>, rootfs/<hex>                   made from it (layer.h)
 *     <root>/ingest/<n>/                                  on its way in
 *
 * The rows decide: an image is there once its row is, and the row is written last. A file that no
 * row names is garbage, whoever left it: a load that failed, a daemon that was killed, a delete. So
 * there are no use counts on files. Garbage goes at once, except what something under way needs,
 * which goes with that (image_job.c), and what a crash left goes at the next start.
 *
 * Locking: is->lock, then the store's. Nothing under way holds either while it works.
 */
#include "image/manifest_list.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "base/util.h"
#include "store/store.h"

#define OCI_LAYOUT "{\"imageLayoutVersion\":\"1.0.0\"}\n"

/**
 * image_blob_path() - Where a blob is
 * @is:	    Store
 * @digest: Its digest
 *
 * Return: heap path, NULL without memory
 */
char *image_blob_path(const struct image_store *is, const char *digest)
{
	return str_format("%s/blobs/sha256/%s", is->root, digest_hex(digest));
}

/**
 * image_strv_free() - Free a NULL-terminated array of texts
 * @strv: Array; may be NULL
 */
void image_strv_free(char **strv)
{
	for (char **s = strv; s && *s; s++)
		free(*s);
	free(strv);
}

/**
 * image_strv_add() - Append a copy to a NULL-terminated array
 * @strv: Array; *strv may be NULL
 * @n:	  Its length, kept up to date
 * @text: Text
 *
 * Return: 0 or -ENOMEM
 */
int image_strv_add(char ***strv, size_t *n, const char *text)
{
	char **bigger = reallocarray(*strv, *n + 2, sizeof(char *));
	char *copy = strdup(text);

	if (bigger)
		*strv = bigger;
	if (!bigger || !copy) {
		if (bigger)
			bigger[*n] = NULL;
		free(copy);
		return -ENOMEM;
	}
	bigger[(*n)++] = copy;
	bigger[*n] = NULL;
	return 0;
}

/* Digests that rows name, as a set of hex texts. */
struct name {
	char hex[65];
	UT_hash_handle hh;
};

static void names_free(struct name **names)
{
	struct name *n, *next;

	HASH_ITER (hh, *names, n, next) {
		HASH_DEL(*names, n);
		free(n);
	}
}

static int names_row(void *user, struct store_row *row)
{
	struct name **names = user, *n, *old;
	const char *text = store_row_text(row, 0);

	if (!text || !digest_valid(text))
		return 0; /* '' where an image has no manifest */
	HASH_FIND_STR(*names, digest_hex(text), old);
	if (old)
		return 0;
	n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	memcpy(n->hex, digest_hex(text), sizeof(n->hex));
	HASH_ADD_STR(*names, hex, n);
	return 0;
}

/* Tell of what is in root/folder and not in the rows that `sql` names. */
static int garbage_folder(struct image_store *is, const char *folder, const char *sql,
			  image_garbage_fn fn, void *user)
{
	_cleanup_(names_free) struct name *names = NULL;
	_cleanup_free_ char *dir = str_format("%s/%s", is->root, folder);
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *de;
	int r;

	if (!dir)
		return -ENOMEM;
	r = store_exec(is->store, sql, names_row, &names, "");
	if (r < 0)
		return r;
	d = opendir(dir);
	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while ((de = readdir(d))) {
		_cleanup_free_ char *path = NULL;
		struct name *n;

		if (str_eq(de->d_name, ".") || str_eq(de->d_name, ".."))
			continue;
		HASH_FIND_STR(names, de->d_name, n);
		if (n)
			continue;
		path = str_format("%s/%s", dir, de->d_name);
		r = path ? fn(user, path) : -ENOMEM;
		if (r < 0)
			return r;
	}
	return 0;
}

/**
 * image_garbage_each() - Every file that no row names
 * @is:	  Store; nothing is under way
 * @fn:	  Told the path; may remove it; <0 stops
 * @user: For @fn
 *
 * Return: 0 or negative errno
 */
int image_garbage_each(struct image_store *is, image_garbage_fn fn, void *user)
{
	static const struct {
		const char *folder, *sql;
	} kinds[] = {
		{"ingest", "SELECT NULL WHERE 0"},
		{"blobs/sha256", "SELECT id FROM images UNION SELECT manifest_digest FROM images "
				 "UNION SELECT blob_digest FROM image_layers "
				 "UNION SELECT digest FROM manifest_lists "
				 "UNION SELECT blob_digest FROM pulled_layers"},
		{"layers", "SELECT diff_id FROM layers UNION SELECT diff_id FROM pulled_layers"},
		{"rootfs", "SELECT chain_id FROM images"},
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kinds) && r == 0; i++)
		r = garbage_folder(is, kinds[i].folder, kinds[i].sql, fn, user);
	return r;
}

static int sweep_one(void *user UNUSED, const char *path)
{
	int r = fs_remove_tree(path);

	if (r < 0)
		log_warn("cannot remove %s: %s", path, strerror(-r));
	return 0;
}

/**
 * image_sweep() - Remove every file that no row names
 * @is: Store; nothing is under way
 *
 * Return: 0 or negative errno (the rest stays until next time)
 */
int image_sweep(struct image_store *is)
{
	assert(!is->jobs);
	return image_garbage_each(is, sweep_one, NULL);
}

static int check_file(struct image_store *is, const char *digest)
{
	_cleanup_free_ char *path = image_blob_path(is, digest);

	if (!path)
		return -ENOMEM;
	return access(path, R_OK) < 0 && errno == ENOENT ? 1 : 0;
}

/* 1 if the image cannot be used any more */
static int check_image(struct image_store *is, const char *id)
{
	_cleanup_(image_strv_freep) char **layers = NULL;
	int r = check_file(is, id);

	if (r == 0)
		r = image_rows_texts(is, "SELECT diff_id FROM image_layers WHERE image_id = ?", id,
				     &layers);
	for (char **l = layers; r == 0 && l && *l; l++)
		r = layer_present(is->root, *l) ? 0 : 1;
	return r;
}

static int check_lists(struct image_store *is)
{
	_cleanup_(image_strv_freep) char **lists = NULL, **unnamed = NULL;
	int r = manifest_list_drop_unnamed(is, &unnamed);

	if (r == 0)
		r = image_rows_texts(is, "SELECT digest FROM manifest_lists", NULL, &lists);
	for (char **list = lists; r == 0 && list && *list; list++) {
		r = check_file(is, *list);
		if (r > 0) {
			log_warn("the manifest list %.19s is missing and is forgotten", *list);
			r = manifest_list_forget(is, *list);
		}
	}
	return r;
}

/* Rows whose files somebody removed are not trusted either. */
static int check_images(struct image_store *is)
{
	_cleanup_(image_strv_freep) char **ids = NULL;
	int r = image_rows_texts(is, "SELECT id FROM images", NULL, &ids);

	for (char **id = ids; r == 0 && id && *id; id++) {
		r = check_image(is, *id);
		if (r > 0) {
			log_warn("image %.19s lacks files and is forgotten", *id);
			r = store_exec(is->store, "DELETE FROM images WHERE id = ?", NULL, NULL,
				       "s", *id);
		}
	}
	if (r == 0)
		r = check_lists(is);
	if (r == 0)
		r = store_exec(is->store,
			       "DELETE FROM layers WHERE NOT EXISTS (SELECT 1 FROM image_layers "
			       "WHERE image_layers.diff_id = layers.diff_id)",
			       NULL, NULL, "");
	return r;
}

/**
 * image_store_layout() - Make what every store has
 * @is:	 Store
 * @err: Filled on failure
 *
 * Return: 0 or negative errno
 */
int image_store_layout(struct image_store *is, struct err *err)
{
	static const char *const folders[] = {"blobs/sha256", "layers", "rootfs", "ingest"};
	_cleanup_free_ char *layout = str_format("%s/oci-layout", is->root);
	int r;

	if (!layout)
		return err_oom(err);
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		_cleanup_free_ char *dir = str_format("%s/%s", is->root, folders[i]);

		r = dir ? fs_mkdir_p(dir, 0700) : -ENOMEM;
		if (r < 0)
			return err_sys(err, r, "cannot make %s/%s", is->root, folders[i]);
	}
	if (!fs_exists(layout)) {
		r = fs_write_file(layout, OCI_LAYOUT, strlen(OCI_LAYOUT), 0600);
		if (r < 0)
			return err_sys(err, r, "cannot write %s", layout);
	}
	return 0;
}

DEFINE_CLEANUP(struct image_store *, image_store_free)

/**
 * image_store_new() - Open the image store, and remove what was left half-made
 * @root:  Its folder, made if it is not there
 * @store: Database; borrowed until image_store_free()
 * @ret:   The store; set on success only
 * @err:   Filled on failure
 *
 * Return: 0 or negative errno
 */
int image_store_new(const char *root, struct store *store, struct image_store **ret,
		    struct err *err)
{
	_cleanup_(image_store_freep) struct image_store *is = calloc(1, sizeof(*is));
	int r;

	if (!is)
		return err_oom(err);
	(void)pthread_mutex_init(&is->lock, NULL);
	(void)pthread_mutex_init(&is->index_lock, NULL);
	is->store = store;
	is->root = strdup(root);
	if (!is->root)
		return err_oom(err);
	r = image_store_layout(is, err);
	if (r < 0)
		return r;
	r = check_images(is);
	if (r == 0)
		r = pull_kept_check(is);
	if (r == 0)
		r = image_sweep(is);
	if (r == 0)
		r = image_index_write(is);
	if (r < 0)
		return err_sys(err, r, "cannot open the image store %s", root);
	*ret = TAKE_PTR(is);
	return 0;
}

/**
 * image_store_free() - Close the image store
 * @is: Store that no thread uses any more; may be NULL
 */
void image_store_free(struct image_store *is)
{
	if (!is)
		return;
	(void)pthread_mutex_destroy(&is->lock);
	(void)pthread_mutex_destroy(&is->index_lock);
	free(is->root);
	free(is);
}
