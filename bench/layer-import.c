/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer-import.c - what a layer's import costs above what nobody can avoid
 *
 *   layer-import TAR[.gz|.zst] [ROUNDS]
 *
 * Floor: read the file, digest it, inflate it, digest that, on one thread, and write nothing.
 * Import: layer_import() into an empty store beside the file's folder in /tmp, to the last
 * fdatasync, plus rootfs_assemble(). Medians, one JSON object.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "image/inflate.h"
#include "image/layer.h"

#define ROUNDS_MAX 101

struct file_source {
	int fd;
	struct sha256 sha;
};

static ssize_t file_read(void *user, void *data, size_t len)
{
	struct file_source *f = user;
	ssize_t n = read(f->fd, data, len);

	if (n > 0)
		sha256_add(&f->sha, data, (size_t)n); /* the blob's digest */
	return n < 0 ? -errno : n;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

static int floor_once(const char *path, double *ret_ms)
{
	struct file_source f = {.fd = open(path, O_RDONLY | O_CLOEXEC)};
	struct byte_source from = {file_read, &f};
	_cleanup_(inflate_freep) struct inflate *in = NULL;
	_cleanup_free_ char *buf = malloc(KIB(256));
	struct sha256 sha;
	char digest[DIGEST_BUF];
	int64_t start = clock_monotonic_ns();
	ssize_t n;

	if (f.fd < 0 || !buf || inflate_new(&from, &in) < 0)
		return -EIO;
	sha256_start(&f.sha);
	sha256_start(&sha);
	while ((n = inflate_read(in, buf, KIB(256))) > 0)
		sha256_add(&sha, buf, (size_t)n);
	sha256_finish(&sha, digest);
	close(f.fd);
	*ret_ms = (double)(clock_monotonic_ns() - start) / 1e6;
	return (int)n;
}

static int import_once(const char *path, double *ret_ms, double *ret_assemble_ms,
		       struct layer_info *info)
{
	struct file_source f = {.fd = open(path, O_RDONLY | O_CLOEXEC)};
	struct byte_source from = {file_read, &f};
	char store[] = "/tmp/arca-bench-XXXXXX";
	const char *ids[1] = {info->diff_id};
	_cleanup_free_ char *vmdk = NULL;
	struct err err = {};
	int64_t start, middle;
	int r;

	if (f.fd < 0 || !mkdtemp(store))
		return -EIO;
	sha256_start(&f.sha);
	start = clock_monotonic_ns();
	r = layer_import(store, &from, NULL, info, &err);
	middle = clock_monotonic_ns();
	if (r == 0)
		r = rootfs_assemble(store, ids, 1, GIB(256), &vmdk, &err);
	*ret_ms = (double)(middle - start) / 1e6;
	*ret_assemble_ms = (double)(clock_monotonic_ns() - middle) / 1e6;
	close(f.fd);
	if (fs_remove_tree(store) < 0 || r < 0)
		fprintf(stderr, "%s\n", err.msg);
	return r;
}

int main(int argc, char **argv)
{
	double floors[ROUNDS_MAX], imports[ROUNDS_MAX], assembles[ROUNDS_MAX];
	int rounds = argc > 2 ? atoi(argv[2]) : 5;
	struct layer_info info = {};
	double floor_ms, import_ms;

	if (argc < 2 || rounds < 1 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: layer-import TAR [ROUNDS]\n");
		return 1;
	}
	for (int i = 0; i < rounds; i++)
		if (floor_once(argv[1], &floors[i]) < 0 ||
		    import_once(argv[1], &imports[i], &assembles[i], &info) < 0)
			return 1;
	floor_ms = median(floors, (size_t)rounds);
	import_ms = median(imports, (size_t)rounds);
	printf("{\"bench\": \"layer-import\", \"rounds\": %d, \"entries\": %llu, "
	       "\"size_bytes\": %llu, \"floor_ms\": %.1f, \"import_ms\": %.1f, "
	       "\"assemble_ms\": %.1f, \"ratio\": %.2f}\n",
	       rounds, (unsigned long long)info.entries, (unsigned long long)info.size_bytes,
	       floor_ms, import_ms, median(assembles, (size_t)rounds), import_ms / floor_ms);
	return 0;
}
