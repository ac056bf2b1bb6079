/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/options.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "test.h"

TEST_MAIN()

#define PARSE(opts, err, ...)                                                                      \
	({                                                                                         \
		char *argv[] = {(char *)"arcad", __VA_ARGS__, NULL};                               \
		options_parse(opts, (int)(sizeof(argv) / sizeof(argv[0])) - 1, argv, err);         \
	})

/* Goal: dockerd's spellings all arrive. */
TEST(options_take_dockerds_flags)
{
	_cleanup_(options_done) struct options opts = {0};
	struct err err = {0};

	ASSERT_OK(PARSE(&opts, &err, (char *)"-H", (char *)"unix:///tmp/a", (char *)"-Hfd://",
			(char *)"--host=tcp://127.0.0.1:1", (char *)"-D", (char *)"--data-root",
			(char *)"/d", (char *)"--vm-memory=1g", (char *)"--accel", (char *)"tcg",
			(char *)"--validate", (char *)"--network-check", (char *)"--version"));
	ASSERT(opts.network_check);
	ASSERT_EQ(opts.hosts.n, 3);
	ASSERT_STREQ(opts.hosts.items[0], "unix:///tmp/a");
	ASSERT_STREQ(opts.hosts.items[1], "fd://");
	ASSERT_STREQ(opts.data_root, "/d");
	ASSERT_EQ(opts.vm_memory_mib, 1024);
	ASSERT_EQ(opts.accel, VM_ACCEL_TCG);
	ASSERT(opts.debug && opts.validate);
}

/* Goal: the word behind --gc-check may be left out, and what follows is not taken for it. */
TEST(options_take_a_check_with_and_without_a_word)
{
	_cleanup_(options_done) struct options plain = {0}, full = {0}, bad = {0};
	struct err err = {0};

	ASSERT_OK(PARSE(&plain, &err, (char *)"--gc-check", (char *)"--data-root", (char *)"/d",
			(char *)"--version"));
	ASSERT_EQ(plain.gc_check, GC_CHECK_QUICK);
	ASSERT_STREQ(plain.data_root, "/d");
	ASSERT_OK(PARSE(&full, &err, (char *)"--gc-check=full", (char *)"--version"));
	ASSERT_EQ(full.gc_check, GC_CHECK_FULL);
	ASSERT(!plain.network_check && !full.network_check);
	ASSERT_ERROR(PARSE(&bad, &err, (char *)"--gc-check=some"), EINVAL);
}

/* Goal: what cannot be meant is refused by name. */
TEST(options_refuse_what_they_do_not_know)
{
	static char *const bad[] = {(char *)"--nosuch",		(char *)"stray",
				    (char *)"--accel=xen",	(char *)"--vm-memory=3",
				    (char *)"--log-level=loud", (char *)"--data-root"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		_cleanup_(options_done) struct options opts = {0};
		struct err err = {0};

		ASSERT(PARSE(&opts, &err, bad[i]) < 0);
		ASSERT_EQ(err.kind, ERR_INVALID);
		ASSERT(err.msg[0]);
	}
}

static int parse_file(struct options *opts, const char *json, struct err *err);

/* Goal: a flag for each, a list in daemon.json. */
TEST(options_read_host_gateways)
{
	_cleanup_(options_done) struct options opts = {0}, file = {0};
	struct err err = {0};

	ASSERT_OK(PARSE(&opts, &err, (char *)"--host-gateway-ip=10.1.1.1",
			(char *)"--host-gateway-ip", (char *)"fd00::1", (char *)"--version"));
	ASSERT_EQ(opts.host_gateways.n, 2);
	ASSERT_STREQ(opts.host_gateways.items[1], "fd00::1");
	ASSERT_OK(parse_file(&file, "{\"host-gateway-ips\":[\"10.1.1.1\"]}", &err));
	ASSERT_STREQ(file.host_gateways.items[0], "10.1.1.1");
}

/* Goal: what dockerd 28.5.2 refuses, in its words; after the file's name where they name it. */
TEST(options_refuse_bad_host_gateways)
{
	static const struct {
		const char *flag[2], *file, *why;
	} bad[] = {
		{{"1.2.3"},
		 NULL,
		 "invalid argument \"1.2.3\" for \"--host-gateway-ip\" flag: "
		 "ParseAddr(\"1.2.3\"): IPv4 address too short"},
		{{"1.2.3.4", "bad"},
		 NULL,
		 "invalid argument \"bad\" for \"--host-gateway-ip\" flag: ParseAddr(\"bad\"): "
		 "unable to parse IP"},
		{{"1.2.3.4", "1.2.3.5"},
		 NULL,
		 "only one IPv4 host gateway IP address can be specified"},
		{{"::1", "::2"}, NULL, "only one IPv6 host gateway IP address can be specified"},
		{{NULL},
		 "{\"host-gateway-ip\":\"1.2.3.04\"}",
		 ": invalid JSON: invalid IP address: 1.2.3.04"},
		{{NULL},
		 "{\"host-gateway-ip\":\"1.2.3.4,::1\"}",
		 ": invalid JSON: invalid IP address: 1.2.3.4,::1"},
		{{NULL},
		 "{\"host-gateway-ips\":[\"::1\",\"1.2.3.4,::1\"]}",
		 ": invalid JSON: ParseAddr(\"1.2.3.4,::1\"): unexpected character (at \",::1\")"},
		{{NULL},
		 "{\"host-gateway-ips\":[\"1.2.3.4\",\"1.2.3.4\"]}",
		 "only one IPv4 host gateway IP address can be specified"},
		{{NULL},
		 "{\"host-gateway-ip\":null,\"host-gateway-ips\":[]}",
		 ": host-gateway-ip and host-gateway-ips must not both be specified in the config "
		 "file"},
		{{NULL},
		 "{\"host-gateway-ip\":[\"1.2.3.4\"]}",
		 "the value of \"host-gateway-ip\" has the wrong type"},
		{{NULL},
		 "{\"host-gateway-ips\":\"1.2.3.4\"}",
		 "the value of \"host-gateway-ips\" has the wrong type"},
		{{NULL},
		 "{\"host-gateway-ips\":[7]}",
		 "the value of \"host-gateway-ips\" has the wrong type"},
		{{NULL},
		 "{\"host-gateway-ip\":\"::1%lo\"}",
		 ": invalid JSON: invalid IP address: ::1%lo"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		_cleanup_(options_done) struct options opts = {0};
		struct err err = {0};
		int r = bad[i].file ? parse_file(&opts, bad[i].file, &err)
				    : PARSE(&opts, &err, (char *)"--host-gateway-ip",
					    (char *)bad[i].flag[0], (char *)"--host-gateway-ip",
					    (char *)(bad[i].flag[1] ? bad[i].flag[1] : "::9"));

		ASSERT(r < 0);
		ASSERT_EQ(err.kind, ERR_INVALID);
		ASSERT(strlen(err.msg) >= strlen(bad[i].why));
		ASSERT_STREQ(err.msg + strlen(err.msg) - strlen(bad[i].why), bad[i].why);
		ASSERT(*bad[i].why == ':'
			       ? strncmp(err.msg, "unable to configure arcad with file ", 36) == 0
			       : strlen(err.msg) == strlen(bad[i].why));
	}
}

/* Goal: both keys of daemon.json, as dockerd 28 has them; none where nothing is said. */
TEST(options_read_host_gateways_by_either_key)
{
	static const struct {
		const char *file, *first;
	} good[] = {
		{"{\"host-gateway-ip\":\"10.1.1.1\"}", "10.1.1.1"},
		{"{\"host-gateway-ip\":\"fd00::1\"}", "fd00::1"},
		{"{\"host-gateway-ip\":\"::ffff:10.1.1.1\"}", "10.1.1.1"},
		{"{\"host-gateway-ip\":\"\"}", NULL},
		{"{\"host-gateway-ip\":null}", NULL},
		{"{\"host-gateway-ips\":null}", NULL},
		{"{\"host-gateway-ips\":[]}", NULL},
		{"{\"host-gateway-ips\":[\"\",null,\"fd00::1\",\"10.1.1.1\"]}", "fd00::1"},
	};
	_cleanup_(options_done) struct options both = {0};
	struct err err = {0};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		_cleanup_(options_done) struct options opts = {0};

		ASSERT_OK(parse_file(&opts, good[i].file, &err));
		ASSERT_EQ(opts.host_gateways.n > 0, good[i].first != NULL);
		if (good[i].first)
			ASSERT_STREQ(opts.host_gateways.items[0], good[i].first);
	}
	ASSERT(PARSE(&both, &err, (char *)"--host-gateway-ips", (char *)"10.1.1.1") < 0);
	ASSERT_STREQ(err.msg, "unknown flag: --host-gateway-ips");
}

/* Goal: dockerd's way of writing pools, in both places. */
TEST(options_read_default_address_pools)
{
	_cleanup_(options_done) struct options opts = {0}, file = {0}, bad = {0};
	struct err err = {0};

	ASSERT_OK(PARSE(&opts, &err, (char *)"--default-address-pool",
			(char *)"base=10.0.0.0/8,size=24", (char *)"--bip=10.9.0.1/16",
			(char *)"--mtu", (char *)"9000", (char *)"--version"));
	ASSERT_STREQ(opts.address_pools.items[0], "base=10.0.0.0/8,size=24");
	ASSERT_STREQ(opts.bip, "10.9.0.1/16");
	ASSERT_EQ(opts.mtu, 9000);
	ASSERT(opts.icc);
	ASSERT_OK(parse_file(&file,
			     "{\"default-address-pools\":[{\"base\":\"10.0.0.0/8\",\"size\":24},"
			     "{\"base\":\"fd00::/48\",\"size\":64}],\"mtu\":1400,\"icc\":false}",
			     &err));
	ASSERT_EQ(file.address_pools.n, 2);
	ASSERT_STREQ(file.address_pools.items[1], "base=fd00::/48,size=64");
	ASSERT_EQ(file.mtu, 1400);
	ASSERT(!file.icc);
	ASSERT(parse_file(&bad, "{\"default-address-pools\":[{\"base\":\"10.0.0.0/8\"}]}", &err) <
	       0);
	ASSERT_STREQ(err.msg, "each of \"default-address-pools\" needs \"base\" and \"size\"");
}

/* Goal: what daemon.json says of registries arrives, proxies in their object too. */
TEST(options_read_what_is_said_of_registries)
{
	_cleanup_(options_done) struct options opts = {0}, bad = {0};
	struct err err = {0};

	ASSERT_OK(
		parse_file(&opts,
			   "{\"proxies\":{\"http-proxy\":\"http://p\",\"no-proxy\":\"a,b\"},"
			   "\"registry-mirrors\":[\"http://m\"],\"insecure-registries\":[\"i:1\"],"
			   "\"max-concurrent-downloads\":3,\"vm-pool\":0}",
			   &err));
	ASSERT_STREQ(opts.http_proxy, "http://p");
	ASSERT_STREQ(opts.no_proxy, "a,b");
	ASSERT(!opts.https_proxy);
	ASSERT_STREQ(opts.registry_mirrors.items[0], "http://m");
	ASSERT_STREQ(opts.insecure_registries.items[0], "i:1");
	ASSERT_EQ(opts.max_downloads, 3);
	ASSERT_EQ(opts.vm_pool, 0);
	ASSERT(parse_file(&bad, "{\"proxies\":{\"ftp-proxy\":\"x\"}}", &err) < 0);
}

static int parse_file(struct options *opts, const char *json, struct err *err)
{
	char path[] = "/tmp/arca-options-XXXXXX";
	int fd = mkstemp(path), r;

	if (fd < 0 || fs_write_all(fd, json, strlen(json)) < 0)
		abort();
	(void)close(fd);
	r = PARSE(opts, err, (char *)"--config-file", path, (char *)"-l", (char *)"error");
	(void)unlink(path);
	return r;
}

/* Goal: daemon.json fills what flags left open, and mistakes in it are named. */
TEST(options_read_daemon_json)
{
	static const char *const bad[] = {"{\"data-rot\":\"/x\"}",
					  "[]",
					  "{",
					  "{\"debug\":\"yes\"}",
					  "{\"hosts\":[1]}",
					  "{\"log-level\":\"info\"}",
					  "{\"debug\":true,\"debug\":false}"};
	_cleanup_(options_done) struct options opts = {0};
	struct err err = {0};

	ASSERT_OK(
		parse_file(&opts,
			   "{\"data-root\":\"/x\",\"hosts\":[\"unix:///s\"],\"live-restore\":true,"
			   "\"log-opts\":{\"max-size\":\"1m\"},\"shutdown-timeout\":3}",
			   &err));
	ASSERT_STREQ(opts.data_root, "/x");
	ASSERT_STREQ(opts.hosts.items[0], "unix:///s");
	ASSERT_STREQ(opts.log_opts.items[0], "max-size=1m");
	ASSERT_EQ(opts.shutdown_timeout_s, 3);
	ASSERT_EQ(opts.vm_pool, 2);
	ASSERT_STREQ(opts.certs_dir, "/etc/docker/certs.d");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		_cleanup_(options_done) struct options o = {0};

		ASSERT(parse_file(&o, bad[i], &err) < 0);
	}
}
