/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec.c - config and host config become a StartRequest
 *
 * Both inputs were validated when the container was created; a spec is built at every start and
 * for every exec, so it costs no more than a few allocations (the seccomp filter is cached).
 */
#include "core/spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "core/caps.h"
#include "core/jsonx.h"
#include "core/seccomp.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/**
 * spec_validate() - Check everything of a host config that a spec is built from
 * @host_config: Complete host config
 * @err:	 Filled on failure
 *
 * Return: 0 or a negative errno
 */
int spec_validate(const json_t *host_config, struct err *err)
{
	const char *key;
	json_t *value;
	int r;

	r = spec_rlimits_validate(host_config, err);
	if (r == 0)
		r = spec_security_validate(host_config, err);
	if (r == 0)
		r = spec_mounts_validate(host_config, err);
	if (r < 0)
		return r;
	json_object_foreach (json_object_get(host_config, "Sysctls"), key, value) {
		if (!*key || strstr(key, "..") || *key == '.' ||
		    strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				"_-./") != strlen(key)) {
			err_user(err, ERR_INVALID, "invalid sysctl \"%s\"", key);
			return -EINVAL;
		}
	}
	return 0;
}

static bool env_same_name(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return strcspn(b, "=") == n && strncmp(a, b, n) == 0;
}

/* Later entries replace earlier ones; a name without "=" takes the variable away. */
static int env_put(Arca__V1__ProcessSpec *process, const char *entry)
{
	size_t i;

	for (i = 0; i < process->n_env; i++) {
		if (env_same_name(process->env[i], entry))
			break;
	}
	if (!strchr(entry, '=')) {
		if (i < process->n_env) {
			free(process->env[i]);
			memmove(&process->env[i], &process->env[i + 1],
				(process->n_env - i - 1) * sizeof(char *));
			process->n_env--;
		}
		return 0;
	}
	if (i == process->n_env)
		return spec_add_string(&process->env, &process->n_env, entry);
	free(process->env[i]);
	process->env[i] = strdup(entry);
	if (process->env[i])
		return 0;
	process->n_env = i; /* what follows leaks rather than being freed twice: out of memory */
	return -ENOMEM;
}

static int spec_env(const struct spec_source *s, Arca__V1__ProcessSpec *process)
{
	_cleanup_free_ char *hostname = str_format("HOSTNAME=%s", jx_str(s->config, "Hostname"));
	json_t *item;
	size_t i;
	int r;

	r = hostname ? 0 : -ENOMEM;
	if (r == 0)
		r = env_put(process, "PATH=" DEFAULT_PATH);
	if (r == 0)
		r = env_put(process, hostname);
	if (r == 0 && jx_bool(s->config, "Tty"))
		r = env_put(process, "TERM=xterm");
	json_array_foreach (s->links, i, item) {
		if (r == 0)
			r = env_put(process, json_string_value(item));
	}
	json_array_foreach (json_object_get(s->config, "Env"), i, item) {
		if (r == 0)
			r = env_put(process, json_string_value(item));
	}
	return r;
}

static int spec_args(const json_t *config, Arca__V1__ProcessSpec *process)
{
	int r = spec_put_strv(&process->args, &process->n_args,
			      json_object_get(config, "Entrypoint"));

	return r ? r
		 : spec_put_strv(&process->args, &process->n_args, json_object_get(config, "Cmd"));
}

static int spec_process_fill(const struct spec_source *s, bool privileged, Arca__V1__ProcessSpec *p,
			     struct err *err)
{
	const json_t *size = json_object_get(s->host_config, "ConsoleSize");
	const char *cwd = jx_str(s->config, "WorkingDir");
	int r;

	r = spec_args(s->config, p) || spec_env(s, p) || spec_put(&p->cwd, *cwd ? cwd : "/") ||
	    spec_put(&p->user, jx_str(s->config, "User")) ||
	    spec_put_strv(&p->add_groups, &p->n_add_groups,
			  json_object_get(s->host_config, "GroupAdd"));
	if (r)
		return err_oom(err);
	p->tty = jx_bool(s->config, "Tty");
	p->open_stdin = jx_bool(s->config, "OpenStdin");
	p->oom_score_adj = (int32_t)jx_int(s->host_config, "OomScoreAdj");
	p->rows = (uint32_t)json_integer_value(json_array_get(size, 0));
	p->cols = (uint32_t)json_integer_value(json_array_get(size, 1));
	r = spec_rlimits(s->host_config, p, err);
	return r < 0 ? r : spec_security(s->host_config, privileged, p, err);
}

/**
 * spec_process() - The container's process, also as what an exec starts from
 * @source:	What it is built from
 * @privileged: exec --privileged
 * @ret:	New message
 * @err:	Filled on failure
 *
 * Return: 0 or a negative errno
 */
int spec_process(const struct spec_source *source, bool privileged, Arca__V1__ProcessSpec **ret,
		 struct err *err)
{
	Arca__V1__ProcessSpec *process = calloc(1, sizeof(*process));
	int r;

	if (!process)
		return err_oom(err);
	arca__v1__process_spec__init(process);
	r = spec_process_fill(source, privileged, process, err);
	if (r < 0) {
		arca__v1__process_spec__free_unpacked(process, NULL);
		return r;
	}
	*ret = process;
	return 0;
}

static int spec_file(Arca__V1__ContainerSpec *spec, const char *path, const char *text)
{
	Arca__V1__File *file = SPEC_ADD(spec, files, Arca__V1__File, arca__v1__file__init);

	if (!file || spec_put(&file->path, path))
		return -ENOMEM;
	file->mode = 0644;
	file->content.data = (uint8_t *)strdup(text);
	if (!file->content.data)
		return -ENOMEM;
	file->content.len = strlen(text);
	return 0;
}

static int spec_files(const struct spec_source *s, Arca__V1__ContainerSpec *spec)
{
	_cleanup_free_ char *hostname = str_format("%s\n", jx_str(s->config, "Hostname"));

	if (!hostname)
		return -ENOMEM;
	return spec_file(spec, "/etc/resolv.conf", s->resolv) ||
	       spec_file(spec, "/etc/hostname", hostname) ||
	       spec_file(spec, "/etc/hosts", s->hosts);
}

static int spec_sysctls(const json_t *host, Arca__V1__ContainerSpec *spec)
{
	const char *key;
	json_t *value;

	json_object_foreach (json_object_get(host, "Sysctls"), key, value) {
		Arca__V1__Sysctl *sysctl =
			SPEC_ADD(spec, sysctls, Arca__V1__Sysctl, arca__v1__sysctl__init);

		if (!sysctl || spec_put(&sysctl->key, key) ||
		    spec_put(&sysctl->value, json_string_value(value)))
			return -ENOMEM;
	}
	return 0;
}

static int spec_container_fill(const struct spec_source *s, Arca__V1__ContainerSpec *spec,
			       struct err *err)
{
	const json_t *host = s->host_config;
	bool host_uts = str_eq(jx_str(host, "UTSMode"), "host");
	const char *hostname =
		host_uts && s->host_name ? s->host_name : jx_str(s->config, "Hostname");
	int r;

	r = spec_put(&spec->id, s->id) || spec_put(&spec->root_serial, SANDBOX_ROOT_SERIAL) ||
	    spec_put(&spec->upper_serial, SANDBOX_UPPER_SERIAL) ||
	    spec_put(&spec->hostname, hostname) ||
	    spec_put(&spec->domainname, jx_str(s->config, "Domainname")) ||
	    spec_put_strv(&spec->masked_paths, &spec->n_masked_paths,
			  json_object_get(host, "MaskedPaths")) ||
	    spec_put_strv(&spec->readonly_paths, &spec->n_readonly_paths,
			  json_object_get(host, "ReadonlyPaths")) ||
	    spec_files(s, spec) || spec_sysctls(host, spec);
	if (r)
		return err_oom(err);
	spec->readonly_rootfs = jx_bool(host, "ReadonlyRootfs");
	spec->privileged = jx_bool(host, "Privileged");
	spec->use_init = jx_bool(host, "Init");
	spec->host_pid = str_eq(jx_str(host, "PidMode"), "host");
	spec->host_ipc = str_eq(jx_str(host, "IpcMode"), "host");
	spec->host_uts = host_uts;
	spec->host_cgroup = str_eq(jx_str(host, "CgroupnsMode"), "host");
	spec->host_network = str_eq(jx_str(host, "NetworkMode"), "host");
	r = spec_mounts(host, spec, err);
	if (r == 0)
		r = spec_devices(host, spec, err);
	return r < 0 ? r : spec_resources(host, &spec->resources, err);
}

/**
 * spec_start_request() - Everything the agent needs to make and start a container
 * @source: What it is built from
 * @ret:    New message, for arca__v1__start_request__free_unpacked()
 * @err:    Filled on failure
 *
 * Return: 0 or a negative errno
 */
int spec_start_request(const struct spec_source *source, Arca__V1__StartRequest **ret,
		       struct err *err)
{
	Arca__V1__StartRequest *request = calloc(1, sizeof(*request));
	int r;

	if (!request)
		return err_oom(err);
	arca__v1__start_request__init(request);
	request->container = calloc(1, sizeof(*request->container));
	if (request->container)
		arca__v1__container_spec__init(request->container);
	if (!request->container || spec_put(&request->id, source->id) ||
	    spec_put(&request->container_id, source->id))
		r = err_oom(err);
	else
		r = spec_container_fill(source, request->container, err);
	if (r == 0)
		r = spec_process(source, false, &request->process, err);
	if (r < 0) {
		arca__v1__start_request__free_unpacked(request, NULL);
		return r;
	}
	*ret = request;
	return 0;
}

/**
 * spec_prepare() - Compile the default seccomp filter ahead of the first start
 */
void spec_prepare(void)
{
	void *bpf = NULL;
	size_t len;
	struct err err = {0};

	if (seccomp_default_filter(caps_default(), &bpf, &len, &err) == 0)
		free(bpf);
}
