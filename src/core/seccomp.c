/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp.c - profiles become BPF with libseccomp
 *
 * DOC: Theory of operation
 *
 * The guest's agent loads what is built here, byte for byte. The filter covers the native
 * architecture and those it can run besides (i386 and x32 on x86-64). Where unlisted calls fail
 * with an error, calls newer than every listed one get ENOSYS in place of it, as runc does: a C
 * library falls back on ENOSYS, not on EPERM. The built-in profile is compiled once per capability
 * mask and kept; a profile of the client's is compiled when it is used. Profiles are hostile:
 * SECCOMP_PROFILE_RULES_MAX bounds the rules, the kernel's BPF_MAXINSNS the result.
 */
#include "core/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <utlist.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"
#include "core/caps.h"
#include "core/jsonx.h"
#include "core/locks.h"

#define SECCOMP_CACHE_MAX 64
#define SECCOMP_ARGS_MAX 6

#if defined(__x86_64__)
#define SECCOMP_AUDIT_ARCH AUDIT_ARCH_X86_64
#define SECCOMP_NR_BOUND 0x40000000u /* x32 begins here */
static const uint32_t seccomp_sub_arches[] = {SCMP_ARCH_X86, SCMP_ARCH_X32};
static const char *const seccomp_arch_names[] = {"amd64", "x86_64", NULL};
#elif defined(__aarch64__)
#define SECCOMP_AUDIT_ARCH AUDIT_ARCH_AARCH64
#define SECCOMP_NR_BOUND 0x40000000u
static const uint32_t seccomp_sub_arches[] = {SCMP_ARCH_ARM};
static const char *const seccomp_arch_names[] = {"arm64", "aarch64", NULL};
#endif

struct seccomp_build {
	scmp_filter_ctx ctx;
	uint32_t default_action;
	int last_nr; /* highest native number named anywhere in the profile */
	unsigned int rules;
};

struct seccomp_cached {
	uint64_t caps;
	void *bpf; /* owned */
	size_t len;
	struct seccomp_cached *next;
};

static struct rank_lock seccomp_cache_lock = {PTHREAD_MUTEX_INITIALIZER, LOCK_SECCOMP_CACHE};
static struct seccomp_cached *seccomp_cache; /* for the life of the process */

static void seccomp_build_done(struct seccomp_build *b)
{
	if (b->ctx)
		seccomp_release(b->ctx);
}

static int seccomp_build_start(struct seccomp_build *b, uint32_t default_action)
{
	b->default_action = default_action;
	b->ctx = seccomp_init(default_action);
	if (!b->ctx)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(seccomp_sub_arches); i++) {
		int r = seccomp_arch_add(b->ctx, seccomp_sub_arches[i]);

		if (r < 0 && r != -EEXIST)
			return r;
	}
	/* A binary tree: the filter runs under emulation, where every instruction counts. */
	(void)seccomp_attr_set(b->ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* since 2.5; only speed */
	return 0;
}

/* One rule for one call; args on one index are alternatives, as for runc. */
static int seccomp_build_rule(struct seccomp_build *b, int nr, uint32_t action,
			      const struct scmp_arg_cmp *args, unsigned int n)
{
	unsigned int seen = 0;
	bool alternatives = false;
	int r = 0;

	if (++b->rules > SECCOMP_PROFILE_RULES_MAX)
		return -E2BIG;
	for (unsigned int i = 0; i < n; i++) {
		alternatives |= seen >> args[i].arg & 1;
		seen |= 1u << args[i].arg;
	}
	if (!alternatives)
		return seccomp_rule_add_array(b->ctx, action, nr, n, args);
	for (unsigned int i = 0; i < n && r == 0; i++)
		r = seccomp_rule_add_array(b->ctx, action, nr, 1, &args[i]);
	return r;
}

static int seccomp_build_name(struct seccomp_build *b, const char *name, bool applies,
			      uint32_t action, const struct scmp_arg_cmp *args, unsigned int n)
{
	int nr = seccomp_syscall_resolve_name(name);

	if (nr == __NR_SCMP_ERROR)
		return 0; /* newer than this libseccomp, or of another architecture */
	if (nr > b->last_nr)
		b->last_nr = nr;
	if (!applies || action == b->default_action)
		return 0;
	return seccomp_build_rule(b, nr, action, args, n);
}

/* ld arch; jne native, out; ld nr; jgt last, next; jlt bound, ENOSYS; then the filter. */
static size_t seccomp_build_prefix(const struct seccomp_build *b, struct sock_filter out[6])
{
	const struct sock_filter prefix[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SECCOMP_AUDIT_ARCH, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)b->last_nr, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, SECCOMP_NR_BOUND, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
	};

	if ((b->default_action & SECCOMP_RET_ACTION_FULL) != SECCOMP_RET_ERRNO || b->last_nr <= 0)
		return 0;
	memcpy(out, prefix, sizeof(prefix));
	return sizeof(prefix);
}

static int seccomp_build_export(const struct seccomp_build *b, void **ret_bpf, size_t *ret_len)
{
	_cleanup_close_ int fd = memfd_create("seccomp", MFD_CLOEXEC);
	_cleanup_free_ char *bpf = NULL;
	struct sock_filter prefix[6];
	size_t prefix_len, len;
	struct stat st;
	int r;

	if (fd < 0)
		return -errno;
	r = seccomp_export_bpf(b->ctx, fd);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	prefix_len = seccomp_build_prefix(b, prefix);
	len = prefix_len + (size_t)st.st_size;
	if (len / sizeof(struct sock_filter) > BPF_MAXINSNS)
		return -E2BIG;
	bpf = malloc(len);
	if (!bpf)
		return -ENOMEM;
	memcpy(bpf, prefix, prefix_len);
	if (fs_read_full(fd, bpf + prefix_len, (size_t)st.st_size) != st.st_size)
		return -EIO;
	*ret_bpf = TAKE_PTR(bpf);
	*ret_len = len;
	return 0;
}

static int seccomp_default_block(struct seccomp_build *b, const struct seccomp_block *block,
				 uint64_t caps)
{
	bool applies = (block->cap < 0 || caps >> block->cap & 1) &&
		       (block->without_cap < 0 || !(caps >> block->without_cap & 1));
	uint32_t action = block->errnum ? SCMP_ACT_ERRNO((uint32_t)block->errnum) : SCMP_ACT_ALLOW;
	struct scmp_arg_cmp arg = {(unsigned int)block->arg, (enum scmp_compare)block->op, block->a,
				   block->b};
	_cleanup_free_ char *names = strdup(block->names);
	char *save = NULL;
	int r = names ? 0 : -ENOMEM;

	for (char *name = names ? strtok_r(names, " ", &save) : NULL; name && r == 0;
	     name = strtok_r(NULL, " ", &save))
		r = seccomp_build_name(b, name, applies, action, &arg, block->arg >= 0);
	return r;
}

static int seccomp_default_compile(uint64_t caps, void **ret_bpf, size_t *ret_len)
{
	_cleanup_(seccomp_build_done) struct seccomp_build b = {0};
	int r = seccomp_build_start(&b, SCMP_ACT_ERRNO(EPERM));

	for (size_t i = 0; i < seccomp_default_blocks_n && r == 0; i++)
		r = seccomp_default_block(&b, &seccomp_default_blocks[i], caps);
	return r < 0 ? r : seccomp_build_export(&b, ret_bpf, ret_len);
}

/* Cache lock held. Beyond SECCOMP_CACHE_MAX masks, the rest is compiled each time. */
static int seccomp_cache_get(uint64_t caps, void **ret_bpf, size_t *ret_len)
{
	struct seccomp_cached *hit;
	unsigned int n = 0;
	int r;

	LL_FOREACH (seccomp_cache, hit) {
		n++;
		if (hit->caps == caps)
			break;
	}
	if (!hit) {
		_cleanup_free_ struct seccomp_cached *made = calloc(1, sizeof(*made));

		if (!made)
			return -ENOMEM;
		r = seccomp_default_compile(caps, &made->bpf, &made->len);
		if (r < 0)
			return r;
		if (n >= SECCOMP_CACHE_MAX) {
			*ret_bpf = made->bpf;
			*ret_len = made->len;
			return 0;
		}
		made->caps = caps;
		hit = TAKE_PTR(made);
		LL_PREPEND(seccomp_cache, hit);
	}
	*ret_bpf = malloc(hit->len);
	if (!*ret_bpf)
		return -ENOMEM;
	memcpy(*ret_bpf, hit->bpf, hit->len);
	*ret_len = hit->len;
	return 0;
}

/**
 * seccomp_default_filter() - The built-in profile for a capability set
 * @caps:    The container's capabilities
 * @ret_bpf: struct sock_filter[] owned by the caller
 * @ret_len: Its length, bytes
 * @err:     Filled on failure
 *
 * Return: 0 or a negative errno
 */
int seccomp_default_filter(uint64_t caps, void **ret_bpf, size_t *ret_len, struct err *err)
{
	int r;

	rank_lock(&seccomp_cache_lock);
	r = seccomp_cache_get(caps, ret_bpf, ret_len);
	rank_unlock(&seccomp_cache_lock);
	return r < 0 ? err_sys(err, r, "cannot build the seccomp filter") : 0;
}

static int seccomp_action(const json_t *name, const json_t *errnum, uint32_t *ret_action)
{
	const char *s = json_string_value(name);
	uint32_t e =
		json_is_integer(errnum) ? (uint32_t)json_integer_value(errnum) & 0xffff : EPERM;

	if (!s)
		return -EINVAL;
	if (str_eq(s, "SCMP_ACT_ALLOW"))
		*ret_action = SCMP_ACT_ALLOW;
	else if (str_eq(s, "SCMP_ACT_ERRNO"))
		*ret_action = SCMP_ACT_ERRNO(e);
	else if (str_eq(s, "SCMP_ACT_KILL") || str_eq(s, "SCMP_ACT_KILL_THREAD"))
		*ret_action = SCMP_ACT_KILL_THREAD;
	else if (str_eq(s, "SCMP_ACT_KILL_PROCESS"))
		*ret_action = SCMP_ACT_KILL_PROCESS;
	else if (str_eq(s, "SCMP_ACT_TRAP"))
		*ret_action = SCMP_ACT_TRAP;
	else if (str_eq(s, "SCMP_ACT_TRACE"))
		*ret_action = SCMP_ACT_TRACE(e);
	else if (str_eq(s, "SCMP_ACT_LOG"))
		*ret_action = SCMP_ACT_LOG;
	else
		return -EINVAL;
	return 0;
}

static int seccomp_compare(const char *name, enum scmp_compare *ret_op)
{
	static const char *const names[] = {
		[SCMP_CMP_NE] = "SCMP_CMP_NE",
		[SCMP_CMP_LT] = "SCMP_CMP_LT",
		[SCMP_CMP_LE] = "SCMP_CMP_LE",
		[SCMP_CMP_EQ] = "SCMP_CMP_EQ",
		[SCMP_CMP_GE] = "SCMP_CMP_GE",
		[SCMP_CMP_GT] = "SCMP_CMP_GT",
		[SCMP_CMP_MASKED_EQ] = "SCMP_CMP_MASKED_EQ",
	};

	for (unsigned int i = SCMP_CMP_NE; i < ARRAY_SIZE(names); i++) {
		if (str_eq(name, names[i])) {
			*ret_op = (enum scmp_compare)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int seccomp_profile_args(const json_t *list, struct scmp_arg_cmp *args, unsigned int *ret_n)
{
	json_t *item;
	size_t i;

	if (json_array_size(list) > SECCOMP_ARGS_MAX)
		return -E2BIG;
	json_array_foreach (list, i, item) {
		int64_t index = jx_int(item, "index");

		if (index < 0 || index >= SECCOMP_ARGS_MAX ||
		    seccomp_compare(jx_str(item, "op"), &args[i].op) < 0)
			return -EINVAL;
		args[i].arg = (unsigned int)index;
		args[i].datum_a = (uint64_t)jx_int(item, "value");
		args[i].datum_b = (uint64_t)jx_int(item, "valueTwo");
	}
	*ret_n = (unsigned int)i;
	return 0;
}

/* Whether every capability (all) or any of the architectures of a filter object holds. */
static bool seccomp_filter_holds(const json_t *filter, uint64_t caps, bool includes)
{
	json_t *list = json_object_get(filter, "caps"), *item;
	bool arch = json_array_size(json_object_get(filter, "arches")) == 0;
	unsigned int cap;
	size_t i;

	json_array_foreach (list, i, item) {
		const char *name = json_string_value(item);
		bool has = name && caps_from_name(name, &cap) == 0 && caps >> cap & 1;

		if (has != includes)
			return !includes;
	}
	json_array_foreach (json_object_get(filter, "arches"), i, item) {
		for (size_t k = 0; seccomp_arch_names[k]; k++)
			arch |= json_is_string(item) &&
				str_eq(json_string_value(item), seccomp_arch_names[k]);
	}
	if (includes)
		return arch;
	return json_array_size(json_object_get(filter, "arches")) > 0 && arch;
}

static int seccomp_profile_entry(struct seccomp_build *b, const json_t *entry, uint64_t caps)
{
	struct scmp_arg_cmp args[SECCOMP_ARGS_MAX] = {0};
	const json_t *names = json_object_get(entry, "names");
	const json_t *one = json_object_get(entry, "name");
	const json_t *includes = json_object_get(entry, "includes");
	const json_t *excludes = json_object_get(entry, "excludes");
	bool applies = (!includes || seccomp_filter_holds(includes, caps, true)) &&
		       (!excludes || !seccomp_filter_holds(excludes, caps, false));
	uint32_t action;
	unsigned int n = 0;
	json_t *item;
	size_t i;
	int r;

	r = seccomp_action(json_object_get(entry, "action"), json_object_get(entry, "errnoRet"),
			   &action);
	if (r == 0)
		r = seccomp_profile_args(json_object_get(entry, "args"), args, &n);
	if (r == 0 && json_is_string(one) && json_string_length(one) > 0)
		r = seccomp_build_name(b, json_string_value(one), applies, action, args, n);
	if (r < 0)
		return r;
	json_array_foreach (names, i, item) {
		if (!json_is_string(item))
			return -EINVAL;
		r = seccomp_build_name(b, json_string_value(item), applies, action, args, n);
		if (r < 0)
			return r;
	}
	return 0;
}

/**
 * seccomp_profile_filter() - A profile of the client's own (SecurityOpt seccomp={...})
 * @profile: The profile's JSON: hostile
 * @caps:    The container's capabilities, for its includes and excludes
 * @ret_bpf: struct sock_filter[] owned by the caller
 * @ret_len: Its length, bytes
 * @err:     Filled on failure
 *
 * Return: 0 or a negative errno
 */
int seccomp_profile_filter(const json_t *profile, uint64_t caps, void **ret_bpf, size_t *ret_len,
			   struct err *err)
{
	_cleanup_(seccomp_build_done) struct seccomp_build b = {0};
	json_t *entry;
	uint32_t action;
	size_t i;
	int r;

	r = seccomp_action(json_object_get(profile, "defaultAction"),
			   json_object_get(profile, "defaultErrnoRet"), &action);
	if (r == 0)
		r = seccomp_build_start(&b, action);
	json_array_foreach (json_object_get(profile, "syscalls"), i, entry) {
		if (r == 0)
			r = seccomp_profile_entry(&b, entry, caps);
	}
	if (r == 0)
		r = seccomp_build_export(&b, ret_bpf, ret_len);
	if (r == -ENOMEM)
		return err_oom(err);
	if (r < 0)
		err_user(err, ERR_INVALID, "Decoding seccomp profile failed: entry %zu: %s", i,
			 strerror(-r));
	return r;
}
