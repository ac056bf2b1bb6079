/* SPDX-License-Identifier: Apache-2.0 */
/* system.c - /_ping and /version */
#include <sys/utsname.h>

#include "api/api.h"
#include "api/handlers.h"
#include "api/system.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "core/core.h"

/**
 * system_go_arch() - An architecture in the words of Docker's clients
 * @machine: uname -m
 *
 * Return: "amd64", "arm64", or @machine
 */
const char *system_go_arch(const char *machine)
{
	if (str_eq(machine, "x86_64"))
		return "amd64";
	if (str_eq(machine, "aarch64"))
		return "arm64";
	return machine;
}

/**
 * system_kernel_release() - The kernel that containers see: the guest's
 * @core: Managers
 * @host: uname of the host, for want of a guest
 *
 * Return: release text
 */
const char *system_kernel_release(struct core *core, const struct utsname *host)
{
	const char *release = vmm_kernel_release(core->vmm);

	return system_text(release, host->release);
}

/* GET, HEAD /_ping -> 200 */
int api_ping(struct api *api UNUSED, struct http_req *req)
{
	http_resp_header(req, "Builder-Version", "1");
	http_resp_header(req, "Swarm", "inactive");
	http_resp_header(req, "Cache-Control", "no-cache, no-store, must-revalidate");
	http_resp_header(req, "Pragma", "no-cache");
	return http_resp_data(req, 200, "text/plain; charset=utf-8", "OK", 2);
}

static json_t *version_components(struct core *core, const char *arch, const char *kernel)
{
	return json_pack("[{s:s, s:s, s:{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}},"
			 " {s:s, s:s, s:{s:s}}, {s:s, s:s, s:{}}]",
			 "Name", "Engine", "Version", ARCA_VERSION, "Details", "ApiVersion",
			 API_VERSION, "Arch", arch, "BuildTime", "", "Experimental", "false",
			 "GitCommit", "", "GoVersion", "", "KernelVersion", kernel, "MinAPIVersion",
			 API_VERSION_MIN, "Os", "linux", "Name", "qemu", "Version",
			 system_text(vmm_qemu_version(core->vmm), "unknown"), "Details",
			 "Accelerator", system_text(vmm_accel(core->vmm), "auto"), "Name",
			 "guest-kernel", "Version", kernel, "Details");
}

/* GET /version -> 200 */
int api_version(struct api *api, struct http_req *req)
{
	struct utsname host = {0};
	const char *arch, *kernel;

	(void)uname(&host); /* cannot fail */
	arch = system_go_arch(host.machine);
	kernel = system_kernel_release(api->core, &host);
	return api_reply_json(
		req, 200,
		json_pack("{s:{s:s}, s:o, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "Platform",
			  "Name", "Arca", "Components", version_components(api->core, arch, kernel),
			  "Version", ARCA_VERSION, "ApiVersion", API_VERSION, "MinAPIVersion",
			  API_VERSION_MIN, "GitCommit", "", "GoVersion", "", "Os", "linux", "Arch",
			  arch, "KernelVersion", kernel, "BuildTime", ""));
}
