/* SPDX-License-Identifier: Apache-2.0 */
/* sock.h - unix sockets in a folder, however long its path is */
#pragma once

int sock_listen(const char *dir, const char *name, int *ret_fd);
int sock_connect(const char *dir, const char *name, int *ret_fd);
