/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-vm-live.c - real VMs: template, clones, stop, loss, and a daemon that comes back
 *
 * usage: test-vm-live GUEST_DIR (with vmlinux and initrd.img; skipped if they are not there)
 *
 * Every test goes on with the template that the first one made. ARCA_TEST_DIR names the scratch
 * folder (default: made below /tmp, removed at the end); ARCA_TEST_ACCEL the accelerator ("tcg").
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/id.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/str.h"
#include "rpc/client.h"
#include "unit/test.h"
#include "vm/vm.h"

#define CLONES 3
#define CROWD 10

static struct loop *loop;
static struct vmm *vmm;
static const char *guest_dir;
static char dir[256], kernel[512], initrd[512], templates[300], run[300], root_disk[300];
static const struct vm_shape shape = {.vcpus = 1, .memory_mib = 256};

struct clone {
	char id[ID_BUF];
	char upper[512];
	struct sandbox *sb;
	atomic_int gone;
};

static void clone_on_gone(void *user)
{
	struct clone *c = user;

	c->gone++;
}

static int vmm_open(struct vmm **ret_vmm, struct err *err)
{
	const struct vm_config config = {
		.kernel_path = kernel,
		.initrd_path = initrd,
		.template_dir = templates,
		.run_dir = run,
		.accel = str_eq(getenv("ARCA_TEST_ACCEL") ?: "tcg", "auto") ? VM_ACCEL_AUTO
									    : VM_ACCEL_TCG,
	};

	return vmm_new(loop, &config, ret_vmm, err);
}

static int clone_start(struct clone *c, struct err *err)
{
	struct sandbox_spec spec = {.shape = shape, .root_disk = root_disk};
	int r;

	id_generate(c->id);
	(void)snprintf(c->upper, sizeof(c->upper), "%s/%.12s.ext4", dir, c->id);
	r = upper_disk_create(vmm, c->upper, err);
	if (r < 0)
		return r;
	spec.id = c->id;
	spec.upper_disk = c->upper;
	return sandbox_start(vmm, &spec, clone_on_gone, c, &c->sb, err);
}

static int clone_ask(struct clone *c, struct err *err)
{
	Arca__V1__ListRequest request = ARCA__V1__LIST_REQUEST__INIT;

	request.container_id = c->id;
	return rpc_call(sandbox_rpc(c->sb), "/arca.v1.Process/List", &request.base,
			&arca__v1__list_response__descriptor, 20000, NULL, err);
}

static bool wait_for(atomic_int *flag, int value)
{
	for (int i = 0; i < 1000 && *flag != value; i++)
		usleep(10000);
	return *flag == value;
}

static bool run_dir_has(const char *id)
{
	char path[1024];

	(void)snprintf(path, sizeof(path), "%.*s/%.*s", 300, run, ID_LEN, id);
	return fs_exists(path);
}

static long pss_kib(pid_t pid)
{
	_cleanup_free_ char *path = str_format("/proc/%d/smaps_rollup", (int)pid), *text = NULL;
	const char *p;

	if (!path || fs_read_file(path, 65536, &text, NULL) < 0)
		return -1;
	p = strstr(text, "\nPss:");
	return p ? atol(p + 5) : -1;
}

static void *prepare_thread(void *arg)
{
	struct err err = {};

	if (vmm_prepare(arg, shape, &err) < 0) {
		printf("# %s\n", err.msg);
		return arg;
	}
	return NULL;
}

/* Goal: three callers at once cost one boot; a second daemon finds what the first one made. */
TEST(template_is_built_once)
{
	struct err err = {};
	uint64_t t0 = clock_us(), t1;
	pthread_t threads[CLONES];
	struct vmm *second;
	void *failed;
	int failures = 0;

	if (vmm_open(&vmm, &err) < 0)
		TEST_FAIL("%s", err.msg);
	for (int i = 0; i < CLONES; i++)
		ASSERT_OK(pthread_create(&threads[i], NULL, prepare_thread, vmm));
	for (int i = 0; i < CLONES; i++) {
		pthread_join(threads[i], &failed);
		failures += failed != NULL;
	}
	ASSERT_EQ(failures, 0);
	t1 = clock_us();
	printf("# template after %llu ms, QEMU %s, kernel %s, %s\n",
	       (unsigned long long)(t1 - t0) / 1000, vmm_qemu_version(vmm), vmm_kernel_release(vmm),
	       vmm_accel(vmm));
	ASSERT(!str_eq(vmm_accel(vmm), "auto"));

	if (vmm_open(&second, &err) < 0)
		TEST_FAIL("%s", err.msg);
	t0 = clock_us();
	ASSERT_OK(vmm_prepare(second, shape, &err));
	ASSERT(clock_us() - t0 < 100000);
	vmm_free(second);
}

/* Goal: clones answer soon, and are not each other. */
TEST(clones_run_side_by_side)
{
	struct clone clones[CLONES] = {};
	struct err err = {};

	for (int i = 0; i < CLONES; i++) {
		uint64_t t0 = clock_us(), t1;

		if (clone_start(&clones[i], &err) < 0)
			TEST_FAIL("%s", err.msg);
		t1 = clock_us();
		if (clone_ask(&clones[i], &err) < 0)
			TEST_FAIL("%s", err.msg);
		printf("# clone %d: started %llu us, answered %llu us\n", i,
		       (unsigned long long)(t1 - t0), (unsigned long long)(clock_us() - t0));
	}
	usleep(500000);
	for (int i = 0; i < CLONES; i++)
		printf("# clone %d: PSS %ld KiB\n", i, pss_kib(sandbox_pid(clones[i].sb)));
	for (int i = 0; i < CLONES; i++) {
		uint64_t t0 = clock_us();

		ASSERT_EQ(clones[i].gone, 0);
		sandbox_stop(clones[i].sb, 10000);
		printf("# clone %d: stopped after %llu ms\n", i,
		       (unsigned long long)(clock_us() - t0) / 1000);
		ASSERT(clock_us() - t0 < 9000000); /* asked, not killed */
		ASSERT(wait_for(&clones[i].gone, 1));
		sandbox_free(clones[i].sb);
		ASSERT(!run_dir_has(clones[i].id));
		(void)unlink(clones[i].upper);
	}
}

struct crowd {
	pthread_t thread;
	struct clone clone;
	struct err err;
	bool ok;
};

static void *crowd_thread(void *arg)
{
	struct crowd *c = arg;

	c->ok = clone_start(&c->clone, &c->err) == 0 && clone_ask(&c->clone, &c->err) >= 0;
	if (c->clone.sb) {
		sandbox_stop(c->clone.sb, 20000);
		(void)wait_for(&c->clone.gone, 1); /* counted below */
		sandbox_free(c->clone.sb);
	}
	(void)unlink(c->clone.upper);
	return NULL;
}

/* Goal: many at once neither fail nor get into each other's way. */
TEST(a_crowd_starts_at_once)
{
	struct crowd crowd[CROWD] = {};
	uint64_t t0 = clock_us();
	int failures = 0;

	for (int i = 0; i < CROWD; i++)
		ASSERT_OK(pthread_create(&crowd[i].thread, NULL, crowd_thread, &crowd[i]));
	for (int i = 0; i < CROWD; i++) {
		pthread_join(crowd[i].thread, NULL);
		if (!crowd[i].ok)
			printf("# %s\n", crowd[i].err.msg);
		failures += !crowd[i].ok || crowd[i].clone.gone != 1;
	}
	printf("# %d at once: %llu ms\n", CROWD, (unsigned long long)(clock_us() - t0) / 1000);
	ASSERT_EQ(failures, 0);
}

/* Goal: a VM that is lost is told once, and leaves nothing. */
TEST(a_killed_qemu_is_told)
{
	struct clone c = {};
	struct err err = {};

	if (clone_start(&c, &err) < 0)
		TEST_FAIL("%s", err.msg);
	ASSERT_OK(kill(sandbox_pid(c.sb), SIGKILL));
	ASSERT(wait_for(&c.gone, 1));
	ASSERT_EQ(clone_ask(&c, &err), RPC_UNAVAILABLE);
	sandbox_stop(c.sb, 5000); /* nothing left to stop: returns at once */
	sandbox_free(c.sb);
	ASSERT_EQ(c.gone, 1);
	ASSERT(!run_dir_has(c.id));
	(void)unlink(c.upper);
}

/* Goal: the next daemon takes over a VM with its session, and can stop it. */
TEST(a_later_daemon_adopts)
{
	struct Arca__V1__HelloResponse *hello = NULL;
	struct clone c = {};
	struct err err = {};
	pid_t pid;

	if (clone_start(&c, &err) < 0)
		TEST_FAIL("%s", err.msg);
	ASSERT_EQ(clone_ask(&c, &err) >= 0, 1);
	pid = sandbox_pid(c.sb);
	sandbox_free(c.sb);
	c.sb = NULL;
	vmm_free(vmm);
	ASSERT_OK(kill(pid, 0));
	if (vmm_open(&vmm, &err) < 0)
		TEST_FAIL("%s", err.msg);
	if (sandbox_adopt(vmm, c.id, clone_on_gone, &c, &c.sb, &hello, &err) < 0)
		TEST_FAIL("%s", err.msg);
	ASSERT_EQ(sandbox_pid(c.sb), pid);
	ASSERT_STREQ(hello->kernel_release, vmm_kernel_release(vmm));
	ASSERT_EQ(hello->n_processes, 0);
	arca__v1__hello_response__free_unpacked(hello, NULL);
	ASSERT_EQ(clone_ask(&c, &err) >= 0, 1);
	ASSERT_EQ(c.gone, 0);
	sandbox_stop(c.sb, 10000);
	ASSERT(wait_for(&c.gone, 1));
	sandbox_free(c.sb);
	ASSERT(!run_dir_has(c.id));
	(void)unlink(c.upper);
}

/* Goal: a VM that ended while no daemon ran is -ENOENT, and its folder goes. */
TEST(a_dead_vm_is_not_adopted)
{
	struct Arca__V1__HelloResponse *hello = NULL;
	struct clone c = {};
	struct err err = {};
	pid_t pid;

	if (clone_start(&c, &err) < 0)
		TEST_FAIL("%s", err.msg);
	pid = sandbox_pid(c.sb);
	sandbox_free(c.sb);
	ASSERT(run_dir_has(c.id));
	ASSERT_OK(kill(pid, SIGKILL));
	usleep(300000); /* a zombie of this process: dead all the same */
	ASSERT_ERROR(sandbox_adopt(vmm, c.id, clone_on_gone, &c, &c.sb, &hello, &err), ENOENT);
	ASSERT(!run_dir_has(c.id));
	ASSERT_EQ(c.gone, 0);
	(void)unlink(c.upper);
}

static bool keep_none(void *user, const char *id)
{
	(void)user;
	(void)id;
	return false;
}

/* Goal: a VM nobody knows is ended and removed; strangers' processes are not touched. */
TEST(sweep_ends_the_unknown)
{
	struct clone c = {};
	struct err err = {};
	char path[1024];
	char text[256];
	pid_t pid;

	if (clone_start(&c, &err) < 0)
		TEST_FAIL("%s", err.msg);
	pid = sandbox_pid(c.sb);
	sandbox_free(c.sb);
	/* a record whose pid has been given to another process: this one */
	(void)snprintf(path, sizeof(path), "%s/stranger", run);
	ASSERT_OK(fs_mkdir_p(path, 0700));
	(void)snprintf(path, sizeof(path), "%s/stranger/vm.json", run);
	(void)snprintf(text, sizeof(text), "{\"pid\":%d,\"start_ticks\":1,\"token\":\"%064d\"}",
		       (int)getpid(), 0);
	ASSERT_OK(fs_write_file(path, text, strlen(text), 0600));
	ASSERT_OK(vmm_sweep(vmm, keep_none, NULL));
	ASSERT(!run_dir_has(c.id));
	ASSERT(!run_dir_has("stranger"));
	usleep(100000);
	(void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	ASSERT(readlink(path, text, sizeof(text)) < 0); /* ended: at most a zombie of ours */
	(void)unlink(c.upper);
}

/* Goal: a start that cannot work says why in QEMU's words and leaves no process, no folder. */
TEST(a_missing_disk_is_an_error)
{
	struct sandbox_spec spec = {.shape = shape, .root_disk = root_disk};
	struct sandbox *sb = NULL;
	struct err err = {};
	char id[ID_BUF];

	id_generate(id);
	spec.id = id;
	spec.upper_disk = "/nonexistent/upper.ext4";
	ASSERT(sandbox_start(vmm, &spec, NULL, NULL, &sb, &err) < 0);
	ASSERT(!sb);
	ASSERT_EQ(err.kind, ERR_INTERNAL);
	printf("# %s\n", err.msg);
	ASSERT(strstr(err.msg, "/nonexistent/upper.ext4"));
	ASSERT(!run_dir_has(id));
}

TEST(clean_up)
{
	vmm_free(vmm);
	loop_free(loop);
	if (!getenv("ARCA_TEST_DIR"))
		ASSERT_OK(fs_remove_tree(dir));
}

static int test_set_up(void)
{
	char path[512], text[512];
	int fd, n;

	(void)snprintf(dir, sizeof(dir), "%s", getenv("ARCA_TEST_DIR") ?: "/tmp/arca-vm-XXXXXX");
	if (getenv("ARCA_TEST_DIR") ? fs_mkdir_p(dir, 0700) < 0 : !mkdtemp(dir))
		return -1;
	(void)snprintf(templates, sizeof(templates), "%s/templates", dir);
	(void)snprintf(run, sizeof(run), "%s/run", dir);
	(void)snprintf(root_disk, sizeof(root_disk), "%s/root.vmdk", dir);
	(void)snprintf(path, sizeof(path), "%s/zero.raw", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, SANDBOX_ROOT_DISK_BYTES) < 0)
		return -1;
	(void)close(fd);
	n = snprintf(text, sizeof(text),
		     "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n"
		     "createType=\"twoGbMaxExtentFlat\"\n\nRW %llu FLAT \"zero.raw\" 0\n",
		     SANDBOX_ROOT_DISK_BYTES / 512);
	return fs_write_file(root_disk, text, (size_t)n, 0600);
}

/* TEST_MAIN() with arguments */
struct test_case *test_first, **test_last = &test_first;
int test_failed;
const char *test_skip_reason;

int main(int argc, char **argv)
{
	int n = 0, failures = 0;

	guest_dir = argc > 1 ? argv[1] : "build/guest";
	(void)snprintf(kernel, sizeof(kernel), "%s/vmlinux", guest_dir);
	(void)snprintf(initrd, sizeof(initrd), "%s/initrd.img", guest_dir);
	if (access(kernel, R_OK) < 0 || access(initrd, R_OK) < 0) {
		printf("1..0 # SKIP no guest in %s; guest/build.sh makes it\n", guest_dir);
		return 0;
	}
	if (getenv("ARCA_TEST_DEBUG"))
		log_set_level(LOG_DEBUG);
	if (loop_new(&loop) < 0 || test_set_up() < 0) {
		printf("Bail out! cannot set up %s\n", dir);
		return 1;
	}
	for (struct test_case *t = test_first; t; t = t->next) {
		test_failed = 0;
		t->fn();
		printf("%sok %d - %s\n", test_failed ? "not " : "", ++n, t->name);
		fflush(stdout);
		failures += test_failed;
	}
	printf("1..%d\n", n);
	return failures ? 1 : 0;
}
