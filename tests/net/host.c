/* SPDX-License-Identifier: Apache-2.0 */
#include "host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"

/* All that a network program may have changed on the host, as text. */
char *host_state(void)
{
	static const char *const commands =
		"exec 2>/dev/null; ip -o link | sed 's/ state.*//'; ip -o addr | sed 's/ "
		"valid.*//'; "
		"ip route show table all; ip -6 route show table all | sed 's/ expires [^ ]*//'; "
		"ip rule; "
		"nft list ruleset; iptables-save | grep -v '^#'; ip6tables-save | grep -v '^#'; "
		"ls -1 /run/netns; sysctl -a | grep '^net' | grep -vE 'nf_conntrack_count|random|"
		"gc_|_min_adv|mptcp|stable_secret'";
	_cleanup_buf_ struct buf text = {};
	char line[4096];
	FILE *f = popen(commands, "r");

	while (f && fgets(line, sizeof(line), f))
		buf_adds(&text, line);
	if (f)
		(void)pclose(f);
	return buf_steal(&text);
}

int listen_tcp(const char *addr, uint16_t *ret_port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, addr, &sa.sin_addr);
	if (bind(fd, (void *)&sa, sizeof(sa)) < 0 || listen(fd, 16) < 0 ||
	    getsockname(fd, (void *)&sa, &len) < 0)
		return -errno;
	*ret_port = ntohs(sa.sin_port);
	return fd;
}

/* Does a SYN from the VM bring a SYN-ACK? Tried again: pasta may be on its way up. */
bool connects(const struct vm *vm, const uint8_t *dest, uint16_t port, int tries)
{
	static uint16_t source_port = 20000;

	for (int i = 0; i < tries; i++) {
		struct packet syn = {.proto = IPPROTO_TCP,
				     .dest = dest,
				     .source_port = ++source_port,
				     .dest_port = port};
		struct frame f;

		frame_send(vm, &syn);
		for (int64_t end = clock_monotonic_ns() + 300 * NSEC_PER_MSEC;
		     clock_monotonic_ns() < end;) {
			if (frame_receive(vm, 300, &f) && f.proto == IPPROTO_TCP &&
			    memcmp(f.source, dest, 4) == 0 && f.data_len >= 20 &&
			    (f.data[13] & 0x12) == 0x12)
				return true;
		}
	}
	return false;
}

bool host_address(uint8_t ret_v4[static 4])
{
	struct ifaddrs *list, *i;
	bool found = false;

	if (getifaddrs(&list) < 0)
		return false;
	for (i = list; i && !found; i = i->ifa_next) {
		if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET ||
		    (i->ifa_flags & IFF_LOOPBACK))
			continue;
		memcpy(ret_v4, &((struct sockaddr_in *)i->ifa_addr)->sin_addr, 4);
		found = true;
	}
	freeifaddrs(list);
	return found;
}

const uint8_t dns_query[DNS_QUERY_LEN] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
					 "\x09localhost\x00\x00\x01\x00\x01";

/* The host's first IPv4 resolver. */
static bool host_resolver(struct sockaddr_in *ret_addr)
{
	_cleanup_fclose_ FILE *f = fopen("/etc/resolv.conf", "r");
	char line[256], addr[64];

	*ret_addr = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(53)};
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "nameserver %63s", addr) == 1 &&
		    inet_pton(AF_INET, addr, &ret_addr->sin_addr) == 1)
			return true;
	}
	return false;
}

bool host_resolver_has_tcp(void)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct timeval limit = {.tv_sec = 3};
	struct sockaddr_in sa;

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	return host_resolver(&sa) && ntohl(sa.sin_addr.s_addr) >> 24 != 127 &&
	       connect(fd, (void *)&sa, sizeof(sa)) == 0;
}

bool host_resolver_answers(void)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const struct timeval limit = {.tv_sec = 3};
	struct sockaddr_in sa;
	char answer[512];

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return host_resolver(&sa) &&
	       sendto(fd, dns_query, DNS_QUERY_LEN, 0, (void *)&sa, sizeof(sa)) > 0 &&
	       recv(fd, answer, sizeof(answer), 0) > 0;
}
