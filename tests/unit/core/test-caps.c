/* SPDX-License-Identifier: Apache-2.0 */
/* Capabilities: names, CapAdd, CapDrop. */
#include "core/caps.h"

#include <errno.h>
#include <linux/capability.h>

#include "core/jsonx.h"
#include "test.h"

TEST_MAIN()

static uint64_t compute(const char *add, const char *drop, bool privileged)
{
	_cleanup_json_ json_t *a = jx_parse(add), *d = jx_parse(drop);
	struct err err = {0};
	uint64_t caps = 0;

	return caps_compute(a, d, privileged, &caps, &err) < 0 ? 1ULL << 63 : caps;
}

/* Goal: Docker's 14, by name and number. */
TEST(caps_default_is_dockers)
{
	unsigned int cap;

	ASSERT_EQ(__builtin_popcountll(caps_default()), 14);
	ASSERT_EQ(caps_default(),
		  0xa80425fb); /* as in every Docker container's /proc/self/status */
	ASSERT_OK(caps_from_name("cap_sys_admin", &cap));
	ASSERT_EQ(cap, CAP_SYS_ADMIN);
	ASSERT_OK(caps_from_name("BPF", &cap));
	ASSERT_EQ(cap, CAP_BPF);
	ASSERT_ERROR(caps_from_name("CAP_", &cap), EINVAL);
	for (unsigned int i = 0; i < CAPS_COUNT; i++) {
		ASSERT_OK(caps_from_name(caps_name(i), &cap));
		ASSERT_EQ(cap, i);
	}
}

/* Goal: every combination of ALL. */
TEST(caps_compute_follows_dockerd)
{
	uint64_t net_raw = 1ULL << CAP_NET_RAW, admin = 1ULL << CAP_SYS_ADMIN;

	ASSERT_EQ(compute("null", "null", false), caps_default());
	ASSERT_EQ(compute("[\"SYS_ADMIN\"]", "[\"NET_RAW\"]", false),
		  (caps_default() | admin) & ~net_raw);
	ASSERT_EQ(compute("[]", "[\"ALL\"]", false), 0);
	ASSERT_EQ(compute("[\"SYS_ADMIN\"]", "[\"all\"]", false), admin);
	ASSERT_EQ(compute("[\"ALL\"]", "[\"NET_RAW\"]", false), CAPS_ALL & ~net_raw);
	ASSERT_EQ(compute("[\"ALL\"]", "[\"ALL\"]", false), CAPS_ALL);
	ASSERT_EQ(compute("[]", "[\"ALL\"]", true), CAPS_ALL);
	ASSERT_EQ(compute("[\"nope\"]", "[]", false), 1ULL << 63);
	ASSERT_EQ(compute("[1]", "[]", false), 1ULL << 63);
}
