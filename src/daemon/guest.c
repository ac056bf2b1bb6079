/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest.c - where the guest's kernel and initrd are, the image for rehearsals, and the forwarder
 *
 * In a build folder the guest lies in guest/ beside arcad, installed in ../lib/arca/ from its
 * folder. The forwarder of published ports lies beside arcad in both.
 */
#include "daemon/guest.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"

static const char *const guest_folders[] = {"guest", "../lib/arca"};

static int guest_find_forwarder(const char *dir, struct options *opts, struct err *err)
{
	if (!opts->forwarder)
		opts->forwarder = str_format("%s/arca-forward", dir);
	if (!opts->forwarder)
		return err_oom(err);
	if (fs_exists(opts->forwarder))
		return 0;
	return err_user(err, ERR_INVALID,
			"there is no forwarder of published ports at %s: run make, or name it with "
			"--forwarder",
			opts->forwarder);
}

static int guest_find_file(const char *dir, const char *name, char **field)
{
	for (size_t i = 0; i < ARRAY_SIZE(guest_folders); i++) {
		_cleanup_free_ char *path = str_format("%s/%s/%s", dir, guest_folders[i], name);

		if (!path)
			return -ENOMEM;
		if (fs_exists(path)) {
			*field = TAKE_PTR(path);
			return 0;
		}
	}
	return -ENOENT;
}

/**
 * guest_find() - Fill opts->kernel, initrd, rehearsal and forwarder where they were not given
 * @opts: Options
 * @err:  Filled on failure
 *
 * Return: 0, or negative errno
 */
int guest_find(struct options *opts, struct err *err)
{
	const struct {
		const char *name;
		char **field;
	} files[] = {{"vmlinux", &opts->kernel},
		     {"initrd.img", &opts->initrd},
		     {"rehearsal.erofs", &opts->rehearsal}};
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		return err_sys(err, -errno, "cannot tell where arcad is");
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (!*files[i].field && guest_find_file(self, files[i].name, files[i].field) < 0)
			return err_user(
				err, ERR_INVALID,
				"the guest's %s is neither in %s/guest nor in %s/../lib/arca: run "
				"make, or name it with --kernel, --initrd and --rehearsal",
				files[i].name, self, self);
		if (!fs_exists(*files[i].field))
			return err_user(err, ERR_INVALID, "there is no file %s", *files[i].field);
	}
	return guest_find_forwarder(self, opts, err);
}
