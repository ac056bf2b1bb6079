/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox_full.c - VMs that wait for space on the host's disk
 *
 * QEMU stops a VM one of whose writes finds no space (werror=enospc, the default): nothing that was
 * written is lost, but nobody in the VM gets an answer. It is told to go on every FULL_AGAIN_MS;
 * then the write is tried again, and the VM stops again if there is still no space.
 *
 * Source: QEMU's QMP reference, BLOCK_IO_ERROR.
 */
#include <stdbool.h>
#include <string.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/str.h"
#include "vm/qmp.h"
#include "vm/sandbox.h"
#include "vm/vmm.h"

#define FULL_AGAIN_MS 1000

static void full_on_timer(void *user);

/* Without memory it stays as it is until a later daemon finds it. */
static void full_arm(struct sandbox *sb)
{
	(void)loop_timer_add(sb->vmm->loop, FULL_AGAIN_MS, full_on_timer, sb, &sb->full_timer);
}

static void full_on_timer(void *user)
{
	struct sandbox *sb = user;

	loop_timer_remove(sb->full_timer);
	sb->full_timer = NULL;
	if (!sb->full) {
		log_info("the VM of %.12s goes on: its disk has space again", sb->id);
		return;
	}
	sb->full = false; /* until it says so again */
	if (qmp_tell(sb->qmp, "cont") == 0)
		full_arm(sb);
}

/**
 * sandbox_full_event() - BLOCK_IO_ERROR
 * @sb:	  Sandbox; loop thread
 * @data: What QEMU says of it
 */
void sandbox_full_event(struct sandbox *sb, json_t *data)
{
	const char *action = json_string_value(json_object_get(data, "action"));
	bool stopping;

	if (!action || !str_eq(action, "stop"))
		return; /* the guest was told */
	pthread_mutex_lock(&sb->lock);
	stopping = sb->stopping;
	pthread_mutex_unlock(&sb->lock);
	if (stopping)
		return;
	sb->full = true;
	if (sb->full_timer)
		return;
	log_warn("the VM of %.12s stands still: no space is left on the host's disk for what it "
		 "writes",
		 sb->id);
	full_arm(sb);
}

/**
 * sandbox_full_done() - Wait no more
 * @sb: Sandbox; loop thread
 */
void sandbox_full_done(struct sandbox *sb)
{
	loop_timer_remove(sb->full_timer);
	sb->full_timer = NULL;
}
