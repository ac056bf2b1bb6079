/* SPDX-License-Identifier: Apache-2.0 */
/* control.h - the socket at which the daemon says what to forward */
#pragma once

int control_listen(const char *name);
int control_start(int fd);
