/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template.c - one booted, stopped and saved VM of every shape, from which all others are cloned
 *
 * DOC: Theory of operation
 *
 * Nobody waits for a boot: template_dir/<fingerprint>-<accel>-<vcpus>x<MiB>/ holds the memory and
 * the device state of a VM whose agent waits for work. The fingerprint covers QEMU (version and
 * file), kernel, initrd and the command line, so a change of any of them means a new folder; old
 * ones are removed when a daemon starts. Running clones do not mind: they have the files open.
 *
 *	ABSENT -> (built in <name>.tmp, renamed) -> READY
 *
 * A folder under its final name is complete: its files were synced before the rename, info.json
 * is written last and holds their sizes, which are compared when it is found again. Memory and
 * state are never written afterwards; clones map the memory copy on write.
 *
 * vmm->build_lock lets one build happen at a time; callers that waited for a build that failed
 * get its error instead of trying once more each.
 */
#include "vm/template.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "vm/accel.h"
#include "vm/boot.h"
#include "vm/vmm.h"

#define TEMPLATE_INFO_MAX 4096

static void template_free(struct template *t)
{
	if (!t)
		return;
	free(t->dir);
	free(t->memory_path);
	free(t->state_path);
	free(t);
}

static int template_set_dir(struct vmm *vmm, struct template *t, bool kvm)
{
	_cleanup_free_ char *dir =
		str_format("%s/%s-%s-%ux%u", vmm->template_dir, vmm->fingerprint,
			   kvm ? "kvm" : "tcg", t->shape.vcpus, t->shape.memory_mib);
	_cleanup_free_ char *memory = dir ? str_format("%s/memory", dir) : NULL;
	_cleanup_free_ char *state = dir ? str_format("%s/state", dir) : NULL;

	if (!memory || !state)
		return -ENOMEM;
	free(t->dir);
	free(t->memory_path);
	free(t->state_path);
	t->dir = TAKE_PTR(dir);
	t->memory_path = TAKE_PTR(memory);
	t->state_path = TAKE_PTR(state);
	t->kvm = kvm;
	return 0;
}

static bool template_size_is(const char *path, json_t *size)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
	       json_integer_value(size) == (json_int_t)st.st_size;
}

/* Whether a complete template is on disk. */
static bool template_is_whole(const struct template *t)
{
	_cleanup_free_ char *path = str_format("%s/info.json", t->dir), *text = NULL;
	json_t *info;
	bool whole;

	if (!path || fs_read_file(path, TEMPLATE_INFO_MAX, &text, NULL) < 0)
		return false;
	info = json_loads(text, 0, NULL);
	whole = template_size_is(t->memory_path, json_object_get(info, "memory_bytes")) &&
		template_size_is(t->state_path, json_object_get(info, "state_bytes"));
	json_decref(info);
	return whole;
}

static int template_sync(const char *dir, const char *name, json_int_t *ret_size)
{
	_cleanup_free_ char *path = str_format("%s/%s", dir, name);
	_cleanup_close_ int fd = -EBADF;
	struct stat st;

	if (!path)
		return -ENOMEM;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0 || fstat(fd, &st) < 0)
		return -errno;
	*ret_size = st.st_size;
	return 0;
}

static int template_write_info(const struct vmm *vmm, const char *dir,
			       const struct boot_result *result)
{
	_cleanup_free_ char *path = str_format("%s/info.json", dir), *text = NULL;
	json_int_t memory_bytes = 0, state_bytes = 0;
	json_t *info;
	int r;

	r = template_sync(dir, "memory", &memory_bytes);
	if (r == 0)
		r = template_sync(dir, "state", &state_bytes);
	if (r < 0)
		return r;
	info = json_pack("{s:s,s:s,s:s,s:i,s:I,s:I}", "qemu", vmm->qemu_version, "kernel",
			 result->kernel_release, "agent", result->agent_version, "boot_ms",
			 (int)result->boot_ms, "memory_bytes", memory_bytes, "state_bytes",
			 state_bytes);
	text = info ? json_dumps(info, JSON_INDENT(2)) : NULL;
	json_decref(info);
	if (!path || !text)
		return -ENOMEM;
	return fs_write_file(path, text, strlen(text), 0600);
}

/* The disk it booted with: only read, and every clone brings its own. */
static void template_drop_upper(const char *dir)
{
	_cleanup_free_ char *path = str_format("%s/upper.ext4", dir);

	if (path)
		(void)unlink(path); /* a few hundred KiB */
}

/* Boot under one accelerator and put the result in place. */
static int template_boot(struct vmm *vmm, struct template *t, bool kvm, unsigned int timeout_ms,
			 struct err *err)
{
	_cleanup_free_ char *tmp = NULL;
	struct boot_result result;
	int r = template_set_dir(vmm, t, kvm);

	if (r < 0)
		return err_oom(err);
	if (template_is_whole(t))
		return 0;
	tmp = str_format("%s.tmp", t->dir);
	if (!tmp)
		return err_oom(err);
	r = fs_remove_tree(tmp);
	if (r == 0)
		r = fs_remove_tree(t->dir);
	if (r == 0)
		r = fs_mkdir_p(tmp, 0700);
	if (r < 0)
		return err_sys(err, r, "cannot make %s", tmp);
	r = boot_and_save(vmm, t->shape, kvm, timeout_ms, tmp, &result, err);
	template_drop_upper(tmp);
	if (r == 0) {
		r = template_write_info(vmm, tmp, &result);
		if (r == 0 && rename(tmp, t->dir) < 0)
			r = -errno;
		if (r < 0)
			(void)err_sys(err, r, "cannot keep the template %s", t->dir);
	}
	if (r < 0) {
		(void)fs_remove_tree(tmp); /* the next build removes it otherwise */
		return r;
	}
	log_info("VM template for %u CPUs and %u MiB made under %s in %u ms (kernel %s)",
		 t->shape.vcpus, t->shape.memory_mib, kvm ? "KVM" : "emulation", result.boot_ms,
		 result.kernel_release);
	return 0;
}

static int template_build(struct vmm *vmm, struct template *t, struct err *err)
{
	bool forced = vmm->accel_wanted == VM_ACCEL_KVM, late;
	int r;

	if (vmm->accel == VM_ACCEL_TCG)
		return template_boot(vmm, t, false, VMM_BOOT_TIMEOUT_MS, err);
	r = template_boot(vmm, t, true, forced ? VMM_BOOT_TIMEOUT_MS : vmm->kvm_deadline_ms, err);
	late = r == -ETIMEDOUT; /* a QEMU that ended would have said something else */
	if (r < 0 && !forced && !vmm_is_ending(vmm)) {
		log_warn("KVM does not work here (%s): VMs are emulated in software, which is slow",
			 err->msg);
		r = template_boot(vmm, t, false, VMM_BOOT_TIMEOUT_MS, err);
	}
	if (r == 0 && !forced)
		accel_decide(vmm, t->kvm ? VM_ACCEL_KVM : VM_ACCEL_TCG, late);
	return r;
}

/* The shape's entry, made if it is missing. */
static struct template *template_entry(struct vmm *vmm, struct vm_shape shape, bool *ret_ready)
{
	struct template *t;

	pthread_mutex_lock(&vmm->lock);
	LL_FOREACH (vmm->templates, t)
		if (t->shape.vcpus == shape.vcpus && t->shape.memory_mib == shape.memory_mib)
			break;
	if (!t) {
		t = calloc(1, sizeof(*t));
		if (t) {
			t->shape = shape;
			LL_PREPEND(vmm->templates, t);
		}
	}
	*ret_ready = t && t->ready;
	pthread_mutex_unlock(&vmm->lock);
	return t;
}

static int template_build_shared(struct vmm *vmm, struct template *t, uint64_t since_us,
				 struct err *err)
{
	struct err failure = {};
	int r = 0;

	pthread_mutex_lock(&vmm->build_lock);
	if (!t->ready && t->failed_us > since_us) {
		failure = t->failure;
		r = failure.errnum < 0 ? failure.errnum : -EIO;
	} else if (!t->ready) {
		r = vmm_is_ending(vmm) ? -ECANCELED : template_build(vmm, t, &failure);
		if (r < 0 && vmm_is_ending(vmm))
			r = err_sys(&failure, -ECANCELED, "the daemon is shutting down");
		if (r < 0) {
			t->failed_us = clock_us();
			t->failure = failure;
		}
	}
	if (r == 0) {
		pthread_mutex_lock(&vmm->lock);
		t->ready = true;
		pthread_mutex_unlock(&vmm->lock);
	}
	pthread_mutex_unlock(&vmm->build_lock);
	if (r < 0 && err)
		*err = failure;
	return r;
}

/**
 * template_get() - The template of a shape; built now if it is not there (seconds)
 * @vmm:	  Machine manager
 * @shape:	  CPUs and memory
 * @ret_template: The template, borrowed from @vmm; set on success
 * @err:	  Filled on failure
 *
 * Return: 0, or negative errno
 */
int template_get(struct vmm *vmm, struct vm_shape shape, const struct template **ret_template,
		 struct err *err)
{
	uint64_t since_us = clock_us();
	struct template *t;
	bool ready;
	int r;

	if (shape.vcpus == 0 || shape.vcpus > VM_VCPUS_MAX ||
	    shape.memory_mib < VM_MEMORY_MIB_MIN || shape.memory_mib > VM_MEMORY_MIB_MAX)
		return err_user(err, ERR_INVALID,
				"a VM of %u CPUs and %u MiB cannot be made: 1 to %d CPUs, %d to %d "
				"MiB",
				shape.vcpus, shape.memory_mib, VM_VCPUS_MAX, VM_MEMORY_MIB_MIN,
				VM_MEMORY_MIB_MAX);
	t = template_entry(vmm, shape, &ready);
	if (!t)
		return err_oom(err);
	if (!ready) {
		r = template_build_shared(vmm, t, since_us, err);
		if (r < 0)
			return r;
	}
	*ret_template = t;
	return 0;
}

/**
 * template_free_all() - Forget the templates; their files stay
 * @vmm: Machine manager that is going away
 */
void template_free_all(struct vmm *vmm)
{
	struct template *t, *tmp;

	LL_FOREACH_SAFE (vmm->templates, t, tmp)
		template_free(t);
	vmm->templates = NULL;
}

/**
 * template_remove_stale() - Remove templates that nobody can use any more, and half-made ones
 * @vmm: Machine manager, before its first template_get()
 */
void template_remove_stale(struct vmm *vmm)
{
	_cleanup_closedir_ DIR *dir = opendir(vmm->template_dir);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		_cleanup_free_ char *path = NULL;
		const char *dash = strchr(entry->d_name, '-');

		if (!dash || (size_t)(dash - entry->d_name) != VMM_FINGERPRINT_LEN)
			continue; /* not a template */
		if (strncmp(entry->d_name, vmm->fingerprint, VMM_FINGERPRINT_LEN) == 0 &&
		    !str_ends(entry->d_name, ".tmp"))
			continue;
		path = str_format("%s/%s", vmm->template_dir, entry->d_name);
		if (path && str_ends(path, ".tmp"))
			vmm_end_orphan(vmm, path); /* a daemon was killed while it made it */
		if (path && fs_remove_tree(path) < 0)
			log_warn("cannot remove the old template %s", path);
	}
}
