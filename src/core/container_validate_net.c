/* SPDX-License-Identifier: Apache-2.0 */
/* container_validate_net.c - networks, ports and hosts of a container, in dockerd's words */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "core/containers.h"
#include "core/jsonx.h"
#include "core/port_plan.h"
#include "core/ports.h"

#define NET_JOIN_PREFIX "container:"

static int ports_refuse(const char *text, struct err *err)
{
	return err_user(err, ERR_INVALID, "invalid port specification: \"%.500s\"", text);
}

/* "" is any port, and whatever stands for the protocol is not looked at. */
static int ports_check(const char *text, bool range, struct err *err)
{
	size_t len = strcspn(text, "/");
	struct port_range parsed;
	char number[16];

	if (len == 0)
		return 0;
	(void)snprintf(number, sizeof(number), "%.*s", (int)MIN(len, sizeof(number)), text);
	if (len >= sizeof(number) || (!range && strchr(number, '-')) ||
	    ports_parse(number, &parsed) < 0) {
		_cleanup_free_ char *part = strndup(text, len);

		return ports_refuse(part ? part : "", err);
	}
	return 0;
}

/**
 * container_ports_validate() - Check PortBindings
 * @host_config: Complete host config
 * @err:	 Filled on failure
 *
 * dockerd publishes on all addresses where it cannot read one; so does nobody who meant 127.0.0.1.
 *
 * Return: 0 or -EINVAL
 */
int container_ports_validate(const json_t *host_config, struct err *err)
{
	json_t *bindings, *binding;
	const char *port;
	size_t i;

	json_object_foreach (json_object_get(host_config, "PortBindings"), port, bindings) {
		int r = ports_check(port, false, err);

		if (r < 0)
			return r;
		json_array_foreach (bindings, i, binding) {
			const char *text = jx_str(binding, "HostPort");
			const char *ip = jx_str(binding, "HostIp");
			struct net_addr addr;

			if (strchr(text, '/'))
				return ports_refuse(text, err);
			r = ports_check(text, true, err);
			if (r < 0)
				return r;
			if (*ip && port_host_ip_parse(ip, &addr) < 0)
				return err_user(err, ERR_INVALID, "invalid IP address: %.100s", ip);
		}
	}
	return 0;
}

/**
 * container_hosts_validate() - Check ExtraHosts
 * @host_config: Complete host config
 * @err:	 Filled on failure
 *
 * Return: 0 or -EINVAL
 */
int container_hosts_validate(const json_t *host_config, struct err *err)
{
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(host_config, "ExtraHosts"), i, item) {
		const char *text = json_string_value(item), *colon = strchr(text, ':');
		unsigned char address[sizeof(struct in6_addr)];

		if (!colon || colon == text)
			return err_user(err, ERR_INVALID, "bad format for add-host: \"%.500s\"",
					text);
		if (!str_eq(colon + 1, "host-gateway") &&
		    inet_pton(AF_INET, colon + 1, address) != 1 &&
		    inet_pton(AF_INET6, colon + 1, address) != 1)
			return err_user(err, ERR_INVALID,
					"invalid IP address in add-host: \"%.500s\"", colon + 1);
	}
	return 0;
}

/**
 * container_joins() - Whose network a container has
 * @host_config: Complete host config
 *
 * Return: a container's id, or what the client said of one; NULL if it has its own
 */
const char *container_joins(const json_t *host_config)
{
	const char *mode = jx_str(host_config, "NetworkMode");

	return str_starts(mode, NET_JOIN_PREFIX) ? mode + strlen(NET_JOIN_PREFIX) : NULL;
}

static int join_conflict(struct err *err, const char *what)
{
	return err_user(err, ERR_INVALID, "conflicting options: %s", what);
}

/**
 * container_join_validate() - What a container without a network of its own cannot ask for
 * @config:	 Config of the create body
 * @host_config: Complete host config
 * @err:	 Filled on failure, in dockerd's words
 *
 * Return: 0 or -EINVAL
 */
int container_join_validate(const json_t *config, const json_t *host_config, struct err *err)
{
	const char *ref = container_joins(host_config);

	if (str_eq(jx_str(host_config, "NetworkMode"), "container") || (ref && !*ref))
		return err_user(err, ERR_INVALID,
				"invalid network mode: invalid container format "
				"container:<name|id>");
	if (!ref)
		return 0;
	if (!jx_empty(config, "Hostname"))
		return join_conflict(err, "hostname and the network mode");
	if (jx_len(host_config, "Links") > 0)
		return join_conflict(err, "container type network can't be used with links. This "
					  "would result in undefined behavior");
	if (jx_len(host_config, "Dns") > 0)
		return join_conflict(err, "dns and the network mode");
	if (jx_len(host_config, "ExtraHosts") > 0)
		return join_conflict(err, "custom host-to-IP mapping and the network mode");
	if (jx_len(host_config, "PortBindings") > 0 || jx_bool(host_config, "PublishAllPorts"))
		return join_conflict(err, "port publishing and the container type network mode");
	if (jx_len(config, "ExposedPorts") > 0)
		return join_conflict(err, "port exposing and the container type network mode");
	return 0;
}

/**
 * container_networking_validate() - Check the networks asked for
 * @networking: NetworkingConfig of the create body, or NULL
 * @err:	Filled on failure
 *
 * Whether they exist is asked at the start, as dockerd does: networks may come later, and a client
 * takes a 404 of create for a missing image.
 *
 * Return: 0 or -EINVAL
 */
int container_networking_validate(const json_t *networking, struct err *err)
{
	json_t *endpoints = json_object_get(networking, "EndpointsConfig"), *endpoint;
	const char *name;

	if (networking && !json_is_null(networking) && !json_is_object(networking))
		return err_user(err, ERR_INVALID,
				"invalid JSON: NetworkingConfig must be an object");
	json_object_foreach (endpoints, name, endpoint) {
		if (!json_is_object(endpoint) && !json_is_null(endpoint))
			return err_user(err, ERR_INVALID,
					"invalid JSON: EndpointsConfig.%s must be an object", name);
	}
	return 0;
}
