/* SPDX-License-Identifier: Apache-2.0 */
/*
 * info.c - GET /info: everything `docker info` prints, and nothing that is not so
 *
 * DOC: Theory of operation
 *
 * The answer is put together from groups of fields, each made by one function that adds to the same
 * object. A group that fails (memory) makes the whole answer fail. Where a word of Docker's does
 * not fit a machine that runs VMs, the field says what comes closest: "Storage Driver" carries how
 * a root filesystem is made and which accelerator runs the guests, "Kernel Version" is the guest's,
 * because that is the kernel containers see.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "api/api.h"
#include "api/handlers.h"
#include "api/system.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/sha256.h"
#include "base/str.h"
#include "core/container.h"
#include "core/core.h"
#include "core/networks.h"
#include "registry/hosts.h"
#include "image/image.h"

#define INFO_FILE_MAX KIB(16)
#define INFO_ID_BUF 37 /* a UUID's text */

static void info_json_decref(json_t **json)
{
	json_decref(*json);
}

/* Move the members of @more (stolen) into @info. */
static int info_add(json_t *info, json_t *more)
{
	int r = more ? json_object_update(info, more) : -1;

	json_decref(more);
	return r;
}

/* A stable name for this engine: from the machine's id and the data root. */
static void info_engine_id(const struct core_config *config, char id[static INFO_ID_BUF])
{
	_cleanup_free_ char *machine = NULL;
	char digest[DIGEST_BUF];
	struct sha256 sha;
	const char *hex;

	(void)fs_read_file("/etc/machine-id", INFO_FILE_MAX, &machine, NULL); /* may be missing */
	sha256_start(&sha);
	if (machine)
		sha256_add(&sha, machine, strlen(machine));
	sha256_add(&sha, config->name ? config->name : "", config->name ? strlen(config->name) : 0);
	sha256_add(&sha, config->data_root, strlen(config->data_root));
	sha256_finish(&sha, digest);
	hex = digest_hex(digest);
	(void)snprintf(id, INFO_ID_BUF, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12,
		       hex + 16, hex + 20);
}

/* KEY="value" of os-release; "" if it is not there. New string or NULL. */
static char *info_os_release(const char *key)
{
	_cleanup_free_ char *text = NULL;
	size_t key_len = strlen(key);

	if (fs_read_file("/etc/os-release", INFO_FILE_MAX, &text, NULL) < 0)
		return strdup("");
	for (char *line = text; line; line = strchr(line, '\n')) {
		const char *value;
		size_t len;

		line += *line == '\n';
		if (strncmp(line, key, key_len) != 0 || line[key_len] != '=')
			continue;
		value = line + key_len + 1;
		value += *value == '"';
		len = strcspn(value, "\"\n");
		return strndup(value, len);
	}
	return strdup("");
}

static int info_add_host(json_t *info, struct core *core)
{
	_cleanup_free_ char *os_name = info_os_release("PRETTY_NAME");
	_cleanup_free_ char *os_version = info_os_release("VERSION_ID");
	char now[CLOCK_RFC3339_MAX];
	struct utsname host = {0};
	struct sysinfo memory = {0};

	(void)uname(&host);	/* cannot fail */
	(void)sysinfo(&memory); /* cannot fail */
	clock_format_rfc3339(clock_realtime_ns(), now);
	return info_add(info,
			json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:I, s:s, s:s}", "KernelVersion",
				  system_kernel_release(core, &host), "OperatingSystem",
				  str_empty(os_name) ? "Linux" : os_name, "OSVersion",
				  os_version ? os_version : "", "OSType", "linux", "Architecture",
				  host.machine, "NCPU", (int)sysconf(_SC_NPROCESSORS_ONLN),
				  "MemTotal", (json_int_t)memory.totalram * memory.mem_unit, "Name",
				  core->config.name ? core->config.name : host.nodename,
				  "SystemTime", now));
}

static json_t *info_driver_status(struct core *core)
{
	_cleanup_free_ char *shape = str_format("%u vCPU, %u MiB", core->config.default_shape.vcpus,
						core->config.default_shape.memory_mib);
	_cleanup_free_ char *layers =
		str_format("%.1f MB", (double)image_store_layers_bytes(core->images) / 1e6);

	return json_pack("[[ss], [ss], [ss], [ss], [ss], [ss]]", "Root Filesystem",
			 "EROFS over shared layers, ext4 upper", "Isolation",
			 "one virtual machine per container", "Virtual Machine",
			 system_text(vmm_qemu_version(core->vmm), "QEMU"), "Accelerator",
			 system_text(vmm_accel(core->vmm), "auto"), "Default Shape",
			 shape ? shape : "", "Layers", layers ? layers : "");
}

static int info_add_engine(json_t *info, struct core *core)
{
	char id[INFO_ID_BUF];
	json_t *labels = api_strings((const char *const *)core->config.labels);

	info_engine_id(&core->config, id);
	return info_add(
		info,
		json_pack("{s:s, s:s, s:s, s:o, s:s, s:s, s:b, s:b, s:b, s:o, s:s, s:s, s:s, "
			  "s:{s:{s:s}}, s:s, s:[ss], s:s, s:s, s:s}",
			  "ID", id, "ServerVersion", ARCA_VERSION, "Driver", "erofs-overlay",
			  "DriverStatus", info_driver_status(core), "DockerRootDir",
			  core->config.data_root, "LoggingDriver",
			  system_text(core->config.log_driver, "json-file"), "Debug",
			  core->config.debug, "ExperimentalBuild", 0, "LiveRestoreEnabled", 1,
			  "Labels", labels, "IndexServerAddress", "https://index.docker.io/v1/",
			  "Isolation", "", "ProductLicense", "", "Runtimes", "arca", "path",
			  "arcad", "DefaultRuntime", "arca", "SecurityOptions",
			  "name=seccomp,profile=builtin", "name=cgroupns", "InitBinary",
			  "arca-init", "CgroupDriver", "cgroupfs", "CgroupVersion", "2"));
}

static int info_add_limits(json_t *info)
{
	return info_add(info, json_pack("{s:b, s:b, s:b, s:b, s:b, s:b, s:b, s:b, s:b, s:b, s:b}",
					"MemoryLimit", 1, "SwapLimit", 1, "CpuCfsPeriod", 1,
					"CpuCfsQuota", 1, "CPUShares", 1, "CPUSet", 1, "PidsLimit",
					1, "OomKillDisable", 0, "IPv4Forwarding", 1,
					"BridgeNfIptables", 1, "BridgeNfIp6tables", 1));
}

static int info_add_surroundings(json_t *info, const struct core *core)
{
	return info_add(
		info,
		json_pack("{s:{s:[s], s:[ssss], s:n, s:[ss]}, s:{s:s, s:s, s:s, s:b, s:s, s:n}, "
			  "s:{s:s}, s:{s:s}, s:{s:s}, s:o?, s:[], s:n}",
			  "Plugins", "Volume", "local", "Network", "bridge", "host", "null",
			  "vmnet", "Authorization", "Log", "json-file", "none", "Swarm", "NodeID",
			  "", "NodeAddr", "", "LocalNodeState", "inactive", "ControlAvailable", 0,
			  "Error", "", "RemoteManagers", "ContainerdCommit", "ID", "N/A",
			  "RuncCommit", "ID", "N/A", "InitCommit", "ID", "N/A",
			  "DefaultAddressPools", networks_pools_json(core->networks), "CDISpecDirs",
			  "GenericResources"));
}

/* What cannot be shown is not. */
static json_t *info_proxy(const char *url)
{
	_cleanup_free_ char *masked = registry_proxy_masked(url);

	return json_string(masked ?: "") ?: json_string("");
}

static int info_add_proxies(json_t *info, const struct registry_options *registries)
{
	return info_add(info, json_pack("{s:o, s:o, s:o}", "HttpProxy",
					info_proxy(registries->http_proxy), "HttpsProxy",
					info_proxy(registries->https_proxy), "NoProxy",
					info_proxy(registries->no_proxy)));
}

static int info_add_registries(json_t *info, const struct core_config *config)
{
	json_t *mirrors = api_strings(config->registries->mirrors);
	json_t *registry =
		json_pack("{s:{s:{s:s, s:O?, s:b, s:b}}, s:[ss], s:o}", "IndexConfigs", "docker.io",
			  "Name", "docker.io", "Mirrors", mirrors, "Secure", 1, "Official", 1,
			  "InsecureRegistryCIDRs", "::1/128", "127.0.0.0/8", "Mirrors", mirrors);
	json_t *indexes = json_object_get(registry, "IndexConfigs");

	for (const char *const *name = config->registries->insecure; indexes && name && *name;
	     name++)
		(void)json_object_set_new(indexes, *name, /* or it is not UTF-8 */
					  json_pack("{s:s, s:[], s:b, s:b}", "Name", *name,
						    "Mirrors", "Secure", 0, "Official", 0));
	return info_add(info, json_pack("{s:o}", "RegistryConfig", registry));
}

static int info_count_entries(const char *path)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	int n = 0;

	for (struct dirent *e; dir && (e = readdir(dir));)
		n += e->d_name[0] != '.';
	return n;
}

static int info_add_counts(json_t *info, struct core *core, struct err *err)
{
	unsigned int running = 0, paused = 0, stopped = 0;
	struct image **images = NULL;
	size_t n = 0;
	int r = image_list(core->images, &images, &n, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		image_free(images[i]);
	free(images);
	containers_count(core->containers, &running, &paused, &stopped);
	return info_add(info,
			json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "Containers",
				  (int)(running + paused + stopped), "ContainersRunning",
				  (int)running, "ContainersPaused", (int)paused,
				  "ContainersStopped", (int)stopped, "Images", (int)n, "NFd",
				  info_count_entries("/proc/self/fd"), "NGoroutines",
				  info_count_entries("/proc/self/task"), "NEventsListener", 0));
}

static int info_add_warnings(json_t *info, struct core *core)
{
	json_t *warnings = json_array();

	if (warnings && str_eq(system_text(vmm_accel(core->vmm), ""), "tcg"))
		(void)json_array_append_new(
			warnings, json_string("WARNING: KVM does not work here: containers run "
					      "under software emulation (tcg)"));
	return info_add(info, json_pack("{s:o}", "Warnings", warnings));
}

/* GET /info -> 200 */
int api_info(struct api *api, struct http_req *req)
{
	_cleanup_(info_json_decref) json_t *info = json_object();
	struct core *core = api->core;

	if (!info)
		return err_oom(&req->err);
	if (info_add_counts(info, core, &req->err) < 0 || info_add_engine(info, core) < 0 ||
	    info_add_host(info, core) < 0 || info_add_limits(info) < 0 ||
	    info_add_surroundings(info, core) < 0 ||
	    info_add_proxies(info, core->config.registries) < 0 ||
	    info_add_registries(info, &core->config) < 0 || info_add_warnings(info, core) < 0)
		return req->err.kind != ERR_NONE ? -EIO : err_oom(&req->err);
	return api_reply_json(req, 200, TAKE_PTR(info));
}
