/* SPDX-License-Identifier: Apache-2.0 */
/* container_events.c - what the event stream says of containers: labels, image, name, and more */
#include "core/container_live.h"
#include "core/containers.h"
#include "core/events.h"
#include "core/jsonx.h"

/**
 * container_event() - Publish an event of a container
 * @c:	    Container
 * @action: "start", "die" ...
 * @more:   Further attributes, reference stolen, or NULL
 */
void container_event(struct container *c, const char *action, json_t *more)
{
	_cleanup_json_ json_t *extra = more;
	json_t *attributes;
	char name[CONTAINER_NAME_MAX + 1];

	if (!c->cs->core->events)
		return;
	rank_lock(&c->lock);
	(void)snprintf(name, sizeof(name), "%s", c->name);
	attributes = json_copy(json_object_get(c->config, "Labels"));
	rank_unlock(&c->lock);
	if (!attributes)
		attributes = json_object();
	/* An event is told as well as memory allows. */
	(void)jx_set_str(attributes, "image", jx_str(c->config, "Image"));
	(void)jx_set_str(attributes, "name", name);
	if (extra)
		(void)json_object_update(attributes, extra);
	events_publish(c->cs->core->events, "container", action, c->id, attributes);
}

/**
 * container_publish() - Publish an event of a container known by its id; for exec
 * @cs:		     Manager
 * @id:		     Full id
 * @action:	     Event
 * @more_attributes: Reference stolen, may be NULL
 */
void container_publish(struct containers *cs, const char *id, const char *action,
		       json_t *more_attributes)
{
	_cleanup_container_ struct container *c = NULL;
	struct err err = {0};

	if (containers_find(cs, id, &c, &err) < 0) {
		json_decref(more_attributes);
		return; /* it was removed meanwhile */
	}
	container_event(c, action, more_attributes);
}
