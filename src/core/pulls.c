/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pulls.c - pulls under way, each shared by all who ask for the same
 *
 * DOC: Theory of operation
 *
 *	first client -> job with a thread of its own -> done
 *	further clients of the same name, platform and credentials -> the same job
 *
 * A job keeps, for each layer and state that progress speaks of, the last line and the number it
 * was told with; a client remembers the number it has come to and is sent what is newer, in the
 * order of its telling. So one that joins late sees each layer as it is, a slow one skips what is
 * overtaken, and no queue grows. The last client to leave gives the job up.
 *
 * Locking: ps->lock covers jobs and their lines; it is not held while a line is written.
 */
#include "core/pulls.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/cancel.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "core/core.h"
#include "core/images_impl.h"
#include "registry/registry.h"

#define PULL_LINES_MAX 4096 /* ids and single lines of one job */

struct pull_line {
	uint64_t number; /* of its telling */
	json_t *json;	 /* owned */
};

struct pull_job {
	struct pulls *ps;
	char *key, *ref, *platform; /* owned */
	struct registry_auth auth;
	struct cancel cancel;
	pthread_t thread;
	unsigned int clients, refs;
	struct pull_line *lines; /* owned */
	size_t n_lines;
	uint64_t numbers;
	bool done;
	int result;
	struct err err;
	struct pull_job *next, *prev;
};

struct pulls {
	struct core *core;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct pull_job *jobs; /* that can be joined */
	size_t n_threads;
	bool ending;
};

static void job_free(struct pull_job *job)
{
	for (size_t i = 0; i < job->n_lines; i++) {
		json_decref(job->lines[i].json);
	}
	free(job->lines);
	free(job->key);
	free(job->ref);
	free(job->platform);
	registry_auth_done(&job->auth);
	cancel_done(&job->cancel);
	free(job);
}

/* Under the lock. */
static void job_unref(struct pull_job *job)
{
	if (--job->refs == 0)
		job_free(job);
}

static int line_compare(const void *a, const void *b)
{
	const struct pull_line *const *x = a, *const *y = b;

	return (*x)->number < (*y)->number ? -1 : (*x)->number > (*y)->number;
}

static const char *line_text(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key)) ?: "";
}

/* The line of the same layer in the same state, which a new one replaces; NULL if there is none. */
static struct pull_line *job_find_line(struct pull_job *job, const json_t *json)
{
	const char *id = line_text(json, "id"), *status = line_text(json, "status");

	for (size_t i = 0; *id && i < job->n_lines; i++)
		if (str_eq(line_text(job->lines[i].json, "id"), id) &&
		    str_eq(line_text(job->lines[i].json, "status"), status))
			return &job->lines[i];
	return NULL;
}

static int job_add_line(struct pull_job *job, json_t *json)
{
	struct pull_line *line = job_find_line(job, json), *bigger;

	if (!line) {
		if (job->n_lines == PULL_LINES_MAX)
			return 0; /* of a repository with thousands of tags: the rest is not shown
				   */
		bigger = reallocarray(job->lines, job->n_lines + 1, sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		job->lines = bigger;
		line = &job->lines[job->n_lines];
		*line = (struct pull_line){};
		job->n_lines++;
	}
	json_decref(line->json);
	line->json = json_incref(json);
	line->number = ++job->numbers;
	return 0;
}

static int job_progress(void *user, json_t *line)
{
	struct pull_job *job = user;
	int r;

	pthread_mutex_lock(&job->ps->lock);
	r = job_add_line(job, line);
	pthread_cond_broadcast(&job->ps->changed);
	pthread_mutex_unlock(&job->ps->lock);
	return r;
}

static void job_pulled(void *user, const char *id UNUSED, const char *familiar)
{
	struct pull_job *job = user;
	struct core *core = job->ps->core;
	struct image *image = NULL;

	if (image_get(core->images, familiar, &image, NULL) == 0)
		images_tell(core, "pull", familiar, familiar, image->labels);
	image_free(image);
}

static void *job_main(void *user)
{
	struct pull_job *job = user;
	struct pulls *ps = job->ps;
	struct image_pull pull = {.registries = ps->core->config.registries,
				  .ref = job->ref,
				  .auth = &job->auth,
				  .platform = job->platform,
				  .cancel = &job->cancel,
				  .progress = job_progress,
				  .pulled = job_pulled,
				  .user = job};
	struct err err = {};
	int r = image_pull(ps->core->images, &pull, &err);

	pthread_mutex_lock(&ps->lock);
	job->done = true;
	job->result = r;
	job->err = err;
	DL_DELETE(ps->jobs, job);
	job_unref(job);
	ps->n_threads--;
	pthread_cond_broadcast(&ps->changed);
	pthread_mutex_unlock(&ps->lock);
	return NULL;
}

static char *job_key(const struct pull_request *request)
{
	const struct registry_auth *a = request->auth;
	char digest[DIGEST_BUF];
	_cleanup_free_ char *secret = NULL;

	/* another's credentials may be wrong, and ours must not be used for him */
	secret = a ? str_format("%s\n%s\n%s\n%s", a->username ?: "", a->password ?: "",
				a->identity_token ?: "", a->registry_token ?: "")
		   : strdup("");
	if (!secret)
		return NULL;
	sha256_digest_text(secret, strlen(secret), digest);
	explicit_bzero(secret, strlen(secret));
	return str_format("%s %s %s", request->ref, request->platform ?: "", digest);
}

static int job_fill(struct pull_job *job, const struct pull_request *request, char **key)
{
	job->key = TAKE_PTR(*key);
	job->ref = strdup(request->ref);
	job->platform = request->platform ? strdup(request->platform) : NULL;
	if (!job->ref || (request->platform && !job->platform))
		return -ENOMEM;
	return registry_auth_copy(request->auth, &job->auth);
}

/* A new job, joined by its first client; under the lock. */
static int job_begin(struct pulls *ps, const struct pull_request *request, char **key,
		     struct pull_job **ret, struct err *err)
{
	struct pull_job *job;
	pthread_attr_t attr;
	int r;

	if (ps->ending)
		return err_user(err, ERR_UNAVAILABLE, "the daemon is shutting down");
	if (ps->n_threads >= PULLS_MAX)
		return err_user(err, ERR_UNAVAILABLE, "more than %d pulls at a time", PULLS_MAX);
	job = calloc(1, sizeof(*job));
	if (!job)
		return err_oom(err);
	cancel_init(&job->cancel);
	job->ps = ps;
	r = job_fill(job, request, key);
	if (r == 0) {
		pthread_attr_init(&attr);
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		job->refs = 1; /* the thread's */
		r = -pthread_create(&job->thread, &attr, job_main, job);
		pthread_attr_destroy(&attr);
	}
	if (r < 0) {
		job_free(job);
		return err_sys(err, r, "cannot start a pull");
	}
	ps->n_threads++;
	DL_APPEND(ps->jobs, job);
	*ret = job;
	return 0;
}

static int job_join(struct pulls *ps, const struct pull_request *request, struct pull_job **ret,
		    struct err *err)
{
	_cleanup_free_ char *key = job_key(request);
	struct pull_job *job;
	int r = 0;

	if (!key)
		return err_oom(err);
	pthread_mutex_lock(&ps->lock);
	DL_FOREACH (ps->jobs, job)
		if (!cancel_fired(&job->cancel) && str_eq(job->key, key))
			break;
	if (!job)
		r = job_begin(ps, request, &key, &job, err);
	if (r == 0) {
		job->clients++;
		job->refs++;
		*ret = job;
	}
	pthread_mutex_unlock(&ps->lock);
	return r;
}

static void job_leave(struct pulls *ps, struct pull_job *job)
{
	pthread_mutex_lock(&ps->lock);
	if (--job->clients == 0 && !job->done)
		cancel_fire(&job->cancel);
	job_unref(job);
	pthread_mutex_unlock(&ps->lock);
}

/* What is newer than *number, in order, referenced; under the lock. */
static json_t *job_news(struct pull_job *job, uint64_t *number)
{
	struct pull_line **list = calloc(job->n_lines + 1, sizeof(*list));
	json_t *news = json_array();
	size_t n = 0;

	for (size_t i = 0; list && i < job->n_lines; i++)
		if (job->lines[i].number > *number)
			list[n++] = &job->lines[i];
	if (list)
		qsort(list, n, sizeof(*list), line_compare);
	for (size_t i = 0; i < n; i++)
		(void)json_array_append(news, list[i]->json); /* without memory: not shown */
	*number = job->numbers;
	free(list);
	return news;
}

/* One who waits; his cancel's lock is above ours. */
struct pull_client {
	struct pulls *ps;
	struct cancel_watch watch;
	bool gone; /* under ps->lock */
};

static void client_on_gone(void *user)
{
	struct pull_client *client = user;

	pthread_mutex_lock(&client->ps->lock);
	client->gone = true;
	pthread_cond_broadcast(&client->ps->changed);
	pthread_mutex_unlock(&client->ps->lock);
}

static int job_tell(const struct pull_request *request, json_t *news)
{
	json_t *line;
	size_t i;
	int r = 0;

	json_array_foreach (news, i, line) {
		if (r == 0)
			r = request->progress(request->user, line);
	}
	json_decref(news);
	return r;
}

static int job_follow(struct pull_client *client, struct pull_job *job,
		      const struct pull_request *request, struct err *err)
{
	struct pulls *ps = client->ps;
	bool done = false, gone = false;
	uint64_t number = 0;
	int r = 0;

	while (!done && r == 0) {
		json_t *news;

		pthread_mutex_lock(&ps->lock);
		while (!job->done && job->numbers == number && !client->gone)
			pthread_cond_wait(&ps->changed, &ps->lock);
		done = job->done;
		gone = client->gone;
		news = job_news(job, &number);
		pthread_mutex_unlock(&ps->lock);
		r = job_tell(request, news);
		if (r == 0 && !done && gone)
			r = -ECONNRESET;
	}
	if (r < 0)
		return err_sys(err, r, "the client has gone");
	if (job->result < 0 && err)
		*err = job->err;
	return job->result;
}

/**
 * pulls_pull() - Pull, or join those who do
 * @ps:	     Pulls
 * @request: What, as whom, and where progress goes
 * @err:     Filled on failure
 *
 * Return: 0 when the image is there, or negative errno
 */
int pulls_pull(struct pulls *ps, const struct pull_request *request, struct err *err)
{
	struct pull_client client = {.ps = ps};
	struct pull_job *job = NULL;
	int r = job_join(ps, request, &job, err);

	if (r < 0)
		return r;
	if (cancel_watch_add(request->gone, &client.watch, client_on_gone, &client))
		client_on_gone(&client);
	r = job_follow(&client, job, request, err);
	cancel_watch_remove(request->gone, &client.watch);
	job_leave(ps, job);
	return r;
}

/**
 * pulls_new() - No pull yet
 * @core: Managers
 * @ret:  pulls_free(); set on success
 * @err:  Filled on failure
 *
 * Return: 0 or -ENOMEM
 */
int pulls_new(struct core *core, struct pulls **ret, struct err *err)
{
	struct pulls *ps = calloc(1, sizeof(*ps));

	if (!ps)
		return err_oom(err);
	ps->core = core;
	pthread_mutex_init(&ps->lock, NULL);
	pthread_cond_init(&ps->changed, NULL);
	*ret = ps;
	return 0;
}

/**
 * pulls_free() - Give up what is under way, wait for it, and free
 * @ps: Pulls or NULL; no client is left
 */
void pulls_free(struct pulls *ps)
{
	struct pull_job *job;

	if (!ps)
		return;
	pthread_mutex_lock(&ps->lock);
	ps->ending = true;
	DL_FOREACH (ps->jobs, job)
		cancel_fire(&job->cancel);
	while (ps->n_threads > 0)
		pthread_cond_wait(&ps->changed, &ps->lock);
	pthread_mutex_unlock(&ps->lock);
	pthread_cond_destroy(&ps->changed);
	pthread_mutex_destroy(&ps->lock);
	free(ps);
}
