/* SPDX-License-Identifier: Apache-2.0 */
/* guest.h - where the guest's kernel and initrd are */
#pragma once

#include "base/err.h"
#include "daemon/options.h"

int guest_find(struct options *opts, struct err *err);
