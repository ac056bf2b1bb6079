/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ports.c - ports as clients and image configs write them
 *
 * dockerd takes any key of ExposedPorts at create and shows what it cannot read as port 0. Clients
 * decode a port into 16 bits, and a list with one number too large is no list to them: so nothing
 * leaves Arca that did not come through here.
 */
#include "core/ports.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

static int ports_number(const char *text, size_t len, uint16_t *ret_number)
{
	char digits[24];
	uint64_t n;
	int r;

	if (len >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, text, len);
	digits[len] = '\0';
	r = str_u64(digits, PORTS_NUMBER_MAX, &n);
	if (r == 0)
		*ret_number = (uint16_t)n;
	return r;
}

/**
 * ports_parse() - A port or a range of ports, with its protocol
 * @text:      "80", "80/tcp", "8000-8010/udp"; untrusted
 * @ret_range: Set on success
 *
 * Which protocols there are is the caller's business.
 *
 * Return: 0, -EINVAL if it is none, -ERANGE if a number is above 65535 or a range ends before it
 * begins
 */
int ports_parse(const char *text, struct port_range *ret_range)
{
	const char *slash = strchrnul(text, '/'), *proto = *slash ? slash + 1 : "tcp";
	const char *dash = memchr(text, '-', (size_t)(slash - text));
	const char *end = dash ? dash : slash;
	struct port_range range = {0};
	int r;

	if (!*proto || strchr(proto, '/') || strlen(proto) >= sizeof(range.proto))
		return -EINVAL;
	strcpy(range.proto, proto);
	r = ports_number(text, (size_t)(end - text), &range.first);
	range.last = range.first;
	if (r == 0 && dash)
		r = ports_number(dash + 1, (size_t)(slash - dash - 1), &range.last);
	if (r < 0)
		return r;
	if (range.last < range.first)
		return -ERANGE;
	*ret_range = range;
	return 0;
}
