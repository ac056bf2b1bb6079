/* SPDX-License-Identifier: Apache-2.0 */
/*
 * orphan.c - a QEMU that a killed daemon had spawned and not yet written down
 *
 * Between spawn and vm.json, and as long as a template is made, the only trace of a QEMU is its QMP
 * socket. If somebody listens there, it is told to quit. Nothing it holds is worth more: its guest
 * never ran anybody's process.
 */
#include <errno.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "vm/qmp.h"
#include "vm/sock.h"
#include "vm/vmm.h"

#define ORPHAN_TIMEOUT_MS 5000
#define ORPHAN_POLL_MS 5

DEFINE_CLEANUP(struct qmp *, qmp_free)

static bool orphan_listens(const char *dir)
{
	_cleanup_close_ int fd = -EBADF;
	int r = sock_connect(dir, "qmp.sock", &fd);

	return r == 0 || r == -EAGAIN;
}

/**
 * vmm_end_orphan() - End a QEMU of which only the folder is known
 * @vmm: Machine manager
 * @dir: Folder with its QMP socket; may be gone
 *
 * Returns when nobody listens there any more, or after ORPHAN_TIMEOUT_MS. Not on the loop thread.
 */
void vmm_end_orphan(struct vmm *vmm, const char *dir)
{
	const struct qmp_cmd cmds[] = {{.name = "qmp_capabilities"}, {.name = "quit"}};
	const struct timespec pause = {.tv_nsec = ORPHAN_POLL_MS * NSEC_PER_MSEC};
	int64_t end_ns = clock_monotonic_ns() + ORPHAN_TIMEOUT_MS * NSEC_PER_MSEC;
	_cleanup_(qmp_freep) struct qmp *qmp = NULL;
	_cleanup_close_ int fd = -EBADF;

	if (sock_connect(dir, "qmp.sock", &fd) < 0 ||
	    qmp_new(vmm->loop, fd, NULL, NULL, NULL, &qmp) < 0)
		return;
	TAKE_FD(fd);
	log_info("ending a VM that was never recorded: %s", dir);
	(void)qmp_run(qmp, cmds, ARRAY_SIZE(cmds), ORPHAN_TIMEOUT_MS, NULL, NULL);
	while (orphan_listens(dir) && clock_monotonic_ns() < end_ns)
		(void)nanosleep(&pause, NULL); /* shorter does no harm */
	if (orphan_listens(dir))
		log_error("the VM in %s does not end", dir);
}
