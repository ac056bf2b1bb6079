/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-forward-wire.c - messages between daemon and forwarder: what is taken is said again the same
 */
#include <stdlib.h>
#include <string.h>

#include "forward/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct forward_message message;
	_cleanup_buf_ struct buf again = {};
	size_t total;

	if (forward_wire_length(data, size, &total) < 0 || total > size ||
	    forward_wire_get(data, total, &message) < 0)
		return 0;
	if (forward_wire_put(&again, &message) < 0 || again.len != total ||
	    memcmp(again.data, data, total) != 0)
		abort();
	forward_message_done(&message);
	return 0;
}
