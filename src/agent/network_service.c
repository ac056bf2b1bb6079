/* SPDX-License-Identifier: Apache-2.0 */
/* network_service.c - the service Network, and what Hello tells of networks */
#include "agent/network_service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/container.h"
#include "agent/names.h"
#include "agent/network.h"
#include "agent/report.h"
#include "base/str.h"

static void service_fail(struct rpc_server_call *call, const struct err *err)
{
	rpc_server_finish(call, (enum rpc_status)report_status(err), err->msg);
}

static struct container *service_container(struct rpc_server_call *call, const char *id)
{
	struct container *c = container_find(agent_of(call), id);

	if (!c)
		rpc_server_finish(call, RPC_NOT_FOUND, "no such container");
	return c;
}

static struct network *service_network(struct rpc_server_call *call, const char *container_id,
				       const char *network_id)
{
	struct container *c = service_container(call, container_id);
	struct network *n = c ? network_find(&agent_of(call)->networks, c, network_id) : NULL;

	if (c && !n)
		rpc_server_finish(call, RPC_NOT_FOUND, "the container is not in this network");
	return n;
}

static ProtobufCBinaryData service_key(uint8_t *key)
{
	return (ProtobufCBinaryData){.len = WIREGUARD_KEY_LEN, .data = key};
}

/**
 * network_attach_call() - Attach(AttachNetworkRequest): a network for a container that runs
 * @call:    Call
 * @message: Request
 */
void network_attach_call(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	const Arca__V1__AttachNetworkRequest *request =
		(const Arca__V1__AttachNetworkRequest *)message;
	Arca__V1__AttachNetworkResponse response = ARCA__V1__ATTACH_NETWORK_RESPONSE__INIT;
	struct container *c = service_container(call, request->container_id);
	struct network *n;
	struct err err = {0};

	if (!c)
		return;
	if (!request->network) {
		rpc_server_finish(call, RPC_INVALID_ARGUMENT, "no network");
		return;
	}
	if (network_attach(&agent_of(call)->networks, c, request->network, &n, &err) < 0 ||
	    names_attach(agent_of(call), c, request->network, &err) < 0) {
		service_fail(call, &err);
		return;
	}
	if (!n->nic)
		response.public_key = service_key(n->public_key);
	rpc_server_reply(call, &response.base);
}

/**
 * network_detach_call() - Detach(DetachNetworkRequest): done as well where it is not attached
 * @call:    Call
 * @message: Request
 */
void network_detach_call(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	const Arca__V1__DetachNetworkRequest *request =
		(const Arca__V1__DetachNetworkRequest *)message;
	Arca__V1__Empty empty = ARCA__V1__EMPTY__INIT;
	struct networks *nets = &agent_of(call)->networks;
	struct container *c = service_container(call, request->container_id);
	struct network *n = c ? network_find(nets, c, request->network_id) : NULL;

	if (!c)
		return;
	if (n) {
		network_detach(nets, n);
		names_detach(agent_of(call), c, request->network_id);
	}
	rpc_server_reply(call, &empty.base);
}

/**
 * network_set_defaults_call() - SetDefaults(SetDefaultsRequest)
 * @call:    Call
 * @message: Request
 */
void network_set_defaults_call(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	const Arca__V1__SetDefaultsRequest *request = (const Arca__V1__SetDefaultsRequest *)message;
	const char *const wanted[] = {request->default4, request->default6};
	Arca__V1__Empty empty = ARCA__V1__EMPTY__INIT;
	struct networks *nets = &agent_of(call)->networks;
	struct container *c = service_container(call, request->container_id);
	struct err err = {0};
	int r = 0;

	if (!c)
		return;
	for (int i = 0; r == 0 && i < 2; i++) {
		struct network *n = str_empty(wanted[i]) ? NULL : network_find(nets, c, wanted[i]);

		if (n)
			r = network_set_default(nets, n, i, true, &err);
		else if (!str_empty(wanted[i]))
			r = err_user(&err, ERR_NOT_FOUND, "no network %.64s", wanted[i]);
	}
	if (r < 0)
		service_fail(call, &err);
	else
		rpc_server_reply(call, &empty.base);
}

/**
 * network_set_peers_call() - SetPeers(SetPeersRequest): all peers of a network, or some
 * @call:    Call
 * @message: Request
 */
void network_set_peers_call(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	const Arca__V1__SetPeersRequest *request = (const Arca__V1__SetPeersRequest *)message;
	const struct network_peers_change change = {
		.complete = request->complete,
		.poke = request->poke,
		.hold = request->hold,
		.set = request->set,
		.n_set = request->n_set,
		.removed = request->removed_endpoint_ids,
		.n_removed = request->n_removed_endpoint_ids,
	};
	struct network *n = service_network(call, request->container_id, request->network_id);
	Arca__V1__Empty empty = ARCA__V1__EMPTY__INIT;
	struct err err = {0};

	if (!n)
		return;
	if (network_set_peers(&agent_of(call)->networks, n, &change, &err) < 0 ||
	    names_set_peers(n->container, n->id, &change, &err) < 0)
		service_fail(call, &err);
	else
		rpc_server_reply(call, &empty.base);
}

/**
 * network_rotate_call() - Rotate(RotateRequest): a new key
 * @call:    Call
 * @message: Request
 */
void network_rotate_call(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	const Arca__V1__RotateRequest *request = (const Arca__V1__RotateRequest *)message;
	struct network *n = service_network(call, request->container_id, request->network_id);
	Arca__V1__RotateResponse response = ARCA__V1__ROTATE_RESPONSE__INIT;
	struct err err = {0};

	if (!n)
		return;
	if (n->nic || request->old_key.len != WIREGUARD_KEY_LEN) {
		rpc_server_finish(call, RPC_INVALID_ARGUMENT, "which key is to be replaced?");
		return;
	}
	/* Another than the caller knows: it was replaced, and the answer was lost. */
	if (memcmp(request->old_key.data, n->public_key, WIREGUARD_KEY_LEN) == 0 &&
	    network_rotate(&agent_of(call)->networks, n, &err) < 0) {
		service_fail(call, &err);
		return;
	}
	response.public_key = service_key(n->public_key);
	rpc_server_reply(call, &response.base);
}

static void service_describe(struct network *n, Arca__V1__NetworkState *state)
{
	arca__v1__network_state__init(state);
	state->container_id = n->container->id;
	state->network_id = n->id;
	state->index = n->index;
	if (!n->nic)
		state->public_key = service_key(n->public_key);
}

/**
 * network_report_fill() - Networks' part of HelloResponse
 * @nets:	All networks
 * @response:	Gets pointers into @ret_report and @nets
 * @ret_report: For network_report_done(), in any case
 *
 * Return: 0 or -ENOMEM
 */
int network_report_fill(struct networks *nets, Arca__V1__HelloResponse *response,
			struct network_report *ret_report)
{
	size_t count = 0, i = 0;
	bool any = false;

	for (const struct network *n = nets->list; n; n = n->next)
		count++;
	ret_report->offers = calloc(NETWORK_OFFERS, sizeof(*ret_report->offers));
	ret_report->states = calloc(count + 1, sizeof(*ret_report->states));
	ret_report->list = calloc(count + 1, sizeof(struct Arca__V1__NetworkState *));
	if (!ret_report->offers || !ret_report->states || !ret_report->list)
		return -ENOMEM;
	for (size_t k = 0; k < NETWORK_OFFERS; k++) {
		any = any || nets->offered[k];
		if (nets->offered[k])
			ret_report->offers[k] = service_key(nets->offers[k]);
	}
	response->offered_keys = ret_report->offers;
	response->n_offered_keys = any ? NETWORK_OFFERS : 0;
	for (struct network *n = nets->list; n; n = n->next, i++) {
		service_describe(n, &ret_report->states[i]);
		ret_report->list[i] = &ret_report->states[i];
	}
	response->networks = ret_report->list;
	response->n_networks = count;
	return 0;
}

/**
 * network_report_done() - Free it, after the answer was packed
 * @report: Zeroed or filled
 */
void network_report_done(struct network_report *report)
{
	free(report->offers);
	free(report->states);
	free((void *)report->list);
	*report = (struct network_report){};
}
