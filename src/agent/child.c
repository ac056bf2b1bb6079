/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child.c - the last steps of a process before it is the container's
 *
 * DOC: Theory of operation
 *
 * Runs in the new process. A container's init comes here from its seed, with all namespaces; an
 * exec comes right from a clone3 in the agent, already in the container's cgroup and (as far as its
 * children are concerned, so itself being one) in its pid namespace. From mounts_enter() or setns()
 * on, every path is the container's and hostile. The first error is reported (report.c) in runc's
 * words and ends the process. A failing execve alone is the container's own business, as with runc:
 * its text goes to the process's stderr and the exit code is 255.
 */
#include "agent/child.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/foreign.h"
#include "agent/init.h"
#include "agent/lookup.h"
#include "agent/mounts.h"
#include "agent/privilege.h"
#include "agent/report.h"
#include "agent/tty.h"
#include "agent/user.h"
#include "agent/words.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/str.h"

#define CHILD_EXIT_EXEC_FAILED 255

static int child_write_file(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fs_write_all(fd, text, strlen(text));
}

/* While the agent's own /proc is still there. */
static int child_set_oom_score(const Arca__V1__ProcessSpec *process, struct err *err)
{
	char text[16];
	int r;

	(void)snprintf(text, sizeof(text), "%d", process->oom_score_adj); /* fits */
	r = child_write_file("/proc/self/oom_score_adj", text);
	if (r < 0)
		return err_user(err, ERR_INVALID, "cannot set oom_score_adj to %s: %s", text,
				words_errno(r));
	return 0;
}

static int child_set_sysctls(const Arca__V1__ContainerSpec *spec, struct err *err)
{
	for (size_t i = 0; i < spec->n_sysctls; i++) {
		const Arca__V1__Sysctl *s = spec->sysctls[i];
		_cleanup_free_ char *path = str_format("/proc/sys/%s", s->key);
		int r;

		if (!path)
			return err_oom(err);
		for (char *p = path + strlen("/proc/sys/"); *p; p++)
			*p = *p == '.' ? '/' : *p;
		r = child_write_file(path, s->value);
		if (r < 0)
			return err_user(err, ERR_INVALID, "write sysctl key %s: open %s: %s",
					s->key, path, words_errno(r));
	}
	return 0;
}

static int child_set_names(const Arca__V1__ContainerSpec *spec, struct err *err)
{
	if (!str_empty(spec->hostname) && sethostname(spec->hostname, strlen(spec->hostname)) < 0)
		return err_user(err, ERR_INVALID, "sethostname: %s", words_errno(-errno));
	if (!str_empty(spec->domainname) &&
	    setdomainname(spec->domainname, strlen(spec->domainname)) < 0)
		return err_user(err, ERR_INVALID, "setdomainname: %s", words_errno(-errno));
	return 0;
}

static int child_become_container(const struct child_start *start, struct err *err)
{
	const Arca__V1__ContainerSpec *spec = start->request->container;
	struct mounts_plan plan = {
		.spec = spec,
		.root_mount_fd = start->root_mount_fd,
		.machine_id = start->machine_id,
		.bind_fds = start->bind_fds,
		.n_bind_fds = start->n_bind_fds,
		.cwd = start->request->process->cwd,
		.report_fd = start->report_fd,
	};
	int r;

	r = child_set_sysctls(spec, err);
	if (r == 0)
		r = child_set_names(spec, err); /* without a namespace of its own: the VM's */
	return r < 0 ? r : mounts_enter(&plan, err);
}

static int child_join_container(const struct child_start *start, struct err *err)
{
	/* The pid namespace was joined by the agent: it only counts for those born later. */
	int flags = (int)(start->ns_flags & ~(unsigned long)CLONE_NEWPID);

	if (setns(start->join_pidfd, flags) < 0)
		return err_sys(err, -errno, "cannot join the container");
	return 0;
}

static int child_set_pipes(const struct child_start *start, struct err *err)
{
	int fds[3] = {start->in_fd, start->out_fd, start->error_fd};

	if (start->request->process->tty)
		return 0;
	for (int i = 0; i < 3; i++) {
		if (fds[i] < 0)
			fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (fds[i] < 0 || dup2(fds[i], i) < 0)
			return err_sys(err, -errno, "cannot set up stdio");
	}
	return 0;
}

/*
 * An exec is born with all descriptors of the agent, directories outside of the container among
 * them, and the container decides where a working directory leads: to /proc/self/fd/N as well.
 */
static int child_close_others(int report_fd, struct err *err)
{
	unsigned int keep = (unsigned int)report_fd;

	if ((keep > 3 && close_range(3, keep - 1, 0) < 0) || close_range(keep + 1, ~0U, 0) < 0)
		return err_sys(err, -errno, "cannot close what is the agent's");
	return 0;
}

static int child_set_terminal(const struct child_start *start, bool is_init, struct err *err)
{
	const Arca__V1__ProcessSpec *process = start->request->process;
	int r = 0;

	(void)setsid(); /* a seed is a leader already */
	if (process->tty)
		r = tty_open(start->report_fd, process->rows, process->cols, is_init);
	return r < 0 ? err_sys(err, r, "cannot open a terminal") : 0;
}

/* Into the container, with nothing of the agent's but stdio and the way to report. */
static int child_enter(const struct child_start *start, bool is_init, struct err *err)
{
	int r;

	/* An init's /dev is our own and nobody was in it yet; an exec takes the agent's. */
	if (is_init) {
		r = child_become_container(start, err);
		if (r == 0)
			r = child_set_pipes(start, err);
	} else {
		r = child_set_pipes(start, err);
		if (r == 0)
			r = child_join_container(start, err);
	}
	return r < 0 ? r : child_close_others(start->report_fd, err);
}

/* /dev/stdout and friends are opened again by their names: let the user do so. */
static void child_own_stdio(uid_t uid)
{
	struct stat st;

	if (uid == 0)
		return;
	for (int fd = 0; fd < 3; fd++) {
		if (fstat(fd, &st) == 0 && st.st_rdev != makedev(1, 3)) /* not /dev/null */
			if (fchown(fd, uid, (gid_t)-1) < 0)
				return; /* as runc: where it can be done */
	}
}

static int child_change_directory(const char *cwd, bool last, struct err *err)
{
	int r = chdir(str_empty(cwd) ? "/" : cwd) < 0 ? -errno : 0;

	if (r == 0)
		return 0;
	/* As root first (a directory only root can reach), then as the user (the reverse). */
	if (!last && (r == -EACCES || r == -EPERM))
		return 1;
	return err_user(err, r == -ENOENT || r == -ENOTDIR ? ERR_NOT_FOUND : ERR_FORBIDDEN,
			"chdir to cwd (\"%s\") set in config.json failed: %s", cwd, words_errno(r));
}

/* Return: the environment, with HOME; never freed: execve follows */
static char **child_make_env(const Arca__V1__ProcessSpec *process, const struct user *user)
{
	char **env = calloc(process->n_env + 2, sizeof(*env));
	bool home = false;
	size_t n = 0;

	if (!env)
		return NULL;
	for (size_t i = 0; i < process->n_env; i++) {
		/* HOME= without a value counts as missing, as in runc. */
		bool is_home = str_starts(process->env[i], "HOME=");

		if (is_home && !process->env[i][strlen("HOME=")])
			continue;
		home = home || is_home;
		env[n++] = process->env[i];
	}
	if (!home) {
		env[n] = str_format("HOME=%s", user->home);
		if (!env[n])
			return NULL;
	}
	return env;
}

static void child_exec(const struct child_start *start, const char *path, char **env)
	__attribute__((noreturn));
static void child_exec(const struct child_start *start, const char *path, char **env)
{
	const Arca__V1__StartRequest *request = start->request;
	char **argv = calloc(request->process->n_args + 1, sizeof(*argv));
	const char *foreign;
	int r;

	if (argv) {
		memcpy(argv, request->process->args, request->process->n_args * sizeof(*argv));
		execve(path, argv, env);
	}
	r = -errno;
	foreign = r == -ENOEXEC ? foreign_machine(path) : NULL;
	(void)dprintf(STDERR_FILENO, "exec %s: %s\n", path, words_errno(r));
	if (foreign)
		(void)dprintf(STDERR_FILENO,
			      "%s is a program for %s: running it takes qemu-user, registered with "
			      "binfmt_misc, and this VM has none\n",
			      path, foreign);
	_exit(CHILD_EXIT_EXEC_FAILED);
}

static int child_start_program(const struct child_start *start, bool is_init, struct err *err)
{
	const Arca__V1__ProcessSpec *process = start->request->process;
	_cleanup_free_ struct user *user = calloc(1, sizeof(*user));
	char **env, *path;
	int r, later;

	if (!user)
		return err_oom(err);
	r = user_load(process->user, process->add_groups, process->n_add_groups, user, err);
	if (r < 0)
		return r;
	env = child_make_env(process, user);
	if (!env)
		return err_oom(err);
	later = child_change_directory(process->cwd, false, err);
	if (later < 0)
		return later;
	child_own_stdio(user->uid);
	umask(process->umask ? process->umask & 0777 : 022);
	r = privilege_drop(process, user, err);
	if (r == 0 && later)
		r = child_change_directory(process->cwd, true, err);
	if (r == 0)
		r = lookup_program(process->n_args ? process->args[0] : "", env, &path, err);
	if (r == 0)
		r = privilege_seal(process, err);
	if (r < 0)
		return r;
	if (is_init && start->request->container->use_init)
		init_run(process, start->report_fd); /* only its child comes back */
	child_exec(start, path, env);
}

/**
 * child_run() - Become the container's process
 * @start: What and how
 */
void child_run(const struct child_start *start)
{
	bool is_init = start->request->container != NULL;
	struct err err = {0};
	sigset_t none;
	int r;

	/* Other processes of the container must not read the agent's memory out of us. */
	(void)prctl(PR_SET_DUMPABLE, 0);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	r = child_set_oom_score(start->request->process, &err);
	if (r == 0)
		r = child_enter(start, is_init, &err);
	if (r == 0)
		r = child_set_terminal(start, is_init, &err);
	if (r == 0)
		r = child_start_program(start, is_init, &err);
	report_fail(start->report_fd, &err);
}
