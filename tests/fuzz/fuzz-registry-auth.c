/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-registry-auth.c - any bytes as a challenge, as X-Registry-Auth, as X-Registry-Config and the
 * JSON in it, and as a registry's error
 */
#include <nettle/base64.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "registry/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What is refused says why and leaves nobody. */
static void config(const char *header, const char *domain)
{
	_cleanup_registry_auth_ struct registry_auth auth = {};
	struct err err = {};

	if (registry_auth_parse_config(header, domain, &auth, &err) < 0 &&
	    (!err.kind || !registry_auth_is_empty(&auth)))
		abort();
}

/* The JSON of a header, so that a mutation of it stays base64. */
static void config_json(const char *text, size_t len)
{
	_cleanup_free_ char *header = malloc(BASE64_ENCODE_RAW_LENGTH(len) + 1);

	if (!header)
		return;
	base64_encode_raw(header, len, (const uint8_t *)text);
	header[BASE64_ENCODE_RAW_LENGTH(len)] = '\0';
	config(header, "docker.io");
	config(header, "h:5000");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	_cleanup_free_ char *text = strndup((const char *)data, len);
	_cleanup_registry_challenge_ struct registry_challenge challenge = {};
	_cleanup_registry_auth_ struct registry_auth auth = {};
	struct registry_reply reply = {.data = text};
	char words[64];

	if (!text)
		return 0;
	reply.len = strlen(text);
	(void)registry_challenge_add(text, &challenge);
	if (challenge.scheme == REGISTRY_SCHEME_BEARER && !challenge.realm)
		abort(); /* nowhere to get a token */
	registry_error_text(&reply, words, sizeof(words));
	if (strlen(words) >= sizeof(words))
		abort();
	config(text, "docker.io");
	config_json(text, reply.len);
	if (registry_auth_parse(text, &auth, NULL) == 0 && auth.username) {
		_cleanup_free_ char *basic = registry_auth_basic(&auth);

		if (basic && strncmp(basic, "Basic ", 6) != 0)
			abort();
	}
	return 0;
}
