/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_check.c - prove the image store consistent, or name what is not
 *
 * DOC: Theory of operation
 *
 * The rows decide what must be there (image_store.c), so each is held against its files:
 *
 *     image     config and manifest are there, name the same layers as the rows do; its chain id
 *               and size follow from them; its root disk is complete
 *     layer     tree and data are there, of the size that the row has
 *     blob      there, of the right size; full: of the right digest
 *     kept      layers of broken pulls: blob and layer, as those of an image
 *     list      the blob of each manifest list
 *     names     point at images; index.json is what the rows give
 *     files     that no row names are garbage
 *
 * A full check reads every blob and digests every tree. Repair is what a daemon does at its start,
 * after a full check: an image or kept layer that lacks something is forgotten, a root disk is made
 * again, what no row names goes, index.json is written. Files are removed only when the rows that
 * named them are gone and durable.
 *
 * It runs alone: the caller holds the data root's lock.
 */
#include "image/image_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "base/fs.h"
#include "base/str.h"
#include "base/util.h"
#include "image/manifest_list.h"
#include "image/layer_store.h"
#include "image/tree_file.h"
#include "store/store.h"

#define CHECK_BUFFER (1u << 20)

struct check_image {
	char id[DIGEST_BUF], manifest[DIGEST_BUF], chain[DIGEST_BUF];
	int64_t manifest_bytes, config_bytes, size_bytes;
	bool bad;      /* lacks something that cannot be made again */
	bool bad_disk; /* its root disk can */
};

struct check_layers {
	struct {
		char diff_id[DIGEST_BUF], blob[DIGEST_BUF];
		int64_t blob_bytes, size_bytes, data_bytes;
	} v[LAYERS_PER_IMAGE_MAX];
	size_t n;
	bool gap; /* positions are not 0, 1, 2, ... */
};

/* What was looked at already: layers and blobs belong to many images. */
struct check_seen {
	char key[DIGEST_BUF + 1]; /* kind, digest */
	char *why;		  /* owned: what is wrong; NULL if nothing is */
	UT_hash_handle hh;
};

struct check {
	struct image_store is;
	bool full;
	void (*say)(void *user, const char *line);
	void *user;
	struct image_check_result result;
	struct check_image *images; /* owned */
	size_t images_n;
	char **bad_kept; /* owned: blobs in pulled_layers */
	size_t bad_kept_n;
	char **bad_lists; /* owned: digests in manifest_lists */
	size_t bad_lists_n;
	struct check_seen *seen; /* owned */
	char *buffer;		 /* owned */
};

static void check_reset(struct check *c)
{
	struct check_seen *s, *next;

	HASH_ITER (hh, c->seen, s, next) {
		HASH_DEL(c->seen, s);
		free(s->why);
		free(s);
	}
	free(c->images);
	c->images = NULL;
	c->images_n = 0;
	image_strv_free(c->bad_kept);
	c->bad_kept = NULL;
	c->bad_kept_n = 0;
	image_strv_free(c->bad_lists);
	c->bad_lists = NULL;
	c->bad_lists_n = 0;
	c->result = (struct image_check_result){};
}

static void check_done(struct check *c)
{
	check_reset(c);
	free(c->buffer);
	free(c->is.root);
	(void)pthread_mutex_destroy(&c->is.lock);
	(void)pthread_mutex_destroy(&c->is.index_lock);
}

static void PRINTF(2, 3) check_say(struct check *c, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap); /* cut where it is longer */
	va_end(ap);
	c->result.problems++;
	c->say(c->user, line);
}

static int check_digest(struct check *c, const char *path, char ret[static DIGEST_BUF])
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct sha256 sum;
	ssize_t n;

	if (fd < 0)
		return -errno;
	sha256_start(&sum);
	while ((n = fs_read_full(fd, c->buffer, CHECK_BUFFER)) > 0)
		sha256_add(&sum, c->buffer, (size_t)n);
	sha256_finish(&sum, ret);
	return n < 0 ? (int)n : 0;
}

/* Each of these: what is wrong, as heap text; NULL if nothing is. Negative numbers: not known. */
static char *blob_wrong(struct check *c, const char *digest, int64_t bytes)
{
	_cleanup_free_ char *path = digest_valid(digest) ? image_blob_path(&c->is, digest) : NULL;
	char found[DIGEST_BUF];
	struct stat st;
	int r;

	if (!path)
		return strdup("its digest is none");
	if (lstat(path, &st) < 0)
		return strdup(errno == ENOENT ? "is missing" : strerror(errno));
	if (!S_ISREG(st.st_mode))
		return strdup("is no file");
	if (bytes >= 0 && st.st_size != bytes)
		return str_format("has %lld bytes instead of %lld", (long long)st.st_size,
				  (long long)bytes);
	c->result.blobs++;
	c->result.bytes += (uint64_t)st.st_size;
	if (!c->full)
		return NULL;
	r = check_digest(c, path, found);
	if (r < 0)
		return str_format("cannot be read: %s", strerror(-r));
	return str_eq(found, digest) ? NULL : str_format("hashes to %s", found);
}

static char *layer_wrong(struct check *c, const char *diff_id, int64_t size, int64_t data)
{
	_cleanup_free_ char *tree = NULL;
	struct tree_file file;
	struct layer_info info;
	int r = layer_info(c->is.root, diff_id, &info);

	if (r == -ENOENT)
		return strdup("is missing");
	if (r < 0)
		return strdup("is damaged");
	if (size >= 0 && ((int64_t)info.size_bytes != size || (int64_t)info.data_bytes != data))
		return str_format("is %llu bytes of %llu on disk, its row says %lld of %lld",
				  (unsigned long long)info.size_bytes,
				  (unsigned long long)info.data_bytes, (long long)size,
				  (long long)data);
	c->result.layers++;
	if (!c->full)
		return NULL;
	tree = layer_path(c->is.root, diff_id, "tree");
	r = tree ? tree_file_open(tree, &file) : -ENOMEM;
	if (r < 0)
		return str_format("has a damaged tree: %s", strerror(-r));
	tree_file_done(&file);
	return NULL;
}

/* Looked at once; returns what is wrong, borrowed, or NULL. */
static const char *check_once(struct check *c, char kind, const char *digest, int64_t a, int64_t b)
{
	struct check_seen *s;
	char key[DIGEST_BUF + 1];

	(void)snprintf(key, sizeof(key), "%c%s", kind, digest);
	HASH_FIND_STR(c->seen, key, s);
	if (s)
		return s->why;
	s = calloc(1, sizeof(*s));
	if (!s)
		return "cannot be checked: out of memory";
	memcpy(s->key, key, sizeof(key));
	s->why = kind == 'b' ? blob_wrong(c, digest, a) : layer_wrong(c, digest, a, b);
	HASH_ADD_STR(c->seen, key, s);
	return s->why;
}

static void image_wrong(struct check *c, struct check_image *image, const char *what,
			const char *which, const char *why)
{
	if (!why)
		return;
	image->bad = true;
	check_say(c, "image %s: %s%s%s %s", image->id, what, *which ? " " : "", which, why);
}

static int layers_row(void *user, struct store_row *row)
{
	struct check_layers *layers = user;
	size_t i = layers->n;

	if (i >= LAYERS_PER_IMAGE_MAX || store_row_int(row, 0) != (int64_t)i) {
		layers->gap = true;
		return 0;
	}
	(void)snprintf(layers->v[i].diff_id, DIGEST_BUF, "%s", store_row_text(row, 1));
	(void)snprintf(layers->v[i].blob, DIGEST_BUF, "%s", store_row_text(row, 2));
	layers->v[i].blob_bytes = store_row_int(row, 3);
	layers->v[i].size_bytes = store_row_int(row, 4);
	layers->v[i].data_bytes = store_row_int(row, 5);
	layers->n++;
	return 0;
}

static int check_document(struct check *c, const char *digest, json_t **ret)
{
	_cleanup_free_ char *path = image_blob_path(&c->is, digest), *text = NULL;
	struct err ignored = {}; /* the caller says whose it is */
	size_t len;
	int r = path ? fs_read_file(path, OCI_CONFIG_BYTES_MAX, &text, &len) : -ENOMEM;

	return r < 0 ? r : oci_parse(text, len, "document", ret, &ignored);
}

static const char *config_wrong(struct check *c, const struct check_image *image,
				const struct check_layers *layers)
{
	_cleanup_(json_decrefp) json_t *doc = NULL;
	struct err ignored = {};
	struct oci_config config;

	if (check_document(c, image->id, &doc) < 0 || oci_config_read(doc, &config, &ignored) < 0)
		return "is no image config";
	if (config.diff_ids_n != layers->n)
		return "names another number of layers than the rows";
	for (size_t i = 0; i < layers->n; i++)
		if (!str_eq(config.diff_ids[i], layers->v[i].diff_id))
			return "names other layers than the rows";
	return NULL;
}

static const char *manifest_wrong(struct check *c, const struct check_image *image,
				  const struct check_layers *layers)
{
	_cleanup_free_ struct oci_manifest *m = calloc(1, sizeof(*m));
	_cleanup_(json_decrefp) json_t *doc = NULL;
	struct err ignored = {};

	if (!m || check_document(c, image->manifest, &doc) < 0 ||
	    oci_manifest_read(doc, m, &ignored) < 0)
		return "is no image manifest";
	if (!str_eq(m->config.digest, image->id))
		return "names another config";
	if (m->layers_n != layers->n)
		return "names another number of layers than the rows";
	for (size_t i = 0; i < layers->n; i++)
		if (!str_eq(m->layers[i].digest, layers->v[i].blob))
			return "names other layers than the rows";
	return NULL;
}

/* What follows from the layers' rows. */
static void check_sums(struct check *c, struct check_image *image,
		       const struct check_layers *layers)
{
	const char *diff_ids[LAYERS_PER_IMAGE_MAX];
	char chain[DIGEST_BUF];
	int64_t size = 0;

	for (size_t i = 0; i < layers->n; i++) {
		diff_ids[i] = layers->v[i].diff_id;
		size += layers->v[i].size_bytes;
		if (!digest_valid(diff_ids[i])) {
			image_wrong(c, image, "diff id", diff_ids[i], "is no digest");
			return;
		}
	}
	rootfs_chain_id(diff_ids, layers->n, chain);
	if (!str_eq(chain, image->chain))
		image_wrong(c, image, "chain id", "", "does not follow from its layers");
	if (size != image->size_bytes)
		image_wrong(c, image, "size", "", "is not that of its layers");
}

static void check_disk(struct check *c, struct check_image *image)
{
	static const char *const files[] = {"meta.erofs", "disk.vmdk"};

	for (size_t i = 0; i < ARRAY_SIZE(files) && digest_valid(image->chain); i++) {
		_cleanup_free_ char *path = str_format("%s/rootfs/%s/%s", c->is.root,
						       digest_hex(image->chain), files[i]);
		struct stat st;

		if (path && lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
			continue;
		image->bad_disk = true;
		check_say(c, "image %s: its root disk %s lacks %s", image->id, image->chain,
			  files[i]);
	}
}

static int check_image(struct check *c, struct check_image *image)
{
	_cleanup_free_ struct check_layers *layers = calloc(1, sizeof(*layers));
	int r;

	if (!layers)
		return -ENOMEM;
	r = store_exec(c->is.store,
		       "SELECT position, diff_id, blob_digest, blob_bytes, size_bytes, data_bytes "
		       "FROM image_layers LEFT JOIN layers USING (diff_id) WHERE image_id = ? "
		       "ORDER BY position",
		       layers_row, layers, "s", image->id);
	if (r < 0)
		return r;
	if (layers->gap)
		image_wrong(c, image, "rows of its layers", "", "are not complete");
	for (size_t i = 0; i < layers->n; i++) {
		image_wrong(c, image, "blob", layers->v[i].blob,
			    check_once(c, 'b', layers->v[i].blob, layers->v[i].blob_bytes, 0));
		image_wrong(c, image, "layer", layers->v[i].diff_id,
			    check_once(c, 'l', layers->v[i].diff_id, layers->v[i].size_bytes,
				       layers->v[i].data_bytes));
	}
	image_wrong(c, image, "config", image->id,
		    check_once(c, 'b', image->id, image->config_bytes, 0));
	image_wrong(c, image, "manifest", image->manifest,
		    check_once(c, 'b', image->manifest, image->manifest_bytes, 0));
	check_sums(c, image, layers);
	if (!image->bad)
		image_wrong(c, image, "config", image->id, config_wrong(c, image, layers));
	if (!image->bad)
		image_wrong(c, image, "manifest", image->manifest,
			    manifest_wrong(c, image, layers));
	check_disk(c, image);
	c->result.images++;
	return 0;
}

static int images_row(void *user, struct store_row *row)
{
	struct check *c = user;
	struct check_image *bigger, *image;

	bigger = reallocarray(c->images, c->images_n + 1, sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	c->images = bigger;
	image = &bigger[c->images_n++];
	*image = (struct check_image){.manifest_bytes = store_row_int(row, 3),
				      .config_bytes = store_row_int(row, 4),
				      .size_bytes = store_row_int(row, 5)};
	(void)snprintf(image->id, DIGEST_BUF, "%s", store_row_text(row, 0));
	(void)snprintf(image->manifest, DIGEST_BUF, "%s", store_row_text(row, 1));
	(void)snprintf(image->chain, DIGEST_BUF, "%s", store_row_text(row, 2));
	return 0;
}

static int kept_row(void *user, struct store_row *row)
{
	struct check *c = user;
	const char *blob = store_row_text(row, 0), *diff_id = store_row_text(row, 1);
	const char *blob_why = check_once(c, 'b', blob, -1, 0);
	const char *layer_why = check_once(c, 'l', diff_id, -1, -1);

	if (blob_why)
		check_say(c, "kept of a broken pull: blob %s %s", blob, blob_why);
	if (layer_why)
		check_say(c, "kept of a broken pull: layer %s %s", diff_id, layer_why);
	if (!blob_why && !layer_why)
		return 0;
	return image_strv_add(&c->bad_kept, &c->bad_kept_n, blob);
}

static int check_kept(struct check *c)
{
	return store_exec(c->is.store,
			  "SELECT blob_digest, diff_id FROM pulled_layers ORDER BY kept_ns",
			  kept_row, c, "");
}

static int list_row(void *user, struct store_row *row)
{
	struct check *c = user;
	const char *digest = store_row_text(row, 0);
	const char *why = check_once(c, 'b', digest, store_row_int(row, 1), 0);

	if (!why)
		return 0;
	check_say(c, "manifest list: blob %s %s", digest, why);
	return image_strv_add(&c->bad_lists, &c->bad_lists_n, digest);
}

static int check_lists(struct check *c)
{
	return store_exec(c->is.store,
			  "SELECT digest, size_bytes FROM manifest_lists ORDER BY digest", list_row,
			  c, "");
}

/* Rows that point nowhere; foreign keys should have kept them from being there. */
static int check_orphans(struct check *c)
{
	static const struct {
		const char *sql, *what;
	} orphans[] = {
		{"SELECT ref FROM image_tags WHERE image_id NOT IN (SELECT id FROM images)",
		 "points at no image"},
		{"SELECT ref FROM image_digests WHERE image_id NOT IN (SELECT id FROM images)",
		 "points at no image"},
		{"SELECT diff_id FROM layers WHERE diff_id NOT IN (SELECT diff_id FROM "
		 "image_layers)",
		 "is a layer of no image"},
		{"SELECT diff_id FROM pushed_gzips WHERE diff_id NOT IN (SELECT diff_id FROM "
		 "layers)",
		 "was pushed, but is no layer"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(orphans); i++) {
		_cleanup_(image_strv_freep) char **names = NULL;
		int r = image_rows_texts(&c->is, orphans[i].sql, NULL, &names);

		if (r < 0)
			return r;
		for (char **n = names; *n; n++)
			check_say(c, "%s %s", *n, orphans[i].what);
	}
	return 0;
}

static int garbage_found(void *user, const char *path)
{
	check_say(user, "%s: no row names it", path);
	return 0;
}

static int check_index(struct check *c)
{
	_cleanup_free_ char *want = NULL, *have = NULL;
	_cleanup_free_ char *path = str_format("%s/index.json", c->is.root);
	_cleanup_free_ char *layout = str_format("%s/oci-layout", c->is.root);
	int r = path && layout ? image_index_text(&c->is, &want) : -ENOMEM;

	if (r < 0)
		return r;
	if (fs_read_file(path, SIZE_MAX / 2, &have, NULL) < 0 || !str_eq(have, want))
		check_say(c, "%s: is not what the rows give", path);
	if (!fs_exists(layout))
		check_say(c, "%s: is missing", layout);
	return 0;
}

static int check_all(struct check *c)
{
	int r;

	check_reset(c);
	r = store_exec(c->is.store,
		       "SELECT id, manifest_digest, chain_id, manifest_bytes, config_bytes, "
		       "size_bytes FROM images ORDER BY added_ns, id",
		       images_row, c, "");
	for (size_t i = 0; i < c->images_n && r == 0; i++)
		r = check_image(c, &c->images[i]);
	if (r == 0)
		r = check_kept(c);
	if (r == 0)
		r = check_lists(c);
	if (r == 0)
		r = check_orphans(c);
	if (r == 0)
		r = image_garbage_each(&c->is, garbage_found, c);
	return r == 0 ? check_index(c) : r;
}

static int repair_rows(struct check *c)
{
	static const char *const statements[] = {
		"DELETE FROM image_tags WHERE image_id NOT IN (SELECT id FROM images)",
		"DELETE FROM image_digests WHERE image_id NOT IN (SELECT id FROM images)",
		"DELETE FROM layers WHERE diff_id NOT IN (SELECT diff_id FROM image_layers)",
		"DELETE FROM pushed_gzips WHERE diff_id NOT IN (SELECT diff_id FROM layers)",
	};
	int r = store_begin(c->is.store);

	if (r < 0)
		return r;
	for (size_t i = 0; i < c->images_n && r == 0; i++)
		if (c->images[i].bad)
			r = store_exec(c->is.store, "DELETE FROM images WHERE id = ?", NULL, NULL,
				       "s", c->images[i].id);
	for (size_t i = 0; i < c->bad_lists_n && r == 0; i++)
		r = manifest_list_forget(&c->is, c->bad_lists[i]);
	for (size_t i = 0; i < c->bad_kept_n && r == 0; i++)
		r = store_exec(c->is.store, "DELETE FROM pulled_layers WHERE blob_digest = ?", NULL,
			       NULL, "s", c->bad_kept[i]);
	for (size_t i = 0; i < ARRAY_SIZE(statements) && r == 0; i++)
		r = store_exec(c->is.store, statements[i], NULL, NULL, "");
	if (r < 0) {
		store_rollback(c->is.store);
		return r;
	}
	r = store_commit(c->is.store);
	return r < 0 ? r : store_sync(c->is.store);
}

static int repair_disk(struct check *c, const struct check_image *image, struct err *err)
{
	_cleanup_(image_strv_freep) char **diff_ids = NULL;
	_cleanup_free_ char *vmdk = NULL;
	size_t n = 0;
	int r;

	r = rootfs_remove(c->is.root, image->chain);
	if (r < 0 && r != -ENOENT)
		return err_sys(err, r, "cannot remove the root disk %s", image->chain);
	r = image_rows_texts(
		&c->is, "SELECT diff_id FROM image_layers WHERE image_id = ? ORDER BY position",
		image->id, &diff_ids);
	if (r < 0)
		return err_sys(err, r, "cannot read the layers of %s", image->id);
	while (diff_ids[n])
		n++;
	return rootfs_assemble(c->is.root, (const char *const *)diff_ids, n, IMAGE_DISK_BYTES,
			       &vmdk, err);
}

static int check_repair(struct check *c, struct err *err)
{
	int r = repair_rows(c);

	if (r == 0)
		r = image_sweep(&c->is);
	if (r < 0)
		return err_sys(err, r, "cannot repair the image store");
	for (size_t i = 0; i < c->images_n; i++) {
		if (c->images[i].bad || !c->images[i].bad_disk)
			continue;
		r = repair_disk(c, &c->images[i], err);
		if (r < 0)
			return r;
	}
	r = image_store_layout(&c->is, err);
	if (r < 0)
		return r;
	r = image_index_write(&c->is);
	return r < 0 ? err_sys(err, r, "cannot write the index of images") : 0;
}

/**
 * image_check() - Hold the image store's rows against its files
 * @root:  <data-root>/images; nobody else uses it
 * @store: Database
 * @mode:  How thoroughly, and whether to repair
 * @say:   Told a line for each problem
 * @user:  For @say
 * @ret:   What was found; after a repair, what is left
 * @err:   Filled if it cannot be checked
 *
 * Return: 0 or negative errno; that there are problems is no error
 */
int image_check(const char *root, struct store *store, enum image_check_mode mode,
		void (*say)(void *user, const char *line), void *user,
		struct image_check_result *ret, struct err *err)
{
	_cleanup_(check_done) struct check c = {.is = {.root = strdup(root), .store = store},
						.full = mode != IMAGE_CHECK_QUICK,
						.say = say,
						.user = user,
						.buffer = malloc(CHECK_BUFFER)};
	int r;

	(void)pthread_mutex_init(&c.is.lock, NULL);
	(void)pthread_mutex_init(&c.is.index_lock, NULL);
	if (!c.is.root || !c.buffer)
		return err_oom(err);
	r = check_all(&c);
	if (r == 0 && mode == IMAGE_CHECK_REPAIR && c.result.problems) {
		r = check_repair(&c, err);
		if (r < 0)
			return r;
		r = check_all(&c);
	}
	if (r < 0)
		return err_sys(err, r, "cannot check the image store %s", root);
	*ret = c.result;
	return 0;
}
