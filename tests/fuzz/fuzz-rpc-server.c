/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-rpc-server.c - any bytes into the agent's end of the channel */
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc-frames.h"
#include "base/cleanup.h"
#include "rpc/sync.h"
#include "../unit/rpc/peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
	_cleanup_buf_ struct buf b = {};
	uint8_t preamble[RPC_SYNC_LEN] = {}, out[65536];
	struct peer peer = {};
	size_t piece = len > 0 && data[0] & 1 ? 4096 : FRAMES_MAX * 2;
	int fds[2];

	(void)signal(SIGPIPE, SIG_IGN);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0 ||
	    rpc_server_new(fds[0], peer_methods, peer_on_reset, &peer, &peer.server) < 0)
		abort();
	rpc_sync_key(NULL, preamble);
	buf_add(&b, preamble, sizeof(preamble));
	buf_add(&b, preface, sizeof(preface) - 1);
	frames_expand(data, len, &b);
	for (size_t at = 0; at < b.len; at += piece) {
		size_t n = b.len - at < piece ? b.len - at : piece;

		if (write(fds[1], b.data + at, n) != (ssize_t)n)
			break;
		(void)rpc_server_on_readable(peer.server);
		while (read(fds[1], out, sizeof(out)) > 0)
			(void)rpc_server_on_writable(peer.server);
	}
	rpc_server_free(peer.server);
	if (peer.open != 0)
		abort(); /* a call was forgotten */
	close(fds[0]);
	close(fds[1]);
	return 0;
}
