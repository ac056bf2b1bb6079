/* SPDX-License-Identifier: Apache-2.0 */
/* fs.h - files and directories */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/util.h"

int fs_write_all(int fd, const void *data, size_t len);
int fs_pwrite_all(int fd, const void *data, size_t len, off_t offset);
ssize_t fs_read_full(int fd, void *data, size_t len);
int fs_read_file(const char *path, size_t max, char **ret_data, size_t *ret_len);
int fs_write_file(const char *path, const void *data, size_t len, mode_t mode);
int fs_mkdir_p(const char *path, mode_t mode);
int fs_remove_tree(const char *path);
bool fs_exists(const char *path);
int fs_copy_sparse(int from_fd, int to_fd);
