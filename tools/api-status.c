/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api-status.c - write docs/API.md from the route table, or check that it is up to date
 *
 *     api-status		to stdout
 *     api-status --check FILE	TAP; fails if FILE says something else
 */
#include <stdio.h>
#include <string.h>

#include "api/router.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"

/* "/images/{name:.*}/json" -> "/images/{name}/json" */
static void status_pattern(struct buf *out, const char *pattern)
{
	const char *greedy = strstr(pattern, ":.*}");

	if (greedy)
		buf_addf(out, "%.*s%s", (int)(greedy - pattern), pattern, greedy + strlen(":.*"));
	else
		buf_adds(out, pattern);
}

static void status_section(struct buf *out, const char *section)
{
	size_t n = 0, served = 0;

	for (size_t i = 0; i < api_routes_n; i++)
		if (str_eq(api_routes[i].section, section)) {
			n++;
			served += api_routes[i].handler != NULL;
		}
	buf_addf(out,
		 "\n## %s (%zu of %zu)\n\n| Endpoint | Served | What it does |\n|---|---|---|\n",
		 section, served, n);
	for (size_t i = 0; i < api_routes_n; i++) {
		const struct api_route *row = &api_routes[i];

		if (!str_eq(row->section, section))
			continue;
		buf_addf(out, "| `%s ", row->method);
		status_pattern(out, row->pattern);
		buf_addf(out, "` | %s | %s |\n", row->handler ? "yes" : "no", row->summary);
	}
}

static void status_write(struct buf *out)
{
	size_t served = 0;

	for (size_t i = 0; i < api_routes_n; i++)
		served += api_routes[i].handler != NULL;
	buf_addf(out,
		 "# Engine API: what is served\n\n"
		 "Made from the route table (`src/api/routes.c`) by `tools/api-status`; do not "
		 "edit. "
		 "Every endpoint of the\nEngine API specification 1.56 is listed; one that is not "
		 "served answers 501 and says so. Arca serves API versions\n1.24 to 1.51, with and "
		 "without the version prefix.\n\n%zu of %zu endpoints are served.\n",
		 served, api_routes_n);
	for (size_t i = 0; i < api_routes_n; i++)
		if (i == 0 || !str_eq(api_routes[i].section, api_routes[i - 1].section))
			status_section(out, api_routes[i].section);
}

int main(int argc, char **argv)
{
	_cleanup_buf_ struct buf out = {0};
	_cleanup_free_ char *file = NULL;
	bool same;

	status_write(&out);
	if (out.failed)
		return 1;
	if (argc == 1)
		return fputs(out.data, stdout) < 0;
	if (argc != 3 || !str_eq(argv[1], "--check"))
		return 2;
	same = fs_read_file(argv[2], MIB(1), &file, NULL) == 0 && str_eq(file, out.data);
	printf("%sok 1 - docs/API.md agrees with the route table\n1..1\n", same ? "" : "not ");
	return same ? 0 : 1;
}
