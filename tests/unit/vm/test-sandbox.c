/* SPDX-License-Identifier: Apache-2.0 */
/* test-sandbox.c - sandboxes whose QEMU, or whose agent, fails in every way a fake one can */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/id.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/proc.h"
#include "base/str.h"
#include "unit/test.h"
#include "vm/accel.h"
#include "vm/qemu.h"
#include "vm/sandbox.h"
#include "vm/vm.h"
#include "vm/vmm.h"

#ifndef FAKE_QEMU
#define FAKE_QEMU "tests/unit/vm/fake-qemu.py"
#endif

DEFINE_CLEANUP(struct vmm *, vmm_free)

static struct loop *loop;
static struct vmm *vmm;
static char dir[] = "/tmp/arca-sandbox-XXXXXX";
static char templates[64], run[64], upper[64];
static const struct vm_shape shape = {1, 256};
static atomic_int gone;

static void on_gone(void *user)
{
	(void)user;
	gone++;
}

static int put(const char *name, const char *text)
{
	_cleanup_free_ char *path = str_format("%s/%s", dir, name);

	return fs_write_file(path, text, strlen(text), 0600);
}

/* A template that passes for whole; the fake never looks into it. */
static int make_template(void)
{
	_cleanup_free_ char *folder = str_format("templates/%s-tcg-1x256", vmm->fingerprint);
	_cleanup_free_ char *path = str_format("%s/%s", dir, folder);
	_cleanup_free_ char *memory = str_format("%s/memory", folder);
	_cleanup_free_ char *state = str_format("%s/state", folder);
	_cleanup_free_ char *info = str_format("%s/info.json", folder);
	int r = fs_mkdir_p(path, 0700);

	if (r == 0)
		r = put(memory, "1234");
	if (r == 0)
		r = put(state, "12");
	return r < 0 ? r : put(info, "{\"memory_bytes\":4,\"state_bytes\":2}");
}

TEST(set_up)
{
	struct vm_config config = {.qemu_path = FAKE_QEMU,
				   .kernel_path = "/etc/passwd",
				   .initrd_path = "/etc/passwd",
				   .template_dir = templates,
				   .run_dir = run,
				   .accel = VM_ACCEL_TCG};
	struct err err = {};

	log_set_level(LOG_FATAL);
	ASSERT(mkdtemp(dir));
	(void)snprintf(templates, sizeof(templates), "%s/templates", dir);
	(void)snprintf(run, sizeof(run), "%s/run", dir);
	(void)snprintf(upper, sizeof(upper), "%s/upper", dir);
	ASSERT_OK(loop_new(&loop));
	if (vmm_new(loop, &config, &vmm, &err) < 0)
		TEST_FAIL("%s", err.msg);
	ASSERT_STREQ(vmm_qemu_version(vmm), "0.0.1");
	ASSERT_STREQ(vmm_accel(vmm), "tcg");
	ASSERT_OK(make_template());
}

static int start(const char *mode, char id[static ID_BUF], struct sandbox **ret_sb, struct err *err)
{
	struct sandbox_spec spec = {
		.id = id, .shape = shape, .root_disk = "/dev/null", .upper_disk = upper};

	id_generate(id);
	gone = 0;
	if (put("upper", mode) < 0)
		return -EIO;
	return sandbox_start(vmm, &spec, on_gone, NULL, ret_sb, err);
}

static bool left_behind(const char *id)
{
	_cleanup_free_ char *path = str_format("%s/%s", run, id);

	return fs_exists(path);
}

static bool wait_gone(void)
{
	for (int i = 0; i < 1000 && gone == 0; i++)
		usleep(10000);
	return gone > 0;
}

TEST(starts_that_fail_say_why_and_leave_nothing)
{
	static const struct {
		const char *mode, *text;
	} cases[] = {
		{"die", "fake: I shall not run"},
		{"vanish", ""},
		{"nonsense", ""},
		{"refuse", "this state is from another machine"},
		{"corrupt", "load of migration failed"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct sandbox *sb = NULL;
		struct err err = {};
		char id[ID_BUF];

		if (start(cases[i].mode, id, &sb, &err) >= 0)
			TEST_FAIL("%s: it started", cases[i].mode);
		ASSERT(!sb);
		ASSERT_EQ(err.kind, ERR_INTERNAL);
		if (!strstr(err.msg, cases[i].text) || !*err.msg)
			TEST_FAIL("%s: %s", cases[i].mode, err.msg);
		ASSERT(!left_behind(id));
		ASSERT_EQ(gone, 0); /* the caller knows already */
	}
}

/* Goal: an agent that never answers costs a bounded time, not a VM for ever. */
TEST(a_mute_agent_is_ended)
{
	struct sandbox *sb = NULL;
	struct err err = {};
	char id[ID_BUF];

	vmm->hello_timeout_ms = 300;
	if (start("mute", id, &sb, &err) < 0)
		TEST_FAIL("%s", err.msg);
	ASSERT(wait_gone());
	sandbox_free(sb);
	ASSERT_EQ(gone, 1);
	ASSERT(!left_behind(id));
	vmm->hello_timeout_ms = 60000;
}

/* Goal: megabytes of noise instead of an agent end that VM, and nothing else. */
TEST(a_babbling_agent_is_ended)
{
	struct sandbox *sb = NULL;
	struct err err = {};
	char id[ID_BUF];

	if (start("babble", id, &sb, &err) < 0)
		TEST_FAIL("%s", err.msg);
	ASSERT(wait_gone());
	sandbox_free(sb);
	ASSERT(!left_behind(id));
}

/* Goal: a guest that makes QEMU print fills no disk. */
TEST(what_qemu_prints_is_not_kept)
{
	_cleanup_closedir_ DIR *folder = NULL;
	_cleanup_free_ char *path = NULL;
	struct sandbox *sb = NULL;
	struct err err = {};
	struct dirent *entry;
	char id[ID_BUF];
	off_t bytes = 0;
	struct stat st;

	if (start("chatty", id, &sb, &err) < 0) /* 9 MB before this returns */
		TEST_FAIL("%s", err.msg);
	path = str_format("%s/%s", run, id);
	folder = opendir(path);
	ASSERT(folder);
	while ((entry = readdir(folder)))
		if (fstatat(dirfd(folder), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			bytes += st.st_size;
	ASSERT(bytes > 0); /* vm.json */
	ASSERT(bytes < 4096);
	sandbox_stop(sb, 0);
	sandbox_free(sb);
}

TEST(stop_does_not_wait_for_a_mute_agent)
{
	struct sandbox *sb = NULL;
	struct err err = {};
	uint64_t t0;
	char id[ID_BUF];

	if (start("mute", id, &sb, &err) < 0)
		TEST_FAIL("%s", err.msg);
	t0 = clock_us();
	sandbox_stop(sb, 200);
	ASSERT(clock_us() - t0 >= 200000);
	ASSERT(clock_us() - t0 < 5000000);
	ASSERT(wait_gone());
	ASSERT_EQ(gone, 1);
	sandbox_free(sb);
	ASSERT(!left_behind(id));
}

TEST(free_right_after_start)
{
	struct sandbox *sb = NULL;
	struct err err = {};
	char id[ID_BUF];
	pid_t pid;

	if (start("mute", id, &sb, &err) < 0)
		TEST_FAIL("%s", err.msg);
	pid = sandbox_pid(sb);
	sandbox_free(sb);
	ASSERT_OK(kill(pid, 0)); /* left alone */
	ASSERT(left_behind(id));
	ASSERT_OK(kill(pid, SIGKILL));
	ASSERT_EQ(gone, 0);
}

/* Goal: a second VM of the same name neither starts nor harms the first. */
TEST(an_id_in_use_is_refused)
{
	struct sandbox_spec spec = {.shape = shape, .root_disk = "/dev/null", .upper_disk = upper};
	struct sandbox *sb = NULL, *second = NULL;
	struct err err = {};
	char id[ID_BUF];

	if (start("mute", id, &sb, &err) < 0)
		TEST_FAIL("%s", err.msg);
	spec.id = id;
	ASSERT_ERROR(sandbox_start(vmm, &spec, on_gone, NULL, &second, &err), EEXIST);
	ASSERT(!second);
	ASSERT(left_behind(id));
	ASSERT_OK(kill(sandbox_pid(sb), 0));
	sandbox_stop(sb, 0);
	sandbox_free(sb);
}

/* Goal: a VM whose guest never ran, or whose agent is mute, is of no use: ended, not adopted. */
TEST(a_vm_that_never_ran_is_not_adopted)
{
	struct Arca__V1__HelloResponse *hello = NULL;
	struct sandbox *sb = NULL;
	struct err err = {};
	char id[ID_BUF];
	pid_t pid;

	if (start("paused", id, &sb, &err) < 0)
		TEST_FAIL("%s", err.msg);
	pid = sandbox_pid(sb);
	sandbox_free(sb);
	ASSERT_ERROR(sandbox_adopt(vmm, id, on_gone, NULL, &sb, &hello, &err), ENOENT);
	ASSERT(!left_behind(id));
	usleep(50000);
	ASSERT(kill(pid, 0) < 0 || proc_start_ticks(pid, &(uint64_t){0}) == -ESRCH);
}

static bool is_dead(pid_t pid)
{
	uint64_t ticks;

	for (int i = 0; i < 500 && proc_start_ticks(pid, &ticks) == 0; i++)
		usleep(10000);
	return proc_start_ticks(pid, &ticks) == -ESRCH;
}

static bool keep_none(void *user UNUSED, const char *id UNUSED)
{
	return false;
}

/* Goal: a daemon killed before it wrote down its QEMU leaves none behind. */
TEST(a_vm_without_a_record_is_ended)
{
	struct Arca__V1__HelloResponse *hello = NULL;
	struct sandbox *sb = NULL;
	struct err err = {};
	char id[ID_BUF];

	for (int i = 0; i < 2; i++) {
		_cleanup_free_ char *record = NULL;
		pid_t pid;

		if (start("patient", id, &sb, &err) < 0)
			TEST_FAIL("%s", err.msg);
		record = str_format("%s/%s/vm.json", run, id);
		pid = sandbox_pid(sb);
		sandbox_free(sb);
		sb = NULL;
		ASSERT_OK(unlink(record));
		if (i == 0)
			ASSERT_ERROR(sandbox_adopt(vmm, id, on_gone, NULL, &sb, &hello, &err),
				     ENOENT);
		else
			ASSERT_OK(vmm_sweep(vmm, keep_none, NULL));
		ASSERT(!left_behind(id));
		ASSERT(is_dead(pid));
	}
}

/* Goal: nor does one killed while it made a template. */
TEST(a_half_made_template_has_no_vm)
{
	_cleanup_free_ char *half = str_format("%s/0123456789abcdef-tcg-1x256.tmp", templates);
	_cleanup_free_ char *from = NULL, *record = NULL;
	struct vm_config config = {.qemu_path = FAKE_QEMU,
				   .kernel_path = "/etc/passwd",
				   .initrd_path = "/etc/passwd",
				   .template_dir = templates,
				   .run_dir = run,
				   .accel = VM_ACCEL_TCG};
	struct sandbox *sb = NULL;
	struct vmm *second = NULL;
	struct err err = {};
	char id[ID_BUF];
	pid_t pid;

	if (start("patient", id, &sb, &err) < 0)
		TEST_FAIL("%s", err.msg);
	pid = sandbox_pid(sb);
	sandbox_free(sb);
	from = str_format("%s/%s", run, id);
	ASSERT_OK(rename(from, half)); /* its sockets are what a build's look like */
	ASSERT_OK(vmm_new(loop, &config, &second, &err));
	vmm_free(second);
	ASSERT(!fs_exists(half));
	ASSERT(is_dead(pid));
}

TEST(shapes_that_cannot_be)
{
	static const struct vm_shape shapes[] = {
		{0, 256}, {1, 0}, {1, 64}, {65, 256}, {1, 1 << 21}};
	struct err err = {};

	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		ASSERT(vmm_prepare(vmm, shapes[i], &err) < 0);
		ASSERT_EQ(err.kind, ERR_INVALID);
	}
}

/* The first template of a daemon that has to find out, where the emulated one is there already. */
static int try_kvm(const char *behaviour, struct vmm **ret_vmm)
{
	struct vm_config config = {.qemu_path = FAKE_QEMU,
				   .kernel_path = "/etc/passwd",
				   .initrd_path = "/etc/passwd",
				   .template_dir = templates,
				   .run_dir = run,
				   .accel = VM_ACCEL_TCG};
	struct err err = {};
	int r = vmm_new(loop, &config, ret_vmm, &err);

	if (r < 0)
		return r;
	(*ret_vmm)->accel = (*ret_vmm)->accel_wanted = VM_ACCEL_AUTO;
	(*ret_vmm)->kvm_deadline_ms = 300;
	(void)setenv("FAKE_BOOT", behaviour, 1);
	r = vmm_prepare(*ret_vmm, shape, &err);
	(void)unsetenv("FAKE_BOOT");
	return r;
}

/* Goal: a busy host does not cost KVM for good, nor every start its deadline. */
TEST(a_late_kvm_is_tried_again_and_a_broken_one_is_not)
{
	static const int64_t year_s = 366LL * 24 * 3600;
	_cleanup_(vmm_freep) struct vmm *late = NULL, *broken = NULL;
	int64_t now_s;

	ASSERT_OK(try_kvm("mute", &late));
	now_s = clock_realtime_ns() / NSEC_PER_SEC;
	ASSERT_STREQ(vmm_accel(late), "tcg");
	ASSERT_EQ(accel_load(late, now_s), VM_ACCEL_TCG); /* a daemon that starts soon */
	ASSERT_EQ(accel_load(late, now_s + ACCEL_DOUBT_S - 60), VM_ACCEL_TCG);
	ASSERT_EQ(accel_load(late, now_s + ACCEL_DOUBT_S + 60), VM_ACCEL_AUTO);
	ASSERT_EQ(accel_load(late, now_s - 60), VM_ACCEL_AUTO); /* the clock was wrong */
	ASSERT_OK(try_kvm("die", &broken));
	ASSERT_STREQ(vmm_accel(broken), "tcg");
	ASSERT_EQ(accel_load(broken, now_s), VM_ACCEL_TCG);
	ASSERT_EQ(accel_load(broken, now_s + year_s), VM_ACCEL_TCG);
	accel_decide(broken, VM_ACCEL_KVM, false);
	ASSERT_EQ(accel_load(broken, now_s + year_s), VM_ACCEL_KVM);
}

/* Goal: a template with a file cut short is not trusted. */
TEST(a_half_template_is_not_used)
{
	_cleanup_free_ char *name = NULL;
	struct vm_config config = {.qemu_path = "/bin/false",
				   .kernel_path = "/etc/passwd",
				   .initrd_path = "/etc/passwd",
				   .template_dir = templates,
				   .run_dir = run,
				   .accel = VM_ACCEL_TCG};
	struct vmm *second = NULL;
	struct err err = {};
	uint64_t t0 = clock_us();

	config.qemu_path = FAKE_QEMU;
	name = str_format("templates/%s-tcg-1x256/state", vmm->fingerprint);
	ASSERT_OK(put(name, "1"));
	ASSERT_OK(vmm_new(loop, &config, &second, &err));
	ASSERT(vmm_prepare(second, shape, &err) < 0); /* the fake cannot make a new one */
	ASSERT_EQ(err.kind, ERR_INTERNAL);
	ASSERT(clock_us() - t0 < 20000000);
	vmm_free(second);
}

static void *prepare(void *err)
{
	static const struct vm_shape other = {2, 256};

	return (void *)(intptr_t)vmm_prepare(vmm, other, err);
}

/* Goal: a daemon that is told to end does not wait for a boot. Last: no build follows it. */
TEST(a_shutdown_ends_a_build)
{
	struct err err = {};
	pthread_t thread;
	void *r = NULL;
	uint64_t t0;

	ASSERT_OK(setenv("FAKE_BOOT", "hang", 1));
	ASSERT_OK(pthread_create(&thread, NULL, prepare, &err));
	usleep(300000);
	t0 = clock_us();
	vmm_end_builds(vmm);
	ASSERT_OK(pthread_join(thread, &r));
	ASSERT(clock_us() - t0 < 5000000);
	ASSERT_EQ((int)(intptr_t)r, -ECANCELED);
	ASSERT(str_starts(err.msg, "the daemon is shutting down"));
	ASSERT(prepare(&err) != NULL); /* at once */
}

TEST(an_upper_disk_is_a_copy)
{
	_cleanup_free_ char *path = str_format("%s/disk", dir);
	struct err err = {};
	struct stat st;

	if (upper_disk_create(vmm, path, &err) < 0)
		TEST_FAIL("%s", err.msg);
	ASSERT_OK(stat(path, &st));
	ASSERT_EQ(st.st_size, SANDBOX_UPPER_DISK_BYTES);
	ASSERT(st.st_blocks * 512 < 4 << 20); /* sparse */
	ASSERT_EQ(upper_disk_used(vmm, path), 0);
	ASSERT_EQ(upper_disk_used(vmm, "/nonexistent/disk"), 0);
	ASSERT_ERROR(upper_disk_create(vmm, path, &err), EEXIST);
	ASSERT(upper_disk_create(vmm, "/nonexistent/disk", &err) < 0);
}

TEST(clean_up)
{
	vmm_free(vmm);
	loop_free(loop);
	ASSERT_OK(fs_remove_tree(dir));
}

TEST_MAIN()
