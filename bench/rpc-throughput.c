/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc-throughput.c - what the agent's channel costs over the bare socket beneath it
 *
 * Usage: rpc-throughput [MiB]
 *
 * Sends the same bytes in the same 32 KiB pieces three times: through a socket pair (the floor), as
 * a client stream (a process's stdin) and as a server stream (its output). Then round trips of one
 * small message, bare and as unary calls. Prints one JSON object.
 */
#include <agent.pb-c.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/util.h"
#include "rpc/client.h"
#include "../tests/unit/rpc/peer.h"

#define BLOCK 32768
#define CALLS 5000

typedef Arca__V1__InputChunk Chunk;
#define TYPE &arca__v1__input_chunk__descriptor

static uint8_t block[BLOCK];

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "rpc-throughput: %s failed\n", what);
	exit(1);
}

struct floor {
	int fd;
	unsigned long long total;
};

static void *floor_reader(void *arg)
{
	struct floor *f = arg;
	static uint8_t buf[65536];
	unsigned long long left = f->total;

	while (left > 0) {
		ssize_t n = read(f->fd, buf, sizeof(buf));

		check(n > 0, "read");
		left -= (unsigned long long)n;
	}
	check(write(f->fd, buf, 1) == 1, "write");
	return NULL;
}

static double floor_throughput(unsigned long long total)
{
	int fds[2];
	struct floor f = {.total = total};
	pthread_t thread;
	uint64_t start;
	char byte;

	check(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0, "socketpair");
	f.fd = fds[1];
	start = clock_us();
	check(pthread_create(&thread, NULL, floor_reader, &f) == 0, "pthread_create");
	for (unsigned long long sent = 0; sent < total; sent += BLOCK)
		check(write(fds[0], block, BLOCK) == BLOCK, "write");
	check(read(fds[0], &byte, 1) == 1, "read");
	start = clock_us() - start;
	pthread_join(thread, NULL);
	close(fds[0]);
	close(fds[1]);
	return (double)total / (double)start; /* bytes per microsecond: MB/s */
}

static void *floor_echo(void *arg)
{
	int fd = *(int *)arg;
	char buf[64];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		check(write(fd, buf, (size_t)n) == n, "write");
	return NULL;
}

static double floor_round_trip(void)
{
	char buf[64] = {};
	pthread_t thread;
	uint64_t start;
	int fds[2];

	check(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0, "socketpair");
	check(pthread_create(&thread, NULL, floor_echo, &fds[1]) == 0, "pthread_create");
	start = clock_us();
	for (int i = 0; i < CALLS; i++) {
		check(write(fds[0], buf, sizeof(buf)) == sizeof(buf), "write");
		check(read(fds[0], buf, sizeof(buf)) > 0, "read");
	}
	start = clock_us() - start;
	close(fds[0]);
	pthread_join(thread, NULL);
	close(fds[1]);
	return (double)start / CALLS;
}

struct transfer {
	sem_t writable, closed;
	unsigned long long bytes;
	enum rpc_status status;
};

static void on_message(void *user, ProtobufCMessage *message)
{
	struct transfer *t = user;

	t->bytes += ((Chunk *)message)->data.len;
	protobuf_c_message_free_unpacked(message, NULL);
}

static void on_writable(void *user)
{
	sem_post(&((struct transfer *)user)->writable);
}

static void on_closed(void *user, enum rpc_status status, const char *text)
{
	struct transfer *t = user;

	if (status != RPC_OK)
		fprintf(stderr, "rpc-throughput: %s\n", text);
	t->status = status;
	sem_post(&t->closed);
}

static const struct rpc_stream_ops ops = {
	.message = on_message, .writable = on_writable, .closed = on_closed};

static double stream_throughput(struct rpc_client *client, bool input, unsigned long long total)
{
	struct transfer t = {};
	struct rpc_stream *stream;
	Chunk chunk = ARCA__V1__INPUT_CHUNK__INIT;
	uint64_t start = clock_us();
	char id[32];
	int r;

	sem_init(&t.writable, 0, 0);
	sem_init(&t.closed, 0, 0);
	(void)snprintf(id, sizeof(id), "%llu", total);
	chunk.id = id;
	r = rpc_stream_open(client, input ? "/t/Sink" : "/t/Source", &chunk.base, TYPE, &ops, &t,
			    &stream);
	check(r == 0, "rpc_stream_open");
	chunk.data.data = block;
	chunk.data.len = BLOCK;
	for (unsigned long long sent = 0; input && sent < total;) {
		r = rpc_stream_send(stream, &chunk.base);
		if (r == -EAGAIN) {
			sem_wait(&t.writable);
			continue;
		}
		check(r == 0, "rpc_stream_send");
		sent += BLOCK;
	}
	rpc_stream_close_send(stream);
	sem_wait(&t.closed);
	check(t.status == RPC_OK && (input || t.bytes == total), "transfer");
	return (double)total / (double)(clock_us() - start);
}

static double call_round_trip(struct rpc_client *client)
{
	Chunk chunk = ARCA__V1__INPUT_CHUNK__INIT;
	uint64_t start = clock_us();
	struct err err;

	for (int i = 0; i < CALLS; i++) {
		ProtobufCMessage *reply;

		check(rpc_call(client, "/t/Echo", &chunk.base, TYPE, 5000, &reply, &err) == 0,
		      "rpc_call");
		protobuf_c_message_free_unpacked(reply, NULL);
	}
	return (double)(clock_us() - start) / CALLS;
}

int main(int argc, char **argv)
{
	unsigned long long total = (argc > 1 ? strtoull(argv[1], NULL, 10) : 256) * MIB(1);
	struct rpc_client *client;
	double floor_mb, input_mb, output_mb, floor_us, call_us;
	struct loop *loop;
	struct peer peer;
	int fd;

	check(total > 0, "reading the number of MiB");
	floor_mb = floor_throughput(total);
	floor_us = floor_round_trip();
	check(loop_new(&loop) == 0 && peer_start(&peer, &fd) == 0 &&
		      rpc_client_new(loop, fd, NULL, NULL, NULL, &client) == 0,
	      "start");
	input_mb = stream_throughput(client, true, total);
	output_mb = stream_throughput(client, false, total);
	call_us = call_round_trip(client);
	rpc_client_free(client);
	peer_stop(&peer);
	loop_free(loop);
	printf("{\"mib\": %llu, \"floor_mb_s\": %.0f, \"input_mb_s\": %.0f, \"output_mb_s\": %.0f, "
	       "\"floor_round_trip_us\": %.1f, \"call_round_trip_us\": %.1f}\n",
	       total / MIB(1), floor_mb, input_mb, output_mb, floor_us, call_us);
	return 0;
}
