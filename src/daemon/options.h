/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - the command line and daemon.json, in dockerd's names and meanings */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/log.h"
#include "vm/vm.h"

#define OPTIONS_LIST_MAX 64

/* A list of strings; NULL-terminated because max is never reached. */
struct option_list {
	char *items[OPTIONS_LIST_MAX + 1]; /* owned */
	size_t n;
};

enum gc_check { GC_CHECK_NONE, GC_CHECK_QUICK, GC_CHECK_FULL, GC_CHECK_REPAIR };

struct options {
	struct option_list hosts, labels, log_opts, registry_mirrors, insecure_registries;
	struct option_list address_pools; /* "base=10.0.0.0/8,size=24" */
	struct option_list host_gateways; /* addresses, one of a family at most */
	char *bip;			  /* owned; NULL: Docker's */
	unsigned int mtu;		  /* of the default bridge; 0: 1500 */
	bool icc;			  /* containers there reach each other */
	char *data_root, *exec_root, *config_file, *pidfile, *group, *log_driver; /* owned */
	char *tls_cacert, *tls_cert, *tls_key;					  /* owned */
	char *qemu, *kernel, *initrd, *rehearsal, *forwarder; /* owned; NULL: found */
	enum log_level log_level;
	bool debug, tls, tls_verify;
	bool show_version, show_help, validate, network_check;
	enum gc_check gc_check;
	bool config_file_named; /* --config-file was given: it must exist */
	enum vm_accel accel;
	unsigned int vm_memory_mib, vm_cpus, vm_pool;
	unsigned int shutdown_timeout_s;
	unsigned int key_rotation_s;			       /* at most 4,000,000 */
	char *certs_dir, *http_proxy, *https_proxy, *no_proxy; /* owned */
	unsigned int max_downloads, max_uploads, max_attempts, registry_timeout_s;
};

int options_parse(struct options *opts, int argc, char **argv, struct err *err);
void options_done(struct options *opts);
void options_print_help(void);
