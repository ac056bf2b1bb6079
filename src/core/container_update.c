/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_update.c - new limits and restart policy, live where it runs
 *
 * The VM's size does not change while it runs: a memory limit beyond it is refused, it counts from
 * the next start otherwise.
 */
#include <errno.h>
#include <string.h>

#include "agent.pb-c.h"
#include "base/err.h"
#include "base/str.h"
#include "core/containers.h"
#include "core/jsonx.h"
#include "core/spec.h"
#include "rpc/client.h"
#include "vm/vm.h"

static const char *const update_fields[] = {
	"CpuShares",  "Memory",	   "NanoCpus",	 "CpuPeriod",	"CpuQuota",	     "CpusetCpus",
	"CpusetMems", "PidsLimit", "MemorySwap", "BlkioWeight", "MemoryReservation",
};

/* Docker's rule: zero values leave things as they are. */
static int update_merge(const json_t *old, const json_t *update, json_t **ret, struct err *err)
{
	_cleanup_json_ json_t *given = NULL, *merged = json_copy((json_t *)old);
	const json_t *policy = json_object_get(update, "RestartPolicy");
	int r = container_host_config_normalise(update, &given, err);

	if (r < 0)
		return r;
	if (!merged)
		return err_oom(err);
	for (size_t i = 0; i < ARRAY_SIZE(update_fields); i++) {
		if (!jx_empty(given, update_fields[i]))
			r |= jx_share(merged, update_fields[i],
				      json_object_get(given, update_fields[i]));
	}
	if (!jx_empty(policy, "Name"))
		r |= jx_set(merged, "RestartPolicy",
			    json_pack("{s:s, s:I}", "Name", jx_str(policy, "Name"),
				      "MaximumRetryCount",
				      (json_int_t)jx_int(policy, "MaximumRetryCount")));
	if (jx_int(given, "PidsLimit") < 0)
		r |= jx_set(merged, "PidsLimit", json_null());
	if (r)
		return err_oom(err);
	r = container_resources_validate(merged, err);
	if (r == 0 && jx_bool(merged, "AutoRemove") &&
	    !str_eq(jx_str(json_object_get(merged, "RestartPolicy"), "Name"), "no"))
		r = err_user(err, ERR_INVALID,
			     "Restart policy cannot be updated because AutoRemove is enabled for "
			     "the container");
	if (r == 0)
		*ret = TAKE_PTR(merged);
	return r;
}

static int update_live(struct container *c, const json_t *old, const json_t *host_config,
		       struct err *err)
{
	Arca__V1__UpdateRequest request = ARCA__V1__UPDATE_REQUEST__INIT;
	_cleanup_run_ struct container_run *run = NULL;
	int r;

	rank_lock(&c->lock);
	if (c->run && c->run->sb && c->run->phase == RUN_STARTED)
		run = container_run_ref(c->run);
	rank_unlock(&c->lock);
	if (!run)
		return 0;
	if (spec_shape(c->cs->core, host_config).memory_mib >
	    spec_shape(c->cs->core, old).memory_mib)
		return err_user(err, ERR_CONFLICT,
				"Cannot update container %s: its virtual machine has less memory; "
				"stop it first",
				c->id);
	r = spec_resources(host_config, &request.resources, err);
	if (r < 0)
		return r;
	request.container_id = c->id;
	r = rpc_call(sandbox_rpc(run->sb), "/arca.v1.Sandbox/Update", &request.base,
		     &arca__v1__empty__descriptor, CONTAINER_RPC_WAIT_MS, NULL, err);
	arca__v1__resources__free_unpacked(request.resources, NULL);
	return r > 0 ? -EIO : r;
}

/**
 * container_update() - POST /containers/{id}/update
 * @cs:	      Manager
 * @ref:      Container
 * @update:   Body
 * @warnings: Array, appended; may be NULL
 * @err:      Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_update(struct containers *cs, const char *ref, json_t *update,
		     json_t *warnings UNUSED, struct err *err)
{
	_cleanup_container_ struct container *c = NULL;
	_cleanup_json_ json_t *old = NULL, *merged = NULL;
	int r = containers_find(cs, ref, &c, err);

	if (r < 0)
		return r;
	RANK_LOCK_SCOPE(verb, &c->verb);
	if (c->removed || c->state == CONTAINER_REMOVING || c->state == CONTAINER_DEAD)
		return err_user(err, ERR_CONFLICT,
				"Cannot update container %s: Container is marked for removal and "
				"cannot be \"update\".",
				c->id);
	old = container_host_config(c);
	r = update_merge(old, update, &merged, err);
	if (r == 0)
		r = update_live(c, old, merged, err);
	if (r < 0)
		return r;
	rank_lock(&c->lock);
	json_decref(c->host_config);
	c->host_config = TAKE_PTR(merged);
	c->version++;
	rank_unlock(&c->lock);
	r = container_row_save_config(c, err);
	if (r == 0)
		container_event(c, "update", NULL);
	return r;
}
