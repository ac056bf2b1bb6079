/* SPDX-License-Identifier: Apache-2.0 */
/* test-auth.c - credentials as clients send them, challenges as registries do, errors as they say
 */
#include "registry/auth.h"

#include <errno.h>
#include <nettle/base64.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "registry/registry.h"
#include "test.h"

/* Goal: what the docker CLI sends is read, in every form of base64. */
TEST(a_header_is_base64_in_either_alphabet)
{
	static const char *const good[] = {
		/* {"username":"u>?","password":"p~~?"} */
		"eyJ1c2VybmFtZSI6InU-PyIsInBhc3N3b3JkIjoicH5-PyJ9",
		"eyJ1c2VybmFtZSI6InU+PyIsInBhc3N3b3JkIjoicH5+PyJ9",
		"eyJ1c2VybmFtZSI6InU-PyIsInBhc3N3b3JkIjoicH5-PyJ9==",
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		_cleanup_registry_auth_ struct registry_auth auth = {};

		ASSERT_EQ(registry_auth_parse(good[i], &auth, NULL), 0);
		ASSERT_STREQ(auth.username, "u>?");
		ASSERT_STREQ(auth.password, "p~~?");
		ASSERT(!registry_auth_is_empty(&auth));
	}
}

TEST(nobody_is_an_empty_header_or_an_empty_object)
{
	_cleanup_registry_auth_ struct registry_auth a = {}, b = {}, c = {};

	ASSERT_EQ(registry_auth_parse(NULL, &a, NULL), 0);
	ASSERT_EQ(registry_auth_parse("", &b, NULL), 0);
	ASSERT_EQ(registry_auth_parse("e30=", &c, NULL), 0);
	ASSERT(registry_auth_is_empty(&a) && registry_auth_is_empty(&b) &&
	       registry_auth_is_empty(&c));
}

TEST(what_cannot_be_read_is_refused)
{
	static const char *const bad[] = {"!", "e30", "bm8", "W10=", "eyJ1c2VybmFtZSI6"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_registry_auth_ struct registry_auth auth = {};
		struct err err = {};
		int r = registry_auth_parse(bad[i], &auth, &err);

		if (i == 1) { /* "{}" without its padding */
			ASSERT_EQ(r, 0);
			continue;
		}
		ASSERT(r < 0);
		ASSERT_EQ(err.kind, ERR_INVALID);
		ASSERT(!auth.username);
	}
}

TEST(a_pair_in_auth_is_name_and_password)
{
	static const char text[] = "{\"auth\":\"bmFtZTpwYXNzOndvcmQ=\"}",
			  twice[] = "{\"password\":\"other\",\"auth\":\"bmFtZTpwYXNz\"}",
			  no_colon[] = "{\"auth\":\"bmFtZQ==\"}";
	_cleanup_registry_auth_ struct registry_auth auth = {}, bad = {}, last = {};
	_cleanup_free_ char *basic = NULL;

	ASSERT_EQ(registry_auth_from_json(text, sizeof(text) - 1, &auth, NULL), 0);
	ASSERT_STREQ(auth.username, "name");
	ASSERT_STREQ(auth.password, "pass:word");
	basic = registry_auth_basic(&auth);
	ASSERT_STREQ(basic, "Basic bmFtZTpwYXNzOndvcmQ=");
	ASSERT_EQ(registry_auth_from_json(twice, sizeof(twice) - 1, &last, NULL), 0);
	ASSERT_STREQ(last.password, "pass");
	ASSERT(registry_auth_from_json(no_colon, sizeof(no_colon) - 1, &bad, NULL) < 0);
}

/* X-Registry-Config as a client makes it: base64url of @json. */
static char *config_header(const char *json)
{
	size_t len = strlen(json);
	char *text = malloc(BASE64_ENCODE_RAW_LENGTH(len) + 1);

	base64_encode_raw(text, len, (const uint8_t *)json);
	text[BASE64_ENCODE_RAW_LENGTH(len)] = '\0';
	for (char *c = text; *c; c++)
		*c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
	return text;
}

/* Goal: each registry gets its own credentials, whatever form its key has, and no other's. */
TEST(a_config_has_an_entry_for_each_registry)
{
	static const char json[] =
		"{\"https://index.docker.io/v1/\":{\"username\":\"hub\",\"password\":\"h\"},"
		"\"bare.example:5000\":{\"username\":\"bare\",\"serveraddress\":\"other.example\"},"
		"\"https://scheme.example/v2/x\":{\"auth\":\"bmFtZTpwYXNz\"},"
		"\"http://token.example:80\":{\"identitytoken\":\"it\"},"
		"\"http://twice.example\":{\"username\":\"wrong\"},"
		"\"twice.example\":{\"username\":\"exact\"},"
		"\"\":{\"username\":\"nowhere\"},"
		"\"bearer.example\":{\"registrytoken\":\"rt\"}}";
	static const struct {
		const char *domain, *username, *password, *identity_token, *registry_token;
	} cases[] = {
		{"docker.io", "hub", "h", "", ""},
		{"bare.example:5000", "bare", "", "", ""},
		{"scheme.example", "name", "pass", "", ""},
		{"token.example:80", "", "", "it", ""},
		{"twice.example", "exact", "", "", ""},
		{"bearer.example", "", "", "", "rt"},
		{"bare.example", "", "", "", ""},
		{"other.example", "", "", "", ""},
		{"index.docker.io.example", "", "", "", ""},
	};
	_cleanup_free_ char *header = config_header(json);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_registry_auth_ struct registry_auth auth = {};

		ASSERT_EQ(registry_auth_parse_config(header, cases[i].domain, &auth, NULL), 0);
		ASSERT_STREQ(auth.username ?: "", cases[i].username);
		ASSERT_STREQ(auth.password ?: "", cases[i].password);
		ASSERT_STREQ(auth.identity_token ?: "", cases[i].identity_token);
		ASSERT_STREQ(auth.registry_token ?: "", cases[i].registry_token);
	}
}

/* Goal: only Docker Hub's own names stand for Docker Hub. */
TEST(a_config_names_docker_hub_in_several_ways)
{
	static const struct {
		const char *key;
		bool hub;
	} cases[] = {
		{"https://index.docker.io/v1/", true},
		{"index.docker.io", true},
		{"docker.io", true},
		{"https://registry-1.docker.io/v2/", true},
		{"docker.io.example", false},
		{"http://docker.io:443/", false},
		{"", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *json =
			str_format("{\"%s\":{\"username\":\"u\"}}", cases[i].key);
		_cleanup_free_ char *header = config_header(json);
		_cleanup_registry_auth_ struct registry_auth auth = {};

		ASSERT_EQ(registry_auth_parse_config(header, "docker.io", &auth, NULL), 0);
		ASSERT_EQ(!registry_auth_is_empty(&auth), cases[i].hub);
	}
}

TEST(a_config_that_cannot_be_read_is_refused)
{
	static const char *const bad[] = {"[]",		  "null",
					  "{\"h\":",	  "{\"h\":7}",
					  "{\"h\":null}", "{\"h\":{\"auth\":\"bmFtZQ==\"}}"};
	_cleanup_registry_auth_ struct registry_auth auth = {};
	struct err err = {};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_free_ char *header = config_header(bad[i]);

		err = (struct err){};
		ASSERT(registry_auth_parse_config(header, "h", &auth, &err) < 0);
		ASSERT_EQ(err.kind, ERR_INVALID);
		ASSERT(strstr(err.msg, "X-Registry-Config"));
		ASSERT(registry_auth_is_empty(&auth));
	}
	ASSERT(registry_auth_parse_config("!", "h", &auth, &err) < 0);
	ASSERT_EQ(registry_auth_parse_config(NULL, "h", &auth, NULL), 0);
	ASSERT_EQ(registry_auth_parse_config("", "h", &auth, NULL), 0);
	ASSERT(registry_auth_is_empty(&auth));
}

/* Goal: of several challenges the bearer's is taken, whatever stands between them. */
TEST(the_best_challenge_is_taken)
{
	static const struct {
		const char *header;
		enum registry_scheme scheme;
		const char *realm, *service, *error;
	} cases[] = {
		{"Basic realm=\"r\"", REGISTRY_SCHEME_BASIC, "r", NULL, NULL},
		{"Bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:x:pull\"",
		 REGISTRY_SCHEME_BEARER, "https://a/t", "s", NULL},
		{"Basic realm=\"r\", Bearer realm=\"https://a/t\",service=s",
		 REGISTRY_SCHEME_BEARER, "https://a/t", "s", NULL},
		{"bearer realm=\"a\\\"b\" , error=\"insufficient_scope\"", REGISTRY_SCHEME_BEARER,
		 "a\"b", NULL, "insufficient_scope"},
		{"Bearer service=\"s\"", REGISTRY_SCHEME_NONE, NULL, NULL, NULL},
		{"Negotiate", REGISTRY_SCHEME_NONE, NULL, NULL, NULL},
		{"", REGISTRY_SCHEME_NONE, NULL, NULL, NULL},
		{",,=\"=,Basic", REGISTRY_SCHEME_BASIC, NULL, NULL, NULL},
		{"Bearer realm=\"open", REGISTRY_SCHEME_BEARER, "open", NULL, NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_registry_challenge_ struct registry_challenge c = {};

		ASSERT_EQ(registry_challenge_add(cases[i].header, &c), 0);
		ASSERT_EQ(c.scheme, cases[i].scheme);
		ASSERT_STREQ(c.realm ?: "", cases[i].realm ?: "");
		ASSERT_STREQ(c.service ?: "", cases[i].service ?: "");
		ASSERT_STREQ(c.error ?: "", cases[i].error ?: "");
	}
}

TEST(errors_are_told_as_dockerd_does)
{
	static const struct {
		const char *body, *text;
	} cases[] = {
		{"{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest unknown\"}]}",
		 "manifest unknown: manifest unknown"},
		{"{\"errors\":[{\"code\":\"A\"},{\"code\":\"B_C\",\"message\":\"m\"}]}",
		 "a\nb c: m"},
		{"{\"details\":\"incorrect username or password\"}",
		 "unauthorized: incorrect username or password"},
		{"{\"errors\":[{\"code\":7},null,{}]}", ""},
		{"<html>", ""},
		{"", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct registry_reply reply = {.data = (char *)cases[i].body,
					       .len = strlen(cases[i].body)};
		char text[256];

		registry_error_text(&reply, text, sizeof(text));
		ASSERT_STREQ(text, cases[i].text);
	}
}

/* Goal: no text is too long for where it goes. */
TEST(long_errors_are_cut)
{
	_cleanup_free_ char *long_text = malloc(5000);
	_cleanup_free_ char *body = NULL;
	struct registry_reply reply = {};

	memset(long_text, 'x', 4999);
	long_text[4999] = '\0';
	body = str_format("{\"errors\":[{\"code\":\"%s\",\"message\":\"%s\"},{\"code\":\"%s\"}]}",
			  long_text, long_text, long_text);
	reply.data = body;
	reply.len = strlen(body);
	for (size_t size = 1; size < 64; size++) {
		_cleanup_free_ char *out = malloc(size);

		registry_error_text(&reply, out, size);
		ASSERT(strlen(out) < size);
	}
}

TEST_MAIN()
