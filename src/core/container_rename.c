/* SPDX-License-Identifier: Apache-2.0 */
/* container_rename.c - another name */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "core/container_links.h"
#include "core/containers.h"
#include "core/jsonx.h"

/**
 * container_rename() - POST /containers/{id}/rename
 * @cs:	  Manager
 * @ref:  Container
 * @name: New name, with or without "/"
 * @err:  Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_rename(struct containers *cs, const char *ref, const char *name, struct err *err)
{
	_cleanup_container_ struct container *c = NULL;
	char old[CONTAINER_NAME_MAX + 1], with_slash[CONTAINER_NAME_MAX + 2];
	struct err ignored = {0};
	int r;

	if (str_empty(name))
		return err_user(err, ERR_INVALID, "Neither old nor new names may be empty");
	r = containers_find(cs, ref, &c, err);
	if (r < 0)
		return r;
	if (*name == '/')
		name++;
	RANK_LOCK_SCOPE(verb, &c->verb);
	if (c->removed)
		return err_user(err, ERR_NOT_FOUND, "No such container: %s", ref);
	(void)snprintf(old, sizeof(old), "%s", c->name); /* only we could change it */
	if (str_eq(old, name))
		return err_user(err, ERR_INVALID,
				"Renaming a container with the same name as its current name");
	if (!container_name_valid(name))
		return err_user(err, ERR_INVALID,
				"Error when allocating new name: Invalid container name (%s), only "
				"[a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
				name);
	r = containers_rename(cs, c, name, err);
	if (r < 0)
		return r;
	r = container_row_save_name(c, err);
	if (r < 0) {
		(void)containers_rename(cs, c, old,
					&ignored); /* nobody took it meanwhile, or 500 */
		return r;
	}
	container_links_changed(cs);
	container_networks_renamed(c);
	(void)snprintf(with_slash, sizeof(with_slash), "/%s", old);
	container_event(c, "rename", json_pack("{s:s}", "oldName", with_slash));
	return 0;
}
