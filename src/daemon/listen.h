/* SPDX-License-Identifier: Apache-2.0 */
/* listen.h - from --host texts to listening sockets */
#pragma once

#include <stdbool.h>

#include "base/err.h"

#define LISTEN_FDS_MAX 16

struct listen_socket {
	int fd;	    /* owned until handed on */
	bool tcp;   /* TLS applies */
	char *path; /* owned; of a unix socket we made: removed at the end; else NULL */
};

int listen_open(const char *host, const char *group, bool tls,
		struct listen_socket sockets[static LISTEN_FDS_MAX], int *n, struct err *err);
void listen_close(struct listen_socket *sockets, int n);
