/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_say.c - progress of pulls and pushes as docker's clients expect it (jsonmessage,
 * streamformatter)
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image/image_say.h"

#include "base/util.h"

#define BAR_WIDTH 50

/* "1.234MB": four digits, decimal units */
static void say_size(uint64_t bytes, char *out, size_t size)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1000 && unit + 1 < ARRAY_SIZE(units)) {
		value /= 1000;
		unit++;
	}
	(void)snprintf(out, size, "%.4g%s", value, units[unit]); /* it fits */
}

static void say_bar(uint64_t current, uint64_t total, char *out, size_t size)
{
	char bar[BAR_WIDTH + 1], have[32], want[32];
	size_t n = total ? (size_t)(current * BAR_WIDTH / total) : 0;

	memset(bar, ' ', BAR_WIDTH);
	bar[BAR_WIDTH] = '\0';
	memset(bar, '=', n);
	if (n < BAR_WIDTH)
		bar[n] = '>';
	say_size(current, have, sizeof(have));
	say_size(total, want, sizeof(want));
	(void)snprintf(out, size, "[%s] %8s/%s", bar, have, want); /* it fits */
}

/**
 * image_say_json() - A line
 * @say:  Who listens
 * @line: Reference stolen
 *
 * Return: 0 or negative errno of the one who listens
 */
int image_say_json(const struct image_say *say, json_t *line)
{
	int r = line ? say->progress(say->user, line) : -ENOMEM;

	json_decref(line);
	return r;
}

/**
 * image_say() - A line without numbers
 * @say:    Who listens
 * @id:	    Layer or tag, or NULL
 * @status: Text
 *
 * Return: 0 or negative errno of the one who listens
 */
int image_say(const struct image_say *say, const char *id, const char *status)
{
	if (!id)
		return image_say_json(say, json_pack("{s:s}", "status", status));
	return image_say_json(
		say, json_pack("{s:s, s:{}, s:s}", "status", status, "progressDetail", "id", id));
}

/**
 * image_say_progress() - A line with numbers
 * @say:     Who listens
 * @id:	     Layer
 * @status:  Text
 * @current: Bytes done
 * @total:   Of so many
 *
 * Return: 0 or negative errno of the one who listens
 */
int image_say_progress(const struct image_say *say, const char *id, const char *status,
		       uint64_t current, uint64_t total)
{
	char bar[BAR_WIDTH + 80];

	say_bar(current, total, bar, sizeof(bar));
	return image_say_json(say,
			      json_pack("{s:s, s:{s:I, s:I}, s:s, s:s}", "status", status,
					"progressDetail", "current", (json_int_t)current, "total",
					(json_int_t)total, "progress", bar, "id", id));
}
