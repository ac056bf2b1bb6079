/* SPDX-License-Identifier: Apache-2.0 */
/* list.c - List(ListRequest): the processes of a container for `top` */
#include "agent/list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/container.h"
#include "agent/ps.h"
#include "base/cleanup.h"
#include "base/str.h"

#define LIST_ROWS_MAX 4096
#define LIST_BYTES_MAX (2 * 1024 * 1024) /* below one message's limit */

struct list {
	const struct ps_column *columns[PS_COLUMNS_MAX];
	size_t n_columns, bytes;
	struct ps_clock clock;
	Arca__V1__ListResponse *response; /* owned */
};

static void list_done(struct list *l)
{
	if (l->response)
		arca__v1__list_response__free_unpacked(l->response, NULL);
}

static int list_begin(struct list *l)
{
	Arca__V1__ListResponse *response = calloc(1, sizeof(*response));

	if (!response)
		return -ENOMEM;
	arca__v1__list_response__init(response);
	l->response = response;
	response->rows = calloc(LIST_ROWS_MAX, sizeof(*response->rows));
	response->titles = calloc(l->n_columns, sizeof(*response->titles));
	if (!response->rows || !response->titles)
		return -ENOMEM;
	for (size_t i = 0; i < l->n_columns; i++) {
		response->titles[i] = strdup(ps_title(l->columns[i]));
		if (!response->titles[i])
			return -ENOMEM;
		response->n_titles++;
	}
	ps_read_clock(&l->clock);
	return 0;
}

static int list_add(struct list *l, const struct ps_process *p)
{
	Arca__V1__Row *row = calloc(1, sizeof(*row));
	char cell[PS_CELL_MAX];

	if (!row)
		return -ENOMEM;
	arca__v1__row__init(row);
	l->response->rows[l->response->n_rows++] = row;
	row->cells = calloc(l->n_columns, sizeof(*row->cells));
	if (!row->cells)
		return -ENOMEM;
	for (size_t i = 0; i < l->n_columns; i++) {
		ps_cell(l->columns[i], p, &l->clock, cell);
		row->cells[i] = strdup(cell);
		if (!row->cells[i])
			return -ENOMEM;
		row->n_cells++;
		l->bytes += strlen(cell) + 8;
	}
	return 0;
}

static int list_fill(struct list *l, char *pids)
{
	struct ps_process p;
	char *line;
	int r = 0;

	while (r == 0 && (line = strsep(&pids, "\n"))) {
		uint64_t pid;

		if (l->response->n_rows == LIST_ROWS_MAX || l->bytes > LIST_BYTES_MAX)
			break;
		if (str_u64(line, INT32_MAX, &pid) == 0 && ps_read((pid_t)pid, &p) == 0)
			r = list_add(l, &p);
	}
	return r;
}

/**
 * list_processes() - List(ListRequest)
 * @call:    Call
 * @message: Request
 */
void list_processes(struct rpc_server_call *call, const ProtobufCMessage *message)
{
	const Arca__V1__ListRequest *request = (const Arca__V1__ListRequest *)message;
	struct container *c = container_find(agent_of(call), request->container_id);
	_cleanup_(list_done) struct list l = {0};
	_cleanup_free_ char *pids = NULL;
	int r;

	if (!c) {
		rpc_server_finish(call, RPC_NOT_FOUND, "no such container");
		return;
	}
	r = ps_parse_args(request->ps_args, request->n_ps_args, l.columns, &l.n_columns);
	if (r < 0) {
		rpc_server_finish(call, RPC_INVALID_ARGUMENT,
				  "unsupported arguments for ps (a PID column is needed)");
		return;
	}
	r = cgroup_pids(&c->seed->cgroup, &pids);
	if (r == 0)
		r = list_begin(&l);
	if (r == 0)
		r = list_fill(&l, pids);
	if (r < 0)
		rpc_server_finish(call, RPC_INTERNAL, "cannot list the processes");
	else
		rpc_server_reply(call, &l.response->base);
}
