/* SPDX-License-Identifier: Apache-2.0 */
/* ports.h - ports as clients write them: "80", "80/tcp", "8000-8010/udp" */
#pragma once

#include <stdint.h>

#define PORTS_NUMBER_MAX 65535
#define PORTS_PROTO_MAX 8

struct port_range {
	uint16_t first, last;
	char proto[PORTS_PROTO_MAX]; /* "tcp" where the text names none */
};

int ports_parse(const char *text, struct port_range *ret_range);
