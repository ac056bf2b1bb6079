/* SPDX-License-Identifier: Apache-2.0 */
/* image_load.h - what the two forms of archives share (image_load.c, load_docker.c, load_oci.c) */
#pragma once

#include "image/image_archive.h"
#include "image/image_store.h"

struct load {
	struct image_store *is;	       /* borrowed */
	const struct image_load *args; /* borrowed */
	struct image_job *job;	       /* for image_job_end() */
	struct ingest *in;	       /* borrowed: of job */
	struct image_archive *archive;
	struct image_draft *drafts;
	struct image_draft *others; /* what index.json says, for load_oci_adopt() */
	bool others_read;
	uint64_t documents; /* bytes read of them, see load_count() */
};

/* Fill ld->drafts, blobs of layers set. */
int load_docker(struct load *ld, const struct ingest_blob *manifest,
		const struct ingest_blob *index, struct err *err);
bool load_oci_has_lists(struct load *ld, const struct ingest_blob *index);
int load_oci(struct load *ld, const struct ingest_blob *index, struct err *err);
/* Keep the manifest in an OCI index that says the same as the draft, if there is one. */
void load_oci_adopt(struct load *ld, const struct ingest_blob *index, struct image_draft *draft);

/* A document is about to be read: ERR_INVALID where they become too much. */
int load_count(struct load *ld, const struct ingest_blob *blob, struct err *err);
int load_json(struct load *ld, const struct ingest_blob *blob, size_t max, const char *what,
	      json_t **ret, struct err *err);
int load_add_name(struct image_draft *draft, const char *name, struct err *err);
int load_add_draft(struct load *ld, struct image_draft *draft);
