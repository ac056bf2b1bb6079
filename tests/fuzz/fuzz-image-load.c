/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-image-load.c - any bytes as an archive of images
 *
 * What is refused must leave no file and no row; what is accepted must be there.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "image/image.h"
#include "store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct input {
	const uint8_t *data;
	size_t len;
};

static char dir[64], root[96];

static ssize_t input_read(void *user, void *data, size_t len)
{
	struct input *in = user;
	size_t n = MIN(len, in->len);

	memcpy(data, in->data, n);
	in->data += n;
	in->len -= n;
	return (ssize_t)n;
}

static void clean(void)
{
	(void)fs_remove_tree(dir);
}

static struct image_store *open_store(void)
{
	static struct image_store *is;
	struct store *store;
	char db[96];

	if (is)
		return is;
	log_set_level(LOG_FATAL);
	(void)snprintf(dir, sizeof(dir), "%s/fuzz-load-XXXXXX",
		       fs_exists("/dev/shm") ? "/dev/shm" : "/tmp");
	if (!mkdtemp(dir))
		abort();
	(void)atexit(clean);
	(void)snprintf(root, sizeof(root), "%s/images", dir);
	(void)snprintf(db, sizeof(db), "%s/arca.db", dir);
	if (store_open(db, &store, NULL) < 0 || image_store_new(root, store, &is, NULL) < 0)
		abort();
	return is;
}

static void must_be_empty(const char *folder)
{
	_cleanup_free_ char *path = str_format("%s/%s", root, folder);
	_cleanup_closedir_ DIR *d = opendir(path);
	size_t n = 0;

	while (d && readdir(d))
		n++;
	if (n > 2)
		abort();
}

static void remove_all(struct image_store *is)
{
	struct image **images = NULL;
	size_t n = 0;

	if (image_list(is, &images, &n, NULL) < 0 || n == 0)
		abort();
	for (size_t i = 0; i < n; i++) {
		char **deleted = NULL;

		if (image_delete(is, images[i]->id, &deleted, NULL, NULL) < 0)
			abort();
		for (char **d = deleted; *d; d++)
			free(*d);
		free(deleted);
		image_free(images[i]);
	}
	free(images);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct image_store *is = open_store();
	struct input in = {data, len};
	struct byte_source source = {input_read, &in};
	struct image_load load = {.quiet = true};

	if (image_load(is, &source, &load, NULL) == 0)
		remove_all(is);
	must_be_empty("blobs/sha256");
	must_be_empty("layers");
	must_be_empty("rootfs");
	must_be_empty("ingest");
	return 0;
}
