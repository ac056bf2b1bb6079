/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_links.c - links of old (--link), on the default bridge
 *
 * DOC: Theory of operation
 *
 * HostConfig.Links of a container has an "id:name:alias" for each: whom it is to, how that was
 * called then, and how it is called here. Clients see "/name:/container/alias" of it, with the name
 * of now. That is all there is to know: what else is shown of a link is worked out of it.
 *
 *	/container/alias	is one more name of the one it is to (c->link_names, made anew by
 *				container_links_changed() whenever names or links change)
 *	ALIAS_PORT_...		environment, at each start and exec (link_env.c)
 *	/etc/hosts		container_files.c
 *
 * One that is to a container which is gone stays, and fails the next start, as with dockerd.
 * On other networks than the default bridge links are the network's (EndpointsConfig).
 */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "core/container_links.h"
#include "core/containers.h"
#include "core/jsonx.h"
#include "core/link_env.h"

#define LINK_BRIDGE "bridge"

static const char links_host_words[] =
	"conflicting options: host type networking can't be used with links. This would result in "
	"undefined behavior";

/* One link, taken apart. */
struct link_parts {
	char id[ID_BUF], name[CONTAINER_NAME_MAX + 1];
	const char *alias; /* borrowed */
};

static bool link_split(const char *text, struct link_parts *ret)
{
	const char *name = strchr(text, ':'), *alias = name ? strchr(name + 1, ':') : NULL;

	if (!alias || name - text != ID_LEN || (size_t)(alias - name) > sizeof(ret->name))
		return false;
	(void)snprintf(ret->id, sizeof(ret->id), "%.*s", ID_LEN, text);
	(void)snprintf(ret->name, sizeof(ret->name), "%.*s", (int)(alias - name - 1), name + 1);
	ret->alias = alias + 1;
	return true;
}

static void link_copy_name(struct container *c, char out[static CONTAINER_NAME_MAX + 1])
{
	RANK_LOCK_SCOPE(state, &c->lock);
	memcpy(out, c->name, CONTAINER_NAME_MAX + 1);
}

/**
 * container_links_each() - Each link of a container
 * @c:	  Container
 * @fn:	  Called with each, in the order in which they were given; no lock is held; <0 ends the walk
 * @user: For @fn
 *
 * Return: 0 or what @fn returned
 */
int container_links_each(struct container *c, container_link_fn fn, void *user)
{
	_cleanup_json_ json_t *host_config = container_host_config(c);
	json_t *item;
	size_t i;
	int r = 0;

	json_array_foreach (json_object_get(host_config, "Links"), i, item) {
		_cleanup_container_ struct container *target = NULL;
		struct err gone = {0};
		struct link_parts parts;

		if (!link_split(json_string_value(item), &parts))
			continue;
		if (containers_find(c->cs, parts.id, &target, &gone) == 0)
			link_copy_name(target, parts.name);
		r = fn(user, target, parts.name, parts.alias);
		if (r < 0)
			break;
	}
	return r;
}

/* "name", "name:alias", and what inspect has once shown: "/name:/container/alias" */
static int link_parse(const char *text, char **ret_name, const char **ret_alias, struct err *err)
{
	const char *colon = strchr(text, ':'), *alias = colon ? colon + 1 : text;

	if (str_empty(text))
		return err_user(err, ERR_INTERNAL, "empty string specified for links");
	if (strchr(alias, ':'))
		return err_user(err, ERR_INTERNAL, "bad format for links: %.200s", text);
	if (colon && *text == '/' && strrchr(alias, '/'))
		alias = strrchr(alias, '/') + 1;
	while (*alias == '/')
		alias++;
	*ret_name = colon ? strndup(text, (size_t)(colon - text)) : strdup(text);
	*ret_alias = alias;
	return *ret_name ? 0 : err_oom(err);
}

static bool link_alias_is_taken(const json_t *links, const char *alias)
{
	struct link_parts parts;
	json_t *item;
	size_t i;

	json_array_foreach (links, i, item)
		if (link_split(json_string_value(item), &parts) && str_eq(parts.alias, alias))
			return true;
	return false;
}

static int link_plan(struct container *c, const char *text, json_t *links, struct err *err)
{
	_cleanup_container_ struct container *target = NULL;
	_cleanup_free_ char *name = NULL, *made = NULL;
	char now[CONTAINER_NAME_MAX + 1];
	struct err why = {0};
	const char *alias = "";
	int r = link_parse(text, &name, &alias, err);

	if (r < 0)
		return r;
	r = str_empty(name) ? err_user(&why, ERR_INVALID, "invalid name or ID supplied: \"\"")
			    : containers_find(c->cs, name, &target, &why);
	if (r < 0)
		return err_user(err, ERR_INVALID, "could not get container for %.200s: %.500s",
				name, why.msg);
	if (str_eq(jx_str(target->host_config, "NetworkMode"), "host"))
		return err_user(err, ERR_INVALID, "%s", links_host_words);
	if (!*alias || link_alias_is_taken(links, alias))
		return 0; /* the name that it would have is another's */
	link_copy_name(target, now);
	made = str_format("%s:%s:%s", target->id, now, alias);
	return !made || jx_add_str(links, made) < 0 ? err_oom(err) : 0;
}

static bool links_are_a_networks(const char *mode)
{
	return !str_empty(mode) && !str_eq(mode, "default") && !str_eq(mode, LINK_BRIDGE) &&
	       !str_eq(mode, "none") && !str_eq(mode, "host");
}

/**
 * container_links_plan() - The links of a container that is to be made
 * @c:	 Container; its HostConfig.Links are as the client gave them, and looked up
 * @err: Filled on failure, in dockerd's words
 *
 * Return: 0 or a negative errno
 */
int container_links_plan(struct container *c, struct err *err)
{
	const json_t *given = json_object_get(c->host_config, "Links");
	const char *mode = jx_str(c->host_config, "NetworkMode");
	_cleanup_json_ json_t *links = NULL;
	json_t *item;
	size_t i;

	if (json_array_size(given) == 0)
		return 0;
	if (str_eq(mode, "host"))
		return err_user(err, ERR_INVALID, "%s", links_host_words);
	/* the CLI says them twice: on a user's network the endpoint's count */
	links = links_are_a_networks(mode) ? json_null() : json_array();
	json_array_foreach (given, i, item) {
		int r = json_is_array(links) ? link_plan(c, json_string_value(item), links, err)
					     : 0;

		if (r < 0)
			return r;
	}
	return jx_set(c->host_config, "Links", TAKE_PTR(links)) < 0 ? err_oom(err) : 0;
}

struct links_shown {
	const char *parent;
	json_t *out;
};

static int links_show_one(void *user, struct container *target UNUSED, const char *name,
			  const char *alias)
{
	struct links_shown *shown = user;

	return jx_addf(shown->out, "/%s:/%s/%s", name, shown->parent, alias);
}

/**
 * container_links_shown() - A host config as inspect shows it
 * @c:		 Container
 * @host_config: Its host config
 *
 * Return: new reference, not to be changed; NULL without memory
 */
json_t *container_links_shown(struct container *c, json_t *host_config)
{
	char name[CONTAINER_NAME_MAX + 1];
	struct links_shown shown = {.parent = name};
	json_t *copy;

	if (jx_len(host_config, "Links") == 0)
		return json_incref(host_config);
	link_copy_name(c, name);
	copy = json_copy(host_config);
	shown.out = json_array();
	if (container_links_each(c, links_show_one, &shown) < 0 ||
	    jx_set(copy, "Links", json_incref(shown.out)) < 0) {
		json_decref(copy);
		copy = NULL;
	}
	json_decref(shown.out);
	return copy;
}

static int links_name_one(void *user, struct container *target, const char *name UNUSED,
			  const char *alias)
{
	struct links_shown *shown = user;
	json_t *names;

	if (!target)
		return 0;
	names = json_object_get(shown->out, target->id);
	if (!names) {
		names = json_array();
		if (jx_set(shown->out, target->id, names) < 0)
			return -ENOMEM;
	}
	return jx_addf(names, "/%s/%s", shown->parent, alias);
}

static void links_take_names(struct container *c, json_t *names)
{
	RANK_LOCK_SCOPE(state, &c->lock);

	if (!c->link_names && !names && jx_len(c->host_config, "Links") == 0)
		return;
	json_decref(c->link_names);
	c->link_names = json_incref(names);
	c->version++;
}

/**
 * container_links_changed() - Names or links of containers are others than before
 * @cs: Manager, no lock of a container's state or the table held
 */
void container_links_changed(struct containers *cs)
{
	_cleanup_json_ json_t *all = NULL;
	struct container **containers;
	char name[CONTAINER_NAME_MAX + 1];
	size_t n = 0;
	int r = 0;

	if (!atomic_load(&cs->has_links))
		return;
	RANK_LOCK_SCOPE(names, &cs->link_lock);
	all = json_object();
	containers = containers_snapshot(cs, &n);
	for (size_t i = 0; i < n && r == 0; i++) {
		struct links_shown shown = {.parent = name, .out = all};

		link_copy_name(containers[i], name);
		r = container_links_each(containers[i], links_name_one, &shown);
	}
	if (!containers || !all || r < 0)
		log_error("no memory for the names of links");
	for (size_t i = 0; i < n; i++)
		links_take_names(containers[i], json_object_get(all, containers[i]->id));
	containers_snapshot_free(containers, n);
}

/**
 * container_links_note() - A container is in the table, and may have links
 * @c: Container
 */
void container_links_note(struct container *c)
{
	if (jx_len(c->host_config, "Links") > 0)
		atomic_store(&c->cs->has_links, true);
}

/**
 * container_link_find() - Whom "container/alias" means
 * @cs:	 Manager, table locked
 * @ref: With or without "/" before it
 *
 * Return: borrowed from the table, or NULL
 */
struct container *container_link_find(struct containers *cs, const char *ref)
{
	const char *name = *ref == '/' ? ref + 1 : ref, *slash = strchr(name, '/');
	_cleanup_json_ json_t *host_config = NULL;
	struct container *parent = NULL, *target = NULL;
	struct link_parts parts;
	json_t *item;
	size_t i;

	if (!slash)
		return NULL;
	HASH_FIND(by_name, cs->by_name, name, (size_t)(slash - name), parent);
	if (!parent)
		return NULL;
	host_config = container_host_config(parent);
	json_array_foreach (json_object_get(host_config, "Links"), i, item) {
		if (link_split(json_string_value(item), &parts) && str_eq(parts.alias, slash + 1)) {
			HASH_FIND(by_id, cs->by_id, parts.id, ID_LEN, target);
			return target;
		}
	}
	return NULL;
}

struct links_env {
	struct container *c;
	const char *parent;
	json_t *env; /* NULL: only whether it may start */
	struct err *err;
};

static int links_env_one(void *user, struct container *target, const char *name, const char *alias)
{
	struct links_env *env = user;
	_cleanup_json_ json_t *networks = NULL;
	_cleanup_free_ char *whole = str_format("/%s/%s", env->parent, alias);
	const char *address;
	bool up = false;

	if (!whole)
		return err_oom(env->err);
	if (target) {
		RANK_LOCK_SCOPE(state, &target->lock);
		up = target->state == CONTAINER_RUNNING || target->state == CONTAINER_PAUSED;
		networks = json_incref(target->networks);
	}
	if (!up)
		return err_user(env->err, ERR_INTERNAL,
				"Cannot link to a non running container: /%s AS %s", name, whole);
	if (!json_object_get(networks, LINK_BRIDGE))
		return err_user(env->err, ERR_INTERNAL,
				"container %s not attached to default bridge network", target->id);
	address = jx_str(json_object_get(networks, LINK_BRIDGE), "IPAddress");
	return link_env_add(env->env, whole, address, target->config) < 0 ? err_oom(env->err) : 0;
}

/**
 * container_links_env() - What links put into the environment
 * @c:	 Container
 * @ret: New array, or NULL: nothing; set on success
 * @err: Filled on failure, in dockerd's words
 *
 * Return: 0 or a negative errno: whom a link is to does not run
 */
int container_links_env(struct container *c, json_t **ret, struct err *err)
{
	_cleanup_json_ json_t *networks = NULL, *env = NULL;
	char name[CONTAINER_NAME_MAX + 1];
	struct links_env links = {.c = c, .parent = name, .err = err};
	int r;

	*ret = NULL;
	rank_lock(&c->lock);
	memcpy(name, c->name, sizeof(name));
	if (jx_len(c->host_config, "Links") > 0)
		networks = json_incref(c->networks);
	rank_unlock(&c->lock);
	if (!json_object_get(networks, LINK_BRIDGE))
		return 0;
	links.env = env = json_array();
	if (!env)
		return err_oom(err);
	r = container_links_each(c, links_env_one, &links);
	if (r == 0)
		*ret = TAKE_PTR(env);
	return r;
}

/* The host config without a link. NULL without memory. */
static json_t *unlink_config(const json_t *host_config, const char *alias)
{
	_cleanup_json_ json_t *left = json_array();
	json_t *copy = json_copy((json_t *)host_config), *item;
	struct link_parts parts;
	size_t i;
	int r = 0;

	json_array_foreach (json_object_get(host_config, "Links"), i, item)
		if (!link_split(json_string_value(item), &parts) || !str_eq(parts.alias, alias))
			r |= json_array_append(left, item);
	if (json_array_size(left) == 0) {
		json_decref(left);
		left = json_null();
	}
	if (!r && jx_set(copy, "Links", TAKE_PTR(left)) == 0)
		return copy;
	json_decref(copy);
	return NULL;
}

/**
 * container_unlink() - DELETE /containers/{id}?link=1
 * @cs:	 Manager
 * @ref: "container/alias"
 * @err: Filled on failure, in dockerd's words
 *
 * Return: 0 or a negative errno
 */
int container_unlink(struct containers *cs, const char *ref, struct err *err)
{
	const char *name = *ref == '/' ? ref + 1 : ref, *slash = strchr(name, '/');
	_cleanup_container_ struct container *target = NULL, *parent = NULL;
	bool attached;
	_cleanup_free_ char *parent_name = NULL;
	json_t *without;
	int r = containers_find(cs, ref, &target, err);

	if (r < 0)
		return r;
	if (!slash)
		return err_user(err, ERR_INTERNAL,
				"Conflict, cannot remove the default link name of the container");
	parent_name = strndup(name, (size_t)(slash - name));
	if (!parent_name)
		return err_oom(err);
	r = containers_find(cs, parent_name, &parent, err);
	if (r < 0)
		return r;
	RANK_LOCK_SCOPE(verb, &parent->verb);
	without = unlink_config(parent->host_config, slash + 1);
	if (!without)
		return err_oom(err);
	rank_lock(&parent->lock);
	json_decref(parent->host_config);
	parent->host_config = without;
	parent->version++;
	attached = parent->run && parent->run->nets;
	rank_unlock(&parent->lock);
	r = container_row_save_config(parent, err);
	container_links_changed(cs);
	container_files_unlinked(parent, slash + 1);
	if (attached)
		container_links_open(parent);
	return r;
}
