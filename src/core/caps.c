/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caps.c - Linux capabilities: names, Docker's default set, CapAdd and CapDrop
 *
 * Numbers are the kernel's (linux/capability.h); bit n of a mask is capability n.
 */
#include "core/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

static const char *const caps_names[] = {
	"CHOWN",
	"DAC_OVERRIDE",
	"DAC_READ_SEARCH",
	"FOWNER",
	"FSETID",
	"KILL",
	"SETGID",
	"SETUID",
	"SETPCAP",
	"LINUX_IMMUTABLE",
	"NET_BIND_SERVICE",
	"NET_BROADCAST",
	"NET_ADMIN",
	"NET_RAW",
	"IPC_LOCK",
	"IPC_OWNER",
	"SYS_MODULE",
	"SYS_RAWIO",
	"SYS_CHROOT",
	"SYS_PTRACE",
	"SYS_PACCT",
	"SYS_ADMIN",
	"SYS_BOOT",
	"SYS_NICE",
	"SYS_RESOURCE",
	"SYS_TIME",
	"SYS_TTY_CONFIG",
	"MKNOD",
	"LEASE",
	"AUDIT_WRITE",
	"AUDIT_CONTROL",
	"SETFCAP",
	"MAC_OVERRIDE",
	"MAC_ADMIN",
	"SYSLOG",
	"WAKE_ALARM",
	"BLOCK_SUSPEND",
	"AUDIT_READ",
	"PERFMON",
	"BPF",
	"CHECKPOINT_RESTORE",
};
_Static_assert(ARRAY_SIZE(caps_names) == CAPS_COUNT, "one name per capability");
_Static_assert(CAP_CHECKPOINT_RESTORE == CAPS_COUNT - 1, "the kernel's numbers");

#define BIT(cap) (1ULL << (cap))

/**
 * caps_default() - The 14 capabilities a Docker container has
 *
 * Return: mask
 */
uint64_t caps_default(void)
{
	return BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FSETID) | BIT(CAP_FOWNER) |
	       BIT(CAP_MKNOD) | BIT(CAP_NET_RAW) | BIT(CAP_SETGID) | BIT(CAP_SETUID) |
	       BIT(CAP_SETFCAP) | BIT(CAP_SETPCAP) | BIT(CAP_NET_BIND_SERVICE) |
	       BIT(CAP_SYS_CHROOT) | BIT(CAP_KILL) | BIT(CAP_AUDIT_WRITE);
}

/**
 * caps_from_name() - Number of a capability
 * @name:    "NET_ADMIN" or "CAP_NET_ADMIN", in any case
 * @ret_cap: Set on success
 *
 * Return: 0 or -EINVAL
 */
int caps_from_name(const char *name, unsigned int *ret_cap)
{
	if (strncasecmp(name, "CAP_", 4) == 0)
		name += 4;
	for (unsigned int i = 0; i < CAPS_COUNT; i++) {
		if (strcasecmp(name, caps_names[i]) == 0) {
			*ret_cap = i;
			return 0;
		}
	}
	return -EINVAL;
}

/**
 * caps_name() - Name of a capability without "CAP_"
 * @cap: Number below CAPS_COUNT
 *
 * Return: constant text
 */
const char *caps_name(unsigned int cap)
{
	return caps_names[cap];
}

/* ALL sets ret_all and adds nothing to the mask. */
static int caps_parse_list(const json_t *list, const char *what, uint64_t *ret_mask, bool *ret_all,
			   struct err *err)
{
	uint64_t mask = 0;
	json_t *item;
	unsigned int cap;
	bool all = false;
	size_t i;

	json_array_foreach (list, i, item) {
		const char *name = json_string_value(item);

		if (!name)
			name = "";
		if (strcasecmp(name, "ALL") == 0) {
			all = true;
		} else if (caps_from_name(name, &cap) == 0) {
			mask |= BIT(cap);
		} else {
			err_user(err, ERR_INVALID, "invalid %s: unknown capability: \"%s%s\"", what,
				 strncasecmp(name, "CAP_", 4) == 0 ? "" : "CAP_", name);
			return -EINVAL;
		}
	}
	*ret_mask = mask;
	*ret_all = all;
	return 0;
}

/**
 * caps_compute() - The bounding set that CapAdd, CapDrop and Privileged ask for
 * @add:	CapAdd: array of names, or NULL
 * @drop:	CapDrop, likewise
 * @privileged: All, whatever the lists say
 * @ret_caps:	Mask, set on success
 * @err:	Filled when a name is unknown
 *
 * Return: 0 or -EINVAL
 */
int caps_compute(const json_t *add, const json_t *drop, bool privileged, uint64_t *ret_caps,
		 struct err *err)
{
	uint64_t added, dropped;
	bool add_all, drop_all;

	if (caps_parse_list(add, "CapAdd", &added, &add_all, err) < 0 ||
	    caps_parse_list(drop, "CapDrop", &dropped, &drop_all, err) < 0)
		return -EINVAL;
	if (privileged)
		*ret_caps = CAPS_ALL;
	else if (add_all)
		*ret_caps = CAPS_ALL & ~dropped;
	else if (drop_all)
		*ret_caps = added;
	else
		*ret_caps = (caps_default() & ~dropped) | added;
	return 0;
}
