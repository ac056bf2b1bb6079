/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox.c - the forwarder gives up what it does not need
 *
 * It reads bytes from anybody on the network. Once its threads are in their namespaces it opens no
 * file, starts no program and changes nothing: capabilities go but the one to bind low ports, on
 * one thread, and a system call filter leaves sockets, pipes and memory.
 */
#include "forward/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"

#define SANDBOX_FDS_MAX (1U << 20)
#define SANDBOX_FDS_USUAL 4096

#if defined(__SANITIZE_ADDRESS__)
#define SANDBOX_FILTERS false /* the sanitizer's own needs are another list */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANDBOX_FILTERS false
#endif
#endif
#ifndef SANDBOX_FILTERS
#define SANDBOX_FILTERS true
#endif

/**
 * sandbox_limits() - As many descriptors as the kernel gives; no gaining of privileges
 *
 * Return: 0, or negative errno
 */
int sandbox_limits(void)
{
	struct rlimit limit = {.rlim_cur = SANDBOX_FDS_MAX, .rlim_max = SANDBOX_FDS_MAX};
	int fd;

	if (setrlimit(RLIMIT_NOFILE, &limit) < 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit); /* fewer connections otherwise */
	}
	/* Growing the table of descriptors later, with two threads, takes an RCU grace period a
	 * time. */
	fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, SANDBOX_FDS_USUAL - 1);
	if (fd >= 0)
		(void)close(fd);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

/**
 * sandbox_drop() - Drop the calling thread's capabilities
 * @keep_bind: All but CAP_NET_BIND_SERVICE
 *
 * Return: 0, or negative errno
 */
int sandbox_drop(bool keep_bind)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {}, now[2];

	for (int cap = 0; cap <= 63; cap++) {
		/* Fails beyond the kernel's last, and for whom has no CAP_SETPCAP to drop either.
		 */
		if (!keep_bind || cap != CAP_NET_BIND_SERVICE)
			(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	}
	if (syscall(SYS_capget, &head, now) < 0)
		return -errno;
	if (keep_bind)
		data[0].permitted = data[0].effective =
			now[0].permitted & (1U << CAP_NET_BIND_SERVICE);
	return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

/**
 * sandbox_filter() - Allow both threads what is left to do; everything else fails with EPERM
 *
 * Return: 0, or negative errno
 */
int sandbox_filter(void)
{
	static const int calls[] = {
		SCMP_SYS(accept4),
		SCMP_SYS(bind),
		SCMP_SYS(brk),
		SCMP_SYS(clock_gettime),
		SCMP_SYS(close),
		SCMP_SYS(connect),
		SCMP_SYS(epoll_ctl),
		SCMP_SYS(epoll_wait),
		SCMP_SYS(epoll_pwait),
		SCMP_SYS(exit),
		SCMP_SYS(exit_group),
		SCMP_SYS(fcntl),
		SCMP_SYS(futex),
		SCMP_SYS(getpid),
		SCMP_SYS(getpeername),
		SCMP_SYS(getsockname),
		SCMP_SYS(getsockopt),
		SCMP_SYS(gettid),
		SCMP_SYS(listen),
		SCMP_SYS(madvise),
		SCMP_SYS(mmap),
		SCMP_SYS(mprotect),
		SCMP_SYS(mremap),
		SCMP_SYS(munmap),
		SCMP_SYS(pipe2),
		SCMP_SYS(read),
		SCMP_SYS(recvfrom),
		SCMP_SYS(recvmsg),
		SCMP_SYS(restart_syscall),
		SCMP_SYS(rt_sigaction),
		SCMP_SYS(rt_sigprocmask),
		SCMP_SYS(rt_sigreturn),
		SCMP_SYS(sendmsg),
		SCMP_SYS(sendto),
		SCMP_SYS(setsockopt),
		SCMP_SYS(shutdown),
		SCMP_SYS(splice),
		SCMP_SYS(tgkill),
		SCMP_SYS(write),
		SCMP_SYS(writev),
	};
	static const unsigned int families[] = {AF_INET, AF_INET6};
	scmp_filter_ctx ctx;
	int r;

	if (!SANDBOX_FILTERS)
		return 0;
	ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!ctx)
		return -ENOMEM;
	r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(calls); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(families); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				     SCMP_A0(SCMP_CMP_EQ, families[i]));
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}
