/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_fields.c - the create body's fields: types, defaults, and what inspect shows for unset
 * ones
 *
 * Two tables, in the order in which dockerd prints them. Normalising makes a new object with every
 * listed field: a value of the wrong type is refused, a null or missing one becomes what dockerd
 * shows, a field that is not listed is dropped (as Go's decoder does). The input is hostile; its
 * depth was bounded by the JSON parser. Values are shared, not copied: nobody changes them later.
 */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "core/containers.h"
#include "core/jsonx.h"

enum field_kind {
	F_STR,
	F_BOOL,
	F_INT,
	F_STRV,	    /* array of strings */
	F_STRSLICE, /* array of strings; one string is an array of one */
	F_ARRAY,    /* array of objects */
	F_STRMAP,   /* object of strings */
	F_OBJECT,   /* object of anything */
	F_INTV	    /* array of integers */
};

enum field_unset {
	U_ZERO,	 /* "", 0, false, [], {} */
	U_NULL,	 /* null, and nulls are kept apart from zero values */
	U_OMIT,	 /* left out when zero */
	U_ABSENT /* left out when null; a zero value is kept */
};

struct field {
	const char *name;
	enum field_kind kind;
	enum field_unset unset;
};

static const struct field container_config_fields[] = {
	{"Hostname", F_STR, U_ZERO},
	{"Domainname", F_STR, U_ZERO},
	{"User", F_STR, U_ZERO},
	{"AttachStdin", F_BOOL, U_ZERO},
	{"AttachStdout", F_BOOL, U_ZERO},
	{"AttachStderr", F_BOOL, U_ZERO},
	{"ExposedPorts", F_OBJECT, U_OMIT},
	{"Tty", F_BOOL, U_ZERO},
	{"OpenStdin", F_BOOL, U_ZERO},
	{"StdinOnce", F_BOOL, U_ZERO},
	{"Env", F_STRV, U_NULL},
	{"Cmd", F_STRSLICE, U_NULL},
	{"Healthcheck", F_OBJECT, U_ABSENT},
	{"ArgsEscaped", F_BOOL, U_OMIT},
	{"Image", F_STR, U_ZERO},
	{"Volumes", F_OBJECT, U_NULL},
	{"WorkingDir", F_STR, U_ZERO},
	{"Entrypoint", F_STRSLICE, U_NULL},
	{"NetworkDisabled", F_BOOL, U_OMIT},
	{"MacAddress", F_STR, U_OMIT},
	{"OnBuild", F_STRV, U_NULL},
	{"Labels", F_STRMAP, U_ZERO},
	{"StopSignal", F_STR, U_OMIT},
	{"StopTimeout", F_INT, U_ABSENT},
	{"Shell", F_STRSLICE, U_OMIT},
};

static const struct field container_host_fields[] = {
	{"Binds", F_STRV, U_NULL},
	{"ContainerIDFile", F_STR, U_ZERO},
	{"LogConfig", F_OBJECT, U_ZERO},
	{"NetworkMode", F_STR, U_ZERO},
	{"PortBindings", F_OBJECT, U_ZERO},
	{"RestartPolicy", F_OBJECT, U_ZERO},
	{"AutoRemove", F_BOOL, U_ZERO},
	{"VolumeDriver", F_STR, U_ZERO},
	{"VolumesFrom", F_STRV, U_NULL},
	{"ConsoleSize", F_INTV, U_ZERO},
	{"Annotations", F_STRMAP, U_OMIT},
	{"CapAdd", F_STRSLICE, U_NULL},
	{"CapDrop", F_STRSLICE, U_NULL},
	{"CgroupnsMode", F_STR, U_ZERO},
	{"Dns", F_STRV, U_ZERO},
	{"DnsOptions", F_STRV, U_ZERO},
	{"DnsSearch", F_STRV, U_ZERO},
	{"ExtraHosts", F_STRV, U_NULL},
	{"GroupAdd", F_STRV, U_NULL},
	{"IpcMode", F_STR, U_ZERO},
	{"Cgroup", F_STR, U_ZERO},
	{"Links", F_STRV, U_NULL},
	{"OomScoreAdj", F_INT, U_ZERO},
	{"PidMode", F_STR, U_ZERO},
	{"Privileged", F_BOOL, U_ZERO},
	{"PublishAllPorts", F_BOOL, U_ZERO},
	{"ReadonlyRootfs", F_BOOL, U_ZERO},
	{"SecurityOpt", F_STRV, U_NULL},
	{"StorageOpt", F_STRMAP, U_OMIT},
	{"Tmpfs", F_STRMAP, U_OMIT},
	{"UTSMode", F_STR, U_ZERO},
	{"UsernsMode", F_STR, U_ZERO},
	{"ShmSize", F_INT, U_ZERO},
	{"Sysctls", F_STRMAP, U_OMIT},
	{"Runtime", F_STR, U_ZERO},
	{"Isolation", F_STR, U_ZERO},
	{"CpuShares", F_INT, U_ZERO},
	{"Memory", F_INT, U_ZERO},
	{"NanoCpus", F_INT, U_ZERO},
	{"CgroupParent", F_STR, U_ZERO},
	{"BlkioWeight", F_INT, U_ZERO},
	{"BlkioWeightDevice", F_ARRAY, U_ZERO},
	{"BlkioDeviceReadBps", F_ARRAY, U_ZERO},
	{"BlkioDeviceWriteBps", F_ARRAY, U_ZERO},
	{"BlkioDeviceReadIOps", F_ARRAY, U_ZERO},
	{"BlkioDeviceWriteIOps", F_ARRAY, U_ZERO},
	{"CpuPeriod", F_INT, U_ZERO},
	{"CpuQuota", F_INT, U_ZERO},
	{"CpuRealtimePeriod", F_INT, U_ZERO},
	{"CpuRealtimeRuntime", F_INT, U_ZERO},
	{"CpusetCpus", F_STR, U_ZERO},
	{"CpusetMems", F_STR, U_ZERO},
	{"Devices", F_ARRAY, U_ZERO},
	{"DeviceCgroupRules", F_STRV, U_NULL},
	{"DeviceRequests", F_ARRAY, U_NULL},
	{"MemoryReservation", F_INT, U_ZERO},
	{"MemorySwap", F_INT, U_ZERO},
	{"MemorySwappiness", F_INT, U_NULL},
	{"OomKillDisable", F_BOOL, U_NULL},
	{"PidsLimit", F_INT, U_NULL},
	{"Ulimits", F_ARRAY, U_ZERO},
	{"CpuCount", F_INT, U_ZERO},
	{"CpuPercent", F_INT, U_ZERO},
	{"IOMaximumIOps", F_INT, U_ZERO},
	{"IOMaximumBandwidth", F_INT, U_ZERO},
	{"Mounts", F_ARRAY, U_OMIT},
	{"MaskedPaths", F_STRV, U_NULL},
	{"ReadonlyPaths", F_STRV, U_NULL},
	{"Init", F_BOOL, U_ABSENT},
};

static const char *const field_kind_names[] = {
	[F_STR] = "string",
	[F_BOOL] = "bool",
	[F_INT] = "int64",
	[F_STRV] = "[]string",
	[F_STRSLICE] = "[]string",
	[F_ARRAY] = "[]object",
	[F_STRMAP] = "map[string]string",
	[F_OBJECT] = "object",
	[F_INTV] = "[]uint",
};

static bool field_elements_are(const json_t *value, json_type type)
{
	const char *key;
	json_t *item;
	size_t i;

	if (json_is_array(value)) {
		json_array_foreach (value, i, item) {
			if (json_typeof(item) != type)
				return false;
		}
		return true;
	}
	json_object_foreach ((json_t *)value, key, item) {
		if (json_typeof(item) != type)
			return false;
	}
	return true;
}

static bool field_fits(enum field_kind kind, const json_t *value)
{
	switch (kind) {
	case F_STR:
		return json_is_string(value);
	case F_BOOL:
		return json_is_boolean(value);
	case F_INT:
		return json_is_integer(value);
	case F_STRSLICE:
		return json_is_string(value) ||
		       (json_is_array(value) && field_elements_are(value, JSON_STRING));
	case F_STRV:
		return json_is_array(value) && field_elements_are(value, JSON_STRING);
	case F_INTV:
		return json_is_array(value) && field_elements_are(value, JSON_INTEGER);
	case F_ARRAY:
		return json_is_array(value) && field_elements_are(value, JSON_OBJECT);
	case F_STRMAP:
		return json_is_object(value) && field_elements_are(value, JSON_STRING);
	case F_OBJECT:
		return json_is_object(value);
	}
	return false;
}

static json_t *field_zero(enum field_kind kind)
{
	switch (kind) {
	case F_STR:
		return json_string("");
	case F_BOOL:
		return json_false();
	case F_INT:
		return json_integer(0);
	case F_STRMAP:
	case F_OBJECT:
		return json_object();
	default:
		return json_array();
	}
}

static int field_put(json_t *out, const struct field *f, json_t *value)
{
	if (!value || json_is_null(value)) {
		if (f->unset == U_OMIT || f->unset == U_ABSENT)
			return 0;
		return jx_set(out, f->name, f->unset == U_NULL ? json_null() : field_zero(f->kind));
	}
	if (f->kind == F_STRSLICE && json_is_string(value))
		return jx_set(out, f->name, json_pack("[O]", value));
	return jx_share(out, f->name, value);
}

static int fields_normalise(const struct field *fields, size_t n, const char *what,
			    const json_t *in, json_t **ret, struct err *err)
{
	_cleanup_json_ json_t *out = json_object();

	if (!out)
		return err_oom(err);
	if (in && !json_is_null(in) && !json_is_object(in)) {
		err_user(err, ERR_INVALID, "invalid JSON: %s must be an object", what);
		return -EINVAL;
	}
	for (size_t i = 0; i < n; i++) {
		const struct field *f = &fields[i];
		json_t *value = json_object_get(in, f->name);

		if (value && !json_is_null(value) && !field_fits(f->kind, value)) {
			err_user(err, ERR_INVALID, "invalid JSON: field %s.%s must be of type %s",
				 what, f->name, field_kind_names[f->kind]);
			return -EINVAL;
		}
		if (field_put(out, f, value) < 0)
			return err_oom(err);
		if (f->unset == U_OMIT && jx_empty(out, f->name))
			(void)json_object_del(out, f->name); /* nothing to do where it is absent */
	}
	*ret = TAKE_PTR(out);
	return 0;
}

/**
 * container_config_normalise() - Config part of a create body, complete and typed
 * @in:	 The body (further fields are ignored), or NULL
 * @ret: New object
 * @err: Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_config_normalise(const json_t *in, json_t **ret, struct err *err)
{
	return fields_normalise(container_config_fields, ARRAY_SIZE(container_config_fields),
				"ContainerConfig", in, ret, err);
}

/**
 * container_host_config_normalise() - HostConfig of a create body, complete and typed
 * @in:	 HostConfig, or NULL
 * @ret: New object
 * @err: Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_host_config_normalise(const json_t *in, json_t **ret, struct err *err)
{
	return fields_normalise(container_host_fields, ARRAY_SIZE(container_host_fields),
				"HostConfig", in, ret, err);
}
