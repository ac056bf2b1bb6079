/* SPDX-License-Identifier: Apache-2.0 */
/* image_save.h - what a save takes (save_choose.c), for image_save.c, which writes it */
#pragma once

#include "image/manifest_list.h"
#include "image/platform.h"

#define SAVE_IMAGES_MAX 1024

struct save_tag {
	char *canonical;	    /* owned */
	struct manifest_list *list; /* owned: what it came as, if more than one image of it is
				       wanted; or NULL */
};
struct save_image {
	char id[DIGEST_BUF];
	struct save_tag *tags; /* owned */
	size_t tags_n;
	char **others; /* owned: ids of the other images of the tags' lists; NULL-terminated or NULL
			*/
	size_t others_n;
};
struct save_choice {
	struct save_image *images; /* owned */
	size_t n;
};

int save_choose(struct image_store *is, const struct image_save *args, struct save_choice *ret,
		struct err *err);
void save_choice_done(struct save_choice *choice);
