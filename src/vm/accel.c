/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accel.c - KVM or emulation: the verdict, kept on disk
 *
 * DOC: Theory of operation
 *
 * A /dev/kvm that opens proves nothing: there are hosts where it opens, creates a VM, and no
 * stock kernel ever gets anywhere. So with "auto" the first template is booted under KVM with a
 * deadline, and only an agent that answers counts. The verdict is kept in accel.json with what it
 * depends on (template fingerprint, host kernel); a later daemon on the same host does not try
 * again. Where /dev/kvm cannot be opened there is nothing to try and nothing is kept.
 *
 * A QEMU that ended with an error has said that KVM does not work. One that was merely late may
 * have been on a busy host: that verdict is good until ACCEL_DOUBT_S are over ("until", seconds
 * since 1970), and the first template of a daemon that starts afterwards tries again. A daemon does
 * not change its mind while it runs, so a try costs one start its deadline, and none follows it
 * within that time however often the daemon starts.
 */
#include "vm/accel.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "vm/vmm.h"

#define ACCEL_FILE_MAX 4096

static json_t *accel_basis(const struct vmm *vmm)
{
	struct utsname host = {};

	(void)uname(&host); /* cannot fail with a valid buffer */
	return json_pack("{s:s,s:s,s:s}", "fingerprint", vmm->fingerprint, "host", host.release,
			 "build", host.version);
}

/**
 * accel_load() - The verdict that was kept
 * @vmm:   Machine manager
 * @now_s: Seconds since 1970
 *
 * Return: the accelerator, or VM_ACCEL_AUTO if KVM has to be tried
 */
enum vm_accel accel_load(const struct vmm *vmm, int64_t now_s)
{
	_cleanup_free_ char *path = str_format("%s/accel.json", vmm->template_dir);
	_cleanup_free_ char *text = NULL;
	enum vm_accel accel = VM_ACCEL_AUTO;
	json_t *saved, *basis, *until;
	const char *name;
	int64_t left_s;

	if (!path || fs_read_file(path, ACCEL_FILE_MAX, &text, NULL) < 0)
		return VM_ACCEL_AUTO;
	saved = json_loads(text, 0, NULL);
	basis = accel_basis(vmm);
	name = json_string_value(json_object_get(saved, "accel"));
	if (name && basis && json_equal(json_object_get(saved, "basis"), basis))
		accel = str_eq(name, "kvm") ? VM_ACCEL_KVM : VM_ACCEL_TCG;
	until = json_object_get(saved, "until");
	left_s = json_integer_value(until) - now_s;
	if (until && (left_s <= 0 || left_s > ACCEL_DOUBT_S)) /* or the clock was set back */
		accel = VM_ACCEL_AUTO;
	json_decref(saved);
	json_decref(basis);
	return accel;
}

/* @until_s: 0 for good */
static void accel_save(const struct vmm *vmm, enum vm_accel accel, int64_t until_s)
{
	_cleanup_free_ char *path = str_format("%s/accel.json", vmm->template_dir);
	json_t *o = json_pack("{s:s,s:o}", "accel", accel_name(accel), "basis", accel_basis(vmm));
	_cleanup_free_ char *text = NULL;
	int r;

	if (o && until_s)
		(void)json_object_set_new(o, "until", json_integer(until_s)); /* or for good */
	text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
	r = path && text ? fs_write_file(path, text, strlen(text), 0600) : -ENOMEM;
	json_decref(o);
	if (r < 0)
		log_warn("cannot keep the accelerator's verdict: %s", strerror(-r));
}

/**
 * accel_begin() - Decide what can be decided without trying
 * @vmm: Machine manager; its accel stays VM_ACCEL_AUTO if KVM has to be tried
 */
void accel_begin(struct vmm *vmm)
{
	_cleanup_close_ int fd = -EBADF;

	if (vmm->accel_wanted != VM_ACCEL_AUTO)
		return;
	fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		log_warn("VMs are emulated in software, which is slow: /dev/kvm: %s",
			 strerror(errno));
		vmm->accel = VM_ACCEL_TCG;
		return;
	}
	vmm->accel = accel_load(vmm, clock_realtime_ns() / NSEC_PER_SEC);
	if (vmm->accel == VM_ACCEL_TCG)
		log_info("VMs are emulated in software: KVM was tried on this host and did not "
			 "work");
}

/**
 * accel_decide() - Keep what trying has shown
 * @vmm:   Machine manager
 * @accel: The accelerator under which an agent answered
 * @doubt: Only because the other one was late: for ACCEL_DOUBT_S, on disk
 */
void accel_decide(struct vmm *vmm, enum vm_accel accel, bool doubt)
{
	vmm->accel = accel;
	accel_save(vmm, accel, doubt ? clock_realtime_ns() / NSEC_PER_SEC + ACCEL_DOUBT_S : 0);
}

/**
 * accel_name() - An accelerator's name
 * @accel: Accelerator
 *
 * Return: "kvm", "tcg" or "auto"
 */
const char *accel_name(enum vm_accel accel)
{
	static const char *const names[] = {
		[VM_ACCEL_AUTO] = "auto", [VM_ACCEL_KVM] = "kvm", [VM_ACCEL_TCG] = "tcg"};

	return names[accel];
}
