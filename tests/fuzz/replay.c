/* SPDX-License-Identifier: Apache-2.0 */
/* replay.c - feeds files to a fuzzer's entry point: what libFuzzer does, where it is not built in
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"

#define REPLAY_MAX MIB(16)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "rb");
		uint8_t *data = malloc(REPLAY_MAX);
		size_t len;

		if (!f || !data) {
			perror(argv[i]);
			return 1;
		}
		len = fread(data, 1, REPLAY_MAX, f);
		(void)fclose(f); /* only read */
		(void)LLVMFuzzerTestOneInput(data, len);
		free(data);
	}
	printf("ok 1 - %d inputs\n1..1\n", argc - 1);
	return 0;
}
