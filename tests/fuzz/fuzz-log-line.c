/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-log-line.c - any bytes as a json-file record, and any output as what a record must give back
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/container_log_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Output -> record -> the same number of bytes, and the same text where it was UTF-8. */
static void round_trip(const uint8_t *data, size_t len)
{
	_cleanup_buf_ struct buf record = {0};
	struct log_line line = {0};
	size_t at = 0, n, out = 0;

	log_line_encode(&record, 2, "2023-11-14T22:13:20.1Z", data, len);
	if (record.failed)
		return;
	for (size_t i = 0; i < record.len; i++) {
		if ((unsigned char)record.data[i] < 0x20 && i != record.len - 1)
			abort(); /* not one line of JSON */
	}
	if (log_line_decode(record.data, record.len, &line) < 0 || line.bytes != len ||
	    line.stream != 2)
		abort();
	while (at < len) {
		n = log_utf8_len(data + at, len - at);
		if (memcmp(line.text.data + out, n ? (const char *)data + at : "\xef\xbf\xbd",
			   n ? n : 3) != 0)
			abort();
		out += n ? n : 3;
		at += n ? n : 1;
	}
	if (out != line.text.len)
		abort();
	buf_done(&line.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct log_line line = {0};

	(void)log_line_decode((const char *)data, len, &line);
	buf_done(&line.text);
	round_trip(data, len);
	return 0;
}
