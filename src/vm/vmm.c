/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm.c - the machine manager: which QEMU, which kernel, where things are
 *
 * DOC: Theory of operation
 *
 * One per daemon. After vmm_new() and vmm_pool_start() everything but the accelerator and the list
 * of templates is constant. Locks: build_lock before lock; upper_lock alone.
 */
#include "vm/vmm.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/sha256.h"
#include "base/spawn.h"
#include "base/str.h"
#include "vm/accel.h"
#include "vm/argv.h"
#include "vm/pool.h"
#include "vm/qemu.h"
#include "vm/template.h"

#define VMM_OUTPUT_MAX 1024 /* of qemu --version, bytes */

static char *vmm_find_in_path(const char *name)
{
	const char *path = getenv("PATH") ?: "/usr/local/bin:/usr/bin:/bin";

	if (strchr(name, '/'))
		return access(name, X_OK) == 0 ? strdup(name) : NULL;
	while (*path) {
		size_t len = strcspn(path, ":");
		_cleanup_free_ char *full = str_format("%.*s/%s", (int)len, path, name);

		if (full && access(full, X_OK) == 0)
			return TAKE_PTR(full);
		path += len + (path[len] == ':');
	}
	return NULL;
}

static int vmm_find_qemu(struct vmm *vmm, const char *wanted, struct err *err)
{
	const char *name = wanted ?: vm_arch_qemu(vm_arch_host());

	vmm->qemu_path = vmm_find_in_path(name);
	if (vmm->qemu_path)
		return 0;
	return err_user(err, ERR_INTERNAL, "cannot find %s; install the package %s", name,
			vm_arch_package(vm_arch_host()));
}

static int vmm_run_version(const char *qemu_path, char *text, size_t size)
{
	const char *const argv[] = {qemu_path, "--version", NULL};
	_cleanup_close_ int read_fd = -EBADF, write_fd = -EBADF;
	struct spawn_spec spec = {.argv = argv, .stdin_fd = -EBADF, .stderr_fd = -EBADF};
	int pipe_fds[2], status, r;
	ssize_t n;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -errno;
	read_fd = pipe_fds[0];
	write_fd = pipe_fds[1];
	spec.stdout_fd = write_fd;
	r = spawn_process(&spec, &pid, NULL);
	if (r < 0)
		return r;
	cleanup_close(&write_fd);
	write_fd = -EBADF;
	n = fs_read_full(read_fd, text, size - 1);
	r = spawn_wait(pid, &status);
	if (r == 0 && (n <= 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0))
		r = -ENOEXEC;
	text[n > 0 ? n : 0] = '\0';
	return r;
}

/* "QEMU emulator version 7.2.22 (Debian ...)": the number for people, all of it for the key. */
static int vmm_read_version(struct vmm *vmm, char *text, size_t size, struct err *err)
{
	static const char prefix[] = "QEMU emulator version ";
	int r = vmm_run_version(vmm->qemu_path, text, size);

	if (r < 0)
		return err_sys(err, r, "cannot run %s", vmm->qemu_path);
	if (!str_starts(text, prefix))
		return err_user(err, ERR_INTERNAL, "%s is not a QEMU", vmm->qemu_path);
	(void)snprintf(vmm->qemu_version, sizeof(vmm->qemu_version), "%.*s",
		       (int)strcspn(text + sizeof(prefix) - 1, " \n"),
		       text + sizeof(prefix) - 1); /* cutting is fine */
	return 0;
}

/* make writes the release beside the kernel; without it the guest's name is unknown until then */
static void vmm_read_release(struct vmm *vmm)
{
	const char *slash = strrchr(vmm->kernel_path, '/');
	_cleanup_free_ char *path = NULL, *text = NULL;

	path = slash ? str_format("%.*s/release", (int)(slash - vmm->kernel_path), vmm->kernel_path)
		     : strdup("release");
	if (path && fs_read_file(path, VMM_OUTPUT_MAX, &text, NULL) == 0)
		(void)snprintf(vmm->kernel_release, sizeof(vmm->kernel_release), "%.*s",
			       (int)strcspn(text, "\n"), text); /* cutting is fine */
}

static int vmm_hash_file(struct sha256 *hash, const char *path, const char *what, struct err *err)
{
	char text[PATH_MAX + 128];
	struct stat st;
	int n;

	if (stat(path, &st) < 0)
		return errno == ENOENT ? err_user(err, ERR_INTERNAL,
						  "cannot find the %s %s; make guest assembles it",
						  what, path)
				       : err_sys(err, -errno, "cannot read the %s %s", what, path);
	n = snprintf(text, sizeof(text), "%s %lld %lld.%09ld %llu\n", what, (long long)st.st_size,
		     (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
		     (unsigned long long)st.st_ino);
	sha256_add(hash, text, (size_t)n);
	return 0;
}

static int vmm_hash_argv(const struct vmm *vmm, struct sha256 *hash)
{
	_cleanup_(vm_argv_done) struct vm_argv boot = {}, clone = {};
	struct vm_argv_spec spec = {
		.arch = vm_arch_host(),
		.shape = {1, 1},
		.qemu_path = "qemu",
		.name = "name",
		.memory_path = "memory",
		.kernel_path = "kernel",
		.initrd_path = "initrd",
		.root_disk = "root",
		.upper_disk = "upper",
		.tap_fd = vmm->nics.open ? 5 : -EBADF,
	};
	int r = vm_argv_build(&spec, &boot);

	spec.clone = true;
	if (r == 0)
		r = vm_argv_build(&spec, &clone);
	for (size_t i = 0; r == 0 && i < boot.n; i++)
		sha256_add(hash, boot.v[i], strlen(boot.v[i]) + 1);
	for (size_t i = 0; r == 0 && i < clone.n; i++)
		sha256_add(hash, clone.v[i], strlen(clone.v[i]) + 1);
	return r;
}

static int vmm_make_fingerprint(struct vmm *vmm, const char *version, struct err *err)
{
	char digest[DIGEST_BUF];
	struct sha256 hash;
	int r;

	sha256_start(&hash);
	sha256_add(&hash, version, strlen(version));
	r = vmm_hash_argv(vmm, &hash);
	if (r < 0)
		return err_sys(err, r, "cannot make QEMU's command line");
	r = vmm_hash_file(&hash, vmm->qemu_path, "emulator", err);
	if (r == 0)
		r = vmm_hash_file(&hash, vmm->kernel_path, "guest kernel", err);
	if (r == 0)
		r = vmm_hash_file(&hash, vmm->initrd_path, "guest initrd", err);
	if (r < 0)
		return r;
	sha256_finish(&hash, digest);
	memcpy(vmm->fingerprint, digest_hex(digest), VMM_FINGERPRINT_LEN);
	vmm->fingerprint[VMM_FINGERPRINT_LEN] = '\0';
	return 0;
}

static int vmm_make_dirs(struct vmm *vmm, struct err *err)
{
	int r = fs_mkdir_p(vmm->template_dir, 0700);

	if (r < 0)
		return err_sys(err, r, "cannot make %s", vmm->template_dir);
	r = fs_mkdir_p(vmm->run_dir, 0700);
	return r < 0 ? err_sys(err, r, "cannot make %s", vmm->run_dir) : 0;
}

DEFINE_CLEANUP(struct vmm *, vmm_free)

/**
 * vmm_new() - Find QEMU and the guest's files, and make the folders
 * @loop:    Loop that watches processes and sockets; outlives the manager
 * @config:  Paths and accelerator; copied
 * @ret_vmm: The manager, owned by the caller; set on success
 * @err:     Filled on failure: what is missing and which package has it
 *
 * Return: 0, or negative errno
 */
int vmm_new(struct loop *loop, const struct vm_config *config, struct vmm **ret_vmm,
	    struct err *err)
{
	_cleanup_(vmm_freep) struct vmm *vmm = calloc(1, sizeof(*vmm));
	char version[VMM_OUTPUT_MAX];
	int r;

	if (!vmm)
		return err_oom(err);
	vmm->loop = loop;
	vmm->hello_timeout_ms = VMM_HELLO_TIMEOUT_MS;
	vmm->kvm_deadline_ms = VMM_KVM_DEADLINE_MS;
	vmm->accel_wanted = config->accel;
	vmm->nics = config->nics;
	vmm->accel = config->accel;
	pthread_mutex_init(&vmm->build_lock, NULL);
	pthread_mutex_init(&vmm->lock, NULL);
	pthread_mutex_init(&vmm->upper_lock, NULL);
	vmm->kernel_path = strdup(config->kernel_path);
	vmm->initrd_path = strdup(config->initrd_path);
	vmm->template_dir = strdup(config->template_dir);
	vmm->run_dir = strdup(config->run_dir);
	if (!vmm->kernel_path || !vmm->initrd_path || !vmm->template_dir || !vmm->run_dir)
		return err_oom(err);
	r = vmm_find_qemu(vmm, config->qemu_path, err);
	if (r == 0)
		r = vmm_read_version(vmm, version, sizeof(version), err);
	if (r == 0)
		r = vmm_make_fingerprint(vmm, version, err);
	if (r == 0)
		r = vmm_make_dirs(vmm, err);
	if (r < 0)
		return r;
	vmm_read_release(vmm);
	template_remove_stale(vmm);
	accel_begin(vmm);
	*ret_vmm = TAKE_PTR(vmm);
	return 0;
}

/**
 * vmm_end_builds() - Whoever waits for a template fails now; none is made, no pool filled any more
 * @vmm: Manager, before the daemon waits for its threads
 */
void vmm_end_builds(struct vmm *vmm)
{
	pthread_mutex_lock(&vmm->lock);
	vmm->ending = true;
	if (vmm->booting)
		qemu_kill(vmm->booting);
	pthread_mutex_unlock(&vmm->lock);
	pool_end(vmm->pool);
}

/**
 * vmm_is_ending() - Whether vmm_end_builds() was called
 * @vmm: Manager
 *
 * Return: the answer
 */
bool vmm_is_ending(struct vmm *vmm)
{
	bool ending;

	pthread_mutex_lock(&vmm->lock);
	ending = vmm->ending;
	pthread_mutex_unlock(&vmm->lock);
	return ending;
}

/**
 * vmm_free() - Free the manager; the pool's VMs end, all others are left alone
 * @vmm: Manager or NULL; its sandboxes are freed by now
 */
void vmm_free(struct vmm *vmm)
{
	if (!vmm)
		return;
	pool_free(vmm->pool);
	template_free_all(vmm);
	pthread_mutex_destroy(&vmm->upper_lock);
	pthread_mutex_destroy(&vmm->lock);
	pthread_mutex_destroy(&vmm->build_lock);
	free(vmm->qemu_path);
	free(vmm->kernel_path);
	free(vmm->initrd_path);
	free(vmm->template_dir);
	free(vmm->run_dir);
	free(vmm);
}

/**
 * vmm_prepare() - Make the template of a shape if it is not there
 * @vmm:   Manager
 * @shape: CPUs and memory
 * @err:   Filled on failure
 *
 * Blocks for seconds; concurrent callers share one build.
 *
 * Return: 0, or negative errno
 */
int vmm_prepare(struct vmm *vmm, struct vm_shape shape, struct err *err)
{
	const struct template *t;

	return template_get(vmm, shape, &t, err);
}

/**
 * vmm_accel() - What runs the guests' code
 * @vmm: Manager
 *
 * Return: "kvm", "tcg", or "auto" as long as it is undecided
 */
const char *vmm_accel(struct vmm *vmm)
{
	return accel_name(vmm->accel);
}

/**
 * vmm_qemu_version() - QEMU's version
 * @vmm: Manager
 *
 * Return: text like "7.2.22", borrowed
 */
const char *vmm_qemu_version(struct vmm *vmm)
{
	return vmm->qemu_version;
}

/**
 * vmm_kernel_release() - The guests' kernel
 * @vmm: Manager
 *
 * Return: its release as uname(2) says it in there, borrowed; "" if the build did not leave it
 */
const char *vmm_kernel_release(struct vmm *vmm)
{
	return vmm->kernel_release;
}
