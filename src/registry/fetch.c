/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch.c - blobs, several at a time, each byte once
 *
 * DOC: Theory of operation
 *
 *	WAITING -> ACTIVE -> complete
 *		<- broken: again after a pause, from where it broke
 *
 * One thread, one libcurl multi. A transfer that breaks is begun again with a Range; a registry
 * that has none sends all of it again, and what is known is skipped. Whether the bytes are the
 * right ones is their receiver's business: he sees each once, in order, and never more than the
 * promised number.
 *
 * An attempt counts as failed when it brought fewer bytes than the slowest transfer that is let
 * pass (registry_gain_min()): a registry that drips, or breaks off after each byte, has no more
 * attempts than one that says nothing.
 *
 * Limits: the options' downloads at a time; attempts in a row that failed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "registry/transfer.h"

#define FETCH_SLOTS_MAX 32
#define FETCH_TICK_MS 100
#define FETCH_PAUSE_MS 250
#define FETCH_ERROR_BODY_MAX 65536

struct fetch_slot {
	struct transfer t;
	struct fetch *fetch;	    /* borrowed */
	struct registry_blob *blob; /* borrowed; NULL: free */
	uint64_t skip;		    /* bytes of the answer that are known already */
	uint64_t from;		    /* bytes of the blob that were there when it began */
	bool answered;		    /* the first byte of a body was seen */
};

struct fetch {
	struct registry *rg;
	struct registry_blob *blobs;
	size_t n;
	int64_t *due_ns; /* owned: not before; one a blob */
	bool *whole;	 /* owned: the registry cannot do ranges */
	struct fetch_slot slots[FETCH_SLOTS_MAX];
	size_t n_slots, n_complete;
	unsigned int refused; /* 401s in a row */
};

static void fetch_done(struct fetch *f)
{
	for (size_t i = 0; i < f->n_slots; i++)
		transfer_done(&f->slots[i].t);
	free(f->due_ns);
	free(f->whole);
}

static int fetch_init(struct fetch *f, struct registry *rg, struct registry_blob *blobs, size_t n,
		      struct err *err)
{
	unsigned int at_once = rg->options->max_downloads ?: REGISTRY_DOWNLOADS;

	f->rg = rg;
	f->blobs = blobs;
	f->n = n;
	f->due_ns = calloc(n + 1, sizeof(*f->due_ns));
	f->whole = calloc(n + 1, sizeof(*f->whole));
	if (!f->due_ns || !f->whole)
		return err_oom(err);
	while (f->n_slots < MIN(MIN(n, (size_t)at_once), (size_t)FETCH_SLOTS_MAX)) {
		int r = transfer_init(&f->slots[f->n_slots].t, rg, err);

		if (r < 0)
			return r;
		f->slots[f->n_slots++].fetch = f;
	}
	return 0;
}

/* Headers are in: what part of the blob is this? */
static int fetch_first_byte(struct fetch_slot *slot)
{
	struct registry_blob *blob = slot->blob;
	struct transfer *t = &slot->t;

	slot->answered = true;
	if (t->reply.status == 200)
		slot->skip = blob->received;
	else if (t->reply.status == 206 && t->content_start != blob->received)
		return err_user(&t->err, ERR_INVALID,
				"the registry answers with another range of %s than was asked for",
				blob->digest);
	return 0;
}

static int fetch_sink(struct transfer *t, const void *data, size_t len)
{
	struct fetch_slot *slot = t->user;
	struct registry_blob *blob = slot->blob;
	size_t skip;
	int r = 0;

	if (t->reply.status != 200 && t->reply.status != 206) {
		if (t->body.len + len <= FETCH_ERROR_BODY_MAX)
			buf_add(&t->body, data, len);
		return t->body.failed ? -ENOMEM : 0;
	}
	if (!slot->answered)
		r = fetch_first_byte(slot);
	if (r < 0)
		return r;
	skip = MIN(slot->skip, (uint64_t)len);
	slot->skip -= skip;
	len -= skip;
	if (len == 0)
		return 0;
	if (len > blob->size - blob->received)
		return err_user(&t->err, ERR_INVALID,
				"invalid size of %s: the registry sends more than the %llu bytes "
				"that its manifest promises",
				blob->digest, (unsigned long long)blob->size);
	blob->received += len;
	return blob->data(blob->user, (const char *)data + skip, len, &t->err);
}

static int fetch_start(struct fetch_slot *slot, struct registry_blob *blob, struct err *err)
{
	struct registry *rg = slot->fetch->rg;
	_cleanup_free_ char *path = str_format("blobs/%s", blob->digest), *url = NULL;
	int r;

	url = path ? registry_url(rg, path) : NULL;
	if (!url)
		return err_oom(err);
	slot->t.sink = fetch_sink;
	slot->t.user = slot;
	slot->blob = blob;
	slot->skip = 0;
	slot->from = blob->received;
	slot->answered = false;
	r = transfer_begin(&slot->t, "GET", url);
	transfer_follow(&slot->t);
	transfer_patience(&slot->t, blob->failures);
	if (rg->authorization)
		r |= transfer_header(&slot->t, "Authorization: %s", rg->authorization);
	if (blob->received > 0 && !slot->fetch->whole[blob - slot->fetch->blobs])
		r |= transfer_header(&slot->t, "Range: bytes=%llu-",
				     (unsigned long long)blob->received);
	blob->begun = true;
	if (r < 0 || rg->curl->multi_add_handle(rg->multi, slot->t.easy) != CURLM_OK)
		return err_oom(err);
	return 0;
}

static bool fetch_is_active(const struct fetch *f, const struct registry_blob *blob)
{
	for (size_t i = 0; i < f->n_slots; i++)
		if (f->slots[i].blob == blob)
			return true;
	return false;
}

static struct registry_blob *fetch_next(struct fetch *f)
{
	int64_t now_ns = clock_monotonic_ns();

	for (size_t i = 0; i < f->n; i++)
		if (!f->blobs[i].complete && f->due_ns[i] <= now_ns &&
		    !fetch_is_active(f, &f->blobs[i]))
			return &f->blobs[i];
	return NULL;
}

static int fetch_fill(struct fetch *f, struct err *err)
{
	for (size_t i = 0; i < f->n_slots; i++) {
		struct registry_blob *blob = f->slots[i].blob ? NULL : fetch_next(f);
		int r = blob ? fetch_start(&f->slots[i], blob, err) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static int fetch_give_up(struct fetch_slot *slot, struct registry_blob *blob, CURLcode code,
			 struct err *err)
{
	_cleanup_free_ char *path = str_format("blobs/%s", blob->digest), *url = NULL;
	struct registry_call call = {.method = "GET", .path = path ?: ""};
	struct transfer *t = &slot->t;

	url = registry_url(t->rg, call.path);
	if (code != CURLE_OK || t->failure < 0)
		return transfer_fail(t, code, "GET", url ?: "", err);
	if (t->reply.status == 200 || t->reply.status == 206)
		return err_user(err, ERR_INTERNAL, "Get \"%s\": unexpected EOF", url ?: "");
	t->reply.len = t->body.len;
	t->reply.data = buf_steal(&t->body);
	return registry_error(t->rg, &call, &t->reply, err);
}

/* It broke: begin again later, unless that has been tried often enough. */
static int fetch_again(struct fetch_slot *slot, struct registry_blob *blob, CURLcode code,
		       struct err *err)
{
	struct fetch *f = slot->fetch;
	unsigned int attempts = f->rg->options->attempts ?: REGISTRY_ATTEMPTS;
	int64_t pause_ms;

	if (blob->received - slot->from >= registry_gain_min(f->rg))
		blob->failures = 0;
	if (++blob->failures >= attempts)
		return fetch_give_up(slot, blob, code, err);
	pause_ms = MAX((int64_t)FETCH_PAUSE_MS << MIN(blob->failures - 1, 5u),
		       (int64_t)slot->t.retry_after_s * 1000);
	f->due_ns[blob - f->blobs] = clock_monotonic_ns() + pause_ms * NSEC_PER_MSEC;
	log_debug("registry: %.19s broke off at %llu of %llu bytes", blob->digest,
		  (unsigned long long)blob->received, (unsigned long long)blob->size);
	return 0;
}

static int fetch_ended(struct fetch_slot *slot, CURLcode code, struct err *err)
{
	struct registry_blob *blob = slot->blob;
	struct fetch *f = slot->fetch;
	struct transfer *t = &slot->t;
	bool good = code == CURLE_OK && (t->reply.status == 200 || t->reply.status == 206);

	slot->blob = NULL;
	if (good)
		f->refused = 0;
	if (good && blob->received == blob->size) {
		blob->complete = true;
		f->n_complete++;
		return blob->done(blob->user, err);
	}
	if (code == CURLE_OK && t->reply.status == 401 && f->refused++ < 2 &&
	    t->challenge.scheme != REGISTRY_SCHEME_NONE)
		return registry_authorize(f->rg, &t->challenge, err);
	if (code == CURLE_OK && t->reply.status == 416 && !f->whole[blob - f->blobs]) {
		f->whole[blob - f->blobs] = true;
		return 0;
	}
	if (good || transfer_is_passing(t, code))
		return fetch_again(slot, blob, code, err);
	return fetch_give_up(slot, blob, code, err);
}

static int fetch_collect(struct fetch *f, bool *ret_ended, struct err *err)
{
	const struct curl_api *curl = f->rg->curl;
	CURLMsg *message;
	int left, r = 0;

	while (r == 0 && (message = curl->multi_info_read(f->rg->multi, &left))) {
		CURLcode code = message->data.result;
		struct transfer *t = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		(void)curl->easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t); /* set */
		(void)curl->multi_remove_handle(f->rg->multi, t->easy);		      /* in it */
		*ret_ended = true;
		r = fetch_ended(t->user, transfer_verdict(t, code), err);
	}
	return r;
}

static int fetch_run(struct fetch *f, int (*tick)(void *user, struct err *err), void *user,
		     struct err *err)
{
	int64_t next_tick_ns = 0;
	int running, r = 0;

	while (r == 0 && f->n_complete < f->n) {
		bool ended = false;

		if (cancel_fired(f->rg->cancel))
			return err_sys(err, -ECANCELED, "the transfer was given up");
		r = fetch_fill(f, err);
		if (r < 0)
			return r;
		(void)f->rg->curl->multi_perform(f->rg->multi, &running); /* messages tell */
		r = fetch_collect(f, &ended, err);
		if (r == 0 && (ended || clock_monotonic_ns() >= next_tick_ns)) {
			next_tick_ns = clock_monotonic_ns() + FETCH_TICK_MS * NSEC_PER_MSEC;
			r = tick ? tick(user, err) : 0;
		}
		if (r == 0 && !ended)
			(void)f->rg->curl->multi_poll(f->rg->multi, NULL, 0, FETCH_TICK_MS, NULL);
	}
	return r;
}

/**
 * registry_fetch() - Fetch blobs
 * @rg:    Conversation that has settled
 * @blobs: What to fetch and who receives it
 * @n:     How many
 * @tick:  Told of progress, on this thread; may be NULL
 * @user:  Its argument
 * @err:   Filled on failure
 *
 * Return: 0 when all are complete, -ECANCELED, or negative errno at the first that cannot be had
 */
int registry_fetch(struct registry *rg, struct registry_blob *blobs, size_t n,
		   int (*tick)(void *user, struct err *err), void *user, struct err *err)
{
	_cleanup_(fetch_done) struct fetch f = {};
	int r = fetch_init(&f, rg, blobs, n, err);

	return r < 0 ? r : fetch_run(&f, tick, user, err);
}
