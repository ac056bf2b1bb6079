/* SPDX-License-Identifier: Apache-2.0 */
/* streams.h - what attach, logs and exec share */
#pragma once

#include <stdbool.h>

#include "core/stdio.h"

struct http_req;

struct streams_hijack {
	struct http_req *req;	    /* borrowed */
	const char *content_type;   /* static */
	struct stdio_attach attach; /* its fd is set by streams_hijack() */
};

const char *streams_content_type(const struct http_req *req, bool mux);
const char *streams_hijack_type(struct http_req *req, bool mux);
void streams_hijack(void *user);
