/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_create.c - create: everything a container needs, except a VM
 *
 * DOC: Theory of operation
 *
 * Checks first, then the name (unlisted in the table), then the disk work: rootfs of the image,
 * directory, upper disk, files. The row comes last: a directory without a row is what a crash left,
 * and goes at the next start of the daemon (container_recover.c). On failure all is taken back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/id.h"
#include "base/str.h"
#include "core/container_links.h"
#include "core/containers.h"
#include "core/images.h"
#include "core/jsonx.h"
#include "core/networks.h"
#include "image/image.h"
#include "image/platform.h"
#include "vm/vm.h"

#define NAME_ATTEMPTS_MAX 32

DEFINE_CLEANUP(struct image *, image_free)

_Static_assert(IMAGE_DISK_BYTES == SANDBOX_ROOT_DISK_BYTES,
	       "the guest never looks at a disk's size again");

static int create_config(struct container *c, const struct container_create *create,
			 const struct image *image, struct err *err)
{
	bool on_host = str_eq(jx_str(create->host_config, "NetworkMode"), "host");
	char short_id[ID_SHORT_LEN + 1];
	const char *name;
	int r = container_config_normalise(create->config, &c->config, err);

	if (r == 0)
		r = container_config_merge(c->config, json_object_get(image->config, "config"),
					   err);
	if (r == 0)
		r = container_config_validate(c->config, err);
	if (r < 0)
		return r;
	(void)snprintf(short_id, sizeof(short_id), "%.*s", ID_SHORT_LEN, c->id);
	name = on_host && c->cs->core->config.name ? c->cs->core->config.name : short_id;
	if (jx_empty(c->config, "Hostname") && jx_set_str(c->config, "Hostname", name) < 0)
		return err_oom(err);
	return 0;
}

static int create_endpoints(struct container *c, const struct container_create *create,
			    json_t **ret_endpoints, struct err *err)
{
	const char *mac;
	int r;

	if (container_join_name(c->cs, c->host_config) < 0)
		return err_oom(err);
	r = container_networking_validate(create->networking_config, err);
	if (r == 0)
		r = network_settings_plan(c->cs->core->networks, c->config, c->host_config,
					  create->networking_config, create->warnings,
					  ret_endpoints, err);
	if (r < 0)
		return r;
	/* inspect shows the main network's here as well */
	mac = jx_str(json_object_get(*ret_endpoints, jx_str(c->host_config, "NetworkMode")),
		     "MacAddress");
	return *mac && jx_set_str(c->config, "MacAddress", mac) < 0 ? err_oom(err) : 0;
}

static int create_host_config(struct container *c, const struct container_create *create,
			      struct err *err)
{
	int r = container_host_config_normalise(create->host_config, &c->host_config, err);

	if (r < 0)
		return r;
	if (container_host_config_defaults(c->cs->core, c->host_config) < 0)
		return err_oom(err);
	r = container_host_config_validate(c->cs->core, c->host_config, create->warnings, err);
	if (r == 0)
		r = container_join_validate(create->config, c->host_config, err);
	return r < 0 ? r : container_links_plan(c, err);
}

/* What inspect needs of the image, and what keeps it from being deleted meanwhile. */
static int create_image(struct container *c, const struct image *image, struct err *err)
{
	c->image_id = strdup(image->id);
	c->platform = strdup(image->os ? image->os : "linux");
	c->image_bytes = image->size_bytes;
	return c->image_id && c->platform ? 0 : err_oom(err);
}

/* The image that the name means on the platform that was asked for */
static int create_find_image(struct core *core, const struct container_create *create,
			     const char *ref, struct image **ret, struct err *err)
{
	bool given = !str_empty(create->platform);
	struct platform wanted;
	int r = given ? platform_parse(create->platform, &wanted, err) : 0;

	return r < 0 ? r : image_get_for(core->images, ref, given ? &wanted : NULL, ret, err);
}

/* Nothing was asked for, and it is not this machine's: a warning. */
static int create_check_platform(const struct container_create *create, const struct image *image,
				 struct err *err)
{
	char have_text[PLATFORM_TEXT_MAX], host_text[PLATFORM_TEXT_MAX];
	_cleanup_free_ char *text = NULL;
	struct platform have, host;

	if (!str_empty(create->platform)) /* create_find_image() has looked */
		return 0;
	platform_of_image(image, &have);
	if (platform_runs_here(&have) || !create->warnings)
		return 0;
	platform_of_host(&host);
	platform_format(&have, have_text);
	platform_format(&host, host_text);
	text = str_format("The requested image's platform (%s) does not match the detected host "
			  "platform (%s) and no specific platform was requested",
			  have_text, host_text);
	if (!text || json_array_append_new(create->warnings, json_string(text)) < 0)
		return err_oom(err);
	return 0;
}

static int create_reserve(struct container *c, const char *name, struct err *err)
{
	char made[CONTAINER_NAME_MAX + 1];
	int r = -EEXIST;

	if (!str_empty(name)) {
		if (*name == '/')
			name++;
		if (!container_name_valid(name))
			return err_user(err, ERR_INVALID,
					"Invalid container name (%s), only "
					"[a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
					name);
		return containers_reserve(c->cs, c, name, err);
	}
	for (unsigned int i = 0; i < NAME_ATTEMPTS_MAX && r == -EEXIST; i++) {
		container_name_generate(made, sizeof(made), i);
		r = containers_reserve(c->cs, c, made, err);
	}
	return r;
}

static int create_disk(struct container *c, const struct image *image, struct err *err)
{
	_cleanup_free_ char *upper = str_format("%s/upper.ext4", c->dir);
	int r;

	if (!upper)
		return err_oom(err);
	r = image_rootfs(c->cs->core->images, image, SANDBOX_ROOT_DISK_BYTES, &c->rootfs, err);
	if (r < 0)
		return r;
	r = fs_mkdir_p(c->dir, 0710);
	if (r < 0)
		return err_sys(err, r, "cannot make %s", c->dir);
	r = upper_disk_create(c->cs->core->vmm, upper, err);
	return r < 0 ? r : container_files_create(c, err);
}

static int create_build(struct container *c, const struct container_create *create,
			const struct image *image, struct err *err)
{
	_cleanup_json_ json_t *endpoints = NULL;
	int r;

	r = create_check_platform(create, image, err);
	if (r == 0)
		r = create_config(c, create, image, err);
	if (r == 0)
		r = create_host_config(c, create, err);
	if (r == 0)
		r = create_endpoints(c, create, &endpoints, err);
	if (r == 0)
		r = create_image(c, image, err);
	if (r < 0)
		return r;
	c->created_ns = clock_realtime_ns();
	r = create_reserve(c, create->name, err);
	if (r < 0)
		return r;
	r = create_disk(c, image, err);
	if (r == 0)
		r = container_row_insert(c, endpoints, err);
	if (r < 0) {
		containers_forget(c->cs, c);
		(void)fs_remove_tree(c->dir); /* the sweep at the next start tries again */
		return r;
	}
	container_networks_refresh(c);
	return 0;
}

/**
 * container_create() - POST /containers/create
 * @cs:	    Manager
 * @create: Body in parts, borrowed
 * @ret_id: Receives the new id
 * @err:    Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_create(struct containers *cs, const struct container_create *create,
		     char ret_id[static ID_BUF], struct err *err)
{
	_cleanup_(image_freep) struct image *image = NULL;
	_cleanup_container_ struct container *c = NULL;
	const char *ref = jx_str(create->config, "Image");
	char id[ID_BUF];
	int r;

	if (str_empty(ref))
		return err_user(err, ERR_INVALID, "no image specified");
	id_generate(id);
	c = container_new(cs, id);
	if (!c)
		return err_oom(err);
	images_use_begin(); /* until it is published, nobody can see that it uses the image */
	r = create_find_image(cs->core, create, ref, &image, err);
	if (r == 0)
		r = create_build(c, create, image, err);
	if (r == 0)
		containers_publish(cs, c);
	container_links_changed(cs);
	images_use_end();
	if (r < 0)
		return r;
	memcpy(ret_id, id, ID_BUF);
	container_event(c, "create", NULL);
	return 0;
}
