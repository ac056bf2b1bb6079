/* SPDX-License-Identifier: Apache-2.0 */
/* A create body becomes config and host config: types, inheritance, defaults, refusals. */
#include <errno.h>

#include "base/str.h"
#include "core/caps.h"
#include "core/containers.h"
#include "core/jsonx.h"
#include "core/spec.h"
#include "test.h"

TEST_MAIN()

static const struct core test_core = {.config = {.default_shape = {1, 256}}};

static json_t *parse(const char *text)
{
	json_t *json = json_loads(text, 0, NULL);

	if (!json)
		abort();
	return json;
}

static json_t *merged(const char *config, const char *image)
{
	_cleanup_json_ json_t *in = parse(config), *from = parse(image);
	json_t *out = NULL;
	struct err err = {0};

	if (container_config_normalise(in, &out, &err) < 0 ||
	    container_config_merge(out, from, &err) < 0)
		return NULL;
	return out;
}

static char *text_of(const json_t *object, const char *key)
{
	return jx_text(json_object_get(object, key));
}

#define ASSERT_JSON(object, key, expected)                                                         \
	do {                                                                                       \
		_cleanup_free_ char *_text = text_of(object, key);                                 \
		ASSERT_STREQ(_text, expected);                                                     \
	} while (0)

/* Goal: a complete object comes of an empty one, and wrong types are named. */
TEST(config_normalise_checks_types)
{
	static const char *const bad[] = {
		"{\"Hostname\":1}",	 "{\"Tty\":\"yes\"}",	   "{\"Env\":[1]}",
		"{\"Env\":{}}",		 "{\"Labels\":{\"a\":1}}", "{\"Cmd\":{\"a\":1}}",
		"{\"StopTimeout\":1.5}", "{\"ExposedPorts\":[]}",
	};
	_cleanup_json_ json_t *empty = NULL;
	struct err err = {0};

	ASSERT_OK(container_config_normalise(NULL, &empty, &err));
	ASSERT_JSON(empty, "Hostname", "\"\"");
	ASSERT_JSON(empty, "Cmd", "null");
	ASSERT_JSON(empty, "Labels", "{}");
	ASSERT(!json_object_get(empty, "StopTimeout"));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_json_ json_t *in = parse(bad[i]);
		json_t *out = NULL;

		err = (struct err){0};
		ASSERT_ERROR(container_config_normalise(in, &out, &err), EINVAL);
		ASSERT_EQ(err.kind, ERR_INVALID);
		ASSERT(out == NULL);
	}
}

/* Goal: dockerd's rules for command and entrypoint. */
TEST(merge_command_follows_dockerd)
{
	static const char image[] = "{\"Cmd\":[\"c\"],\"Entrypoint\":[\"e\"]}";
	static const struct {
		const char *config, *entrypoint, *cmd;
	} cases[] = {
		{"{}", "[\"e\"]", "[\"c\"]"},
		{"{\"Cmd\":[\"x\"]}", "[\"e\"]", "[\"x\"]"},
		{"{\"Entrypoint\":[\"y\"]}", "[\"y\"]", "null"},
		{"{\"Entrypoint\":[\"y\"],\"Cmd\":[\"x\"]}", "[\"y\"]", "[\"x\"]"},
		{"{\"Entrypoint\":[\"\"],\"Cmd\":[\"x\"]}", "null", "[\"x\"]"},
		{"{\"Entrypoint\":\"sh\"}", "[\"sh\"]", "null"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_json_ json_t *out = merged(cases[i].config, image);

		ASSERT_JSON(out, "Entrypoint", cases[i].entrypoint);
		ASSERT_JSON(out, "Cmd", cases[i].cmd);
	}
}

/* Goal: the rest is inherited by name; what the container says wins. */
TEST(merge_inherits_by_name)
{
	_cleanup_json_ json_t *out = merged(
		"{\"Env\":[\"A=1\",\"X=own\"],\"Labels\":{\"l\":\"own\"},\"User\":\"me\","
		"\"Healthcheck\":{\"Retries\":3}}",
		"{\"Env\":[\"X=image\",\"B=2\"],\"Labels\":{\"l\":\"image\",\"m\":\"2\"},"
		"\"User\":\"root\",\"WorkingDir\":\"/w\",\"StopSignal\":\"SIGINT\","
		"\"Volumes\":{\"/v\":{}},\"ExposedPorts\":{\"80/tcp\":{}},"
		"\"Healthcheck\":{\"Test\":[\"CMD\",\"t\"],\"Retries\":9},\"Shell\":[\"bash\"]}");

	ASSERT_JSON(out, "Env", "[\"A=1\",\"X=own\",\"B=2\"]");
	ASSERT_JSON(out, "Labels", "{\"l\":\"own\",\"m\":\"2\"}");
	ASSERT_JSON(out, "User", "\"me\"");
	ASSERT_JSON(out, "WorkingDir", "\"/w\"");
	ASSERT_JSON(out, "StopSignal", "\"SIGINT\"");
	ASSERT_JSON(out, "Healthcheck", "{\"Retries\":3,\"Test\":[\"CMD\",\"t\"]}");
	ASSERT_JSON(out, "Shell", "[\"bash\"]");
	ASSERT_JSON(out, "Volumes", "{\"/v\":{}}");
}

/* Goal: an image config of the wrong types is not believed. */
TEST(merge_ignores_what_is_no_config)
{
	_cleanup_json_ json_t *out =
		merged("{\"Cmd\":[\"x\"]}", "{\"Env\":{\"A\":1},\"User\":7,\"Cmd\":[1,2],"
					    "\"Entrypoint\":[null],\"Labels\":{\"a\":1}}");

	ASSERT(out != NULL);
	ASSERT_JSON(out, "Env", "null");
	ASSERT_JSON(out, "User", "\"\"");
	ASSERT_JSON(out, "Entrypoint", "null");
	ASSERT_JSON(out, "Labels", "{}");
}

static int check_host(const char *text, struct err *err, json_t *warnings)
{
	_cleanup_json_ json_t *in = parse(text), *host = NULL;
	int r = container_host_config_normalise(in, &host, err);

	if (r < 0)
		return r;
	r = container_host_config_defaults(&test_core, host);
	if (r == 0)
		r = container_host_config_validate(&test_core, host, warnings, err);
	return r;
}

/* Goal: what dockerd refuses is refused in its words. */
TEST(host_config_refusals_have_dockers_words)
{
	static const struct {
		const char *host, *message;
	} cases[] = {
		{"{\"Memory\":1048576}", "Minimum memory limit allowed is 6MB"},
		{"{\"MemorySwap\":10485760}", "You should always set the Memory limit when using "
					      "Memoryswap limit, see usage"},
		{"{\"NanoCpus\":1000000}", NULL},
		{"{\"NanoCpus\":1000000000,\"CpuQuota\":10000}",
		 "Conflicting options: Nano CPUs and CPU Quota cannot both be set."},
		{"{\"CapAdd\":[\"FOO\"]}", "invalid CapAdd: unknown capability: \"CAP_FOO\""},
		{"{\"CapDrop\":[\"CAP_BAR\"]}", "invalid CapDrop: unknown capability: \"CAP_BAR\""},
		{"{\"RestartPolicy\":{\"Name\":\"sometimes\"}}",
		 "invalid restart policy: unknown policy 'sometimes'; use one of 'no', 'always', "
		 "'on-failure', or 'unless-stopped'"},
		{"{\"AutoRemove\":true,\"RestartPolicy\":{\"Name\":\"always\"}}",
		 "can't create 'AutoRemove' container with restart policy"},
		{"{\"OomScoreAdj\":2000}",
		 "Invalid value 2000, range for oom score adj is [-1000, 1000]"},
		{"{\"Tmpfs\":{\"/t\":\"bogus\"}}", "invalid tmpfs option [\"bogus\"]"},
		{"{\"Tmpfs\":{\"t\":\"\"}}", "invalid mount path: 't' mount path must be absolute"},
		{"{\"Ulimits\":[{\"Name\":\"files\",\"Soft\":1,\"Hard\":1}]}",
		 "invalid ulimit type: files"},
		{"{\"SecurityOpt\":[\"bogus=1\"]}", "invalid --security-opt 2: \"bogus=1\""},
		{"{\"SecurityOpt\":[\"seccomp={\"]}", NULL},
		{"{\"Runtime\":\"kata\"}", "unknown or invalid runtime name: kata"},
		{"{\"LogConfig\":{\"Type\":\"splunk\"}}",
		 "logger: no log driver named 'splunk' is registered"},
		{"{\"LogConfig\":{\"Type\":\"json-file\",\"Config\":{\"max-file\":\"0\"}}}",
		 "max-file cannot be less than 1"},
		{"{\"ShmSize\":-1}", "SHM size can not be less than 0"},
		{"{\"IpcMode\":\"bogus\"}", "invalid IPC mode: bogus"},
		{"{\"Binds\":[\"/a:/b\"]}", "volumes are not implemented by Arca yet"},
		{"{\"PidMode\":\"container:x\"}", NULL},
		{"{\"CpusetCpus\":\"8000\"}", NULL},
		{"{\"CpusetCpus\":\"1-0\"}",
		 "Invalid value 1-0 for cpuset cpus: invalid format: 1-0"},
		{"{\"CpusetCpus\":\"0,\"}", "Invalid value 0, for cpuset cpus: invalid format: 0,"},
		{"{\"CpusetCpus\":\"0/tcp\"}",
		 "Invalid value 0/tcp for cpuset cpus: invalid format: 0/tcp"},
		{"{\"CpusetCpus\":\"99999\"}",
		 "Invalid value 99999 for cpuset cpus: value of out range, maximum is 8192"},
		{"{\"CpusetMems\":\"x\"}", "Invalid value x for cpuset mems: invalid format: x"},
		{"{\"CpusetMems\":\"3\"}",
		 "Requested memory nodes are not available - requested 3, available: 0"},
		{"{\"ExtraHosts\":[\"bad\"]}", "bad format for add-host: \"bad\""},
		{"{\"ExtraHosts\":[\":1.1.1.1\"]}", "bad format for add-host: \":1.1.1.1\""},
		{"{\"ExtraHosts\":[\"a:[::1]\"]}", "invalid IP address in add-host: \"[::1]\""},
		{"{\"ExtraHosts\":[\"a:\"]}", "invalid IP address in add-host: \"\""},
		{"{\"PortBindings\":{\"80/tcp\":[{\"HostPort\":\"99999\"}]}}",
		 "invalid port specification: \"99999\""},
		{"{\"PortBindings\":{\"80/tcp\":[{\"HostPort\":\"90-80\"}]}}",
		 "invalid port specification: \"90-80\""},
		{"{\"PortBindings\":{\"99999/tcp\":null}}",
		 "invalid port specification: \"99999\""},
		{"{\"PortBindings\":{\"80-81/tcp\":[]}}", "invalid port specification: \"80-81\""},
		{"{\"PortBindings\":{\"abcdefghijklmnopqrst\":[]}}",
		 "invalid port specification: \"abcdefghijklmnopqrst\""},
		{"{\"Annotations\":{\"\":\"x\"}}",
		 "invalid Annotations: the empty string is not permitted as an annotation key"},
		{"{\"ConsoleSize\":[-1,2]}", "invalid JSON: json: cannot unmarshal number -1 into "
					     ".HostConfig.ConsoleSize.0 of type uint"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = {0};

		ASSERT(check_host(cases[i].host, &err, NULL) < 0);
		ASSERT(err.kind != ERR_NONE && err.kind != ERR_INTERNAL);
		if (cases[i].message)
			ASSERT_STREQ(err.msg, cases[i].message);
	}
}

/* Goal: what is accepted stays accepted, and what has no effect is said. */
TEST(host_config_accepts_what_docker_does)
{
	static const char *const good[] = {
		"{}",
		"{\"Memory\":6291456,\"MemorySwap\":-1,\"PidsLimit\":-1}",
		"{\"Tmpfs\":{\"/run\":\"rw,size=64m,mode=1777,noexec\",\"/x\":\"\"}}",
		"{\"Mounts\":[{\"Type\":\"tmpfs\",\"Target\":\"/t\",\"TmpfsOptions\":"
		"{\"SizeBytes\":1000000,\"Mode\":1023}}]}",
		"{\"CapAdd\":[\"ALL\"],\"CapDrop\":[\"cap_net_raw\"]}",
		"{\"CpusetCpus\":\"0-0,0\",\"CpusetMems\":\"0\",\"Annotations\":{\"a\":\"\"}}",
		"{\"ExtraHosts\":[\"a:::1\",\"a "
		"b:1.1.1.1\",\"a:host-gateway\"],\"ConsoleSize\":[1,2,3]}",
		"{\"CapAdd\":\"NET_ADMIN\",\"CapDrop\":\"ALL\"}",
		"{\"SecurityOpt\":[\"seccomp=unconfined\",\"no-new-privileges\","
		"\"apparmor=unconfined\",\"label=disable\",\"systempaths=unconfined\"]}",
		"{\"Ulimits\":[{\"Name\":\"nofile\",\"Soft\":-1,\"Hard\":-1}]}",
		"{\"NetworkMode\":\"none\",\"RestartPolicy\":{\"Name\":\"on-failure\","
		"\"MaximumRetryCount\":3}}",
		"{\"LogConfig\":{\"Type\":\"none\"},\"Runtime\":\"runc\",\"UTSMode\":\"host\"}",
	};
	_cleanup_json_ json_t *warnings = json_array();
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		ASSERT_OK(check_host(good[i], &err, warnings));
		ASSERT_EQ(json_array_size(warnings), 0);
	}
	ASSERT_OK(check_host("{\"PortBindings\":{\"80/foo\":[{\"HostPort\":\"80-90\"}],\"\":null,"
			     "\"0/tcp\":[{\"HostIp\":\"127.0.0.1\"}]}}",
			     &err, NULL));
	ASSERT_ERROR(
		check_host("{\"PortBindings\":{\"80/tcp\":[{\"HostIp\":\"bad\"}]}}", &err, NULL),
		EINVAL);
	ASSERT_OK(check_host("{\"BlkioWeight\":300,\"PortBindings\":{\"80/tcp\":[{}]}}", &err,
			     warnings));
	ASSERT_EQ(json_array_size(warnings), 1);
}

/* Goal: inspect shows Docker's defaults, and what was given. */
TEST(host_config_defaults_are_dockers)
{
	_cleanup_json_ json_t *in = parse("{\"CpuShares\":512,\"Memory\":67108864}"),
			      *size = parse("{\"ConsoleSize\":[7]}"), *console = NULL, *host = NULL;
	struct err err = {0};

	ASSERT_OK(container_host_config_normalise(in, &host, &err));
	ASSERT_OK(container_host_config_defaults(&test_core, host));
	ASSERT_JSON(host, "ShmSize", "67108864");
	ASSERT_JSON(host, "NetworkMode", "\"bridge\"");
	ASSERT_JSON(host, "IpcMode", "\"private\"");
	ASSERT_JSON(host, "RestartPolicy", "{\"Name\":\"no\",\"MaximumRetryCount\":0}");
	ASSERT_JSON(host, "LogConfig", "{\"Type\":\"json-file\",\"Config\":{}}");
	ASSERT_JSON(host, "ConsoleSize", "[0,0]");
	ASSERT_OK(container_host_config_normalise(size, &console, &err));
	ASSERT_OK(container_host_config_defaults(&test_core, console));
	ASSERT_JSON(console, "ConsoleSize", "[7,0]");
	ASSERT_JSON(host, "CpuShares", "512");
	ASSERT_JSON(host, "MemorySwap", "134217728");
	ASSERT(jx_len(host, "MaskedPaths") > 8 && jx_len(host, "ReadonlyPaths") == 5);
	ASSERT(!json_object_get(host, "Tmpfs"));
}

static int start_request(const char *config, const char *host, Arca__V1__StartRequest **ret)
{
	_cleanup_json_ json_t *c = merged(config, "{}"), *in = parse(host), *h = NULL;
	struct err err = {0};
	struct spec_source source = {.id = "0123", .config = c, .hosts = "h\n", .resolv = ""};
	int r = container_host_config_normalise(in, &h, &err);

	if (r == 0)
		r = container_host_config_defaults(&test_core, h);
	source.host_config = h;
	return r < 0 ? r : spec_start_request(&source, ret, &err);
}

static const Arca__V1__Mount *find_mount(const Arca__V1__StartRequest *req, const char *path)
{
	for (size_t i = 0; i < req->container->n_mounts; i++) {
		if (str_eq(req->container->mounts[i]->destination, path))
			return req->container->mounts[i];
	}
	return NULL;
}

static void cleanup_request(Arca__V1__StartRequest **req)
{
	if (*req)
		arca__v1__start_request__free_unpacked(*req, NULL);
}

/* Goal: the agent is told what the client asked for. */
TEST(spec_says_what_was_asked)
{
	_cleanup_(cleanup_request) Arca__V1__StartRequest *req = NULL;
	const Arca__V1__ProcessSpec *p;
	const Arca__V1__Mount *m;

	ASSERT_OK(
		start_request("{\"Entrypoint\":[\"sh\",\"-c\"],\"Cmd\":[\"id\"],\"Hostname\":"
			      "\"box\",\"Tty\":true,\"Env\":[\"PATH=/p\",\"A=1\",\"A=2\","
			      "\"TERM\"],\"User\":\"1:2\"}",
			      "{\"Tmpfs\":{\"/run\":\"size=1m,exec\",\"/dev/shm\":\"size=5m\"},"
			      "\"ReadonlyRootfs\":true,\"Memory\":67108864,\"NanoCpus\":500000000,"
			      "\"CpuShares\":1024,\"PidsLimit\":50,\"Ulimits\":[{\"Name\":"
			      "\"nofile\",\"Soft\":10,\"Hard\":20}],\"Sysctls\":{\"net.a.b\":"
			      "\"1\"},\"Devices\":[{\"PathOnHost\":\"/dev/fuse\"}]}",
			      &req));
	p = req->process;
	ASSERT_EQ(p->n_args, 3);
	ASSERT_STREQ(p->args[2], "id");
	ASSERT_EQ(p->n_env, 3);
	ASSERT_STREQ(p->env[0], "PATH=/p");
	ASSERT_STREQ(p->env[1], "HOSTNAME=box");
	ASSERT_STREQ(p->env[2], "A=2");
	ASSERT_STREQ(p->cwd, "/");
	ASSERT_STREQ(p->user, "1:2");
	ASSERT(p->tty && p->seccomp_bpf.len > 0 && p->seccomp_bpf.len % 8 == 0);
	ASSERT_EQ(p->cap_bounding, caps_default());
	ASSERT_EQ(p->cap_ambient, 0);
	ASSERT_EQ(p->n_rlimits, 1);
	ASSERT_EQ(p->rlimits[0]->soft, 10);
	ASSERT_EQ(req->container->readonly_rootfs, 1);
	ASSERT_EQ(req->container->resources->memory_bytes, 67108864);
	ASSERT_EQ(req->container->resources->memory_swap_bytes, 67108864);
	ASSERT_EQ(req->container->resources->cpu_quota_us, 50000);
	ASSERT_EQ(req->container->resources->cpu_weight, 39);
	ASSERT_EQ(req->container->resources->pids_max, 50);
	ASSERT_EQ(req->container->n_files, 3);
	ASSERT_EQ(req->container->n_devices, 1);
	ASSERT_EQ(req->container->devices[0]->minor, 229);
	m = find_mount(req, "/run");
	ASSERT(m != NULL);
	ASSERT_STREQ(m->data, "size=1m");
	ASSERT_EQ(m->flags & (1 << 3), 0); /* MS_NOEXEC was taken back */
	m = find_mount(req, "/dev/shm");
	ASSERT(m != NULL);
	ASSERT_STREQ(m->data, "size=5m");
	ASSERT_EQ(find_mount(req, "/sys")->flags & 1, 1);
	ASSERT_EQ(req->container->n_mounts, 6);
}

/* Goal: privileged lifts every fence. */
TEST(spec_privileged_has_no_fences)
{
	_cleanup_(cleanup_request) Arca__V1__StartRequest *req = NULL;

	ASSERT_OK(start_request("{\"Cmd\":[\"x\"]}", "{\"Privileged\":true}", &req));
	ASSERT_EQ(req->process->cap_effective, CAPS_ALL);
	ASSERT_EQ(req->process->seccomp_bpf.len, 0);
	ASSERT_EQ(req->container->n_masked_paths, 0);
	ASSERT_EQ(req->container->n_readonly_paths, 0);
	ASSERT_EQ(find_mount(req, "/sys")->flags & 1, 0);
}

/* Goal: a VM of the default shape unless more is asked for. */
TEST(spec_shape_grows_with_memory_only)
{
	static const struct {
		long long memory;
		unsigned int mib;
	} cases[] = {{0, 256}, {64, 256}, {192, 256}, {193, 512}, {512, 1024}, {1000, 2048}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_json_ json_t *host =
			json_pack("{s:I}", "Memory", (json_int_t)(cases[i].memory << 20));
		struct vm_shape shape = spec_shape(&test_core, host);

		ASSERT_EQ(shape.memory_mib, cases[i].mib);
		ASSERT_EQ(shape.vcpus, 1);
	}
}
