/* SPDX-License-Identifier: Apache-2.0 */
/* networks_options.c - driver options of a network, checked in dockerd's words; unknown ones stay
 */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "core/jsonx.h"
#include "core/networks_impl.h"

#define OPTION_MTU_MIN 68
#define OPTION_MTU_MAX 65535

enum option_kind { OPTION_BOOL, OPTION_ADDR, OPTION_MODE };

static const struct option {
	const char *name;
	enum option_kind kind;
} option_table[] = {
	{NETWORK_OPT_ICC, OPTION_BOOL},
	{"com.docker.network.bridge.enable_ip_masquerade", OPTION_BOOL},
	{"com.docker.network.bridge.inhibit_ipv4", OPTION_BOOL},
	{"com.docker.network.bridge.default_bridge", OPTION_BOOL},
	{NETWORK_OPT_HOST_BINDING, OPTION_ADDR},
	{"com.docker.network.host_ipv4", OPTION_ADDR},
	{"com.docker.network.host_ipv6", OPTION_ADDR},
	{NETWORK_OPT_GATEWAY4, OPTION_MODE},
	{NETWORK_OPT_GATEWAY6, OPTION_MODE},
};

/**
 * network_bool_parse() - A boolean as Go's strconv reads it
 * @text: Text
 * @ret:  Set on success
 *
 * Return: 0 or -EINVAL
 */
int network_bool_parse(const char *text, bool *ret)
{
	static const char *const words[] = {"1", "t", "T", "TRUE",  "true",  "True",
					    "0", "f", "F", "FALSE", "false", "False"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (str_eq(text, words[i])) {
			*ret = i < ARRAY_SIZE(words) / 2;
			return 0;
		}
	}
	return -EINVAL;
}

static int option_refuse(const char *name, const char *value, const char *why, struct err *err)
{
	return err_user(err, ERR_INVALID, "failed to parse %s value: %.200s (%s)", name, value,
			why);
}

static int option_mtu(const char *value, struct err *err)
{
	char why[128];
	int64_t mtu;

	if (str_i64(value, &mtu) < 0) {
		(void)snprintf(why, sizeof(why), "strconv.Atoi: parsing \"%.64s\": invalid syntax",
			       value);
		return option_refuse(NETWORK_OPT_MTU, value, why, err);
	}
	if (mtu < 0)
		return err_user(err, ERR_INVALID, "invalid MTU number: %lld", (long long)mtu);
	if (mtu != 0 && (mtu < OPTION_MTU_MIN || mtu > OPTION_MTU_MAX))
		return err_user(err, ERR_INTERNAL, "invalid argument"); /* the kernel's, there */
	return 0;
}

static int option_mode(const struct network *network, const char *name, const char *value,
		       struct err *err)
{
	static const char *const modes[] = {"nat", "nat-unprotected", "routed", "isolated"};
	char why[128];

	if (str_eq(value, "isolated") && !network->internal)
		return err_user(err, ERR_INTERNAL,
				"gateway mode 'isolated' can only be used for an internal network");
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		if (str_eq(value, modes[i]))
			return 0;
	}
	(void)snprintf(why, sizeof(why), "unknown gateway mode %.64s", value);
	return option_refuse(name, value, why, err);
}

static int option_check(const struct network *network, const struct option *option,
			const char *value, struct err *err)
{
	struct net_addr addr;
	char why[128];
	bool flag;

	switch (option->kind) {
	case OPTION_BOOL:
		if (network_bool_parse(value, &flag) == 0)
			return 0;
		(void)snprintf(why, sizeof(why),
			       "strconv.ParseBool: parsing \"%.64s\": invalid syntax", value);
		return option_refuse(option->name, value, why, err);
	case OPTION_ADDR:
		return net_addr_parse(value, &addr) == 0
			       ? 0
			       : option_refuse(option->name, value, "nil ip", err);
	case OPTION_MODE:
		return option_mode(network, option->name, value, err);
	}
	return 0;
}

/**
 * network_options_check() - Check the driver options of a network that is to be made
 * @network: Network
 * @err:     Filled on failure
 *
 * Return: 0 or a negative errno
 */
int network_options_check(const struct network *network, struct err *err)
{
	const char *mtu = json_string_value(json_object_get(network->options, NETWORK_OPT_MTU));
	int r = mtu ? option_mtu(mtu, err) : 0;

	for (size_t i = 0; i < ARRAY_SIZE(option_table) && r == 0; i++) {
		const char *value =
			json_string_value(json_object_get(network->options, option_table[i].name));

		if (value)
			r = option_check(network, &option_table[i], value, err);
	}
	return r;
}

/**
 * network_is_apart() - Whether the members of a network are not to reach each other
 * @network: Network
 *
 * Return: the answer
 */
bool network_is_apart(const struct network *network)
{
	bool icc = true;

	(void)network_bool_parse(jx_str(network->options, NETWORK_OPT_ICC), &icc); /* if given */
	return !icc;
}

/**
 * network_is_isolated() - Whether a network has no gateway at all
 * @network: Network
 * @family:  4 or 6
 *
 * Return: the answer
 */
bool network_is_isolated(const struct network *network, unsigned int family)
{
	return str_eq(
		jx_str(network->options, family == 4 ? NETWORK_OPT_GATEWAY4 : NETWORK_OPT_GATEWAY6),
		"isolated");
}
