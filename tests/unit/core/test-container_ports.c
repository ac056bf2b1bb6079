/* SPDX-License-Identifier: Apache-2.0 */
/* Published ports through the life of a container, with a fake forwarder. */
#include <errno.h>

#include "bed.h"

#include "base/cleanup.h"
#include "core/containers.h"
#include "core/jsonx.h"
#include "net/forward.h"
#include "test.h"

TEST_MAIN()

#define NOTHING "{}"
#define PUBLISHED                                                                                  \
	"{\"80/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"8080\"},{\"HostIp\":\"::\","          \
	"\"HostPort\":\"8080\"}],\"81/tcp\":null}"

static int make_bound(struct bed *b, const char *host, const char *bindings, char id[static ID_BUF],
		      struct err *err)
{
	_cleanup_json_ json_t *config =
		jx_parse("{\"Image\":\"busybox\",\"ExposedPorts\":{\"80/tcp\":{},\"81/tcp\":{}}}");
	_cleanup_json_ json_t *h = jx_parse(host), *warnings = json_array();
	struct container_create create = {
		.name = "one", .config = config, .host_config = h, .warnings = warnings};

	(void)jx_set(h, "PortBindings", jx_parse(bindings));
	b->core.forward = (struct forward *)b;
	return container_create(b->cs, &create, id, err);
}

static int make_published(struct bed *b, const char *host, char id[static ID_BUF], struct err *err)
{
	return make_bound(b, host, "{\"80/tcp\":[{\"HostPort\":\"8080\"}]}", id, err);
}

static char *shown(struct bed *b)
{
	_cleanup_json_ json_t *json = NULL;
	struct err err = {0};

	if (container_inspect(b->cs, "one", false, &json, &err) < 0)
		return strdup("gone");
	return json_dumps(json_object_get(json_object_get(json, "NetworkSettings"), "Ports"),
			  JSON_COMPACT);
}

#define ASSERT_SHOWN(b, expected)                                                                  \
	do {                                                                                       \
		_cleanup_free_ char *_text = shown(b);                                             \
		ASSERT_STREQ(_text, expected);                                                     \
	} while (0)

/* Goal: published at the start, shown, and gone with the process. */
TEST(ports_live_as_long_as_the_process)
{
	BED(b);
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(make_published(&b, "{}", id, &err));
	ASSERT_SHOWN(&b, NOTHING);
	ASSERT_OK(container_start(b.cs, id, &err));
	ASSERT_STREQ(fakes.forward_owner, id);
	ASSERT_EQ(fakes.n_forwarded, 2);
	ASSERT_EQ(fakes.forwarded[0].target.bytes[3], 7);
	ASSERT_SHOWN(&b, PUBLISHED);
	fakes_exit(id, 0);
	ASSERT_EQ(wait_for(&b, "one", "not-running"), 0);
	ASSERT_EQ(fakes.n_forwarded, 0);
	ASSERT_SHOWN(&b, NOTHING);
	ASSERT_OK(container_remove(b.cs, "one", false, false, &err));
	ASSERT_EQ(fakes.forward_dels, 1);
}

/* Goal: a port that is taken fails the start, leaves no VM, and is no obstacle later. */
TEST(a_taken_port_fails_the_start)
{
	BED(b);
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(make_published(&b, "{}", id, &err));
	fakes.forward_error = -EADDRINUSE;
	(void)snprintf(fakes.forward_holder, sizeof(fakes.forward_holder), "other");
	ASSERT(container_start(b.cs, id, &err) < 0);
	ASSERT_EQ(err.kind, ERR_INTERNAL);
	ASSERT(str_starts(err.msg, "failed to set up container networking: driver failed "
				   "programming external connectivity on endpoint one ("));
	ASSERT(str_ends(err.msg, "): Bind for 0.0.0.0:8080 failed: port is already allocated"));
	ASSERT_STATE(&b, "one", "created 128");
	ASSERT_SHOWN(&b, NOTHING);
	ASSERT(no_sandboxes());
	ASSERT_EQ(fakes.forward_dels, 0);
	fakes.forward_error = 0;
	ASSERT_OK(container_start(b.cs, id, &err));
	ASSERT_SHOWN(&b, PUBLISHED);
	ASSERT_OK(container_remove(b.cs, "one", true, false, &err));
	ASSERT_EQ(fakes.n_forwarded, 0);
}

/* Goal: a program that is not there costs no port. */
TEST(a_start_that_fails_gives_ports_back)
{
	BED(b);
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(make_published(&b, "{}", id, &err));
	fakes.start = FAKE_NO_PROGRAM;
	ASSERT(container_start(b.cs, id, &err) < 0);
	ASSERT_EQ(fakes.forward_adds, 1);
	ASSERT_EQ(fakes.n_forwarded, 0);
	ASSERT_SHOWN(&b, NOTHING);
}

/* Goal: without a network nothing is published, nor asked of the forwarder. */
TEST(no_network_no_ports)
{
	BED(b);
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(make_published(&b, "{\"NetworkMode\":\"none\"}", id, &err));
	ASSERT_OK(container_start(b.cs, id, &err));
	ASSERT_SHOWN(&b, NOTHING);
	ASSERT_EQ(fakes.forward_adds, 0);
	ASSERT_OK(container_remove(b.cs, "one", true, false, &err));
	ASSERT_EQ(fakes.forward_dels, 0);
}

/* Goal: a new daemon shows what the forwarder has, and asks nothing new of it. */
TEST(a_new_daemon_finds_ports_published)
{
	BED(b);
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(make_published(&b, "{}", id, &err));
	ASSERT_OK(container_start(b.cs, id, &err));
	fakes.adopt = fakes.adopt_knows = true;
	bed_restart(&b);
	ASSERT_STATE(&b, "one", "running 0");
	ASSERT_SHOWN(&b, PUBLISHED);
	ASSERT_EQ(fakes.forward_adds, 1);
	ASSERT_EQ(fakes.forward_dels, 0);
	fakes_forget(); /* the forwarder died together with the daemon */
	bed_restart(&b);
	ASSERT_SHOWN(&b, PUBLISHED);
	ASSERT_EQ(fakes.forward_adds, 2);
	ASSERT_STREQ(fakes.forward_owner, id);
	ASSERT_OK(container_remove(b.cs, "one", true, false, &err));
	ASSERT_EQ(fakes.n_forwarded, 0);
}

#define CHOSEN(range, any)                                                                         \
	"{\"80/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"" range                             \
	"\"}],\"81/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"" any "\"}]}"

static int make_chosen(struct bed *b, char id[static ID_BUF], struct err *err)
{
	return make_bound(b, "{}",
			  "{\"80/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"8080-8089\"}],"
			  "\"81/tcp\":[{\"HostIp\":\"127.0.0.1\"}]}",
			  id, err);
}

/* Goal: where the forwarder died together with the daemon, ports that were chosen stay; after a
 * stop they do not. */
TEST(chosen_ports_outlive_daemon_and_forwarder)
{
	BED(b);
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(make_chosen(&b, id, &err));
	b.cs->next_tcp_port = 40000;
	fakes.forward_taken = 8080;
	ASSERT_OK(container_start(b.cs, id, &err));
	ASSERT_SHOWN(&b, CHOSEN("8081", "40000"));
	fakes.forward_taken = 0;
	fakes.adopt = fakes.adopt_knows = true;
	for (int i = 0; i < 2; i++) {
		fakes_forget();
		bed_restart(&b);
		ASSERT_SHOWN(&b, CHOSEN("8081", "40000"));
		ASSERT_EQ(b.cs->next_tcp_port, 40001); /* what others get is behind it */
	}
	ASSERT_OK(container_restart(b.cs, id, NULL, 0, NULL, &err));
	ASSERT_SHOWN(&b, CHOSEN("8080", "40001"));
	ASSERT_OK(container_remove(b.cs, "one", true, false, &err));
}

/* Goal: a port that somebody else has by then becomes another one, and the others stay. */
TEST(a_chosen_port_that_is_taken_becomes_another)
{
	BED(b);
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(make_chosen(&b, id, &err));
	b.cs->next_tcp_port = 40000;
	ASSERT_OK(container_start(b.cs, id, &err));
	fakes.adopt = fakes.adopt_knows = true;
	fakes_forget();
	fakes.forward_taken = 40000;
	(void)snprintf(fakes.forward_holder, sizeof(fakes.forward_holder), "other");
	bed_restart(&b);
	ASSERT_SHOWN(&b, CHOSEN("8080", "40001"));
	fakes_forget();
	fakes.forward_taken = 8080;
	*fakes.forward_holder = '\0'; /* a foreign process: waited for */
	bed_restart(&b);
	ASSERT_SHOWN(&b, CHOSEN("8081", "40001"));
	ASSERT_OK(container_remove(b.cs, "one", true, false, &err));
}

/* Goal: a VM that went while no daemon watched leaves no port. */
TEST(a_vm_that_is_gone_has_no_ports)
{
	BED(b);
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(make_published(&b, "{}", id, &err));
	ASSERT_OK(container_start(b.cs, id, &err));
	bed_restart(&b);
	ASSERT_STATE(&b, "one", "exited 137");
	ASSERT_SHOWN(&b, NOTHING);
	ASSERT_EQ(fakes.n_forwarded, 0);
	ASSERT_OK(container_start(b.cs, id, &err));
	ASSERT_SHOWN(&b, PUBLISHED);
	ASSERT_OK(container_remove(b.cs, "one", true, false, &err));
}

/* Goal: what belongs to nobody who runs goes at the next daemon's start. */
TEST(ports_of_nobody_are_dropped)
{
	static const struct forward_mapping mapping = {.proto = 6, .count = 1};
	BED(b);

	b.core.forward = (struct forward *)&b;
	(void)snprintf(fakes.forward_owner, sizeof(fakes.forward_owner), "nobody");
	fakes.forwarded = malloc(sizeof(mapping));
	memcpy(fakes.forwarded, &mapping, sizeof(mapping));
	fakes.n_forwarded = 1;
	container_ports_sweep(b.cs);
	ASSERT_EQ(fakes.n_forwarded, 0);
	ASSERT_EQ(fakes.forward_dels, 1);
}

/* Goal: a host without IPv6 listens on IPv4 alone. */
TEST(a_host_without_ipv6)
{
	BED(b);
	struct err err = {0};
	char id[ID_BUF];

	ASSERT_OK(make_published(&b, "{}", id, &err));
	fakes.no_ipv6 = true;
	ASSERT_OK(container_start(b.cs, id, &err));
	ASSERT_EQ(fakes.n_forwarded, 1);
	ASSERT_OK(container_remove(b.cs, "one", true, false, &err));
}
