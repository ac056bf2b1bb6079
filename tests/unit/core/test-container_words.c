/* SPDX-License-Identifier: Apache-2.0 */
/* Signals, durations, names and states: the small vocabularies of the container manager. */
#include <errno.h>
#include <signal.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/containers.h"
#include "core/ports.h"
#include "test.h"

TEST_MAIN()

/* Goal: every way in which clients write a signal; nothing else passes for one. */
TEST(signal_parse_knows_names_and_numbers)
{
	static const struct {
		const char *text;
		int signo;
	} good[] = {
		{"SIGTERM", 15}, {"term", 15},	   {"KILL", 9},	      {"9", 9},
		{"64", 64},	 {"SIGRTMIN", 34}, {"RTMIN+3", 37},   {"sigrtmax-1", 63},
		{"RTMAX", 64},	 {"Winch", 28},	   {"SIGSTKFLT", 16},
	};
	static const char *const bad[] = {"",	       "0",
					  "65",	       "-9",
					  "SIG",       "FOO",
					  "SIGSIGHUP", "RTMIN-1",
					  "RTMAX+1",   "RTMIN+31",
					  "9 ",	       "RTMIN+",
					  "SIGTERM ",  "99999999999999999999"};
	int signo;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		ASSERT_OK(container_signal_parse(good[i].text, &signo));
		ASSERT_EQ(signo, good[i].signo);
	}
	signo = 7;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ASSERT_ERROR(container_signal_parse(bad[i], &signo), EINVAL);
	ASSERT_EQ(signo, 7);
}

/* Goal: Docker's words at each boundary. */
TEST(human_duration_rounds_as_docker)
{
	static const struct {
		long long seconds;
		const char *text;
	} cases[] = {
		{0, "Less than a second"},  {1, "1 second"},
		{2, "2 seconds"},	    {59, "59 seconds"},
		{60, "About a minute"},	    {119, "About a minute"},
		{120, "2 minutes"},	    {3599, "59 minutes"},
		{3600, "About an hour"},    {5399, "About an hour"},
		{5400, "2 hours"},	    {47 * 3600, "47 hours"},
		{48 * 3600, "2 days"},	    {14 * 86400 - 3600, "13 days"},
		{14 * 86400, "2 weeks"},    {60 * 86400, "2 months"},
		{730LL * 86400, "2 years"},
	};
	char text[48];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		human_duration(cases[i].seconds * NSEC_PER_SEC, text, sizeof(text));
		ASSERT_STREQ(text, cases[i].text);
	}
	human_duration(999999999, text, sizeof(text));
	ASSERT_STREQ(text, "Less than a second");
}

/* Goal: status texts of docker ps. */
TEST(status_text_says_what_docker_ps_says)
{
	struct container c = {.exit_code = 137,
			      .started_ns = 100 * NSEC_PER_SEC,
			      .finished_ns = 107 * NSEC_PER_SEC};
	int64_t now = 110 * NSEC_PER_SEC;
	static const struct {
		enum container_state state;
		const char *text;
	} cases[] = {
		{CONTAINER_CREATED, "Created"},
		{CONTAINER_RUNNING, "Up 10 seconds"},
		{CONTAINER_PAUSED, "Up 10 seconds (Paused)"},
		{CONTAINER_RESTARTING, "Restarting (137) 3 seconds ago"},
		{CONTAINER_EXITED, "Exited (137) 3 seconds ago"},
		{CONTAINER_REMOVING, "Removal In Progress"},
		{CONTAINER_DEAD, "Dead"},
	};
	char text[64];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		c.state = cases[i].state;
		container_status_text(&c, now, text, sizeof(text));
		ASSERT_STREQ(text, cases[i].text);
	}
}

/* Goal: names Docker allows, and made-up names that it allows. */
TEST(names_are_dockers)
{
	char name[64], other[64];
	bool differ = false;

	ASSERT(container_name_valid("ab"));
	ASSERT(container_name_valid("0_.-"));
	ASSERT(!container_name_valid("a"));
	ASSERT(!container_name_valid(""));
	ASSERT(!container_name_valid("_ab"));
	ASSERT(!container_name_valid("-ab"));
	ASSERT(!container_name_valid("a/b"));
	ASSERT(!container_name_valid("a b"));
	ASSERT(!container_name_valid("\xc3\xa4x"));
	container_name_generate(other, sizeof(other), 0);
	for (unsigned int i = 0; i < 200; i++) {
		container_name_generate(name, sizeof(name), i);
		ASSERT(container_name_valid(name));
		ASSERT(strchr(name, '_') != NULL);
		differ |= !str_eq(name, other);
	}
	ASSERT(differ);
}

/* Goal: the table has the edges it must have, and none of those that would hide a mistake. */
TEST(states_move_along_the_table_only)
{
	enum container_state state;

	ASSERT(container_state_may(CONTAINER_CREATED, CONTAINER_RUNNING));
	ASSERT(container_state_may(CONTAINER_PAUSED, CONTAINER_EXITED));
	ASSERT(container_state_may(CONTAINER_RESTARTING, CONTAINER_RUNNING));
	ASSERT(container_state_may(CONTAINER_REMOVING, CONTAINER_DEAD));
	ASSERT(!container_state_may(CONTAINER_CREATED, CONTAINER_EXITED));
	ASSERT(!container_state_may(CONTAINER_EXITED, CONTAINER_PAUSED));
	ASSERT(!container_state_may(CONTAINER_RUNNING, CONTAINER_REMOVING));
	ASSERT(!container_state_may(CONTAINER_REMOVING, CONTAINER_RUNNING));
	for (int s = CONTAINER_CREATED; s <= CONTAINER_DEAD; s++) {
		ASSERT(!container_state_may((enum container_state)s, (enum container_state)s));
		ASSERT_OK(container_state_parse(container_state_name((enum container_state)s),
						&state));
		ASSERT_EQ(state, s);
	}
	ASSERT_ERROR(container_state_parse("gone", &state), EINVAL);
}

/* Goal: ports with and without range and protocol; what is none leaves the result alone. */
TEST(ports_parse_takes_only_ports)
{
	static const struct {
		const char *text;
		uint16_t first, last;
		const char *proto;
	} good[] = {
		{"80", 80, 80, "tcp"},
		{"0/tcp", 0, 0, "tcp"},
		{"65535/udp", 65535, 65535, "udp"},
		{"8000-8010/sctp", 8000, 8010, "sctp"},
		{"080/tcp", 80, 80, "tcp"},
		{"7-7", 7, 7, "tcp"},
	};
	static const char *const bad[] = {"",
					  "abc",
					  "/tcp",
					  "80/",
					  "-80",
					  "80-",
					  "99999/tcp",
					  "65536",
					  "1-70000",
					  "82-80",
					  "80/tcp/udp",
					  " 80",
					  "+80",
					  "80 ",
					  "80--81",
					  "18446744073709551617",
					  "000000000000000000000000000080"};
	struct port_range range;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		ASSERT_OK(ports_parse(good[i].text, &range));
		ASSERT_EQ(range.first, good[i].first);
		ASSERT_EQ(range.last, good[i].last);
		ASSERT_STREQ(range.proto, good[i].proto);
	}
	range.first = 7;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ASSERT(ports_parse(bad[i], &range) < 0);
	ASSERT_EQ(range.first, 7);
}
