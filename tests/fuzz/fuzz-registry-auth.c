/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-registry-auth.c - any bytes as a challenge, as X-Registry-Auth and as a registry's error */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "registry/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

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
	if (registry_auth_parse(text, &auth, NULL) == 0 && auth.username) {
		_cleanup_free_ char *basic = registry_auth_basic(&auth);

		if (basic && strncmp(basic, "Basic ", 6) != 0)
			abort();
	}
	return 0;
}
