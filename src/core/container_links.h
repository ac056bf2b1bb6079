/* SPDX-License-Identifier: Apache-2.0 */
/* container_links.h - links of old (--link), on the default bridge */
#pragma once

#include <jansson.h>

#include "base/err.h"

struct container;
struct containers;

/* target: NULL if it is gone; name: what it is called, or was. All borrowed. */
typedef int (*container_link_fn)(void *user, struct container *target, const char *name,
				 const char *alias);

int container_links_plan(struct container *c, struct err *err);
int container_links_each(struct container *c, container_link_fn fn, void *user);
json_t *container_links_shown(struct container *c, json_t *host_config);
void container_links_changed(struct containers *cs);
void container_links_note(struct container *c);
struct container *container_link_find(struct containers *cs, const char *ref);
void container_links_open(struct container *c); /* container_links_open.c */
int container_links_env(struct container *c, json_t **ret, struct err *err);
