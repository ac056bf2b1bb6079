/* SPDX-License-Identifier: Apache-2.0 */
/* qemu.h - one QEMU process, ours or one that an earlier daemon started */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/err.h"

struct loop;
struct qemu;
struct vm_argv;

/* Loop thread, once; not after qemu_free(). */
typedef void (*qemu_gone_fn)(void *user);

int qemu_spawn(struct loop *loop, const struct vm_argv *argv, const int *fds, size_t n_fds,
	       qemu_gone_fn gone, void *user, struct qemu **ret_qemu, struct err *err);
int qemu_attach(struct loop *loop, pid_t pid, uint64_t start_ticks, qemu_gone_fn gone, void *user,
		struct qemu **ret_qemu);
void qemu_free(struct qemu *qemu);
DEFINE_CLEANUP(struct qemu *, qemu_free)

pid_t qemu_pid(const struct qemu *qemu);
uint64_t qemu_start_ticks(const struct qemu *qemu);
void qemu_kill(struct qemu *qemu);
bool qemu_is_gone(struct qemu *qemu);
bool qemu_wait(struct qemu *qemu, unsigned int timeout_ms);
int qemu_exit_status(struct qemu *qemu);
void qemu_discard(struct qemu *qemu);
DEFINE_CLEANUP(struct qemu *, qemu_discard)

void qemu_last_line(struct qemu *qemu, char *out, size_t size);
