/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled filters, asked about calls by a small interpreter of classic BPF. */
#include "core/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "core/caps.h"
#include "core/jsonx.h"
#include "test.h"

TEST_MAIN()

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#else
#define NATIVE AUDIT_ARCH_AARCH64
#endif
#define ALLOW SECCOMP_RET_ALLOW
#define FAIL(e) (SECCOMP_RET_ERRNO | (e))

struct filter {
	void *bpf;
	size_t len;
};

static void filter_done(struct filter *f)
{
	free(f->bpf);
}

/* What the kernel would answer; 0xdead for a program it would refuse. */
static uint32_t ask(const struct filter *f, uint32_t arch, int nr, uint64_t arg0)
{
	struct seccomp_data data = {.nr = nr, .arch = arch, .args = {arg0}};
	const struct sock_filter *code = f->bpf;
	size_t n = f->len / sizeof(*code), pc = 0;
	uint32_t a = 0, k;

	while (pc < n) {
		const struct sock_filter *i = &code[pc++];

		k = i->k;
		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (k + 4 > sizeof(data))
				return 0xdead;
			memcpy(&a, (char *)&data + k, 4);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= k;
			break;
		case BPF_JMP | BPF_JA:
			pc += k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			pc += a > k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += a >= k ? i->jt : i->jf;
			break;
		case BPF_RET | BPF_K:
			return k;
		default:
			return 0xdead;
		}
	}
	return 0xdead;
}

/* Goal: what the default profile lets through, what not, and how it says so. */
TEST(default_filter_is_dockers)
{
	_cleanup_(filter_done) struct filter f = {0};
	struct err err = {0};

	ASSERT_OK(seccomp_default_filter(caps_default(), &f.bpf, &f.len, &err));
	ASSERT(f.len / sizeof(struct sock_filter) <= BPF_MAXINSNS);
	ASSERT_EQ(ask(&f, NATIVE, SYS_read, 0), ALLOW);
	ASSERT_EQ(ask(&f, NATIVE, SYS_execve, 0), ALLOW);
	ASSERT_EQ(ask(&f, NATIVE, SYS_chroot, 0), ALLOW); /* CAP_SYS_CHROOT is in the default set */
	ASSERT_EQ(ask(&f, NATIVE, SYS_mount, 0), FAIL(EPERM));
	ASSERT_EQ(ask(&f, NATIVE, SYS_unshare, 0), FAIL(EPERM));
	ASSERT_EQ(ask(&f, NATIVE, SYS_bpf, 0), FAIL(EPERM));
	ASSERT_EQ(ask(&f, NATIVE, SYS_io_uring_setup, 0), FAIL(EPERM));
	ASSERT_EQ(ask(&f, NATIVE, SYS_keyctl, 0), FAIL(EPERM));
	ASSERT_EQ(ask(&f, NATIVE, SYS_clone, 17 /* SIGCHLD */), ALLOW);
	ASSERT_EQ(ask(&f, NATIVE, SYS_clone, CLONE_NEWUSER), FAIL(EPERM));
	ASSERT_EQ(ask(&f, NATIVE, SYS_clone3, 0), FAIL(ENOSYS));
	ASSERT_EQ(ask(&f, NATIVE, SYS_socket, AF_INET), ALLOW);
	ASSERT_EQ(ask(&f, NATIVE, SYS_socket, AF_VSOCK), FAIL(EPERM));
	ASSERT_EQ(ask(&f, NATIVE, SYS_personality, 0x20008), ALLOW);
	ASSERT_EQ(ask(&f, NATIVE, SYS_personality, 0x40000), FAIL(EPERM));
	ASSERT_EQ(ask(&f, NATIVE, 5000, 0), FAIL(ENOSYS)); /* newer than the profile */
#if defined(__x86_64__)
	ASSERT_EQ(ask(&f, AUDIT_ARCH_I386, 3, 0), ALLOW);	     /* read */
	ASSERT_EQ(ask(&f, AUDIT_ARCH_I386, 21, 0), FAIL(EPERM));     /* mount */
	ASSERT_EQ(ask(&f, NATIVE, (int)0x40000000, 0), ALLOW);	     /* x32 read */
	ASSERT_EQ(ask(&f, NATIVE, (int)0x400000a5, 0), FAIL(EPERM)); /* x32 mount */
#endif
	ASSERT_EQ(ask(&f, AUDIT_ARCH_S390X, 3, 0) & SECCOMP_RET_ACTION_FULL,
		  SECCOMP_RET_KILL_THREAD);
}

/* Goal: capabilities open what belongs to them; the cache keeps the sets apart. */
TEST(default_filter_follows_capabilities)
{
	_cleanup_(filter_done) struct filter admin = {0}, none = {0}, again = {0};
	struct err err = {0};

	ASSERT_OK(seccomp_default_filter(1ULL << CAP_SYS_ADMIN, &admin.bpf, &admin.len, &err));
	ASSERT_OK(seccomp_default_filter(0, &none.bpf, &none.len, &err));
	ASSERT_OK(seccomp_default_filter(1ULL << CAP_SYS_ADMIN, &again.bpf, &again.len, &err));
	ASSERT_EQ(ask(&admin, NATIVE, SYS_mount, 0), ALLOW);
	ASSERT_EQ(ask(&admin, NATIVE, SYS_clone, CLONE_NEWUSER), ALLOW);
	ASSERT_EQ(ask(&admin, NATIVE, SYS_clone3, 0), ALLOW);
	ASSERT_EQ(ask(&none, NATIVE, SYS_mount, 0), FAIL(EPERM));
	ASSERT_EQ(ask(&none, NATIVE, SYS_chroot, 0), FAIL(EPERM));
	ASSERT_EQ(again.len, admin.len);
	ASSERT(memcmp(again.bpf, admin.bpf, admin.len) == 0);
}

/* Goal: a profile of the client's own, with arguments, capabilities and errno. */
TEST(profile_filter_does_what_it_says)
{
	_cleanup_json_ json_t *profile =
		jx_parse("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":["
			 "{\"names\":[\"mkdir\",\"no_such_call\"],\"action\":\"SCMP_ACT_ERRNO\","
			 "\"errnoRet\":38},"
			 "{\"name\":\"chmod\",\"action\":\"SCMP_ACT_KILL_PROCESS\"},"
			 "{\"names\":[\"socket\"],\"action\":\"SCMP_ACT_ERRNO\",\"args\":["
			 "{\"index\":0,\"value\":16,\"op\":\"SCMP_CMP_EQ\"}]},"
			 "{\"names\":[\"chroot\"],\"action\":\"SCMP_ACT_ERRNO\",\"excludes\":"
			 "{\"caps\":[\"CAP_SYS_ADMIN\"]}},"
			 "{\"names\":[\"reboot\"],\"action\":\"SCMP_ACT_ERRNO\",\"includes\":"
			 "{\"arches\":[\"s390x\"]}}]}");
	_cleanup_(filter_done) struct filter f = {0}, admin = {0};
	struct err err = {0};

	ASSERT_OK(seccomp_profile_filter(profile, 0, &f.bpf, &f.len, &err));
	ASSERT_EQ(ask(&f, NATIVE, SYS_mkdir, 0), FAIL(ENOSYS));
	ASSERT_EQ(ask(&f, NATIVE, SYS_chmod, 0), SECCOMP_RET_KILL_PROCESS);
	ASSERT_EQ(ask(&f, NATIVE, SYS_socket, 16), FAIL(EPERM));
	ASSERT_EQ(ask(&f, NATIVE, SYS_socket, 2), ALLOW);
	ASSERT_EQ(ask(&f, NATIVE, SYS_chroot, 0), FAIL(EPERM));
	ASSERT_EQ(ask(&f, NATIVE, SYS_reboot, 0), ALLOW);
	ASSERT_EQ(ask(&f, NATIVE, 5000, 0), ALLOW);
	ASSERT_OK(seccomp_profile_filter(profile, 1ULL << CAP_SYS_ADMIN, &admin.bpf, &admin.len,
					 &err));
	ASSERT_EQ(ask(&admin, NATIVE, SYS_chroot, 0), ALLOW);
}

/* Goal: nonsense is refused, with nothing built. */
TEST(profile_filter_refuses_nonsense)
{
	static const char *const bad[] = {
		"{}",
		"{\"defaultAction\":\"ALLOW\"}",
		"{\"defaultAction\":7}",
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"]}]}",
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[1],"
		"\"action\":\"SCMP_ACT_KILL\"}]}",
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],"
		"\"action\":\"SCMP_ACT_KILL\",\"args\":[{\"index\":6,\"op\":\"SCMP_CMP_EQ\"}]}]}",
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],"
		"\"action\":\"SCMP_ACT_KILL\",\"args\":[{\"index\":0,\"op\":\"==\"}]}]}",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		_cleanup_json_ json_t *profile = jx_parse(bad[i]);
		struct err err = {0};
		void *bpf = NULL;
		size_t len;

		ASSERT(profile != NULL);
		ASSERT(seccomp_profile_filter(profile, 0, &bpf, &len, &err) < 0);
		ASSERT_EQ(err.kind, ERR_INVALID);
		ASSERT(bpf == NULL);
	}
}
