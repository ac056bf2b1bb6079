/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - arcad: from the command line to a serving daemon and down again
 *
 * DOC: Theory of operation
 *
 * daemon_run() goes through a table of steps in order; each has its way back. When a step fails, or
 * a signal asks for the end, the ways back of those that were done run in reverse. Listening comes
 * last: whoever connects finds everything there. VMs are not stopped by a shutdown: they belong to
 * the containers, and the next daemon finds them. The main thread only waits for signals.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "api/api.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/str.h"
#include "core/attachments.h"
#include "core/container.h"
#include "core/core.h"
#include "core/events.h"
#include "core/exec.h"
#include "core/pulls.h"
#include "core/rehearsal.h"
#include "daemon/gc_check.h"
#include "daemon/guest.h"
#include "daemon/listen.h"
#include "daemon/network.h"
#include "daemon/network_check.h"
#include "daemon/options.h"
#include "http/http.h"
#include "image/image.h"
#include "registry/hosts.h"
#include "store/store.h"

#define DAEMON_TLS_FILE_MAX MIB(1)
#define DAEMON_LOCK_WAIT_MS 1000
#define DAEMON_LOCK_POLL_MS 20

struct daemon {
	struct options opts;
	struct core core;
	struct api *api;	    /* owned */
	struct http_server *server; /* owned */
	struct listen_socket sockets[LISTEN_FDS_MAX];
	int n_sockets;
	int lock_fds[2]; /* data root, exec root */
	bool has_pidfile;
	bool busy; /* a request did not end: nothing may be freed */
	char hostname[256];
	struct registry_options registries;
	pthread_t warmer; /* builds the default shape's template while the first clients come */
	bool warming;
};

struct daemon_step {
	const char *name;
	int (*up)(struct daemon *d, struct err *err);
	void (*down)(struct daemon *d);
};

static char *daemon_path(const char *root, const char *name)
{
	return str_format("%s/%s", root, name);
}

/* A daemon that was killed holds its locks until the last of its threads is gone. */
static bool daemon_lock_file(int fd)
{
	const struct timespec pause = {.tv_nsec = DAEMON_LOCK_POLL_MS * NSEC_PER_MSEC};

	for (int ms = 0; ms <= DAEMON_LOCK_WAIT_MS; ms += DAEMON_LOCK_POLL_MS) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return true;
		(void)nanosleep(&pause, NULL); /* shorter does no harm */
	}
	return false;
}

/* One daemon a folder: each sweeps away what it does not know. */
static int daemon_lock_root(const char *root, const char *what, int *ret_fd, struct err *err)
{
	_cleanup_free_ char *lock = daemon_path(root, "arcad.lock");
	int r;

	if (!lock)
		return err_oom(err);
	r = fs_mkdir_p(root, 0711);
	if (r < 0)
		return err_sys(err, r, "cannot make the %s root %s", what, root);
	*ret_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*ret_fd < 0)
		return err_sys(err, -errno, "cannot open %s", lock);
	if (!daemon_lock_file(*ret_fd))
		return err_user(err, ERR_CONFLICT, "the %s root %s is in use by another arcad",
				what, root);
	return 0;
}

static int daemon_up_roots(struct daemon *d, struct err *err)
{
	char pid[16];
	int r;

	r = daemon_lock_root(d->opts.data_root, "data", &d->lock_fds[0], err);
	if (r == 0 && !str_eq(d->opts.data_root, d->opts.exec_root))
		r = daemon_lock_root(d->opts.exec_root, "exec", &d->lock_fds[1], err);
	if (r < 0)
		return r;
	if (d->opts.pidfile) {
		(void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
		r = fs_write_file(d->opts.pidfile, pid, strlen(pid), 0644);
		if (r < 0)
			return err_sys(err, r, "cannot write %s", d->opts.pidfile);
		d->has_pidfile = true;
	}
	return 0;
}

static void daemon_down_roots(struct daemon *d)
{
	if (d->has_pidfile)
		(void)unlink(d->opts.pidfile); /* stale otherwise, and replaced by the next */
	cleanup_close(&d->lock_fds[1]);
	cleanup_close(&d->lock_fds[0]);
}

static int daemon_up_loop(struct daemon *d, struct err *err)
{
	int r = loop_new(&d->core.loop);

	return r < 0 ? err_sys(err, r, "cannot start the event loop") : 0;
}

static void daemon_down_loop(struct daemon *d)
{
	loop_free(d->core.loop);
}

static int daemon_up_store(struct daemon *d, struct err *err)
{
	_cleanup_free_ char *path = daemon_path(d->opts.data_root, "arca.db");

	return path ? store_open(path, &d->core.store, err) : err_oom(err);
}

static void daemon_down_store(struct daemon *d)
{
	store_close(d->core.store);
}

static int daemon_up_images(struct daemon *d, struct err *err)
{
	_cleanup_free_ char *path = daemon_path(d->opts.data_root, "images");

	return path ? image_store_new(path, d->core.store, &d->core.images, err) : err_oom(err);
}

static void daemon_down_images(struct daemon *d)
{
	image_store_free(d->core.images);
}

static int daemon_up_network(struct daemon *d, struct err *err)
{
	return network_up(d->opts.exec_root, d->opts.forwarder, &d->core.underlay, &d->core.forward,
			  err);
}

static void daemon_down_network(struct daemon *d)
{
	network_down(d->core.underlay, d->core.forward);
}

static int daemon_up_vmm(struct daemon *d, struct err *err)
{
	_cleanup_free_ char *templates = daemon_path(d->opts.data_root, "templates");
	_cleanup_free_ char *run = daemon_path(d->opts.exec_root, "vm");
	struct vm_config config = {
		.qemu_path = d->opts.qemu,
		.kernel_path = d->opts.kernel,
		.initrd_path = d->opts.initrd,
		.template_dir = templates,
		.run_dir = run,
		.accel = d->opts.accel,
		.nics = network_nics(d->core.underlay),
	};

	if (!templates || !run)
		return err_oom(err);
	return vmm_new(d->core.loop, &config, &d->core.vmm, err);
}

static void daemon_down_vmm(struct daemon *d)
{
	vmm_free(d->core.vmm);
}

static int daemon_up_managers(struct daemon *d, struct err *err)
{
	int r = events_new(&d->core, &d->core.events, err);

	if (r == 0)
		r = networks_new(&d->core, &d->core.networks, err);
	if (r == 0)
		r = meshes_new(&d->core, &d->core.meshes, err);
	if (r == 0 && meshes_rotate_every(d->core.meshes, d->opts.key_rotation_s) < 0)
		r = err_oom(err);
	if (r == 0)
		r = containers_new(&d->core, &d->core.containers, err);
	if (r == 0) /* they hold the containers they run in */
		r = execs_new(&d->core, &d->core.execs, err);
	if (r == 0)
		r = pulls_new(&d->core, &d->core.pulls, err);
	return r;
}

static void daemon_down_managers(struct daemon *d)
{
	pulls_free(d->core.pulls);
	execs_free(d->core.execs);
	containers_free(d->core.containers);
	meshes_free(d->core.meshes);
	networks_free(d->core.networks);
	events_free(d->core.events);
}

static void *daemon_warm(void *arg)
{
	struct daemon *d = arg;
	struct err err = {0};

	if (vmm_prepare(d->core.vmm, d->core.config.default_shape, &err) < 0)
		log_error("cannot prepare the VM template: %s", err.msg);
	return NULL;
}

static int daemon_up_warmer(struct daemon *d, struct err *err)
{
	int r = pthread_create(&d->warmer, NULL, daemon_warm, d);

	if (r != 0)
		return err_sys(err, -r, "cannot start a thread");
	d->warming = true;
	return 0;
}

static void daemon_down_warmer(struct daemon *d)
{
	if (d->warming)
		pthread_join(d->warmer, NULL);
}

static int daemon_up_pool(struct daemon *d, struct err *err)
{
	return rehearsal_start_pool(&d->core, d->opts.vm_pool, d->opts.rehearsal, err);
}

static void daemon_down_pool(struct daemon *d UNUSED)
{
	/* goes with the vmm */
}

static int daemon_up_api(struct daemon *d, struct err *err)
{
	int r = api_new(&d->core, &d->api);

	if (r == 0)
		r = http_server_new(&api_http_hooks, d->api, &d->server);
	return r < 0 ? err_sys(err, r, "cannot start the API server") : 0;
}

static void daemon_down_api(struct daemon *d)
{
	if (!http_server_stop(d->server)) {
		d->busy = true;
		return;
	}
	http_server_free(d->server);
	api_free(d->api);
}

static int daemon_read_pem(const char *path, const char *what, char **ret_pem, struct err *err)
{
	int r;

	if (!path)
		return err_user(err, ERR_INVALID, "TLS needs --tls%s", what);
	r = fs_read_file(path, DAEMON_TLS_FILE_MAX, ret_pem, NULL);
	return r < 0 ? err_sys(err, r, "cannot read %s", path) : 0;
}

static int daemon_up_listen(struct daemon *d, struct err *err)
{
	_cleanup_free_ char *cert = NULL, *key = NULL, *ca = NULL;
	struct http_tls tls = {0};
	int r = 0;

	if (d->opts.tls) {
		r = daemon_read_pem(d->opts.tls_cert, "cert", &cert, err);
		if (r == 0)
			r = daemon_read_pem(d->opts.tls_key, "key", &key, err);
		if (r == 0 && d->opts.tls_verify)
			r = daemon_read_pem(d->opts.tls_cacert, "cacert", &ca, err);
		if (r < 0)
			return r;
		tls = (struct http_tls){.cert_pem = cert, .key_pem = key, .ca_pem = ca};
	}
	for (size_t i = 0; i < d->opts.hosts.n && r == 0; i++)
		r = listen_open(d->opts.hosts.items[i], d->opts.group, d->opts.tls, d->sockets,
				&d->n_sockets, err);
	for (int i = 0; i < d->n_sockets && r == 0; i++) {
		struct http_listener listener = {.fd = TAKE_FD(d->sockets[i].fd),
						 .tls = d->opts.tls && d->sockets[i].tcp};

		r = http_server_listen(d->server, listener, d->opts.tls ? &tls : NULL, err);
	}
	if (r < 0)
		listen_close(d->sockets, d->n_sockets);
	return r;
}

static void daemon_down_listen(struct daemon *d)
{
	listen_close(d->sockets, d->n_sockets);
}

static const struct daemon_step daemon_steps[] = {
	{"roots", daemon_up_roots, daemon_down_roots},
	{"loop", daemon_up_loop, daemon_down_loop},
	{"store", daemon_up_store, daemon_down_store},
	{"images", daemon_up_images, daemon_down_images},
	{"network", daemon_up_network, daemon_down_network},
	{"vm", daemon_up_vmm, daemon_down_vmm},
	{"containers", daemon_up_managers, daemon_down_managers},
	{"template", daemon_up_warmer, daemon_down_warmer},
	{"pool", daemon_up_pool, daemon_down_pool},
	{"api", daemon_up_api, daemon_down_api},
	{"listen", daemon_up_listen, daemon_down_listen},
};

/* systemd's readiness protocol, sd_notify(3); silent where nobody asked. */
static void daemon_notify_ready(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -EBADF;
	ssize_t n;

	if (!path || strlen(path) >= sizeof(addr.sun_path))
		return;
	strcpy(addr.sun_path, path);
	if (addr.sun_path[0] == '@')
		addr.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	n = sendto(fd, "READY=1", 7, MSG_NOSIGNAL, (struct sockaddr *)&addr,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)));
	(void)n; /* systemd times out and says so */
}

static const char *daemon_env(const char *name, const char *other)
{
	return getenv(name) ?: getenv(other);
}

static void daemon_fill_config(struct daemon *d)
{
	if (gethostname(d->hostname, sizeof(d->hostname) - 1) < 0)
		strcpy(d->hostname, "localhost");
	d->registries = (struct registry_options){
		.mirrors = (const char *const *)d->opts.registry_mirrors.items,
		.insecure = (const char *const *)d->opts.insecure_registries.items,
		.certs_dir = d->opts.certs_dir,
		.http_proxy = d->opts.http_proxy ?: daemon_env("HTTP_PROXY", "http_proxy"),
		.https_proxy = d->opts.https_proxy ?: daemon_env("HTTPS_PROXY", "https_proxy"),
		.no_proxy = d->opts.no_proxy ?: daemon_env("NO_PROXY", "no_proxy"),
		.max_downloads = d->opts.max_downloads,
		.max_uploads = d->opts.max_uploads,
		.attempts = d->opts.max_attempts,
		.silence_s = d->opts.registry_timeout_s,
	};
	d->core.config = (struct core_config){
		.data_root = d->opts.data_root,
		.exec_root = d->opts.exec_root,
		.default_shape = {.vcpus = d->opts.vm_cpus, .memory_mib = d->opts.vm_memory_mib},
		.debug = d->opts.debug,
		.name = d->hostname,
		.labels = d->opts.labels.items,
		.log_driver = d->opts.log_driver,
		.log_opts = (const char *const *)d->opts.log_opts.items,
		.registries = &d->registries,
		.networks = {.pools = (const char *const *)d->opts.address_pools.items,
			     .bip = d->opts.bip,
			     .mtu = d->opts.mtu,
			     .no_icc = !d->opts.icc,
			     .host_gateways = (const char *const *)d->opts.host_gateways.items},
		.shutdown_timeout_s = (int)d->opts.shutdown_timeout_s,
	};
}

static int daemon_run(struct daemon *d, const sigset_t *signals)
{
	struct err err = {0};
	size_t up = 0;
	int sig, r = 0;

	daemon_fill_config(d);
	for (; up < ARRAY_SIZE(daemon_steps); up++) {
		r = daemon_steps[up].up(d, &err);
		if (r < 0)
			break;
		log_debug("%s: up", daemon_steps[up].name);
	}
	if (r < 0) {
		log_write(LOG_FATAL, "failed to start arcad: %s", err.msg);
		/* a step that failed half way leaves its parts to its own way back */
		up++;
	} else {
		for (size_t i = 0; i < d->opts.hosts.n; i++)
			log_info("API listen on %s", d->opts.hosts.items[i]);
		daemon_notify_ready();
		do {
			(void)sigwait(signals, &sig); /* cannot fail for a valid set */
		} while (sig == SIGHUP);
		log_info("stopping on signal %d; containers keep running", sig);
	}
	if (d->core.vmm)
		vmm_end_builds(d->core.vmm); /* the steps back wait for those who wait for one */
	while (up-- > 0 && !d->busy)
		daemon_steps[up].down(d);
	/* A request that does not end goes with the process, as in a kill -9, which costs nothing:
	 * freeing the managers under it would crash. */
	if (d->busy) {
		if (d->has_pidfile)
			(void)unlink(d->opts.pidfile); /* stale otherwise, and replaced */
		_exit(r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
	}
	return r;
}

/* One QEMU is a dozen descriptors of ours: the soft limit goes to the hard one. */
static void daemon_raise_limits(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
		lim.rlim_cur = lim.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &lim); /* then the old limit stays */
	}
}

/* With the data root's lock, so that no daemon changes what is looked at. */
static int daemon_gc_check(struct daemon *d, struct err *err)
{
	int r = 0;

	if (fs_exists(d->opts.data_root)) /* else it says so */
		r = daemon_lock_root(d->opts.data_root, "data", &d->lock_fds[0], err);
	if (r == 0)
		r = gc_check_run(&d->opts, err);
	cleanup_close(&d->lock_fds[0]);
	return r;
}

int main(int argc, char **argv)
{
	struct daemon d = {.lock_fds = {-EBADF, -EBADF}};
	struct err err = {0};
	sigset_t signals;
	int r;

	/* Threads come and go with connections: two arenas keep their memory together. */
	(void)mallopt(M_ARENA_MAX, 2);
	(void)signal(SIGPIPE, SIG_IGN);
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL); /* every thread inherits it */

	r = options_parse(&d.opts, argc, argv, &err);
	if (r == 0 && d.opts.show_help) {
		options_print_help();
	} else if (r == 0 && d.opts.show_version) {
		puts("arcad version " ARCA_VERSION);
	} else if (r == 0 && (d.opts.network_check || d.opts.gc_check != GC_CHECK_NONE)) {
		r = d.opts.network_check ? network_check_run(&d.opts, &err)
					 : daemon_gc_check(&d, &err);
		if (r < 0)
			(void)fprintf(stderr, "arcad: %s\n", err.msg);
	} else {
		if (r == 0 && !d.opts.validate)
			r = guest_find(&d.opts, &err);
		if (r < 0) {
			(void)fprintf(stderr, "arcad: %s\n", err.msg);
		} else if (d.opts.validate) {
			puts("configuration OK");
		} else {
			log_set_level(d.opts.log_level);
			daemon_raise_limits();
			r = daemon_run(&d, &signals);
		}
	}
	options_done(&d.opts);
	return r != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
