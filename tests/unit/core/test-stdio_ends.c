/* SPDX-License-Identifier: Apache-2.0 */
#include "stdio_rig.h"

TEST(cancel_ends_an_attachment)
{
	_cleanup_rig_ struct rig *rig = rig_new(0);
	struct client c = {.attach = {.in = true, .out = true}};
	struct cancel cancel;

	cancel_init(&cancel);
	c.attach.cancel = &cancel;
	ASSERT(client_start(&c, rig));
	cancel_fire(&cancel);
	ASSERT_ERROR(client_end(&c), ECANCELED);
	cancel_done(&cancel);
}

/* Goal: attach with logs=1 shows what was, then what comes: no gap, nothing twice. */
TEST(replay_then_follow)
{
	_cleanup_rig_ struct rig *rig = rig_new(WITH_LOG);
	_cleanup_buf_ struct buf out = {0}, want = {0};
	struct client c = {.attach = {.out = true, .replay_log = true}};

	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT(rig_wait(rig, &rig->started));
	for (int i = 0; i < 2000; i++) {
		char text[32];

		(void)snprintf(text, sizeof(text), "line %d%s", i, i % 3 ? "\n" : "");
		buf_adds(&want, text);
		fake_agent_say(&rig->agent, 1, text);
		if (i == 1000)
			ASSERT(client_start(&c, rig));
	}
	fake_agent_exit(&rig->agent, 0);
	read_all(c.fd, &out);
	ASSERT_STREQ(out.data, want.data);
	ASSERT_OK(client_end(&c));
}

TEST(replay_alone_ends)
{
	_cleanup_rig_ struct rig *rig = rig_new(WITH_LOG);
	_cleanup_buf_ struct buf out = {0};
	struct client c = {.attach = {.out = true, .replay_log = true}};
	int fds[2];

	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT(rig_wait(rig, &rig->started));
	fake_agent_say(&rig->agent, 1, "old");
	for (int i = 0; i < 200 && container_log_durable(rig->log) == 0; i++) {
		(void)usleep(5000);
		(void)container_log_flush(rig->log);
	}
	ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	c.attach.fd = fds[1];
	ASSERT_OK(stdio_attach(rig->io, &c.attach, &c.err));
	close(fds[1]);
	read_all(fds[0], &out);
	ASSERT_STREQ(out.data, "old");
	close(fds[0]);
}

/* Goal: another daemon goes on where the log ends; nothing is lost or twice; exit code too. */
TEST(resume_by_another_daemon)
{
	_cleanup_rig_ struct rig *rig = rig_new(WITH_LOG);
	_cleanup_buf_ struct buf out = {0};
	struct container_log_options options = {.max_files = 1};
	struct err err = {0};
	char path[128];

	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT(rig_wait(rig, &rig->started));
	fake_agent_say(&rig->agent, 1, "one\nunfinished ");
	fake_agent_say(&rig->agent, 2, "err\n");
	for (int i = 0; i < 200 && rig->agent.acked < 4; i++)
		(void)usleep(10000);
	/* the daemon dies */
	stdio_free(TAKE_PTR(rig->io));
	rpc_client_free(TAKE_PTR(rig->rpc));
	container_log_close(TAKE_PTR(rig->log));
	fake_agent_say(&rig->agent, 1, "line\nlast");
	fake_agent_exit(&rig->agent, 9);
	ASSERT_OK(fake_agent_connect(&rig->agent, rig->loop, &rig->rpc));
	(void)snprintf(path, sizeof(path), "%s/log", rig->dir);
	ASSERT_OK(container_log_open(path, &options, false, &rig->log, &err));
	rig_new_io(rig, WITH_LOG);
	ASSERT_OK(stdio_resume(rig->io, rig->rpc, &err));
	ASSERT(rig_wait(rig, &rig->exited));
	ASSERT_EQ(rig->exit.code, 9);
	ASSERT(!rig->exit.lost);
	ASSERT_EQ(rig->agent.resume_from, 4);
	ASSERT_STREQ(log_text(rig, &out), "one\nerr\nunfinished line\nlast");
}

TEST(resume_of_a_process_nobody_knows)
{
	_cleanup_rig_ struct rig *rig = rig_new(WITH_LOG);
	struct err err = {0};

	ASSERT_OK(stdio_resume(rig->io, rig->rpc, &err));
	ASSERT(rig_wait(rig, &rig->exited));
	ASSERT(rig->exit.lost);
}

/* Goal: a channel that breaks under a living sandbox loses nothing for attached clients. */
TEST(resume_by_the_same_daemon)
{
	_cleanup_rig_ struct rig *rig = rig_new(WITH_LOG);
	_cleanup_buf_ struct buf out = {0};
	struct client c = {.attach = {.out = true}};
	struct err err = {0};

	ASSERT(client_start(&c, rig));
	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT(rig_wait(rig, &rig->started));
	fake_agent_say(&rig->agent, 1, "one\ntw");
	ASSERT(read_text(c.fd, "one\ntw"));
	rpc_client_free(TAKE_PTR(rig->rpc));
	ASSERT(!rig->exited);
	fake_agent_say(&rig->agent, 1, "o\n");
	ASSERT_OK(fake_agent_connect(&rig->agent, rig->loop, &rig->rpc));
	rig->started = false;
	ASSERT_OK(stdio_resume(rig->io, rig->rpc, &err));
	ASSERT(rig_wait(rig, &rig->started));
	fake_agent_exit(&rig->agent, 0);
	read_all(c.fd, &out);
	ASSERT_STREQ(out.data, "o\n");
	ASSERT_OK(client_end(&c));
	ASSERT_STREQ(log_text(rig, &out), "one\ntwo\n");
}

TEST(resize_before_and_after_the_start)
{
	_cleanup_rig_ struct rig *rig = rig_new(TTY);
	struct err err = {0};

	ASSERT_OK(stdio_resize(rig->io, 24, 80, &err));
	ASSERT_OK(rig_start(rig, "sh"));
	for (int i = 0; i < 200 && rig->agent.cols != 80; i++)
		(void)usleep(10000);
	ASSERT_EQ(rig->agent.rows, 24);
	ASSERT_OK(stdio_resize(rig->io, 50, 132, &err));
	for (int i = 0; i < 200 && rig->agent.cols != 132; i++)
		(void)usleep(10000);
	ASSERT_EQ(rig->agent.rows, 50);
}

/* Goal: an agent that sends beyond all bounds ends its own process, not the daemon. */
TEST(agent_that_breaks_the_rules)
{
	_cleanup_rig_ struct rig *rig = rig_new(0);
	struct client c = {.attach = {.out = true}};
	static char text[32769];

	memset(text, 'x', sizeof(text) - 1);
	ASSERT(client_start(&c, rig)); /* reads nothing */
	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT(rig_wait(rig, &rig->started));
	for (int i = 0; i < 400 && !rig->exited; i++) {
		fake_agent_say(&rig->agent, 1, text);
		(void)usleep(500);
	}
	ASSERT(rig_wait(rig, &rig->exited));
	ASSERT(rig->exit.lost);
	close(c.fd);
	c.fd = -1;
	(void)client_end(&c);
}

/* Goal: single bytes for a client that lags do not cost a message each. */
TEST(bytes_are_gathered)
{
	_cleanup_rig_ struct rig *rig = rig_new(0);
	_cleanup_buf_ struct buf out = {0};
	struct client c = {.attach = {.out = true}};

	ASSERT(client_start(&c, rig));
	ASSERT_OK(rig_start(rig, "sh"));
	ASSERT(rig_wait(rig, &rig->started));
	for (int i = 0; i < 20000; i++)
		fake_agent_say(&rig->agent, i / 5000 % 2 + 1, "x");
	fake_agent_exit(&rig->agent, 0);
	read_all(c.fd, &out);
	ASSERT_EQ(out.len, 10000);
	ASSERT_OK(client_end(&c));
}

TEST_MAIN()
