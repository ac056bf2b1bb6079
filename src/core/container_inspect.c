/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_inspect.c - GET /containers/{id}/json
 *
 * Config and HostConfig are the container's own immutable objects; the rest is built from a
 * snapshot taken under the state lock, and kept until the container's version changes: nothing in
 * it depends on the time. Exec ids and sizes are put into a copy.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "core/container_links.h"
#include "core/containers.h"
#include "core/exec.h"
#include "core/jsonx.h"
#include "vm/vm.h"

/**
 * container_command() - Path and Args of a config
 * @config:   Merged config
 * @ret_path: Program, borrowed
 * @ret_args: New array of the arguments
 */
void container_command(const json_t *config, const char **ret_path, json_t **ret_args)
{
	const char *const keys[] = {"Entrypoint", "Cmd"};
	json_t *args = json_array(), *item;
	const char *path = NULL;
	size_t i;

	for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
		json_array_foreach (json_object_get(config, keys[k]), i, item) {
			if (path)
				(void)json_array_append(args, item);
			else
				path = json_string_value(item);
		}
	}
	*ret_path = path ? path : "";
	*ret_args = args;
}

/**
 * container_upper_bytes() - What the container wrote, for SizeRw
 * @c: Container
 *
 * Return: bytes its upper disk takes on the host, more than an empty one
 */
uint64_t container_upper_bytes(struct container *c)
{
	_cleanup_free_ char *path = str_format("%s/upper.ext4", c->dir);

	return path ? upper_disk_used(c->cs->core->vmm, path) : 0;
}

/**
 * container_mounts_json() - Mounts of inspect and list
 * @host_config: Complete host config
 *
 * Return: new array: the tmpfs of --mount; those of --tmpfs are not listed, as with dockerd
 */
json_t *container_mounts_json(const json_t *host_config)
{
	json_t *mounts = json_array(), *item;
	size_t i;

	json_array_foreach (json_object_get(host_config, "Mounts"), i, item) {
		json_t *m = json_object();
		int r = jx_set_str(m, "Type", jx_str(item, "Type"));

		r |= jx_set_str(m, "Source", "");
		r |= jx_set_str(m, "Destination", jx_str(item, "Target"));
		r |= jx_set_str(m, "Mode", "");
		r |= jx_set_bool(m, "RW", !jx_bool(item, "ReadOnly"));
		r |= jx_set_str(m, "Propagation", "");
		if (r || json_array_append_new(mounts, m) < 0)
			break;
	}
	return mounts;
}

static int inspect_time(json_t *out, const char *key, int64_t ns)
{
	char text[CLOCK_RFC3339_MAX];

	clock_format_rfc3339(ns, text);
	return jx_set_str(out, key, text);
}

/* State lock held. */
static json_t *inspect_state(const struct container *c)
{
	json_t *out = json_object();
	int r = jx_set_str(out, "Status", container_state_name(c->state));

	r |= jx_set_bool(out, "Running", container_state_is_up(c->state));
	r |= jx_set_bool(out, "Paused", c->state == CONTAINER_PAUSED);
	r |= jx_set_bool(out, "Restarting", c->state == CONTAINER_RESTARTING);
	r |= jx_set_bool(out, "OOMKilled", c->oom_killed);
	r |= jx_set_bool(out, "Dead", c->state == CONTAINER_DEAD);
	r |= jx_set_int(out, "Pid", c->pid);
	r |= jx_set_int(out, "ExitCode", c->exit_code);
	r |= jx_set_str(out, "Error", c->error ? c->error : "");
	r |= inspect_time(out, "StartedAt", c->started_ns);
	r |= inspect_time(out, "FinishedAt", c->finished_ns);
	if (r == 0)
		return out;
	json_decref(out);
	return NULL;
}

/* The fields of old are those of the default bridge. */
static int inspect_default_bridge(json_t *out, const json_t *bridge)
{
	static const char *const texts[] = {"EndpointID", "Gateway",	 "GlobalIPv6Address",
					    "IPAddress",  "IPv6Gateway", "MacAddress"};
	static const char *const numbers[] = {"GlobalIPv6PrefixLen", "IPPrefixLen"};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		r |= jx_set_str(out, texts[i], jx_str(bridge, texts[i]));
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		r |= jx_set_int(out, numbers[i], jx_int(bridge, numbers[i]));
	return r;
}

/* State lock held. The namespace is where the VM's interface is on the host. */
static json_t *inspect_network(struct container *c)
{
	_cleanup_free_ char *key = str_format("%s/net/ns", c->cs->core->config.exec_root ?: "");
	json_t *out;

	out = json_pack("{s:s, s:s, s:s, s:o, s:b, s:s, s:i, s:n, s:n}", "Bridge", "", "SandboxID",
			c->sandbox_id, "SandboxKey", *c->sandbox_id && key ? key : "", "Ports",
			c->ports ? json_incref(c->ports) : json_object(), "HairpinMode", 0,
			"LinkLocalIPv6Address", "", "LinkLocalIPv6PrefixLen", 0,
			"SecondaryIPAddresses", "SecondaryIPv6Addresses");
	if (inspect_default_bridge(out, json_object_get(c->networks, "bridge")) ||
	    jx_set(out, "Networks", c->networks ? json_incref(c->networks) : json_object())) {
		json_decref(out);
		return NULL;
	}
	return out;
}

static int inspect_path(json_t *out, const char *key, const char *dir, const char *name)
{
	_cleanup_free_ char *path = str_format("%s/%s", dir, name);

	return path ? jx_set_str(out, key, path) : -1;
}

/* Where the files are that say who it is on the network. */
static char *inspect_files_dir(const struct container *c, const json_t *host_config)
{
	const char *other = container_joins(host_config);

	if (!other || strlen(other) != ID_LEN)
		return strdup(c->dir);
	return str_format("%s/containers/%s", c->cs->core->config.data_root, other);
}

static int inspect_paths(json_t *out, struct container *c, const json_t *host_config)
{
	_cleanup_free_ char *files = inspect_files_dir(c, host_config);
	char log[ID_LEN + 16];
	bool kept = !str_eq(jx_str(json_object_get(host_config, "LogConfig"), "Type"), "none");
	int r;

	if (!files)
		return -1;
	r = inspect_path(out, "ResolvConfPath", files, "resolv.conf");
	r |= inspect_path(out, "HostnamePath", files, "hostname");
	r |= inspect_path(out, "HostsPath", files, "hosts");
	(void)snprintf(log, sizeof(log), "%s-json.log", c->id);
	r |= kept ? inspect_path(out, "LogPath", c->dir, log) : jx_set_str(out, "LogPath", "");
	return r;
}

static int inspect_head(json_t *out, struct container *c)
{
	const char *path;
	json_t *args;
	int r;

	container_command(c->config, &path, &args);
	r = jx_set_str(out, "Id", c->id);
	r |= inspect_time(out, "Created", c->created_ns);
	r |= jx_set_str(out, "Path", path);
	r |= jx_set(out, "Args", args);
	return r;
}

static int inspect_storage(json_t *out, struct container *c)
{
	_cleanup_free_ char *upper = str_format("%s/upper.ext4", c->dir);

	return jx_set(out, "GraphDriver",
		      json_pack("{s:s, s:{s:s, s:s}}", "Name", CORE_GRAPH_DRIVER, "Data",
				"RootDisk", c->rootfs, "UpperDisk", upper ? upper : ""));
}

static int inspect_fill(json_t *out, struct container *c, const json_t *host_config,
			uint64_t *ret_version)
{
	char name[CONTAINER_NAME_MAX + 2];
	int r = inspect_head(out, c);

	rank_lock(&c->lock);
	r |= jx_set(out, "State", inspect_state(c));
	(void)snprintf(name, sizeof(name), "/%s", c->name);
	r |= jx_set_int(out, "RestartCount", c->restart_count);
	r |= inspect_storage(out, c);
	r |= jx_set(out, "NetworkSettings", inspect_network(c));
	*ret_version = c->version;
	rank_unlock(&c->lock);
	r |= jx_set_str(out, "Image", c->image_id);
	r |= inspect_paths(out, c, host_config);
	r |= jx_set_str(out, "Name", name);
	r |= jx_set_str(out, "Driver", CORE_GRAPH_DRIVER);
	r |= jx_set_str(out, "Platform", c->platform);
	r |= jx_set_str(out, "MountLabel", "");
	r |= jx_set_str(out, "ProcessLabel", "");
	r |= jx_set_str(out, "AppArmorProfile", "");
	r |= jx_set(out, "ExecIDs", json_null());
	r |= jx_share(out, "HostConfig", host_config);
	r |= jx_set(out, "Mounts", container_mounts_json(host_config));
	r |= jx_share(out, "Config", c->config);
	return r;
}

/* The cached answer as of now, made if need be: a new reference, not to be changed. */
static json_t *inspect_cached(struct container *c)
{
	_cleanup_json_ json_t *host_config = NULL, *shown = NULL, *out = NULL;
	uint64_t version = 0;

	rank_lock(&c->lock);
	if (c->inspect && c->inspect_version == c->version)
		out = json_incref(c->inspect);
	rank_unlock(&c->lock);
	if (out)
		return TAKE_PTR(out);
	host_config = container_host_config(c);
	shown = container_links_shown(c, host_config);
	out = json_object();
	if (!shown || inspect_fill(out, c, shown, &version))
		return NULL;
	rank_lock(&c->lock);
	if (host_config == c->host_config) {
		json_decref(c->inspect);
		c->inspect = json_incref(out);
		c->inspect_version = version;
	}
	rank_unlock(&c->lock);
	return TAKE_PTR(out);
}

/**
 * container_inspect() - Everything about a container
 * @cs:	  Manager
 * @ref:  Container
 * @size: With SizeRw and SizeRootFs
 * @ret:  New reference, not to be changed
 * @err:  Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_inspect(struct containers *cs, const char *ref, bool size, json_t **ret,
		      struct err *err)
{
	struct execs *execs = cs->core->execs;
	_cleanup_container_ struct container *c = NULL;
	_cleanup_json_ json_t *out = NULL, *ids = NULL, *copy = NULL;
	int r = containers_find(cs, ref, &c, err);

	if (r < 0)
		return r;
	out = inspect_cached(c);
	ids = execs ? exec_ids(execs, c->id) : NULL;
	if (!out)
		return err_oom(err);
	if (json_array_size(ids) == 0 && !size) {
		*ret = TAKE_PTR(out);
		return 0;
	}
	copy = json_copy(out);
	if (json_array_size(ids) > 0)
		r |= jx_share(copy, "ExecIDs", ids);
	if (size) {
		uint64_t bytes = container_upper_bytes(c);

		r |= jx_set_int(copy, "SizeRw", (int64_t)bytes);
		r |= jx_set_int(copy, "SizeRootFs", (int64_t)(c->image_bytes + bytes));
	}
	if (!copy || r)
		return err_oom(err);
	*ret = TAKE_PTR(copy);
	return 0;
}
