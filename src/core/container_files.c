/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_files.c - /etc/hosts, /etc/hostname, /etc/resolv.conf
 *
 * The agent gets their text with the start. The copies in the container's directory are what
 * inspect's HostsPath and the like point at.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/str.h"
#include "core/containers.h"
#include "core/jsonx.h"

#define RESOLV_HOST_PATH "/etc/resolv.conf"
#define RESOLV_BYTES_MAX (64 * 1024)

static const char hosts_head[] = "127.0.0.1\tlocalhost\n"
				 "::1\tlocalhost ip6-localhost ip6-loopback\n"
				 "fe00::\tip6-localnet\n"
				 "ff00::\tip6-mcastprefix\n"
				 "ff02::1\tip6-allnodes\n"
				 "ff02::2\tip6-allrouters\n";

/* "name:ip" or "name=ip"; the address may contain colons. */
static void hosts_extra(struct buf *out, const char *entry)
{
	size_t n = strcspn(entry, ":=");
	const char *ip = entry[n] ? entry + n + 1 : "";
	size_t len = strlen(ip);

	if (len >= 2 && ip[0] == '[' && ip[len - 1] == ']') {
		ip++;
		len -= 2;
	}
	if (n == 0 || len == 0 || str_eq(ip, "host-gateway")) /* no gateway without networks */
		return;
	buf_addf(out, "%.*s\t%.*s\n", (int)len, ip, (int)n, entry);
}

/**
 * container_hosts_text() - Text of /etc/hosts
 * @c: Container
 *
 * Return: heap string or NULL
 */
char *container_hosts_text(const struct container *c)
{
	_cleanup_buf_ struct buf out = {0};
	const char *hostname = jx_str(c->config, "Hostname");
	const char *domain = jx_str(c->config, "Domainname");
	json_t *item;
	size_t i;

	buf_adds(&out, hosts_head);
	json_array_foreach (json_object_get(c->host_config, "ExtraHosts"), i, item)
		hosts_extra(&out, json_string_value(item));
	if (!str_eq(jx_str(c->host_config, "NetworkMode"), "none") && *hostname) {
		/* its own name resolves also while it has no address of its own */
		buf_adds(&out, "127.0.1.1\t");
		if (*domain)
			buf_addf(&out, "%s.%s ", hostname, domain);
		buf_addf(&out, "%s\n", hostname);
	}
	return out.failed ? NULL : buf_steal(&out);
}

static void resolv_list(struct buf *out, const char *head, const json_t *list, bool one_line)
{
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		if (i == 0 || !one_line)
			buf_adds(out, head);
		buf_addf(out, " %s%s", json_string_value(item), one_line ? "" : "\n");
	}
	if (one_line && json_array_size(list) > 0)
		buf_adds(out, "\n");
}

/* The host's, without what it gave itself on loopback. */
static void resolv_host(struct buf *out, bool nameservers, bool search, bool options)
{
	_cleanup_free_ char *text = NULL;
	char *save = NULL;
	size_t len;

	if (fs_read_file(RESOLV_HOST_PATH, RESOLV_BYTES_MAX, &text, &len) < 0)
		return; /* a host without resolver: the container has none */
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		bool take = (nameservers && str_starts(line, "nameserver") &&
			     !strstr(line, " 127.") && !strstr(line, " ::1")) ||
			    (search && str_starts(line, "search")) ||
			    (options && str_starts(line, "options"));

		if (take)
			buf_addf(out, "%s\n", line);
	}
}

/**
 * container_resolv_text() - Text of /etc/resolv.conf
 * @c: Container
 *
 * Return: heap string or NULL
 */
char *container_resolv_text(const struct container *c)
{
	_cleanup_buf_ struct buf out = {0};
	const json_t *dns = json_object_get(c->host_config, "Dns");
	const json_t *search = json_object_get(c->host_config, "DnsSearch");
	const json_t *options = json_object_get(c->host_config, "DnsOptions");

	buf_adds(&out, "");
	resolv_list(&out, "nameserver", dns, false);
	resolv_list(&out, "search", search, true);
	resolv_list(&out, "options", options, true);
	resolv_host(&out, json_array_size(dns) == 0, json_array_size(search) == 0,
		    json_array_size(options) == 0);
	return out.failed ? NULL : out.data ? buf_steal(&out) : strdup("");
}

static int files_write_one(const struct container *c, const char *name, const char *text,
			   struct err *err)
{
	_cleanup_free_ char *path = str_format("%s/%s", c->dir, name);
	int r;

	if (!path || !text)
		return err_oom(err);
	r = fs_write_file(path, text, strlen(text), 0644);
	return r < 0 ? err_sys(err, r, "cannot write %s", path) : 0;
}

/**
 * container_files_write() - Write the copies on the host
 * @c:	 Container whose directory exists
 * @err: Filled on failure
 *
 * Return: 0 or a negative errno
 */
int container_files_write(struct container *c, struct err *err)
{
	_cleanup_free_ char *hosts = container_hosts_text(c);
	_cleanup_free_ char *resolv = container_resolv_text(c);
	_cleanup_free_ char *hostname = str_format("%s\n", jx_str(c->config, "Hostname"));
	int r;

	r = files_write_one(c, "hosts", hosts, err);
	if (r == 0)
		r = files_write_one(c, "resolv.conf", resolv, err);
	if (r == 0)
		r = files_write_one(c, "hostname", hostname, err);
	return r;
}
