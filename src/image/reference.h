/* SPDX-License-Identifier: Apache-2.0 */
/* reference.h - image names: docker.io/library/busybox:latest@sha256:... and their familiar forms
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

#define REFERENCE_PATH_MAX 255 /* Docker's limit of a repository name */
#define REFERENCE_TAG_MAX 128
#define REFERENCE_TEXT_MAX 1024 /* all of it */

/* Zero-initialised is empty. */
struct reference {
	char *domain; /* owned: "docker.io", "localhost:5000" */
	char *path;   /* owned: "library/busybox" */
	char *tag;    /* owned; NULL if none was given */
	char *digest; /* owned: "sha256:..."; NULL if none was given */
};

/* Errors are ERR_INVALID in Docker's words. ret_ref: reference_done(), untouched on failure. */
int reference_parse(const char *text, struct reference *ret_ref, struct err *err);
void reference_done(struct reference *ref);

/* Heap texts; NULL if memory ran out. */
char *reference_name(const struct reference *ref);	/* docker.io/library/busybox */
char *reference_canonical(const struct reference *ref); /* name, :tag, @digest as given */
char *reference_familiar(const struct reference *ref);	/* the same, short: busybox:latest */
char *reference_familiar_name(const struct reference *ref);
char *reference_shorten(const char *canonical); /* of a canonical text we stored ourselves */

int reference_set_tag(struct reference *ref, const char *tag, struct err *err);
int reference_default_tag(struct reference *ref); /* "latest" unless it has a tag or a digest */
bool reference_tag_valid(const char *tag);

#define _cleanup_reference_ __attribute__((cleanup(reference_done)))
