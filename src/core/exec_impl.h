/* SPDX-License-Identifier: Apache-2.0 */
/* exec_impl.h - what the files exec*.c share; nobody else includes it */
#pragma once

#include <pthread.h>
#include <stdint.h>
#include <uthash.h>

#include "core/container_live.h"
#include "core/exec.h"
#include "core/stdio.h"

#define EXEC_KEEP_NS (300 * 1000000000LL) /* an exec that ended can be inspected so long */
#define EXEC_TICK_S 10			  /* housekeeping, when nothing calls for it */
#define EXEC_START_WAIT_S 120		  /* for the agent's answer to a start */
#define EXEC_MAX 10000			  /* kept at once, all containers together */

enum exec_state { EXEC_CREATED = 0, EXEC_STARTING = 1, EXEC_RUNNING = 2, EXEC_ENDED = 3 };

struct exec {
	UT_hash_handle hh;
	struct execs *es; /* borrowed */
	char id[ID_BUF], container_id[ID_BUF];
	json_t *config; /* owned, immutable: the create body */
	bool tty;	/* immutable */

	/* es->lock */
	unsigned int refs; /* table, callers, a run */
	bool listed;	   /* in the table */
	enum exec_state state;
	int exit_code;
	int pid; /* in the guest */
	int64_t ended_ns;
	unsigned int rows, cols;
	bool start_failed;
	char *start_error;	    /* owned: why */
	bool orphan;		    /* runs since before this daemon; not yet resumed */
	struct stdio *io;	    /* owned; while it runs and until it was put away */
	struct container_live live; /* held with io */
	bool removed;		    /* its container was */
	bool reap;		    /* has to be put away */
	struct exec *reap_next;
};

struct execs {
	struct core *core;	/* borrowed */
	pthread_mutex_t lock;	/* leaf but for stdio's: nothing of containers is called with it */
	pthread_cond_t changed; /* an exec's state, the reaper's queue */
	struct exec *table;	/* by id */
	struct exec *reap;	/* ended ones, references */
	bool stopping, have_thread;
	pthread_t thread;
};

/* exec.c */
int exec_find(struct execs *es, const char *id, struct exec **ret, struct err *err);
void exec_unref(struct exec *ex);
struct exec *exec_new(struct execs *es, const char *id, const char *container_id,
		      json_t *config /* stolen */);
char *exec_command(const struct exec *ex);
bool exec_flag(const struct exec *ex, const char *key);
void exec_forget_locked(struct exec *ex);
static inline void exec_unrefp(struct exec **ex)
{
	if (*ex)
		exec_unref(*ex);
}
#define _cleanup_exec_ __attribute__((cleanup(exec_unrefp)))

/* exec_start.c */
extern const struct stdio_ops exec_stdio_ops;
int exec_resume(struct exec *ex);

/* exec_reap.c */
int exec_reaper_start(struct execs *es, struct err *err);
void exec_reaper_stop(struct execs *es);
void exec_reap_locked(struct exec *ex);

/* exec_rows.c */
int exec_row_insert(struct exec *ex, struct err *err);
int exec_row_save(struct execs *es, const char *id, enum exec_state state, int exit_code, int pid,
		  int64_t ended_ns);
int exec_row_delete(struct execs *es, const char *id);
int exec_rows_load(struct execs *es, struct err *err);
