/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network_check.c - do the rows say of the networks what the kernel has?
 *
 * DOC: Theory of operation
 *
 * One look reads the rows, the VMs' records and what the kernel, the forwarder and /proc say, and
 * writes a line for each thing with both sides beside each other: "ok", or what the difference is.
 * Nothing is changed, locked or started, and no VM is talked to: a daemon owns the agents'
 * channels. So tunnels and interfaces inside of VMs are not seen from here.
 *
 * The two sides are not of one moment, and starts and ends of containers take some: a difference
 * counts if there is one with the same thing in each of NETWORK_CHECK_LOOKS looks.
 *
 * The check knows no code of those who make things (attachments, ports), but for what follows from
 * a VM's index or an id: it would believe what they believe.
 */
#include "core/network_check.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "core/network_check_impl.h"
#include "core/spec.h"
#include "net/uplink.h"
#include "net/vmnet.h"
#include "vm/vm.h"

#define NETWORK_CHECK_LOOKS 10
#define NETWORK_CHECK_PAUSE_MS 300
#define CHECK_TEXT_MAX 96 /* of a column; what is longer is cut */

/**
 * check_row() - A line of the answer
 * @k:		Check
 * @what:	Kind of thing
 * @name:	Which
 * @state:	What the state says
 * @kernel:	What is there
 * @difference: What is wrong with it, or NULL
 */
void check_row(struct check *k, const char *what, const char *name, const char *state,
	       const char *kernel, const char *difference)
{
	_cleanup_free_ char *key = str_format("<%s %s>", what, name);
	bool passing = difference && key && k->before && !strstr(k->before, key);

	if (!key) {
		k->failed = true;
		return;
	}
	buf_addf(&k->text, "%-10s %-24s %-36s %-36s %s\n", what, *name ? name : "-",
		 *state ? state : "-", *kernel ? kernel : "-",
		 passing ? "ok, it changes just now" : difference ?: "ok");
	k->result.rows++;
	if (!difference || passing)
		return;
	k->result.differences++;
	buf_adds(&k->differences, key);
}

static void pid_text(pid_t pid, char out[static CHECK_TEXT_MAX])
{
	(void)snprintf(out, CHECK_TEXT_MAX, pid ? "pid %d" : "none", (int)pid);
}

static size_t check_vms_alive(const struct check *k)
{
	size_t n = 0;

	for (size_t i = 0; i < k->n_vms; i++)
		n += k->vms[i].alive && k->vms[i].nic;
	return n;
}

static void check_rules(struct check *k)
{
	char wanted[CHECK_TEXT_MAX], found[CHECK_TEXT_MAX];

	if (!k->look.ns)
		return;
	(void)snprintf(wanted, sizeof(wanted), "%u", k->look.rules_wanted);
	(void)snprintf(found, sizeof(found), "%u", k->look.rules_found);
	check_row(k, "rules", "inet arca", wanted, found,
		  k->look.rules_wanted == k->look.rules_found ? NULL : "other rules are in force");
}

static void check_pasta(struct check *k, bool wanted)
{
	const struct underlay_link *link = underlay_look_find(&k->look, UPLINK_LINK);
	const char *difference = NULL;
	char found[CHECK_TEXT_MAX];

	wanted = wanted && k->look.host_has_default;
	(void)snprintf(found, sizeof(found), "pid %d, %s", (int)k->look.pasta,
		       link && link->up ? UPLINK_LINK : "no " UPLINK_LINK);
	if (wanted && !k->look.pasta)
		difference = "pasta does not run";
	else if (k->look.pasta && (!link || !link->up))
		difference = "pasta has no interface";
	else if (!k->look.pasta && link)
		difference = "an interface of no pasta of ours";
	check_row(k, "pasta", "", wanted ? "leads outside" : "need not be there",
		  k->look.pasta || link ? found : "none", difference);
}

/* What is there once for all. */
static void check_helpers(struct check *k)
{
	bool wanted = k->daemon || check_vms_alive(k) > 0;
	char text[CHECK_TEXT_MAX];

	pid_text(k->daemon, text);
	check_row(k, "daemon", "", "", text, NULL);
	(void)snprintf(text, sizeof(text), k->look.ns ? "net:[%llu]" : "none",
		       (unsigned long long)k->look.ns);
	check_row(k, "namespace", "", wanted ? "holds the VMs" : "need not be there", text,
		  wanted && !k->look.ns ? "there is none" : NULL);
	check_rules(k);
	check_pasta(k, wanted);
}

static const char *vm_difference(const struct check *k, const struct check_vm *vm,
				 const struct underlay_link *tap)
{
	bool asked = vm->container && spec_asks_host_gateway(vm->container->host_config);

	if (!tap)
		return "its tap is missing";
	if (!vm_has_tap(vm->pid, tap->name))
		return "its tap is not its own";
	if (!tap->up || !tap->running)
		return "its tap is down";
	if (tap->ways != k->look.ways_wanted)
		return "its tap lacks routes or neighbours";
	if (asked && !tap->host_gateway && vm->container->up)
		return "it asked for the host and may not reach it";
	if (!asked && tap->host_gateway)
		return "it may reach the host and did not ask";
	return NULL;
}

static void check_vm(struct check *k, const struct check_vm *vm)
{
	const struct check_container *c = vm->container;
	const struct underlay_link *tap;
	char state[CHECK_TEXT_MAX], kernel[CHECK_TEXT_MAX], name[32];
	const char *difference = NULL;

	(void)snprintf(name, sizeof(name), "a%u", vm->nic);
	tap = vm->nic ? underlay_look_find(&k->look, name) : NULL;
	(void)snprintf(state, sizeof(state), "%s, %s%s", c && c->runs ? "runs" : "does not run",
		       vm->nic ? name : "no card",
		       c && spec_asks_host_gateway(c->host_config) ? ", reaches the host" : "");
	(void)snprintf(kernel, sizeof(kernel), "pid %d, %s%s%s", (int)vm->pid,
		       tap ? tap->name : "no tap", tap && tap->running ? " up" : "",
		       tap && tap->host_gateway ? ", reaches the host" : "");
	if (!c || !c->runs)
		difference = "a VM of what does not run";
	else if (vm->nic)
		difference = vm_difference(k, vm, tap);
	check_row(k, "vm", c ? c->name : vm->name, state, kernel, difference);
}

static const struct check_vm *check_vm_of(const struct check *k, const struct check_container *c)
{
	for (size_t i = 0; i < k->n_vms; i++)
		if (str_eq(k->vms[i].name, c->vm_id) && k->vms[i].alive)
			return &k->vms[i];
	return NULL;
}

static void check_vms(struct check *k)
{
	for (size_t i = 0; i < k->n_vms; i++)
		if (k->vms[i].alive)
			check_vm(k, &k->vms[i]);
	for (size_t i = 0; i < k->n_containers; i++)
		if (k->containers[i].runs && !check_vm_of(k, &k->containers[i]))
			check_row(k, "vm", k->containers[i].name, "runs", "none", "its VM is gone");
}

static bool tap_is_recorded(const struct check *k, const char *name)
{
	char tap[32];

	for (size_t i = 0; i < k->n_vms; i++) {
		(void)snprintf(tap, sizeof(tap), "a%u", k->vms[i].nic);
		if (k->vms[i].alive && str_eq(tap, name))
			return true;
	}
	return false;
}

/* One of the pool, or one that is being made, as a template is */
static bool tap_is_of_a_vm(const struct check *k, pid_t pid)
{
	_cleanup_free_ char *run = str_format("%s/vm", k->config->exec_root);
	_cleanup_free_ char *templates = str_format("%s/templates", k->config->data_root);

	return pid && run && templates && (vm_is_below(pid, run) || vm_is_below(pid, templates));
}

static void check_tap(struct check *k, const struct underlay_link *link)
{
	pid_t pid = vm_find_tap(link->name);
	bool ours = tap_is_of_a_vm(k, pid);
	char kernel[CHECK_TEXT_MAX];

	(void)snprintf(kernel, sizeof(kernel), "%s, pid %d", link->running ? "up" : "down",
		       (int)pid);
	check_row(k, "tap", link->name, ours ? "of a VM that nobody has yet" : "nobody's", kernel,
		  ours ? NULL : "a tap that no VM has");
}

/* Taps that no record names. */
static void check_taps(struct check *k)
{
	for (size_t i = 0; i < k->look.n_links; i++) {
		const struct underlay_link *link = &k->look.links[i];

		if (link->name[0] == 'a' && !tap_is_recorded(k, link->name))
			check_tap(k, link);
	}
}

static void vmnet_link_name(const char *prefix, const char *id, char out[static IF_NAMESIZE])
{
	(void)snprintf(out, IF_NAMESIZE, "%s%.12s", prefix, id);
}

static bool endpoint_is_vmnet(const struct check_endpoint *e)
{
	return e->network && str_eq(e->network->driver, "vmnet") && *e->id && e->container &&
	       e->container->runs;
}

static const char *port_difference(const struct check *k, const struct check_endpoint *e,
				   const struct underlay_link *tap)
{
	const struct check_vm *vm = check_vm_of(k, e->container);
	const struct underlay_link *bridge;
	char name[IF_NAMESIZE];

	vmnet_link_name("vn", e->network->id, name);
	bridge = underlay_look_find(&k->look, name);
	if (!tap)
		return "its port is missing";
	if (!vm || !vm_has_tap(vm->pid, tap->name))
		return "its port is not its own";
	if (!bridge || tap->master != bridge->ifindex)
		return "its port is not on the network's bridge";
	if (!tap->up || !tap->running)
		return "its port is down";
	return tap->guarded ? NULL : "nothing guards its port";
}

static void check_endpoint(struct check *k, const struct check_endpoint *e)
{
	char v4[NET_ADDR_TEXT] = "", v6[NET_ADDR_TEXT] = "", name[CHECK_TEXT_MAX];
	char state[CHECK_TEXT_MAX], tap[IF_NAMESIZE];
	bool runs = e->container && e->container->runs;
	const char *kernel = "none", *difference = NULL;

	if (!runs && !*e->id)
		return;
	if (e->v4.family)
		net_addr_format(e->v4, v4);
	if (e->v6.family)
		net_addr_format(e->v6, v6);
	(void)snprintf(name, sizeof(name), "%s/%s", e->network ? e->network->name : e->named,
		       e->container ? e->container->name : "?");
	(void)snprintf(state, sizeof(state), *e->id ? "%s%s%s" : "no endpoint", v4,
		       *v4 && *v6 ? " " : "", v6);
	vmnet_link_name("vt", e->id, tap);
	if (!runs)
		difference = "an endpoint of what does not run";
	else if (*e->id && !e->network)
		difference = "its network is gone";
	else if (!*e->id)
		difference = e->container->up ? "no endpoint of what runs" : NULL;
	else if (endpoint_is_vmnet(e))
		difference = port_difference(k, e, underlay_look_find(&k->look, tap));
	if (endpoint_is_vmnet(e))
		kernel = tap;
	else if (runs && *e->id)
		kernel = "inside of the VM";
	check_row(k, "endpoint", name, state, kernel, difference);
}

static void check_endpoints(struct check *k)
{
	char stray[CHECK_TEXT_MAX];

	for (size_t i = 0; i < k->n_endpoints; i++)
		check_endpoint(k, &k->endpoints[i]);
	(void)snprintf(stray, sizeof(stray), "%zu", k->stray_addresses);
	if (k->stray_addresses)
		check_row(k, "addresses", "", stray, "none", "in use by what does not run");
}

static void check_network(struct check *k, const struct check_network *n)
{
	bool vmnet = str_eq(n->driver, "vmnet");
	char state[CHECK_TEXT_MAX], name[IF_NAMESIZE];
	const struct underlay_link *bridge;
	const char *difference = NULL;

	vmnet_link_name("vn", n->id, name);
	bridge = underlay_look_find(&k->look, name);
	(void)snprintf(state, sizeof(state), "%s%s, %zu running", n->driver,
		       n->internal ? " (internal)" : "", n->members);
	if (vmnet && n->members && !bridge)
		difference = "its bridge is missing";
	else if (bridge && (!vmnet || !n->members))
		difference = "a bridge without members";
	else if (bridge && bridge->leads_out == n->internal)
		difference = n->internal ? "its bridge leads outside"
					 : "its bridge does not lead outside";
	check_row(k, "network", n->name, state, bridge ? name : vmnet ? "none" : "", difference);
}

static bool link_is_expected(const struct check *k, const char *link)
{
	char name[IF_NAMESIZE];

	for (size_t i = 0; i < k->n_networks; i++) {
		vmnet_link_name("vn", k->networks[i].id, name);
		if (str_eq(name, link))
			return true;
	}
	for (size_t i = 0; i < k->n_endpoints; i++) {
		vmnet_link_name("vt", k->endpoints[i].id, name);
		if (endpoint_is_vmnet(&k->endpoints[i]) && str_eq(name, link))
			return true;
	}
	return false;
}

/* A port that was taken off its bridge stays until the guest has let go of its card. */
static void check_vmnet_links(struct check *k)
{
	for (size_t i = 0; i < k->look.n_links; i++) {
		const struct underlay_link *link = &k->look.links[i];
		bool port = str_starts(link->name, "vt");
		bool ends = port && !link->master && link->running;

		if ((!port && !str_starts(link->name, "vn")) || link_is_expected(k, link->name))
			continue;
		check_row(k, port ? "port" : "bridge", link->name,
			  ends ? "being unplugged" : "nobody's", link->up ? "up" : "down",
			  ends ? NULL : "no network has it");
	}
}

static int check_look(struct check *k, struct err *err)
{
	int r = check_load_state(k, err);

	if (r == 0)
		r = check_load_kernel(k, err);
	if (r < 0)
		return r;
	buf_addf(&k->text, "%-10s %-24s %-36s %s\n", "WHAT", "NAME", "STATE", "KERNEL");
	check_helpers(k);
	for (size_t i = 0; i < k->n_networks; i++)
		check_network(k, &k->networks[i]);
	check_vms(k);
	check_taps(k);
	check_endpoints(k);
	check_vmnet_links(k);
	check_ports(k);
	return k->failed || k->text.failed || k->differences.failed ? err_oom(err) : 0;
}

static void check_say(char *text, network_check_say_fn say, void *user)
{
	char *line, *save = NULL;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		say(user, line);
}

/**
 * network_check() - Put rows and kernel side by side
 * @config: Roots and database of a daemon, which may be running
 * @say:    Gets every line of the last look
 * @user:   Its argument
 * @ret:    What that found; set on success
 * @err:    Filled if one of the sides cannot be read
 *
 * Takes some seconds if there are differences, to see whether they last.
 *
 * Return: 0, also if there are differences, or negative errno
 */
int network_check(const struct network_check_config *config, network_check_say_fn say, void *user,
		  struct network_check_result *ret, struct err *err)
{
	const struct timespec pause = {.tv_nsec = NETWORK_CHECK_PAUSE_MS * NSEC_PER_MSEC};
	_cleanup_(check_done) struct check k = {.config = config};
	_cleanup_buf_ struct buf before = {};

	for (int i = 0; i < NETWORK_CHECK_LOOKS; i++) {
		int r;

		buf_done(&before);
		before = k.differences;
		k.differences = (struct buf){};
		check_done(&k);
		k.before = before.data;
		if (i > 0)
			(void)nanosleep(&pause, NULL); /* shorter does no harm */
		r = check_look(&k, err);
		if (r < 0)
			return r;
		if (k.result.differences == 0)
			break;
	}
	check_say(k.text.data, say, user);
	*ret = k.result;
	return 0;
}
