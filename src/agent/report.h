/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - what a process that is about to become the container's tells the agent */
#pragma once

#include <stdint.h>

#include "base/err.h"

enum report_kind {
	REPORT_READY = 1,  /* a seed waits for its container */
	REPORT_TTY = 2,	   /* the terminal's master comes with this message */
	REPORT_FAIL = 3,   /* it will not start: status and text say why */
	REPORT_HOSTS = 4,  /* /etc/hosts comes with this message */
	REPORT_RESOLV = 5, /* likewise /etc/resolv.conf */
};

struct report {
	uint32_t kind;
	int32_t status; /* enum rpc_status */
	char text[ERR_MSG_MAX];
};

int report_send(int fd, enum report_kind kind, int pass_fd);
void report_fail(int fd, const struct err *err) __attribute__((noreturn));
int report_receive(int fd, struct report *ret_report, int *ret_fd);
int report_status(const struct err *err);
