/* SPDX-License-Identifier: Apache-2.0 */
/* containers.h - the container manager's own structures; included by container_*.c and spec_*.c
 * only */
#pragma once

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <uthash.h>

#include "agent.pb-c.h"
#include "base/cleanup.h"
#include "core/container.h"
#include "core/core.h"
#include "core/locks.h"
#include "core/machine.h"
#include "core/stdio.h"
#include "core/workers.h"

struct attachments;
struct loop_timer;
struct sandbox;

#define CONTAINER_NAME_MAX 255
#define CONTAINER_KILL_WAIT_MS 10000   /* from SIGKILL to the end of patience with the guest */
#define CONTAINER_START_WAIT_MS 120000 /* for the agent's answer to a start */
#define CONTAINER_RPC_WAIT_MS 10000
#define CONTAINER_VM_STOP_MS 15000 /* unmount and power off */
#define CONTAINER_STOP_DEFAULT_S 10

/* What the row says about the container's VM; see container_recover.c. */
enum container_vm {
	CONTAINER_VM_NONE,     /* there is none */
	CONTAINER_VM_RUN,      /* starting or running: its process may be found in it */
	CONTAINER_VM_TEARDOWN, /* the exit is recorded; only the disk is left to unmount */
};

enum run_phase {
	RUN_PENDING,  /* clients may attach; no VM yet */
	RUN_STARTING, /* VM cloned, start sent */
	RUN_STARTED,
	RUN_FAILED, /* the process never ran: rpc_status, fail_text */
	RUN_ENDED   /* exit is set */
};

/*
 * One run of a container, from the first attach or start to the end of its VM. Shared: container,
 * attach sessions, live holds. The last reference must not go on the loop thread.
 */
struct container_run {
	struct container *c; /* owned reference */
	_Atomic unsigned int refs;
	struct stdio *io; /* owned */
	/* owned reference, NULL until started, and its VM; set before phase leaves PENDING */
	struct machine *machine;
	struct sandbox *sb;				   /* borrowed from the machine */
	struct container_run *machine_prev, *machine_next; /* the machine's */
	bool joined;					   /* another container's VM; verb lock */
	bool left;		  /* the VM, or its end was seen to; verb lock */
	struct attachments *nets; /* owned, NULL until started; verb lock */
	/* guarded by c->lock */
	enum run_phase phase;
	bool started; /* RUN_STARTED was reached */
	bool discard; /* the upper goes with the VM: no need to unmount it cleanly */
	int rpc_status;
	char *fail_text; /* owned */
	struct stdio_exit exit;
};

struct container {
	char id[ID_BUF];
	struct containers *cs; /* borrowed */
	_Atomic unsigned int refs;
	UT_hash_handle by_id, by_name;
	bool listed; /* in the table and visible: false while being created; table lock */

	/* immutable once listed */
	int64_t created_ns;
	char *image_id, *platform; /* owned */
	uint64_t image_bytes;
	char *dir; /* owned: <data-root>/containers/<id> */

	struct rank_lock verb; /* serialises start, exit, pause, remove, rename, update */
	/* owned reference: its exit is not in the row yet, its VM stays; verb lock, as the delay */
	struct container_run *unsettled;
	unsigned int settle_delay_ms;
	struct loop_timer *settle_timer; /* loop thread only */

	struct rank_lock lock; /* guards all below */
	pthread_cond_t changed;
	char name[CONTAINER_NAME_MAX + 1]; /* also guarded by the table lock: writers hold both */
	json_t *config, *host_config;	   /* immutable objects; update swaps host_config */
	json_t *link_names; /* immutable array: "/other/alias" of links to it, or NULL */
	json_t *networks, *networks_brief; /* immutable objects, as inspect and list show them */
	char sandbox_id[ID_BUF];	   /* "" unless the networks are claimed */
	json_t *ports;	      /* immutable object, as inspect shows it; NULL unless it runs */
	bool published;	      /* the forwarder has some; changed with the verb lock held as well */
	json_t *chosen_ports; /* immutable, of port_choice.c, or NULL; changed as published is */
	char *rootfs;	      /* owned: VMDK of the image */
	enum container_state state;
	enum container_vm vm;
	char vm_id[ID_BUF];	   /* what the VM is called */
	bool vm_joined;		   /* it was another container's */
	struct container_run *run; /* owned reference: pending or running */
	struct container_log *log; /* owned, opened at first need, kept until freed */
	pid_t pid;
	int exit_code;
	bool oom_killed;
	char *error; /* owned, NULL = none */
	int64_t started_ns, finished_ns;
	unsigned int restart_count;
	bool stopped_by_user; /* suppresses restart policies */
	unsigned int keep; /* restarts under way: neither AutoRemove nor policies act on the exit */
	bool removed;
	bool adopting;	/* a new daemon is still looking for its VM; the verb lock is held */
	bool telling;	/* an exit is being recorded and told; then exits is counted up */
	uint64_t exits; /* runs whose exit was recorded and told */
	int last_code;	/* of the last of them: exit_code is 0 again once it is restarted */
	unsigned int restart_delay_ms;
	struct loop_timer *restart_timer; /* loop thread only */
	uint64_t version;		  /* counts changes that a list entry or inspect shows */
	json_t *inspect;		  /* owned: cached answer of container_inspect(), or NULL */
	uint64_t inspect_version;
	json_t *list_item; /* owned: cached entry for container_list(), or NULL */
	uint64_t list_version;
	char list_status[64];
};

struct containers {
	struct core *core; /* borrowed */
	struct workers *workers;
	struct machines *machines; /* owned */
	struct rank_lock lock;	   /* guards the two tables */
	struct container *by_id, *by_name;
	struct rank_lock link_lock; /* see container_links_changed(); edits of files */
	atomic_bool has_links;	    /* a container has links, or had some */
	atomic_uint next_tcp_port, next_udp_port; /* see container_ports.c; 0: from the first */
	atomic_bool stopping; /* the daemon goes: VMs stay, nothing is restarted */
};

/* containers.c */
struct container *container_ref(struct container *c);
void container_unref(struct container *c);
DEFINE_CLEANUP(struct container *, container_unref)
#define _cleanup_container_ _cleanup_(container_unrefp)
struct container *container_new(struct containers *cs, const char *id);
int containers_reserve(struct containers *cs, struct container *c, const char *name,
		       struct err *err);
void containers_publish(struct containers *cs, struct container *c);
void containers_forget(struct containers *cs, struct container *c);
int containers_find(struct containers *cs, const char *ref, struct container **ret,
		    struct err *err);
struct container **containers_snapshot(struct containers *cs, size_t *ret_n);
void containers_snapshot_free(struct container **all, size_t n);
int containers_rename(struct containers *cs, struct container *c, const char *name,
		      struct err *err);
json_t *container_host_config(struct container *c);

/* container_rows.c */
int container_row_insert(struct container *c, const json_t *endpoints, struct err *err);
int container_row_save(struct container *c);
int container_row_save_config(struct container *c, struct err *err);
int container_row_save_name(struct container *c, struct err *err);
int container_row_delete(struct container *c, struct err *err);
int container_rows_load(struct containers *cs, struct err *err);

/* container_state.c */
const char *container_state_name(enum container_state state);
int container_state_parse(const char *name, enum container_state *ret_state);
bool container_state_may(enum container_state from, enum container_state to);
void container_move(struct container *c, enum container_state to);
bool container_state_is_up(enum container_state state);

/* container_names.c */
bool container_name_valid(const char *name);
void container_name_generate(char *out, size_t size, unsigned int attempt);

/* container_fields.c, container_merge.c, container_validate.c */
int container_config_normalise(const json_t *in, json_t **ret, struct err *err);
int container_host_config_normalise(const json_t *in, json_t **ret, struct err *err);
int container_config_merge(json_t *config, const json_t *image_config, struct err *err);
int container_config_validate(const json_t *config, struct err *err);
int container_host_config_defaults(const struct core *core, json_t *host_config);
int container_host_config_validate(const struct core *core, const json_t *host_config,
				   json_t *warnings, struct err *err);
const char *container_joins(const json_t *host_config);
int container_join_validate(const json_t *config, const json_t *host_config, struct err *err);
int container_networking_validate(const json_t *networking, struct err *err);
int container_ports_validate(const json_t *host_config, struct err *err);
int container_hosts_validate(const json_t *host_config, struct err *err);
int container_resources_validate(const json_t *resources, struct err *err);

/* container_start.c, container_run.c, container_exit.c */
int container_start_held(struct container *c, struct err *err);
int container_start_afresh(struct container *c, struct err *err);
int container_log_get(struct container *c, struct err *err);
int container_run_get(struct container *c, struct container_run **ret, struct err *err);
void container_run_drop(struct container *c);
struct container_run *container_run_ref(struct container_run *run);
void container_run_unref(struct container_run *run);
DEFINE_CLEANUP(struct container_run *, container_run_unref)
#define _cleanup_run_ _cleanup_(container_run_unrefp)
extern const struct stdio_ops container_run_ops;
void container_run_finish(void *run); /* a worker_fn */
int container_record_exit(struct container *c, const struct stdio_exit *exit, const char *error);
void container_run_end(struct container_run *run, bool discard);
bool container_should_restart(struct container *c, bool daemon_start);
void container_schedule_restart(struct container *c);
void container_cancel_restart(struct container *c);
void container_cancel_restart_timers(struct containers *cs);

/* container_live.c */
void container_wait_adopted(struct container *c);

/* container_settle.c */
void container_settle_later(struct container *c, struct container_run *run);
int container_settle_held(struct container *c, bool discard, struct err *err);
void container_settle_disarm(struct container *c);

/* container_wait.c: a cancel that wakes those who wait for c->changed */
struct container_waker {
	struct container *c;
	struct cancel *cancel;
	struct cancel_watch watch;
	bool fired; /* guarded by c->lock */
};
void container_waker_start(struct container_waker *waker, struct container *c,
			   struct cancel *cancel);
void container_waker_stop(struct container_waker *waker);

/* container_kill.c, container_stop.c */
int container_signal_parse(const char *text, int *ret_signo);
int container_signal_send(struct container *c, int signo, uint64_t exits, struct err *err);
int container_stop_begin(struct container *c, bool stop, uint64_t *ret_exits);
int container_wait_exits(struct container *c, uint64_t exits, int timeout_ms,
			 struct cancel *cancel);
int container_kill_now(struct container *c, uint64_t exits, bool discard, struct err *err);
int container_stop_it(struct container *c, const char *signal, int timeout_s, struct cancel *cancel,
		      struct err *err);

/* container_remove.c, container_events.c */
int container_remove_held(struct container *c, struct err *err);
void container_event(struct container *c, const char *action, json_t *more /* stolen, or NULL */);

/* container_inspect.c, container_status.c */
uint64_t container_upper_bytes(struct container *c);
json_t *container_mounts_json(const json_t *host_config);
void human_duration(int64_t ns, char *out, size_t size);
void container_status_text(struct container *c, int64_t now_ns, char *out, size_t size);
void container_command(const json_t *config, const char **ret_path, json_t **ret_args);

/* container_network.c */
struct network_endpoints;
void container_networks_refresh(struct container *c);
int container_networks_load(struct container *c, struct network_endpoints *ret, struct err *err);
void container_networks_leave(struct container_run *run, bool vm_stays);
int container_networks_resume(struct container *c, struct container_run *run,
			      const Arca__V1__HelloResponse *hello, struct err *err);
int container_networks_up(struct container *c, struct network_endpoints *ret, struct err *err);
void container_networks_down(struct container *c);
void container_networks_renamed(struct container *c);

/* container_ports.c */
int container_ports_publish(struct container_run *run, const struct network_endpoints *endpoints,
			    struct err *err);
int container_ports_changed(struct container *c, struct err *err);
void container_ports_unpublish(struct container *c);
void container_ports_resume(struct container_run *run);
void container_ports_loaded(struct container *c);
void container_ports_sweep(void *cs); /* a worker_fn */

/* container_files.c */
struct container_files {
	char *hosts, *resolv; /* owned */
};
int container_files_fill(struct container *c, const struct network_endpoints *endpoints,
			 struct container_files *ret, struct err *err);
void container_files_done(struct container_files *files);
int container_files_write(const struct container *c, const struct container_files *files,
			  struct err *err);
int container_file_write(const struct container *c, const char *name, const char *text,
			 struct err *err);
int container_files_create(struct container *c, struct err *err);
struct hosts_link;
int container_hosts_link(struct container *target, const char *alias, struct hosts_link *link);
char *container_hosts_text(struct container *c, const struct network_endpoints *endpoints);
char *container_resolv_text(const struct container *c, bool has_network);

/* container_join.c: network mode container:X */
struct container_join {
	struct container_run *other; /* owned reference: X's; NULL: no such mode */
	json_t *config;		     /* owned: the container's own, with X's host name */
};
int container_join_resolve(struct container *c, const json_t *host_config,
			   struct container_join *ret, struct err *err);
bool container_join_waits(struct container *c);
void container_join_done(struct container_join *join);
int container_join_name(struct containers *cs, json_t *host_config);
int container_join_files(const struct container_join *join, struct container_files *ret,
			 struct err *err);
int container_join_vm(struct container_run *run, const struct container_join *join,
		      Arca__V1__ContainerSpec *spec, struct err *err);

/* container_files_edit.c */
void container_files_connected(struct container *c, const struct network_endpoint *endpoint);
void container_files_disconnected(struct container *c, const struct network_endpoint *endpoint);
void container_files_target_started(struct container *target);
void container_files_unlinked(struct container *parent, const char *alias);

/* container_recover.c */
int containers_recover(struct containers *cs, struct err *err);
