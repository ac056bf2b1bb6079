/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container.h - the container manager: one verb per file (container_create.c, container_start.c,
 * ...)
 *
 * References (ref) are a name (with or without leading '/'), a full id, or an unambiguous id
 * prefix. Errors carry Docker's words: ERR_NOT_FOUND "No such container: x", ERR_CONFLICT ...,
 * ERR_NOT_MODIFIED.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/err.h"
#include "base/id.h"
#include "core/container_log.h"

struct core;
struct container;
struct containers;
struct stdio_attach;

enum container_state {
	CONTAINER_CREATED,
	CONTAINER_RUNNING,
	CONTAINER_PAUSED,
	CONTAINER_RESTARTING, /* exited; its restart policy will start it again */
	CONTAINER_EXITED,
	CONTAINER_REMOVING,
	CONTAINER_DEAD
};

int containers_new(struct core *core, struct containers **ret,
		   struct err *err);	     /* loads rows; adopts VMs that outlived the daemon */
void containers_free(struct containers *cs); /* VMs go on running */

/* config: the create body minus HostConfig/NetworkingConfig (image's config not merged yet); all
 * three objects, borrowed. warnings: array, appended. */
struct container_create {
	const char *name; /* NULL or "": generated */
	const char *platform;
	json_t *config, *host_config, *networking_config;
	json_t *warnings;
};
int container_create(struct containers *cs, const struct container_create *create,
		     char ret_id[static ID_BUF], struct err *err);
int container_start(struct containers *cs, const char *ref, struct err *err);
int container_stop(struct containers *cs, const char *ref, const char *signal /* NULL */,
		   int timeout_s /* -1 wait, INT_MIN: container's own */, struct cancel *cancel,
		   struct err *err);
int container_restart(struct containers *cs, const char *ref, const char *signal, int timeout_s,
		      struct cancel *cancel, struct err *err);
int container_kill(struct containers *cs, const char *ref,
		   const char *signal /* name or number, "" = SIGKILL */, struct err *err);
int container_pause(struct containers *cs, const char *ref, bool pause, struct err *err);
int container_unlink(struct containers *cs, const char *ref, struct err *err);
int container_remove(struct containers *cs, const char *ref, bool force, bool volumes,
		     struct err *err);
int container_connect(struct containers *cs, const char *network, const char *ref,
		      const json_t *settings /* NULL */, struct err *err);
int container_disconnect(struct containers *cs, const char *network, const char *ref, bool force,
			 struct err *err);
int container_rename(struct containers *cs, const char *ref, const char *name, struct err *err);
int container_update(struct containers *cs, const char *ref, json_t *update, json_t *warnings,
		     struct err *err);
int container_prune(struct containers *cs, json_t *filters, json_t *deleted_ids,
		    uint64_t *ret_bytes, struct err *err);

/* Two steps, so that the HTTP answer can begin (and the CLI start the container) once the wait
 * stands. condition: NULL/"", "not-running", "next-exit", "removed" */
struct container_wait;
int container_wait_begin(struct containers *cs, const char *ref, const char *condition,
			 struct container_wait **ret, struct err *err);
int container_wait_end(struct container_wait *wait /* owned */, struct cancel *cancel,
		       int *ret_code, char **ret_error /* NULL or text */, struct err *err);

/* Blocks for the whole session; attach->ready is called when registered. A container that is not
 * running: waits for its start when stream is set, as docker run relies on. */
int container_attach(struct containers *cs, const char *ref, struct stdio_attach *attach,
		     struct err *err);
int container_is_tty(struct containers *cs, const char *ref, bool *ret_tty, struct err *err);
int container_resize(struct containers *cs, const char *ref, unsigned int rows, unsigned int cols,
		     struct err *err);
int container_logs(struct containers *cs, const char *ref, const struct container_log_query *query,
		   log_write_fn write, void *user, struct err *err);
int container_top(struct containers *cs, const char *ref, const char *ps_args, json_t **ret_top,
		  struct err *err);

/* Docker's JSON, complete. New references. */
int container_inspect(struct containers *cs, const char *ref, bool size, json_t **ret,
		      struct err *err);
/* filters: the parsed `filters` object (see core/filters.h) or NULL; limit 0 = all matching; newest
 * first */
int container_list(struct containers *cs, bool all, int limit, bool size, json_t *filters,
		   json_t **ret, struct err *err);

void containers_count(struct containers *cs, unsigned int *running, unsigned int *paused,
		      unsigned int *stopped);
unsigned int containers_count_image(struct containers *cs, const char *image_id);
bool containers_use_image(struct containers *cs, const char *image_id, bool running_only,
			  char ret_id[static ID_BUF]);
