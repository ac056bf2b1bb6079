/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-erofs.c - disks of layers: the superblock, the descriptor, and what fsck.erofs says
 *
 * The comparison with a real tree is roundtrip.py.
 */
#include "image/erofs.h"

#include "../test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"
#include "image/layer_store.h"
#include "layers.h"

#define DISK_BYTES GIB(4)

struct disk {
	struct scratch scratch;
	struct buf tar;
	char *vmdk;
	struct layer_info info;
	struct err err;
};

static void disk_done(struct disk *d)
{
	scratch_done(&d->scratch);
	buf_done(&d->tar);
	free(d->vmdk);
}

#define DISK(d)                                                                                    \
	__attribute__((cleanup(disk_done))) struct disk d = {};                                    \
	scratch_init(&d.scratch)

static int disk_make(struct disk *d)
{
	const char *ids[1] = {d->info.diff_id};
	int r;

	tar_end(&d->tar);
	r = import_tar(d->scratch.path, &d->tar, &d->info, &d->err);
	if (r == 0)
		r = rootfs_assemble(d->scratch.path, ids, 1, DISK_BYTES, &d->vmdk, &d->err);
	if (r < 0)
		printf("# %s\n", d->err.msg);
	return r;
}

static char *disk_meta(const struct disk *d)
{
	return str_format("%s/rootfs/%s/meta.erofs", d->scratch.path, digest_hex(d->info.diff_id));
}

/* Metadata and data in one file, then fsck.erofs; 77 if there is none. */
static int disk_fsck(const struct disk *d)
{
	_cleanup_free_ char *meta = disk_meta(d);
	_cleanup_free_ char *cmd = str_format(
		"command -v fsck.erofs >/dev/null || exit 77; "
		"cat %s %s/layers/%s/data >%s/full && fsck.erofs %s/full >%s/log 2>&1 || "
		"{ sed 's/^/# /' %s/log; exit 1; }",
		meta, d->scratch.path, digest_hex(d->info.diff_id), d->scratch.path,
		d->scratch.path, d->scratch.path, d->scratch.path);
	int status = system(cmd);

	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define ASSERT_CLEAN(d)                                                                            \
	do {                                                                                       \
		int _status = disk_fsck(&(d));                                                     \
		if (_status == 77)                                                                 \
			TEST_SKIP("no fsck.erofs");                                                \
		ASSERT_EQ(_status, 0);                                                             \
	} while (0)

TEST(superblock)
{
	DISK(d);
	_cleanup_free_ char *meta = NULL, *image = NULL;
	struct erofs_super sb;
	struct erofs_inode root;
	size_t len;

	TAR(&d.tar, .name = "./", .type = '5', .mode = 0711, .uid = 3, .mtime = 77);
	TAR_FILE_ENTRY(&d.tar, "a", "hello");
	TAR_DIR_ENTRY(&d.tar, "d");
	ASSERT_OK(disk_make(&d));
	meta = disk_meta(&d);
	ASSERT_OK(fs_read_file(meta, 100000, &image, &len));
	ASSERT_EQ(len, 4096);
	memcpy(&sb, image + 1024, sizeof(sb));
	ASSERT_EQ(sb.magic, 0xE0F5E1E2);
	ASSERT_EQ(sb.block_bits, 12);
	ASSERT_EQ(sb.root_nid, 36);
	ASSERT_EQ(sb.inos, 3);
	ASSERT_EQ(sb.blocks, 2);
	ASSERT_EQ(sb.feature_incompat, 0);
	memcpy(&root, image + sb.root_nid * 32, sizeof(root));
	ASSERT_EQ(root.mode, S_IFDIR | 0711);
	ASSERT_EQ(root.uid, 3);
	ASSERT_EQ(root.mtime_sec, 77);
	ASSERT_EQ(root.nlink, 3);
	ASSERT_CLEAN(d);
}

TEST(empty_root)
{
	DISK(d);

	ASSERT_OK(disk_make(&d));
	ASSERT_CLEAN(d);
}

/* Goal: directories of one block, of exactly full blocks, of many blocks; names around "." */
TEST(directories_of_all_sizes)
{
	static const char *const names[] = {"!", "-", ".a", ".-", "..a", "..-", "...", "0", "\xff"};

	for (size_t n = 0; n < 700; n = n < 60 ? n + 1 : n + 131) {
		DISK(d);

		for (size_t i = 0; i < ARRAY_SIZE(names); i++)
			TAR_FILE_ENTRY(&d.tar, names[i], "");
		for (size_t i = 0; i < n; i++) {
			char name[100];

			(void)snprintf(
				name, sizeof(name), "dir/%04zu-%.*s", i, (int)(i * 7 % 61),
				"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
			TAR_FILE_ENTRY(&d.tar, name, i % 5 ? "" : "contents");
		}
		ASSERT_OK(disk_make(&d));
		ASSERT_CLEAN(d);
	}
}

/* Goal: tails that just fit and just do not fit behind an inode with xattrs. */
TEST(symlinks_of_all_sizes)
{
	DISK(d);
	static const int lens[] = {1, 63, 3000, 3900, 4030, 4031, 4032, 4033, 4095};
	char target[4096];

	memset(target, 't', sizeof(target));
	for (int x = 0; x < 2; x++) {
		for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
			_cleanup_free_ char *pax =
				str_format("linkpath=%.*s\n%s", lens[i], target,
					   x ? "SCHILY.xattr.trusted.x=1\n" : "");
			char name[20];

			(void)snprintf(name, sizeof(name), "l%d-%zu", x, i);
			TAR(&d.tar, .name = name, .type = '2', .link = "x", .pax = pax);
		}
	}
	ASSERT_OK(disk_make(&d));
	ASSERT_CLEAN(d);
}

TEST(large_xattrs)
{
	DISK(d);
	static char value[65535];

	memset(value, 'v', sizeof(value));
	for (size_t len = 1; len <= 65535; len = len * 3 + 1) {
		_cleanup_free_ char *pax = str_format("SCHILY.xattr.user.big=%.*s\n"
						      "SCHILY.xattr.security.capability=c\n"
						      "SCHILY.xattr.system.unknown=dropped\n",
						      (int)len, value);
		char name[20];

		(void)snprintf(name, sizeof(name), "d%zu/f", len);
		TAR(&d.tar, .name = name, .data = "x", .pax = pax);
		(void)snprintf(name, sizeof(name), "d%zu", len);
		TAR(&d.tar, .name = name, .type = '5', .pax = pax);
	}
	ASSERT_OK(disk_make(&d));
	ASSERT_CLEAN(d);
}

TEST(special_files)
{
	DISK(d);

	TAR(&d.tar, .name = "c", .type = '3', .dev_major = 4095, .dev_minor = 1048575);
	TAR(&d.tar, .name = "b", .type = '4', .dev_major = 259, .dev_minor = 70000);
	TAR(&d.tar, .name = "p", .type = '6');
	TAR_FILE_ENTRY(&d.tar, "f", "1");
	TAR(&d.tar, .name = "h", .type = '1', .link = "f");
	TAR(&d.tar, .name = "big", .data = "x",
	    .pax = "GNU.sparse.size=3000000000\nGNU.sparse.map=1,1\n");
	ASSERT_OK(disk_make(&d));
	ASSERT_CLEAN(d);
}

TEST(descriptor_adds_up_to_the_capacity)
{
	DISK(d);
	_cleanup_free_ char *text = NULL;
	unsigned long long total = 0, sectors;

	TAR_FILE_ENTRY(&d.tar, "a", "hello");
	ASSERT_OK(disk_make(&d));
	ASSERT_OK(fs_read_file(d.vmdk, 100000, &text, NULL));
	ASSERT(str_starts(text, "# Disk DescriptorFile\n"));
	for (const char *p = text; (p = strstr(p, "\nRW ")); p++) {
		ASSERT_EQ(sscanf(p, "\nRW %llu FLAT \"../../", &sectors), 1);
		total += sectors;
	}
	ASSERT_EQ(total * 512, DISK_BYTES);
}

TEST(second_call_changes_nothing_another_capacity_only_the_descriptor)
{
	DISK(d);
	_cleanup_free_ char *again = NULL, *meta = NULL, *text = NULL;
	struct stat before, after;

	TAR_FILE_ENTRY(&d.tar, "a", "hello");
	ASSERT_OK(disk_make(&d));
	meta = disk_meta(&d);
	ASSERT_OK(stat(meta, &before));
	{
		const char *ids[1] = {d.info.diff_id};

		ASSERT_OK(rootfs_assemble(d.scratch.path, ids, 1, DISK_BYTES, &again, &d.err));
		ASSERT_STREQ(again, d.vmdk);
		free(TAKE_PTR(again));
		ASSERT_OK(rootfs_assemble(d.scratch.path, ids, 1, 2 * DISK_BYTES, &again, &d.err));
	}
	ASSERT_OK(stat(meta, &after));
	ASSERT_EQ(before.st_ino, after.st_ino);
	ASSERT_OK(fs_read_file(again, 100000, &text, NULL));
	ASSERT(strstr(text, "# capacity_bytes=8589934592\n"));
	ASSERT_EQ(count_files(d.scratch.path, "rootfs"), 1);
	ASSERT_OK(rootfs_remove(d.scratch.path, d.info.diff_id));
	ASSERT_EQ(count_files(d.scratch.path, "rootfs"), 0);
}

TEST(what_does_not_fit_is_refused)
{
	DISK(d);
	const char *ids[LAYERS_PER_IMAGE_MAX + 1];
	char *vmdk = NULL;

	TAR_FILE_ENTRY(&d.tar, "a", "hello");
	ASSERT_OK(disk_make(&d));
	ids[0] = d.info.diff_id;
	ASSERT_ERROR(rootfs_assemble(d.scratch.path, ids, 1, 4096, &vmdk, &d.err), EINVAL);
	ASSERT_EQ(d.err.kind, ERR_INVALID);
	ASSERT(!vmdk);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		ids[i] = d.info.diff_id;
	ASSERT_ERROR(
		rootfs_assemble(d.scratch.path, ids, ARRAY_SIZE(ids), DISK_BYTES, &vmdk, &d.err),
		EINVAL);
	ASSERT_STREQ(d.err.msg, "max depth exceeded");
	ids[0] = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
	ASSERT_ERROR(rootfs_assemble(d.scratch.path, ids, 1, DISK_BYTES, &vmdk, &d.err), ENOENT);
	ids[0] = "../../etc/passwd";
	ASSERT_ERROR(rootfs_assemble(d.scratch.path, ids, 1, DISK_BYTES, &vmdk, &d.err), EINVAL);
	ASSERT_EQ(count_files(d.scratch.path, "rootfs"), 1);
}

struct racer {
	pthread_t thread;
	struct disk *disk;
	int result;
};

static void *racer_run(void *user)
{
	struct racer *rc = user;
	struct layer_info info;
	const char *ids[1] = {info.diff_id};
	_cleanup_free_ char *vmdk = NULL;
	struct err err = {};

	rc->result = import_tar(rc->disk->scratch.path, &rc->disk->tar, &info, &err);
	if (rc->result == 0)
		rc->result =
			rootfs_assemble(rc->disk->scratch.path, ids, 1, DISK_BYTES, &vmdk, &err);
	return NULL;
}

/* Goal: the same layer and disk from several threads at once is made once, and all are content. */
TEST(threads_may_race)
{
	DISK(d);
	struct racer racers[6] = {};

	TAR_FILE_ENTRY(&d.tar, "a", "hello");
	tar_end(&d.tar);
	for (size_t i = 0; i < ARRAY_SIZE(racers); i++) {
		racers[i].disk = &d;
		ASSERT_OK(pthread_create(&racers[i].thread, NULL, racer_run, &racers[i]));
	}
	for (size_t i = 0; i < ARRAY_SIZE(racers); i++)
		(void)pthread_join(racers[i].thread, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(racers); i++)
		ASSERT_OK(racers[i].result);
	ASSERT_EQ(count_files(d.scratch.path, "layers"), 1);
	ASSERT_EQ(count_files(d.scratch.path, "rootfs"), 1);
}

TEST(damaged_layer_is_no_disk)
{
	DISK(d);
	_cleanup_free_ char *tree = NULL;
	const char *ids[1] = {d.info.diff_id};
	char *vmdk = NULL;
	_cleanup_close_ int fd = -EBADF;

	TAR_FILE_ENTRY(&d.tar, "a", "hello");
	ASSERT_OK(import_tar(d.scratch.path, &d.tar, &d.info, &d.err));
	tree = layer_path(d.scratch.path, d.info.diff_id, "tree");
	fd = open(tree, O_WRONLY | O_CLOEXEC);
	ASSERT_OK(fs_pwrite_all(fd, "x", 1, 100));
	ASSERT_ERROR(rootfs_assemble(d.scratch.path, ids, 1, DISK_BYTES, &vmdk, &d.err), EBADMSG);
	ASSERT_EQ(d.err.kind, ERR_INTERNAL);
	ASSERT_EQ(count_files(d.scratch.path, "rootfs"), 0);
}

TEST_MAIN()
