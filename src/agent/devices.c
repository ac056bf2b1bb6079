/* SPDX-License-Identifier: Apache-2.0 */
/*
 * devices.c - which devices a container may open, whatever nodes it makes
 *
 * Docker's default capabilities let root make device nodes. Opening them is decided by a program on
 * the container's cgroup: the standard devices and those of the spec, nothing else; above all not
 * the disks below the container's own root. A privileged container has no such program.
 */
#include "agent/devices.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/util.h"

#define DEVICES_ALL (BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE)
#define DEVICES_ANY UINT32_MAX
#define DEVICES_RULE_INSNS 8 /* at most */
#define DEVICES_FRAME_INSNS 16
#define DEVICES_RULES_MAX 256

struct devices_rule {
	uint32_t type, access, major, minor;
};

static const struct devices_rule devices_standard[] = {
	{BPF_DEVCG_DEV_CHAR, BPF_DEVCG_ACC_MKNOD, DEVICES_ANY, DEVICES_ANY},
	{BPF_DEVCG_DEV_BLOCK, BPF_DEVCG_ACC_MKNOD, DEVICES_ANY, DEVICES_ANY},
	{BPF_DEVCG_DEV_CHAR, DEVICES_ALL, 1, 3},	     /* null */
	{BPF_DEVCG_DEV_CHAR, DEVICES_ALL, 1, 5},	     /* zero */
	{BPF_DEVCG_DEV_CHAR, DEVICES_ALL, 1, 7},	     /* full */
	{BPF_DEVCG_DEV_CHAR, DEVICES_ALL, 1, 8},	     /* random */
	{BPF_DEVCG_DEV_CHAR, DEVICES_ALL, 1, 9},	     /* urandom */
	{BPF_DEVCG_DEV_CHAR, DEVICES_ALL, 5, 0},	     /* tty */
	{BPF_DEVCG_DEV_CHAR, DEVICES_ALL, 5, 1},	     /* console */
	{BPF_DEVCG_DEV_CHAR, DEVICES_ALL, 5, 2},	     /* ptmx */
	{BPF_DEVCG_DEV_CHAR, DEVICES_ALL, 136, DEVICES_ANY}, /* pts */
};

struct devices_program {
	struct bpf_insn *insns; /* owned */
	size_t n;
};

static void devices_program_done(struct devices_program *p)
{
	free(p->insns);
}

static void devices_emit(struct devices_program *p, uint8_t code, uint8_t dst, uint8_t src,
			 int16_t off, int32_t imm)
{
	p->insns[p->n++] = (struct bpf_insn){
		.code = code, .dst_reg = dst & 0xf, .src_reg = src & 0xf, .off = off, .imm = imm};
}

/* r2 type, r3 access, r4 major, r5 minor: if all fit, allow; else on to the next rule. */
static void devices_emit_rule(struct devices_program *p, const struct devices_rule *rule)
{
	size_t jumps[4], n_jumps = 0;

	jumps[n_jumps++] = p->n;
	devices_emit(p, BPF_JMP | BPF_JNE | BPF_K, 2, 0, 0, (int32_t)rule->type);
	if (rule->access != DEVICES_ALL) {
		jumps[n_jumps++] = p->n;
		devices_emit(p, BPF_JMP | BPF_JSET | BPF_K, 3, 0, 0,
			     (int32_t)(DEVICES_ALL & ~rule->access));
	}
	if (rule->major != DEVICES_ANY) {
		jumps[n_jumps++] = p->n;
		devices_emit(p, BPF_JMP | BPF_JNE | BPF_K, 4, 0, 0, (int32_t)rule->major);
	}
	if (rule->minor != DEVICES_ANY) {
		jumps[n_jumps++] = p->n;
		devices_emit(p, BPF_JMP | BPF_JNE | BPF_K, 5, 0, 0, (int32_t)rule->minor);
	}
	devices_emit(p, BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1);
	devices_emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	for (size_t i = 0; i < n_jumps; i++)
		p->insns[jumps[i]].off = (int16_t)(p->n - jumps[i] - 1);
}

static void devices_emit_head(struct devices_program *p)
{
	const size_t type = offsetof(struct bpf_cgroup_dev_ctx, access_type);

	devices_emit(p, BPF_LDX | BPF_MEM | BPF_W, 2, 1, (int16_t)type, 0);
	devices_emit(p, BPF_ALU64 | BPF_MOV | BPF_X, 3, 2, 0, 0);
	devices_emit(p, BPF_ALU64 | BPF_AND | BPF_K, 2, 0, 0, 0xffff);
	devices_emit(p, BPF_ALU64 | BPF_RSH | BPF_K, 3, 0, 0, 16);
	devices_emit(p, BPF_LDX | BPF_MEM | BPF_W, 4, 1,
		     (int16_t)offsetof(struct bpf_cgroup_dev_ctx, major), 0);
	devices_emit(p, BPF_LDX | BPF_MEM | BPF_W, 5, 1,
		     (int16_t)offsetof(struct bpf_cgroup_dev_ctx, minor), 0);
}

static struct devices_rule devices_from_spec(const Arca__V1__Device *d)
{
	return (struct devices_rule){
		.type = str_eq(d->type, "b") ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR,
		.access = DEVICES_ALL,
		.major = d->major,
		.minor = d->minor,
	};
}

static int devices_build(const Arca__V1__ContainerSpec *spec, struct devices_program *p)
{
	size_t n = spec ? MIN(spec->n_devices, DEVICES_RULES_MAX) : 0;

	p->insns = calloc((ARRAY_SIZE(devices_standard) + n) * DEVICES_RULE_INSNS +
				  DEVICES_FRAME_INSNS,
			  sizeof(*p->insns));
	if (!p->insns)
		return -ENOMEM;
	devices_emit_head(p);
	for (size_t i = 0; i < ARRAY_SIZE(devices_standard); i++)
		devices_emit_rule(p, &devices_standard[i]);
	for (size_t i = 0; i < n; i++) {
		struct devices_rule rule = devices_from_spec(spec->devices[i]);

		devices_emit_rule(p, &rule);
	}
	devices_emit(p, BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0);
	devices_emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	return 0;
}

static int devices_load(const struct devices_program *p, int *ret_fd)
{
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
		.insn_cnt = (uint32_t)p->n,
		.insns = (uint64_t)(uintptr_t)p->insns,
		.license = (uint64_t)(uintptr_t) "Apache-2.0",
	};
	long fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));

	if (fd < 0)
		return -errno;
	*ret_fd = (int)fd;
	return 0;
}

/**
 * devices_limit() - Say which devices a cgroup's processes may use
 * @cg:	  Cgroup
 * @spec: Container: its devices besides the standard ones, or all if it is privileged; NULL for the
 *	  standard ones
 *
 * Replaces what was said before.
 *
 * Return: 0 or negative errno
 */
int devices_limit(const struct cgroup *cg, const Arca__V1__ContainerSpec *spec)
{
	_cleanup_(devices_program_done) struct devices_program program = {0};
	_cleanup_close_ int fd = -EBADF;
	union bpf_attr attr = {
		.target_fd = (uint32_t)cg->fd,
		.attach_type = BPF_CGROUP_DEVICE,
	};
	int r;

	if (spec && spec->privileged) {
		r = syscall(SYS_bpf, BPF_PROG_DETACH, &attr, sizeof(attr)) < 0 ? -errno : 0;
		return r == -ENOENT ? 0 : r;
	}
	r = devices_build(spec, &program);
	if (r == 0)
		r = devices_load(&program, &fd);
	if (r < 0)
		return r;
	attr.attach_bpf_fd = (uint32_t)fd;
	return syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr)) < 0 ? -errno : 0;
}
