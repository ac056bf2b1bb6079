/* SPDX-License-Identifier: Apache-2.0 */
/* peer.h - a server in a thread, with methods made for the tests */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "rpc/server.h"

/*
 * Methods, all with InputChunk both ways:
 *   /t/Echo    unary: the same back
 *   /t/Twice   unary that wrongly answers two times
 *   /t/Fail    NOT_FOUND with an awkward text
 *   /t/Mute    no answer
 *   /t/Sink    client stream, manual_consume, consumed at once: id is the decimal sum of data bytes
 *   /t/Stall   client stream that is never consumed
 *   /t/Source  server stream: as many bytes as the decimal in id, in 32 KiB messages
 *   /t/Bidi    each message back, ends with the client
 *   /t/Token   sets the token to data, echoes
 *   /t/Early   client stream that is answered after the first message
 */
struct peer {
	int fd, stop_fd; /* owned */
	pthread_t thread;
	struct rpc_server *server;
	atomic_int open, resets, errors;
};

int peer_start(struct peer *peer, int *ret_client_fd);
void peer_stop(struct peer *peer);
void peer_on_reset(void *peer);
extern const struct rpc_method peer_methods[];
