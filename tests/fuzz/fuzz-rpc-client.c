/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-rpc-client.c - any bytes from an agent into the daemon's end of the channel */
#include <agent.pb-c.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc-frames.h"
#include "base/cleanup.h"
#include "base/loop.h"
#include "rpc/client.h"
#include "rpc/sync.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static sem_t ended;
static int streams_open;

static void on_message(void *user UNUSED, ProtobufCMessage *message)
{
	protobuf_c_message_free_unpacked(message, NULL);
}

static void on_stream_closed(void *user UNUSED, enum rpc_status status UNUSED,
			     const char *text UNUSED)
{
	streams_open--;
}

static void on_closed(void *user UNUSED, int reason UNUSED)
{
	sem_post(&ended);
}

static const struct rpc_stream_ops ops = {.message = on_message, .closed = on_stream_closed};

static void open_stream(struct rpc_client *client, const ProtobufCMessageDescriptor *type)
{
	Arca__V1__InputChunk chunk = ARCA__V1__INPUT_CHUNK__INIT;
	struct rpc_stream *stream;

	streams_open++;
	if (rpc_stream_open(client, "/t/Any", &chunk.base, type, &ops, NULL, &stream) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct loop *loop;
	_cleanup_buf_ struct buf b = {};
	uint8_t preamble[RPC_SYNC_LEN], answer[RPC_SYNC_LEN];
	struct rpc_client *client;
	int fds[2];

	if (!loop && (sem_init(&ended, 0, 0) < 0 || loop_new(&loop) < 0))
		abort();
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
		abort();
	if (rpc_client_new(loop, fds[0], NULL, on_closed, NULL, &client) < 0)
		abort();
	open_stream(client, &arca__v1__process_event__descriptor);
	open_stream(client, &arca__v1__list_response__descriptor);
	if (recv(fds[1], preamble, sizeof(preamble), MSG_WAITALL) != sizeof(preamble))
		abort();
	rpc_sync_answer(preamble + RPC_TOKEN_LEN, answer);
	buf_add(&b, answer, sizeof(answer));
	frames_expand(data, len, &b);
	(void)send(fds[1], b.data, b.len, MSG_NOSIGNAL); /* it may have had enough already */
	(void)shutdown(fds[1], SHUT_WR);
	sem_wait(&ended);
	rpc_client_free(client);
	if (streams_open != 0)
		abort(); /* a stream was forgotten */
	close(fds[1]);
	return 0;
}
