/* SPDX-License-Identifier: Apache-2.0 */
/*
 * push_layers.c - the blobs of an image to a registry
 *
 * DOC: Theory of operation
 *
 *	is it there? -> begin an upload, or mount from another repository -> send
 *
 * A layer that lies uncompressed is compressed before the first step, or, where it is known what
 * it became the last time, before the last one (push_gzip.c).
 *
 * A few threads, each with a conversation of its own, take one layer after the other, the topmost
 * first as dockerd does. The first failure stops the others at their next step, or in the middle of
 * compressing. Progress is told under a lock, for each layer at most ten times a second.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/str.h"
#include "image/image_push.h"

#define PUSH_THREADS_MAX 16
#define PUSH_TELL_NS (100 * NSEC_PER_MSEC)
#define PUSH_ID_LEN 12

struct push_work {
	struct push *push;
	size_t first[LAYERS_PER_IMAGE_MAX]; /* of those with the same blob */
	pthread_mutex_t lock;		    /* guards what follows, and progress */
	size_t next;
	int result;
	struct err err;
};

/* Progress of one blob. */
struct push_sent {
	const struct push *push;
	const char *shown;
	uint64_t sent, total;
	int64_t told_ns;
};

static void push_on_sent(void *user, uint64_t bytes)
{
	struct push_sent *ps = user;
	int64_t now_ns = clock_monotonic_ns();

	ps->sent += bytes;
	if (!ps->shown || now_ns - ps->told_ns < PUSH_TELL_NS)
		return;
	ps->told_ns = now_ns;
	/* a client that left is noticed by the cancel */
	(void)image_say_progress(&ps->push->say, ps->shown, "Pushing", MIN(ps->sent, ps->total),
				 ps->total);
}

static int push_say(const struct push *push, const char *shown, const char *status)
{
	return shown ? image_say(&push->say, shown, status) : 0;
}

/* 1: it is there already */
static int push_is_there(struct registry *rg, const struct oci_desc *desc, struct err *err)
{
	_cleanup_registry_reply_ struct registry_reply reply = {};
	_cleanup_free_ char *path = str_format("blobs/%s", desc->digest);
	struct registry_call call = {.method = "HEAD", .path = path};
	int r = path ? registry_call(rg, &call, &reply, err) : err_oom(err);

	if (r < 0)
		return r;
	if (reply.status == 200)
		return 1;
	return reply.status == 404 ? 0 : registry_error(rg, &call, &reply, err);
}

/* 1: mounted, 0: an upload was begun */
static int push_begin(const struct push *push, struct registry *rg, const struct oci_desc *desc,
		      char **ret_location, struct err *err)
{
	_cleanup_registry_reply_ struct registry_reply reply = {};
	_cleanup_free_ char *path =
		push->from ? str_format("blobs/uploads/?mount=%s&from=%s", desc->digest, push->from)
			   : strdup("blobs/uploads/");
	struct registry_call call = {.method = "POST", .path = path};
	int r = path ? registry_call(rg, &call, &reply, err) : err_oom(err);

	if (r < 0)
		return r;
	if (reply.status == 201 && push->from)
		return 1;
	if (reply.status != 202)
		return registry_error(rg, &call, &reply, err);
	if (!reply.location)
		return err_user(err, ERR_INTERNAL,
				"the registry does not say where to send the layer");
	*ret_location = TAKE_PTR(reply.location);
	return 0;
}

static int push_send(struct push *push, struct registry *rg, struct push_file *file,
		     const char *location, struct err *err)
{
	_cleanup_free_ char *path = image_blob_path(push->is, file->desc.digest);
	uint64_t size = file->desc.size;
	struct push_sent sent = {.push = push, .shown = file->shown, .total = size};
	struct registry_file body = {.len = size, .sent = push_on_sent, .user = &sent};
	int r;

	if (!path)
		return err_oom(err);
	if (file->fd < 0)
		file->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (file->fd < 0)
		return err_sys(err, -errno, "cannot read %s", path);
	body.fd = file->fd;
	r = registry_upload(rg, file->desc.digest, location, &body, err);
	if (r == 0 && file->shown)
		r = image_say_progress(&push->say, file->shown, "Pushing", size, size);
	return r < 0 ? r : push_say(push, file->shown, "Pushed");
}

/**
 * push_blob() - A blob to the registry, unless it is there
 * @push: Push
 * @rg:	  Conversation that may push
 * @file: Blob; of a layer that is compressed for it, @file->desc says afterwards what it became
 * @err:  Filled on failure
 *
 * Return: 0 or negative errno
 */
int push_blob(struct push *push, struct registry *rg, struct push_file *file, struct err *err)
{
	_cleanup_free_ char *location = NULL, *mounted = NULL;
	int r = push_is_there(rg, &file->desc, err);

	if (r < 0)
		return r;
	if (r > 0)
		return push_say(push, file->shown, "Layer already exists");
	r = push_begin(push, rg, &file->desc, &location, err);
	if (r < 0)
		return r;
	if (r == 0 && file->plain && file->fd < 0)
		r = push_gzip_make(push, file, err);
	if (location)
		return r < 0 ? r : push_send(push, rg, file, location, err);
	mounted = str_format("Mounted from %s", push->from);
	return mounted ? push_say(push, file->shown, mounted) : err_oom(err);
}

/**
 * push_open() - A conversation that may push
 * @push: Push
 * @ret:  registry_close(); set on success
 * @err:  Filled on failure
 *
 * Return: 0 or negative errno
 */
int push_open(const struct push *push, struct registry **ret, struct err *err)
{
	struct registry_spec spec = {.options = push->args->registries,
				     .domain = push->ref->domain,
				     .path = push->ref->path,
				     .auth = push->args->auth,
				     .actions = "pull,push",
				     .also = push->from,
				     .cancel = push->args->cancel};

	return registry_open(&spec, ret, err);
}

static void push_shown(const struct push *push, size_t i, char out[static PUSH_ID_LEN + 1])
{
	(void)snprintf(out, PUSH_ID_LEN + 1, "%s", digest_hex(push->diff_ids[i])); /* cut to show */
}

/* Where a layer with the same blob stands first; layers of a work that has not begun. */
static size_t push_first(const struct push *push, size_t i)
{
	size_t k = 0;

	while (!str_eq(push->manifest.layers[k].digest, push->manifest.layers[i].digest))
		k++;
	return k;
}

/* Nobody else has layer i. */
static int push_layer(struct push *push, struct registry *rg, size_t i, struct err *err)
{
	char shown[PUSH_ID_LEN + 1];
	struct push_file file = {.desc = push->manifest.layers[i], .shown = shown, .fd = -EBADF};
	int r;

	push_shown(push, i, shown);
	r = push_gzip_plan(push, i, &file, err);
	if (r == 0)
		r = push_blob(push, rg, &file, err);
	cleanup_close(&file.fd);
	push->manifest.layers[i] = file.desc;
	return r;
}

static void *push_thread(void *user)
{
	struct push_work *work = user;
	struct push *push = work->push;
	struct registry *rg = NULL;
	struct err err = {};
	int r = push_open(push, &rg, &err);

	pthread_mutex_lock(&work->lock);
	while (r == 0 && work->result == 0 && work->next < push->manifest.layers_n) {
		size_t i = push->manifest.layers_n - ++work->next; /* topmost first */

		pthread_mutex_unlock(&work->lock);
		if (work->first[i] == i)
			r = push_layer(push, rg, i, &err);
		pthread_mutex_lock(&work->lock);
	}
	push->failed |= r < 0;
	if (r < 0 && work->result == 0) {
		work->result = r;
		work->err = err;
	}
	pthread_mutex_unlock(&work->lock);
	registry_close(rg);
	return NULL;
}

static int push_announce(struct push *push, size_t at_once)
{
	char shown[PUSH_ID_LEN + 1];
	int r = 0;

	for (size_t i = push->manifest.layers_n; i > 0 && r == 0; i--) {
		push_shown(push, i - 1, shown);
		r = image_say(&push->say, shown, "Preparing");
	}
	for (size_t i = push->manifest.layers_n; i > at_once && r == 0; i--) {
		push_shown(push, i - 1 - at_once, shown);
		r = image_say(&push->say, shown, "Waiting");
	}
	return r;
}

/**
 * push_layers() - All layers of an image
 * @push: With manifest and diff ids; layers that are sent as gzip are changed to it
 * @err:  Of the first that failed
 *
 * Return: 0 or negative errno
 */
int push_layers(struct push *push, struct err *err)
{
	struct push_work work = {.push = push, .lock = PTHREAD_MUTEX_INITIALIZER};
	size_t at_once = push->args->registries->max_uploads ?: REGISTRY_UPLOADS, n = 0;
	pthread_t threads[PUSH_THREADS_MAX];
	int r = push_announce(push, at_once);

	if (r < 0)
		return r;
	for (size_t i = 0; i < push->manifest.layers_n; i++)
		work.first[i] = push_first(push, i);
	at_once = MIN(MIN(at_once, push->manifest.layers_n), (size_t)PUSH_THREADS_MAX);
	while (n < at_once && pthread_create(&threads[n], NULL, push_thread, &work) == 0)
		n++;
	if (n == 0 && at_once > 0)
		return err_sys(err, -EAGAIN, "cannot start a thread");
	while (n > 0)
		(void)pthread_join(threads[--n], NULL); /* it exists and is not us */
	for (size_t i = 0; i < push->manifest.layers_n; i++)
		push->manifest.layers[i] = push->manifest.layers[work.first[i]];
	if (work.result < 0 && err)
		*err = work.err;
	return work.result;
}
