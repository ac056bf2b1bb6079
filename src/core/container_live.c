/* SPDX-License-Identifier: Apache-2.0 */
/* container_live.c - a running container held for an exec, top, or a resize */
#include "core/container_live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent.pb-c.h"
#include "base/err.h"
#include "base/str.h"
#include "core/container_links.h"
#include "core/containers.h"
#include "core/jsonx.h"
#include "core/spec.h"
#include "rpc/client.h"
#include "vm/vm.h"

struct container_hold {
	struct container_run *run;    /* owned reference */
	json_t *config, *host_config; /* owned references */
};

static int live_check(struct container *c, struct err *err)
{
	if (c->state == CONTAINER_PAUSED)
		return err_user(err, ERR_CONFLICT,
				"Container %s is paused, unpause the container before exec", c->id);
	if (c->state == CONTAINER_RESTARTING)
		return err_user(err, ERR_CONFLICT,
				"Container %s is restarting, wait until the container is running",
				c->id);
	if (c->state != CONTAINER_RUNNING || !c->run || !c->run->sb)
		return err_user(err, ERR_CONFLICT, "container %s is not running", c->id);
	return 0;
}

/**
 * container_wait_adopted() - Wait until a daemon's start has found out about a container's VM
 * @c: Container, state lock held; no other lock
 *
 * As long as sandbox_adopt() gives a guest to answer; not at all once the daemon is up.
 */
void container_wait_adopted(struct container *c)
{
	while (c->adopting)
		pthread_cond_wait(&c->changed, &c->lock.mutex);
}

/**
 * container_live_is_adopting() - Whether container_live_get() would wait
 * @cs:  Manager
 * @ref: Container
 *
 * Return: the answer; false if there is no such container
 */
bool container_live_is_adopting(struct containers *cs, const char *ref)
{
	_cleanup_container_ struct container *c = NULL;
	struct err ignored = {0};

	if (containers_find(cs, ref, &c, &ignored) < 0)
		return false;
	RANK_LOCK_SCOPE(state, &c->lock);
	return c->adopting;
}

/**
 * container_live_get() - Hold a running container
 * @cs:	 Manager
 * @ref: Container
 * @ret: For container_live_put()
 * @err: Filled on failure: ERR_NOT_FOUND, ERR_CONFLICT
 *
 * Return: 0 or a negative errno
 */
int container_live_get(struct containers *cs, const char *ref, struct container_live *ret,
		       struct err *err)
{
	_cleanup_container_ struct container *c = NULL;
	_cleanup_free_ struct container_hold *hold = calloc(1, sizeof(*hold));
	int r;

	if (!hold)
		return err_oom(err);
	r = containers_find(cs, ref, &c, err);
	if (r < 0)
		return r;
	RANK_LOCK_SCOPE(state, &c->lock);
	container_wait_adopted(c);
	r = live_check(c, err);
	if (r < 0)
		return r;
	hold->run = container_run_ref(c->run);
	hold->config = json_incref(c->config);
	hold->host_config = json_incref(c->host_config);
	(void)snprintf(ret->id, sizeof(ret->id), "%s", c->id);
	ret->rpc = sandbox_rpc(c->run->sb);
	ret->config = hold->config;
	ret->host_config = hold->host_config;
	ret->hold = TAKE_PTR(hold);
	return 0;
}

/**
 * container_live_put() - Let go
 * @live: What container_live_get() filled; not on the loop thread
 */
void container_live_put(struct container_live *live)
{
	struct container_hold *hold = TAKE_PTR(live->hold);

	if (!hold)
		return;
	json_decref(hold->config);
	json_decref(hold->host_config);
	container_run_unref(hold->run);
	free(hold);
}

/**
 * container_live_check_links() - Whether an exec can be told whom the container has links to
 * @live: Held container
 * @err:  Filled on failure, in dockerd's words
 *
 * Return: 0 or a negative errno
 */
int container_live_check_links(const struct container_live *live, struct err *err)
{
	const struct container_hold *hold = live->hold;
	_cleanup_json_ json_t *links = NULL;

	return container_links_env(hold->run->c, &links, err);
}

/**
 * container_process_spec() - The container's process, as what an exec starts from
 * @live:	Held container
 * @privileged: exec --privileged
 * @ret:	New message
 * @err:	Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_process_spec(const struct container_live *live, bool privileged,
			   struct Arca__V1__ProcessSpec **ret, struct err *err)
{
	const struct container_hold *hold = live->hold;
	struct spec_source source = {
		.id = live->id, .config = live->config, .host_config = live->host_config};
	_cleanup_json_ json_t *links = NULL;
	int r = container_links_env(hold->run->c, &links, err);

	source.links = links;
	return r < 0 ? r : spec_process(&source, privileged, ret, err);
}

static json_t *top_json(const Arca__V1__ListResponse *list)
{
	_cleanup_json_ json_t *titles = json_array(), *rows = json_array();
	int r = 0;

	for (size_t i = 0; i < list->n_titles; i++)
		r |= jx_add_str(titles, list->titles[i]);
	for (size_t i = 0; i < list->n_rows; i++) {
		json_t *row = json_array();

		for (size_t k = 0; k < list->rows[i]->n_cells; k++) {
			/* process names are the guest's: any bytes */
			if (jx_add_str(row, list->rows[i]->cells[k]) < 0)
				r |= jx_add_str(row, "?");
		}
		r |= json_array_append_new(rows, row);
	}
	return r ? NULL : json_pack("{s:O, s:O}", "Titles", titles, "Processes", rows);
}

/**
 * container_top() - GET /containers/{id}/top
 * @cs:	     Manager
 * @ref:     Container
 * @ps_args: Arguments of ps, blanks between them; NULL or "": "-ef"
 * @ret_top: New object
 * @err:     Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_top(struct containers *cs, const char *ref, const char *ps_args, json_t **ret_top,
		  struct err *err)
{
	Arca__V1__ListRequest request = ARCA__V1__LIST_REQUEST__INIT;
	_cleanup_(container_live_put) struct container_live live = {0};
	_cleanup_free_ char *copy = strdup(str_empty(ps_args) ? "-ef" : ps_args);
	ProtobufCMessage *reply = NULL;
	char *args[32], *save = NULL;
	int r;

	if (!copy)
		return err_oom(err);
	r = container_live_get(cs, ref, &live, err);
	if (r < 0)
		return r;
	for (char *arg = strtok_r(copy, " ", &save); arg && request.n_ps_args < ARRAY_SIZE(args);
	     arg = strtok_r(NULL, " ", &save))
		args[request.n_ps_args++] = arg;
	request.ps_args = args;
	request.container_id = live.id;
	r = rpc_call(live.rpc, "/arca.v1.Process/List", &request.base,
		     &arca__v1__list_response__descriptor, CONTAINER_RPC_WAIT_MS, &reply, err);
	if (r != 0)
		return r < 0 ? r : -EIO;
	*ret_top = top_json((Arca__V1__ListResponse *)reply);
	protobuf_c_message_free_unpacked(reply, NULL);
	if (!*ret_top)
		return err_oom(err);
	container_publish(cs, live.id, "top", NULL);
	return 0;
}
