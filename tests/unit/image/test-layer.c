/* SPDX-License-Identifier: Apache-2.0 */
/* test-layer.c - importing layers: what arrives on disk, what is refused, and that nothing stays */
#include "image/layer.h"

#include "../test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"
#include "layers.h"

#define STORE(s)                                                                                   \
	_cleanup_scratch_ struct scratch s;                                                        \
	scratch_init(&s)

/* Goal: contents are at 4 KiB steps, empty files take nothing, the digest is that of the tar. */
TEST(import_writes_data_and_tree)
{
	STORE(s);
	_cleanup_buf_ struct buf b = {};
	_cleanup_free_ char *path = NULL, *data = NULL;
	struct layer_info info, again;
	struct err err = {};
	char want[DIGEST_BUF];
	size_t len;

	TAR_FILE_ENTRY(&b, "a", "first");
	TAR_FILE_ENTRY(&b, "empty", "");
	TAR_FILE_ENTRY(&b, "d/b", "second");
	tar_end(&b);
	buf_adds(&b, "behind the end mark, but digested");
	sha256_digest_text(b.data, b.len, want);
	ASSERT_OK(import_tar(s.path, &b, &info, &err));
	ASSERT_STREQ(info.diff_id, want);
	ASSERT_EQ(info.size_bytes, 11);
	ASSERT_EQ(info.data_bytes, 8192);
	ASSERT_EQ(info.entries, 4);
	path = str_format("%s/layers/%s/data", s.path, digest_hex(want));
	ASSERT_OK(fs_read_file(path, 10000, &data, &len));
	ASSERT_EQ(len, 8192);
	ASSERT_STREQ(data, "first");
	ASSERT_STREQ(data + 4096, "second");
	ASSERT_OK(layer_info(s.path, want, &again));
	ASSERT(memcmp(&again, &info, sizeof(info)) == 0);
	ASSERT(layer_present(s.path, want));
	ASSERT_EQ(count_files(s.path, "layers"), 1);
}

TEST(import_of_a_present_layer_is_only_verified)
{
	STORE(s);
	_cleanup_buf_ struct buf b = {}, other = {};
	struct memory_source m;
	struct byte_source from = {memory_read, &m};
	struct layer_info info, second;
	struct err err = {};

	TAR_FILE_ENTRY(&b, "a", "x");
	TAR_FILE_ENTRY(&other, "a", "y");
	ASSERT_OK(import_tar(s.path, &b, &info, &err));
	m = (struct memory_source){.data = b.data, .len = b.len};
	ASSERT_OK(layer_import(s.path, &from, info.diff_id, &second, &err));
	ASSERT_STREQ(second.diff_id, info.diff_id);
	ASSERT_OK(import_tar(s.path, &b, &second, &err));
	m = (struct memory_source){.data = other.data, .len = other.len};
	ASSERT_ERROR(layer_import(s.path, &from, info.diff_id, &second, &err), EINVAL);
	ASSERT_EQ(count_files(s.path, "layers"), 1);
}

TEST(wrong_digest_is_refused)
{
	STORE(s);
	_cleanup_buf_ struct buf b = {};
	struct memory_source m;
	struct byte_source from = {memory_read, &m};
	struct layer_info info = {.entries = 7};
	struct err err = {};
	char expect[DIGEST_BUF];

	TAR_FILE_ENTRY(&b, "a", "x");
	sha256_digest_text("", 0, expect);
	m = (struct memory_source){.data = b.data, .len = b.len};
	ASSERT_ERROR(layer_import(s.path, &from, expect, &info, &err), EINVAL);
	ASSERT_EQ(err.kind, ERR_INVALID);
	ASSERT(str_starts(err.msg, "invalid diffID for layer: expected \"sha256:e3b0"));
	ASSERT_EQ(info.entries, 7);
	ASSERT_EQ(count_files(s.path, "layers"), 0);
	ASSERT_ERROR(layer_import(s.path, &from, "sha256:../../etc", &info, &err), EINVAL);
}

#define ASSERT_REFUSES(store, b, text)                                                             \
	do {                                                                                       \
		struct layer_info _info;                                                           \
		struct err _err = {};                                                              \
		ASSERT_ERROR(import_tar(store, b, &_info, &_err), EINVAL);                         \
		ASSERT_EQ(_err.kind, ERR_INVALID);                                                 \
		if (!strstr(_err.msg, text))                                                       \
			TEST_FAIL("\"%s\" lacks \"%s\"", _err.msg, text);                          \
		ASSERT_EQ(count_files(store, "layers"), 0);                                        \
	} while (0)

TEST(hostile_names_are_refused)
{
	static const struct {
		struct tar_spec spec;
		const char *text;
	} bad[] = {
		{{.name = "../x"}, "outside"},
		{{.name = "a/../../x"}, "outside"},
		{{.name = "/.."}, "outside"},
		{{.name = "x", .pax = "path=a/../b\n"}, "outside"},
		{{.name = "a", .type = '1', .link = "../../etc/shadow"}, "outside"},
		{{.name = "a", .type = '1', .link = "/"}, "hard link to a directory"},
		{{.name = "a", .type = '2', .link = ""}, "invalid symbolic link"},
		{{.name = ""}, "invalid file name"},
		{{.name = "."}, "the root is not a directory"},
		{{.name = ".wh."}, "invalid whiteout"},
		{{.name = "d/.wh..."}, "invalid whiteout"},
		{{.name = ".wh.."}, "invalid whiteout"},
		{{.name = "a", .type = '3', .dev_major = 5000}, "invalid device number"},
		{{.name = "a", .pax = "uid=4294967295\n"}, "invalid owner"},
		{{.name = "a", .pax = "GNU.sparse.size=9000000000000000000\n"},
		 "file is too large"},
		{{.name = "a", .pax = "SCHILY.xattr.=v\n"}, "extended attribute"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		STORE(s);
		_cleanup_buf_ struct buf b = {};

		tar_put_spec(&b, &bad[i].spec);
		ASSERT_REFUSES(s.path, &b, bad[i].text);
	}
}

TEST(long_names_are_refused)
{
	STORE(s);
	_cleanup_buf_ struct buf b = {}, c = {}, d = {};
	char name[5000];

	memset(name, 'n', sizeof(name));
	tar_put_pax(&b, "path", name, 256);
	TAR_FILE_ENTRY(&b, "a", "");
	ASSERT_REFUSES(s.path, &b, "file name too long");
	for (size_t i = 100; i < sizeof(name); i += 100)
		name[i] = '/';
	tar_put_pax(&c, "path", name, sizeof(name));
	TAR_FILE_ENTRY(&c, "a", "");
	ASSERT_REFUSES(s.path, &c, "path is too long");
	tar_put_pax(&d, "linkpath", name, sizeof(name));
	TAR(&d, .name = "a", .type = '2', .link = "x");
	ASSERT_REFUSES(s.path, &d, "invalid symbolic link");
}

TEST(broken_streams_are_refused)
{
	STORE(s);
	_cleanup_buf_ struct buf cut = {}, header = {}, gz = {}, pax = {};
	static char big[100000] = "x";

	TAR(&cut, .name = "a", .data = big, .len = sizeof(big));
	cut.len = 50000;
	ASSERT_REFUSES(s.path, &cut, "unexpected EOF");
	buf_adds(&header, "this is not a tar archive at all");
	ASSERT_REFUSES(s.path, &header, "unexpected EOF");
	buf_add(&header, big, 1000);
	ASSERT_REFUSES(s.path, &header, "invalid tar header");
	buf_add(&gz, "\x1f\x8b\x08\0\0\0\0\0\0\3garbage garbage", 25);
	ASSERT_REFUSES(s.path, &gz, "gzip: ");
	tar_put_raw(&pax, "x", 'x', 2ULL << 30, "", 0);
	ASSERT_REFUSES(s.path, &pax, "extended header is too large");
}

/* Goal: a bomb of zeros costs time, not space. */
TEST(zeros_become_holes)
{
	STORE(s);
	_cleanup_buf_ struct buf b = {};
	_cleanup_free_ char *path = NULL, *zeros = calloc(1, 20000000);
	struct layer_info info;
	struct err err = {};
	struct stat st;

	TAR(&b, .name = "zeros", .data = zeros, .len = 20000000);
	TAR_FILE_ENTRY(&b, "behind", "x");
	TAR(&b, .name = "s", .data = "x",
	    .pax = "GNU.sparse.size=8000000000\nGNU.sparse.map=7000000000,1\n");
	ASSERT_OK(import_tar(s.path, &b, &info, &err));
	path = str_format("%s/layers/%s/data", s.path, digest_hex(info.diff_id));
	ASSERT_OK(stat(path, &st));
	ASSERT_EQ(st.st_size, 20000768 + 4096 + 8000000000);
	ASSERT(st.st_blocks * 512 < 3000000);
	ASSERT_EQ(info.size_bytes, 20000000 + 1 + 8000000000);
}

/* Goal: no space left is an error of ours, says so, and leaves nothing. */
TEST(full_disk_is_a_clean_error)
{
	STORE(s);
	_cleanup_buf_ struct buf b = {};
	_cleanup_free_ char *noise = malloc(4000000);
	struct layer_info info;
	struct rlimit old, small = {1000000, 1000000};
	struct err err = {};
	int r;

	memset(noise, 'n', 4000000);
	TAR(&b, .name = "a", .data = noise, .len = 4000000);
	ASSERT_OK(getrlimit(RLIMIT_FSIZE, &old));
	small.rlim_max = old.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	ASSERT_OK(setrlimit(RLIMIT_FSIZE, &small));
	r = import_tar(s.path, &b, &info, &err);
	ASSERT_OK(setrlimit(RLIMIT_FSIZE, &old));
	ASSERT(r < 0);
	ASSERT_EQ(count_files(s.path, "layers"), 0);
}

struct dying_source {
	struct memory_source m;
	size_t die_at;
};

static ssize_t dying_read(void *user, void *data, size_t len)
{
	struct dying_source *d = user;

	if (d->m.at >= d->die_at)
		return -ECONNRESET;
	return memory_read(&d->m, data, MIN(len, d->die_at - d->m.at));
}

TEST(source_that_dies_is_no_layer)
{
	for (size_t at = 0; at < 3000; at += 300) {
		STORE(s);
		_cleanup_buf_ struct buf b = {};
		struct dying_source d;
		struct byte_source from = {dying_read, &d};
		struct layer_info info;
		struct err err = {};

		TAR_FILE_ENTRY(&b, "a", "x");
		TAR_FILE_ENTRY(&b, "b", "y");
		tar_end(&b);
		d = (struct dying_source){{.data = b.data, .len = b.len}, at};
		ASSERT_ERROR(layer_import(s.path, &from, NULL, &info, &err), ECONNRESET);
		ASSERT_EQ(err.kind, ERR_INTERNAL);
		ASSERT_EQ(count_files(s.path, "layers"), 0);
	}
}

TEST(damaged_layers_are_not_present_and_are_replaced)
{
	STORE(s);
	_cleanup_buf_ struct buf b = {};
	_cleanup_free_ char *path = NULL;
	struct layer_info info;
	struct err err = {};

	TAR_FILE_ENTRY(&b, "a", "x");
	ASSERT_OK(import_tar(s.path, &b, &info, &err));
	path = str_format("%s/layers/%s/data", s.path, digest_hex(info.diff_id));
	ASSERT_OK(truncate(path, 100));
	ASSERT(!layer_present(s.path, info.diff_id));
	ASSERT_OK(import_tar(s.path, &b, &info, &err));
	ASSERT(layer_present(s.path, info.diff_id));
	ASSERT_EQ(count_files(s.path, "layers"), 1);
}

TEST(removed_layers_are_gone)
{
	STORE(s);
	_cleanup_buf_ struct buf b = {};
	struct layer_info info;
	struct err err = {};

	TAR_FILE_ENTRY(&b, "a", "x");
	ASSERT_OK(import_tar(s.path, &b, &info, &err));
	ASSERT_OK(layer_remove(s.path, info.diff_id));
	ASSERT(!layer_present(s.path, info.diff_id));
	ASSERT_EQ(count_files(s.path, "layers"), 0);
	ASSERT_ERROR(layer_remove(s.path, info.diff_id), ENOENT);
	ASSERT_ERROR(layer_remove(s.path, "../x"), EINVAL);
}

TEST(chain_ids)
{
	/* of the digests of "a" and "b", computed with sha256sum */
	const char *ids[2] = {
		"sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
		"sha256:3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d"};
	char out[DIGEST_BUF];

	rootfs_chain_id(ids, 1, out);
	ASSERT_STREQ(out, ids[0]);
	rootfs_chain_id(ids, 2, out);
	ASSERT_STREQ(out,
		     "sha256:51c0c8ace48498d6f5fee6b0592cc06f2da0f3cbe09c5a34a97dce85c3889676");
}

TEST_MAIN()
