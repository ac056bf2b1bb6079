/* SPDX-License-Identifier: Apache-2.0 */
/* system.h - what /version and /info have in common */
#pragma once

struct core;
struct utsname;

const char *system_go_arch(const char *machine);
const char *system_kernel_release(struct core *core, const struct utsname *host);

/* For texts that another layer may not know yet. */
static inline const char *system_text(const char *text, const char *otherwise)
{
	return text && *text ? text : otherwise;
}
