/* SPDX-License-Identifier: Apache-2.0 */
/* pulls.h - pulls under way, each shared by all who ask for the same */
#pragma once

#include "base/err.h"
#include "image/image.h"

struct cancel;
struct core;
struct pulls;
struct registry_auth;

#define PULLS_MAX 256 /* under way at a time */

int pulls_new(struct core *core, struct pulls **ret, struct err *err);
void pulls_free(struct pulls *ps); /* gives up what is under way */

struct pull_request {
	const char *ref; /* name[:tag][@digest]; neither: all tags */
	const char *platform;
	const struct registry_auth *auth;
	struct cancel *gone; /* the client left */
	/* lines of progress; <0 when the client has gone */
	int (*progress)(void *user, json_t *line /* borrowed */);
	void *user;
};
/* Blocks until the image is there. A client that leaves ends the pull when it is the last. */
int pulls_pull(struct pulls *ps, const struct pull_request *request, struct err *err);
