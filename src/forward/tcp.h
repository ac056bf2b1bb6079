/* SPDX-License-Identifier: Apache-2.0 */
/* tcp.h - connections from a published port into a VM */
#pragma once

#include <stdint.h>

struct owner;
struct poller_source;

void tcp_on_listener(struct poller_source *source, uint32_t events);
void tcp_abort_all(struct owner *owner);
