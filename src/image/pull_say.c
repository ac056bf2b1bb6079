/* SPDX-License-Identifier: Apache-2.0 */
/* pull_say.c - progress of pulls as docker's clients expect it (jsonmessage, streamformatter) */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image/image_pull.h"

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

static int say_line(struct pull *pull, json_t *line /* reference stolen */)
{
	int r = line ? pull->args->progress(pull->args->user, line) : -ENOMEM;

	json_decref(line);
	return r;
}

/**
 * pull_say() - A line without numbers
 * @pull:   Pull
 * @id:	    Layer or tag, or NULL
 * @status: Text
 *
 * Return: 0 or negative errno of the one who listens
 */
int pull_say(struct pull *pull, const char *id, const char *status)
{
	if (!id)
		return say_line(pull, json_pack("{s:s}", "status", status));
	return say_line(
		pull, json_pack("{s:s, s:{}, s:s}", "status", status, "progressDetail", "id", id));
}

/**
 * pull_say_progress() - A line with numbers
 * @pull:    Pull
 * @id:	     Layer
 * @status:  Text
 * @current: Bytes done
 * @total:   Of so many
 *
 * Return: 0 or negative errno of the one who listens
 */
int pull_say_progress(struct pull *pull, const char *id, const char *status, uint64_t current,
		      uint64_t total)
{
	char bar[BAR_WIDTH + 80];

	say_bar(current, total, bar, sizeof(bar));
	return say_line(pull, json_pack("{s:s, s:{s:I, s:I}, s:s, s:s}", "status", status,
					"progressDetail", "current", (json_int_t)current, "total",
					(json_int_t)total, "progress", bar, "id", id));
}
