/* SPDX-License-Identifier: Apache-2.0 */
/*
 * privilege.c - limits, identity, capabilities and the system call filter of a process
 *
 * DOC: Theory of operation
 *
 * What a process may do after execve is decided by the kernel from three things set here: the
 * bounding set (which root gets in full), the ambient set (which a non-root user gets), and the
 * filter. The permitted set before execve matters for one thing only: installing a filter without
 * no_new_privs needs CAP_SYS_ADMIN, so that one stays until then and execve takes it away.
 */
#include "agent/privilege.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/words.h"
#include "base/util.h"

#define PRIVILEGE_NOFILE 1048576
#define PRIVILEGE_BIT(cap) (1ULL << (cap))

static int privilege_set_limits(const Arca__V1__ProcessSpec *process, struct err *err)
{
	/* What dockerd's own service passes on. */
	static const struct {
		int resource;
		struct rlimit limit;
	} defaults[] = {
		{RLIMIT_NOFILE, {PRIVILEGE_NOFILE, PRIVILEGE_NOFILE}},
		{RLIMIT_NPROC, {RLIM_INFINITY, RLIM_INFINITY}},
		{RLIMIT_CORE, {RLIM_INFINITY, RLIM_INFINITY}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(defaults); i++) {
		if (setrlimit((__rlimit_resource_t)defaults[i].resource, &defaults[i].limit) < 0)
			return err_sys(err, -errno, "cannot set resource limits");
	}
	for (size_t i = 0; i < process->n_rlimits; i++) {
		const Arca__V1__Rlimit *l = process->rlimits[i];
		struct rlimit limit = {.rlim_cur = l->soft, .rlim_max = l->hard};

		if (setrlimit((__rlimit_resource_t)l->resource, &limit) < 0)
			return err_user(err, ERR_INVALID, "error setting rlimit type %u: %s",
					l->resource, words_errno(-errno));
	}
	return 0;
}

static int privilege_last_capability(void)
{
	int cap = CAP_LAST_CAP;

	while (cap < 63 && prctl(PR_CAPBSET_READ, cap + 1) >= 0)
		cap++;
	while (cap > 0 && prctl(PR_CAPBSET_READ, cap) < 0)
		cap--;
	return cap;
}

static int privilege_limit_bounding(uint64_t keep)
{
	int last = privilege_last_capability();

	for (int cap = 0; cap <= last; cap++) {
		if (!(keep & PRIVILEGE_BIT(cap)) && prctl(PR_CAPBSET_DROP, cap) < 0)
			return -errno;
	}
	return 0;
}

static int privilege_set_capabilities(uint64_t effective, uint64_t inheritable)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
		{(uint32_t)effective, (uint32_t)effective, (uint32_t)inheritable},
		{(uint32_t)(effective >> 32), (uint32_t)(effective >> 32),
		 (uint32_t)(inheritable >> 32)},
	};

	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static uint64_t privilege_final(const Arca__V1__ProcessSpec *process, uid_t uid)
{
	uint64_t all = (PRIVILEGE_BIT(privilege_last_capability()) << 1) - 1;

	return (uid == 0 ? process->cap_effective & process->cap_bounding : process->cap_ambient) &
	       all;
}

static int privilege_raise_ambient(uint64_t ambient)
{
	for (int cap = 0; cap < 64; cap++) {
		if ((ambient & PRIVILEGE_BIT(cap)) &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return -errno;
	}
	return 0;
}

/**
 * privilege_drop() - Limits, capabilities and identity of the process
 * @process: What it may
 * @user:    Who it is
 * @err:     Filled on failure
 *
 * Return: 0 or negative errno
 */
int privilege_drop(const Arca__V1__ProcessSpec *process, const struct user *user, struct err *err)
{
	int r = privilege_set_limits(process, err);

	if (r < 0)
		return r;
	r = privilege_limit_bounding(process->cap_bounding);
	if (r < 0)
		return err_sys(err, r, "cannot limit capabilities");
	if (prctl(PR_SET_KEEPCAPS, 1) < 0)
		return err_sys(err, -errno, "cannot keep capabilities");
	if (setgroups(user->n_groups, user->groups) < 0 ||
	    setresgid(user->gid, user->gid, user->gid) < 0)
		return err_sys(err, -errno, "cannot set the groups");
	if (setresuid(user->uid, user->uid, user->uid) < 0)
		return err_sys(err, -errno, "cannot set the user");
	/* setresuid() made us readable again. */
	(void)prctl(PR_SET_DUMPABLE, 0);
	r = privilege_set_capabilities(privilege_final(process, user->uid) |
					       PRIVILEGE_BIT(CAP_SYS_ADMIN),
				       process->cap_ambient);
	if (r == 0)
		r = privilege_raise_ambient(process->cap_ambient);
	return r < 0 ? err_sys(err, r, "cannot set capabilities") : 0;
}

/**
 * privilege_seal() - No new privileges and the filter: the last thing before execve
 * @process: What it may
 * @err:     Filled on failure
 *
 * Return: 0 or negative errno
 */
int privilege_seal(const Arca__V1__ProcessSpec *process, struct err *err)
{
	size_t len = process->seccomp_bpf.len / sizeof(struct sock_filter);
	struct sock_fprog program = {.len = (unsigned short)len,
				     .filter = (struct sock_filter *)process->seccomp_bpf.data};

	if (process->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, -errno, "cannot set no_new_privs");
	if (!process->seccomp_bpf.len)
		return 0;
	if (process->seccomp_bpf.len % sizeof(struct sock_filter) || len > BPF_MAXINSNS)
		return err_user(err, ERR_INVALID, "the seccomp filter is malformed");
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return err_sys(err, -errno, "cannot load the seccomp filter");
	return 0;
}

/**
 * privilege_drop_rest() - What execve would take away, for a process that will not exec
 * @process: What it may
 */
void privilege_drop_rest(const Arca__V1__ProcessSpec *process)
{
	/* A filter may forbid it; then the process keeps a capability that it has no code for. */
	(void)privilege_set_capabilities(privilege_final(process, getuid()), 0);
}
