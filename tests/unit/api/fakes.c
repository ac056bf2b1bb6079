/* SPDX-License-Identifier: Apache-2.0 */
/* fakes.c - managers that record what a handler asked of them */
#include "fakes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "core/core.h"
#include "core/events.h"
#include "core/images.h"
#include "core/networks.h"
#include "image/image.h"

struct fake_calls fake;

static int fake_ref(const char *ref, struct err *err)
{
	(void)snprintf(fake.ref, sizeof(fake.ref), "%s", ref);
	if (str_starts(ref, "nosuch"))
		return err_user(err, ERR_NOT_FOUND, "No such container: %s", ref);
	if (str_starts(ref, "already"))
		return err_user(err, ERR_NOT_MODIFIED, "container is already so");
	if (str_starts(ref, "conflict"))
		return err_user(err, ERR_CONFLICT, "conflict with \"quotes\"\n");
	if (str_starts(ref, "broken"))
		return err_sys(err, -ENOENT, "cannot open it");
	return 0;
}

static void fake_text(json_t *json)
{
	char *text = json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

	(void)snprintf(fake.text, sizeof(fake.text), "%s", text ? text : "");
	free(text);
}

const char *vmm_accel(struct vmm *vmm)
{
	(void)vmm;
	return "tcg";
}

const char *vmm_qemu_version(struct vmm *vmm)
{
	(void)vmm;
	return "7.2.22";
}

const char *vmm_kernel_release(struct vmm *vmm)
{
	(void)vmm;
	return "6.1.0-fake";
}

int image_list(struct image_store *is, struct image ***ret_images, size_t *ret_n, struct err *err)
{
	(void)is, (void)err;
	*ret_images = NULL;
	*ret_n = 0;
	return 0;
}

int images_usage(struct core *core, struct image *const *images, size_t n, bool shared,
		 struct images_usage **ret, struct err *err)
{
	(void)core, (void)images, (void)n, (void)shared, (void)err;
	*ret = NULL;
	return 0;
}

void image_free(struct image *image)
{
	(void)image;
}

uint64_t image_store_layers_bytes(struct image_store *is)
{
	(void)is;
	return 4096;
}

void containers_count(struct containers *cs, unsigned int *running, unsigned int *paused,
		      unsigned int *stopped)
{
	(void)cs;
	*running = 1, *paused = 2, *stopped = 3;
}

int container_create(struct containers *cs, const struct container_create *create,
		     char ret_id[static ID_BUF], struct err *err)
{
	json_t *all = json_pack("{s:O, s:O, s:O}", "c", create->config, "h", create->host_config,
				"n", create->networking_config);

	(void)cs;
	fake_text(all);
	json_decref(all);
	(void)snprintf(fake.name, sizeof(fake.name), "%s", create->name ? create->name : "(none)");
	if (str_eq(fake.name, "conflict"))
		return err_user(err, ERR_CONFLICT, "Conflict. The container name is in use");
	json_array_append_new(create->warnings, json_string("beware"));
	memset(ret_id, 'a', ID_LEN);
	ret_id[ID_LEN] = '\0';
	return 0;
}

int container_start(struct containers *cs, const char *ref, struct err *err)
{
	(void)cs;
	return fake_ref(ref, err);
}

int container_stop(struct containers *cs, const char *ref, const char *signal, int timeout_s,
		   struct cancel *cancel, struct err *err)
{
	(void)cs, (void)cancel;
	fake.timeout_s = timeout_s;
	(void)snprintf(fake.name, sizeof(fake.name), "%s", signal ? signal : "(none)");
	return fake_ref(ref, err);
}

int container_restart(struct containers *cs, const char *ref, const char *signal, int timeout_s,
		      struct cancel *cancel, struct err *err)
{
	return container_stop(cs, ref, signal, timeout_s, cancel, err);
}

int container_kill(struct containers *cs, const char *ref, const char *signal, struct err *err)
{
	return container_stop(cs, ref, signal, 0, NULL, err);
}

int container_pause(struct containers *cs, const char *ref, bool pause, struct err *err)
{
	(void)cs;
	fake.pause = pause;
	return fake_ref(ref, err);
}

int container_unlink(struct containers *cs, const char *ref, struct err *err)
{
	(void)cs;
	return fake_ref(ref, err);
}

int container_remove(struct containers *cs, const char *ref, bool force, bool volumes,
		     struct err *err)
{
	(void)cs;
	fake.force = force;
	fake.volumes = volumes;
	return fake_ref(ref, err);
}

int container_rename(struct containers *cs, const char *ref, const char *name, struct err *err)
{
	(void)cs;
	(void)snprintf(fake.name, sizeof(fake.name), "%s", name);
	return fake_ref(ref, err);
}

int container_update(struct containers *cs, const char *ref, json_t *update, json_t *warnings,
		     struct err *err)
{
	(void)cs, (void)warnings;
	fake_text(update);
	return fake_ref(ref, err);
}

int container_prune(struct containers *cs, json_t *filters, json_t *deleted_ids,
		    uint64_t *ret_bytes, struct err *err)
{
	(void)cs, (void)err;
	fake_text(filters);
	if (filters)
		json_array_append_new(deleted_ids, json_string("gone"));
	*ret_bytes = 42;
	return 0;
}

int container_resize(struct containers *cs, const char *ref, unsigned int rows, unsigned int cols,
		     struct err *err)
{
	(void)cs;
	fake.rows = rows;
	fake.cols = cols;
	return fake_ref(ref, err);
}

int container_top(struct containers *cs, const char *ref, const char *ps_args, json_t **ret_top,
		  struct err *err)
{
	(void)cs;
	(void)snprintf(fake.name, sizeof(fake.name), "%s", ps_args);
	*ret_top = json_pack("{s:[s], s:[[s]]}", "Titles", "PID", "Processes", "1");
	return fake_ref(ref, err);
}

int container_inspect(struct containers *cs, const char *ref, bool size, json_t **ret,
		      struct err *err)
{
	int r = fake_ref(ref, err);

	(void)cs;
	fake.size = size;
	if (r == 0)
		*ret = json_pack("{s:s}", "Id", ref);
	return r;
}

int container_list(struct containers *cs, bool all, int limit, bool size, json_t *filters,
		   json_t **ret, struct err *err)
{
	(void)cs, (void)err;
	fake.all = all;
	fake.limit = limit;
	fake.size = size;
	fake_text(filters);
	*ret = json_array();
	return 0;
}

int container_wait_begin(struct containers *cs, const char *ref, const char *condition,
			 struct container_wait **ret, struct err *err)
{
	int r = fake_ref(ref, err);

	(void)cs;
	(void)snprintf(fake.name, sizeof(fake.name), "%s", condition ? condition : "(none)");
	fake.waits++;
	*ret = NULL;
	return r;
}

int container_wait_end(struct container_wait *wait, struct cancel *cancel, int *ret_code,
		       char **ret_error, struct err *err)
{
	(void)wait, (void)err;
	for (int i = 0; i < 5000 && !cancel_fired(cancel) && !fake.exit_now; i++)
		usleep(1000);
	if (cancel_fired(cancel)) {
		fake.wait_cancelled++;
		return -ECANCELED;
	}
	*ret_code = 137;
	*ret_error = strdup("killed");
	return 0;
}

int events_follow(struct events *events, int64_t since_ns, int64_t until_ns, struct cancel *cancel,
		  events_fn fn, void *user)
{
	static const char *const all[][4] = {
		{"container", "start", "c1", "web"},
		{"container", "exec_start: sh", "c1", "web"},
		{"container", "die", "c2", "db"},
		{"image", "tag", "sha256:1", "img:latest"},
	};
	int r = 0;

	(void)events, (void)cancel, (void)since_ns, (void)until_ns;
	for (size_t i = 0; i < 4 && r >= 0; i++) {
		json_t *event = json_pack("{s:s, s:s, s:{s:s, s:{s:s, s:s, s:s}}}", "Type",
					  all[i][0], "Action", all[i][1], "Actor", "ID", all[i][2],
					  "Attributes", "name", all[i][3], "image", "repo/img:1",
					  "tier", i % 2 ? "odd" : "even");

		r = fn(user, event);
		json_decref(event);
	}
	return r;
}

json_t *networks_pools_json(const struct networks *networks)
{
	(void)networks;
	return NULL;
}

int network_create(struct networks *networks, const json_t *body, char ret_id[static ID_BUF],
		   struct err *err)
{
	(void)networks, (void)err;
	fake_text((json_t *)body);
	memset(ret_id, 'b', ID_LEN);
	ret_id[ID_LEN] = '\0';
	return 0;
}

int container_connect(struct containers *cs, const char *network, const char *ref,
		      const json_t *settings, struct err *err)
{
	json_t *all =
		json_pack("{s:s, s:s, s:O?}", "n", network, "c", ref, "s", (json_t *)settings);

	(void)cs, (void)err;
	fake_text(all);
	json_decref(all);
	return 0;
}
