/* SPDX-License-Identifier: Apache-2.0 */
/* root.h - paths inside a container's root, resolved so that none leads out of it */
#pragma once

#include <sys/types.h>

int root_open(int root_fd, const char *path, int flags);
int root_make_directory(int root_fd, const char *path, mode_t mode, int *ret_fd);
int root_make_file(int root_fd, const char *path, mode_t mode, int *ret_fd);
