/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_validate.c - what a config may say, in dockerd's words; defaults of the host config
 *
 * Input was normalised (container_fields.c): every field is there with its type. What Arca does not
 * do yet is refused by name (501), or where a container works without it, warned about.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/err.h"
#include "base/str.h"
#include "core/caps.h"
#include "core/containers.h"
#include "core/jsonx.h"
#include "core/ports.h"
#include "core/spec.h"

#define SHM_SIZE_DEFAULT 67108864
#define MEMORY_MIN (6 * 1024 * 1024)
#define LABELS_MAX 65536
#define CPUSET_MAX 8192 /* dockerd's */

static const char *const masked_paths_default[] = {
	"/proc/asound",	    "/proc/acpi",	 "/proc/interrupts",
	"/proc/kcore",	    "/proc/keys",	 "/proc/latency_stats",
	"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
	"/proc/scsi",	    "/sys/firmware",	 "/sys/devices/virtual/powercap",
};
static const char *const readonly_paths_default[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

static int invalid(struct err *err, const char *fmt, ...) PRINTF(2, 3);
static int invalid(struct err *err, const char *fmt, ...)
{
	char msg[ERR_MSG_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	err_user(err, ERR_INVALID, "%s", msg);
	return -EINVAL;
}

static int not_yet(struct err *err, const char *what)
{
	err_user(err, ERR_NOT_IMPLEMENTED, "%s not implemented by Arca yet", what);
	return -EOPNOTSUPP;
}

static int validate_env(const json_t *env, struct err *err)
{
	json_t *item;
	size_t i;

	json_array_foreach (env, i, item) {
		const char *s = json_string_value(item);

		if (!*s || *s == '=')
			return invalid(err, "invalid environment variable: %s", s);
		if (json_string_length(item) != strlen(s))
			return invalid(err, "invalid environment variable: NUL byte");
	}
	return 0;
}

static int validate_strings(const json_t *list, const char *what, struct err *err)
{
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		if (json_string_length(item) != strlen(json_string_value(item)))
			return invalid(err, "invalid %s: NUL byte", what);
	}
	return 0;
}

/**
 * container_config_validate() - Check a merged config
 * @config: Normalised and merged config
 * @err:    Filled on failure
 *
 * Return: 0 or -EINVAL
 */
int container_config_validate(const json_t *config, struct err *err)
{
	const char *cwd = jx_str(config, "WorkingDir");
	const char *signal = jx_str(config, "StopSignal");
	int signo, r;

	if (jx_len(config, "Cmd") == 0 && jx_len(config, "Entrypoint") == 0)
		return invalid(err, "no command specified");
	if (*cwd && *cwd != '/')
		return invalid(err,
			       "the working directory '%s' is invalid, it needs to be an absolute "
			       "path",
			       cwd);
	if (*signal && container_signal_parse(signal, &signo) < 0)
		return invalid(err, "invalid signal: %s", signal);
	if (strlen(jx_str(config, "Hostname")) > 64 || strlen(jx_str(config, "Domainname")) > 64)
		return invalid(err, "invalid hostname: at most 64 characters");
	if (jx_len(config, "Labels") > LABELS_MAX)
		return invalid(err, "too many labels");
	r = validate_env(json_object_get(config, "Env"), err);
	if (r == 0)
		r = validate_strings(json_object_get(config, "Cmd"), "command", err);
	if (r == 0)
		r = validate_strings(json_object_get(config, "Entrypoint"), "entrypoint", err);
	return r;
}

static int default_string(json_t *host, const char *key, const char *value)
{
	return jx_empty(host, key) ? jx_set_str(host, key, value) : 0;
}

static int default_paths(json_t *host, const char *key, const char *const *paths, size_t n)
{
	_cleanup_json_ json_t *list = NULL;
	int r = 0;

	if (!json_is_null(json_object_get(host, key)))
		return 0;
	list = json_array();
	for (size_t i = 0; i < n; i++)
		r |= jx_add_str(list, paths[i]);
	return r ? -ENOMEM : jx_share(host, key, list);
}

/* Type, and the daemon's options under the container's own. */
static int default_log_config(const struct core *core, json_t *host)
{
	const json_t *given = json_object_get(host, "LogConfig");
	const json_t *own = json_object_get(given, "Config");
	const char *driver = core->config.log_driver ? core->config.log_driver : CORE_LOG_DRIVER;
	_cleanup_json_ json_t *options = json_object();
	bool inherit = jx_empty(given, "Type") || str_eq(jx_str(given, "Type"), driver);
	int r = 0;

	for (size_t i = 0; inherit && core->config.log_opts && core->config.log_opts[i]; i++) {
		_cleanup_free_ char *pair = strdup(core->config.log_opts[i]);
		char *value = pair ? strchr(pair, '=') : NULL;

		if (!value)
			continue;
		*value++ = '\0';
		r |= jx_set_str(options, pair, value);
	}
	if (json_is_object(own))
		r |= json_object_update(options, (json_t *)own);
	return r || jx_set(host, "LogConfig",
			   json_pack("{s:s, s:O}", "Type",
				     jx_empty(given, "Type") ? driver : jx_str(given, "Type"),
				     "Config", options))
		       ? -ENOMEM
		       : 0;
}

/* "net_raw" -> "CAP_NET_RAW", as inspect shows them; unknown names stay for the refusal. */
static int default_caps(json_t *host, const char *key)
{
	_cleanup_json_ json_t *list = NULL;
	unsigned int cap;
	json_t *item;
	size_t i;
	int r = 0;

	if (jx_len(host, key) == 0)
		return 0;
	list = json_array();
	json_array_foreach (json_object_get(host, key), i, item) {
		const char *name = json_string_value(item);

		if (strcasecmp(name, "ALL") == 0)
			r |= jx_add_str(list, "ALL");
		else if (caps_from_name(name, &cap) == 0)
			r |= jx_addf(list, "CAP_%s", caps_name(cap));
		else
			r |= jx_add_str(list, name);
	}
	return r ? -ENOMEM : jx_share(host, key, list);
}

/* Go's array of two: what is missing is 0, what is too much is dropped. */
static int default_console_size(json_t *host)
{
	const json_t *given = json_object_get(host, "ConsoleSize");

	return jx_set(host, "ConsoleSize",
		      json_pack("[I, I]", json_integer_value(json_array_get(given, 0)),
				json_integer_value(json_array_get(given, 1))));
}

/**
 * container_host_config_defaults() - Fill in what dockerd fills in
 * @core:	 For the daemon's log options
 * @host_config: Normalised host config, changed in place
 *
 * Return: 0 or -ENOMEM
 */
int container_host_config_defaults(const struct core *core, json_t *host_config)
{
	const json_t *policy = json_object_get(host_config, "RestartPolicy");
	const char *mode = jx_str(host_config, "NetworkMode");
	int r = 0;

	if (!*mode || str_eq(mode, "default"))
		r |= jx_set_str(host_config, "NetworkMode", "bridge");
	r |= default_string(host_config, "CgroupnsMode", "private");
	r |= default_string(host_config, "IpcMode", "private");
	r |= default_string(host_config, "Runtime", CORE_RUNTIME);
	if (jx_int(host_config, "ShmSize") == 0)
		r |= jx_set_int(host_config, "ShmSize", SHM_SIZE_DEFAULT);
	r |= default_console_size(host_config);
	r |= jx_set(host_config, "RestartPolicy",
		    json_pack("{s:s, s:I}", "Name",
			      jx_empty(policy, "Name") ? "no" : jx_str(policy, "Name"),
			      "MaximumRetryCount",
			      (json_int_t)jx_int(policy, "MaximumRetryCount")));
	r |= default_log_config(core, host_config);
	r |= default_caps(host_config, "CapAdd");
	r |= default_caps(host_config, "CapDrop");
	if (jx_int(host_config, "MemorySwappiness") == -1)
		r |= jx_set(host_config, "MemorySwappiness", json_null());
	if (jx_int(host_config, "PidsLimit") <= 0)
		r |= jx_set(host_config, "PidsLimit", json_null());
	if (jx_int(host_config, "Memory") > 0 && jx_int(host_config, "MemorySwap") == 0)
		r |= jx_set_int(host_config, "MemorySwap", jx_int(host_config, "Memory") * 2);
	if (!jx_bool(host_config, "Privileged") &&
	    !spec_security_flag(host_config, "systempaths", "unconfined")) {
		r |= default_paths(host_config, "MaskedPaths", masked_paths_default,
				   ARRAY_SIZE(masked_paths_default));
		r |= default_paths(host_config, "ReadonlyPaths", readonly_paths_default,
				   ARRAY_SIZE(readonly_paths_default));
	}
	return r ? -ENOMEM : 0;
}

static int validate_memory(const json_t *res, struct err *err)
{
	int64_t memory = jx_int(res, "Memory"), swap = jx_int(res, "MemorySwap");
	int64_t reservation = jx_int(res, "MemoryReservation");
	const json_t *swappiness = json_object_get(res, "MemorySwappiness");

	if (memory != 0 && memory < MEMORY_MIN)
		return invalid(err, "Minimum memory limit allowed is 6MB");
	if (memory > 0 && swap > 0 && swap < memory)
		return invalid(err, "Minimum memoryswap limit should be larger than memory limit, "
				    "see usage");
	if (memory == 0 && swap > 0)
		return invalid(err, "You should always set the Memory limit when using Memoryswap "
				    "limit, see usage");
	if (reservation != 0 && reservation < MEMORY_MIN)
		return invalid(err, "Minimum memory reservation allowed is 6MB");
	if (memory > 0 && reservation > memory)
		return invalid(err, "Minimum memory limit can not be less than memory reservation "
				    "limit, see usage");
	if (json_is_integer(swappiness) &&
	    (json_integer_value(swappiness) < -1 || json_integer_value(swappiness) > 100))
		return invalid(err, "Invalid value: %lld, valid memory swappiness range is 0-100",
			       (long long)json_integer_value(swappiness));
	return 0;
}

/* "0", "0-2,4": Return: 0, -EINVAL, or -ERANGE above CPUSET_MAX */
static int cpuset_max(const char *text, long *ret_max)
{
	long max = -1;

	for (;;) {
		size_t len = strcspn(text, ",");
		struct port_range range; /* the same words, and 16 bits are enough */
		char item[32];
		int r;

		if (len >= sizeof(item))
			return -EINVAL;
		(void)snprintf(item, sizeof(item), "%.*s", (int)len, text);
		if (strchr(item, '/'))
			return -EINVAL;
		r = ports_parse(item, &range);
		if (r < 0)
			return r == -ERANGE && strchr(item, '-') ? -EINVAL : r;
		if (range.last > CPUSET_MAX)
			return -ERANGE;
		max = MAX(max, (long)range.last);
		if (!text[len])
			break;
		text += len + 1;
	}
	*ret_max = max;
	return 0;
}

static int validate_cpuset(const json_t *res, const char *key, const char *what, const char *things,
			   long available, struct err *err)
{
	const char *text = jx_str(res, key);
	char all[32] = "0";
	long max = 0;
	int r = *text ? cpuset_max(text, &max) : 0;

	if (r == -ERANGE)
		return invalid(err,
			       "Invalid value %s for cpuset %s: value of out range, maximum is %d",
			       text, what, CPUSET_MAX);
	if (r < 0)
		return invalid(err, "Invalid value %.300s for cpuset %s: invalid format: %.300s",
			       text, what, text);
	if (available > 0)
		(void)snprintf(all, sizeof(all), "0-%ld", available);
	if (max > available)
		return invalid(err, "Requested %s are not available - requested %s, available: %s",
			       things, text, all);
	return 0;
}

static int validate_cpu(const json_t *res, struct err *err)
{
	int64_t nano = jx_int(res, "NanoCpus"), period = jx_int(res, "CpuPeriod");
	int64_t quota = jx_int(res, "CpuQuota");
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int r;

	if (nano > 0 && period > 0)
		return invalid(err, "Conflicting options: Nano CPUs and CPU Period cannot both be "
				    "set.");
	if (nano > 0 && quota > 0)
		return invalid(err, "Conflicting options: Nano CPUs and CPU Quota cannot both be "
				    "set.");
	if (nano < 0 || nano > cpus * 1000000000LL || (nano > 0 && nano < 10000000))
		return invalid(err,
			       "range of CPUs is from 0.01 to %ld.00, as there are only %ld CPUs "
			       "available",
			       cpus, cpus);
	if (period != 0 && (period < 1000 || period > 1000000))
		return invalid(err, "CPU cfs period can not be less than 1ms (i.e. 1000) or larger "
				    "than 1s (i.e. 1000000)");
	if (quota > 0 && quota < 1000)
		return invalid(err, "CPU cfs quota can not be less than 1ms (i.e. 1000)");
	if (jx_int(res, "CpuShares") < 0)
		return invalid(err, "shares can not be negative");
	r = validate_cpuset(res, "CpusetCpus", "cpus", "CPUs", cpus - 1, err);
	return r < 0 ? r : validate_cpuset(res, "CpusetMems", "mems", "memory nodes", 0, err);
}

static int validate_restart_policy(const json_t *policy, struct err *err)
{
	const char *name = jx_str(policy, "Name");
	int64_t retries = jx_int(policy, "MaximumRetryCount");

	if (str_eq(name, "on-failure")) {
		if (retries < 0)
			return invalid(err, "invalid restart policy: maximum retry count cannot be "
					    "negative");
		return 0;
	}
	if (*name && !str_eq(name, "no") && !str_eq(name, "always") &&
	    !str_eq(name, "unless-stopped"))
		return invalid(err,
			       "invalid restart policy: unknown policy '%s'; use one of 'no', "
			       "'always', 'on-failure', or 'unless-stopped'",
			       name);
	if (retries != 0)
		return invalid(err, "invalid restart policy: maximum retry count can only be used "
				    "with 'on-failure'");
	return 0;
}

/**
 * container_resources_validate() - Check limits and restart policy; for create and update
 * @resources: Host config, or the fields of it that an update sets
 * @err:       Filled on failure
 *
 * Return: 0 or -EINVAL
 */
int container_resources_validate(const json_t *resources, struct err *err)
{
	int64_t weight = jx_int(resources, "BlkioWeight");
	int r;

	r = validate_memory(resources, err);
	if (r == 0)
		r = validate_cpu(resources, err);
	if (r == 0)
		r = validate_restart_policy(json_object_get(resources, "RestartPolicy"), err);
	if (r == 0 && weight != 0 && (weight < 10 || weight > 1000))
		r = invalid(err, "Range of blkio weight is from 10 to 1000");
	return r;
}

static int validate_mounts(const json_t *host, struct err *err)
{
	json_t *item;
	size_t i;

	if (jx_len(host, "Binds") > 0)
		return not_yet(err, "volumes are");
	json_array_foreach (json_object_get(host, "Mounts"), i, item) {
		const char *type = jx_str(item, "Type"), *target = jx_str(item, "Target");

		if (str_eq(type, "bind") || str_eq(type, "volume") || str_eq(type, "image") ||
		    str_eq(type, "cluster"))
			return not_yet(err, "volumes are");
		if (!str_eq(type, "tmpfs"))
			return invalid(err,
				       "invalid mount config for type \"%s\": mount type unknown",
				       type);
		if (*target != '/')
			return invalid(err,
				       "invalid mount config for type \"tmpfs\": invalid mount "
				       "path: '%s' mount path must be absolute",
				       target);
	}
	return 0;
}

static int validate_mode(const json_t *host, const char *key, const char *const *allowed,
			 const char *what, struct err *err)
{
	const char *mode = jx_str(host, key);
	char text[64];

	for (; *allowed; allowed++) {
		if (str_eq(mode, *allowed))
			return 0;
	}
	if (str_starts(mode, "container:")) {
		(void)snprintf(text, sizeof(text), "%s modes of other containers are", what);
		return not_yet(err, text);
	}
	return invalid(err, "invalid %s mode: %s", what, mode);
}

static int validate_modes(const json_t *host, struct err *err)
{
	static const char *const ipc[] = {"none", "private", "shareable", "host", NULL};
	static const char *const pid[] = {"", "host", NULL};
	static const char *const cgroup[] = {"private", "host", NULL};
	int r;

	r = validate_mode(host, "IpcMode", ipc, "IPC", err);
	if (r == 0)
		r = validate_mode(host, "PidMode", pid, "PID", err);
	if (r == 0)
		r = validate_mode(host, "UTSMode", pid, "UTS", err);
	if (r == 0)
		r = validate_mode(host, "UsernsMode", pid, "user namespace", err);
	if (r == 0)
		r = validate_mode(host, "CgroupnsMode", cgroup, "cgroup namespace", err);
	return r;
}

static int validate_logging(const json_t *host, struct err *err)
{
	const json_t *log = json_object_get(host, "LogConfig");
	const char *driver = jx_str(log, "Type"), *key;
	json_t *value;
	int64_t bytes;
	uint64_t files;

	if (!str_eq(driver, CORE_LOG_DRIVER) && !str_eq(driver, "none"))
		return invalid(err, "logger: no log driver named '%s' is registered", driver);
	json_object_foreach (json_object_get(log, "Config"), key, value) {
		const char *text = json_string_value(value);

		if (!text)
			return invalid(err, "log-opt '%s' must be a string", key);
		if (str_eq(key, "max-size") && str_size_bytes(text, &bytes) < 0)
			return invalid(err, "invalid value for max-size: %s", text);
		if (str_eq(key, "max-file") && (str_u64(text, 100000, &files) < 0 || files == 0))
			return invalid(err, "max-file cannot be less than 1");
		if (str_eq(driver, CORE_LOG_DRIVER) && !str_eq(key, "max-size") &&
		    !str_eq(key, "max-file") && !str_eq(key, "compress") &&
		    !str_eq(key, "labels") && !str_eq(key, "labels-regex") && !str_eq(key, "env") &&
		    !str_eq(key, "env-regex") && !str_eq(key, "tag") && !str_eq(key, "mode") &&
		    !str_eq(key, "max-buffer-size"))
			return invalid(err, "unknown log opt '%s' for json-file log driver", key);
	}
	return 0;
}

static int validate_runtime(const json_t *host, struct err *err)
{
	static const char *const known[] = {CORE_RUNTIME, "runc", "io.containerd.runc.v2"};
	const char *runtime = jx_str(host, "Runtime");

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (str_eq(runtime, known[i]))
			return 0;
	}
	return invalid(err, "unknown or invalid runtime name: %s", runtime);
}

static int validate_console_size(const json_t *host, struct err *err)
{
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(host, "ConsoleSize"), i, item) {
		if (json_integer_value(item) < 0)
			return invalid(err,
				       "invalid JSON: json: cannot unmarshal number %lld into "
				       ".HostConfig.ConsoleSize.%zu of type uint",
				       (long long)json_integer_value(item), i);
	}
	return 0;
}

static int validate_annotations(const json_t *host, struct err *err)
{
	if (json_object_get(json_object_get(host, "Annotations"), ""))
		return invalid(err, "invalid Annotations: the empty string is not permitted as an "
				    "annotation key");
	return 0;
}

static int validate_other(const json_t *host, struct err *err)
{
	int64_t oom = jx_int(host, "OomScoreAdj");
	uint64_t caps;
	int r;

	if (jx_int(host, "ShmSize") < 0)
		return invalid(err, "SHM size can not be less than 0");
	if (oom < -1000 || oom > 1000)
		return invalid(err, "Invalid value %lld, range for oom score adj is [-1000, 1000]",
			       (long long)oom);
	if (jx_bool(host, "AutoRemove") &&
	    !str_eq(jx_str(json_object_get(host, "RestartPolicy"), "Name"), "no"))
		return invalid(err, "can't create 'AutoRemove' container with restart policy");
	if (!jx_empty(host, "Isolation") && !str_eq(jx_str(host, "Isolation"), "default"))
		return invalid(err, "invalid isolation '%s' on linux", jx_str(host, "Isolation"));
	if (jx_len(host, "DeviceRequests") > 0)
		return invalid(err,
			       "could not select device driver \"%s\": no such driver in the "
			       "container's virtual machine",
			       jx_str(json_array_get(json_object_get(host, "DeviceRequests"), 0),
				      "Driver"));
	if (jx_len(host, "VolumesFrom") > 0)
		return not_yet(err, "volumes are");
	r = validate_console_size(host, err);
	if (r == 0)
		r = validate_annotations(host, err);
	if (r == 0)
		r = container_ports_validate(host, err);
	if (r == 0)
		r = container_hosts_validate(host, err);
	if (r < 0)
		return r;
	r = caps_compute(json_object_get(host, "CapAdd"), json_object_get(host, "CapDrop"), false,
			 &caps, err);
	if (r == 0)
		r = spec_validate(host, err);
	return r;
}

/* What is accepted without effect. */
static void warn_host_config(const json_t *host, json_t *warnings)
{
	static const char *const unused[] = {
		"BlkioWeight",	       "BlkioWeightDevice",   "BlkioDeviceReadBps",
		"BlkioDeviceWriteBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteIOps",
		"CpuRealtimePeriod",   "CpuRealtimeRuntime",  "CgroupParent",
		"DeviceCgroupRules",   "StorageOpt",	      "CpuCount",
		"CpuPercent",	       "IOMaximumIOps",	      "IOMaximumBandwidth"};

	for (size_t i = 0; i < ARRAY_SIZE(unused); i++) {
		if (!jx_empty(host, unused[i]))
			(void)jx_addf(warnings,
				      "%s has no effect on a container in its own "
				      "virtual machine. Value discarded.",
				      unused[i]);
	}
	if (jx_len(host, "PortBindings") > 0 && str_eq(jx_str(host, "NetworkMode"), "host"))
		(void)jx_addf(warnings,
			      "Published ports are discarded when using host network mode");
	if (jx_bool(host, "OomKillDisable"))
		(void)jx_addf(warnings, "OomKillDisable has no effect on cgroup v2.");
}

/**
 * container_host_config_validate() - Check a complete host config
 * @core:	 For the daemon's configuration
 * @host_config: Normalised, with defaults
 * @warnings:	 Array that warnings are appended to, or NULL
 * @err:	 Filled on failure
 *
 * Return: 0, -EINVAL, or -EOPNOTSUPP
 */
int container_host_config_validate(const struct core *core UNUSED, const json_t *host_config,
				   json_t *warnings, struct err *err)
{
	int r;

	r = container_resources_validate(host_config, err);
	if (r == 0)
		r = validate_mounts(host_config, err);
	if (r == 0)
		r = validate_modes(host_config, err);
	if (r == 0)
		r = validate_logging(host_config, err);
	if (r == 0)
		r = validate_runtime(host_config, err);
	if (r == 0)
		r = validate_other(host_config, err);
	if (r == 0)
		warn_host_config(host_config, warnings);
	return r;
}
