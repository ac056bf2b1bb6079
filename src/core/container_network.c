/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_network.c - a container's side of its networks: at start and end, connect, disconnect
 *
 * The rows are networks.h's. A container keeps what inspect and list show of them, made anew after
 * each change (container_networks_refresh()).
 *
 * What moves packets comes in at two places: container_networks_up() hands out what was claimed,
 * before the process is started, and network_attach_live() and network_detach_live() change a
 * container that runs.
 */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "core/attachments.h"
#include "core/container_links.h"
#include "core/containers.h"
#include "core/jsonx.h"
#include "core/networks.h"
#include "core/spec.h"

/* A container as its endpoints need it; what the names point at is owned. */
struct named {
	struct network_container container;
	char name[CONTAINER_NAME_MAX + 1];
	json_t *host_config;
};

static void named_init(struct named *named, struct container *c)
{
	RANK_LOCK_SCOPE(state, &c->lock);

	memcpy(named->name, c->name, sizeof(named->name));
	named->host_config = json_incref(c->host_config);
	named->container = (struct network_container){
		.id = c->id,
		.name = named->name,
		.hostname = jx_str(c->config, "Hostname"),
		.mode = jx_str(named->host_config, "NetworkMode"),
	};
}

static void named_done(struct named *named)
{
	json_decref(named->host_config);
}

static void networks_show(struct container *c, const struct network_endpoints *all)
{
	json_t *shown = network_endpoints_json(all);
	json_t *brief = shown ? network_endpoints_brief(shown) : NULL;

	if (!brief) { /* what is shown is older than what is so */
		json_decref(shown);
		log_error("container %.12s: no memory to show its networks", c->id);
		return;
	}
	RANK_LOCK_SCOPE(state, &c->lock);
	json_decref(c->networks);
	json_decref(c->networks_brief);
	c->networks = shown;
	c->networks_brief = brief;
	memcpy(c->sandbox_id, all->sandbox_id, sizeof(c->sandbox_id));
	c->version++;
}

/**
 * container_networks_load() - What a container has on its networks
 * @c:	 Container; no state lock held
 * @ret: Its endpoints; network_endpoints_done()
 * @err: Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_networks_load(struct container *c, struct network_endpoints *ret, struct err *err)
{
	_cleanup_(named_done) struct named named = {0};

	named_init(&named, c);
	return network_endpoints_load(c->cs->core->networks, &named.container, ret, err);
}

/**
 * container_networks_refresh() - Show a container's networks as they are now
 * @c: Container; no state lock held
 */
void container_networks_refresh(struct container *c)
{
	_cleanup_(network_endpoints_done) struct network_endpoints all = {0};
	struct err err = {0};

	if (container_networks_load(c, &all, &err) < 0)
		log_error("container %.12s: %s", c->id, err.msg);
	else
		networks_show(c, &all);
}

/**
 * container_networks_up() - Claim what a container has on its networks, at a start
 * @c:	 Container, verb lock held
 * @ret: What was claimed, for who gives it to the guest; network_endpoints_done()
 * @err: Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_networks_up(struct container *c, struct network_endpoints *ret, struct err *err)
{
	_cleanup_(named_done) struct named named = {0};
	int r;

	named_init(&named, c);
	r = network_endpoints_claim(c->cs->core->networks, &named.container, ret, err);
	if (r == 0)
		networks_show(c, ret);
	return r;
}

/**
 * container_networks_down() - The container does not run any more
 * @c: Container, verb lock held
 */
void container_networks_down(struct container *c)
{
	container_ports_unpublish(c);
	network_endpoints_release(c->cs->core->networks, c->id);
	container_networks_refresh(c);
}

static struct attachments *network_attachments(struct container *c);

/* Those who are on its networks look it up by its new name. */
static void networks_tell_name(struct container *c, const struct named *named)
{
	_cleanup_(network_endpoints_done) struct network_endpoints all = {0};
	struct attachments *nets = network_attachments(c);
	struct err err = {0};

	if (nets &&
	    (network_endpoints_load(c->cs->core->networks, &named->container, &all, &err) < 0 ||
	     attachments_renamed(nets, &all) < 0))
		log_error("container %.12s: its peers know it by its old name", c->id);
}

/**
 * container_networks_renamed() - The endpoints follow the container's new name
 * @c: Container, verb lock held
 */
void container_networks_renamed(struct container *c)
{
	_cleanup_(named_done) struct named named = {0};

	named_init(&named, c);
	if (network_endpoints_rename(c->cs->core->networks, &named.container) < 0)
		log_error("container %.12s: its networks know it by its old name", c->id);
	networks_tell_name(c, &named);
	container_networks_refresh(c);
}

/**
 * container_networks_leave() - The others on its networks forget a run
 * @run:      Run, verb lock held or the last reference; once is enough
 * @vm_stays: It is the daemon that goes
 */
void container_networks_leave(struct container_run *run, bool vm_stays)
{
	attachments_end(TAKE_PTR(run->nets), vm_stays);
}

/**
 * container_networks_resume() - A run that a new daemon found is on its networks again
 * @c:	   Container, verb lock held
 * @run:   Its run
 * @hello: What its agent said
 * @err:   Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_networks_resume(struct container *c, struct container_run *run,
			      const Arca__V1__HelloResponse *hello, struct err *err)
{
	_cleanup_(network_endpoints_done) struct network_endpoints all = {0};
	_cleanup_(named_done) struct named named = {0};
	int r;

	named_init(&named, c);
	r = network_endpoints_load(c->cs->core->networks, &named.container, &all, err);
	container_links_open(c);
	return r < 0 ? r
		     : attachments_resume(c->cs->core->meshes, c->id, run->sb, &all, hello,
					  spec_asks_host_gateway(c->host_config), &run->nets, err);
}

/* Of the run that goes on; the verb lock keeps it. */
static struct attachments *network_attachments(struct container *c)
{
	RANK_LOCK_SCOPE(state, &c->lock);
	return c->run ? c->run->nets : NULL;
}

static const struct network_endpoint *endpoint_find(const struct network_endpoints *all,
						    const char *network_id)
{
	for (size_t i = 0; i < all->n; i++)
		if (str_eq(all->items[i].network_id, network_id))
			return &all->items[i];
	return NULL;
}

/* Give the endpoint's interface to the guest. */
static int network_attach_live(struct container *c, const struct named *named,
			       const char *network_id, struct err *err)
{
	_cleanup_(network_endpoints_done) struct network_endpoints all = {0};
	struct attachments *nets = network_attachments(c);
	const struct network_endpoint *endpoint;
	int r = network_endpoints_load(c->cs->core->networks, &named->container, &all, err);

	if (r < 0)
		return r;
	endpoint = endpoint_find(&all, network_id);
	if (!nets || !endpoint)
		return 0;
	r = attachments_add(nets, endpoint, err);
	if (r == 0)
		container_files_connected(c, endpoint);
	return r;
}

/* Take the endpoint's interface from the guest. */
static int network_detach_live(struct container *c, const struct named *named,
			       const char *network_ref, struct err *err)
{
	_cleanup_(network_endpoints_done) struct network_endpoints all = {0};
	struct attachments *nets = network_attachments(c);
	const struct network_endpoint *endpoint;
	char id[ID_BUF];
	int r = network_resolve(c->cs->core->networks, network_ref, id, err);

	if (r < 0 || !nets)
		return r;
	r = network_endpoints_load(c->cs->core->networks, &named->container, &all, err);
	if (r == 0)
		r = attachments_remove(nets, id, err);
	endpoint = r == 0 ? endpoint_find(&all, id) : NULL;
	if (endpoint)
		container_files_disconnected(c, endpoint);
	return r;
}

/* After a network was left: another one may have its default route now. */
static int network_route_live(struct container *c, const struct named *named, struct err *err)
{
	_cleanup_(network_endpoints_done) struct network_endpoints all = {0};
	struct attachments *nets = network_attachments(c);
	int r = network_endpoints_load(c->cs->core->networks, &named->container, &all, err);

	return r < 0 || !nets ? r : attachments_route(nets, &all, err);
}

static bool network_is_live(struct container *c)
{
	RANK_LOCK_SCOPE(state, &c->lock);
	return c->state == CONTAINER_RUNNING || c->state == CONTAINER_PAUSED;
}

/* After the row is there: claim, attach, tell. On failure the row goes again. */
static int connect_live(struct container *c, const struct named *named, const char *network_id,
			struct err *err)
{
	struct networks *networks = c->cs->core->networks;
	struct err ignored = {0};
	bool attached = false;
	int r = network_endpoint_claim(networks, &named->container, network_id, err);

	if (r == 0) {
		r = network_attach_live(c, named, network_id, err);
		attached = r == 0;
		if (r == 0) {
			r = container_ports_changed(c, err);
			if (r < 0) /* the first error counts */
				(void)network_detach_live(c, named, network_id, &ignored);
		}
		if (r == 0)
			network_endpoint_event(networks, "connect", network_id, c->id);
	}
	if (r == 0)
		return 0;
	/* What was before; the first error counts. */
	(void)network_endpoint_remove(networks, &named->container, network_id, &ignored);
	if (attached) {
		(void)network_route_live(c, named, &ignored);
		(void)container_ports_changed(c, &ignored);
	}
	return r;
}

static int network_container_find(struct containers *cs, const char *ref, struct container **ret,
				  struct err *err)
{
	if (str_empty(ref))
		return err_user(err, ERR_INVALID, "invalid name or ID supplied: \"\"");
	return containers_find(cs, ref, ret, err);
}

/**
 * container_connect() - POST /networks/{id}/connect
 * @cs:	      Manager
 * @network:  Network
 * @ref:      Container
 * @settings: EndpointSettings, or NULL
 * @err:      Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_connect(struct containers *cs, const char *network, const char *ref,
		      const json_t *settings, struct err *err)
{
	_cleanup_container_ struct container *c = NULL;
	_cleanup_(named_done) struct named named = {0};
	struct networks *networks = cs->core->networks;
	char id[ID_BUF];
	int r = network_container_find(cs, ref, &c, err);

	if (r < 0)
		return r;
	RANK_LOCK_SCOPE(verb, &c->verb);
	if (c->removed)
		return err_user(err, ERR_NOT_FOUND, "No such container: %s", ref);
	named_init(&named, c);
	r = network_resolve(networks, network, id, err);
	if (r == 0)
		r = network_endpoint_add(networks, &named.container, id, settings, err);
	if (r == 0 && network_is_live(c))
		r = connect_live(c, &named, id, err);
	if (r == 0)
		container_networks_refresh(c);
	return r;
}

/* It has left: what is left to do for the others fails nothing. */
static void disconnect_rest(struct container *c, const struct named *named)
{
	struct err err = {0};

	if (network_route_live(c, named, &err) < 0)
		log_warn("container %.12s: its default route is not another network's: %s", c->id,
			 err.msg);
	err = (struct err){0};
	if (container_ports_changed(c, &err) < 0)
		log_warn("container %.12s: its ports do not follow its networks: %s", c->id,
			 err.msg);
}

/**
 * container_disconnect() - POST /networks/{id}/disconnect
 * @cs:	     Manager
 * @network: Network
 * @ref:     Container
 * @force:   Of a container that is gone: nothing can be left of it here
 * @err:     Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_disconnect(struct containers *cs, const char *network, const char *ref, bool force,
			 struct err *err)
{
	_cleanup_container_ struct container *c = NULL;
	_cleanup_(named_done) struct named named = {0};
	int r = network_container_find(cs, ref, &c, err);

	if (r == -ENOENT && force)
		return err_user(err, ERR_NOT_FOUND, "endpoint %.200s not found", ref);
	if (r < 0)
		return r;
	RANK_LOCK_SCOPE(verb, &c->verb);
	if (c->removed)
		return err_user(err, ERR_NOT_FOUND, "No such container: %s", ref);
	named_init(&named, c);
	if (network_is_live(c) && str_eq(named.container.mode, "host") && str_eq(network, "host"))
		return err_user(err, ERR_INVALID,
				"cannot disconnect container from host network - container was "
				"created in host network mode");
	if (network_is_live(c))
		r = network_detach_live(c, &named, network, err);
	if (r == 0)
		r = network_endpoint_remove(cs->core->networks, &named.container, network, err);
	if (r < 0)
		return r;
	if (network_is_live(c))
		disconnect_rest(c, &named);
	container_networks_refresh(c);
	return 0;
}
