/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry.h - one conversation with a registry about one repository (OCI distribution-spec 1.1,
 * Docker Registry HTTP API V2); knows nothing of images
 *
 * Everything runs on the caller's thread. A conversation settles on the first address that answers
 * and stays there; it gets its tokens by itself, tries again what can be tried again, and ends
 * early when its cancel fires (-ECANCELED).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "registry/auth.h"
#include "registry/hosts.h"

struct cancel;
struct registry;

#define REGISTRY_DOWNLOADS 8
#define REGISTRY_UPLOADS 5
#define REGISTRY_ATTEMPTS 5
#define REGISTRY_SILENCE_S 60		 /* next to nothing came for so long: the attempt is over */
#define REGISTRY_SPEED_MIN 64		 /* bytes a second: less is next to nothing */
#define REGISTRY_DOCUMENT_MAX (4u << 20) /* a manifest, a token, an error; bytes */

struct registry_spec {
	const struct registry_options *options; /* borrowed */
	const char *domain, *path;		/* "docker.io", "library/busybox"; copied */
	const struct registry_auth *auth;	/* copied; NULL: nobody */
	const char *actions;			/* "pull", "pull,push"; NULL: to log in; constant */
	const char *also;			/* another repository to read from, or NULL */
	struct cancel *cancel;			/* borrowed; may be NULL */
};
int registry_open(const struct registry_spec *spec, struct registry **ret, struct err *err);
void registry_close(struct registry *rg);
/* The identity token that a token service gave at login (actions NULL), or NULL; borrowed. */
const char *registry_identity_token(const struct registry *rg);
const char *registry_base(const struct registry *rg); /* "" before anything answered */

struct registry_call {
	const char *method;
	/* "manifests/latest": below /v2/<name>/; "/v2/": below the address; or a whole URL */
	const char *path;
	const char *accept, *content_type; /* may be NULL */
	const void *body;
	size_t body_len;
	const struct registry_file *file; /* instead of body; sent once, without second attempts */
	unsigned int failed;		  /* attempts of the same kind before, see fetch.c */
};
/* A part of a file as a request's body. */
struct registry_file {
	int fd; /* borrowed; read with pread() */
	uint64_t at, len;
	void (*sent)(void *user, uint64_t bytes); /* so many more went out; may be NULL */
	void *user;
};
/* Zero-initialised is empty. */
struct registry_reply {
	long status;
	char type[256];	    /* Content-Type without parameters */
	char digest[128];   /* Docker-Content-Digest */
	char *location;	    /* owned: absolute; NULL if none */
	char *link;	    /* owned: Link as it came; NULL if none */
	uint64_t range_end; /* of an upload: Range: 0-N */
	char *data;	    /* owned: NUL-terminated */
	size_t len;
};
void registry_reply_done(struct registry_reply *reply);
/* Any status is a success. */
int registry_call(struct registry *rg, const struct registry_call *call,
		  struct registry_reply *ret_reply, struct err *err);
/* What a registry says of an error in its body, as dockerd prints it: "denied: no access". */
void registry_error_text(const struct registry_reply *reply, char *out, size_t size);
/* For a status that is no success: an error of the fitting kind. */
int registry_error(const struct registry *rg, const struct registry_call *call,
		   const struct registry_reply *reply, struct err *err);

/* One blob to fetch. */
struct registry_blob {
	const char *digest;
	uint64_t size;
	/* Bytes in order, each once. <0 with @err ends the fetch. */
	int (*data)(void *user, const void *data, size_t len, struct err *err);
	int (*done)(void *user, struct err *err); /* all of them were there */
	void *user;
	/* readable from tick(): */
	uint64_t received;
	bool begun, complete;
	unsigned int failures; /* attempts in a row that brought next to nothing */
};
/* Send a blob that the registry has not got: in one piece, resumed where it broke. location: of an
 * upload that was begun (POST blobs/uploads/ -> 202). */
int registry_upload(struct registry *rg, const char *digest, const char *location,
		    const struct registry_file *file, struct err *err);

/* All at once, as many at a time as the options say. tick: about ten times a second, and at the
 * end of each blob; <0 with @err ends the fetch. */
int registry_fetch(struct registry *rg, struct registry_blob *blobs, size_t n,
		   int (*tick)(void *user, struct err *err), void *user, struct err *err);

#define _cleanup_registry_reply_ __attribute__((cleanup(registry_reply_done)))
