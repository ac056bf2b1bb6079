/* SPDX-License-Identifier: Apache-2.0 */
/* test-hosts.c - which addresses a registry's name stands for, and what certs.d adds */
#include "registry/hosts.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"
#include "test.h"

static const char *const mirrors[] = {"https://m.example/", "127.0.0.1:5000", "http://n.example",
				      NULL};
static const char *const insecure[] = {"plain.example:5000", "10.1.0.0/16", "fd00::/8",
				       "http://x.example", NULL};
static const struct registry_options options = {.mirrors = mirrors, .insecure = insecure};

TEST(mirrors_stand_before_docker_hub_and_nothing_else)
{
	struct registry_endpoints e;

	ASSERT_EQ(registry_endpoints_find(&options, "docker.io", &e, NULL), 0);
	ASSERT_EQ(e.n, 4);
	ASSERT_STREQ(e.list[0].base, "https://m.example");
	ASSERT(e.list[0].mirror && e.list[0].verify);
	ASSERT_STREQ(e.list[1].base, "https://127.0.0.1:5000");
	ASSERT_STREQ(e.list[2].base, "http://n.example");
	ASSERT_STREQ(e.list[3].base, "https://registry-1.docker.io");
	ASSERT(!e.list[3].mirror && e.list[3].verify);
	registry_endpoints_done(&e);
	ASSERT_EQ(registry_endpoints_find(&options, "quay.example", &e, NULL), 0);
	ASSERT_EQ(e.n, 1);
	ASSERT_STREQ(e.list[0].base, "https://quay.example");
	ASSERT(e.list[0].verify);
	registry_endpoints_done(&e);
}

/* Goal: only what was named, and this machine, is ever spoken to without TLS. */
TEST(insecure_registries_are_tried_with_tls_first)
{
	static const struct {
		const char *domain;
		bool insecure;
	} cases[] = {
		{"plain.example:5000", true},  {"plain.example", false},
		{"plain.example:5001", false}, {"x.example", true},
		{"10.1.2.3:80", true},	       {"10.2.0.1", false},
		{"10.1.0.0.example", false},   {"[fd12::1]:5000", true},
		{"[fe80::1]:5000", false},     {"localhost", true},
		{"localhost:5000", true},      {"localhost.example", false},
		{"127.0.0.1:5000", true},      {"127.9.9.9", true},
		{"128.0.0.1", false},	       {"[::1]:5000", true},
		{"[::2]:5000", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct registry_endpoints e;

		ASSERT_EQ(registry_endpoints_find(&options, cases[i].domain, &e, NULL), 0);
		ASSERT_EQ(e.n, cases[i].insecure ? 2 : 1);
		ASSERT(str_starts(e.list[0].base, "https://"));
		ASSERT_EQ(e.list[0].verify, !cases[i].insecure);
		if (cases[i].insecure)
			ASSERT(str_starts(e.list[1].base, "http://"));
		registry_endpoints_done(&e);
	}
}

TEST(certs_d_adds_authorities_and_a_pair)
{
	char dir[] = "/tmp/arca-hosts.XXXXXX", path[256];
	struct registry_certs certs;
	struct err err = {};

	ASSERT(mkdtemp(dir));
	ASSERT_EQ(registry_certs_find(dir, "h:1", &certs, NULL), 0);
	ASSERT(!certs.ca && !certs.cert);
	(void)snprintf(path, sizeof(path), "%s/h:1", dir);
	ASSERT_EQ(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/h:1/a.crt", dir);
	ASSERT_EQ(fs_write_file(path, "A", 1, 0600), 0);
	(void)snprintf(path, sizeof(path), "%s/h:1/b.crt", dir);
	ASSERT_EQ(fs_write_file(path, "B", 1, 0600), 0);
	ASSERT_EQ(registry_certs_find(dir, "h:1", &certs, NULL), 0);
	ASSERT_EQ(strlen(certs.ca), 4);
	ASSERT(strchr(certs.ca, 'A') && strchr(certs.ca, 'B') && !certs.cert);
	registry_certs_done(&certs);
	(void)snprintf(path, sizeof(path), "%s/h:1/c.cert", dir);
	ASSERT_EQ(fs_write_file(path, "C", 1, 0600), 0);
	ASSERT(registry_certs_find(dir, "h:1", &certs, &err) < 0);
	ASSERT(strstr(err.msg, "c.key"));
	(void)snprintf(path, sizeof(path), "%s/h:1/c.key", dir);
	ASSERT_EQ(fs_write_file(path, "K", 1, 0600), 0);
	ASSERT_EQ(registry_certs_find(dir, "h:1", &certs, NULL), 0);
	ASSERT(str_ends(certs.cert, "c.cert") && str_ends(certs.key, "c.key"));
	registry_certs_done(&certs);
	ASSERT_EQ(fs_remove_tree(dir), 0);
}

/* Goal: a host goes past the proxy when Go's clients would let it, and no other. */
TEST(a_list_of_hosts_without_proxy_is_read_as_go_does)
{
	static const struct {
		const char *list, *url, *host;
		bool direct;
	} cases[] = {
		{NULL, "https://a.example/v2/", "a.example", false},
		{"", "https://a.example/v2/", "a.example", false},
		{"*", "https://a.example/v2/", "a.example", true},
		{"b.example, a.example", "https://a.example/v2/", "a.example", true},
		{"A.Example", "https://a.example:5000/v2/", "a.example", true},
		{"example", "https://a.example/v2/", "a.example", true},
		{"ample", "https://a.example/v2/", "a.example", false},
		{".example", "https://a.example/v2/", "a.example", true},
		{".a.example", "https://a.example/v2/", "a.example", false},
		{"*.a.example", "https://a.example/v2/", "a.example", false},
		{"*.example", "https://a.example/v2/", "a.example", true},
		{"a.example:5000", "https://a.example:5000/v2/", "a.example", true},
		{"a.example:5000", "https://a.example:5001/v2/", "a.example", false},
		{"a.example:443", "https://a.example", "a.example", true},
		{"a.example:443", "http://a.example?x", "a.example", false},
		{"10.0.0.0/8", "https://10.1.2.3:5000/v2/", "10.1.2.3", true},
		{"10.0.0.0/8", "https://11.1.2.3:5000/v2/", "11.1.2.3", false},
		{"10.1.2.3", "https://10.1.2.3:5000/v2/", "10.1.2.3", true},
		{"10.1.2.3:80", "https://10.1.2.3:5000/v2/", "10.1.2.3", false},
		{"fd00::1", "https://[fd00::1]:5000/v2/", "fd00::1", true},
		{"[fd00::1]:5000", "https://[fd00::1]:5000/v2/", "fd00::1", true},
		{"[fd00::1]:5001", "https://[fd00::1]:5000/v2/", "fd00::1", false},
		{"fd00::/8", "https://[fd00::1]/v2/", "fd00::1", true},
		{":5000,[],[,.,*.,,", "https://a.example:5000/v2/", "a.example", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char host[256];

		ASSERT_EQ(
			registry_proxy_is_bypassed(cases[i].list, cases[i].url, host, sizeof(host)),
			cases[i].direct);
		ASSERT_STREQ(host, cases[i].host);
	}
}

/* Goal: whoever may see the proxy does not see its password. */
TEST(a_proxy_is_shown_without_its_password)
{
	static const struct {
		const char *url, *shown;
	} cases[] = {
		{NULL, ""},
		{"", ""},
		{"http://proxy.example:3128", "http://proxy.example:3128"},
		{"http://u:secret@proxy.example:3128/", "http://xxxxx:xxxxx@proxy.example:3128/"},
		{"https://secret@proxy.example", "https://xxxxx:xxxxx@proxy.example"},
		{"http://u:se@cret@proxy.example", "http://xxxxx:xxxxx@proxy.example"},
		{"u:secret@proxy.example:3128", "xxxxx:xxxxx@proxy.example:3128"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *shown = registry_proxy_masked(cases[i].url);

		ASSERT_STREQ(shown, cases[i].shown);
	}
}

TEST_MAIN()
