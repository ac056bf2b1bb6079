/* SPDX-License-Identifier: Apache-2.0 */
/* network_check_load.c - both sides of the network check: rows, and what is there */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"
#include "core/containers.h"
#include "core/jsonx.h"
#include "core/network_check_impl.h"
#include "store/store.h"
#include "vm/vm.h"

#define CHECK_LOCKS_MAX MIB(1)

/* Room for one more at the end of an array; zeroed. */
#define CHECK_GROW(array, n)                                                                       \
	({                                                                                         \
		__typeof__(array) _grown = reallocarray(array, (n) + 1, sizeof(*(array)));         \
		if (_grown) {                                                                      \
			(array) = _grown;                                                          \
			memset(&(array)[n], 0, sizeof(*(array)));                                  \
		}                                                                                  \
		_grown ? &(array)[(n)++] : NULL;                                                   \
	})

static char *load_dup(struct store_row *row, int column)
{
	return strdup(store_row_text(row, column) ?: "");
}

static void load_id(char out[static ID_BUF], struct store_row *row, int column)
{
	(void)snprintf(out, ID_BUF, "%s", store_row_text(row, column) ?: "");
}

static int load_container(void *user, struct store_row *row)
{
	struct check *k = user;
	struct check_container *c = CHECK_GROW(k->containers, k->n_containers);
	enum container_state state;

	if (!c)
		return -ENOMEM;
	load_id(c->id, row, 0);
	c->name = load_dup(row, 1);
	c->runs = store_row_int(row, 3) == CONTAINER_VM_RUN;
	c->up = c->runs && container_state_parse(store_row_text(row, 2), &state) == 0 &&
		(state == CONTAINER_RUNNING || state == CONTAINER_PAUSED);
	c->config = jx_parse(store_row_text(row, 4));
	c->host_config = jx_parse(store_row_text(row, 5));
	load_id(c->vm_id, row, 6);
	c->joined = store_row_int(row, 7) != 0;
	return c->name && c->config && c->host_config ? 0 : -ENOMEM;
}

static int load_network(void *user, struct store_row *row)
{
	struct check *k = user;
	struct check_network *n = CHECK_GROW(k->networks, k->n_networks);

	if (!n)
		return -ENOMEM;
	load_id(n->id, row, 0);
	n->name = load_dup(row, 1);
	n->driver = load_dup(row, 2);
	n->internal = store_row_int(row, 3) != 0;
	return n->name && n->driver ? 0 : -ENOMEM;
}

static const struct check_container *load_find_container(const struct check *k, const char *id)
{
	for (size_t i = 0; i < k->n_containers; i++)
		if (str_eq(k->containers[i].id, id))
			return &k->containers[i];
	return NULL;
}

static struct check_network *load_find_network(const struct check *k, const char *id)
{
	for (size_t i = 0; i < k->n_networks; i++)
		if (str_eq(k->networks[i].id, id))
			return &k->networks[i];
	return NULL;
}

static void load_addr(struct store_row *row, int column, struct net_addr *ret)
{
	size_t len = 0;
	const void *bytes = store_row_blob(row, column, &len);

	if (bytes)
		(void)net_addr_from_bytes(bytes, len, ret); /* 4 or 16, by the query */
}

static int load_endpoint(void *user, struct store_row *row)
{
	struct check *k = user;
	struct check_endpoint *e = CHECK_GROW(k->endpoints, k->n_endpoints);

	if (!e)
		return -ENOMEM;
	e->container = load_find_container(k, store_row_text(row, 0));
	e->named = load_dup(row, 1);
	e->network = load_find_network(k, store_row_text(row, 2));
	load_id(e->id, row, 3);
	load_addr(row, 4, &e->v4);
	load_addr(row, 5, &e->v6);
	if (e->network && e->container && e->container->runs && *e->id)
		e->network->members++;
	return e->named ? 0 : -ENOMEM;
}

static int load_count(void *user, struct store_row *row)
{
	*(size_t *)user = (size_t)store_row_int(row, 0);
	return 0;
}

/**
 * check_load_state() - What the rows say
 * @k:	 Check, empty
 * @err: Filled on failure
 *
 * Return: 0, or negative errno
 */
int check_load_state(struct check *k, struct err *err)
{
#define LOAD_ADDRESS(len)                                                                          \
	"(SELECT a.address FROM network_addresses a WHERE a.owner = e.container_id"                \
	" AND a.network_id = e.network_id AND a.used = 1 AND length(a.address) = " len ")"
	struct store *store = k->config->store;
	int r = store_exec(store,
			   "SELECT id, name, state, vm, config, host_config,"
			   " iif(vm_id = '', id, vm_id), vm_joined FROM containers"
			   " ORDER BY name",
			   load_container, k, "");

	if (r == 0)
		r = store_exec(store,
			       "SELECT id, name, driver, internal FROM networks ORDER BY name",
			       load_network, k, "");
	if (r == 0)
		r = store_exec(store,
			       "SELECT e.container_id, e.network, e.network_id, e.endpoint_id,"
			       " " LOAD_ADDRESS("4") ", " LOAD_ADDRESS(
				       "16") " FROM endpoints e LEFT JOIN containers c"
					     " ON c.id = e.container_id ORDER BY c.name, e.network",
			       load_endpoint, k, "");
	if (r == 0)
		r = store_exec(store,
			       "SELECT count(*) FROM network_addresses a LEFT JOIN containers c"
			       " ON c.id = a.owner WHERE a.used = 1"
			       " AND a.owner NOT IN ('gateway', 'aux') AND coalesce(c.vm, 0) = 0",
			       load_count, &k->stray_addresses, "");
	return r < 0 ? err_sys(err, r, "cannot read the networks' rows") : 0;
}

/* Whose VM it is: the one that it was started for, or the first of those who joined that. */
static const struct check_container *load_find_vm(const struct check *k, const char *name)
{
	const struct check_container *found = NULL;

	for (size_t i = 0; i < k->n_containers; i++) {
		const struct check_container *c = &k->containers[i];

		if (c->runs && str_eq(c->vm_id, name) && (!found || !c->joined))
			found = c;
	}
	return found ? found : load_find_container(k, name);
}

static int load_vm(void *user, const struct vm_seen *seen)
{
	struct check *k = user;
	struct check_vm *vm = CHECK_GROW(k->vms, k->n_vms);

	if (!vm)
		return -ENOMEM;
	vm->name = strdup(seen->name);
	vm->container = load_find_vm(k, seen->name);
	vm->pid = seen->pid;
	vm->alive = seen->alive;
	vm->nic = seen->nic;
	return vm->name ? 0 : -ENOMEM;
}

static void load_owner(const char *owner, const struct forward_mapping *mappings, size_t n,
		       void *user)
{
	struct check *k = user;
	struct check_owner *o = CHECK_GROW(k->owners, k->n_owners);

	if (o)
		o->mappings = calloc(n ? n : 1, sizeof(*mappings));
	if (!o || !o->mappings) {
		k->failed = true;
		return;
	}
	(void)snprintf(o->id, sizeof(o->id), "%s", owner);
	memcpy(o->mappings, mappings, n * sizeof(*mappings));
	o->n = n;
}

/*
 * Who holds the lock of the exec root, asked without taking it. A line of /proc/locks (proc(5)) is
 * "1: FLOCK  ADVISORY  WRITE 123 fe:01:4711 0 EOF".
 */
static pid_t load_daemon(const char *exec_root)
{
	_cleanup_free_ char *path = str_format("%s/arcad.lock", exec_root), *locks = NULL;
	char *line, *save = NULL;
	struct stat st;

	if (!path || stat(path, &st) < 0 ||
	    fs_read_file("/proc/locks", CHECK_LOCKS_MAX, &locks, NULL) < 0)
		return 0;
	for (line = strtok_r(locks, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		unsigned long long inode;
		int pid;

		if (sscanf(line, "%*d: FLOCK ADVISORY WRITE %d %*x:%*x:%llu", &pid, &inode) == 2 &&
		    inode == st.st_ino)
			return pid;
	}
	return 0;
}

/**
 * check_load_kernel() - What is there
 * @k:	 Check with its state
 * @err: Filled on failure
 *
 * Return: 0, or negative errno
 */
int check_load_kernel(struct check *k, struct err *err)
{
	_cleanup_free_ char *net = str_format("%s/net", k->config->exec_root);
	_cleanup_free_ char *vms = str_format("%s/vm", k->config->exec_root);
	int r;

	if (!net || !vms)
		return err_oom(err);
	k->daemon = load_daemon(k->config->exec_root);
	r = vm_look(vms, load_vm, k);
	if (r < 0)
		return err_sys(err, r, "cannot look for VMs in %s", vms);
	r = underlay_look(net, &k->look, err);
	if (r == 0)
		r = forward_look(net, load_owner, k, &k->forwarder, err);
	return r == 0 && k->failed ? err_oom(err) : r;
}

/**
 * check_done() - Free both sides
 * @k: Check; only its configuration stays
 */
void check_done(struct check *k)
{
	for (size_t i = 0; i < k->n_containers; i++) {
		free(k->containers[i].name);
		json_decref(k->containers[i].config);
		json_decref(k->containers[i].host_config);
	}
	for (size_t i = 0; i < k->n_networks; i++) {
		free(k->networks[i].name);
		free(k->networks[i].driver);
	}
	for (size_t i = 0; i < k->n_endpoints; i++)
		free(k->endpoints[i].named);
	for (size_t i = 0; i < k->n_vms; i++)
		free(k->vms[i].name);
	for (size_t i = 0; i < k->n_owners; i++)
		free(k->owners[i].mappings);
	free(k->containers);
	free(k->networks);
	free(k->endpoints);
	free(k->vms);
	free(k->owners);
	underlay_look_done(&k->look);
	buf_done(&k->text);
	buf_done(&k->differences);
	*k = (struct check){.config = k->config};
}
