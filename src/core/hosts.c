/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hosts.c - a container's /etc/hosts, line for line as dockerd 28 writes it
 *
 * The names that each has, what the user added (--add-host), links of old, and the container's own
 * addresses. In mode host it is the host's file, unless the user added something.
 */
#include "core/hosts.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"
#include "core/jsonx.h"
#include "core/networks.h"

#define HOSTS_PATH "/etc/hosts"
#define HOSTS_BYTES_MAX (1024 * 1024)

static const char hosts_head[] = "127.0.0.1\tlocalhost\n"
				 "::1\tlocalhost ip6-localhost ip6-loopback\n"
				 "fe00::\tip6-localnet\n"
				 "ff00::\tip6-mcastprefix\n"
				 "ff02::1\tip6-allnodes\n"
				 "ff02::2\tip6-allrouters\n";

static void hosts_add(struct buf *out, struct net_addr addr, const char *names)
{
	char text[NET_ADDR_TEXT];

	if (!addr.family)
		return;
	net_addr_format(addr, text);
	buf_addf(out, "%s\t%s\n", text, names);
}

/* "name:ip"; the address may contain colons. */
static void hosts_extra(struct buf *out, const struct hosts_source *source, const char *entry)
{
	const char *colon = strchr(entry, ':');
	_cleanup_free_ char *name = colon ? strndup(entry, (size_t)(colon - entry)) : NULL;
	struct net_addr addr;

	if (!colon)
		return;
	if (!name)
		out->failed = true;
	else if (str_eq(colon + 1, NETWORK_HOST_GATEWAY)) {
		hosts_add(out, source->gateway4, name);
		hosts_add(out, source->gateway6, name);
	} else if (net_addr_parse(colon + 1, &addr) == 0) {
		hosts_add(out, addr, name);
	}
}

/* "host.domain host" */
static char *hosts_own_names(const json_t *config)
{
	const char *host = jx_str(config, "Hostname"), *domain = jx_str(config, "Domainname");
	_cleanup_free_ char *full = str_format("%s%s%s", host, *domain ? "." : "", domain);
	size_t len = full ? strcspn(full, ".") : 0;

	if (!full || !full[len])
		return TAKE_PTR(full);
	return str_format("%s %.*s", full, (int)len, full);
}

static void hosts_add_endpoint(struct buf *out, const struct network_endpoint *endpoint,
			       const char *names)
{
	if (!names || !*names)
		return;
	hosts_add(out, endpoint->v4, names);
	hosts_add(out, endpoint->v6, names);
}

/**
 * hosts_endpoint_lines() - What an endpoint has in the file
 * @config:   Complete config
 * @endpoint: Endpoint
 *
 * Return: heap string, "" if nothing, or NULL
 */
char *hosts_endpoint_lines(const json_t *config, const struct network_endpoint *endpoint)
{
	_cleanup_free_ char *names = hosts_own_names(config);
	_cleanup_buf_ struct buf out = {.failed = !names};

	buf_adds(&out, "");
	hosts_add_endpoint(&out, endpoint, names);
	return out.failed ? NULL : buf_steal(&out);
}

static void hosts_add_link(struct buf *out, const struct hosts_link *link)
{
	hosts_add(out, link->v4, link->names);
	hosts_add(out, link->v6, link->names);
}

/**
 * hosts_link_lines() - What a link has in the file
 * @link: Link
 *
 * Return: heap string, "" if nothing, or NULL
 */
char *hosts_link_lines(const struct hosts_link *link)
{
	_cleanup_buf_ struct buf out = {};

	buf_adds(&out, "");
	hosts_add_link(&out, link);
	return out.failed ? NULL : buf_steal(&out);
}

/**
 * hosts_text() - The file
 * @source: What it is made of
 *
 * Return: heap string or NULL
 */
char *hosts_text(const struct hosts_source *source)
{
	const json_t *extra = json_object_get(source->host_config, "ExtraHosts");
	const struct network_endpoints *endpoints = source->endpoints;
	_cleanup_free_ char *names = hosts_own_names(source->config);
	_cleanup_buf_ struct buf out = {.failed = !names};
	char *copy;
	json_t *item;
	size_t i;

	if (str_eq(jx_str(source->host_config, "NetworkMode"), "host") &&
	    json_array_size(extra) == 0 &&
	    fs_read_file(HOSTS_PATH, HOSTS_BYTES_MAX, &copy, NULL) == 0)
		return copy;
	buf_adds(&out, hosts_head);
	json_array_foreach (extra, i, item)
		hosts_extra(&out, source, json_string_value(item));
	for (i = 0; i < source->n_links; i++)
		hosts_add_link(&out, &source->links[i]);
	for (i = 0; endpoints && i < endpoints->n; i++)
		hosts_add_endpoint(&out, &endpoints->items[i], names);
	return out.failed ? NULL : buf_steal(&out);
}
