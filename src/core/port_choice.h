/* SPDX-License-Identifier: Apache-2.0 */
/* port_choice.h - host ports that nobody asked for by number: which they became, and those again */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/forward.h"

struct port_plan;

json_t *port_choice_note(const struct port_plan *plan, const struct forward_mapping *published);
uint16_t port_choice_get(const struct port_plan *plan, const json_t *chosen, size_t index);
bool port_choice_forget(const struct port_plan *plan, json_t *chosen, size_t index);
void port_choice_apply(const struct port_plan *plan, const json_t *chosen,
		       struct forward_mapping *ret_mappings);
bool port_choice_fits(const struct port_plan *plan, const struct forward_mapping *asked,
		      const struct forward_mapping *published, size_t n);
