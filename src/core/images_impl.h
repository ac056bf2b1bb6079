/* SPDX-License-Identifier: Apache-2.0 */
/* images_impl.h - what images.c, images_remove.c and images_list.c share */
#pragma once

#include "core/images.h"

void images_tell(struct core *core, const char *action, const char *id, const char *name,
		 const json_t *labels);
/* parsed filters; inclusive: "until" takes in that very moment */
int images_list_filtered(struct core *core, const json_t *filters, bool inclusive,
			 struct image ***ret_images, size_t *ret_n, struct err *err);
void images_free_all(struct image **images, size_t n);
