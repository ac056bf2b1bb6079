/* SPDX-License-Identifier: Apache-2.0 */
/* test-changes.c - Dockerfile instructions on an image's config */
#include "image/image_changes.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "test.h"

static const struct {
	const char *changes[4], *config;
} good[] = {
	{{"CMD echo hi"}, "{\"Cmd\":[\"/bin/sh\",\"-c\",\"echo hi\"]}"},
	{{"cmd [\"a\", \"b c\"]"}, "{\"Cmd\":[\"a\",\"b c\"]}"},
	{{"CMD [not json"}, "{\"Cmd\":[\"/bin/sh\",\"-c\",\"[not json\"]}"},
	{{"CMD x", "ENTRYPOINT [\"/e\"]"},
	 "{\"Cmd\":[\"/bin/sh\",\"-c\",\"x\"],\"Entrypoint\":[\"/e\"]}"},
	{{"ENTRYPOINT", "CMD"}, "{\"Cmd\":[\"/bin/sh\",\"-c\"],\"Entrypoint\":null}"},
	{{"CMD a \\\n# note\n\nb", "USER y"},
	 "{\"Cmd\":[\"/bin/sh\",\"-c\",\"a b\"],\"User\":\"y\"}"},
	{{"CMD a \\", "b"}, "{\"Cmd\":[\"/bin/sh\",\"-c\",\"a b\"]}"},
	{{"ENV a=b\nENV c=d"}, "{\"Env\":[\"a=b\",\"c=d\"]}"},
	{{"ENV a=1", "ENV a=2 b=$a c=${x:-y}${a:+z} d='$a' e=\\$a"},
	 "{\"Env\":[\"a=2\",\"b=1\",\"c=yz\",\"d=$a\",\"e=$a\"]}"},
	{{"ENV P=/x", "WORKDIR $P/../y/", "USER ${P}z", "VOLUME $P/v"},
	 "{\"Env\":[\"P=/x\"],\"User\":\"/xz\",\"Volumes\":{\"/x/v\":{}},\"WorkingDir\":\"/y\"}"},
	{{"EXPOSE 127.0.0.1:80:81"}, "{\"ExposedPorts\":{\"81/tcp\":{}}}"},
	{{"HEALTHCHECK --retries=1 NONE"}, "{\"Healthcheck\":{\"Test\":[\"NONE\"]}}"},
	{{"ENV a=1 b=\"2 3\" c='4\\ 5' d=6\\ 7"},
	 "{\"Env\":[\"a=1\",\"b=2 3\",\"c=4\\\\ 5\",\"d=6 7\"]}"},
	{{"ENV a 1  2"}, "{\"Env\":[\"a=1  2\"]}"},
	{{"ENV a=1", "ENV ab=2", "ENV a=3"}, "{\"Env\":[\"a=3\",\"ab=2\"]}"},
	{{"LABEL k=v \"k 2\"=v2"}, "{\"Labels\":{\"k\":\"v\",\"k 2\":\"v2\"}}"},
	{{"EXPOSE 80 53/udp 8000-8001/TCP"},
	 "{\"ExposedPorts\":{\"53/udp\":{},\"80/tcp\":{},\"8000/tcp\":{},\"8001/tcp\":{}}}"},
	{{"USER nobody"}, "{\"User\":\"nobody\"}"},
	{{"WORKDIR /a", "WORKDIR b"}, "{\"WorkingDir\":\"/a/b\"}"},
	{{"VOLUME /a /b", "VOLUME [\"/c d\"]"}, "{\"Volumes\":{\"/a\":{},\"/b\":{},\"/c d\":{}}}"},
	{{"STOPSIGNAL SIGQUIT"}, "{\"StopSignal\":\"SIGQUIT\"}"},
	{{"ONBUILD RUN x"}, "{\"OnBuild\":[\"RUN x\"]}"},
	{{"HEALTHCHECK NONE"}, "{\"Healthcheck\":{\"Test\":[\"NONE\"]}}"},
	{{"HEALTHCHECK --interval=1m30s --timeout=500ms --retries=3 CMD curl x"},
	 "{\"Healthcheck\":{\"Interval\":90000000000,\"Retries\":3,"
	 "\"Test\":[\"CMD-SHELL\",\"curl x\"],\"Timeout\":500000000}}"},
	{{"HEALTHCHECK CMD [\"a\"]"}, "{\"Healthcheck\":{\"Test\":[\"CMD\",\"a\"]}}"},
};

TEST(instructions_change_the_config)
{
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		_cleanup_(json_decrefp) json_t *config = json_object();
		_cleanup_free_ char *text = NULL;
		struct err err = {};
		size_t n = 0;

		while (n < 4 && good[i].changes[n])
			n++;
		if (image_changes_apply(config, good[i].changes, n, &err) < 0)
			TEST_FAIL("%s: %s", good[i].changes[0], err.msg);
		text = json_dumps(config, JSON_COMPACT | JSON_SORT_KEYS);
		ASSERT_STREQ(text, good[i].config);
	}
}

static const struct {
	const char *change, *message;
} bad[] = {
	{"RUN x", "RUN is not a valid change command"},
	{"FROM x", "FROM is not a valid change command"},
	{"", "file with no instructions"},
	{" \n# nothing", "file with no instructions"},
	{"CMD [\"a\",1]", "when using JSON array syntax, arrays must be comprised of strings only"},
	{"ENV", "ENV requires at least one argument"},
	{"USER", "USER requires exactly one argument"},
	{"VOLUME []", "VOLUME requires at least one argument"},
	{"STOPSIGNAL foo", "invalid signal: foo"},
	{"ENV a=${a?x}", "failed to process \"${a?x}\": missing or unsupported modifier in "
			 "substitution"},
	{"ENV a", "ENV must have two arguments"},
	{"ENV =b", "ENV names can not be blank"},
	{"ENV a=1 b", "Syntax error - can't find = in \"b\". Must be of the form: name=value"},
	{"ENV a=\"1", "failed to process \"\\\"1\": unexpected end of statement while "
		      "looking for matching double-quote"},
	{"EXPOSE 65536", "Invalid containerPort: 65536"},
	{"EXPOSE 9-8", "Invalid containerPort: 9-8"},
	{"EXPOSE 80/x", "Invalid proto: x"},
	{"EXPOSE a", "Invalid containerPort: a"},
	{"ENV a=${b:-c", "failed to process \"${b:-c\": unexpected end of statement while looking "
			 "for matching brace"},
	{"VOLUME [\"\"]", "VOLUME specified can not be an empty string"},
	{"ONBUILD ONBUILD RUN", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"},
	{"ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"},
	{"HEALTHCHECK run", "Unknown type \"RUN\" in HEALTHCHECK (try CMD)"},
	{"HEALTHCHECK --interval=x CMD a", "time: invalid duration \"x\""},
	{"HEALTHCHECK --bad=1 CMD a", "unknown flag: --bad"},
	{"HEALTHCHECK --timeout=1us CMD a", "Interval \"timeout\" cannot be less than 1ms"},
	{"HEALTHCHECK --retries=-1 CMD a", "--retries cannot be negative (-1)"},
	{"HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"},
	{"HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"},
};

TEST(nonsense_is_refused)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_(json_decrefp) json_t *config = json_object();
		struct err err = {};

		if (image_changes_apply(config, &bad[i].change, 1, &err) != -EINVAL)
			TEST_FAIL("accepted: %s", bad[i].change);
		ASSERT_EQ(err.kind, ERR_INVALID);
		ASSERT_STREQ(err.msg, bad[i].message);
	}
}

TEST_MAIN()
