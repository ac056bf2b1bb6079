/* SPDX-License-Identifier: Apache-2.0 */
/* bed.h - a container manager over a real database and loop, with fake VMs */
#pragma once

#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/loop.h"
#include "base/str.h"
#include "core/containers.h"
#include "core/jsonx.h"
#include "core/networks.h"
#include "fakes.h"
#include "store/store.h"
#include "test.h"

/* Each program uses its part of these. */
#pragma GCC diagnostic ignored "-Wunused-function"

struct bed {
	struct core core;
	char root[64];
	struct containers *cs;
};

static int bed_daemon(struct bed *b)
{
	struct err err = {0};
	int r = networks_new(&b->core, &b->core.networks, &err);

	if (r == 0)
		r = containers_new(&b->core, &b->cs, &err);

	b->core.containers = b->cs;
	return r;
}

static int bed_up(struct bed *b)
{
	_cleanup_free_ char *db = NULL;
	struct err err = {0};

	(void)snprintf(b->root, sizeof(b->root), "/tmp/arca-test-core.XXXXXX");
	if (!mkdtemp(b->root) || loop_new(&b->core.loop) < 0)
		return -1;
	fakes_reset(b->core.loop);
	db = str_format("%s/db", b->root);
	b->core.config.data_root = b->root;
	b->core.config.default_shape = (struct vm_shape){1, 256};
	b->core.events = (struct events *)b;
	if (store_open(db, &b->core.store, &err) < 0)
		return -1;
	return bed_daemon(b);
}

static void bed_down(struct bed *b)
{
	containers_free(b->cs);
	networks_free(b->core.networks);
	store_close(b->core.store);
	loop_free(b->core.loop);
	(void)fs_remove_tree(b->root);
}
#define BED(b)                                                                                     \
	_cleanup_(bed_down) struct bed b = {0};                                                    \
	ASSERT_OK(bed_up(&b))

/* The daemon is killed and comes again: nothing is told to anybody. */
static void bed_restart(struct bed *b)
{
	containers_free(b->cs);
	networks_free(b->core.networks);
	b->core.networks = NULL;
	b->cs = NULL;
	(void)bed_daemon(b);
}

static int make(struct bed *b, const char *name, const char *host, char id[static ID_BUF],
		struct err *err)
{
	_cleanup_json_ json_t *config = jx_parse("{\"Image\":\"busybox\"}"), *h = jx_parse(host);
	_cleanup_json_ json_t *warnings = json_array();
	struct container_create create = {
		.name = name, .config = config, .host_config = h, .warnings = warnings};

	return container_create(b->cs, &create, id, err);
}

static char *state(struct bed *b, const char *ref)
{
	_cleanup_json_ json_t *json = NULL;
	struct err err = {0};
	json_t *s;

	if (container_inspect(b->cs, ref, false, &json, &err) < 0)
		return str_format("gone");
	s = json_object_get(json, "State");
	return str_format("%s %lld", jx_str(s, "Status"), (long long)jx_int(s, "ExitCode"));
}

#define ASSERT_STATE(b, ref, expected)                                                             \
	do {                                                                                       \
		_cleanup_free_ char *_state = state(b, ref);                                       \
		ASSERT_STREQ(_state, expected);                                                    \
	} while (0)

static int wait_for(struct bed *b, const char *ref, const char *condition)
{
	_cleanup_free_ char *error = NULL;
	struct container_wait *wait;
	struct err err = {0};
	int code = -1;

	if (container_wait_begin(b->cs, ref, condition, &wait, &err) < 0)
		return -2;
	return container_wait_end(wait, NULL, &code, &error, &err) < 0 ? -3 : code;
}

/* The worker that ended a VM gives its reference back after the lock that a client waits for. */
static bool no_sandboxes(void)
{
	for (int i = 0; i < 1000 && fakes.sandboxes; i++)
		usleep(10000);
	return fakes.sandboxes == 0;
}
