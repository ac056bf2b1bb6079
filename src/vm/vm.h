/* SPDX-License-Identifier: Apache-2.0 */
/* vm.h - microVMs: templates, clones, and the sandbox that core sees. No Docker words. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct loop;
struct rpc_client;
struct vmm;
struct sandbox;

enum vm_accel { VM_ACCEL_AUTO, VM_ACCEL_KVM, VM_ACCEL_TCG };

#define VM_NIC_KEYS 4 /* tunnels whose keys a VM has ahead */
#define VM_KEY_LEN 32

/* The host's end of a VM's network card, and what the VM is told of it. */
struct vm_nic {
	int fd;		    /* tap with IFF_VNET_HDR; owned by who holds the struct; -EBADF: none */
	unsigned int index; /* names it for good; 0: no card */
	uint8_t mac[6], v4[4], v6[16], gateway4[4], gateway6[16]; /* network order */
	unsigned int mtu;
};

/* Where network cards come from; without `open` VMs have none. Any thread. */
struct vm_nics {
	int (*open)(void *user, struct vm_nic *ret_nic, struct err *err);
	void (*find)(void *user, unsigned int index, struct vm_nic *ret_nic); /* fd: -EBADF */
	void *user;
};

struct vm_config {
	const char *qemu_path;	 /* NULL: qemu-system-x86_64 in PATH */
	const char *kernel_path; /* vmlinux */
	const char *initrd_path;
	const char *template_dir; /* <data-root>/templates */
	const char *run_dir;	  /* <exec-root>/vm: sockets, one folder a sandbox */
	enum vm_accel accel;
	struct vm_nics nics;
};

struct vm_shape {
	unsigned int vcpus;
	unsigned int memory_mib;
};

/* Clones that run ahead of need; pool.c */
struct vm_pool_config {
	unsigned int size;	/* VMs kept ready; 0: none */
	struct vm_shape shape;	/* what they are before anybody has started anything */
	const char *root_image; /* EROFS that rehearsals run in */
	const void *rehearsal;	/* packed StartRequest for it; copied, like the rest */
	size_t rehearsal_len;
};
#define VM_POOL_MAX 64
#define VM_VCPUS_MAX 64
#define VM_MEMORY_MIB_MIN 128
#define VM_MEMORY_MIB_MAX (1024 * 1024)

int vmm_new(struct loop *loop, const struct vm_config *config, struct vmm **ret_vmm,
	    struct err *err);
void vmm_end_builds(
	struct vmm *vmm);	/* templates that are being made fail at once; before a shutdown */
void vmm_free(struct vmm *vmm); /* leaves running VMs alone */
/* Make the template of a shape if it is not there (blocking, seconds). Concurrent callers share one
 * build. */
int vmm_prepare(struct vmm *vmm, struct vm_shape shape, struct err *err);
/* Begin to fill the pool, in the background. Once, after recovery has adopted what runs. */
int vmm_pool_start(struct vmm *vmm, const struct vm_pool_config *config, struct err *err);
/* For /info: "kvm", "tcg", or "auto" while undecided; QEMU's version text ("7.2.22"); guest kernel
 * release. Borrowed. */
const char *vmm_accel(struct vmm *vmm);
const char *vmm_qemu_version(struct vmm *vmm);
const char *vmm_kernel_release(struct vmm *vmm);

/* serials under which the guest finds the two disks every clone has */
#define SANDBOX_ROOT_SERIAL "rootfs"
#define SANDBOX_UPPER_SERIAL "upper"

struct sandbox_spec {
	const char *id; /* 64 hex digits */
	struct vm_shape shape;
	const char *root_disk;	/* VMDK descriptor of the rootfs */
	const char *upper_disk; /* raw ext4 image; NULL: a fresh one, gone with the VM */
};

/* The VM is gone: QEMU exited and was reaped (or, adopted, vanished). Loop thread, once, also for a
 * kill. Only for a sandbox that sandbox_start() or sandbox_adopt() has returned. */
typedef void (*sandbox_gone_fn)(void *user);

/*
 * Take a VM out of the pool, or clone, restore and resume one; blocking (4 ms, or 40). Sends Hello
 * (entropy, time, machine id, a fresh token, kept in run_dir/<id>/ for sandbox_adopt()) WITHOUT
 * waiting for its answer: the caller pipelines its first call behind it. On failure nothing is left
 * behind.
 */
int sandbox_start(struct vmm *vmm, const struct sandbox_spec *spec, sandbox_gone_fn gone,
		  void *user, struct sandbox **ret_sandbox, struct err *err);
/* Find a QEMU that an earlier daemon started: reconnect its QMP and agent, Hello (answered).
 * -ENOENT (no err): it is gone, and what was left of it has been removed. */
struct Arca__V1__HelloResponse;
int sandbox_adopt(struct vmm *vmm, const char *id, sandbox_gone_fn gone, void *user,
		  struct sandbox **ret_sandbox, struct Arca__V1__HelloResponse **ret_hello,
		  struct err *err);
/* Stop and remove leftovers in run_dir whose id `keep` does not know. */
int vmm_sweep(struct vmm *vmm, bool (*keep)(void *user, const char *id), void *user);

struct rpc_client *sandbox_rpc(struct sandbox *sb); /* borrowed until sandbox_free() */
pid_t sandbox_pid(const struct sandbox *sb);
const struct vm_nic *sandbox_nic(const struct sandbox *sb); /* borrowed; index 0: none */
/* Public keys that the VM has made ahead; waits for them. Zeros where there is none. */
int sandbox_keys(struct sandbox *sb, unsigned int timeout_ms,
		 uint8_t keys[static VM_NIC_KEYS][VM_KEY_LEN], struct err *err);
/* Network cards and containers for later, each in a slot: see sandbox_slot.c. */
#define SANDBOX_SLOTS 8
/* `name` is the card's for good. */
int sandbox_nic_add(struct sandbox *sb, const char *name, const struct vm_nic *nic,
		    unsigned int *ret_slot, struct err *err);
int sandbox_nic_remove(struct sandbox *sb, const char *name, struct err *err);
int sandbox_nics_remove(struct sandbox *sb, struct err *err); /* all of them */
/* Disks of another container than the one the VM was started for: see sandbox_disk.c. */
struct sandbox_serials {
	char root[20], upper[20];
};
void sandbox_disk_serials(const char *id, struct sandbox_serials *ret_serials);
int sandbox_disks_add(struct sandbox *sb, const char *id, const char *root_disk,
		      const char *upper_disk, struct err *err);
int sandbox_disks_remove(struct sandbox *sb, const char *id, struct err *err);
int sandbox_disks_release(struct sandbox *sb, struct err *err);
/* Ask the agent to unmount and power off, up to timeout_ms, then SIGKILL QEMU; waits until it is
 * gone. Not on the loop thread. */
void sandbox_stop(struct sandbox *sb, unsigned int timeout_ms);
/* Frees the object: a QEMU still running is left alone (daemon shutdown). Not on the loop thread;
 * gone is not called afterwards. */
void sandbox_free(struct sandbox *sb);

/* What a VM is to somebody who did not start it; look.c */
struct vm_seen {
	const char *name; /* of its folder */
	pid_t pid;
	bool alive;
	unsigned int nic; /* index; 0: none */
};
typedef int (*vm_look_fn)(void *user, const struct vm_seen *seen);
int vm_look(const char *run_dir, vm_look_fn fn, void *user);
bool vm_has_tap(pid_t pid, const char *name);
pid_t vm_find_tap(const char *name);
bool vm_is_below(pid_t pid, const char *dir);

/* Upper disks: a sparse pre-formatted ext4, copied. The master is made once in template_dir
 * (mkfs.ext4). */
int upper_disk_create(struct vmm *vmm, const char *path, struct err *err);
uint64_t upper_disk_used(struct vmm *vmm, const char *path); /* bytes written since then */
#define SANDBOX_ROOT_DISK_BYTES                                                                    \
	(256ULL << 30) /* constant capacities: the guest never looks again */
#define SANDBOX_UPPER_DISK_BYTES (64ULL << 30)
