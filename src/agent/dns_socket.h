/* SPDX-License-Identifier: Apache-2.0 */
/* dns_socket.h - sockets of a DNS server, made in the network namespace where they belong */
#pragma once

#include <stdint.h>

struct dns_upstream;

/* Where a container's sockets are made; both -EBADF: where this process is. */
struct dns_netns {
	int container_fd, home_fd; /* owned */
};

int dns_netns_open(int netns_fd, struct dns_netns *ret_netns);
void dns_netns_close(struct dns_netns *netns);
int dns_socket_listen(const struct dns_netns *netns, int type, uint16_t wish, uint16_t *ret_port);
int dns_socket_connect(const struct dns_netns *netns, int type,
		       const struct dns_upstream *upstream);
