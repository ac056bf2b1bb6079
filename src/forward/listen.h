/* SPDX-License-Identifier: Apache-2.0 */
/* listen.h - sockets in the host's network namespace, opened by a thread that lives there */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "forward/wire.h"

int listen_init(int host_ns_fd);
int listen_open(uint8_t proto, const struct forward_ip *ip, uint16_t port, int *fds, size_t n,
		size_t *ret_n);
int listen_port(int fd, uint16_t *ret_port);
socklen_t listen_address(const struct forward_ip *ip, uint16_t port,
			 struct sockaddr_storage *ret_addr);
