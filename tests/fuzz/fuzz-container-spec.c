/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-container-spec.c - a create body, with an image's config in it, as far as the agent's orders
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "core/containers.h"
#include "core/hosts.h"
#include "core/jsonx.h"
#include "core/resolv.h"
#include "core/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct core fuzz_core = {.config = {.default_shape = {1, 256}}};

/* What was refused says why; what was accepted is complete. */
static void check(int r, const struct err *err)
{
	assert(r >= 0 || err->kind != ERR_NONE);
}

static void spec(const json_t *config, const json_t *host_config)
{
	static const struct resolv_host host = {.path = "",
						.text = (char *)(uintptr_t) "search x\n"};
	const struct hosts_source files = {.config = config, .host_config = host_config};
	_cleanup_(resolv_done) struct resolv servers = {0};
	_cleanup_free_ char *hosts = hosts_text(&files);
	_cleanup_free_ char *resolv = NULL;
	struct spec_source source = {
		.id = "0", .config = config, .host_config = host_config, .hosts = hosts};
	Arca__V1__StartRequest *request = NULL;
	_cleanup_free_ uint8_t *packed = NULL;
	struct err err = {0};
	int r;

	assert(resolv_init(&servers, &host, host_config) == 0);
	source.resolv = resolv = resolv_text(&servers, resolv_mode(host_config, false));
	assert(hosts && resolv);
	r = spec_start_request(&source, &request, &err);
	check(r, &err);
	if (r < 0)
		return;
	assert(request->process->n_args > 0 && request->container->n_mounts >= 4);
	packed = malloc(arca__v1__start_request__get_packed_size(request) + 1);
	assert(arca__v1__start_request__pack(request, packed) > 0);
	arca__v1__start_request__free_unpacked(request, NULL);
	assert(spec_shape(&fuzz_core, host_config).memory_mib >= 256);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	_cleanup_json_ json_t *body = json_loadb((const char *)data, len, 0, NULL);
	_cleanup_json_ json_t *config = NULL, *host_config = NULL, *warnings = json_array();
	struct err err = {0};
	int r;

	if (!json_is_object(body))
		return 0;
	r = container_config_normalise(body, &config, &err);
	if (r == 0)
		r = container_config_merge(config, json_object_get(body, "ImageConfig"), &err);
	if (r == 0)
		r = container_config_validate(config, &err);
	if (r == 0)
		r = container_host_config_normalise(json_object_get(body, "HostConfig"),
						    &host_config, &err);
	if (r == 0)
		r = container_host_config_defaults(&fuzz_core, host_config);
	if (r == 0)
		r = container_host_config_validate(&fuzz_core, host_config, warnings, &err);
	if (r == 0)
		r = container_join_validate(config, host_config, &err);
	if (r == 0)
		r = container_networking_validate(json_object_get(body, "NetworkingConfig"), &err);
	check(r, &err);
	if (r == 0)
		spec(config, host_config);
	return 0;
}
