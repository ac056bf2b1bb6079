/* SPDX-License-Identifier: Apache-2.0 */
/* image_pull.h - from a registry into the store; what image_pull.c and pull_layers.c share */
#pragma once

#include "image/image_store.h"
#include "image/reference.h"
#include "registry/registry.h"

struct pull {
	struct image_store *is;	       /* borrowed */
	const struct image_pull *args; /* borrowed */
	struct registry *rg;	       /* owned */
	struct ingest *in;	       /* for image_write_end() */
	struct image_draft *draft;     /* owned */
	struct oci_manifest manifest;  /* borrows from manifest_doc */
	json_t *manifest_doc;	       /* owned */
	char top_digest[DIGEST_BUF];   /* what the name stands for: index or manifest */
	bool up_to_date;	       /* the name pointed at this image before */
};

int pull_say(struct pull *pull, const char *id, const char *status);
int pull_say_progress(struct pull *pull, const char *id, const char *status, uint64_t current,
		      uint64_t total);
/* Fetch and convert what is missing; draft->layers is complete afterwards. */
int pull_layers(struct pull *pull, struct err *err);
