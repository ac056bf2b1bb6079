/* SPDX-License-Identifier: Apache-2.0 */
/* image_words.h - the words of Dockerfile instructions: quotes, backslashes, variables */
#pragma once

#include <jansson.h>

#include "base/err.h"

/* Next word as written, quotes and all; NULL at the end. at: moved behind it. */
int image_word_next(const char **at, char **ret);
/* What a word says: quotes undone, $X and ${X} from env (array of "X=y", or NULL). ERR_INVALID. */
int image_word_expand(const char *word, const json_t *env, char **ret, struct err *err);
