/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gc_check.c - arcad --gc-check: is the image store consistent?
 *
 * Problems go to stdout, a line each, and a line that sums up comes last. No daemon is started; the
 * caller holds the lock of the data root, so none is running either.
 */
#include "daemon/gc_check.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"
#include "daemon/options.h"
#include "image/image_check.h"
#include "store/store.h"

static void gc_check_say(void *user UNUSED, const char *line)
{
	puts(line);
}

static void gc_check_store_close(struct store **store)
{
	store_close(*store);
}

/**
 * gc_check_run() - Check, maybe repair, say what was found
 * @opts: Data root, what to do
 * @err:  Filled if it cannot be checked
 *
 * Return: 0 consistent (now), 1 not, or negative errno
 */
int gc_check_run(const struct options *opts, struct err *err)
{
	static const enum image_check_mode modes[] = {[GC_CHECK_QUICK] = IMAGE_CHECK_QUICK,
						      [GC_CHECK_FULL] = IMAGE_CHECK_FULL,
						      [GC_CHECK_REPAIR] = IMAGE_CHECK_REPAIR};
	_cleanup_free_ char *db = str_format("%s/arca.db", opts->data_root);
	_cleanup_free_ char *images = str_format("%s/images", opts->data_root);
	_cleanup_(gc_check_store_close) struct store *store = NULL;
	struct image_check_result found;
	int r;

	if (!db || !images)
		return err_oom(err);
	if (!fs_exists(db))
		return err_user(err, ERR_NOT_FOUND, "there is no data of arcad in %s",
				opts->data_root);
	r = store_open(db, &store, err);
	if (r == 0)
		r = image_check(images, store, modes[opts->gc_check], gc_check_say, NULL, &found,
				err);
	if (r < 0)
		return r;
	printf("%s: %u images, %u layers, %u blobs of %llu bytes, %u problems\n",
	       found.problems ? "not consistent" : "consistent", found.images, found.layers,
	       found.blobs, (unsigned long long)found.bytes, found.problems);
	return found.problems > 0;
}
