/* SPDX-License-Identifier: Apache-2.0 */
/* udp.h - sessions of clients of a published UDP port */
#pragma once

#include <stdint.h>

struct poller_source;
struct port;

void udp_set_idle(unsigned int idle_ms);
void udp_on_listener(struct poller_source *source, uint32_t events);
void udp_close_sessions(struct port *port);
void udp_expire(struct port *port);
