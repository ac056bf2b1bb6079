/* SPDX-License-Identifier: Apache-2.0 */
/* net-rig.h - VMs on taps, and what their agents are asked */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent.pb-c.h"
#include "base/err.h"

#define RIG_KEY_LEN 32
#define RIG_OFFERS 4

struct rig_vm {
	char name;	    /* 'a': the folder and the upper disk */
	unsigned int index; /* on the underlay: 198.18.0.<index> */
	char container[65];
	pid_t pid;
	struct rpc_client *rpc;
	uint8_t keys[RIG_OFFERS][RIG_KEY_LEN];
	size_t n_keys, n_networks;
};

/* A command in a container. */
struct rig_exec {
	char output[65536];
	size_t len;
	int code; /* exit code, or 1000 + gRPC status */
	char status_text[512];
	bool started, done;
	pthread_mutex_t lock;
	pthread_cond_t changed;
};

int rig_open(const char *work, const char *guest, const char *agent_vm);
void rig_close(void);
int rig_sh(const char *format, ...) __attribute__((format(printf, 1, 2)));
int rig_template(void);
int rig_vm_start(struct rig_vm *vm);
int rig_vm_hello(struct rig_vm *vm, bool first, struct err *err);
void rig_vm_stop(struct rig_vm *vm);

int rig_call(struct rig_vm *vm, const char *method, const ProtobufCMessage *request,
	     const ProtobufCMessageDescriptor *reply_type, ProtobufCMessage **ret_reply,
	     struct err *err);
/* A server upstream: each name that ends in "test" has the address of who asks, others are not
 * there
 */
int rig_dns_open(const char *address);
/* The container's first process sleeps for ever. Return: 0, or a gRPC status */
int rig_container(struct rig_vm *vm, Arca__V1__NetworkAttach **networks, size_t n,
		  Arca__V1__HostGateway *host, Arca__V1__Dns *dns, struct err *err);
void rig_exec_begin(struct rig_vm *vm, const char *command, struct rig_exec *ret);
void rig_exec_wait(struct rig_exec *e);
/* Run `sh -c COMMAND`; its output is kept until the next call. Return: its exit code */
int rig_run(struct rig_vm *vm, const char *command);
const char *rig_output(void);
