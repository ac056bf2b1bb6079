/* SPDX-License-Identifier: Apache-2.0 */
/* oci.h - the JSON documents of images: index, manifest, config; checked, then plain structs */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/sha256.h"
#include "image/layer.h"

#define OCI_MANIFEST_BYTES_MAX (4u << 20)
#define OCI_CONFIG_BYTES_MAX (8u << 20)
#define OCI_INDEX_ENTRIES_MAX 1024

#define OCI_TYPE_INDEX "application/vnd.oci.image.index.v1+json"
#define OCI_TYPE_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_TYPE_CONFIG "application/vnd.oci.image.config.v1+json"
#define OCI_TYPE_LAYER "application/vnd.oci.image.layer.v1.tar"
#define OCI_TYPE_NONDISTRIBUTABLE "application/vnd.oci.image.layer.nondistributable.v1.tar"
#define DOCKER_TYPE_LAYER "application/vnd.docker.image.rootfs.diff.tar"
#define DOCKER_TYPE_LIST "application/vnd.docker.distribution.manifest.list.v2+json"
#define DOCKER_TYPE_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_TYPE_CONFIG "application/vnd.docker.container.image.v1+json"

struct oci_desc {
	char digest[DIGEST_BUF];
	uint64_t size;
	const char *media_type;		      /* borrowed: from the document; "" if absent */
	const json_t *platform, *annotations; /* borrowed: objects or NULL */
};

struct oci_manifest {
	struct oci_desc config;
	struct oci_desc layers[LAYERS_PER_IMAGE_MAX];
	size_t layers_n;
};

struct oci_config {
	const char *architecture, *os, *variant, *author, *comment; /* borrowed; "" if absent */
	int64_t created_ns;					    /* 0 if absent */
	const char *diff_ids[LAYERS_PER_IMAGE_MAX];		    /* borrowed */
	size_t diff_ids_n;
	const json_t *labels; /* borrowed: object or NULL */
};

/* Text to JSON: an object or array, no duplicate keys, bounded depth. what names it in errors. */
int oci_parse(const char *data, size_t len, const char *what, json_t **ret, struct err *err);

/* The structs borrow from doc. Errors are ERR_INVALID. */
int oci_manifest_read(const json_t *doc, struct oci_manifest *ret, struct err *err);
int oci_config_read(const json_t *doc, struct oci_config *ret, struct err *err);
/* Entries of an index or manifest list: array of descriptors, heap. */
int oci_index_read(const json_t *doc, struct oci_desc **ret, size_t *ret_n, struct err *err);

bool oci_type_is_index(const char *media_type);
bool oci_type_is_manifest(const char *media_type);
/* One of the layer types we read, as a constant text; NULL if it is none. */
const char *oci_layer_type(const char *media_type);
/* The type of the same layer as gzip, as a constant text. */
const char *oci_layer_type_gzip(const char *media_type);
/* This host's name in platform.architecture: "amd64", "arm64" */
const char *oci_host_architecture(void);
/* How well a platform object fits: 0 not at all. wanted: "os/arch[/variant]" or NULL for the host
 */
int oci_platform_score(const json_t *platform, const char *wanted);
