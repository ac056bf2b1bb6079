/* SPDX-License-Identifier: Apache-2.0 */
/* fakes_forward.c - a forwarder that publishes nothing and remembers one owner */
#include "fakes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "net/forward.h"
#include "vm/vm.h"

const struct vm_nic *sandbox_nic(const struct sandbox *sb UNUSED)
{
	static const struct vm_nic nic = {
		.fd = -EBADF, .index = 7, .v4 = {198, 18, 0, 7}, .v6 = {0xfd, [15] = 7}};

	return &nic;
}

void fakes_forget(void)
{
	free(fakes.forwarded);
	fakes.forwarded = NULL;
	fakes.n_forwarded = 0;
	*fakes.forward_owner = '\0';
}

int forward_add(struct forward *forward UNUSED, const char *owner, struct forward_mapping *mappings,
		size_t n, struct forward_failure *ret_failure, struct err *err UNUSED)
{
	fakes.forward_adds++;
	if (fakes.forward_error) {
		*ret_failure = (struct forward_failure){.port = mappings[0].host_port,
							.error = fakes.forward_error};
		memcpy(ret_failure->holder, fakes.forward_holder, sizeof(fakes.forward_holder));
		return FORWARD_E_PORT;
	}
	for (size_t i = 0; i < n && fakes.forward_taken; i++) {
		if (mappings[i].same_port || mappings[i].host_port != fakes.forward_taken)
			continue;
		if (!mappings[i].host_port_last) {
			*ret_failure = (struct forward_failure){
				.index = i, .port = fakes.forward_taken, .error = -EADDRINUSE};
			memcpy(ret_failure->holder, fakes.forward_holder,
			       sizeof(fakes.forward_holder));
			return FORWARD_E_PORT;
		}
		mappings[i].host_port++;
	}
	for (size_t i = 0; i < n; i++) { /* the first of a range is free */
		if (mappings[i].same_port)
			mappings[i].host_port = mappings[i - 1].host_port;
		mappings[i].host_port_last = 0;
		mappings[i].same_port = false;
	}
	fakes_forget();
	(void)snprintf(fakes.forward_owner, sizeof(fakes.forward_owner), "%s", owner);
	fakes.forwarded = calloc(n, sizeof(*mappings));
	memcpy(fakes.forwarded, mappings, n * sizeof(*mappings));
	fakes.n_forwarded = n;
	return 0;
}

int forward_del(struct forward *forward UNUSED, const char *owner)
{
	fakes.forward_dels++;
	if (!str_eq(owner, fakes.forward_owner))
		return -ENOENT;
	fakes_forget();
	return 0;
}

int forward_list(struct forward *forward UNUSED, forward_owner_fn fn, void *user,
		 struct err *err UNUSED)
{
	if (fakes.n_forwarded)
		fn(fakes.forward_owner, fakes.forwarded, fakes.n_forwarded, user);
	return 0;
}

bool forward_host_has_ipv6(void)
{
	return !fakes.no_ipv6;
}
