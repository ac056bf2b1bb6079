/* SPDX-License-Identifier: Apache-2.0 */
/* test-process.c - processes, records, sockets and managers, without a QEMU */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/loop.h"
#include "base/str.h"
#include "unit/test.h"
#include "vm/argv.h"
#include "vm/qemu.h"
#include "vm/sandbox.h"
#include "vm/sock.h"
#include "vm/vm.h"

static struct loop *loop;
static char dir[] = "/tmp/arca-vm-unit-XXXXXX";
static atomic_int gone;

static void on_gone(void *user)
{
	(void)user;
	gone++;
}

static int spawn(const char *script, struct qemu **ret_qemu)
{
	char *words[] = {(char *)"/bin/sh", (char *)"-c", (char *)script, NULL};
	struct vm_argv argv = {.v = words, .n = 3};
	struct err err = {};

	gone = 0;
	return qemu_spawn(loop, &argv, NULL, 0, on_gone, NULL, ret_qemu, &err);
}

static bool wait_gone(void)
{
	for (int i = 0; i < 500 && gone == 0; i++)
		usleep(10000);
	return gone > 0;
}

TEST(set_up)
{
	ASSERT(mkdtemp(dir));
	ASSERT_OK(loop_new(&loop));
}

TEST(an_exit_is_reaped_and_told_once)
{
	__attribute__((cleanup(qemu_freep))) struct qemu *qemu = NULL;
	char line[64];

	ASSERT_OK(spawn("echo first; echo last words >&2; exit 7", &qemu));
	ASSERT(qemu_wait(qemu, 5000));
	ASSERT(qemu_is_gone(qemu));
	ASSERT_EQ(qemu_exit_status(qemu), 7);
	ASSERT(wait_gone());
	ASSERT_EQ(gone, 1);
	ASSERT(waitpid(qemu_pid(qemu), NULL, WNOHANG) < 0); /* nothing left to reap */
	qemu_last_line(qemu, line, sizeof(line));
	ASSERT_STREQ(line, "last words");
}

/* Goal: a QEMU that prints without end neither fills anything nor waits; its first words stay. */
TEST(output_is_bounded_and_never_blocks)
{
	__attribute__((cleanup(qemu_freep))) struct qemu *qemu = NULL;
	char line[64];

	ASSERT_OK(spawn("printf 'a\\001b: %04000d' 7 >&2; yes 0123456789 | head -c 10000000 >&2; "
			"exit 3",
			&qemu));
	ASSERT(qemu_wait(qemu, 20000));
	ASSERT_EQ(qemu_exit_status(qemu), 3);
	qemu_last_line(qemu, line, sizeof(line));
	ASSERT(str_starts(line, "0123"));
	qemu_last_line(qemu, line, sizeof(line));
	ASSERT_STREQ(line, "");
}

TEST(a_last_line_is_made_harmless)
{
	__attribute__((cleanup(qemu_freep))) struct qemu *qemu = NULL;
	char line[16];

	ASSERT_OK(spawn("printf 'first\\na\\033[1mb\\tc and so on\\n\\r\\n'", &qemu));
	ASSERT(qemu_wait(qemu, 5000));
	qemu_last_line(qemu, line, sizeof(line));
	ASSERT_STREQ(line, "a [1mb c and so");
}

/* Goal: QEMU, which ignores SIGPIPE, may print when nobody is there to read any more. */
TEST(output_without_a_daemon_harms_nobody)
{
	_cleanup_free_ char *mark = str_format("%s/lived", dir);
	_cleanup_free_ char *script = str_format(
		"trap '' PIPE; sleep 0.3; head -c 100000 /dev/zero >&2; echo alive >%s", mark);
	struct qemu *qemu = NULL;
	pid_t pid;

	ASSERT_OK(spawn(script, &qemu));
	pid = qemu_pid(qemu);
	qemu_free(qemu);
	ASSERT_EQ(waitpid(pid, NULL, 0), pid);
	ASSERT(fs_exists(mark));
}

TEST(a_kill_is_reaped)
{
	__attribute__((cleanup(qemu_freep))) struct qemu *qemu = NULL;

	ASSERT_OK(spawn("exec sleep 100", &qemu));
	ASSERT(!qemu_wait(qemu, 50));
	ASSERT(!qemu_is_gone(qemu));
	ASSERT_EQ(getsid(qemu_pid(qemu)), qemu_pid(qemu)); /* a session of its own */
	qemu_kill(qemu);
	ASSERT(qemu_wait(qemu, 5000));
	ASSERT_EQ(qemu_exit_status(qemu), 128 + SIGKILL);
	qemu_kill(qemu); /* harmless */
}

TEST(free_leaves_the_process_and_silence)
{
	struct qemu *qemu = NULL;
	pid_t pid;

	ASSERT_OK(spawn("exec sleep 100", &qemu));
	pid = qemu_pid(qemu);
	qemu_free(qemu);
	ASSERT_OK(kill(pid, 0));
	ASSERT_OK(kill(pid, SIGKILL));
	ASSERT_EQ(waitpid(pid, NULL, 0), pid);
	ASSERT_EQ(gone, 0);
}

TEST(a_missing_program_is_an_error)
{
	char *words[] = {(char *)"/nonexistent/qemu", NULL};
	struct vm_argv argv = {.v = words, .n = 1};
	struct qemu *qemu = NULL;
	struct err err = {};

	ASSERT_ERROR(qemu_spawn(loop, &argv, NULL, 0, NULL, NULL, &qemu, &err), ENOENT);
	ASSERT(!qemu);
	ASSERT_EQ(err.kind, ERR_INTERNAL);
}

TEST(attach_wants_pid_and_start_time)
{
	__attribute__((cleanup(qemu_discardp))) struct qemu *child = NULL;
	__attribute__((cleanup(qemu_freep))) struct qemu *again = NULL;
	uint64_t ticks;

	ASSERT_OK(spawn("exec sleep 100", &child));
	ticks = qemu_start_ticks(child);
	ASSERT(ticks > 0);
	ASSERT_ERROR(qemu_attach(loop, qemu_pid(child), ticks + 1, NULL, NULL, &again), ESRCH);
	ASSERT_ERROR(qemu_attach(loop, qemu_pid(child), 0, NULL, NULL, &again), ESRCH);
	ASSERT_ERROR(qemu_attach(loop, 1, ticks, NULL, NULL, &again), ESRCH);
	ASSERT_ERROR(qemu_attach(loop, 0x7ffffff0, ticks, NULL, NULL, &again), ESRCH);
	ASSERT(!again);
	ASSERT_OK(qemu_attach(loop, qemu_pid(child), ticks, on_gone, NULL, &again));
	gone = 0;
	qemu_kill(child);
	ASSERT(qemu_wait(again, 5000));
	ASSERT_EQ(qemu_exit_status(again), -1); /* not ours to know */
}

TEST(records_survive_and_lies_do_not)
{
	static const char *const lies[] = {
		"",
		"{",
		"[]",
		"{\"pid\":1,\"start_ticks\":5,\"token\":\"00\"}",
		"{\"pid\":77,\"start_ticks\":5,\"token\":\"00\"}",
		"{\"pid\":77,\"start_ticks\":-5}",
		"{\"pid\":\"77\",\"start_ticks\":5,\"token\":7}",
	};
	struct sandbox sb = {.dir = dir, .record = {.pid = 77, .start_ticks = 1234567890123}};
	struct sandbox_record record = {.pid = 3};
	char path[128];

	memset(sb.record.token, 0xa5, sizeof(sb.record.token));
	ASSERT_ERROR(sandbox_record_read(dir, &record), ENOENT);
	ASSERT_OK(sandbox_record_write(&sb));
	ASSERT_OK(sandbox_record_read(dir, &record));
	ASSERT_EQ(record.pid, 77);
	ASSERT_EQ(record.start_ticks, 1234567890123);
	ASSERT(memcmp(record.token, sb.record.token, sizeof(record.token)) == 0);
	ASSERT(!sandbox_is_alive(dir));
	(void)snprintf(path, sizeof(path), "%s/vm.json", dir);
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		ASSERT_OK(fs_write_file(path, lies[i], strlen(lies[i]), 0600));
		ASSERT_ERROR(sandbox_record_read(dir, &record), EBADMSG);
	}
	ASSERT_EQ(record.pid, 77);
}

/* Goal: a folder deeper than a socket address is long. */
TEST(sockets_in_deep_folders)
{
	int listener = -1, client = -1, server;
	char deep[512], byte = 0;

	(void)snprintf(deep, sizeof(deep), "%s/%0200d", dir, 0);
	ASSERT_OK(fs_mkdir_p(deep, 0700));
	ASSERT_ERROR(sock_connect(deep, "s.sock", &client), ENOENT);
	ASSERT_OK(sock_listen(deep, "s.sock", &listener));
	ASSERT_OK(sock_connect(deep, "s.sock", &client)); /* before anybody accepts */
	ASSERT_EQ(send(client, "x", 1, 0), 1);
	server = accept(listener, NULL, NULL);
	ASSERT(server >= 0);
	ASSERT_EQ(read(server, &byte, 1), 1);
	ASSERT_EQ(byte, 'x');
	close(server);
	close(client);
	close(listener);
}

static int manager(const char *qemu, const char *kernel, struct err *err)
{
	char templates[128], run[128];
	struct vm_config config = {.qemu_path = qemu,
				   .kernel_path = kernel,
				   .initrd_path = "/nonexistent/initrd",
				   .template_dir = templates,
				   .run_dir = run,
				   .accel = VM_ACCEL_TCG};
	struct vmm *vmm = NULL;
	int r;

	(void)snprintf(templates, sizeof(templates), "%s/templates", dir);
	(void)snprintf(run, sizeof(run), "%s/run", dir);
	r = vmm_new(loop, &config, &vmm, err);
	vmm_free(vmm);
	return r;
}

TEST(what_is_missing_is_named)
{
	struct err err = {};
	char fake[128];

	ASSERT(manager("qemu-system-nonexistent", "/etc/passwd", &err) < 0);
	ASSERT_STREQ(err.msg, "cannot find qemu-system-nonexistent; install the package "
			      "qemu-system-x86");
	ASSERT(manager("/bin/true", "/etc/passwd", &err) < 0);
	ASSERT(strstr(err.msg, "/bin/true"));
	(void)snprintf(fake, sizeof(fake), "%s/qemu", dir);
	ASSERT_OK(fs_write_file(fake, "#!/bin/sh\necho QEMU emulator version 9.9.9 \\(x\\)\n", 45,
				0755));
	ASSERT(manager(fake, "/nonexistent/vmlinux", &err) < 0);
	ASSERT(strstr(err.msg, "cannot find the guest kernel /nonexistent/vmlinux"));
	ASSERT(manager(fake, "/etc/passwd", &err) < 0);
	ASSERT(strstr(err.msg, "cannot find the guest initrd"));
}

TEST(clean_up)
{
	loop_free(loop);
	ASSERT_OK(fs_remove_tree(dir));
}

TEST_MAIN()
