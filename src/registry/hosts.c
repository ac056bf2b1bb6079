/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hosts.c - which addresses a registry's name stands for, and how each is to be trusted
 *
 * As dockerd has it: mirrors stand before Docker Hub and nothing else; a registry is insecure when
 * it is listed so, or is on a loopback address; an insecure one is tried with TLS that nobody
 * verifies, then without. certs.d/<host:port>/ adds CAs (*.crt) and a client's pair (*.cert,
 * *.key).
 */
#include "registry/hosts.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"

#define HOSTS_HUB_URL "https://registry-1.docker.io"
#define HOSTS_PEM_MAX MIB(1)

/* The address in a host[:port] or [v6]:port; "" if it is a name. */
static void hosts_address(const char *domain, char *out, size_t size)
{
	const char *end = strrchr(domain, ':');
	size_t len = end ? (size_t)(end - domain) : strlen(domain);

	if (*domain == '[') {
		domain++;
		len = strcspn(domain, "]");
	}
	(void)snprintf(out, size, "%.*s", (int)len, domain); /* cutting makes it no address */
}

static bool hosts_bits_equal(const uint8_t *a, const uint8_t *b, unsigned int bits)
{
	for (unsigned int i = 0; i < bits; i++)
		if ((a[i / 8] ^ b[i / 8]) & (0x80 >> i % 8))
			return false;
	return true;
}

/* Whether an address is in a network of the same family. */
static bool hosts_in_network(const char *address, const char *cidr)
{
	const char *slash = strchr(cidr, '/');
	char net[64];
	uint8_t a[16], b[16];
	uint64_t bits;

	if (!slash || (size_t)(slash - cidr) >= sizeof(net) || str_u64(slash + 1, 128, &bits) < 0)
		return false;
	(void)snprintf(net, sizeof(net), "%.*s", (int)(slash - cidr), cidr); /* it fits */
	for (int family = AF_INET;; family = AF_INET6) {
		unsigned int max = family == AF_INET ? 32 : 128;

		if (inet_pton(family, address, a) == 1 && inet_pton(family, net, b) == 1)
			return bits <= max && hosts_bits_equal(a, b, (unsigned int)bits);
		if (family == AF_INET6)
			return false;
	}
}

static bool hosts_is_insecure(const struct registry_options *options, const char *domain)
{
	char address[256];

	hosts_address(domain, address, sizeof(address));
	if (str_eq(address, "localhost") || hosts_in_network(address, "127.0.0.0/8") ||
	    hosts_in_network(address, "::1/128"))
		return true;
	for (const char *const *i = options->insecure; i && *i; i++) {
		const char *name = str_starts(*i, "http://")	? *i + 7
				   : str_starts(*i, "https://") ? *i + 8
								: *i;

		if (str_eq(name, domain) || hosts_in_network(address, name))
			return true;
	}
	return false;
}

/**
 * registry_domain() - The registry that an address in a client's configuration stands for
 * @address: "https://index.docker.io/v1/", "http://host:5000/", "host:5000"; "" is Docker Hub
 *
 * Return: "docker.io" or "host:5000", heap; NULL without memory
 */
char *registry_domain(const char *address)
{
	static const char *const hub[] = {"", "index.docker.io", "docker.io",
					  "registry-1.docker.io"};
	const char *scheme = strstr(address, "://");
	const char *host = scheme ? scheme + 3 : address;
	size_t n = strcspn(host, "/");

	for (size_t i = 0; i < ARRAY_SIZE(hub); i++)
		if (n == strlen(hub[i]) && strncmp(host, hub[i], n) == 0)
			return strdup(REGISTRY_DOCKER_IO);
	return strndup(host, n);
}

static int hosts_add(struct registry_endpoints *e, const char *scheme, const char *rest,
		     bool mirror, bool verify)
{
	char *base = str_format("%s%s", scheme, rest);
	size_t len = base ? strlen(base) : 0;

	if (!base)
		return -ENOMEM;
	while (len > 0 && base[len - 1] == '/')
		base[--len] = '\0';
	if (e->n == REGISTRY_ENDPOINTS_MAX) {
		free(base); /* nobody has so many mirrors */
		return 0;
	}
	e->list[e->n++] =
		(struct registry_endpoint){.base = base, .mirror = mirror, .verify = verify};
	return 0;
}

static int hosts_add_host(const struct registry_options *options, const char *domain,
			  struct registry_endpoints *e)
{
	int r;

	if (!hosts_is_insecure(options, domain))
		return hosts_add(e, "https://", domain, false, true);
	r = hosts_add(e, "https://", domain, false, false);
	return r < 0 ? r : hosts_add(e, "http://", domain, false, false);
}

/**
 * registry_endpoints_find() - Where to ask for what a name promises
 * @options: What the daemon was told
 * @domain:  "docker.io", "host:5000"
 * @ret:     In the order of trying; registry_endpoints_done()
 * @err:     Filled on failure
 *
 * Return: 0 or -ENOMEM
 */
int registry_endpoints_find(const struct registry_options *options, const char *domain,
			    struct registry_endpoints *ret, struct err *err)
{
	struct registry_endpoints e = {};
	int r = 0;

	if (str_eq(domain, REGISTRY_DOCKER_IO)) {
		for (const char *const *m = options->mirrors; m && *m && r == 0; m++) {
			const char *host = strstr(*m, "://");
			_cleanup_free_ char *name =
				host ? strndup(host + 3, strcspn(host + 3, "/")) : NULL;

			r = hosts_add(&e, host ? "" : "https://", *m, true,
				      !name || !hosts_is_insecure(options, name));
		}
		if (r == 0)
			r = hosts_add(&e, "", HOSTS_HUB_URL, false, true);
	} else {
		r = hosts_add_host(options, domain, &e);
	}
	if (r < 0) {
		registry_endpoints_done(&e);
		return err_oom(err);
	}
	*ret = e;
	return 0;
}

/* One entry of a list of hosts that need no proxy, as Go's clients read it. */
static bool hosts_is_direct(const char *entry, size_t len, const char *host, const char *port)
{
	char text[256], *name = text, *colon;

	if (len == 0 || len >= sizeof(text))
		return false;
	(void)snprintf(text, sizeof(text), "%.*s", (int)len, entry); /* it fits */
	if (str_eq(text, "*") || strcasecmp(text, host) == 0)	     /* addresses of IPv6 as well */
		return true;
	if (strchr(text, '/'))
		return hosts_in_network(host, text);
	colon = strrchr(text, ':');
	if (colon) {
		if (!str_eq(colon + 1, port))
			return false;
		*colon = '\0';
	}
	if (*name == '[' && name[strlen(name) - 1] == ']') {
		name[strlen(name) - 1] = '\0';
		return strcasecmp(name + 1, host) == 0;
	}
	if (str_starts(name, "*."))
		name++;
	len = strlen(host) > strlen(name) ? strlen(host) - strlen(name) : 0;
	if (*name == '.')
		return len > 0 && strcasecmp(host + len, name) == 0;
	return strcasecmp(host, name) == 0 ||
	       (len > 0 && host[len - 1] == '.' && strcasecmp(host + len, name) == 0);
}

/**
 * registry_proxy_is_bypassed() - Whether a list of hosts that need no proxy has a URL's host
 * @no_proxy: The list: hosts, .domains, *.domains, addresses, CIDRs, with :port or without; "*" is
 *	      all; or NULL
 * @url:      Whole URL
 * @ret_host: Receives the host's name or address
 * @size:     Bytes of @ret_host
 *
 * Return: the answer
 */
bool registry_proxy_is_bypassed(const char *no_proxy, const char *url, char *ret_host, size_t size)
{
	const char *port = str_starts(url, "https:") ? "443" : "80";
	char domain[256], *end;

	(void)snprintf(domain, sizeof(domain), "%.*s", (int)strcspn(strstr(url, "://") + 3, "/?#"),
		       strstr(url, "://") + 3); /* longer ones are nobody's */
	hosts_address(domain, ret_host, size);
	end = strrchr(domain, ':');
	if (end && !strchr(end, ']'))
		port = end + 1;
	for (const char *p = no_proxy ?: ""; *p;) {
		size_t n;

		p += strspn(p, ", \t");
		n = strcspn(p, ", \t");
		if (hosts_is_direct(p, n, ret_host, port))
			return true;
		p += n;
	}
	return false;
}

/**
 * registry_proxy_masked() - A proxy's URL to be shown
 * @url: URL, or NULL
 *
 * Name and password are replaced, as dockerd does it, whatever else is wrong with the URL.
 *
 * Return: heap text, "" without a proxy; NULL without memory
 */
char *registry_proxy_masked(const char *url)
{
	const char *scheme = url ? strstr(url, "://") : NULL;
	const char *at = url ? strrchr(url, '@') : NULL;

	if (!at)
		return strdup(url ?: "");
	if (!scheme || scheme > at) /* all of it may be a password */
		return str_format("xxxxx:xxxxx@%s", at + 1);
	return str_format("%.*sxxxxx:xxxxx@%s", (int)(scheme + 3 - url), url, at + 1);
}

/**
 * registry_endpoints_done() - Free the list
 * @endpoints: Empty afterwards
 */
void registry_endpoints_done(struct registry_endpoints *endpoints)
{
	for (size_t i = 0; i < endpoints->n; i++)
		free(endpoints->list[i].base);
	endpoints->n = 0;
}

/**
 * registry_certs_done() - Free what was found
 * @certs: Empty afterwards
 */
void registry_certs_done(struct registry_certs *certs)
{
	free(certs->ca);
	free(certs->cert);
	free(certs->key);
	*certs = (struct registry_certs){};
}

static int certs_add_ca(struct buf *ca, const char *path, struct err *err)
{
	_cleanup_free_ char *pem = NULL;
	size_t len;
	int r = fs_read_file(path, HOSTS_PEM_MAX, &pem, &len);

	if (r < 0)
		return err_sys(err, r, "cannot read the certificate %s", path);
	buf_add(ca, pem, len);
	buf_adds(ca, "\n");
	return 0;
}

/* x.cert needs its x.key beside it */
static int certs_add_pair(struct registry_certs *certs, const char *cert, struct err *err)
{
	_cleanup_free_ char *key = str_format("%.*s.key", (int)(strlen(cert) - 5), cert);

	if (!key)
		return err_oom(err);
	if (!fs_exists(key))
		return err_user(err, ERR_INVALID, "missing key %s for client certificate %s", key,
				cert);
	free(certs->cert);
	free(certs->key);
	certs->cert = strdup(cert);
	certs->key = TAKE_PTR(key);
	return certs->cert ? 0 : err_oom(err);
}

/**
 * registry_certs_find() - What certs.d has for a host
 * @certs_dir: The folder, or NULL
 * @host:      host[:port]
 * @ret:       Filled; registry_certs_done()
 * @err:       Filled on failure
 *
 * Return: 0 (also where there is nothing) or negative errno
 */
int registry_certs_find(const char *certs_dir, const char *host, struct registry_certs *ret,
			struct err *err)
{
	_cleanup_free_ char *dir = certs_dir ? str_format("%s/%s", certs_dir, host) : NULL;
	_cleanup_(registry_certs_done) struct registry_certs certs = {};
	_cleanup_closedir_ DIR *d = dir ? opendir(dir) : NULL;
	_cleanup_buf_ struct buf ca = {};
	struct dirent *de;
	int r = 0;

	*ret = certs;
	while (d && r == 0 && (de = readdir(d))) {
		_cleanup_free_ char *path = str_format("%s/%s", dir, de->d_name);

		if (!path)
			return err_oom(err);
		if (str_ends(de->d_name, ".crt"))
			r = certs_add_ca(&ca, path, err);
		else if (str_ends(de->d_name, ".cert"))
			r = certs_add_pair(&certs, path, err);
	}
	if (r < 0)
		return r;
	if (ca.failed)
		return err_oom(err);
	certs.ca = ca.len ? buf_steal(&ca) : NULL;
	*ret = certs;
	certs = (struct registry_certs){};
	return 0;
}
