/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm-clone.c - what a VM costs without a container: upper disk, clone, first answer, stop, memory
 *
 * usage: vm-clone GUEST_DIR [N [MiB]]
 *
 * Prints one JSON object; times in microseconds, medians and minima over N clones made one after
 * the other; cpu is QEMU's CPU time up to the first answer; PSS in KiB of one idle clone, a
 * second after its first answer.
 */
#include <dirent.h>
#include <fcntl.h>
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
#include "vm/vm.h"

#define BENCH_MAX 1000

enum { UPPER, START, ANSWER, AGAIN, CPU, STOP, STEPS };
static const char *const step_names[STEPS] = {"upper", "start", "answer", "again", "cpu", "stop"};

struct bench {
	struct loop *loop;
	struct vmm *vmm;
	struct vm_shape shape;
	char dir[64], root[128];
	uint64_t us[STEPS][BENCH_MAX];
	long pss_kib;
	uint64_t idle_us; /* CPU time an idle clone takes in a second */
};

static int die(const char *what)
{
	fprintf(stderr, "vm-clone: %s\n", what);
	exit(1);
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

/* CPU time of all threads of a process, microseconds. */
static uint64_t cpu_us(pid_t pid)
{
	_cleanup_free_ char *path = str_format("/proc/%d/task", (int)pid);
	_cleanup_closedir_ DIR *dir = opendir(path);
	struct dirent *entry;
	uint64_t ns = 0;

	while (dir && (entry = readdir(dir))) {
		_cleanup_free_ char *file = str_format("%s/%s/schedstat", path, entry->d_name);
		_cleanup_free_ char *text = NULL;

		if (entry->d_name[0] != '.' && fs_read_file(file, 4096, &text, NULL) == 0)
			ns += strtoull(text, NULL, 10);
	}
	return ns / 1000;
}

static void set_up(struct bench *b, const char *guest)
{
	_cleanup_free_ char *kernel = str_format("%s/vmlinux", guest);
	_cleanup_free_ char *initrd = str_format("%s/initrd.img", guest);
	_cleanup_free_ char *templates = NULL, *run = NULL, *zero = NULL, *text = NULL;
	_cleanup_close_ int fd = -EBADF;
	struct vm_config config = {
		.kernel_path = kernel, .initrd_path = initrd, .accel = VM_ACCEL_TCG};
	struct err err = {};

	(void)snprintf(b->dir, sizeof(b->dir), "/tmp/arca-bench-XXXXXX");
	if (loop_new(&b->loop) < 0 || !mkdtemp(b->dir))
		die("cannot set up");
	config.template_dir = templates = str_format("%s/templates", b->dir);
	config.run_dir = run = str_format("%s/run", b->dir);
	(void)snprintf(b->root, sizeof(b->root), "%s/root.vmdk", b->dir);
	zero = str_format("%s/zero.raw", b->dir);
	text = str_format("# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n"
			  "createType=\"twoGbMaxExtentFlat\"\n\nRW %llu FLAT \"zero.raw\" 0\n",
			  SANDBOX_ROOT_DISK_BYTES / 512);
	fd = open(zero, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, SANDBOX_ROOT_DISK_BYTES) < 0 ||
	    fs_write_file(b->root, text, strlen(text), 0600) < 0)
		die("cannot write the root disk");
	if (vmm_new(b->loop, &config, &b->vmm, &err) < 0 || vmm_prepare(b->vmm, b->shape, &err) < 0)
		die(err.msg);
}

static void one(struct bench *b, int i, bool memory)
{
	Arca__V1__ListRequest request = ARCA__V1__LIST_REQUEST__INIT;
	struct sandbox_spec spec = {.shape = b->shape, .root_disk = b->root};
	_cleanup_free_ char *upper = NULL;
	struct sandbox *sb = NULL;
	struct err err = {};
	char id[ID_BUF];
	uint64_t t0, t1;

	id_generate(id);
	spec.id = id;
	spec.upper_disk = upper = str_format("%s/%.12s.ext4", b->dir, id);
	t0 = clock_us();
	if (upper_disk_create(b->vmm, upper, &err) < 0)
		die(err.msg);
	t1 = clock_us();
	b->us[UPPER][i] = t1 - t0;
	if (sandbox_start(b->vmm, &spec, NULL, NULL, &sb, &err) < 0)
		die(err.msg);
	b->us[START][i] = clock_us() - t1;
	if (rpc_call(sandbox_rpc(sb), "/arca.v1.Process/List", &request.base,
		     &arca__v1__list_response__descriptor, 60000, NULL, &err) < 0)
		die(err.msg);
	b->us[ANSWER][i] = clock_us() - t1;
	b->us[CPU][i] = cpu_us(sandbox_pid(sb));
	t0 = clock_us();
	if (rpc_call(sandbox_rpc(sb), "/arca.v1.Process/List", &request.base,
		     &arca__v1__list_response__descriptor, 60000, NULL, &err) < 0)
		die(err.msg);
	b->us[AGAIN][i] = clock_us() - t0;
	if (memory) {
		sleep(1);
		b->pss_kib = pss_kib(sandbox_pid(sb));
		t0 = cpu_us(sandbox_pid(sb));
		sleep(4);
		b->idle_us = (cpu_us(sandbox_pid(sb)) - t0) / 4;
	}
	t0 = clock_us();
	sandbox_stop(sb, 10000);
	b->us[STOP][i] = clock_us() - t0;
	sandbox_free(sb);
	(void)unlink(upper);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	static struct bench b;
	int n = argc > 2 ? atoi(argv[2]) : 10;

	if (argc < 2 || n < 1 || n > BENCH_MAX)
		die("usage: vm-clone GUEST_DIR [N [MiB]]");
	b.shape = (struct vm_shape){1, argc > 3 ? (unsigned int)atoi(argv[3]) : 256};
	log_set_level(LOG_ERROR);
	set_up(&b, argv[1]);
	for (int i = 0; i < n; i++)
		one(&b, i, i == n - 1);
	printf("{\"n\": %d, \"accel\": \"%s\", \"pss_kib\": %ld, \"idle_us_per_s\": %llu", n,
	       vmm_accel(b.vmm), b.pss_kib, (unsigned long long)b.idle_us);
	for (int s = 0; s < STEPS; s++) {
		qsort(b.us[s], (size_t)n, sizeof(b.us[s][0]), compare);
		printf(", \"%s\": {\"unit\": \"us\", \"p50\": %llu, \"min\": %llu}", step_names[s],
		       (unsigned long long)b.us[s][n / 2], (unsigned long long)b.us[s][0]);
	}
	printf("}\n");
	vmm_free(b.vmm);
	loop_free(b.loop);
	(void)fs_remove_tree(b.dir);
	return 0;
}
