/* SPDX-License-Identifier: Apache-2.0 */
/* absent.h - Docker's words for objects that Arca cannot have yet */
#pragma once

#include "api/router.h"
#include "base/err.h"

int absent_refuse(const struct api_route *route, const char *name, struct err *err);
