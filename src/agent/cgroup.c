/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup.c - one cgroup v2 directory per container
 *
 * Names are numbers, not container ids: a cgroup is made before it is known which container will
 * live in it. The container sees its own as the root of its cgroup namespace.
 */
#include "agent/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/words.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"

#define CGROUP_PIDS_BYTES_MAX (1024 * 1024)
#define CGROUP_REMOVE_TRIES 200

static int cgroup_write(int dir_fd, const char *file, const char *value)
{
	_cleanup_close_ int fd = openat(dir_fd, file, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return fs_write_all(fd, value, strlen(value));
}

static int cgroup_read(int dir_fd, const char *file, size_t max, char **ret_text)
{
	_cleanup_close_ int fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	ssize_t n;

	if (fd < 0)
		return -errno;
	text = malloc(max + 1);
	if (!text)
		return -ENOMEM;
	n = fs_read_full(fd, text, max);
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	*ret_text = TAKE_PTR(text);
	return 0;
}

/**
 * cgroup_boot() - Hand every controller down to the containers' cgroups
 *
 * Return: 0 or negative errno of the last controller that failed
 */
int cgroup_boot(void)
{
	static const char *const controllers[] = {"+cpu", "+memory", "+pids", "+cpuset", "+io"};
	_cleanup_close_ int fd = open(CGROUP_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
		int r1 = cgroup_write(fd, "cgroup.subtree_control", controllers[i]);

		r = r1 < 0 ? r1 : r;
	}
	return r;
}

/**
 * cgroup_init() - Make a cgroup
 * @cg:	    Filled
 * @number: Unused so far
 *
 * Return: 0 or negative errno
 */
int cgroup_init(struct cgroup *cg, unsigned int number)
{
	char path[sizeof(CGROUP_ROOT) + CGROUP_NAME_MAX];

	*cg = (struct cgroup){.fd = -EBADF};
	(void)snprintf(cg->name, sizeof(cg->name), "c%u", number); /* fits */
	(void)snprintf(path, sizeof(path), CGROUP_ROOT "/%s", cg->name);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		goto fail;
	cg->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cg->fd >= 0)
		return 0;
fail:
	cg->name[0] = '\0';
	return -errno;
}

/* Nested cgroups of a privileged container go with it. Nobody is left to race with. */
static void cgroup_remove_tree(int parent_fd, const char *name, unsigned int depth)
{
	_cleanup_closedir_ DIR *dir = NULL;
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct dirent *e;

	if (fd < 0 || depth > 64)
		return;
	dir = fdopendir(fd);
	if (!dir) {
		(void)close(fd); /* read-only */
		return;
	}
	while ((e = readdir(dir))) {
		if (e->d_type == DT_DIR && !str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
			cgroup_remove_tree(fd, e->d_name, depth + 1);
	}
	(void)unlinkat(parent_fd, name, AT_REMOVEDIR); /* retried by the caller */
}

/**
 * cgroup_done() - Remove a cgroup whose processes are gone or going
 * @cg: Cgroup, empty afterwards
 */
void cgroup_done(struct cgroup *cg)
{
	_cleanup_close_ int root = open(CGROUP_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (!cg->name[0])
		return;
	(void)cgroup_kill(cg); /* usually empty already */
	for (int i = 0; root >= 0 && i < CGROUP_REMOVE_TRIES; i++) {
		cgroup_remove_tree(root, cg->name, 0);
		if (faccessat(root, cg->name, F_OK, 0) < 0)
			break;
		(void)usleep(1000); /* the last exits are on their way */
	}
	if (cg->fd >= 0)
		(void)close(cg->fd); /* a directory */
	*cg = (struct cgroup){.fd = -EBADF};
}

/* 0 leaves the value alone, -1 is "max". */
static int cgroup_set_number(const struct cgroup *cg, const char *file, int64_t value,
			     struct err *err)
{
	char text[32] = "max";
	int r;

	if (!value)
		return 0;
	if (value > 0)
		(void)snprintf(text, sizeof(text), "%" PRId64, value); /* fits */
	r = cgroup_write(cg->fd, file, text);
	if (r == -ENOENT)
		return 0; /* the kernel has no such limit (swap) */
	if (r < 0)
		return err_user(err, ERR_INVALID, "cannot set %s to %s: %s", file, text,
				words_errno(r));
	return 0;
}

static int cgroup_set_text(const struct cgroup *cg, const char *file, const char *value,
			   struct err *err)
{
	int r;

	if (str_empty(value))
		return 0;
	r = cgroup_write(cg->fd, file, value);
	if (r < 0)
		return err_user(err, ERR_INVALID, "cannot set %s to %s: %s", file, value,
				words_errno(r));
	return 0;
}

static int cgroup_set_cpu_max(const struct cgroup *cg, const Arca__V1__Resources *res,
			      struct err *err)
{
	uint64_t period = res->cpu_period_us ? res->cpu_period_us : 100000;
	char text[64];

	if (!res->cpu_quota_us && !res->cpu_period_us)
		return 0;
	if (res->cpu_quota_us > 0)
		(void)snprintf(text, sizeof(text), "%" PRId64 " %" PRIu64, res->cpu_quota_us,
			       period);
	else
		(void)snprintf(text, sizeof(text), "max %" PRIu64, period);
	return cgroup_set_text(cg, "cpu.max", text, err);
}

/**
 * cgroup_apply() - Set limits
 * @cg:	       Cgroup
 * @resources: What to set; NULL for nothing
 * @err:       Filled on failure; earlier limits of the list stay set
 *
 * Return: 0 or negative errno
 */
int cgroup_apply(const struct cgroup *cg, const Arca__V1__Resources *resources, struct err *err)
{
	const struct {
		const char *file;
		int64_t value;
	} numbers[] = {
		{"memory.max", resources ? resources->memory_bytes : 0},
		{"memory.swap.max", resources ? resources->memory_swap_bytes : 0},
		{"memory.low", resources ? resources->memory_reservation_bytes : 0},
		{"cpu.weight", resources ? (int64_t)resources->cpu_weight : 0},
		{"pids.max", resources ? resources->pids_max : 0},
	};
	int r = 0;

	if (!resources)
		return 0;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(numbers); i++)
		r = cgroup_set_number(cg, numbers[i].file, numbers[i].value, err);
	if (r == 0)
		r = cgroup_set_cpu_max(cg, resources, err);
	if (r == 0)
		r = cgroup_set_text(cg, "cpuset.cpus", resources->cpuset_cpus, err);
	if (r == 0)
		r = cgroup_set_text(cg, "cpuset.mems", resources->cpuset_mems, err);
	return r;
}

/**
 * cgroup_freeze() - Stop or resume every process in it
 * @cg:	    Cgroup
 * @frozen: Which
 *
 * Return: 0 or negative errno
 */
int cgroup_freeze(const struct cgroup *cg, bool frozen)
{
	return cgroup_write(cg->fd, "cgroup.freeze", frozen ? "1" : "0");
}

/**
 * cgroup_kill() - SIGKILL to every process in it, forks in flight included
 * @cg: Cgroup
 *
 * Return: 0 or negative errno
 */
int cgroup_kill(const struct cgroup *cg)
{
	return cgroup_write(cg->fd, "cgroup.kill", "1");
}

/**
 * cgroup_pids() - The processes in it
 * @cg:	      Cgroup
 * @ret_text: Heap text, one pid of our pid namespace per line; owned by the caller
 *
 * Return: 0 or negative errno
 */
int cgroup_pids(const struct cgroup *cg, char **ret_text)
{
	return cgroup_read(cg->fd, "cgroup.procs", CGROUP_PIDS_BYTES_MAX, ret_text);
}

/**
 * cgroup_signal() - A signal to every process in it
 * @cg:	    Cgroup
 * @signal: Number
 *
 * Return: 0 or negative errno
 */
int cgroup_signal(const struct cgroup *cg, int signal)
{
	_cleanup_free_ char *text = NULL;
	char *rest, *line;
	int r;

	if (signal == SIGKILL)
		return cgroup_kill(cg);
	r = cgroup_pids(cg, &text);
	if (r < 0)
		return r;
	for (rest = text; (line = strsep(&rest, "\n"));) {
		uint64_t pid;

		if (str_u64(line, INT32_MAX, &pid) == 0 && pid > 1)
			(void)kill((pid_t)pid, signal); /* may be gone by now */
	}
	return 0;
}

/**
 * cgroup_oom_killed() - Whether the kernel killed a process of it for memory
 * @cg: Cgroup
 *
 * Return: the answer; false if it cannot be told
 */
bool cgroup_oom_killed(const struct cgroup *cg)
{
	_cleanup_free_ char *text = NULL;
	const char *at;

	if (cgroup_read(cg->fd, "memory.events", 4096, &text) < 0)
		return false;
	at = strstr(text, "oom_kill ");
	return at && strtoull(at + strlen("oom_kill "), NULL, 10) > 0;
}
