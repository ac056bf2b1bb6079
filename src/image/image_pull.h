/* SPDX-License-Identifier: Apache-2.0 */
/* image_pull.h - from a registry into the store; what image_pull.c and pull_layers.c share */
#pragma once

#include "image/image_say.h"
#include "image/image_store.h"
#include "image/reference.h"
#include "registry/registry.h"

struct pull {
	struct image_store *is;	       /* borrowed */
	const struct image_pull *args; /* borrowed */
	struct image_say say;
	struct registry *rg;	      /* owned */
	struct image_job *job;	      /* for image_job_end() */
	struct ingest *in;	      /* borrowed: of job */
	struct image_draft *draft;    /* owned */
	struct oci_manifest manifest; /* borrows from manifest_doc */
	json_t *manifest_doc;	      /* owned */
	json_t *list_doc;	      /* owned: the list that led to it, until the draft has it */
	struct registry_reply list_reply; /* owned: of list_doc */
	const char *list_type;		  /* constant */
	char top_digest[DIGEST_BUF];	  /* what the name stands for: index or manifest */
	bool up_to_date;		  /* the name pointed at this image before */
};

#define PULL_ACCEPT                                                                                \
	OCI_TYPE_INDEX ", " OCI_TYPE_MANIFEST ", " DOCKER_TYPE_LIST ", " DOCKER_TYPE_MANIFEST      \
		       ", application/json"
/* An answer that is no manifest, in dockerd's words around the registry's. */
int pull_explain(const struct registry *rg, const struct registry_call *call,
		 const struct registry_reply *reply, const struct reference *ref, struct err *err);
/* The media type of a document: what it says itself, else what it came as, else what it looks like
 */
const char *pull_type(const struct registry_reply *reply, const json_t *doc);

/* Fetch and convert what is missing; draft->layers is complete afterwards. */
int pull_layers(struct pull *pull, struct err *err);
