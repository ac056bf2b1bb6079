/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rehearsal.c - the container that VMs of the pool rehearse with
 *
 * It is what `docker run` without options makes, so that all that such a container needs has
 * happened in the VM before: same mounts, masked paths, capabilities, seccomp filter and files.
 */
#include "core/rehearsal.h"

#include <errno.h>
#include <stdlib.h>

#include "base/str.h"
#include "core/containers.h"
#include "core/jsonx.h"
#include "core/spec.h"

#define REHEARSAL_ID "00" /* a VM has one container at a time, and this one is gone first */

/* What guest/build.sh puts into the image: rehearse.c as /rehearse. */
static int rehearsal_configs(const struct core *core, json_t **ret_config, json_t **ret_host_config,
			     struct err *err)
{
	_cleanup_json_ json_t *in = json_pack("{s:[s],s:s}", "Cmd", "/rehearse", "Hostname", "r");
	_cleanup_json_ json_t *config = NULL, *host_config = NULL, *none = json_object();
	int r;

	if (!in || !none)
		return err_oom(err);
	r = container_config_normalise(in, &config, err);
	if (r == 0)
		r = container_host_config_normalise(none, &host_config, err);
	if (r < 0)
		return r;
	if (container_host_config_defaults(core, host_config) < 0)
		return err_oom(err);
	*ret_config = TAKE_PTR(config);
	*ret_host_config = TAKE_PTR(host_config);
	return 0;
}

/**
 * rehearsal_start_pool() - Have vm/ keep VMs ready for the default shape
 * @core:  Managers; containers are recovered
 * @size:  How many; 0: none
 * @image: File system that holds /rehearse
 * @err:   Filled on failure
 *
 * Return: 0 or a negative errno
 */
int rehearsal_start_pool(const struct core *core, unsigned int size, const char *image,
			 struct err *err)
{
	_cleanup_json_ json_t *config = NULL, *host_config = NULL;
	_cleanup_free_ uint8_t *packed = NULL;
	struct spec_source source = {.id = REHEARSAL_ID, .hosts = "", .resolv = ""};
	struct vm_pool_config pool = {
		.size = size, .shape = core->config.default_shape, .root_image = image};
	Arca__V1__StartRequest *request = NULL;
	int r;

	r = rehearsal_configs(core, &config, &host_config, err);
	if (r < 0)
		return r;
	source.config = config;
	source.host_config = host_config;
	r = spec_start_request(&source, &request, err);
	if (r < 0)
		return r;
	pool.rehearsal_len = arca__v1__start_request__get_packed_size(request);
	packed = malloc(pool.rehearsal_len);
	if (packed)
		(void)arca__v1__start_request__pack(request, packed); /* says the size again */
	arca__v1__start_request__free_unpacked(request, NULL);
	pool.rehearsal = packed;
	return packed ? vmm_pool_start(core->vmm, &pool, err) : err_oom(err);
}
