/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network_check.c - arcad --network-check: do state and kernel agree about the networks?
 *
 * A line for each thing goes to stdout, and a line that sums up comes last. A daemon may be
 * running: its locks are not taken, and its database is only read.
 */
#include "daemon/network_check.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"
#include "core/network_check.h"
#include "daemon/options.h"
#include "store/store.h"

static void network_check_say(void *user UNUSED, const char *line)
{
	puts(line);
}

static void network_check_store_close(struct store **store)
{
	store_close(*store);
}

/**
 * network_check_run() - Compare, say what was found
 * @opts: Roots
 * @err:  Filled if it cannot be checked
 *
 * Return: 0 they agree, 1 they do not, or negative errno
 */
int network_check_run(const struct options *opts, struct err *err)
{
	_cleanup_free_ char *db = str_format("%s/arca.db", opts->data_root);
	_cleanup_(network_check_store_close) struct store *store = NULL;
	struct network_check_config config = {.data_root = opts->data_root,
					      .exec_root = opts->exec_root};
	struct network_check_result found;
	int r;

	if (!db)
		return err_oom(err);
	if (!fs_exists(db))
		return err_user(err, ERR_NOT_FOUND, "there is no data of arcad in %s",
				opts->data_root);
	r = store_open_read(db, &store, err);
	config.store = store;
	if (r == 0)
		r = network_check(&config, network_check_say, NULL, &found, err);
	if (r < 0)
		return r;
	printf("%s: %zu rows, %zu differences\n",
	       found.differences ? "state and kernel differ" : "state and kernel agree", found.rows,
	       found.differences);
	return found.differences > 0;
}
