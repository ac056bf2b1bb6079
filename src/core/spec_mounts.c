/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec_mounts.c - the mounts of a container: the kernel's file systems, /dev/shm, tmpfs
 *
 * /dev itself with its standard nodes and /dev/pts are the agent's. The list is in the order in
 * which the agent mounts: parents before children.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "core/jsonx.h"
#include "core/spec.h"

#define SAFE (MS_NOSUID | MS_NOEXEC | MS_NODEV)

static const struct {
	const char *name;
	unsigned long set, clear;
} mount_flags[] = {
	{"ro", MS_RDONLY, 0},
	{"rw", 0, MS_RDONLY},
	{"nosuid", MS_NOSUID, 0},
	{"suid", 0, MS_NOSUID},
	{"nodev", MS_NODEV, 0},
	{"dev", 0, MS_NODEV},
	{"noexec", MS_NOEXEC, 0},
	{"exec", 0, MS_NOEXEC},
	{"sync", MS_SYNCHRONOUS, 0},
	{"async", 0, MS_SYNCHRONOUS},
	{"dirsync", MS_DIRSYNC, 0},
	{"mand", MS_MANDLOCK, 0},
	{"nomand", 0, MS_MANDLOCK},
	{"atime", 0, MS_NOATIME},
	{"noatime", MS_NOATIME, 0},
	{"diratime", 0, MS_NODIRATIME},
	{"nodiratime", MS_NODIRATIME, 0},
	{"relatime", MS_RELATIME, 0},
	{"norelatime", 0, MS_RELATIME},
	{"strictatime", MS_STRICTATIME, 0},
	{"nostrictatime", 0, MS_STRICTATIME},
	{"defaults", 0, 0},
	/* propagation means nothing in a mount namespace of the container's own */
	{"private", 0, 0},
	{"rprivate", 0, 0},
	{"shared", 0, 0},
	{"rshared", 0, 0},
	{"slave", 0, 0},
	{"rslave", 0, 0},
};

static const char *const tmpfs_data_keys[] = {
	"size=", "mode=", "uid=", "gid=", "nr_inodes=", "nr_blocks=", "mpol=",
};

/* Docker's tmpfs option string -> flags and data. */
static int spec_tmpfs_options(const char *options, unsigned long *flags, struct buf *data,
			      struct err *err)
{
	_cleanup_free_ char *copy = strdup(options);
	char *save = NULL, *option;

	if (!copy)
		return err_oom(err);
	for (option = strtok_r(copy, ",", &save); option; option = strtok_r(NULL, ",", &save)) {
		size_t i;

		for (i = 0; i < ARRAY_SIZE(mount_flags); i++) {
			if (str_eq(option, mount_flags[i].name))
				break;
		}
		if (i < ARRAY_SIZE(mount_flags)) {
			*flags = (*flags & ~mount_flags[i].clear) | mount_flags[i].set;
			continue;
		}
		for (i = 0; i < ARRAY_SIZE(tmpfs_data_keys); i++) {
			if (str_starts(option, tmpfs_data_keys[i]))
				break;
		}
		if (i == ARRAY_SIZE(tmpfs_data_keys)) {
			err_user(err, ERR_INVALID, "invalid tmpfs option [\"%s\"]", option);
			return -EINVAL;
		}
		buf_addf(data, "%s%s", data->len ? "," : "", option);
	}
	return data->failed ? err_oom(err) : 0;
}

static int spec_mount(Arca__V1__ContainerSpec *spec, const char *type, const char *destination,
		      unsigned long flags, const char *data)
{
	Arca__V1__Mount *mount = SPEC_ADD(spec, mounts, Arca__V1__Mount, arca__v1__mount__init);

	if (!mount)
		return -ENOMEM;
	mount->flags = flags;
	return spec_put(&mount->type, type) || spec_put(&mount->source, type) ||
			       spec_put(&mount->destination, destination) ||
			       spec_put(&mount->data, data)
		       ? -ENOMEM
		       : 0;
}

static int spec_mount_shm(const json_t *host, Arca__V1__ContainerSpec *spec)
{
	char data[64];

	if (str_eq(jx_str(host, "IpcMode"), "none"))
		return 0;
	(void)snprintf(data, sizeof(data), "mode=1777,size=%lld",
		       (long long)jx_int(host, "ShmSize"));
	return spec_mount(spec, "tmpfs", "/dev/shm", SAFE, data);
}

static int spec_tmpfs(Arca__V1__ContainerSpec *spec, const char *destination, const char *options,
		      unsigned long flags, struct err *err)
{
	_cleanup_buf_ struct buf data = {0};
	int r;

	if (*destination != '/' || strstr(destination, "/../") || str_ends(destination, "/..")) {
		err_user(err, ERR_INVALID, "invalid mount path: '%s' mount path must be absolute",
			 destination);
		return -EINVAL;
	}
	if (str_eq(destination, "/")) {
		err_user(err, ERR_INVALID, "invalid mount path: '/' destination can't be '/'");
		return -EINVAL;
	}
	r = spec_tmpfs_options(options, &flags, &data, err);
	if (r < 0)
		return r;
	return spec_mount(spec, "tmpfs", destination, flags, data.data) < 0 ? err_oom(err) : 0;
}

/* HostConfig.Mounts of type tmpfs: validated to be no other type. */
static int spec_tmpfs_mount(Arca__V1__ContainerSpec *spec, const json_t *item, struct err *err)
{
	const json_t *options = json_object_get(item, "TmpfsOptions"), *pair;
	_cleanup_buf_ struct buf text = {0};
	size_t i;

	buf_adds(&text, jx_bool(item, "ReadOnly") ? "ro" : "rw");
	if (jx_int(options, "SizeBytes") > 0)
		buf_addf(&text, ",size=%lld", (long long)jx_int(options, "SizeBytes"));
	if (jx_int(options, "Mode") > 0)
		buf_addf(&text, ",mode=%llo", (unsigned long long)jx_int(options, "Mode"));
	json_array_foreach (json_object_get(options, "Options"), i, pair) {
		const char *key = json_string_value(json_array_get(pair, 0));
		const char *value = json_string_value(json_array_get(pair, 1));

		if (key)
			buf_addf(&text, value ? ",%s=%s" : ",%s", key, value);
	}
	if (text.failed)
		return err_oom(err);
	return spec_tmpfs(spec, jx_str(item, "Target"), text.data, SAFE, err);
}

static int spec_mounts_tmpfs(const json_t *host, Arca__V1__ContainerSpec *spec, struct err *err)
{
	json_t *item;
	const char *destination;
	size_t i;
	int r = 0;

	json_object_foreach (json_object_get(host, "Tmpfs"), destination, item) {
		if (spec->n_mounts >= SPEC_ITEMS_MAX)
			break;
		r = spec_tmpfs(spec, destination, json_string_value(item), SAFE, err);
		if (r < 0)
			return r;
	}
	json_array_foreach (json_object_get(host, "Mounts"), i, item) {
		if (!str_eq(jx_str(item, "Type"), "tmpfs"))
			continue;
		r = spec_tmpfs_mount(spec, item, err);
		if (r < 0)
			return r;
	}
	if (spec->n_mounts >= SPEC_ITEMS_MAX) {
		err_user(err, ERR_INVALID, "too many mounts");
		return -E2BIG;
	}
	return 0;
}

static int spec_mount_by_depth(const void *a, const void *b)
{
	const char *x = (*(Arca__V1__Mount *const *)a)->destination;
	const char *y = (*(Arca__V1__Mount *const *)b)->destination;
	int depth = 0;

	for (const char *s = x; *s; s++)
		depth += *s == '/';
	for (const char *s = y; *s; s++)
		depth -= *s == '/';
	return depth ? depth : strcmp(x, y);
}

/* A tmpfs on top of one of the standard destinations takes its place. */
static void spec_mounts_replace(Arca__V1__ContainerSpec *spec, size_t standard)
{
	for (size_t i = standard; i < spec->n_mounts; i++) {
		for (size_t k = 0; k < standard; k++) {
			Arca__V1__Mount *swap = spec->mounts[k];

			if (!str_eq(swap->destination, spec->mounts[i]->destination))
				continue;
			spec->mounts[k] = spec->mounts[i];
			arca__v1__mount__free_unpacked(swap, NULL);
			memmove(&spec->mounts[i], &spec->mounts[i + 1],
				(spec->n_mounts - i - 1) * sizeof(Arca__V1__Mount *));
			spec->n_mounts--;
			i--;
			break;
		}
	}
}

/**
 * spec_mounts() - Fill the mounts of a container
 * @host: Complete host config
 * @spec: Message whose mounts are empty
 * @err:  Filled on failure
 *
 * Return: 0 or a negative errno
 */
int spec_mounts(const json_t *host, Arca__V1__ContainerSpec *spec, struct err *err)
{
	unsigned long ro = jx_bool(host, "Privileged") ? 0 : MS_RDONLY;
	size_t standard;
	int r;

	r = spec_mount(spec, "proc", "/proc", SAFE, NULL) ||
	    spec_mount(spec, "sysfs", "/sys", SAFE | ro, NULL) ||
	    spec_mount(spec, "cgroup2", "/sys/fs/cgroup", SAFE | ro, NULL) ||
	    spec_mount(spec, "mqueue", "/dev/mqueue", SAFE, NULL) || spec_mount_shm(host, spec);
	if (r)
		return err_oom(err);
	standard = spec->n_mounts;
	r = spec_mounts_tmpfs(host, spec, err);
	if (r < 0)
		return r;
	if (spec->n_mounts > standard)
		qsort(spec->mounts + standard, spec->n_mounts - standard, sizeof(*spec->mounts),
		      spec_mount_by_depth);
	spec_mounts_replace(spec, standard);
	return 0;
}

/**
 * spec_mounts_validate() - Check what spec_mounts() will be asked for
 * @host: Complete host config
 * @err:  Filled on failure
 *
 * Return: 0 or a negative errno
 */
int spec_mounts_validate(const json_t *host, struct err *err)
{
	Arca__V1__ContainerSpec *spec = calloc(1, sizeof(*spec));
	int r;

	if (!spec)
		return err_oom(err);
	arca__v1__container_spec__init(spec);
	r = spec_mounts(host, spec, err);
	arca__v1__container_spec__free_unpacked(spec, NULL);
	return r;
}
