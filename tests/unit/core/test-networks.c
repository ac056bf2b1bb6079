/* SPDX-License-Identifier: Apache-2.0 */
/* test-networks.c - networks by the API's verbs, and the boundary to what moves packets */
#include "core/networks.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"
#include "core/core.h"
#include "core/events.h"
#include "core/jsonx.h"
#include "store/store.h"
#include "test.h"

/* What was published: "action network" each. */
static char told[4096];
static pthread_mutex_t told_lock = PTHREAD_MUTEX_INITIALIZER;

void events_publish(struct events *events UNUSED, const char *type UNUSED, const char *action,
		    const char *actor_id UNUSED, json_t *attributes)
{
	pthread_mutex_lock(&told_lock);
	(void)snprintf(told + strlen(told), sizeof(told) - strlen(told), "%s %s;", action,
		       jx_str(attributes, "name"));
	pthread_mutex_unlock(&told_lock);
	json_decref(attributes);
}

struct rig {
	struct core core;
	char dir[64];
	struct networks *networks;
};

static void rig_done(struct rig *rig)
{
	networks_free(rig->networks);
	store_close(rig->core.store);
	(void)fs_remove_tree(rig->dir);
}

static int rig_up(struct rig *rig)
{
	_cleanup_free_ char *path = NULL;
	struct err err = {0};

	(void)snprintf(rig->dir, sizeof(rig->dir), "/tmp/test-networks-XXXXXX");
	if (!mkdtemp(rig->dir))
		return -errno;
	path = str_format("%s/db", rig->dir);
	if (store_open(path, &rig->core.store, &err) < 0)
		return -EIO;
	told[0] = '\0';
	rig->core.events = (struct events *)rig;
	return networks_new(&rig->core, &rig->networks, &err);
}
#define RIG(rig)                                                                                   \
	_cleanup_(rig_done) struct rig rig = {0};                                                  \
	ASSERT_OK(rig_up(&rig))

static int create(struct rig *rig, const char *text, char id[static ID_BUF], struct err *err)
{
	_cleanup_json_ json_t *body = jx_parse(text);

	*err = (struct err){0};
	return network_create(rig->networks, body, id, err);
}

#define ASSERT_CREATES(rig, text)                                                                  \
	do {                                                                                       \
		char _id[ID_BUF];                                                                  \
		struct err _err;                                                                   \
		if (create(rig, text, _id, &_err) < 0)                                             \
			TEST_FAIL("%s", _err.msg);                                                 \
	} while (0)

#define ASSERT_REFUSES(rig, text, expected_kind, expected)                                         \
	do {                                                                                       \
		char _id[ID_BUF];                                                                  \
		struct err _err;                                                                   \
		ASSERT(create(rig, text, _id, &_err) < 0);                                         \
		ASSERT_STREQ(_err.msg, expected);                                                  \
		ASSERT_EQ(_err.kind, expected_kind);                                               \
	} while (0)

static char *shown(struct rig *rig, const char *ref, const char *key)
{
	_cleanup_json_ json_t *json = NULL;
	struct err err = {0};

	if (network_inspect(rig->networks, ref, NULL, &json, &err) < 0)
		return strdup(err.msg);
	return jx_text(json_object_get(json, key));
}

#define ASSERT_SHOWS(rig, ref, key, expected)                                                      \
	do {                                                                                       \
		_cleanup_free_ char *_text = shown(rig, ref, key);                                 \
		ASSERT_STREQ(_text, expected);                                                     \
	} while (0)

/* A container's row, as far as endpoints need it. id: one hex digit, repeated. */
static const char *container(struct rig *rig, char digit, const char *name, const char *settings)
{
	static char ids[16][ID_BUF];
	char *id = ids[digit <= '9' ? digit - '0' : digit - 'a' + 10];
	_cleanup_json_ json_t *map = jx_parse(settings);
	struct err err = {0};

	memset(id, digit, ID_LEN);
	if (store_exec(rig->core.store,
		       "INSERT INTO containers (id, name, created_ns, image_id, image_bytes,"
		       " platform, rootfs, config, host_config, networking, state)"
		       " VALUES (?, ?, 0, '', 0, '', '', '{}', '{}', '{}', 'created')",
		       NULL, NULL, "ss", id, name) < 0 ||
	    network_endpoints_insert(rig->networks, id, map, &err) < 0)
		return "";
	return id;
}

static struct network_container who(const char *id, const char *name, const char *mode)
{
	return (struct network_container){.id = id, .name = name, .hostname = "host", .mode = mode};
}

TEST(predefined_networks_are_there_and_stay)
{
	RIG(rig);
	struct err err = {0};

	ASSERT_SHOWS(&rig, "bridge", "IPAM",
		     "{\"Driver\":\"default\",\"Options\":null,\"Config\":[{\"Subnet\":"
		     "\"172.17.0.0/16\",\"Gateway\":\"172.17.0.1\"}]}");
	ASSERT_SHOWS(&rig, "host", "Driver", "\"host\"");
	ASSERT_SHOWS(&rig, "none", "Driver", "\"null\"");
	ASSERT(network_remove(rig.networks, "bridge", &err) < 0);
	ASSERT_STREQ(err.msg, "bridge is a pre-defined network and cannot be removed");
	ASSERT_EQ(err.kind, ERR_FORBIDDEN);
	networks_free(rig.networks);
	rig.networks = NULL;
	ASSERT_OK(networks_new(&rig.core, &rig.networks, &err)); /* a second start */
	ASSERT_SHOWS(&rig, "bridge", "Name", "\"bridge\"");
}

/* Goal: another --bip is obeyed at the next start, unless a container runs on the bridge. */
TEST(bip_makes_the_bridge_anew)
{
	RIG(rig);
	_cleanup_(network_endpoints_done) struct network_endpoints all = {0};
	const char *id = container(&rig, 'a', "a", "{\"bridge\":{}}");
	struct network_container a = who(id, "a", "bridge");
	struct err err = {0};

	ASSERT_OK(network_endpoints_claim(rig.networks, &a, &all, &err));
	networks_free(rig.networks);
	rig.core.config.networks.bip = "10.201.0.5/24";
	ASSERT_OK(networks_new(&rig.core, &rig.networks, &err));
	ASSERT_SHOWS(&rig, "bridge", "IPAM",
		     "{\"Driver\":\"default\",\"Options\":null,\"Config\":[{\"Subnet\":"
		     "\"172.17.0.0/16\",\"Gateway\":\"172.17.0.1\"}]}");
	network_endpoints_release(rig.networks, id);
	networks_free(rig.networks);
	ASSERT_OK(networks_new(&rig.core, &rig.networks, &err));
	ASSERT_SHOWS(&rig, "bridge", "IPAM",
		     "{\"Driver\":\"default\",\"Options\":null,\"Config\":[{\"Subnet\":"
		     "\"10.201.0.0/24\",\"Gateway\":\"10.201.0.5\"}]}");
	network_endpoints_done(&all);
	ASSERT_OK(network_endpoints_claim(rig.networks, &a, &all, &err));
	ASSERT(all.items[0].v4.number == 0x0ac90001);
	networks_free(rig.networks);
	rig.networks = NULL;
	rig.core.config.networks.bip = "10.201.0.0/24";
	ASSERT(networks_new(&rig.core, &rig.networks, &err) < 0);
}

TEST(create_refuses_in_dockers_words)
{
	RIG(rig);

	ASSERT_CREATES(&rig, "{\"Name\":\"there\",\"IPAM\":{\"Config\":[{\"Subnet\":"
			     "\"10.1.0.0/16\"}]}}");
	ASSERT_REFUSES(&rig, "{\"Name\":\"there\"}", ERR_CONFLICT,
		       "network with name there already exists");
	ASSERT_REFUSES(&rig, "{\"Name\":\" \"}", ERR_INVALID, "invalid name: name is empty");
	ASSERT_REFUSES(&rig, "{\"Name\":\"host\"}", ERR_FORBIDDEN,
		       "operation is not permitted on predefined host network ");
	ASSERT_REFUSES(&rig, "{\"Name\":\"x\",\"Driver\":\"bogus\"}", ERR_NOT_FOUND,
		       "plugin \"bogus\" not found");
	ASSERT_REFUSES(&rig, "{\"Name\":\"x\",\"Driver\":\"null\"}", ERR_FORBIDDEN,
		       "only one instance of \"null\" network is allowed");
	ASSERT_REFUSES(&rig, "{\"Name\":\"x\",\"EnableIPv4\":false}", ERR_INVALID,
		       "IPv4 or IPv6 must be enabled");
	ASSERT_REFUSES(&rig,
		       "{\"Name\":\"x\",\"Options\":{\"com.docker.network.driver.mtu\":\"-1\"}}",
		       ERR_INVALID, "invalid MTU number: -1");
	ASSERT_REFUSES(&rig,
		       "{\"Name\":\"x\",\"Options\":{\"com.docker.network.bridge."
		       "gateway_mode_ipv4\":\"isolated\"}}",
		       ERR_INTERNAL,
		       "gateway mode 'isolated' can only be used for an internal network");
	ASSERT_REFUSES(&rig,
		       "{\"Name\":\"x\",\"IPAM\":{\"Config\":[{\"Subnet\":\"10.2.0.1/16\","
		       "\"Gateway\":\"y\"},{\"Subnet\":\"\"}]}}",
		       ERR_INVALID,
		       "invalid network config:\n* invalid subnet 10.2.0.1/16: it should be "
		       "10.2.0.0/16\n* invalid gateway y: invalid address\n* invalid subnet : "
		       "invalid CIDR block notation");
	ASSERT_REFUSES(&rig,
		       "{\"Name\":\"x\",\"IPAM\":{\"Config\":[{\"Subnet\":\"10.2.0.0/16\"},"
		       "{\"Subnet\":\"10.3.0.0/16\"}]}}",
		       ERR_FORBIDDEN, "bridge driver doesn't support multiple subnets");
	ASSERT_REFUSES(&rig,
		       "{\"Name\":\"x\",\"IPAM\":{\"Config\":[{\"Subnet\":\"10.1.7.0/24\"}]}}",
		       ERR_FORBIDDEN,
		       "invalid pool request: Pool overlaps with other one on this address space");
	/* nothing of what failed is left */
	ASSERT_CREATES(&rig, "{\"Name\":\"x\",\"IPAM\":{\"Config\":[{\"Subnet\":"
			     "\"10.2.0.0/16\"}]}}");
}

TEST(a_network_keeps_what_it_was_made_with)
{
	RIG(rig);

	ASSERT_CREATES(&rig,
		       "{\"Name\":\"n\",\"EnableIPv6\":true,\"Internal\":true,"
		       "\"Attachable\":true,\"Labels\":{\"a\":\"b\"},\"Options\":{\"x\":\"y\"},"
		       "\"IPAM\":{\"Driver\":\"default\",\"Options\":{\"o\":\"p\"},\"Config\":["
		       "{\"Subnet\":\"FD00:5:0::/64\",\"Gateway\":\"\"},"
		       "{\"Subnet\":\"10.1.0.0/16\",\"IPRange\":\"10.1.2.0/24\",\"Gateway\":"
		       "\"10.1.0.9\",\"AuxiliaryAddresses\":{\"r\":\"10.1.2.1\"}}]}}");
	ASSERT_SHOWS(
		&rig, "n", "IPAM",
		"{\"Driver\":\"default\",\"Options\":{\"o\":\"p\"},\"Config\":[{\"Subnet\":"
		"\"10.1.0.0/16\",\"IPRange\":\"10.1.2.0/24\",\"Gateway\":\"10.1.0.9\","
		"\"AuxiliaryAddresses\":{\"r\":\"10.1.2.1\"}},{\"Subnet\":\"FD00:5:0::/64\"}]}");
	ASSERT_SHOWS(&rig, "n", "Options", "{\"x\":\"y\"}");
	ASSERT_SHOWS(&rig, "n", "Labels", "{\"a\":\"b\"}");
	ASSERT_SHOWS(&rig, "n", "Internal", "true");
	ASSERT_STREQ(told, "create n;");
}

TEST(names_come_before_prefixes_and_prefixes_must_be_unique)
{
	RIG(rig);
	char id[ID_BUF], other[ID_BUF], body[128], five[6], six[7];
	struct err err;

	ASSERT_OK(create(&rig, "{\"Name\":\"one\"}", id, &err));
	(void)snprintf(five, sizeof(five), "%.5s", id);
	(void)snprintf(six, sizeof(six), "%.6s", id);
	(void)snprintf(body, sizeof(body), "{\"Name\":\"%.5s\"}", id);
	ASSERT_OK(create(&rig, body, other, &err));
	(void)snprintf(body, sizeof(body), "\"%s\"", other);
	ASSERT_SHOWS(&rig, five, "Id", body);
	(void)snprintf(body, sizeof(body), "\"%s\"", id);
	ASSERT_SHOWS(&rig, six, "Id", body);
	ASSERT(network_remove(rig.networks, "", &err) < 0);
	ASSERT_STREQ(err.msg, "network  is ambiguous (5 matches found based on ID prefix)");
	ASSERT_SHOWS(&rig, "", "Id", "5 matches found based on ID prefix: network  is ambiguous");
	ASSERT_SHOWS(&rig, "nope", "Id", "network nope not found");
}

TEST(configuration_networks)
{
	RIG(rig);
	struct err err = {0};

	ASSERT_CREATES(&rig,
		       "{\"Name\":\"co\",\"ConfigOnly\":true,\"Driver\":\"bridge\",\"Labels\":"
		       "{\"l\":\"m\"},\"IPAM\":{\"Config\":[{\"Subnet\":\"10.1.0.0/16\"}]}}");
	ASSERT_SHOWS(&rig, "co", "Driver", "\"null\"");
	ASSERT_REFUSES(&rig, "{\"Name\":\"cf\",\"ConfigFrom\":{\"Network\":\"nope\"}}",
		       ERR_NOT_FOUND, "configuration network \"nope\" does not exist");
	ASSERT_REFUSES(
		&rig,
		"{\"Name\":\"cf\",\"ConfigFrom\":{\"Network\":\"co\"},\"Options\":{\"a\":\"b\"}}",
		ERR_FORBIDDEN,
		"network driver options are not supported if the network depends on a "
		"configuration network");
	ASSERT_CREATES(&rig, "{\"Name\":\"cf\",\"ConfigFrom\":{\"Network\":\"co\"}}");
	ASSERT_SHOWS(&rig, "cf", "Labels", "{\"l\":\"m\"}");
	ASSERT_SHOWS(&rig, "cf", "IPAM",
		     "{\"Driver\":\"default\",\"Options\":null,\"Config\":[{\"Subnet\":"
		     "\"10.1.0.0/16\"}]}");
	ASSERT(network_remove(rig.networks, "co", &err) < 0);
	ASSERT_STREQ(err.msg,
		     "error while removing network: configuration network \"co\" is in use");
}

#define N                                                                                          \
	"{\"Name\":\"n\",\"EnableIPv6\":true,\"IPAM\":{\"Config\":[{\"Subnet\":\"10.1.0.0/16\"},"  \
	"{\"Subnet\":\"fd00::/64\"}]},\"Options\":{\"com.docker.network.driver.mtu\":\"1400\"}}"
#define M "{\"Name\":\"m\",\"IPAM\":{\"Config\":[{\"Subnet\":\"10.2.0.0/16\"}]}}"

/* Goal: a start has everything the guest needs, and an end gives it back once. */
TEST(claim_and_release)
{
	RIG(rig);
	_cleanup_(network_endpoints_done) struct network_endpoints all = {0}, again = {0};
	_cleanup_json_ json_t *json = NULL;
	struct err err = {0};
	struct network_container a;

	ASSERT_CREATES(&rig, N);
	ASSERT_CREATES(&rig, M);
	a = who(container(&rig, 'a', "a",
			  "{\"n\":{\"Aliases\":[\"al\",\"a\"]},\"m\":{\"GwPriority\":1,"
			  "\"MacAddress\":\"02:00:00:00:00:07\"}}"),
		"a", "n");
	told[0] = '\0';
	ASSERT_OK(network_endpoints_claim(rig.networks, &a, &all, &err));
	ASSERT_STREQ(told, "connect n;connect m;");
	ASSERT_EQ(all.n, 2);
	ASSERT_EQ(strlen(all.sandbox_id), ID_LEN);
	ASSERT_STREQ(all.items[0].network, "n"); /* the main one first */
	ASSERT_STREQ(all.items[0].interface, "eth0");
	ASSERT_STREQ(all.items[1].interface, "eth1");
	ASSERT_EQ(all.items[0].mtu, 1400);
	ASSERT_EQ(all.items[0].v4_bits, 16);
	ASSERT_EQ(all.items[0].v6_bits, 64);
	ASSERT(all.items[0].v4.number == 0x0a010002 && all.items[0].gateway4.number == 0x0a010001);
	ASSERT(all.items[0].has_dns && !all.items[0].internal);
	/* it leads out by both families, which counts before priority */
	ASSERT(all.items[0].default_route4 && all.items[0].default_route6);
	ASSERT(!all.items[1].default_route4 && !all.items[1].default_route6);
	ASSERT_EQ(all.items[1].mac[5], 7);
	{
		_cleanup_free_ char *names = jx_text(all.items[0].dns_names);

		ASSERT_STREQ(names, "[\"a\",\"al\",\"aaaaaaaaaaaa\",\"host\"]");
	}
	/* a new daemon reads the same */
	ASSERT_OK(network_endpoints_load(rig.networks, &a, &again, &err));
	ASSERT_STREQ(again.items[0].endpoint_id, all.items[0].endpoint_id);
	ASSERT_STREQ(again.sandbox_id, all.sandbox_id);
	ASSERT(memcmp(again.items[0].mac, all.items[0].mac, NET_MAC_BYTES) == 0);
	ASSERT(again.items[0].v6.number == all.items[0].v6.number);
	ASSERT(again.items[0].default_route4);
	ASSERT(network_remove(rig.networks, "n", &err) < 0);
	ASSERT(str_starts(
		err.msg, "error while removing network: network n has active endpoints (name:\"a\" "
			 "id:\""));
	told[0] = '\0';
	network_endpoints_release(rig.networks, a.id);
	network_endpoints_release(rig.networks, a.id);
	ASSERT_STREQ(told, "disconnect m;disconnect n;");
	network_endpoints_done(&again);
	ASSERT_OK(network_endpoints_load(rig.networks, &a, &again, &err));
	json = network_endpoints_json(&again);
	ASSERT_STREQ(jx_str(json_object_get(json, "n"), "IPAddress"), "");
	ASSERT_STREQ(jx_str(json_object_get(json, "m"), "MacAddress"), "");
	ASSERT_EQ(strlen(jx_str(json_object_get(json, "n"), "NetworkID")), ID_LEN);
	ASSERT_OK(network_remove(rig.networks, "m", &err)); /* nobody runs on it */
	network_endpoints_done(&again);
	ASSERT(network_endpoints_claim(rig.networks, &a, &again, &err) < 0);
	ASSERT(str_starts(err.msg, "failed to set up container networking: network "));
	ASSERT_EQ(err.kind, ERR_NOT_FOUND);
}

/* Goal: when one endpoint fails, no other has anything. */
TEST(claim_is_all_or_nothing)
{
	RIG(rig);
	_cleanup_(network_endpoints_done) struct network_endpoints all = {0};
	struct err err = {0};
	struct network_container a, b;

	ASSERT_CREATES(&rig, N);
	ASSERT_CREATES(&rig, M);
	a = who(container(&rig, 'a', "a",
			  "{\"n\":{},\"m\":{\"IPAMConfig\":{\"IPv4Address\":"
			  "\"10.2.0.1\"}}}"),
		"a", "n");
	b = who(container(&rig, 'b', "b", "{\"n\":{}}"), "b", "n");
	ASSERT(network_endpoints_claim(rig.networks, &a, &all, &err) < 0);
	ASSERT_STREQ(err.msg, "failed to set up container networking: Address already in use");
	ASSERT_EQ(err.kind, ERR_FORBIDDEN);
	ASSERT_EQ(all.n, 0);
	ASSERT_SHOWS(&rig, "n", "Containers", "{}");
	ASSERT_OK(network_endpoints_claim(rig.networks, &b, &all, &err));
	ASSERT(all.items[0].v4.number == 0x0a010002);
}

TEST(addresses_are_stable_while_the_container_exists)
{
	RIG(rig);
	_cleanup_(network_endpoints_done) struct network_endpoints all = {0};
	struct err err = {0};
	struct network_container a, b;

	ASSERT_CREATES(&rig, M);
	a = who(container(&rig, 'a', "a", "{\"m\":{}}"), "a", "m");
	b = who(container(&rig, 'b', "b", "{\"m\":{}}"), "b", "m");
	ASSERT_OK(network_endpoints_claim(rig.networks, &a, &all, &err));
	network_endpoints_release(rig.networks, a.id);
	network_endpoints_done(&all);
	ASSERT_OK(network_endpoints_claim(rig.networks, &b, &all, &err));
	ASSERT(all.items[0].v4.number == 0x0a020003);
	network_endpoints_done(&all);
	ASSERT_OK(network_endpoints_claim(rig.networks, &a, &all, &err));
	ASSERT(all.items[0].v4.number == 0x0a020002);
	network_endpoints_done(&all);
	/* removed: the trigger frees it */
	ASSERT_OK(store_exec(rig.core.store, "DELETE FROM containers WHERE name = 'a'", NULL, NULL,
			     ""));
	a = who(container(&rig, 'c', "c", "{\"m\":{}}"), "c", "m");
	ASSERT_OK(network_endpoints_claim(rig.networks, &a, &all, &err));
	ASSERT(all.items[0].v4.number == 0x0a020002);
}

static int check(struct rig *rig, const char *host, const char *networking, struct err *err)
{
	_cleanup_json_ json_t *h = jx_parse(host), *n = jx_parse(networking), *out = NULL;
	_cleanup_json_ json_t *config = json_object(), *warnings = json_array();

	*err = (struct err){0};
	return network_settings_plan(rig->networks, config, h, n, warnings, &out, err);
}

TEST(settings_are_refused_in_dockers_words)
{
	static const struct {
		const char *network, *settings, *message;
	} cases[] = {
		{"m", "{\"IPAMConfig\":{\"IPv4Address\":\"x\"}}",
		 "invalid config for network m: invalid endpoint settings:\n* invalid IPv4 "
		 "address: x"
		 "\n* no configured subnet or ip-range contain the IP address x"},
		{"m", "{\"IPAMConfig\":{\"IPv6Address\":\"fd00::1\"}}",
		 "invalid config for network m: invalid endpoint settings:\nuser specified IP "
		 "address "
		 "is supported only when connecting to networks with user configured subnets"},
		{"bridge", "{\"Aliases\":[\"x\"]}",
		 "invalid config for network bridge: invalid endpoint settings:\nnetwork-scoped "
		 "alias "
		 "is supported only for containers in user defined networks"},
		{"m", "{\"MacAddress\":\"x\"}",
		 "invalid config for network m: invalid MAC address x"},
		{"m", "null", "invalid config for network m: EndpointsConfig is nil"},
		{"m", "{\"IPAMConfig\":{\"LinkLocalIPs\":[\"x\"]}}",
		 "invalid config for network m: invalid endpoint settings:\ninvalid link-local IP "
		 "address: x"},
		{"nope", "{\"IPAMConfig\":{\"IPv4Address\":\"10.9.9.9\"}}", NULL},
	};
	RIG(rig);
	struct err err;

	ASSERT_CREATES(&rig, M);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char body[512];
		int r;

		(void)snprintf(body, sizeof(body), "{\"EndpointsConfig\":{\"%s\":%s}}",
			       cases[i].network, cases[i].settings);
		r = check(&rig, "{\"NetworkMode\":\"m\"}", body, &err);
		ASSERT_EQ(r < 0, cases[i].message != NULL);
		if (cases[i].message)
			ASSERT_STREQ(err.msg, cases[i].message);
	}
}

static char *keys(struct rig *rig, const struct network_container *container)
{
	_cleanup_(network_endpoints_done) struct network_endpoints all = {0};
	char text[256] = "";
	struct err err = {0};

	if (network_endpoints_load(rig->networks, container, &all, &err) < 0)
		return strdup(err.msg);
	for (size_t i = 0; i < all.n; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ",
			       all.items[i].network);
	return strdup(text);
}

#define ASSERT_KEYS(rig, container, expected)                                                      \
	do {                                                                                       \
		_cleanup_free_ char *_keys = keys(rig, container);                                 \
		ASSERT_STREQ(_keys, expected);                                                     \
	} while (0)

TEST(connect_and_disconnect_change_rows)
{
	RIG(rig);
	_cleanup_json_ json_t *settings = jx_parse("{\"Aliases\":[\"al\"]}");
	struct err err = {0};
	struct network_container a, b;

	ASSERT_CREATES(&rig, M);
	a = who(container(&rig, 'a', "a", "{\"bridge\":{}}"), "a", "bridge");
	b = who(container(&rig, 'b', "b", "{\"none\":{}}"), "b", "none");
	ASSERT_OK(network_endpoint_add(rig.networks, &a, "m", settings, &err));
	ASSERT_OK(network_endpoint_add(rig.networks, &a, "m", NULL, &err)); /* no change */
	ASSERT_KEYS(&rig, &a, "bridge m ");
	ASSERT(network_endpoint_add(rig.networks, &a, "nope", NULL, &err) < 0);
	ASSERT_STREQ(err.msg, "network nope not found");
	ASSERT(network_endpoint_add(rig.networks, &a, "none", NULL, &err) < 0);
	ASSERT_STREQ(err.msg, "container cannot be connected to multiple networks with one of the "
			      "networks in private (none) mode");
	ASSERT(network_endpoint_add(rig.networks, &b, "m", NULL, &err) < 0);
	ASSERT(network_endpoint_add(rig.networks, &a, "host", NULL, &err) < 0);
	ASSERT_STREQ(err.msg,
		     "cannot connect container to host network - container must be created "
		     "in host network mode");
	ASSERT_OK(network_endpoint_remove(rig.networks, &a, "bridge", &err));
	ASSERT_KEYS(&rig, &a, "m ");
	ASSERT(network_endpoint_remove(rig.networks, &a, "bridge", &err) < 0);
	ASSERT(strstr(err.msg, "is not connected to the network bridge") != NULL);
	ASSERT_EQ(err.kind, ERR_INTERNAL);
	ASSERT_OK(network_remove(rig.networks, "m", &err));
	ASSERT_OK(network_endpoint_remove(rig.networks, &a, "m", &err)); /* gone, but named */
	ASSERT(network_endpoint_remove(rig.networks, &a, "m", &err) < 0);
	ASSERT_STREQ(err.msg, "network m not found");
	ASSERT_STREQ(told, "create m;destroy m;");
}

/* Goal: what a live connect needs: one endpoint more, with the next interface. */
TEST(claim_of_one_more)
{
	RIG(rig);
	_cleanup_(network_endpoints_done) struct network_endpoints all = {0};
	struct err err = {0};
	struct network_container a;
	char id[ID_BUF];

	ASSERT_CREATES(&rig, M);
	a = who(container(&rig, 'a', "a", "{\"bridge\":{}}"), "a", "bridge");
	ASSERT_OK(network_endpoints_claim(rig.networks, &a, &all, &err));
	network_endpoints_done(&all);
	ASSERT_OK(network_endpoint_add(rig.networks, &a, "m", NULL, &err));
	ASSERT_OK(network_resolve(rig.networks, "m", id, &err));
	ASSERT_OK(network_endpoint_claim(rig.networks, &a, id, &err));
	ASSERT_OK(network_endpoints_load(rig.networks, &a, &all, &err));
	ASSERT_STREQ(all.items[1].interface, "eth1");
	ASSERT(all.items[1].v4.number == 0x0a020002);
	ASSERT(network_endpoint_add(rig.networks, &a, "m", NULL, &err) < 0);
	ASSERT_STREQ(err.msg, "endpoint with name a already exists in network m");
	ASSERT_OK(network_endpoint_remove(rig.networks, &a, "m", &err));
	ASSERT_SHOWS(&rig, "m", "Containers", "{}");
}

/* Goal: host-gateway is the default bridge's gateway, or what the daemon was told. */
TEST(host_gateway_is_the_bridges_unless_given)
{
	static const char *const given[] = {"10.1.2.3", "fd00::9", NULL};
	static const char *const twice[] = {"10.1.2.3", "10.1.2.4", NULL};
	static const char *const bad[] = {"x", NULL};
	char text[NET_ADDR_TEXT];
	struct err err = {0};
	RIG(rig);

	net_addr_format(networks_host_gateway(rig.networks, 4), text);
	ASSERT_STREQ(text, "172.17.0.1");
	ASSERT_EQ(networks_host_gateway(rig.networks, 6).family, 0);
	networks_free(rig.networks);
	rig.networks = NULL;
	rig.core.config.networks.host_gateways = twice;
	ASSERT_ERROR(networks_new(&rig.core, &rig.networks, &err), EINVAL);
	ASSERT_STREQ(err.msg, "only one IPv4 host gateway IP address can be specified");
	rig.core.config.networks.host_gateways = bad;
	ASSERT_ERROR(networks_new(&rig.core, &rig.networks, &err), EINVAL);
	rig.core.config.networks.host_gateways = given;
	ASSERT_OK(networks_new(&rig.core, &rig.networks, &err));
	net_addr_format(networks_host_gateway(rig.networks, 4), text);
	ASSERT_STREQ(text, "10.1.2.3");
	net_addr_format(networks_host_gateway(rig.networks, 6), text);
	ASSERT_STREQ(text, "fd00::9");
}

TEST(rename_renames_in_dns)
{
	RIG(rig);
	_cleanup_(network_endpoints_done) struct network_endpoints all = {0};
	_cleanup_free_ char *names = NULL;
	struct err err = {0};
	struct network_container a;

	ASSERT_CREATES(&rig, M);
	a = who(container(&rig, 'a', "a", "{\"m\":{}}"), "a", "m");
	ASSERT_OK(network_endpoints_claim(rig.networks, &a, &all, &err));
	network_endpoints_done(&all);
	a.name = "new";
	ASSERT_OK(network_endpoints_rename(rig.networks, &a));
	ASSERT_OK(network_endpoints_load(rig.networks, &a, &all, &err));
	names = jx_text(all.items[0].dns_names);
	ASSERT_STREQ(names, "[\"new\",\"aaaaaaaaaaaa\",\"host\"]");
}

static size_t listed(struct rig *rig, const char *filters)
{
	_cleanup_json_ json_t *parsed = jx_parse(filters), *list = NULL;
	struct err err = {0};

	return network_list(rig->networks, parsed, &list, &err) < 0 ? 999 : json_array_size(list);
}

TEST(filters_and_prune)
{
	RIG(rig);
	_cleanup_(network_endpoints_done) struct network_endpoints all = {0};
	_cleanup_json_ json_t *deleted = json_array();
	struct err err = {0};
	struct network_container a;

	ASSERT_CREATES(&rig, M);
	ASSERT_CREATES(&rig, "{\"Name\":\"x\",\"Driver\":\"vmnet\",\"Labels\":{\"k\":\"v\"}}");
	ASSERT_CREATES(&rig, "{\"Name\":\"y\"}");
	a = who(container(&rig, 'a', "a", "{\"m\":{}}"), "a", "m");
	ASSERT_OK(network_endpoints_claim(rig.networks, &a, &all, &err));
	ASSERT_EQ(listed(&rig, "{}"), 6);
	ASSERT_EQ(listed(&rig, "{\"driver\":[\"bridge\"]}"), 3);
	ASSERT_EQ(listed(&rig, "{\"driver\":[\"vmnet\"]}"), 1);
	ASSERT_EQ(listed(&rig, "{\"type\":[\"custom\"]}"), 3);
	ASSERT_EQ(listed(&rig, "{\"type\":[\"builtin\"]}"), 3);
	ASSERT_EQ(listed(&rig, "{\"type\":[\"bad\"]}"), 999);
	ASSERT_EQ(listed(&rig, "{\"dangling\":[\"true\"]}"), 2);
	ASSERT_EQ(listed(&rig, "{\"dangling\":[\"0\"]}"), 4);
	ASSERT_EQ(listed(&rig, "{\"dangling\":[\"maybe\"]}"), 999);
	ASSERT_EQ(listed(&rig, "{\"label\":[\"k=v\"]}"), 1);
	ASSERT_EQ(listed(&rig, "{\"scope\":[\"swarm\"]}"), 0);
	ASSERT_OK(network_prune(rig.networks, NULL, deleted, &err));
	ASSERT_EQ(json_array_size(deleted), 2);
	ASSERT_EQ(listed(&rig, "{}"), 4);
}

TEST_MAIN()
