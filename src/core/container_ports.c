/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_ports.c - published ports of a container, from its start to its end
 *
 * DOC: Theory of operation
 *
 * What is published where is port_plan.c's; that it is so is the forwarder's, which outlives the
 * daemon and knows owners by the container's id. c->ports is what inspect and list show of it:
 * NULL unless the container runs, and an object without keys where no network leads outside.
 *
 *	start	published once the VM is there and before the process is, so that a port that is
 *		taken fails the start
 *	change	container_ports_changed(), when a network came or went: what is published stays as
 *		long as the gateways' addresses ask for the same, else it is published again
 *	end	container_ports_unpublish(), on every way on which networks are released
 *	daemon	container_ports_resume() for each container that is taken up: what the forwarder has
 *		is shown, what it lost is published again. Then container_ports_sweep() drops what
 *		belongs to nobody who runs.
 *
 * Which host ports were chosen is in the container's row as soon as they are bound: published
 * again, they are the same unless somebody else has taken one.
 *
 * The verb lock is held, but for the sweep; the forwarder is never asked under a state lock.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "core/containers.h"
#include "core/jsonx.h"
#include "core/networks.h"
#include "core/port_choice.h"
#include "core/port_plan.h"
#include "net/forward.h"
#include "vm/vm.h"

#define EPHEMERAL_PATH "/proc/sys/net/ipv4/ip_local_port_range"
#define EPHEMERAL_FIRST 32768
#define EPHEMERAL_LAST 60999
#define RESUME_TRIES 10

static const struct timespec resume_pause = {.tv_nsec = 200 * 1000 * 1000};

struct gateways {
	const struct network_endpoint *v4, *v6; /* borrowed; NULL: none */
};

static struct gateways gateways_find(const struct network_endpoints *endpoints)
{
	struct gateways found = {0};

	for (size_t i = 0; i < endpoints->n; i++) {
		const struct network_endpoint *e = &endpoints->items[i];

		if (e->internal || !network_endpoint_is_claimed(e))
			continue;
		if (e->default_route4 && e->v4.family)
			found.v4 = e;
		if (e->default_route6 && e->v6.family)
			found.v6 = e;
	}
	return found;
}

static void ephemeral_range(struct port_ephemeral *ret)
{
	_cleanup_fclose_ FILE *file = fopen(EPHEMERAL_PATH, "re");
	unsigned int first, last;

	ret->first = EPHEMERAL_FIRST;
	ret->last = EPHEMERAL_LAST;
	if (file && fscanf(file, "%u %u", &first, &last) == 2 && first > 0 && last <= UINT16_MAX &&
	    first < last) {
		ret->first = (uint16_t)first;
		ret->last = (uint16_t)last;
	}
}

/* By a vmnet the container itself is reached in the underlay's namespace, not its VM. */
static void route_by_vmnet(const struct network_endpoint *gateway, bool six, uint8_t *ret_bytes)
{
	uint8_t bytes[NET_ADDR_BYTES_MAX];

	if (gateway && network_endpoint_is_vmnet(gateway))
		memcpy(ret_bytes, bytes, net_addr_to_bytes(six ? gateway->v6 : gateway->v4, bytes));
}

static struct port_route route_make(struct containers *cs, const struct gateways *gateways,
				    const struct vm_nic *nic)
{
	struct port_route route = {.vm4.family = 4, .vm6.family = 6};

	memcpy(route.vm4.bytes, nic->v4, sizeof(nic->v4));
	memcpy(route.vm6.bytes, nic->v6, sizeof(nic->v6));
	route_by_vmnet(gateways->v4, false, route.vm4.bytes);
	route_by_vmnet(gateways->v6, true, route.vm6.bytes);
	if (gateways->v4) {
		route.container4 = gateways->v4->v4;
		route.bind = gateways->v4->host_binding;
	}
	route.bind_not6 = gateways->v6 && gateways->v6 != gateways->v4;
	if (gateways->v6)
		route.container6 = gateways->v6->v6;
	route.host_has_ipv6 = forward_host_has_ipv6();
	ephemeral_range(&route.ephemeral);
	route.ephemeral.next_tcp = (uint16_t)atomic_load(&cs->next_tcp_port);
	route.ephemeral.next_udp = (uint16_t)atomic_load(&cs->next_udp_port);
	return route;
}

/* What is being published. */
struct publication {
	struct port_plan plan;
	json_t *chosen;			   /* owned: what was chosen before */
	struct forward_mapping *published; /* owned */
};

static void publication_done(struct publication *pub)
{
	free(pub->published);
	json_decref(pub->chosen);
	port_plan_done(&pub->plan);
}

/* The next container's ports follow these, so that one that was just given up rests for a while. */
static void ephemeral_note(struct containers *cs, const struct publication *pub)
{
	for (size_t i = pub->plan.n_asked; i < pub->plan.n; i++) {
		const struct forward_mapping *m = &pub->published[i];

		if (port_choice_get(&pub->plan, pub->chosen, i) == 0)
			atomic_store(m->proto == IPPROTO_TCP ? &cs->next_tcp_port
							     : &cs->next_udp_port,
				     m->host_port + 1U);
	}
}

/**
 * container_ports_loaded() - A container was read from its row, while nothing runs yet
 * @c: Container
 *
 * New choices begin behind what others had, who will ask for it again.
 */
void container_ports_loaded(struct container *c)
{
	const char *key;
	json_t *value;

	json_object_foreach (c->chosen_ports, key, value) {
		unsigned int next = (unsigned int)json_integer_value(value) + 1;
		atomic_uint *which =
			str_ends(key, "/tcp") ? &c->cs->next_tcp_port : &c->cs->next_udp_port;

		if (!strchr(key, ':') && next > atomic_load(which)) /* not of a range */
			atomic_store(which, next);
	}
}

static void ports_show(struct container *c, const struct forward_mapping *mappings, size_t n,
		       bool any_way_out)
{
	json_t *shown = any_way_out ? port_plan_shown(c->config, mappings, n) : json_object();

	if (!shown)
		log_error("container %.12s: no memory to show its ports", c->id);
	RANK_LOCK_SCOPE(state, &c->lock);
	json_decref(c->ports);
	c->ports = shown;
	c->published = n > 0;
	c->version++;
}

struct holder {
	const struct forward_failure *failure;
	const struct forward_mapping *wanted;
	struct forward_ip ip;
	bool found;
};

static void holder_look(const char *owner, const struct forward_mapping *mappings, size_t n,
			void *user)
{
	struct holder *holder = user;

	if (!str_eq(owner, holder->failure->holder))
		return;
	for (size_t i = 0; i < n && !holder->found; i++) {
		holder->found = port_plan_overlaps(&mappings[i], holder->wanted->proto,
						   &holder->wanted->host, holder->failure->port);
		holder->ip = mappings[i].host;
	}
}

static int ports_refuse(struct forward *forward, const struct port_plan *plan,
			const struct forward_failure *failure, struct err *err)
{
	struct holder holder = {.failure = failure, .wanted = &plan->mappings[failure->index]};
	struct err ignored = {0};

	if (*failure->holder) /* the address is a detail of the message */
		(void)forward_list(forward, holder_look, &holder, &ignored);
	return port_plan_refuse(plan, failure, holder.found ? &holder.ip : NULL, err);
}

static int ports_ask(struct container *c, struct publication *pub,
		     struct forward_failure *ret_failure, struct err *err)
{
	port_choice_apply(&pub->plan, pub->chosen, pub->published);
	*ret_failure = (struct forward_failure){0};
	return forward_add(c->cs->core->forward, c->id, pub->published, pub->plan.n, ret_failure,
			   err);
}

/* Whether to do without a port that was chosen before. @insist: not if a while may help. */
static bool ports_give_up(struct container *c, struct publication *pub, bool insist,
			  const struct forward_failure *failure)
{
	if (failure->error != -EADDRINUSE || (insist && !*failure->holder) ||
	    !port_choice_forget(&pub->plan, pub->chosen, failure->index))
		return false;
	log_warn("container %.12s: somebody else has taken host port %u, which was its: it gets "
		 "another",
		 c->id, failure->port);
	return true;
}

static int ports_add(struct container *c, struct publication *pub, bool insist, struct err *err)
{
	struct forward_failure failure;
	int r = ports_ask(c, pub, &failure, err);

	while (r == FORWARD_E_PORT && ports_give_up(c, pub, insist, &failure))
		r = ports_ask(c, pub, &failure, err);
	if (r == FORWARD_E_PORT && failure.error == -EADDRINUSE &&
	    failure.index >= pub->plan.n_asked) {
		port_plan_again(&pub->plan);
		r = ports_ask(c, pub, &failure, err);
	}
	if (r == 0)
		ephemeral_note(c->cs, pub);
	return r == FORWARD_E_PORT ? ports_refuse(c->cs->core->forward, &pub->plan, &failure, err)
				   : r;
}

static void ports_remember(struct container *c, json_t *chosen /* owned */)
{
	bool same = json_equal(c->chosen_ports, chosen) ||
		    json_object_size(c->chosen_ports) + json_object_size(chosen) == 0;

	rank_lock(&c->lock);
	json_decref(c->chosen_ports);
	c->chosen_ports = chosen;
	rank_unlock(&c->lock);
	if (!same)
		(void)container_row_save(c); /* it said so */
}

struct stay {
	const struct container *c;
	const struct publication *pub;
	bool stays;
};

static void stay_look(const char *owner, const struct forward_mapping *mappings, size_t n,
		      void *user)
{
	struct stay *stay = user;

	if (str_eq(owner, stay->c->id))
		stay->stays = port_choice_fits(&stay->pub->plan, stay->pub->published, mappings, n);
}

/* Whether what is published may stay; if not, it is no more. Without a
 * forwarder that answers it may: the next one gets it. */
static bool ports_stay(struct container *c, struct publication *pub)
{
	struct stay stay = {.c = c, .pub = pub};
	struct err ignored = {0};

	port_choice_apply(&pub->plan, pub->chosen, pub->published);
	if (forward_list(c->cs->core->forward, stay_look, &stay, &ignored) < 0 || stay.stays)
		return true;
	(void)forward_del(c->cs->core->forward, c->id); /* always succeeds */
	return false;
}

static int ports_publish(struct container *c, const struct gateways *gateways,
			 const struct vm_nic *nic, bool insist, struct err *err)
{
	_cleanup_(publication_done) struct publication pub = {0};
	_cleanup_json_ json_t *host_config = container_host_config(c);
	struct port_route route = route_make(c->cs, gateways, nic);
	int r = port_plan_make(c->config, host_config, &route, &pub.plan, err);

	if (r < 0)
		return r;
	if (pub.plan.n > 0 && nic->index == 0)
		return err_user(err, ERR_INTERNAL, "the virtual machine has no network card");
	pub.chosen = json_deep_copy(c->chosen_ports);
	pub.published = calloc(pub.plan.n ? pub.plan.n : 1, sizeof(*pub.published));
	if (!pub.published || (c->chosen_ports && !pub.chosen))
		return err_oom(err);
	if (c->published && ports_stay(c, &pub))
		return 0;
	if (pub.plan.n > 0)
		r = ports_add(c, &pub, insist, err);
	if (r < 0) {
		ports_show(c, NULL, 0, false);
		return r;
	}
	ports_show(c, pub.published, pub.plan.n, true);
	ports_remember(c, port_choice_note(&pub.plan, pub.published));
	return 0;
}

/* @insist: rather fail than publish another port where one was chosen before */
static int ports_follow(struct container_run *run, const struct network_endpoints *endpoints,
			bool insist, struct err *err)
{
	struct container *c = run->c;
	struct gateways gateways = gateways_find(endpoints);
	const struct network_endpoint *named = gateways.v4 ? gateways.v4 : gateways.v6;
	char name[CONTAINER_NAME_MAX + 1];
	struct err why = {0};
	int r;

	if (!named) {
		container_ports_unpublish(c);
		ports_show(c, NULL, 0, false);
		return 0;
	}
	r = ports_publish(c, &gateways, sandbox_nic(run->sb), insist, &why);
	if (r == 0)
		return 0;
	rank_lock(&c->lock);
	memcpy(name, c->name, sizeof(name));
	rank_unlock(&c->lock);
	err_user(err, ERR_INTERNAL,
		 "failed to set up container networking: driver failed programming external "
		 "connectivity on endpoint %s (%s): %s",
		 name, named->endpoint_id, why.msg);
	return r;
}

/**
 * container_ports_publish() - Publish the ports of a container whose VM is there
 * @run:       Its run, with a sandbox; verb lock held
 * @endpoints: What was claimed for it
 * @err:       Filled on failure, in dockerd's words
 *
 * Also after a network was connected or disconnected: ports come with the first network that leads
 * outside, follow the default routes, and go with the last.
 *
 * Return: 0 or a negative errno: nothing is published
 */
int container_ports_publish(struct container_run *run, const struct network_endpoints *endpoints,
			    struct err *err)
{
	return ports_follow(run, endpoints, false, err);
}

/**
 * container_ports_changed() - A running container was connected to a network, or disconnected
 * @c:	 Container, verb lock held
 * @err: Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_ports_changed(struct container *c, struct err *err)
{
	_cleanup_(network_endpoints_done) struct network_endpoints endpoints = {0};
	_cleanup_run_ struct container_run *run = NULL;
	int r = container_networks_load(c, &endpoints, err);

	if (r < 0)
		return r;
	rank_lock(&c->lock);
	run = c->run && c->run->sb ? container_run_ref(c->run) : NULL;
	rank_unlock(&c->lock);
	return run ? container_ports_publish(run, &endpoints, err) : 0;
}

/**
 * container_ports_unpublish() - Nothing of a container is published any more
 * @c: Container, verb lock held
 */
void container_ports_unpublish(struct container *c)
{
	bool published = c->published;
	json_t *ports, *chosen;

	rank_lock(&c->lock);
	ports = TAKE_PTR(c->ports);
	chosen = TAKE_PTR(c->chosen_ports); /* in the row as long as that says that it runs */
	c->published = false;
	c->version++;
	rank_unlock(&c->lock);
	json_decref(ports);
	json_decref(chosen);
	if (published)
		(void)forward_del(c->cs->core->forward, c->id); /* always succeeds */
}

struct resume {
	struct container *c;
	bool found;
};

static void resume_look(const char *owner, const struct forward_mapping *mappings, size_t n,
			void *user)
{
	struct resume *resume = user;

	if (resume->found || !str_eq(owner, resume->c->id))
		return;
	resume->found = true;
	ports_show(resume->c, mappings, n, true);
}

/* What a killed forwarder held is free a moment later. */
static int resume_publish(struct container_run *run, const struct network_endpoints *endpoints,
			  struct err *err)
{
	int r = ports_follow(run, endpoints, true, err);

	for (int i = 1; r < 0 && i < RESUME_TRIES; i++) {
		(void)nanosleep(&resume_pause, NULL); /* a shorter one is fine */
		r = ports_follow(run, endpoints, i < RESUME_TRIES - 1, err);
	}
	return r;
}

/**
 * container_ports_resume() - Find what a container has published that is taken up
 * @run: Its run, with a sandbox; verb lock held
 *
 * A forwarder that went as well is a reason to publish again, at the ports of before.
 */
void container_ports_resume(struct container_run *run)
{
	_cleanup_(network_endpoints_done) struct network_endpoints endpoints = {0};
	struct container *c = run->c;
	struct resume resume = {.c = c};
	struct err err = {0};
	int r = 0;

	if (!c->cs->core->forward)
		return;
	r = forward_list(c->cs->core->forward, resume_look, &resume, &err);
	if (resume.found)
		return;
	c->published = false;
	if (r == 0)
		r = container_networks_load(c, &endpoints, &err);
	if (r == 0)
		r = resume_publish(run, &endpoints, &err);
	if (r < 0)
		log_error("container %.12s: its ports are not published: %s", c->id, err.msg);
}

struct sweep {
	struct containers *cs;
	char (*owners)[FORWARD_OWNER_MAX + 1]; /* owned */
	size_t n, n_max;
};

static void sweep_collect(const char *owner, const struct forward_mapping *mappings UNUSED,
			  size_t n UNUSED, void *user)
{
	struct sweep *sweep = user;

	if (sweep->n == sweep->n_max) {
		size_t max = sweep->n_max ? sweep->n_max * 2 : 16;
		void *grown = reallocarray(sweep->owners, max, sizeof(*sweep->owners));

		if (!grown)
			return; /* the next daemon sees to it */
		sweep->owners = grown;
		sweep->n_max = max;
	}
	(void)snprintf(sweep->owners[sweep->n++], sizeof(*sweep->owners), "%s", owner);
}

static void sweep_one(struct containers *cs, const char *owner)
{
	_cleanup_container_ struct container *c = NULL;
	struct err err = {0};
	bool keep = false;

	if (containers_find(cs, owner, &c, &err) == 0) {
		rank_lock(&c->lock);
		keep = c->adopting || c->vm == CONTAINER_VM_RUN;
		rank_unlock(&c->lock);
	}
	if (keep)
		return;
	if (!c) { /* an id comes but once */
		(void)forward_del(cs->core->forward, owner);
		return;
	}
	RANK_LOCK_SCOPE(verb, &c->verb);
	if (!c->published && c->vm != CONTAINER_VM_RUN)
		(void)forward_del(cs->core->forward, owner); /* always succeeds */
}

/**
 * container_ports_sweep() - Drop what is published for containers that do not run; a worker_fn
 * @user: Manager whose containers were taken up, or are being
 */
void container_ports_sweep(void *user)
{
	struct sweep sweep = {.cs = user};
	struct err err = {0};

	if (forward_list(sweep.cs->core->forward, sweep_collect, &sweep, &err) < 0)
		log_debug("no forwarder to ask what it has: %s", err.msg);
	for (size_t i = 0; i < sweep.n; i++)
		sweep_one(sweep.cs, sweep.owners[i]);
	free(sweep.owners);
}
