/* SPDX-License-Identifier: Apache-2.0 */
/* hosts.h - which addresses a registry's name stands for, and how each is to be trusted */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define REGISTRY_DOCKER_IO "docker.io"
#define REGISTRY_HUB_KEY "https://index.docker.io/v1/" /* its name in config.json */
#define REGISTRY_ENDPOINTS_MAX 16

struct registry_options {
	const char *const *mirrors;  /* of docker.io: URLs, NULL-terminated; may be NULL */
	const char *const *insecure; /* host[:port] or CIDR, NULL-terminated; may be NULL */
	const char *certs_dir;	     /* <host[:port]>/ with *.crt, *.cert, *.key; may be NULL */
	const char *http_proxy, *https_proxy, *no_proxy; /* NULL: the environment's */
	unsigned int max_downloads, max_uploads;	 /* at a time; 0: the defaults */
	unsigned int attempts;				 /* for one transfer; 0: the default */
	unsigned int silence_s; /* that a registry is waited for; 0: the default */
};

struct registry_endpoint {
	char *base; /* owned: "https://host:port" */
	bool mirror;
	bool verify; /* the server's certificate */
};

struct registry_endpoints {
	struct registry_endpoint list[REGISTRY_ENDPOINTS_MAX];
	size_t n;
};

/* "https://index.docker.io/v1/", "http://host:5000/", "host:5000" -> domain; heap, or NULL */
char *registry_domain(const char *address);

bool registry_proxy_is_bypassed(const char *no_proxy, const char *url, char *ret_host, size_t size);
char *registry_proxy_masked(const char *url); /* without its password; heap, or NULL */

/* In the order in which they are tried. */
int registry_endpoints_find(const struct registry_options *options, const char *domain,
			    struct registry_endpoints *ret, struct err *err);
void registry_endpoints_done(struct registry_endpoints *endpoints);

/* Certificates for one host; zero-initialised is none. */
struct registry_certs {
	char *ca;	  /* owned: PEM text of all *.crt */
	char *cert, *key; /* owned: paths */
};
int registry_certs_find(const char *certs_dir, const char *host, struct registry_certs *ret,
			struct err *err);
void registry_certs_done(struct registry_certs *certs);
