/* SPDX-License-Identifier: Apache-2.0 */
/* Port specifications become what the forwarder is told, and what is shown. */
#include <errno.h>
#include <netinet/in.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "core/jsonx.h"
#include "core/port_choice.h"
#include "core/port_plan.h"
#include "test.h"

TEST_MAIN()

static const struct port_route both = {
	.container4 = {4, 0xac110002},
	.vm4 = {4, {198, 18, 0, 7}},
	.vm6 = {6, {0xfd, [15] = 7}},
	.host_has_ipv6 = true,
	.ephemeral = {32768, 60999, 0, 0},
};

/* "tcp 0.0.0.0:8080+1>4:80 ..."; "~" for a range, "=" for the port of the one before */
static char *words(const struct forward_mapping *mappings, size_t n)
{
	_cleanup_buf_ struct buf out = {0};

	for (size_t i = 0; i < n; i++) {
		const struct forward_mapping *m = &mappings[i];
		struct net_addr addr;
		char ip[NET_ADDR_TEXT];

		(void)net_addr_from_bytes(m->host.bytes, m->host.family == 4 ? 4 : 16, &addr);
		net_addr_format(addr, ip);
		buf_addf(&out, "%s%s [%s]:", i ? ", " : "", m->proto == IPPROTO_TCP ? "tcp" : "udp",
			 ip);
		if (m->same_port)
			buf_adds(&out, "=");
		else
			buf_addf(&out, "%u", m->host_port);
		if (m->host_port_last)
			buf_addf(&out, "~%u", m->host_port_last);
		buf_addf(&out, "+%u>%u:%u", m->count, m->target.family, m->target_port);
	}
	buf_adds(&out, "");
	return out.len ? buf_steal(&out) : strdup("");
}

static char *plan_words(const char *exposed, const char *bindings, bool all,
			const struct port_route *route)
{
	_cleanup_json_ json_t *config = json_pack("{s:o}", "ExposedPorts", jx_parse(exposed));
	_cleanup_json_ json_t *host = json_pack("{s:o, s:b}", "PortBindings", jx_parse(bindings),
						"PublishAllPorts", (int)all);
	struct port_plan plan = {.n = 7};
	struct err err = {0};
	char *text;
	int r = port_plan_make(config, host, route, &plan, &err);

	if (r < 0)
		return plan.n == 7 ? strdup(err.msg) : strdup("touched");
	for (size_t i = 0; i < plan.n; i++) {
		if (!forward_mapping_valid(&plan.mappings[i], i == 0))
			plan.mappings[i].target_port = 0;
	}
	text = words(plan.mappings, plan.n);
	port_plan_done(&plan);
	return text;
}

#define ASSERT_PLAN(exposed, bindings, all, route, expected)                                       \
	do {                                                                                       \
		_cleanup_free_ char *_text = plan_words(exposed, bindings, all, route);            \
		ASSERT_STREQ(_text, expected);                                                     \
	} while (0)

/* Goal: both families, or the one that was named; IPv6 leads to an IPv4 container. */
TEST(addresses_of_the_host)
{
	ASSERT_PLAN("{\"80/tcp\":{}}", "{\"80/tcp\":[{\"HostPort\":\"8080\"}]}", false, &both,
		    "tcp [0.0.0.0]:8080+1>4:80, tcp [::]:8080+1>4:80");
	ASSERT_PLAN("{\"80/udp\":{}}",
		    "{\"80/udp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"80\"},"
		    "{\"HostIp\":\"::1\",\"HostPort\":\"81\"}]}",
		    false, &both, "udp [127.0.0.1]:80+1>4:80, udp [::1]:81+1>4:80");
	ASSERT_PLAN("{\"80/tcp\":{}}",
		    "{\"80/tcp\":[{\"HostIp\":\"::ffff:10.0.0.1\",\"HostPort\":\"8080\"}]}", false,
		    &both, "tcp [10.0.0.1]:8080+1>4:80");
	ASSERT_PLAN("{\"80/tcp\":{}}",
		    "{\"80/tcp\":[{\"HostIp\":\"127.0.0.01\",\"HostPort\":\"8080\"}]}", false,
		    &both, "invalid IP address: 127.0.0.01");
}

/* Goal: what the container, its network and the host have decides what is bound and where it leads.
 */
TEST(what_a_route_can)
{
	static const char bindings[] =
		"{\"80/tcp\":[{\"HostPort\":\"8080\"}],"
		"\"81/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"1\"}]}";
	static const char exposed[] = "{\"80/tcp\":{},\"81/tcp\":{}}";
	struct port_route route = both;

	route.container6 = (struct net_addr){6, 9};
	ASSERT_PLAN(exposed, bindings, false, &route,
		    "tcp [0.0.0.0]:8080+1>4:80, tcp [::]:8080+1>6:80, tcp [127.0.0.1]:1+1>4:81");
	route.container4.family = 0;
	ASSERT_PLAN(exposed, bindings, false, &route, "tcp [::]:8080+1>6:80");
	route = both;
	route.host_has_ipv6 = false;
	ASSERT_PLAN(exposed, bindings, false, &route,
		    "tcp [0.0.0.0]:8080+1>4:80, tcp [127.0.0.1]:1+1>4:81");
	route = both;
	route.bind = (struct net_addr){4, 0x7f000001};
	ASSERT_PLAN(exposed, bindings, false, &route,
		    "tcp [127.0.0.1]:8080+1>4:80, tcp [127.0.0.1]:1+1>4:81");
	route.container6 = (struct net_addr){6, 9};
	route.bind_not6 = true;
	ASSERT_PLAN(exposed, bindings, false, &route,
		    "tcp [127.0.0.1]:8080+1>4:80, tcp [::]:8080+1>6:80, tcp [127.0.0.1]:1+1>4:81");
	route = both;
	route.bind.family = 4; /* 0.0.0.0 says nothing */
	ASSERT_PLAN(exposed, "{\"80/tcp\":[{\"HostPort\":\"8080\"}]}", false, &route,
		    "tcp [0.0.0.0]:8080+1>4:80, tcp [::]:8080+1>4:80");
}

/* Goal: numbers first, then ranges, then any; a group has one port; any goes on where it was. */
TEST(ranges_and_ports_that_nobody_chose)
{
	struct port_route route = both;

	route.ephemeral.next_tcp = 40000;
	ASSERT_PLAN(
		"{\"80/tcp\":{},\"81/tcp\":{},\"82/tcp\":{},\"83/udp\":{}}",
		"{\"80/tcp\":[{}],\"81/tcp\":[{\"HostPort\":\"8000-8010\"},{\"HostPort\":\"7\"}],"
		"\"82/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"0\"}],"
		"\"83/udp\":[{\"HostPort\":\"0-0\"}]}",
		false, &route,
		"tcp [0.0.0.0]:7+1>4:81, tcp [::]:7+1>4:81, "
		"tcp [0.0.0.0]:8000~8010+1>4:81, tcp [::]:=+1>4:81, "
		"tcp [0.0.0.0]:40000~60999+1>4:80, tcp [::]:=+1>4:80, "
		"tcp [127.0.0.1]:40001~60999+1>4:82, "
		"udp [0.0.0.0]:32768~60999+1>4:83, udp [::]:=+1>4:83");
	route.ephemeral.next_tcp = 61000; /* around */
	ASSERT_PLAN("{\"80/tcp\":{}}", "{\"80/tcp\":[{}]}", false, &route,
		    "tcp [0.0.0.0]:32768~60999+1>4:80, tcp [::]:=+1>4:80");
}

/* Goal: a run of ports is one mapping an address, whatever the order of the keys. */
TEST(a_run_of_ports_is_one_mapping)
{
	_cleanup_json_ json_t *exposed = json_object(), *bindings = json_object();
	_cleanup_free_ char *e = NULL, *b = NULL;

	for (unsigned int i = 0; i < 1000; i++) {
		unsigned int port = 1000 + i * 7 % 1000; /* every one, not in order */
		_cleanup_free_ char *key = str_format("%u/tcp", port);
		_cleanup_free_ char *host = str_format("%u", port + 19000);

		(void)jx_set(exposed, key, json_object());
		(void)jx_set(bindings, key, json_pack("[{s:s}]", "HostPort", host));
	}
	e = jx_text(exposed);
	b = jx_text(bindings);
	ASSERT_PLAN(e, b, false, &both,
		    "tcp [0.0.0.0]:20000+1000>4:1000, tcp [::]:20000+1000>4:1000");
}

/* Goal: -P takes what is exposed and has no binding; what cannot be read is left alone. */
TEST(publish_all)
{
	ASSERT_PLAN("{\"80\":{},\"81/TCP\":{},\"x\":{},\"90-91/tcp\":{},\"0/tcp\":{},\"1/foo\":{}}",
		    "{\"80\":[]}", true, &both,
		    "tcp [0.0.0.0]:32768~60999+1>4:80, tcp [::]:=+1>4:80, "
		    "tcp [0.0.0.0]:32769~60999+1>4:81, tcp [::]:=+1>4:81");
	ASSERT_PLAN("{\"80/tcp\":{}}", "{\"80/tcp\":[{\"HostPort\":\"5\"}]}", true, &both,
		    "tcp [0.0.0.0]:5+1>4:80, tcp [::]:5+1>4:80");
	ASSERT_PLAN("{\"80/tcp\":{}}", "{\"81/tcp\":[{\"HostPort\":\"5\"}]}", false, &both, "");
	ASSERT_PLAN("{\"80/tcp\":{}}", "{\"80\":[{\"HostPort\":\"5\"}]}", false, &both, "");
}

/* Goal: dockerd's words for what is never asked of the forwarder. */
TEST(refusals)
{
	static const char twice[] = "failed to listen on TCP socket: address already in use";

	ASSERT_PLAN("{\"80/foo\":{}}", "{\"80/foo\":[{}]}", false, &both, "unknown protocol");
	ASSERT_PLAN("{\"80/sctp\":{}}", "{\"80/sctp\":[{\"HostPort\":\"9\"}]}", false, &both,
		    "error starting userland proxy: failed to listen on 0.0.0.0:9: protocol not "
		    "supported");
	ASSERT_PLAN("{\"80/tcp\":{}}", "{\"80/tcp\":[{\"HostPort\":\"0-5\"}]}", false, &both,
		    "invalid port range: 0-5");
	ASSERT_PLAN("{\"0/tcp\":{}}", "{\"0/tcp\":[{}]}", false, &both,
		    "invalid container port: 0/tcp");
	ASSERT_PLAN("{\"80/tcp\":{}}", "{\"80/tcp\":[{},{}]}", false, &both, twice);
	ASSERT_PLAN("{\"80/tcp\":{}}",
		    "{\"80/tcp\":[{\"HostPort\":\"5\"},{\"HostIp\":\"::1\",\"HostPort\":\"5\"}]}",
		    false, &both, twice);
	ASSERT_PLAN("{\"80/tcp\":{},\"80/TCP\":{}}",
		    "{\"80/tcp\":[{\"HostPort\":\"5\"}],\"80/TCP\":[{\"HostPort\":\"5\"}]}", false,
		    &both, twice);
	ASSERT_PLAN("{\"80/udp\":{}}", "{\"80/udp\":[{\"HostPort\":\"5\"},{\"HostPort\":\"5\"}]}",
		    false, &both, "udp [0.0.0.0]:5+1>4:80, udp [::]:5+1>4:80");
}

static char *refusal(const char *bindings, size_t index, uint16_t port, int error,
		     const char *holder, const struct forward_ip *ip)
{
	_cleanup_json_ json_t *config =
		jx_parse("{\"ExposedPorts\":{\"80/tcp\":{},\"81/tcp\":{}}}");
	_cleanup_json_ json_t *host = json_pack("{s:o}", "PortBindings", jx_parse(bindings));
	struct forward_failure failure = {.index = index, .port = port, .error = error};
	struct port_route route = both;
	struct port_plan plan = {0};
	struct err err = {0};

	route.container6 = (struct net_addr){6, 9};
	(void)snprintf(failure.holder, sizeof(failure.holder), "%s", holder);
	if (port_plan_make(config, host, &route, &plan, &err) == 0)
		(void)port_plan_refuse(&plan, &failure, ip, &err);
	port_plan_done(&plan);
	return strdup(err.msg);
}

#define ASSERT_REFUSAL(expected, ...)                                                              \
	do {                                                                                       \
		_cleanup_free_ char *_text = refusal(__VA_ARGS__);                                 \
		ASSERT_STREQ(_text, expected);                                                     \
	} while (0)

/* Goal: dockerd's words for what the forwarder says, with the port of a run that failed. */
TEST(failures_of_the_forwarder)
{
	static const struct forward_ip local = {4, {127, 0, 0, 1}};
	static const char run[] = "{\"80/tcp\":[{\"HostPort\":\"8080\"}],\"81/tcp\":[{\"HostPort\":"
				  "\"8081\"}]}";
	static const char range[] = "{\"80/tcp\":[{\"HostPort\":\"8000-8010\"}]}";
	static const char any[] = "{\"80/tcp\":[{\"HostIp\":\"10.1.2.3\"}]}";

	ASSERT_REFUSAL("Bind for 0.0.0.0:8081 failed: port is already allocated", run, 0, 8081,
		       -EADDRINUSE, "other", NULL);
	ASSERT_REFUSAL("Bind for :::8080 failed: port is already allocated", run, 1, 8080,
		       -EADDRINUSE, "other", NULL);
	ASSERT_REFUSAL("Bind for 127.0.0.1:8080 failed: port is already allocated", run, 0, 8080,
		       -EADDRINUSE, "other", &local);
	ASSERT_REFUSAL("failed to bind host port for 0.0.0.0:8081:172.17.0.2:81/tcp: address "
		       "already in use",
		       run, 0, 8081, -EADDRINUSE, "", NULL);
	ASSERT_REFUSAL("failed to bind host port for [::]:8080:[::9]:80/tcp: permission denied",
		       run, 1, 8080, -EACCES, "", NULL);
	ASSERT_REFUSAL("all ports are allocated", range, 1, 8010, -EADDRINUSE, "other", NULL);
	ASSERT_REFUSAL("failed to bind host port 8010 for 0.0.0.0:8000-8010:172.17.0.2:80/tcp: "
		       "address already in use",
		       range, 0, 8010, -EADDRINUSE, "", NULL);
	ASSERT_REFUSAL("failed to bind host port for 10.1.2.3::172.17.0.2:80/tcp: cannot assign "
		       "requested address",
		       any, 0, 32768, -EADDRNOTAVAIL, "", NULL);
}

/* Goal: keys in Go's order, null for what is exposed only, a list's entry from it. */
TEST(what_is_shown)
{
	static const struct forward_mapping mappings[] = {
		{.proto = IPPROTO_TCP,
		 .host.family = 6,
		 .host_port = 90,
		 .target_port = 9,
		 .count = 2},
		{.proto = IPPROTO_TCP,
		 .host.family = 4,
		 .host_port = 90,
		 .target_port = 9,
		 .count = 2},
		{.proto = IPPROTO_TCP,
		 .host.family = 4,
		 .host_port = 70,
		 .target_port = 9,
		 .count = 1},
	};
	_cleanup_json_ json_t *config = jx_parse(
		"{\"ExposedPorts\":{\"9/tcp\":{},\"8/UDP\":{},\"x\":{},\"70000\":{},\"10\":{}}}");
	_cleanup_json_ json_t *shown = port_plan_shown(config, mappings, 3);
	_cleanup_json_ json_t *listed = port_plan_listed(shown), *none = port_plan_listed(NULL);
	_cleanup_free_ char *a = json_dumps(shown, JSON_COMPACT);
	_cleanup_free_ char *b = json_dumps(listed, JSON_COMPACT);

	ASSERT_STREQ(a, "{\"10/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"91\"},"
			"{\"HostIp\":\"::\",\"HostPort\":\"91\"}],\"8/udp\":null,"
			"\"9/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"70\"},"
			"{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"90\"},"
			"{\"HostIp\":\"::\",\"HostPort\":\"90\"}]}");
	ASSERT_EQ(json_array_size(listed), 6);
	b[74] = '\0';
	ASSERT_STREQ(b,
		     "[{\"IP\":\"0.0.0.0\",\"PrivatePort\":10,\"PublicPort\":91,\"Type\":\"tcp\"},"
		     "{\"IP\":\"::\"");
	ASSERT_EQ(json_array_size(none), 0);
}

/* Goal: who searches from the first port again finds the same groups. */
TEST(a_second_look_begins_at_the_first)
{
	_cleanup_json_ json_t *config = jx_parse("{\"ExposedPorts\":{\"80\":{},\"81\":{}}}");
	_cleanup_json_ json_t *host = jx_parse("{\"PublishAllPorts\":true}");
	_cleanup_free_ char *text = NULL;
	struct port_route route = both;
	struct port_plan plan = {0};
	struct err err = {0};

	route.ephemeral.next_tcp = 60999;
	ASSERT_OK(port_plan_make(config, host, &route, &plan, &err));
	port_plan_again(&plan);
	text = words(plan.mappings, plan.n);
	port_plan_done(&plan);
	ASSERT_STREQ(text, "tcp [0.0.0.0]:32768~60999+1>4:80, tcp [::]:=+1>4:80, "
			   "tcp [0.0.0.0]:32769~60999+1>4:81, tcp [::]:=+1>4:81");
}

/* Goal: choices are named by what left them open, read with another plan, and forgotten one by one;
 * a number that is none is none. */
TEST(choices_are_noted_and_asked_for_again)
{
	_cleanup_json_ json_t *config = jx_parse("{\"ExposedPorts\":{\"80\":{},\"81/udp\":{}}}");
	_cleanup_json_ json_t *host = jx_parse(
		"{\"PortBindings\":{\"80\":[{\"HostPort\":\"8080\"},{\"HostPort\":\"90-99\"},"
		"{\"HostPort\":\"\"}],\"81/udp\":[{}]}}");
	_cleanup_json_ json_t *bad = jx_parse("{\"90-99:80/tcp\":89,\"80/tcp\":65536,"
					      "\"81/udp\":\"7\",\"82/tcp\":9}");
	_cleanup_json_ json_t *chosen = NULL;
	_cleanup_free_ char *noted = NULL, *again = NULL, *less = NULL, *none = NULL;
	struct forward_mapping out[8], asked[8];
	struct port_plan plan = {0};
	struct err err = {0};

	ASSERT_OK(port_plan_make(config, host, &both, &plan, &err));
	ASSERT_EQ(plan.n, 8);
	for (size_t i = 0; i < plan.n; i++)
		out[i].host_port = (uint16_t)(i / 2 == 1 ? 95 : 40000 + i / 2);
	chosen = port_choice_note(&plan, out);
	noted = json_dumps(chosen, JSON_COMPACT);
	ASSERT_STREQ(noted, "{\"90-99:80/tcp\":95,\"80/tcp\":40002,\"81/udp\":40003}");
	ASSERT_EQ(port_choice_get(&plan, chosen, 1), 0);
	ASSERT_EQ(port_choice_get(&plan, chosen, 3), 95);
	for (size_t i = 0; i < plan.n; i++) { /* as the forwarder says it */
		uint16_t port = i < 2 ? 8080 : out[i].host_port;

		out[i] = asked[i] = plan.mappings[i];
		out[i].host_port = port;
		out[i].host_port_last = 0;
		out[i].same_port = false;
	}
	ASSERT(port_choice_fits(&plan, asked, out, plan.n)); /* also where nothing is remembered */
	port_choice_apply(&plan, chosen, asked);
	ASSERT(port_choice_fits(&plan, asked, out, plan.n));
	ASSERT(!port_choice_fits(&plan, asked, out, plan.n - 1));
	for (int i = 0; i < 4; i++) {
		struct forward_mapping other[8];

		memcpy(other, out, sizeof(other));
		other[i == 3 ? 6 : 4].host_port += i == 3;
		other[4].target.bytes[3] += i == 0;
		other[4].host.bytes[0] += i == 1;
		other[0].host_port += i == 2;
		ASSERT(!port_choice_fits(&plan, asked, other, plan.n));
	}
	port_choice_apply(&plan, chosen, out);
	again = words(out, plan.n);
	ASSERT_STREQ(again, "tcp [0.0.0.0]:8080+1>4:80, tcp [::]:8080+1>4:80, "
			    "tcp [0.0.0.0]:95+1>4:80, tcp [::]:=+1>4:80, "
			    "tcp [0.0.0.0]:40002+1>4:80, tcp [::]:=+1>4:80, "
			    "udp [0.0.0.0]:40003+1>4:81, udp [::]:=+1>4:81");
	ASSERT(port_choice_forget(&plan, chosen, 3));
	ASSERT(!port_choice_forget(&plan, chosen, 2));
	ASSERT(!port_choice_forget(&plan, chosen, 0));
	ASSERT(!port_choice_forget(&plan, NULL, 2));
	port_choice_apply(&plan, chosen, out);
	less = words(out, 4);
	ASSERT_STREQ(less, "tcp [0.0.0.0]:8080+1>4:80, tcp [::]:8080+1>4:80, "
			   "tcp [0.0.0.0]:90~99+1>4:80, tcp [::]:=+1>4:80");
	for (size_t i = 0; i < plan.n; i++)
		ASSERT_EQ(port_choice_get(&plan, bad, i), 0);
	port_choice_apply(&plan, NULL, out);
	none = words(out, plan.n);
	port_plan_done(&plan);
	ASSERT_STREQ(none, "tcp [0.0.0.0]:8080+1>4:80, tcp [::]:8080+1>4:80, "
			   "tcp [0.0.0.0]:90~99+1>4:80, tcp [::]:=+1>4:80, "
			   "tcp [0.0.0.0]:32768~60999+1>4:80, tcp [::]:=+1>4:80, "
			   "udp [0.0.0.0]:32768~60999+1>4:81, udp [::]:=+1>4:81");
}
