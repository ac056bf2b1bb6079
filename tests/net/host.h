/* SPDX-License-Identifier: Apache-2.0 */
/* host.h - the host's side of the underlay's tests: its state, its servers, its resolver */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

#define DNS_QUERY_LEN 27

extern const uint8_t dns_query[DNS_QUERY_LEN]; /* localhost, A */

char *host_state(void);
int listen_tcp(const char *addr, uint16_t *ret_port);
bool connects(const struct vm *vm, const uint8_t *dest, uint16_t port, int tries);
bool host_address(uint8_t ret_v4[static 4]);
bool host_resolver_has_tcp(void);
bool host_resolver_answers(void);
