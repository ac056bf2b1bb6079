/* SPDX-License-Identifier: Apache-2.0 */
/* exec.h - further processes in running containers */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/id.h"

struct core;
struct execs;
struct stdio_attach;

int execs_new(struct core *core, struct execs **ret,
	      struct err *err); /* resumes those that outlived the daemon */
void execs_free(struct execs *es);
int exec_create(struct execs *es, const char *container_ref, json_t *config /* ExecConfig body */,
		char ret_id[static ID_BUF], struct err *err);
/* detach: returns once started; else attach (fd etc.) blocks until it ended. rows/cols 0: unknown.
 * `started` failing gives ERR_CANNOT_RUN. */
int exec_start(struct execs *es, const char *id, bool detach, struct stdio_attach *attach,
	       unsigned int rows, unsigned int cols, struct err *err);
int exec_is_tty(struct execs *es, const char *id, bool *ret_tty, struct err *err);
int exec_resize(struct execs *es, const char *id, unsigned int rows, unsigned int cols,
		struct err *err);
int exec_inspect(struct execs *es, const char *id, json_t **ret, struct err *err);
json_t *exec_ids(struct execs *es,
		 const char *container_id); /* array or null, for inspect; new reference */
void exec_container_gone(struct execs *es, const char *container_id,
			 bool removed); /* container stopped / was removed */
