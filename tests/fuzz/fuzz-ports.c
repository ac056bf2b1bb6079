/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-ports.c - ExposedPorts and PortBindings as far as the forwarder's message and the answers */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "core/containers.h"
#include "core/jsonx.h"
#include "core/port_plan.h"
#include "core/ports.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define FIRST 40000
#define LAST 40099

/* As the forwarder answers: every mapping has a port, and none is a range or follows another. */
static void publish(struct port_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++) {
		struct forward_mapping *m = &plan->mappings[i];

		assert(forward_mapping_valid(m, i == 0));
		assert(i >= plan->n_asked || !m->host_port_last ||
		       m->host_port != m->host_port_last);
		if (m->same_port)
			m->host_port = plan->mappings[i - 1].host_port;
		m->host_port_last = 0;
		m->same_port = false;
		assert(m->host_port > 0);
	}
}

static void show(const json_t *config, const struct port_plan *plan)
{
	_cleanup_json_ json_t *shown = port_plan_shown(config, plan->mappings, plan->n);
	_cleanup_json_ json_t *listed = port_plan_listed(shown);
	json_t *bindings, *entry;
	size_t i, n = 0, alone = 0;
	const char *key;

	json_object_foreach (shown, key, bindings) {
		struct port_range range;

		assert(ports_parse(key, &range) == 0 && range.first > 0);
		alone += json_is_null(bindings);
	}
	for (i = 0; i < plan->n; i++)
		n += plan->mappings[i].count;
	assert(json_array_size(listed) == n + alone);
	json_array_foreach (listed, i, entry)
		assert(jx_int(entry, "PrivatePort") > 0 && jx_int(entry, "PrivatePort") < 65536);
}

static void refuse(const struct port_plan *plan, size_t seed)
{
	static const int errors[] = {EADDRINUSE, EACCES, EADDRNOTAVAIL};
	struct forward_failure failure = {.index = seed % plan->n,
					  .port = plan->mappings[seed % plan->n].host_port,
					  .error = -errors[seed % ARRAY_SIZE(errors)]};
	struct err err = {0};

	(void)snprintf(failure.holder, sizeof(failure.holder), "%s", seed % 2 ? "x" : "");
	assert(port_plan_refuse(plan, &failure, NULL, &err) < 0 && *err.msg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	_cleanup_json_ json_t *body =
		len ? json_loadb((const char *)data + 1, len - 1, 0, NULL) : NULL;
	struct port_route route = {.vm4.family = 4, .vm6.family = 6};
	_cleanup_json_ json_t *config = NULL, *host_config = NULL;
	struct port_plan plan = {0};
	struct err err = {0};

	if (!json_is_object(body))
		return 0;
	route.container4 = (struct net_addr){data[0] & 1 ? 4 : 0, 9};
	route.container6 = (struct net_addr){data[0] & 2 ? 6 : 0, 9};
	route.host_has_ipv6 = data[0] & 4;
	if (data[0] & 8)
		route.bind = (struct net_addr){4, data[0] & 16 ? 0x7f000001 : 0};
	route.bind_not6 = data[0] & 32;
	route.ephemeral = (struct port_ephemeral){FIRST, LAST, 0, LAST};
	if (container_config_normalise(body, &config, &err) < 0 ||
	    container_host_config_normalise(body, &host_config, &err) < 0 ||
	    container_ports_validate(host_config, &err) < 0)
		return 0;
	if (port_plan_make(config, host_config, &route, &plan, &err) < 0) {
		assert(err.kind != ERR_NONE && plan.n == 0);
		return 0;
	}
	if (plan.n > 0)
		refuse(&plan, len);
	port_plan_again(&plan);
	publish(&plan);
	show(config, &plan);
	port_plan_done(&plan);
	return 0;
}
