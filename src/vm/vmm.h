/* SPDX-License-Identifier: Apache-2.0 */
/* vmm.h - what the files of this folder share about the machine manager; not for others */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "vm/vm.h"

struct loop;
struct pool;
struct qemu;
struct template;

#define VMM_VERSION_MAX 64
#define VMM_FINGERPRINT_LEN 16
/* A mute guest is given up after so long. */
#define VMM_BOOT_TIMEOUT_MS 60000
#define VMM_KVM_DEADLINE_MS 10000
#define VMM_HELLO_TIMEOUT_MS 60000

struct vmm {
	struct loop *loop; /* borrowed */
	char *qemu_path;   /* owned, like the paths below */
	char *kernel_path;
	char *initrd_path;
	char *template_dir;
	char *run_dir;
	char qemu_version[VMM_VERSION_MAX];
	char kernel_release[VMM_VERSION_MAX];
	/* QEMU, kernel, initrd and command line: what a template is good for; hex */
	char fingerprint[VMM_FINGERPRINT_LEN + 1];
	unsigned int hello_timeout_ms; /* for a clone's agent to answer */
	unsigned int kvm_deadline_ms;  /* for a template's, while KVM is tried */
	struct vm_nics nics;
	enum vm_accel accel_wanted;
	_Atomic enum vm_accel accel; /* as far as it is decided */

	pthread_mutex_t build_lock; /* one template is built at a time; before lock */
	pthread_mutex_t lock;	    /* guards templates, booting, ending */
	struct template *templates; /* owned */
	struct qemu *booting;	    /* borrowed from the build that goes on */
	bool ending;		    /* no template is made any more */
	pthread_mutex_t upper_lock; /* the upper disks' master is made once */
	struct pool *pool;	    /* owned; NULL: none. Set once, before anything is started */
};

bool vmm_is_ending(struct vmm *vmm);
void vmm_end_orphan(struct vmm *vmm, const char *dir);
