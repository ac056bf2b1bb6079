/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upload.c - a blob to a registry (distribution-spec 1.1, Pushing a blob in chunks)
 *
 *	PATCH the rest -> 202	the location for what follows
 *	broken		GET the location -> Range: 0-N, and on from there
 *	PUT ?digest=	-> 201
 *
 * One PATCH carries all of it where nothing breaks.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "registry/transfer.h"

struct upload {
	struct registry *rg;
	char *location; /* owned */
	uint64_t sent;	/* bytes that the registry has */
};

static int upload_move(struct upload *up, struct registry_reply *reply, struct err *err)
{
	if (!reply->location)
		return 0;
	free(up->location);
	up->location = TAKE_PTR(reply->location);
	return up->location ? 0 : err_oom(err);
}

/* Where did it break off? */
static int upload_ask(struct upload *up, struct err *err)
{
	_cleanup_registry_reply_ struct registry_reply reply = {};
	struct registry_call call = {.method = "GET", .path = up->location};
	int r = registry_call(up->rg, &call, &reply, err);

	if (r < 0)
		return r;
	if (reply.status != 204)
		return registry_error(up->rg, &call, &reply, err);
	up->sent = reply.range_end ? reply.range_end + 1 : 0;
	return upload_move(up, &reply, err);
}

/* Return: 0 when all is there, -EAGAIN when it broke, another negative errno when it cannot be */
static int upload_patch(struct upload *up, const struct registry_file *file, unsigned int failed,
			struct err *err)
{
	_cleanup_registry_reply_ struct registry_reply reply = {};
	struct registry_file rest = *file;
	struct registry_call call = {.method = "PATCH",
				     .path = up->location,
				     .content_type = "application/octet-stream",
				     .file = &rest,
				     .failed = failed};
	int r;

	rest.at += up->sent;
	rest.len -= up->sent;
	r = registry_call(up->rg, &call, &reply, err);
	if (r == -ECANCELED || r == -ENOMEM)
		return r;
	if (r < 0 || reply.status >= 500 || reply.status == 429 || reply.status == 416)
		return r < 0 ? -EAGAIN : (registry_error(up->rg, &call, &reply, err), -EAGAIN);
	if (reply.status < 200 || reply.status > 299)
		return registry_error(up->rg, &call, &reply, err);
	up->sent = file->len;
	return upload_move(up, &reply, err);
}

static int upload_finish(struct upload *up, const char *digest, struct err *err)
{
	_cleanup_free_ char *url = str_format("%s%sdigest=%s", up->location,
					      strchr(up->location, '?') ? "&" : "?", digest);
	_cleanup_registry_reply_ struct registry_reply reply = {};
	struct registry_call call = {.method = "PUT", .path = url};
	int r;

	if (!url)
		return err_oom(err);
	r = registry_call(up->rg, &call, &reply, err);
	if (r == 0 && reply.status != 201)
		r = registry_error(up->rg, &call, &reply, err);
	return r;
}

/**
 * registry_upload() - Send a blob
 * @rg:	      Conversation that may push
 * @digest:   Of the bytes
 * @location: Of an upload that was begun
 * @file:     The bytes
 * @err:      Filled on failure
 *
 * Return: 0, -ECANCELED, or another negative errno
 */
int registry_upload(struct registry *rg, const char *digest, const char *location,
		    const struct registry_file *file, struct err *err)
{
	unsigned int attempts = rg->options->attempts ?: REGISTRY_ATTEMPTS, failed = 0;
	struct upload up = {.rg = rg, .location = strdup(location)};
	int r = up.location ? 0 : err_oom(err);

	while (r == 0 && up.sent < file->len) {
		uint64_t before = up.sent;

		r = upload_patch(&up, file, failed, err);
		if (r != -EAGAIN || ++failed >= attempts)
			continue; /* all there, or an end */
		log_debug("registry: the upload of %.19s broke off, attempt %u", digest, failed);
		r = transfer_pause(rg, failed, 0, err);
		if (r == 0)
			r = upload_ask(&up, err);
		if (r == 0 && up.sent > file->len)
			r = err_user(err, ERR_INTERNAL, "the registry has more of %s than was sent",
				     digest);
		if (up.sent >= before + registry_gain_min(rg))
			failed = 0;
	}
	if (r == 0)
		r = upload_finish(&up, digest, err);
	free(up.location);
	return r;
}
