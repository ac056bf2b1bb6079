/* SPDX-License-Identifier: Apache-2.0 */
/* network.h - the underlay and the forwarder, as the daemon's start and end need them */
#pragma once

#include "base/err.h"
#include "vm/vm.h"

struct forward;
struct underlay;

int network_up(const char *exec_root, const char *forwarder, struct underlay **ret_underlay,
	       struct forward **ret_forward, struct err *err);
void network_down(struct underlay *underlay, struct forward *forward);
/* Network cards for VMs: taps of the underlay, which is borrowed */
struct vm_nics network_nics(struct underlay *underlay);
