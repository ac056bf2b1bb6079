/* SPDX-License-Identifier: Apache-2.0 */
/* networks_rows.c - networks in SQLite: found by id, name or prefix, written once, never changed */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "core/jsonx.h"
#include "core/networks_impl.h"
#include "store/store.h"

#define NETWORK_COLUMNS                                                                            \
	"id, name, created_ns, driver, scope, ipv4, ipv6, internal, attachable, config_only,"      \
	" config_from, predefined, options, labels, ipam"

/**
 * network_free() - Free a row
 * @network: Row or NULL
 */
void network_free(struct network *network)
{
	if (!network)
		return;
	free(network->name);
	free(network->driver);
	free(network->scope);
	free(network->config_from);
	json_decref(network->options);
	json_decref(network->labels);
	json_decref(network->ipam);
	free(network);
}

/**
 * network_row_insert() - The network exists once the caller's transaction is committed
 * @networks: Manager
 * @network:  Complete row
 * @err:      Filled on failure
 *
 * Return: 0 or a negative errno
 */
int network_row_insert(struct networks *networks, const struct network *network, struct err *err)
{
	_cleanup_free_ char *options = jx_text(network->options);
	_cleanup_free_ char *labels = jx_text(network->labels);
	_cleanup_free_ char *ipam = jx_text(network->ipam);
	int r;

	if (!options || !labels || !ipam)
		return err_oom(err);
	r = store_exec(networks->core->store,
		       "INSERT INTO networks (" NETWORK_COLUMNS ")"
		       " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		       NULL, NULL, "ssissiiiiisisss", network->id, network->name,
		       network->created_ns, network->driver, network->scope, (int64_t)network->ipv4,
		       (int64_t)network->ipv6, (int64_t)network->internal,
		       (int64_t)network->attachable, (int64_t)network->config_only,
		       network->config_from, (int64_t)network->predefined, options, labels, ipam);
	if (r == -EEXIST)
		return err_user(err, ERR_CONFLICT, "network with name %.200s already exists",
				network->name);
	return r < 0 ? err_sys(err, r, "cannot record network %.200s", network->name) : 0;
}

static char *row_dup(struct store_row *row, int column)
{
	const char *text = store_row_text(row, column);

	return strdup(text ? text : "");
}

static struct network *row_read(struct store_row *row)
{
	_cleanup_network_ struct network *network = calloc(1, sizeof(*network));

	if (!network)
		return NULL;
	(void)snprintf(network->id, sizeof(network->id), "%s", store_row_text(row, 0));
	network->name = row_dup(row, 1);
	network->created_ns = store_row_int(row, 2);
	network->driver = row_dup(row, 3);
	network->scope = row_dup(row, 4);
	network->ipv4 = store_row_int(row, 5) != 0;
	network->ipv6 = store_row_int(row, 6) != 0;
	network->internal = store_row_int(row, 7) != 0;
	network->attachable = store_row_int(row, 8) != 0;
	network->config_only = store_row_int(row, 9) != 0;
	network->config_from = row_dup(row, 10);
	network->predefined = store_row_int(row, 11) != 0;
	network->options = jx_parse(store_row_text(row, 12));
	network->labels = jx_parse(store_row_text(row, 13));
	network->ipam = jx_parse(store_row_text(row, 14));
	if (!network->name || !network->driver || !network->scope || !network->config_from ||
	    !network->options || !network->labels || !network->ipam)
		return NULL;
	return TAKE_PTR(network);
}

struct each {
	network_fn fn;
	void *user;
};

static int each_row(void *user, struct store_row *row)
{
	struct each *each = user;
	struct network *network = row_read(row);

	return network ? each->fn(each->user, network) : -ENOMEM;
}

/**
 * network_rows_each() - Every network, newest first
 * @networks: Manager
 * @fn:	      Called with each, which it takes over; <0 ends the walk. Uses no lock of a manager's
 * @user:     For @fn
 *
 * Return: 0, or what @fn returned
 */
int network_rows_each(struct networks *networks, network_fn fn, void *user)
{
	struct each each = {fn, user};

	return store_exec(networks->core->store,
			  "SELECT " NETWORK_COLUMNS " FROM networks"
			  " ORDER BY created_ns DESC, id",
			  each_row, &each, "");
}

struct matches {
	struct network *network; /* owned: the first */
	size_t n;
};

static void matches_done(struct matches *matches)
{
	network_free(matches->network);
}

static int match_row(void *user, struct store_row *row)
{
	struct matches *matches = user;

	if (matches->n++ == 0)
		matches->network = row_read(row);
	return matches->network ? 0 : -ENOMEM;
}

/**
 * network_find_exact() - A network by a column that is unique
 * @networks: Manager
 * @column:   "id" or "name"
 * @value:    Value
 * @ret:      Set to a row of the caller's, or to NULL
 *
 * Return: 0 or a negative errno
 */
int network_find_exact(struct networks *networks, const char *column, const char *value,
		       struct network **ret)
{
	_cleanup_(matches_done) struct matches matches = {0};
	int r;

	r = store_exec(networks->core->store,
		       str_eq(column, "id")
			       ? "SELECT " NETWORK_COLUMNS " FROM networks WHERE id = ?"
			       : "SELECT " NETWORK_COLUMNS " FROM networks WHERE name = ?",
		       match_row, &matches, "s", value);
	if (r == 0)
		*ret = TAKE_PTR(matches.network);
	return r;
}

static int find_prefix(struct networks *networks, const char *ref, struct matches *matches)
{
	size_t len = strlen(ref);

	if (len > ID_LEN || strspn(ref, "0123456789abcdef") != len)
		return 0;
	return store_exec(networks->core->store,
			  "SELECT " NETWORK_COLUMNS " FROM networks WHERE substr(id, 1, ?) = ?",
			  match_row, matches, "is", (int64_t)len, ref);
}

/**
 * network_find() - The network a client means
 * @networks: Manager
 * @ref:      Full id, name, or an unambiguous prefix of an id, looked for in this order
 * @ret:      Row, owned by the caller; set on success
 * @err:      Filled on failure
 *
 * Return: 0, -ENOENT, or another negative errno
 */
int network_find(struct networks *networks, const char *ref, struct network **ret, struct err *err)
{
	_cleanup_(matches_done) struct matches matches = {0};
	int r = network_find_exact(networks, "id", ref, &matches.network);

	if (r == 0 && !matches.network)
		r = network_find_exact(networks, "name", ref, &matches.network);
	if (r == 0 && !matches.network)
		r = find_prefix(networks, ref, &matches);
	if (r < 0)
		return err_sys(err, r, "cannot look for network %.200s", ref);
	if (matches.n > 1)
		return err_user(
			err, ERR_INVALID,
			"network %.200s is ambiguous (%zu matches found based on ID prefix)", ref,
			matches.n);
	if (!matches.network)
		return err_user(err, ERR_NOT_FOUND, "network %.200s not found", ref);
	*ret = TAKE_PTR(matches.network);
	return 0;
}

/**
 * network_resolve() - The id of the network a client means
 * @networks: Manager
 * @ref:      As for network_find()
 * @ret_id:   Filled on success
 * @err:      Filled on failure
 *
 * Return: 0, -ENOENT, or another negative errno
 */
int network_resolve(struct networks *networks, const char *ref, char ret_id[static ID_BUF],
		    struct err *err)
{
	_cleanup_network_ struct network *network = NULL;
	int r = network_find(networks, ref, &network, err);

	if (r == 0)
		memcpy(ret_id, network->id, ID_BUF);
	return r;
}
