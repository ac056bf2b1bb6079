/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-agent-user.c - an image's passwd and group files, and a process's stat, as the agent reads
 * them */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/ps.h"
#include "agent/user.h"
#include "base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Input: user NUL passwd NUL group; the last two may hold more NULs (the first splits). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const groups[] = {"adm", "50"};
	_cleanup_free_ char *text = malloc(size + 1);
	struct ps_process process;
	struct user user;
	struct err err;
	char *passwd, *group;
	size_t rest;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	(void)ps_parse_stat(text, &process);
	passwd = memchr(text, '\0', size);
	if (!passwd)
		return 0;
	passwd++;
	rest = size - (size_t)(passwd - text);
	group = memchr(passwd, '\0', rest);
	if (!group)
		group = passwd + rest;
	if (user_lookup(text, groups, ARRAY_SIZE(groups), passwd, (size_t)(group - passwd), group,
			rest - (size_t)(group - passwd), &user, &err) == 0 &&
	    (user.n_groups > USER_GROUPS_MAX || user.uid > INT32_MAX || user.gid > INT32_MAX ||
	     !memchr(user.home, 0, sizeof(user.home))))
		abort();
	return 0;
}
