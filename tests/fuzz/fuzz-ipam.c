/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-ipam.c - the IPAM part of a network's create request, any bytes: no crash, nothing left over
 *
 * The whole way: checks, subnets and addresses in a real database, what inspect shows, an endpoint
 * on it, removal. What is left afterwards is what was there before.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"
#include "core/core.h"
#include "core/jsonx.h"
#include "core/networks.h"
#include "store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct core fuzz_core;

static char fuzz_dir[] = "/tmp/fuzz-ipam-XXXXXX";

static void fuzz_down(void)
{
	networks_free(fuzz_core.networks);
	store_close(fuzz_core.store);
	(void)fs_remove_tree(fuzz_dir);
}

static void fuzz_up(void)
{
	_cleanup_free_ char *path = NULL;
	struct err err = {0};

	if (!mkdtemp(fuzz_dir) || atexit(fuzz_down) != 0)
		abort();
	path = str_format("%s/db", fuzz_dir);
	if (store_open(path, &fuzz_core.store, &err) < 0 ||
	    networks_new(&fuzz_core, &fuzz_core.networks, &err) < 0)
		abort();
	(void)store_exec(fuzz_core.store,
			 "INSERT INTO containers (id, name, created_ns, image_id, image_bytes,"
			 " platform, rootfs, config, host_config, networking, state)"
			 " VALUES ('c', 'c', 0, '', 0, '', '', '{}', '{}', '{}', 'created')",
			 NULL, NULL, "");
}

static int count_row(void *user, struct store_row *row)
{
	*(int64_t *)user = store_row_int(row, 0);
	return 0;
}

static int64_t count(const char *sql)
{
	int64_t n = -1;

	(void)store_exec(fuzz_core.store, sql, count_row, &n, "");
	return n;
}

/* An endpoint on the network, with the request's gateway as the address it asks for. */
static void fuzz_endpoint(const json_t *ipam)
{
	const struct network_container c = {.id = "c", .name = "c", .hostname = "h", .mode = "f"};
	const json_t *config = json_array_get(json_object_get(ipam, "Config"), 0);
	_cleanup_(network_endpoints_done) struct network_endpoints all = {0};
	_cleanup_json_ json_t *settings =
		json_pack("{s:{s:s}}", "IPAMConfig", "IPv4Address", jx_str(config, "Gateway"));
	struct err err = {0};

	if (network_endpoint_add(fuzz_core.networks, &c, "f", settings, &err) < 0 &&
	    network_endpoint_add(fuzz_core.networks, &c, "f", NULL, &err) < 0)
		return;
	if (network_endpoints_claim(fuzz_core.networks, &c, &all, &err) == 0)
		network_endpoints_release(fuzz_core.networks, "c");
	(void)network_endpoint_remove(fuzz_core.networks, &c, "f", &err);
}

/* Whether the schema would let it pass. */
static int fuzz_is_proper(const json_t *ipam)
{
	json_t *configs = json_object_get(ipam, "Config"), *config, *aux, *value;
	const char *key;
	size_t i;

	if (configs && !json_is_array(configs))
		return 0;
	json_array_foreach (configs, i, config) {
		if (!json_is_object(config))
			return 0;
		aux = json_object_get(config, "AuxiliaryAddresses");
		if (aux && !json_is_object(aux))
			return 0;
		json_object_foreach (aux, key, value)
			if (!json_is_string(value))
				return 0;
	}
	return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_json_ json_t *ipam = NULL, *body = NULL, *shown = NULL;
	struct err err = {0};
	char id[ID_BUF];

	if (!fuzz_core.store)
		fuzz_up();
	ipam = json_loadb((const char *)data, size, 0, NULL);
	if (!json_is_object(ipam) || !fuzz_is_proper(ipam))
		return 0;
	body = json_pack("{s:s, s:s, s:b, s:O}", "Name", "f", "Driver",
			 size & 1 ? "bridge" : "vmnet", "EnableIPv6", (int)(size & 2), "IPAM",
			 ipam);
	if (network_create(fuzz_core.networks, body, id, &err) == 0) {
		if (network_inspect(fuzz_core.networks, "f", NULL, &shown, &err) < 0)
			abort();
		fuzz_endpoint(ipam);
		if (network_remove(fuzz_core.networks, id, &err) < 0)
			abort();
	}
	if (count("SELECT count(*) FROM network_pools") != 1 ||
	    count("SELECT count(*) FROM network_addresses") != 1 ||
	    count("SELECT count(*) FROM endpoints") != 0)
		abort();
	return 0;
}
