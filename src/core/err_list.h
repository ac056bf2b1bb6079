/* SPDX-License-Identifier: Apache-2.0 */
/* err_list.h - several faults of one request, told at once as dockerd does */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* Zero-initialised is empty; err_list_done() in any case. */
struct err_list {
	struct buf lines; /* each "* ...\n" */
	size_t n;
};

void err_list_add(struct err_list *list, const char *fmt, ...) PRINTF(2, 3);
int err_list_raise(const struct err_list *list, const char *head, struct err *err);
void err_list_done(struct err_list *list);
