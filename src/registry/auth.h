/* SPDX-License-Identifier: Apache-2.0 */
/* auth.h - who asks a registry, and what it wants to hear */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define REGISTRY_AUTH_HEADER_MAX 65536 /* bytes of X-Registry-Auth, X-Registry-Config */

/* Zero-initialised is nobody. Texts are owned; NULL or "" if absent. */
struct registry_auth {
	char *username, *password;
	char *identity_token; /* a refresh token, instead of a password */
	char *registry_token; /* a bearer token to use as it is */
};

enum registry_scheme { REGISTRY_SCHEME_NONE, REGISTRY_SCHEME_BASIC, REGISTRY_SCHEME_BEARER };

/* What a 401 asks for (RFC 9110 11.6.1, distribution's token specification). */
struct registry_challenge {
	enum registry_scheme scheme;
	char *realm, *service, *scope, *error; /* owned; NULL if absent */
};

/* X-Registry-Auth as the docker CLI sends it: base64 of a JSON object. */
int registry_auth_parse(const char *header, struct registry_auth *ret_auth, struct err *err);
/* X-Registry-Config: the same for several registries, by name; ret_auth: that of domain */
int registry_auth_parse_config(const char *header, const char *domain,
			       struct registry_auth *ret_auth, struct err *err);
int registry_auth_from_json(const char *text, size_t len, struct registry_auth *ret_auth,
			    struct err *err);
int registry_auth_copy(const struct registry_auth *from, struct registry_auth *ret_auth);
void registry_auth_done(struct registry_auth *auth);
bool registry_auth_is_empty(const struct registry_auth *auth);
/* "Basic ..." for its name and password; heap, NULL without memory */
char *registry_auth_basic(const struct registry_auth *auth);

/* The best of the challenges in one WWW-Authenticate; *ret is replaced if it is better. */
int registry_challenge_add(const char *header, struct registry_challenge *ret);
void registry_challenge_done(struct registry_challenge *challenge);

#define _cleanup_registry_auth_ __attribute__((cleanup(registry_auth_done)))
#define _cleanup_registry_challenge_ __attribute__((cleanup(registry_challenge_done)))
