/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network_endpoint_plan.c - from a create request to the endpoints that the container wants
 *
 * EndpointsConfig names them; without it the container is on the network of its NetworkMode. The
 * container-wide MacAddress of old belongs to the main one. Networks that do not exist are no
 * error before the start, as with dockerd.
 */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "core/jsonx.h"
#include "core/networks_impl.h"
#include "store/store.h"

/* NULL where there is none, which is no error. */
static int plan_find(struct networks *networks, const char *key, struct network **ret,
		     struct err *err)
{
	struct err ignored = {0};

	*ret = NULL;
	if (network_find(networks, key, ret, &ignored) < 0 && ignored.kind == ERR_INTERNAL) {
		*err = ignored;
		return -EIO;
	}
	return 0;
}

static int plan_one(struct networks *networks, json_t *out, const char *key, const json_t *given,
		    struct err *err)
{
	_cleanup_network_ struct network *network = NULL;
	_cleanup_json_ json_t *settings = NULL;
	char prefix[256];
	int r;

	(void)snprintf(prefix, sizeof(prefix), "invalid config for network %.200s: ", key);
	if (json_is_null(given))
		return err_user(err, ERR_INVALID, "%sEndpointsConfig is nil", prefix);
	r = plan_find(networks, key, &network, err);
	if (r == 0)
		r = network_settings_normalise(given, &settings, err);
	if (r == 0)
		r = network_settings_check(networks, network, key, settings, prefix, err);
	if (r < 0)
		return r;
	/* by its name, if the client gave all of its id */
	if (network && str_eq(network->id, key))
		key = network->name;
	return jx_set(out, key, TAKE_PTR(settings)) < 0 ? err_oom(err) : 0;
}

/* The container-wide MAC address, deprecated since API 1.44. */
static int plan_mac(json_t *given, const char *mac, json_t *warnings, struct err *err)
{
	const char *own = jx_str(given, "MacAddress");

	if (str_empty(mac))
		return 0;
	if (!str_empty(own) && !str_eq(own, mac))
		return err_user(err, ERR_INVALID,
				"the container-wide MAC address must match the endpoint-specific "
				"MAC address for the main network, or be left empty");
	if (json_is_object(given) && jx_set_str(given, "MacAddress", mac) < 0)
		return err_oom(err);
	return jx_addf(warnings, "The container-wide MacAddress field is now deprecated. It should "
				 "be specified in EndpointsConfig instead.") < 0
		       ? err_oom(err)
		       : 0;
}

/* The map as the client means it: "default" is the bridge, and something is there. */
static int plan_given(const json_t *networking, const char *mode, json_t **ret)
{
	const json_t *configs = json_object_get(networking, "EndpointsConfig");
	json_t *given = json_object_size(configs) > 0 ? json_deep_copy(configs) : json_object();
	json_t *by_default = json_object_get(given, "default");

	if (!given)
		return -ENOMEM;
	*ret = given;
	if (by_default && str_eq(mode, "bridge") && !json_object_get(given, "bridge")) {
		if (jx_share(given, "bridge", by_default) < 0)
			return -ENOMEM;
		(void)json_object_del(given, "default"); /* it was just there */
	}
	return json_object_size(given) > 0 ? 0 : jx_set(given, mode, json_object());
}

/**
 * network_settings_plan() - The endpoints of a container that is to be made
 * @networks:	  Manager
 * @config:	  Its config
 * @host_config:  Complete host config
 * @networking:	  NetworkingConfig of the request, or NULL
 * @warnings:	  Array, appended
 * @ret_settings: New object: network as the client named it -> settings; set on success
 * @err:	  Filled on failure
 *
 * Return: 0 or a negative errno
 */
int network_settings_plan(struct networks *networks, const json_t *config,
			  const json_t *host_config, const json_t *networking, json_t *warnings,
			  json_t **ret_settings, struct err *err)
{
	const char *mode = jx_str(host_config, "NetworkMode"), *key;
	_cleanup_json_ json_t *out = json_object(), *given = NULL;
	json_t *endpoint;
	int r;

	if (!out)
		return err_oom(err);
	if (!jx_bool(config, "NetworkDisabled") && !str_starts(mode, "container:")) {
		if (plan_given(networking, mode, &given) < 0)
			return err_oom(err);
		r = plan_mac(json_object_get(given, mode), jx_str(config, "MacAddress"), warnings,
			     err);
		if (r < 0)
			return r;
	}
	json_object_foreach (given, key, endpoint) {
		r = plan_one(networks, out, key, endpoint, err);
		if (r < 0)
			return r;
	}
	*ret_settings = TAKE_PTR(out);
	return 0;
}

/**
 * network_endpoints_insert() - The rows of a new container's endpoints
 * @networks:	  Manager; inside the transaction that inserts the container
 * @container_id: Container
 * @settings:	  From network_settings_plan()
 * @err:	  Filled on failure
 *
 * Return: 0 or a negative errno
 */
int network_endpoints_insert(struct networks *networks, const char *container_id,
			     const json_t *settings, struct err *err)
{
	const char *key;
	json_t *one;

	json_object_foreach ((json_t *)settings, key, one) {
		_cleanup_free_ char *text = jx_text(one);
		int r = text ? store_exec(networks->core->store,
					  "INSERT INTO endpoints (container_id, network, settings)"
					  " VALUES (?, ?, ?)",
					  NULL, NULL, "sss", container_id, key, text)
			     : -ENOMEM;

		if (r < 0)
			return err_sys(err, r, "cannot record the endpoints of %.12s",
				       container_id);
	}
	return 0;
}
