/* SPDX-License-Identifier: Apache-2.0 */
/* qmp.h - QEMU's control protocol over one socket */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

struct loop;
struct qmp;

static inline void cleanup_qmp_json(json_t **json)
{
	json_decref(*json);
}
#define _cleanup_qmp_json_ _cleanup_(cleanup_qmp_json)

#define QMP_LINE_MAX (1024 * 1024) /* one message of QEMU's, bytes; longer ends the connection */
#define QMP_PIPELINE_MAX 8	   /* commands in one go */

struct qmp_cmd {
	const char *name;
	json_t *args; /* borrowed; NULL: none */
	int pass_fd;  /* sent along with the command; 0: none */
};

/* Loop thread; data is borrowed and may be NULL. */
typedef void (*qmp_event_fn)(void *user, const char *event, json_t *data);
/* Loop thread, once, unless qmp_free() came first. */
typedef void (*qmp_closed_fn)(void *user, int reason);

int qmp_new(struct loop *loop, int fd, qmp_event_fn event, qmp_closed_fn closed, void *user,
	    struct qmp **ret_qmp);
void qmp_free(struct qmp *qmp);
int qmp_run(struct qmp *qmp, const struct qmp_cmd *cmds, size_t n, unsigned int timeout_ms,
	    json_t **ret_last, struct err *err);
int qmp_tell(struct qmp *qmp, const char *name);
int qmp_call(struct qmp *qmp, const char *name, json_t *args, unsigned int timeout_ms,
	     json_t **ret_reply, struct err *err);
