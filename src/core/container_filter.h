/* SPDX-License-Identifier: Apache-2.0 */
/* container_filter.h - the filters of docker ps; inside core only */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct container;
struct containers;

/* What is looked up once per list, not per container. */
struct container_filter {
	const json_t *filters;	     /* borrowed, may be NULL */
	int64_t before_ns, since_ns; /* 0: not asked for */
	json_t *ancestors;	     /* owned: ids of the images, or NULL */
	bool all;		     /* the filters ask for containers that do not run */
};

int container_filter_init(struct container_filter *f, struct containers *cs, const json_t *filters,
			  struct err *err);
void container_filter_done(struct container_filter *f);
bool container_filter_match(const struct container_filter *f, struct container *c);
