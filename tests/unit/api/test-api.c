/* SPDX-License-Identifier: Apache-2.0 */
/* The API over a real socket, with managers that only record. */
#include "api/api.h"

#include <limits.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "client.h"
#include "core/core.h"
#include "fakes.h"
#include "registry/hosts.h"
#include "test.h"

TEST_MAIN()

struct fixture {
	struct http_server *server;
	struct api *api;
	struct core core;
	char path[64];
	int fd;
	struct buf answer;
	unsigned int status;
	const char *body;
};

static void fixture_init(struct fixture *f)
{
	static const struct registry_options registries;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct err err = {0};

	memset(&fake, 0, sizeof(fake));
	f->core.config.data_root = "/nowhere";
	f->core.config.registries = &registries;
	f->core.config.default_shape = (struct vm_shape){1, 512};
	(void)snprintf(f->path, sizeof(f->path), "/tmp/arca-test-api-%d.sock", (int)getpid());
	(void)unlink(f->path);
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", f->path);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 64) < 0 ||
	    api_new(&f->core, &f->api) < 0 ||
	    http_server_new(&api_http_hooks, f->api, &f->server) < 0 ||
	    http_server_listen(f->server, (struct http_listener){.fd = fd}, NULL, &err) < 0)
		abort();
	f->fd = client_connect(f->path);
}

static void fixture_done(struct fixture *f)
{
	http_server_stop(f->server);
	http_server_free(f->server);
	api_free(f->api);
	if (f->fd >= 0)
		close(f->fd);
	buf_done(&f->answer);
	(void)unlink(f->path);
}

#define FIXTURE(f)                                                                                 \
	_cleanup_(fixture_done) struct fixture f = {.fd = -EBADF};                                 \
	fixture_init(&f)

/* Send, read one answer (by Content-Length or to the last chunk); 0 if that failed. */
static unsigned int ask_type(struct fixture *f, const char *method_path, const char *type,
			     const char *body)
{
	_cleanup_buf_ struct buf request = {0};
	const char *length;
	size_t want = 0;

	buf_addf(&request, "%s HTTP/1.1\r\nHost: x\r\n", method_path);
	if (type)
		buf_addf(&request, "Content-Type: %s\r\n", type);
	if (body)
		buf_addf(&request, "Content-Length: %zu\r\n", strlen(body));
	buf_addf(&request, "\r\n%s", body ? body : "");
	buf_reset(&f->answer);
	f->status = 0;
	f->body = "";
	if (!client_send(f->fd, request.data) || !client_until(f->fd, &f->answer, "\r\n\r\n"))
		return 0;
	length = strstr(f->answer.data, "Content-Length: ");
	if (length) {
		struct pollfd p = {.fd = f->fd, .events = POLLIN};

		want = strtoul(length + 16, NULL, 10);
		while (f->answer.len <
		       (size_t)(strstr(f->answer.data, "\r\n\r\n") + 4 - f->answer.data) + want) {
			char data[4096];
			ssize_t n = poll(&p, 1, 5000) > 0 ? recv(f->fd, data, sizeof(data), 0) : 0;

			if (n <= 0)
				return 0;
			buf_add(&f->answer, data, (size_t)n);
		}
	} else if (strstr(f->answer.data, "Transfer-Encoding: chunked") &&
		   !client_until(f->fd, &f->answer, "0\r\n\r\n")) {
		return 0;
	}
	f->body = strstr(f->answer.data, "\r\n\r\n") + 4;
	f->status = (unsigned int)strtoul(f->answer.data + 9, NULL, 10);
	return f->status;
}

static unsigned int ask(struct fixture *f, const char *method_path, const char *body)
{
	return ask_type(f, method_path, body ? "application/json" : NULL, body);
}

/* Goal: what every client asks first. */
TEST(ping_and_version)
{
	FIXTURE(f);

	ASSERT_EQ(ask(&f, "GET /_ping", NULL), 200);
	ASSERT_STREQ(f.body, "OK");
	ASSERT(strstr(f.answer.data, "Api-Version: 1.51\r\n"));
	ASSERT(strstr(f.answer.data, "Docker-Experimental: false\r\n"));
	ASSERT(strstr(f.answer.data, "Ostype: linux\r\n"));
	ASSERT(strstr(f.answer.data, "Server: Arca/"));
	ASSERT(strstr(f.answer.data, "Cache-Control: no-cache, no-store, must-revalidate\r\n"));
	ASSERT_EQ(ask(&f, "GET /v1.24/version", NULL), 200);
	ASSERT(strstr(f.body, "\"ApiVersion\":\"1.51\",\"MinAPIVersion\":\"1.24\""));
	ASSERT(strstr(f.body, "\"Name\":\"Engine\""));
	ASSERT(strstr(f.body, "\"Accelerator\":\"tcg\""));
	ASSERT(str_ends(f.body, "}\n"));
}

/* Goal: Docker's JSON for every kind of error, with the common headers. */
TEST(errors_are_dockers)
{
	FIXTURE(f);

	ASSERT_EQ(ask(&f, "GET /nosuch", NULL), 404);
	ASSERT_STREQ(f.body, "{\"message\":\"page not found\"}\n");
	ASSERT(strstr(f.answer.data, "Api-Version: 1.51\r\n"));
	ASSERT(strstr(f.answer.data, "Content-Type: application/json\r\n"));
	ASSERT_EQ(ask(&f, "GET /v1.10/_ping", NULL), 400);
	ASSERT_EQ(ask(&f, "POST /v1.51/swarm/init", "{}"), 501);
	ASSERT_STREQ(f.body, "{\"message\":\"POST /swarm/init is not implemented by Arca yet\"}\n");
	ASSERT_EQ(ask(&f, "GET /containers/nosuch/json", NULL), 404);
	ASSERT_STREQ(f.body, "{\"message\":\"No such container: nosuch\"}\n");
	ASSERT_EQ(ask(&f, "POST /containers/already/start", NULL), 304);
	ASSERT_STREQ(f.body, "");
	ASSERT_EQ(ask(&f, "POST /containers/conflict/pause", NULL), 409);
	ASSERT_STREQ(f.body, "{\"message\":\"conflict with \\\"quotes\\\"\\n\"}\n");
	ASSERT_EQ(ask(&f, "POST /containers/broken/pause", NULL), 500);
	ASSERT_EQ(ask(&f, "DELETE /_ping", NULL), 404);
}

/* Goal: info holds what `docker info` prints, and no null where the CLI wants a list. */
TEST(info_is_complete)
{
	FIXTURE(f);
	json_t *info;

	ASSERT_EQ(ask(&f, "GET /info", NULL), 200);
	info = json_loads(f.body, 0, NULL);
	ASSERT(info);
	ASSERT_EQ(json_integer_value(json_object_get(info, "Containers")), 6);
	ASSERT_STREQ(json_string_value(json_object_get(info, "KernelVersion")), "6.1.0-fake");
	ASSERT_STREQ(json_string_value(json_object_get(info, "DefaultRuntime")), "arca");
	ASSERT(json_integer_value(json_object_get(info, "MemTotal")) > 0);
	ASSERT_EQ(strlen(json_string_value(json_object_get(info, "ID"))), 36);
	ASSERT(json_is_array(json_object_get(info, "DriverStatus")));
	ASSERT(json_is_array(json_object_get(info, "Labels")));
	ASSERT(json_is_object(json_object_get(info, "Swarm")));
	ASSERT_EQ(json_array_size(json_object_get(info, "Warnings")), 1);
	ASSERT(json_object_get(json_object_get(info, "RegistryConfig"), "IndexConfigs"));
	json_decref(info);
}

/* Goal: a create body is split, unknown fields are kept, and the query is passed. */
TEST(create_splits_the_body)
{
	FIXTURE(f);

	ASSERT_EQ(ask(&f, "POST /v1.47/containers/create?name=web",
		      "{\"Image\":\"a\",\"Cmd\":\"sh\",\"New\":[1],\"HostConfig\":{\"Memory\":5},"
		      "\"NetworkingConfig\":{\"EndpointsConfig\":{\"n\":null}}}"),
		  201);
	ASSERT(str_starts(f.body, "{\"Id\":\"aaaa"));
	ASSERT(str_ends(f.body, "\"Warnings\":[\"beware\"]}\n"));
	ASSERT_STREQ(fake.name, "web");
	ASSERT_STREQ(fake.text, "{\"c\":{\"Cmd\":\"sh\",\"Image\":\"a\",\"New\":[1]},\"h\":{"
				"\"Memory\":5},\"n\":{\"EndpointsConfig\":{\"n\":null}}}");
	ASSERT_EQ(ask(&f, "POST /containers/create",
		      "{\"image\":\"a\",\"hostconfig\":{\"memory\":5},\"NetworkingConfig\":null}"),
		  201);
	ASSERT_STREQ(fake.text, "{\"c\":{\"Image\":\"a\"},\"h\":{\"Memory\":5},\"n\":{}}");
	ASSERT_STREQ(fake.name, "(none)");
	ASSERT_EQ(ask(&f, "POST /containers/create?name=conflict", "{\"Image\":\"a\"}"), 409);
}

/* Goal: bodies of networks are checked, spelt properly, and may be left out. */
TEST(networks_check_their_bodies)
{
	FIXTURE(f);

	ASSERT_EQ(ask(&f, "POST /networks/create",
		      "{\"name\":\"n\",\"ipam\":{\"config\":[{\"subnet\":\"x\"}]}}"),
		  201);
	ASSERT(str_starts(f.body, "{\"Id\":\"bbbb") && str_ends(f.body, "\"Warning\":\"\"}\n"));
	ASSERT_STREQ(fake.text, "{\"IPAM\":{\"Config\":[{\"Subnet\":\"x\"}]},\"Name\":\"n\"}");
	ASSERT_EQ(ask(&f, "POST /networks/create", NULL), 201);
	ASSERT_STREQ(fake.text, "{}");
	ASSERT_EQ(ask(&f, "POST /networks/create", "{\"Labels\":{\"a\":1}}"), 400);
	ASSERT_EQ(ask(&f, "POST /networks/create", "{\"IPAM\":{\"Config\":[1]}}"), 400);
	ASSERT_EQ(ask(&f, "POST /networks/create", "[]"), 400);
	ASSERT_EQ(ask(&f, "POST /networks/x/connect",
		      "{\"container\":\"c\",\"endpointconfig\":{\"gwpriority\":5}}"),
		  200);
	ASSERT_STREQ(fake.text, "{\"c\":\"c\",\"n\":\"x\",\"s\":{\"GwPriority\":5}}");
	ASSERT_EQ(ask(&f, "POST /networks/x/connect", "null"), 200);
	ASSERT_STREQ(fake.text, "{\"c\":\"\",\"n\":\"x\",\"s\":null}");
	ASSERT_EQ(ask(&f, "POST /networks/x/connect", "{\"EndpointConfig\":{\"Links\":\"x\"}}"),
		  400);
}

/* Goal: bad bodies, in dockerd's words. */
TEST(create_refuses)
{
	static const char *const bad[][2] = {
		{"", "invalid JSON"},
		{"{", "invalid JSON"},
		{"[]", "invalid JSON"},
		{"null", "config cannot be empty in order to create a container"},
		{"{}", "config cannot be empty in order to create a container"},
		{"{\"HostConfig\":{}}", "config cannot be empty in order to create a container"},
		{"{\"Image\":5}", "invalid JSON: json: cannot unmarshal number 5 into Go struct "
				  "field CreateRequest.Image of type string"},
		{"{\"Image\":\"a\",\"Env\":[\"x\",{}]}",
		 "cannot unmarshal object into Go struct field CreateRequest.Env of type string"},
		{"{\"Image\":\"a\",\"HostConfig\":{\"Memory\":1.5}}",
		 "cannot unmarshal number 1.5 into Go struct field CreateRequest.HostConfig.Memory "
		 "of type int64"},
		{"{\"Image\":\"a\",\"HostConfig\":{\"PortBindings\":{\"80/tcp\":{}}}}",
		 "CreateRequest.HostConfig.PortBindings"},
		{"{\"Image\":\"a\",\"HostConfig\":{\"Mounts\":[{\"Target\":true}]}}",
		 "cannot unmarshal bool into Go struct field "
		 "CreateRequest.HostConfig.Mounts.Target "
		 "of type string"},
		{"{\"Image\":\"a\"} {\"Image\":\"b\"}", "unexpected content after JSON"},
		{"{\"Image\":\"a\\u0000b\"}", "invalid JSON"},
	};
	FIXTURE(f);
	_cleanup_free_ char *brackets = malloc(1000001);

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ASSERT_EQ(ask(&f, "POST /containers/create", bad[i][0]), 400);
		if (!strstr(f.body, bad[i][1]))
			printf("# %s\n", f.body);
		ASSERT(strstr(f.body, bad[i][1]));
	}
	memset(brackets, '[', 1000000);
	brackets[1000000] = '\0';
	ASSERT_EQ(ask(&f, "POST /containers/create", brackets), 400);
	ASSERT(strstr(f.body, "exceeded max depth"));
	ASSERT_EQ(ask_type(&f, "POST /containers/create", "text/plain", "{}"), 400);
	ASSERT(strstr(f.body, "unsupported Content-Type header (text/plain): must be "
			      "'application/json'"));
	ASSERT_EQ(ask_type(&f, "POST /containers/create", "Application/JSON; charset=utf-8",
			   "{\"Image\":\"a\"}"),
		  201);
	ASSERT_STREQ(fake.ref, "");
}

/* Goal: list's query reaches the manager in one form; unknown filters are refused. */
TEST(list_passes_the_query)
{
	FIXTURE(f);

	ASSERT_EQ(ask(&f,
		      "GET /containers/json?all=True&limit=3&size=0&filters="
		      "%7B%22label%22%3A%7B%22a%3Db%22%3Atrue%7D%2C%22name%22%3A%5B%22x%22%5D%7D",
		      NULL),
		  200);
	ASSERT_STREQ(f.body, "[]\n");
	ASSERT(fake.all && !fake.size);
	ASSERT_EQ(fake.limit, 3);
	ASSERT_STREQ(fake.text, "{\"label\":[\"a=b\"],\"name\":[\"x\"]}");
	ASSERT_EQ(ask(&f, "GET /containers/json?limit=-1", NULL), 200);
	ASSERT_EQ(fake.limit, 0);
	ASSERT(!fake.all);
	ASSERT_EQ(ask(&f, "GET /containers/json?filters=%7B%22nosuch%22%3A%5B%22x%22%5D%7D", NULL),
		  400);
	ASSERT_STREQ(f.body, "{\"message\":\"invalid filter 'nosuch'\"}\n");
	ASSERT_EQ(ask(&f, "GET /containers/json?filters=%7B", NULL), 400);
	ASSERT_EQ(ask(&f, "GET /containers/json?filters=%5B%5B%5B%5B%5B%5B", NULL), 400);
	ASSERT_EQ(ask(&f, "GET /containers/json?limit=x", NULL), 400);
}

/* Goal: every verb passes what it was given. */
TEST(verbs)
{
	FIXTURE(f);

	ASSERT_EQ(ask(&f, "POST /containers/web/start", NULL), 204);
	ASSERT_EQ(ask(&f, "POST /containers/web/start", "{}"), 204);
	ASSERT_EQ(ask(&f, "POST /containers/web/start", "{\"Binds\":[]}"), 400);
	ASSERT_EQ(ask(&f, "POST /containers//web/stop?t=5&signal=INT", NULL), 204);
	ASSERT_STREQ(fake.ref, "/web");
	ASSERT_STREQ(fake.name, "INT");
	ASSERT_EQ(fake.timeout_s, 5);
	ASSERT_EQ(ask(&f, "POST /containers/web/restart", NULL), 204);
	ASSERT_EQ(fake.timeout_s, INT_MIN);
	ASSERT_STREQ(fake.name, "(none)");
	ASSERT_EQ(ask(&f, "POST /containers/web/stop?t=soon", NULL), 400);
	ASSERT_EQ(ask(&f, "POST /containers/web/kill?signal=9", NULL), 204);
	ASSERT_STREQ(fake.name, "9");
	ASSERT_EQ(ask(&f, "POST /containers/web/pause", NULL), 204);
	ASSERT(fake.pause);
	ASSERT_EQ(ask(&f, "POST /containers/web/unpause", NULL), 204);
	ASSERT(!fake.pause);
	ASSERT_EQ(ask(&f, "DELETE /containers/web?force=1&v=1", NULL), 204);
	ASSERT(fake.force && fake.volumes);
	ASSERT_EQ(ask(&f, "POST /containers/web/rename?name=db", NULL), 204);
	ASSERT_STREQ(fake.name, "db");
	ASSERT_EQ(ask(&f, "POST /containers/web/resize?h=24&w=80", NULL), 200);
	ASSERT_EQ(fake.rows * 1000 + fake.cols, 24080);
	ASSERT_EQ(ask(&f, "POST /containers/web/resize?h=24", NULL), 400);
	ASSERT_EQ(ask(&f, "POST /containers/web/update",
		      "{\"Memory\":1,\"RestartPolicy\":{\"Name\":\"no\"}}"),
		  200);
	ASSERT_STREQ(fake.text, "{\"Memory\":1,\"RestartPolicy\":{\"Name\":\"no\"}}");
	ASSERT_EQ(ask(&f, "POST /containers/web/update", "{\"Memory\":\"1\"}"), 400);
	ASSERT_EQ(ask(&f, "GET /containers/web/top?ps_args=aux", NULL), 200);
	ASSERT_STREQ(fake.name, "aux");
	ASSERT_EQ(ask(&f, "POST /containers/prune", NULL), 200);
	ASSERT_STREQ(f.body, "{\"ContainersDeleted\":null,\"SpaceReclaimed\":42}\n");
	ASSERT_EQ(
		ask(&f, "POST /containers/prune?filters=%7B%22until%22%3A%5B%221h%22%5D%7D", NULL),
		200);
	ASSERT_STREQ(f.body, "{\"ContainersDeleted\":[\"gone\"],\"SpaceReclaimed\":42}\n");
}

/* Goal: wait's headers come when the wait stands, its answer at the end; a client that leaves
 * ends the wait. */
TEST(wait_answers_in_two_steps)
{
	FIXTURE(f);
	_cleanup_buf_ struct buf b = {0};

	ASSERT(client_send(f.fd, "POST /containers/web/wait?condition=next-exit HTTP/1.1\r\nHost: "
				 "x\r\n\r\n"));
	ASSERT(client_until(f.fd, &b, "\r\n\r\n"));
	ASSERT(str_starts(b.data, "HTTP/1.1 200 "));
	ASSERT_STREQ(fake.name, "next-exit");
	ASSERT(!strstr(b.data, "StatusCode"));
	fake.exit_now = true;
	ASSERT(client_until(f.fd, &b, "0\r\n\r\n"));
	ASSERT(strstr(b.data, "{\"StatusCode\":137,\"Error\":{\"Message\":\"killed\"}}\n"));
	fake.exit_now = false;
	buf_reset(&b);
	ASSERT(client_send(f.fd, "POST /containers/web/wait HTTP/1.1\r\nHost: x\r\n\r\n"));
	ASSERT(client_until(f.fd, &b, "\r\n\r\n"));
	close(f.fd);
	f.fd = client_connect(f.path);
	for (int i = 0; i < 2000 && !fake.wait_cancelled; i++)
		usleep(1000);
	ASSERT_EQ(fake.wait_cancelled, 1);
	ASSERT_EQ(ask(&f, "POST /containers/nosuch/wait", NULL), 404);
}

static int events_seen(struct fixture *f, const char *query)
{
	_cleanup_free_ char *line = str_format("GET /events?%s", query);
	int n = 0;

	if (ask(f, line, NULL) != 200)
		return -1;
	for (const char *at = f->body; (at = strstr(at, "\"Type\"")); at++)
		n++;
	return n;
}

#define FILTER(key, value) "filters=%7B%22" key "%22%3A%5B%22" value "%22%5D%7D"

/* Goal: events pass dockerd's filters. */
TEST(events_are_filtered)
{
	FIXTURE(f);

	ASSERT_EQ(events_seen(&f, ""), 4);
	ASSERT_EQ(events_seen(&f, FILTER("type", "container")), 3);
	ASSERT_EQ(events_seen(&f, FILTER("event", "exec_start")), 1);
	ASSERT_EQ(events_seen(&f, FILTER("event", "exec")), 0);
	ASSERT_EQ(events_seen(&f, FILTER("container", "web")), 2);
	ASSERT_EQ(events_seen(&f, FILTER("container", "c2")), 1);
	ASSERT_EQ(events_seen(&f, FILTER("image", "repo/img")), 3);
	ASSERT_EQ(events_seen(&f, FILTER("image", "img:latest")), 1);
	ASSERT_EQ(events_seen(&f, FILTER("label", "tier%3Dodd")), 2);
	ASSERT_EQ(events_seen(&f, FILTER("scope", "swarm")), 0);
	ASSERT_EQ(events_seen(&f, FILTER("nosuch", "x")), -1);
	ASSERT_EQ(events_seen(&f, "since=x"), -1);
	ASSERT_EQ(events_seen(&f, "since=20&until=10"), -1);
	ASSERT_EQ(events_seen(&f, "since=10.5&until=20"), 4);
}
