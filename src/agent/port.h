/* SPDX-License-Identifier: Apache-2.0 */
/* port.h - the channel to the daemon */
#pragma once

struct agent;

int port_open(int *ret_fd);
int port_serve(struct agent *agent, int fd);
int port_flush(struct agent *agent);
