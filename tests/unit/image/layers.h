/* SPDX-License-Identifier: Apache-2.0 */
/* layers.h - what the layer tests share: tars made by hand, a store to throw away, a tree as text
 */
#pragma once

#include "base/buf.h"
#include "image/layer.h"
#include "image/rootfs.h"

struct tar_spec {
	const char *name;
	char type; /* 0: '0' */
	const char *link;
	unsigned int mode; /* 0: 0644 or 0755 */
	unsigned int uid, gid, dev_major, dev_minor;
	long long mtime;
	const void *data;
	size_t len;	 /* 0: strlen(data) */
	const char *pax; /* "key=value" records, one per line, written in front */
};

void tar_put_spec(struct buf *b, const struct tar_spec *spec);
void tar_put_raw(struct buf *b, const char *name, char type, unsigned long long size_field,
		 const void *data, size_t len);
void tar_put_pax(struct buf *b, const char *key, const void *value, size_t len);
void tar_end(struct buf *b);

#define TAR(b, ...) tar_put_spec(b, &(struct tar_spec){__VA_ARGS__})
#define TAR_FILE_ENTRY(b, n, d) TAR(b, .name = (n), .data = (d))
#define TAR_DIR_ENTRY(b, n) TAR(b, .name = (n), .type = '5')

/* A folder below /tmp, removed at the end of the scope. */
struct scratch {
	char path[64];
};
void scratch_init(struct scratch *s);
void scratch_done(struct scratch *s);
#define _cleanup_scratch_ __attribute__((cleanup(scratch_done)))

/* Bytes in memory as a source that gives @step at a time (0: all). */
struct memory_source {
	const char *data;
	size_t len, at, step;
};
ssize_t memory_read(void *user, void *data, size_t len);

int import_tar(const char *store, struct buf *tar, struct layer_info *ret_info, struct err *err);
/* Import @n tars, merge them, and give a line per node: "d a 755", "f a/b 644 <contents>",
 * "l s -> t", "c dev 1:3", "p f"; hard links share a number: "f x 644 hi #2". NULL: *err says. */
char *show_layers(const char *store, struct buf *tars, size_t n, struct err *err);
size_t count_files(const char *store, const char *kind);
