/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox.h - what the files that make sandboxes share; others see vm.h */
#pragma once

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent.pb-c.h"
#include "rpc/client.h"
#include "vm/vm.h"

struct loop_timer;
struct qemu;
struct qmp;
struct vmm;

/* What a later daemon needs to find this VM again: run_dir/<id>/vm.json. */
struct sandbox_record {
	pid_t pid;
	uint64_t start_ticks;
	unsigned char token[RPC_TOKEN_LEN];
	unsigned int nic; /* index; 0: none */
};

struct sandbox {
	struct vmm *vmm;	/* borrowed */
	char *id;		/* owned */
	char *dir;		/* owned; run_dir/<id> */
	struct qemu *qemu;	/* owned */
	struct qmp *qmp;	/* owned */
	struct rpc_client *rpc; /* owned */
	struct sandbox_record record;
	struct vm_nic nic;		/* fd is QEMU's alone */
	bool owns_dir;			/* dir was made, or taken over, by us */
	struct loop_timer *hello_timer; /* owned; loop thread; until Hello is answered */

	struct loop_timer *full_timer; /* owned; loop thread; while it waits for space */
	bool full;		       /* loop thread; it stands still */

	pthread_mutex_t slots_lock; /* who plugs something; before lock */
	pthread_mutex_t lock;	    /* guards what follows */
	pthread_cond_t cond;
	sandbox_gone_fn gone; /* NULL once nobody is to be told */
	void *user;
	bool greeted; /* a Hello was answered: keys are known */
	uint8_t keys[VM_NIC_KEYS][VM_KEY_LEN];
	bool running;		  /* QEMU said RESUME */
	bool broken;		  /* QMP ended */
	unsigned int n_unplugged; /* DEVICE_DELETED events */
	bool stopping;		  /* its end is no news */
	bool dir_removed;
};

#define SANDBOX_VM_JSON "vm.json"
#define SANDBOX_KILL_TIMEOUT_MS 10000
#define SANDBOX_QMP_TIMEOUT_MS 60000

int sandbox_new(struct vmm *vmm, const char *id, struct sandbox **ret_sandbox);
int sandbox_clone(struct vmm *vmm, const struct sandbox_spec *spec, bool final,
		  struct sandbox **ret_sandbox, struct err *err);
int sandbox_say_hello(struct sandbox *sb, bool final);
void sandbox_fill_hello(const struct sandbox *sb, Arca__V1__HelloRequest *hello,
			Arca__V1__Underlay *underlay);
void sandbox_keep_keys(struct sandbox *sb, const Arca__V1__HelloResponse *hello);
char *sandbox_own_upper(const struct sandbox *sb);
int sandbox_disks_put(struct sandbox *sb, const char *root_disk, const char *upper_disk,
		      struct err *err);
bool sandbox_publish(struct sandbox *sb, sandbox_gone_fn gone, void *user);
void sandbox_on_gone(void *user);
void sandbox_full_event(struct sandbox *sb, json_t *data);
void sandbox_full_done(struct sandbox *sb);
int sandbox_open_qmp(struct sandbox *sb);
int sandbox_open_rpc(struct sandbox *sb, const unsigned char *token);
void sandbox_discard(struct sandbox *sb);
static inline void sandbox_discardp(struct sandbox **sb)
{
	sandbox_discard(*sb);
}

int sandbox_record_write(const struct sandbox *sb);
int sandbox_record_read(const char *dir, struct sandbox_record *ret_record);
bool sandbox_is_alive(const char *dir);
