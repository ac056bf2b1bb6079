/* SPDX-License-Identifier: Apache-2.0 */
/* argv.h - QEMU's command line, from a table */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/util.h"
#include "vm/vm.h"

enum vm_arch { VM_ARCH_AMD64, VM_ARCH_ARM64 };

/* Where the agent's port shows up inside: /sys/class/virtio-ports/<n>/name. */
#define VM_AGENT_PORT "arca.agent"
/* Translated code one VM may keep, MiB (TCG only). */
#define VM_TB_MIB 64
/* Empty root ports for devices that come later. */
#define VM_ROOT_PORTS 4

struct vm_argv_spec {
	enum vm_arch arch;
	bool kvm;
	bool clone; /* false: boots the kernel to become a template */
	struct vm_shape shape;
	const char *qemu_path;
	const char *name;	 /* shown by ps(1) */
	const char *memory_path; /* template: created; clone: mapped copy on write */
	const char *kernel_path; /* template only, like initrd_path */
	const char *initrd_path;
	const char *root_disk;	/* clone only: VMDK descriptor */
	const char *upper_disk; /* clone only: raw image */
	int qmp_fd;		/* listening sockets, as the child numbers them */
	int agent_fd;
	int tap_fd; /* IFF_VNET_HDR; -EBADF: no NIC. The same for a template and its clones */
};

/* Zero-initialised is empty. */
struct vm_argv {
	char **v; /* owned, NULL-terminated */
	size_t n;
};

int vm_argv_build(const struct vm_argv_spec *spec, struct vm_argv *ret_argv);
void vm_argv_done(struct vm_argv *argv);
enum vm_arch vm_arch_host(void);
const char *vm_arch_qemu(enum vm_arch arch);
const char *vm_arch_package(enum vm_arch arch);
