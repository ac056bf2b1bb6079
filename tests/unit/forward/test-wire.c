/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/in.h>

#include "base/cleanup.h"
#include "forward/wire.h"
#include "test.h"

TEST_MAIN()

static const struct forward_mapping web = {
	.proto = IPPROTO_TCP,
	.host = {.family = 4},
	.target = {.family = 4, .bytes = {198, 18, 0, 2}},
	.host_port = 8080,
	.target_port = 80,
	.count = 1,
};

static struct forward_message message_with(struct forward_mapping *mappings, size_t n)
{
	struct forward_message m = {.op = FORWARD_ADD, .mappings = mappings, .n = n};

	strcpy(m.owner, "0123456789abcdef");
	return m;
}

TEST(a_message_comes_out_as_it_went_in)
{
	struct forward_mapping mappings[3] = {web, web, web};
	struct forward_message in = message_with(mappings, 3);
	_cleanup_(forward_message_done) struct forward_message out = {};
	_cleanup_buf_ struct buf bytes = {};
	size_t total;

	mappings[0].host_port_last = 8090;
	mappings[1].host = (struct forward_ip){.family = 6};
	mappings[1].same_port = true;
	mappings[2].count = 1000;
	in.error = -EADDRINUSE;
	in.port = 65535;
	in.value = 7;
	ASSERT_OK(forward_wire_put(&bytes, &in));
	ASSERT_OK(forward_wire_length(bytes.data, bytes.len, &total));
	ASSERT_EQ(total, bytes.len);
	ASSERT_OK(forward_wire_get(bytes.data, bytes.len, &out));
	ASSERT_EQ(out.op, FORWARD_ADD);
	ASSERT_STREQ(out.owner, in.owner);
	ASSERT_EQ(out.error, -EADDRINUSE);
	ASSERT_EQ(out.port, 65535);
	ASSERT_EQ(out.value, 7);
	ASSERT_EQ(out.n, 3);
	ASSERT_EQ(out.mappings[0].host_port_last, 8090);
	ASSERT(out.mappings[1].same_port && out.mappings[1].host.family == 6);
	ASSERT_EQ(out.mappings[2].count, 1000);
	ASSERT(memcmp(out.mappings[2].target.bytes, web.target.bytes, 16) == 0);
}

TEST(the_largest_message_fits)
{
	_cleanup_free_ struct forward_mapping *mappings =
		calloc(FORWARD_MAPPINGS_MAX + 1, sizeof(*mappings));
	_cleanup_(forward_message_done) struct forward_message out = {};
	struct forward_message in = message_with(mappings, FORWARD_MAPPINGS_MAX);
	_cleanup_buf_ struct buf bytes = {};

	for (size_t i = 0; i <= FORWARD_MAPPINGS_MAX; i++)
		mappings[i] = web;
	ASSERT_OK(forward_wire_put(&bytes, &in));
	ASSERT_OK(forward_wire_get(bytes.data, bytes.len, &out));
	ASSERT_EQ(out.n, FORWARD_MAPPINGS_MAX);
	in.n++;
	ASSERT_ERROR(forward_wire_put(&bytes, &in), E2BIG);
}

TEST(mappings_that_mean_nothing_are_refused)
{
	struct forward_mapping bad[12];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		bad[i] = web;
	bad[0].proto = IPPROTO_SCTP;
	bad[1].host.family = 5;
	bad[2].target.bytes[4] = 1; /* behind an IPv4 address */
	bad[3].count = 0;
	bad[4].target_port = 0;
	bad[5].target_port = 65000, bad[5].count = 1000;
	bad[6].host_port = 65000, bad[6].count = 1000;
	bad[7].host_port_last = 8079;
	bad[8].host_port_last = 8090, bad[8].count = 2;
	bad[9].host_port = 0, bad[9].count = 2;
	bad[10].same_port = true;
	bad[11].host_port = 0, bad[11].host_port_last = 9;
	ASSERT(forward_mapping_valid(&web, true));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct forward_message m = message_with(&bad[i], 1);
		_cleanup_buf_ struct buf bytes = {};

		if (forward_mapping_valid(&bad[i], true))
			TEST_FAIL("mapping %zu is taken", i);
		ASSERT_ERROR(forward_wire_put(&bytes, &m), EINVAL);
		ASSERT_EQ(bytes.len, 0);
	}
	ASSERT(forward_mapping_valid(&bad[10], false));
}

/* Goal: any cut and any length that does not fit is seen. */
TEST(cut_messages_are_refused)
{
	struct forward_mapping mapping = web;
	struct forward_message in = message_with(&mapping, 1), out;
	_cleanup_buf_ struct buf bytes = {};
	size_t total;

	ASSERT_OK(forward_wire_put(&bytes, &in));
	for (size_t len = 0; len < bytes.len; len++)
		ASSERT_ERROR(forward_wire_get(bytes.data, len, &out), EBADMSG);
	for (size_t len = 0; len < 4; len++)
		ASSERT_ERROR(forward_wire_length(bytes.data, len, &total), EAGAIN);
	buf_add(&bytes, "x", 1);
	ASSERT_ERROR(forward_wire_get(bytes.data, bytes.len, &out), EBADMSG);
	ASSERT_ERROR(forward_wire_length("\xff\xff\xff\xff", 4, &total), EBADMSG);
	ASSERT_ERROR(forward_wire_length("\x0f\0\0\0", 4, &total), EBADMSG);
}
