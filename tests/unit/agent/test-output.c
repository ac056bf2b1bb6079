/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/output.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "test.h"

TEST_MAIN()

static void output_add_text(struct output *o, uint32_t stream, const char *text)
{
	if (output_add(o, stream, text, strlen(text), 1) < 0)
		test_failed = 1;
}

/* Everything that is left to send, as one string; marks it sent. */
static const char *output_drain(struct output *o)
{
	static char text[256];
	struct output_view v;
	size_t n = 0;

	while (output_peek(o, &v)) {
		memcpy(text + n, v.data, v.len);
		n += v.len;
		output_sent(o, v.len);
	}
	text[n] = '\0';
	return text;
}

/* Goal: one count over both streams, in the order of reading. */
TEST(output_counts_both_streams_together)
{
	struct output o = {0};
	struct output_view v;

	output_add_text(&o, 1, "out");
	output_add_text(&o, 2, "error");
	ASSERT(output_peek(&o, &v));
	ASSERT_EQ(v.stream, 1);
	ASSERT_EQ(v.offset, 0);
	output_sent(&o, v.len);
	ASSERT(output_peek(&o, &v));
	ASSERT_EQ(v.stream, 2);
	ASSERT_EQ(v.offset, 3);
	ASSERT_EQ(v.len, 5);
	output_sent(&o, v.len);
	ASSERT(!output_peek(&o, &v));
	ASSERT_EQ(o.produced, 8);
	output_done(&o);
}

/* Goal: a connection that died loses nothing that was not acknowledged. */
TEST(output_replays_from_the_middle_of_a_chunk)
{
	struct output o = {0};
	struct output_view v;

	output_add_text(&o, 1, "hello ");
	output_add_text(&o, 1, "world");
	ASSERT_STREQ(output_drain(&o), "hello world");
	output_ack(&o, 4);
	ASSERT_OK(output_rewind(&o, 4));
	ASSERT(output_peek(&o, &v));
	ASSERT_EQ(v.offset, 4);
	ASSERT_EQ(v.len, 2);
	ASSERT_STREQ(output_drain(&o), "o world");
	ASSERT_OK(output_rewind(&o, 11));
	ASSERT_STREQ(output_drain(&o), "");
	output_add_text(&o, 1, "!");
	ASSERT_STREQ(output_drain(&o), "!");
	output_done(&o);
}

/* Goal: what was acknowledged is gone, and asking for it begins where something is left. */
TEST(output_does_not_go_back_behind_an_acknowledgement)
{
	struct output o = {0};

	output_add_text(&o, 1, "abc");
	output_add_text(&o, 1, "def");
	(void)output_drain(&o);
	output_ack(&o, 3);
	ASSERT_EQ(o.acked, 3);
	ASSERT_OK(output_rewind(&o, 0));
	ASSERT_EQ(o.sent, 3);
	ASSERT_STREQ(output_drain(&o), "def");
	output_ack(&o, 1);
	ASSERT_EQ(o.acked, 3);
	output_done(&o);
}

/* Goal: a client cannot acknowledge, or ask for, what it never got. */
TEST(output_refuses_the_future)
{
	struct output o = {0};

	output_add_text(&o, 1, "abc");
	output_ack(&o, 1000);
	ASSERT_EQ(o.acked, 0);
	ASSERT_ERROR(output_rewind(&o, 4), ERANGE);
	ASSERT_STREQ(output_drain(&o), "abc");
	output_ack(&o, UINT64_MAX);
	ASSERT_EQ(o.acked, 3);
	ASSERT_EQ(o.cost, 0);
	output_done(&o);
}

/* Goal: bounded, whatever the writes look like; room again after an acknowledgement. */
TEST(output_is_full_before_it_costs_more_than_it_may)
{
	static char big[OUTPUT_CHUNK_MAX];
	struct output o = {0};
	size_t n;

	for (n = 0; !output_full(&o); n++)
		output_add(&o, 1, "x", 1, 0);
	ASSERT(o.cost <= OUTPUT_COST_MAX);
	ASSERT(n < OUTPUT_COST_MAX / 8);
	(void)n;
	while (o.sent < o.produced)
		output_sent(&o, 1);
	output_ack(&o, o.produced);
	ASSERT(!output_full(&o));
	ASSERT_EQ(o.cost, 0);
	while (!output_full(&o))
		output_add(&o, 1, big, sizeof(big), 0);
	ASSERT(o.cost <= OUTPUT_COST_MAX);
	output_done(&o);
}

/* Goal: a chunk that is only half sent survives an acknowledgement of that half. */
TEST(output_keeps_a_chunk_that_is_half_sent)
{
	struct output o = {0};

	output_add_text(&o, 1, "abcdef");
	output_sent(&o, 3);
	output_ack(&o, 3);
	ASSERT_STREQ(output_drain(&o), "def");
	output_done(&o);
}
