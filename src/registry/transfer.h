/* SPDX-License-Identifier: Apache-2.0 */
/* transfer.h - one HTTP exchange on libcurl; for registry/ only */
#pragma once

#include "base/buf.h"
#include "registry/curl.h"
#include "registry/registry.h"

struct registry {
	const struct curl_api *curl;		/* constant */
	const struct registry_options *options; /* borrowed */
	char *domain, *path;			/* owned */
	const char *actions;			/* constant */
	char *also;				/* owned; may be NULL */
	struct registry_auth auth;		/* owned */
	struct cancel *cancel;			/* borrowed */
	struct registry_endpoints endpoints;
	size_t endpoint; /* in use, or being tried */
	bool settled;	 /* it has answered */
	struct registry_certs certs;
	int ca_fd;	     /* owned: what certs.d trusts, in memory */
	char *ca_path;	     /* owned: of ca_fd; NULL: the system's alone */
	char *authorization; /* owned: "Bearer x", NULL before a challenge */
	char *identity;	     /* owned: what a token service gave for the next time */
	CURLM *multi;
};

#define TRANSFER_HEADERS_MAX 65536 /* of one answer, bytes */

struct transfer {
	struct registry *rg; /* borrowed */
	CURL *easy;
	struct curl_slist *headers;
	char words[CURL_ERROR_SIZE]; /* libcurl's */
	size_t header_bytes;
	bool headed; /* the last block of headers has ended */
	struct registry_challenge challenge;
	struct registry_reply reply; /* status and headers; data by transfer_sink_reply() */
	unsigned int retry_after_s;
	uint64_t content_start; /* of a 206: first byte */
	struct buf body;
	/* Bytes of the answer's body; <0 with t->err ends it. */
	int (*sink)(struct transfer *t, const void *data, size_t len);
	void *user;
	int failure; /* what the sink or a limit said, negative errno */
	struct err err;
	const char *upload; /* borrowed: rest of what is to be sent */
	size_t upload_len;
	struct registry_file file; /* the same in a file, while len > 0 */
};

int transfer_init(struct transfer *t, struct registry *rg, struct err *err);
void transfer_done(struct transfer *t);
int transfer_begin(struct transfer *t, const char *method, const char *url);
int transfer_header(struct transfer *t, const char *fmt, ...) PRINTF(2, 3);
void transfer_body(struct transfer *t, const void *data, size_t len);
void transfer_file(struct transfer *t, const struct registry_file *file);
void transfer_follow(struct transfer *t);
void transfer_patience(struct transfer *t, unsigned int failed);
uint64_t registry_gain_min(const struct registry *rg);
int transfer_run(struct transfer *t, CURLcode *ret_code, struct err *err);
int transfer_fail(struct transfer *t, CURLcode code, const char *method, const char *url,
		  struct err *err);
CURLcode transfer_verdict(const struct transfer *t, CURLcode code);
bool transfer_is_passing(const struct transfer *t, CURLcode code);
int transfer_pause(struct registry *rg, unsigned int attempt, unsigned int retry_after_s,
		   struct err *err);

bool registry_is_own(const struct registry *rg, const char *url);
char *registry_url(const struct registry *rg, const char *path);
int registry_authorize(struct registry *rg, const struct registry_challenge *challenge,
		       struct err *err);
