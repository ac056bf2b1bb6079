/* SPDX-License-Identifier: Apache-2.0 */
#include "stdio_rig.h"

/* Goal: a client that attached before the start sees everything, framed; so does the log. */
TEST(output_reaches_client_and_log)
{
	_cleanup_rig_ struct rig *rig = rig_new(WITH_LOG);
	_cleanup_buf_ struct buf out = {0};
	struct client c = {.attach = {.out = true, .err = true, .mux = true}};

	ASSERT(client_start(&c, rig));
	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT(rig_wait(rig, &rig->started));
	fake_agent_say(&rig->agent, 1, "hello\n");
	fake_agent_say(&rig->agent, 2, "oops\n");
	fake_agent_exit(&rig->agent, 5);
	read_all(c.fd, &out);
	ASSERT_EQ(out.len, 27);
	ASSERT(memcmp(out.data, "\1\0\0\0\0\0\0\6hello\n\2\0\0\0\0\0\0\5oops\n", 27) == 0);
	ASSERT(rig_wait(rig, &rig->exited));
	ASSERT_EQ(rig->exit.code, 5);
	ASSERT(!rig->exit.lost);
	ASSERT_OK(client_end(&c));
	ASSERT_STREQ(log_text(rig, &out), "hello\noops\n");
}

TEST(streams_are_chosen)
{
	_cleanup_rig_ struct rig *rig = rig_new(0);
	_cleanup_buf_ struct buf out = {0};
	struct client a = {.attach = {.err = true}}, b = {.attach = {.out = true}};

	ASSERT(client_start(&a, rig));
	ASSERT(client_start(&b, rig));
	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT(rig_wait(rig, &rig->started));
	fake_agent_say(&rig->agent, 1, "out");
	fake_agent_say(&rig->agent, 2, "err");
	fake_agent_say(&rig->agent, 1, "put");
	fake_agent_exit(&rig->agent, 0);
	read_all(a.fd, &out);
	ASSERT_STREQ(out.data, "err");
	read_all(b.fd, &out);
	ASSERT_STREQ(out.data, "output");
	ASSERT_OK(client_end(&a));
	ASSERT_OK(client_end(&b));
}

TEST(start_that_fails_is_told_and_ends_clients)
{
	_cleanup_rig_ struct rig *rig = rig_new(WITH_LOG);
	_cleanup_buf_ struct buf out = {0};
	struct client c = {.attach = {.out = true}};

	ASSERT(client_start(&c, rig));
	ASSERT_OK(rig_start(rig, "missing"));
	ASSERT(rig_wait(rig, &rig->failed));
	ASSERT_EQ(rig->status, RPC_NOT_FOUND);
	ASSERT_STREQ(rig->text, "exec: \"missing\": executable file not found in $PATH");
	read_all(c.fd, &out);
	ASSERT_EQ(out.len, 0);
	ASSERT_OK(client_end(&c));
	ASSERT(!rig->exited);
}

/* Goal: small output is acknowledged though nothing follows it, and not once per chunk. */
TEST(idle_output_is_acknowledged)
{
	_cleanup_rig_ struct rig *rig = rig_new(WITH_LOG);

	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT(rig_wait(rig, &rig->started));
	for (int i = 0; i < 500; i++)
		fake_agent_say(&rig->agent, 1, "line\n");
	for (int i = 0; i < 200 && rig->agent.acked < 2500; i++)
		(void)usleep(10000);
	ASSERT_EQ(rig->agent.acked, 2500);
	ASSERT(rig->agent.acks < 100);
}

/* Goal: much output arrives whole, with no more than the agent's bound in flight. */
TEST(flood_arrives_whole)
{
	_cleanup_rig_ struct rig *rig = rig_new(0);
	struct client c = {.attach = {.out = true}};
	struct drain d = {0};
	int64_t began;

	ASSERT(client_start(&c, rig));
	rig->agent.flood_total = FLOOD;
	d.fd = c.fd;
	began = clock_monotonic_ns();
	ASSERT_OK(rig_start(rig, "flood"));
	(void)drain_thread(&d);
	printf("# %llu MB/s\n",
	       (unsigned long long)(d.bytes * 1000 / (uint64_t)(clock_monotonic_ns() - began)));
	ASSERT_EQ(d.bytes, FLOOD);
	ASSERT(!d.wrong);
	ASSERT(rig_wait(rig, &rig->exited));
	ASSERT_EQ(rig->exit.code, 3);
	ASSERT_OK(client_end(&c));
	ASSERT(rig->agent.max_unacked <= FAKE_UNACKED_MAX);
}

/* Goal: a client that reads nothing stops the process at the bound; once it leaves, all flows. */
TEST(stalled_client_stalls_the_process_until_it_leaves)
{
	_cleanup_rig_ struct rig *rig = rig_new(0);
	struct client stalled = {.attach = {.out = true}}, good = {.attach = {.out = true}};
	struct drain d = {0};
	pthread_t thread;
	uint64_t at;

	ASSERT(client_start(&stalled, rig));
	ASSERT(client_start(&good, rig));
	rig->agent.flood_total = FLOOD;
	d.fd = good.fd;
	ASSERT_OK(pthread_create(&thread, NULL, drain_thread, &d));
	ASSERT_OK(rig_start(rig, "flood"));
	(void)usleep(300000);
	at = rig->agent.produced;
	(void)usleep(200000);
	ASSERT_EQ(rig->agent.produced, at);
	ASSERT(at < MIB(4));
	close(stalled.fd);
	stalled.fd = -1;
	pthread_join(thread, NULL);
	ASSERT_EQ(d.bytes, FLOOD);
	ASSERT(!d.wrong);
	ASSERT_OK(client_end(&stalled));
	ASSERT_OK(client_end(&good));
}

/* Goal: stdout and stderr in turns, byte by byte, cost a stalled client's daemon little memory. */
TEST(bytes_in_turns_are_held_back_by_what_they_cost)
{
	_cleanup_rig_ struct rig *rig = rig_new(0);
	struct client c = {.attach = {.out = true, .err = true}};

	ASSERT(client_start(&c, rig));
	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT(rig_wait(rig, &rig->started));
	for (int i = 0; i < 40000; i++)
		fake_agent_say(&rig->agent, 1 + i % 2, "x");
	(void)usleep(300000);
	ASSERT(rig->agent.acked < 30000);
	ASSERT(!rig->exited);
	stdio_free(TAKE_PTR(rig->io));
	ASSERT_OK(client_end(&c));
}

/* Goal: an agent whose messages repeat a megabyte around little news is cut off. */
TEST(an_agent_cannot_make_us_hold_memory)
{
	_cleanup_rig_ struct rig *rig = rig_new(0);
	_cleanup_free_ char *data = calloc(1, MIB(1));
	struct client c = {.attach = {.out = true}};

	ASSERT(client_start(&c, rig));
	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT(rig_wait(rig, &rig->started));
	for (uint64_t i = 0; i < 100; i++)
		fake_agent_lie(&rig->agent, 1, i * 4096, data, MIB(1));
	ASSERT(rig_wait(rig, &rig->exited));
	ASSERT(rig->exit.lost);
	close(c.fd);
	c.fd = -1;
	ASSERT_OK(client_end(&c));
}

/* Goal: the end of a container whose client is slow does not cut that client's output. */
TEST(slow_client_gets_everything_after_the_end)
{
	_cleanup_rig_ struct rig *rig = rig_new(0);
	struct client c = {.attach = {.out = true}};
	struct drain d = {0};

	ASSERT(client_start(&c, rig));
	rig->agent.flood_total = KIB(700);
	ASSERT_OK(rig_start(rig, "flood"));
	ASSERT(rig_wait(rig, &rig->exited));
	stdio_free(TAKE_PTR(rig->io)); /* docker run --rm */
	d.fd = c.fd;
	(void)drain_thread(&d);
	ASSERT_EQ(d.bytes, KIB(700));
	ASSERT(!d.wrong);
	ASSERT_OK(client_end(&c));
}

TEST(freeing_a_running_process_detaches_clients)
{
	_cleanup_rig_ struct rig *rig = rig_new(0);
	struct client c = {.attach = {.out = true, .in = true}};

	ASSERT(client_start(&c, rig));
	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT(rig_wait(rig, &rig->started));
	stdio_free(TAKE_PTR(rig->io));
	ASSERT_OK(client_end(&c));
	ASSERT(!rig->exited);
}

TEST(lost_before_start_lets_clients_go)
{
	_cleanup_rig_ struct rig *rig = rig_new(WITH_LOG);
	struct client c = {.attach = {.out = true}};

	ASSERT(client_start(&c, rig));
	stdio_lost(rig->io);
	ASSERT_OK(client_end(&c));
	ASSERT(!rig->exited && !rig->failed);
}

TEST(lost_sandbox_is_an_exit)
{
	_cleanup_rig_ struct rig *rig = rig_new(WITH_LOG);
	_cleanup_buf_ struct buf out = {0};
	struct client c = {.attach = {.out = true}};

	ASSERT(client_start(&c, rig));
	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT(rig_wait(rig, &rig->started));
	fake_agent_say(&rig->agent, 1, "half");
	ASSERT(read_text(c.fd, "half"));
	stdio_lost(rig->io);
	stdio_lost(rig->io);
	ASSERT(rig_wait(rig, &rig->exited));
	ASSERT(rig->exit.lost);
	ASSERT_EQ(rig->exit.code, 137);
	ASSERT_OK(client_end(&c));
	ASSERT_STREQ(log_text(rig, &out), "half");
}

/* Goal: input arrives; its end is the process's for stdin_once only. */
TEST(input_and_its_end)
{
	_cleanup_rig_ struct rig *rig = rig_new(STDIN_ONCE);
	_cleanup_buf_ struct buf out = {0};
	struct client c = {.attach = {.in = true, .out = true}};

	ASSERT(client_start(&c, rig));
	ASSERT_EQ(write(c.fd, "early ", 6), 6);
	ASSERT_OK(rig_start(rig, "cat"));
	ASSERT_EQ(write(c.fd, "late", 4), 4);
	ASSERT_OK(shutdown(c.fd, SHUT_WR));
	read_all(c.fd, &out);
	ASSERT_STREQ(out.data, "early late");
	ASSERT(rig_wait(rig, &rig->exited));
	ASSERT_OK(client_end(&c));
}

TEST(input_end_without_once_ends_the_attachment_only)
{
	_cleanup_rig_ struct rig *rig = rig_new(0);
	struct client a = {.attach = {.in = true, .out = true}}, b = {.attach = {.in = true}};

	ASSERT(client_start(&a, rig));
	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT(rig_wait(rig, &rig->started));
	ASSERT_EQ(write(a.fd, "one", 3), 3);
	ASSERT_OK(shutdown(a.fd, SHUT_WR));
	ASSERT(fake_agent_wait_input(&rig->agent, 3));
	fake_agent_say(&rig->agent, 1, "answer");
	ASSERT(read_text(a.fd, "answer"));
	ASSERT_OK(client_end(&a));
	ASSERT(client_start(&b, rig));
	ASSERT_EQ(write(b.fd, "two", 3), 3);
	ASSERT(fake_agent_wait_input(&rig->agent, 6));
	ASSERT_STREQ(rig->agent.stdin_data.data, "onetwo");
	ASSERT(!rig->agent.eof);
	fake_agent_exit(&rig->agent, 0);
	ASSERT_OK(client_end(&b));
}

/* Goal: 32 MB through cat come back whole though each side waits for the other now and then. */
TEST(cat)
{
	_cleanup_rig_ struct rig *rig = rig_new(STDIN_ONCE | WITH_LOG);
	struct client c = {.attach = {.in = true, .out = true}};
	static unsigned char data[65536];
	struct drain d = {0};
	pthread_t thread;
	uint64_t at = 0;
	int64_t began;

	ASSERT(client_start(&c, rig));
	ASSERT_OK(rig_start(rig, "cat"));
	d.fd = c.fd;
	began = clock_monotonic_ns();
	ASSERT_OK(pthread_create(&thread, NULL, drain_thread, &d));
	while (at < MIB(32)) {
		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = fake_byte(at + i);
		ASSERT_OK(fs_write_all(c.fd, data, sizeof(data)));
		at += sizeof(data);
	}
	ASSERT_OK(shutdown(c.fd, SHUT_WR));
	pthread_join(thread, NULL);
	printf("# %llu MB/s with log\n",
	       (unsigned long long)(at * 1000 / (uint64_t)(clock_monotonic_ns() - began)));
	ASSERT_EQ(d.bytes, MIB(32));
	ASSERT(!d.wrong);
	ASSERT_OK(client_end(&c));
}

/* Goal: a process that ignores its stdin stalls who writes to it, and its output flows on. */
TEST(input_that_is_not_read_stalls_only_the_writer)
{
	_cleanup_rig_ struct rig *rig = rig_new(0);
	struct client c = {.attach = {.in = true, .out = true}};
	static char data[65536];
	size_t sent = 0;
	int idle = 0;

	rig->agent.refuse_input = true;
	ASSERT(client_start(&c, rig));
	ASSERT_OK(rig_start(rig, "sh"));
	while (idle < 20 && sent < MIB(64)) {
		ssize_t n = send(c.fd, data, sizeof(data), MSG_DONTWAIT);

		if (n > 0) {
			sent += (size_t)n;
			idle = 0;
		} else {
			idle++;
			(void)usleep(10000);
		}
	}
	ASSERT(sent < MIB(4));
	fake_agent_say(&rig->agent, 1, "alive");
	ASSERT(read_text(c.fd, "alive"));
	fake_agent_exit(&rig->agent, 0);
	ASSERT_OK(client_end(&c));
}

TEST(detach_keys)
{
	_cleanup_rig_ struct rig *rig = rig_new(TTY);
	struct client c = {.attach = {.in = true, .out = true, .detach_keys = "ctrl-p,ctrl-q"}};

	ASSERT(client_start(&c, rig));
	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT_EQ(write(c.fd, "a\x10z\x10", 4), 4);
	ASSERT(fake_agent_wait_input(&rig->agent, 3));
	ASSERT_EQ(write(c.fd, "\x11rest", 5), 5);
	ASSERT_EQ(client_end(&c), STDIO_E_DETACHED);
	ASSERT_STREQ(rig->agent.stdin_data.data, "a\x10z");
}

TEST(bad_detach_keys_are_refused)
{
	_cleanup_rig_ struct rig *rig = rig_new(TTY);
	struct stdio_attach attach = {.fd = -EBADF, .detach_keys = "ctrl-p,x1"};
	struct err err = {0};

	ASSERT_ERROR(stdio_attach(rig->io, &attach, &err), EINVAL);
	ASSERT_EQ(err.kind, ERR_INVALID);
	ASSERT_STREQ(err.msg, "Invalid detach keys (ctrl-p,x1) provided");
	ASSERT_ERROR(stdio_keys_check("a,", &err), EINVAL);
	ASSERT_OK(stdio_keys_check("a,ctrl-@,DEL", &err));
	ASSERT_OK(stdio_keys_check(NULL, &err));
}

TEST_MAIN()
