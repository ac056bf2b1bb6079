/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.c - the command line and daemon.json, in dockerd's names and meanings
 *
 * DOC: Theory of operation
 *
 * One table names every option: its flag, its daemon.json key, its kind and the field it fills. The
 * command line is read first, then the file fills what it left open; an option that both give is
 * refused, as dockerd refuses it. Keys of daemon.json that dockerd knows and Arca does not act on
 * are named in a warning; any other key is an error.
 */
#include "daemon/options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/ip_text.h"
#include "base/str.h"

#define OPTIONS_CONFIG_MAX MIB(1)

enum option_kind {
	OPT_STRING,
	OPT_LIST,
	OPT_BOOL,
	OPT_LOG_LEVEL,
	OPT_ACCEL,
	OPT_MEMORY, /* MiB from a size */
	OPT_COUNT,
	OPT_MTU,
	OPT_SECONDS,  /* of long periods */
	OPT_POOLS,    /* a list; objects in daemon.json */
	OPT_GATEWAYS, /* a list of addresses; in daemon.json also by another key, one alone */
	OPT_GC_CHECK, /* a word that may be left out */
};

struct option {
	const char *flag; /* long name, without dashes */
	char letter;	  /* 0: none */
	const char *key;  /* daemon.json; NULL: command line only */
	enum option_kind kind;
	size_t offset;
	const char *help;
};

#define KEY_GATEWAY "host-gateway-ip" /* of OPT_GATEWAYS */
#define KEY_GATEWAYS "host-gateway-ips"

#define FIELD(f) offsetof(struct options, f)

static const struct option options_table[] = {
	{"host", 'H', "hosts", OPT_LIST, FIELD(hosts),
	 "Socket to serve: unix://PATH, tcp://ADDRESS:PORT or fd:// (repeatable)"},
	{"data-root", 0, "data-root", OPT_STRING, FIELD(data_root), "What survives a host restart"},
	{"exec-root", 0, "exec-root", OPT_STRING, FIELD(exec_root), "Sockets of running VMs"},
	{"config-file", 0, NULL, OPT_STRING, FIELD(config_file), "Configuration file"},
	{"log-level", 'l', "log-level", OPT_LOG_LEVEL, FIELD(log_level),
	 "debug, info, warn, error or fatal"},
	{"debug", 'D', "debug", OPT_BOOL, FIELD(debug), "Log debug lines as well"},
	{"pidfile", 'p', "pidfile", OPT_STRING, FIELD(pidfile), "Where to write the daemon's pid"},
	{"group", 'G', "group", OPT_STRING, FIELD(group), "Group of the unix socket"},
	{"tls", 0, "tls", OPT_BOOL, FIELD(tls), "Use TLS; implied by --tlsverify"},
	{"tlsverify", 0, "tlsverify", OPT_BOOL, FIELD(tls_verify), "Use TLS and verify the client"},
	{"tlscacert", 0, "tlscacert", OPT_STRING, FIELD(tls_cacert),
	 "Trust only clients of this CA"},
	{"tlscert", 0, "tlscert", OPT_STRING, FIELD(tls_cert), "The server's certificate"},
	{"tlskey", 0, "tlskey", OPT_STRING, FIELD(tls_key), "The server's key"},
	{"label", 0, "labels", OPT_LIST, FIELD(labels), "Label of the daemon (repeatable)"},
	{"log-driver", 0, "log-driver", OPT_STRING, FIELD(log_driver),
	 "Log driver of containers: json-file or none"},
	{"log-opt", 0, "log-opts", OPT_LIST, FIELD(log_opts),
	 "Its options, KEY=VALUE (repeatable)"},
	{"registry-mirror", 0, "registry-mirrors", OPT_LIST, FIELD(registry_mirrors),
	 "Preferred registry mirror (repeatable)"},
	{"insecure-registry", 0, "insecure-registries", OPT_LIST, FIELD(insecure_registries),
	 "Registry that may be used without TLS (repeatable)"},
	{"certs-dir", 0, "certs-dir", OPT_STRING, FIELD(certs_dir),
	 "Registries' certificates, HOST:PORT/*.crt (/etc/docker/certs.d)"},
	{"max-concurrent-downloads", 0, "max-concurrent-downloads", OPT_COUNT, FIELD(max_downloads),
	 "Layers of a pull fetched at a time (8)"},
	{"max-concurrent-uploads", 0, "max-concurrent-uploads", OPT_COUNT, FIELD(max_uploads),
	 "Layers of a push sent at a time (5)"},
	{"max-download-attempts", 0, "max-download-attempts", OPT_COUNT, FIELD(max_attempts),
	 "Attempts at a transfer that breaks (5)"},
	{"registry-timeout", 0, "registry-timeout", OPT_COUNT, FIELD(registry_timeout_s),
	 "Seconds for which a registry may send next to nothing (60)"},
	{"http-proxy", 0, "http-proxy", OPT_STRING, FIELD(http_proxy), "Proxy for http URLs"},
	{"https-proxy", 0, "https-proxy", OPT_STRING, FIELD(https_proxy), "Proxy for https URLs"},
	{"no-proxy", 0, "no-proxy", OPT_STRING, FIELD(no_proxy), "Hosts that need no proxy"},
	{"default-address-pool", 0, "default-address-pools", OPT_POOLS, FIELD(address_pools),
	 "base=PREFIX,size=BITS: where networks get their subnets from (repeatable)"},
	{"bip", 0, "bip", OPT_STRING, FIELD(bip), "Gateway and prefix of the default bridge"},
	{"host-gateway-ip", 0, KEY_GATEWAYS, OPT_GATEWAYS, FIELD(host_gateways),
	 "What host-gateway in --add-host stands for, one of a family (the default bridge's "
	 "gateway)"},
	{"icc", 0, "icc", OPT_BOOL, FIELD(icc),
	 "Let containers on the default bridge reach each other (true)"},
	{"mtu", 0, "mtu", OPT_MTU, FIELD(mtu), "MTU of the default bridge (1500)"},
	{"network-key-rotation", 0, "network-key-rotation", OPT_SECONDS, FIELD(key_rotation_s),
	 "Seconds after which the tunnels between containers get new keys (86400); 0: never"},
	{"shutdown-timeout", 0, "shutdown-timeout", OPT_COUNT, FIELD(shutdown_timeout_s),
	 "Seconds a shutdown may take"},
	{"accel", 0, "accel", OPT_ACCEL, FIELD(accel), "auto, kvm or tcg"},
	{"vm-memory", 0, "vm-memory", OPT_MEMORY, FIELD(vm_memory_mib), "Memory of a VM (512m)"},
	{"vm-cpus", 0, "vm-cpus", OPT_COUNT, FIELD(vm_cpus), "CPUs of a VM (1)"},
	{"vm-pool", 0, "vm-pool", OPT_COUNT, FIELD(vm_pool),
	 "VMs kept ready for the next starts (2); 0: every start clones one"},
	{"qemu", 0, "qemu", OPT_STRING, FIELD(qemu), "QEMU to use instead of the one in PATH"},
	{"forwarder", 0, "forwarder", OPT_STRING, FIELD(forwarder),
	 "Program that forwards published ports"},
	{"kernel", 0, "kernel", OPT_STRING, FIELD(kernel), "Guest kernel (vmlinux)"},
	{"initrd", 0, "initrd", OPT_STRING, FIELD(initrd), "Guest initrd"},
	{"rehearsal", 0, "rehearsal", OPT_STRING, FIELD(rehearsal),
	 "File system that VMs of the pool rehearse in"},
	{"validate", 0, NULL, OPT_BOOL, FIELD(validate), "Check the configuration and exit"},
	{"gc-check", 0, NULL, OPT_GC_CHECK, FIELD(gc_check),
	 "Check the image store and exit: 0 consistent, 1 not; =full reads every byte, =repair "
	 "repairs"},
	{"network-check", 0, NULL, OPT_BOOL, FIELD(network_check),
	 "Compare the state of the networks with what the kernel has, beside a daemon or without, "
	 "and exit: 0 they agree, 1 not; what is inside of VMs is not seen"},
	{"version", 'v', NULL, OPT_BOOL, FIELD(show_version), "Print the version and exit"},
	{"help", 'h', NULL, OPT_BOOL, FIELD(show_help), "Print this and exit"},
};

/* daemon.json keys of dockerd's that change nothing here; said once, not refused. */
static const char *const options_ignored_keys[] = {
	"live-restore",
	"storage-driver",
	"storage-opts",
	"iptables",
	"ip6tables",
	"ip-forward",
	"ip-masq",
	"userland-proxy",
	"exec-opts",
	"features",
	"experimental",
	"default-runtime",
	"runtimes",
	"containerd",
	"init",
	"init-path",
	"selinux-enabled",
	"seccomp-profile",
	"default-shm-size",
	"default-ulimits",
	"bridge",
	"fixed-cidr",
	"dns",
	"dns-opts",
	"dns-search",
	"default-cgroupns-mode",
	"default-ipc-mode",
	"cgroup-parent",
	"metrics-addr",
	"builder",
	"ipv6",
	"ip",
	"userns-remap",
	"oom-score-adjust",
	"raw-logs",
	"proxies",
	"no-new-privileges",
	"log-format",
};

static const struct option *options_by_flag(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(options_table); i++) {
		if (strlen(options_table[i].flag) == len &&
		    strncmp(options_table[i].flag, name, len) == 0)
			return &options_table[i];
	}
	return NULL;
}

static int options_add(struct option_list *list, const char *value, struct err *err)
{
	char *copy;

	if (list->n == OPTIONS_LIST_MAX)
		return err_user(err, ERR_INVALID, "an option was given more than %d times",
				OPTIONS_LIST_MAX);
	copy = strdup(value);
	if (!copy)
		return err_oom(err);
	list->items[list->n++] = copy;
	return 0;
}

static int options_set_string(char **field, const char *value, struct err *err)
{
	char *copy = strdup(value);

	if (!copy)
		return err_oom(err);
	free(*field);
	*field = copy;
	return 0;
}

static int options_parse_accel(const char *value, enum vm_accel *ret_accel)
{
	static const char *const names[] = {
		[VM_ACCEL_AUTO] = "auto", [VM_ACCEL_KVM] = "kvm", [VM_ACCEL_TCG] = "tcg"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (str_eq(value, names[i])) {
			*ret_accel = (enum vm_accel)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int options_parse_gc_check(const char *value, enum gc_check *ret)
{
	static const char *const names[] = {
		[GC_CHECK_QUICK] = "true", [GC_CHECK_FULL] = "full", [GC_CHECK_REPAIR] = "repair"};

	for (size_t i = GC_CHECK_QUICK; i < ARRAY_SIZE(names); i++) {
		if (str_eq(value, names[i])) {
			*ret = (enum gc_check)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* Fill one field from text; the caller names the option in the message when r < 0 and err is empty.
 */
/* The largest value of an option that is a number; 0 for the others */
static uint64_t options_number_max(enum option_kind kind)
{
	switch (kind) {
	case OPT_COUNT:
		return 1024;
	case OPT_MTU:
		return 65535;
	case OPT_SECONDS:
		return 4000000;
	default:
		return 0;
	}
}

static int options_add_gateway(struct option_list *list, const char *value, struct err *err)
{
	char why[IP_TEXT_WHY_MAX];

	if (ip_text_check(value, why) < 0)
		return err_user(err, ERR_INVALID,
				"invalid argument \"%s\" for \"--" KEY_GATEWAY "\" flag: %s", value,
				why);
	if (strchr(value, '%')) /* dockerd writes it into /etc/hosts as it is */
		return err_user(err, ERR_INVALID,
				"invalid argument \"%s\" for \"--" KEY_GATEWAY
				"\" flag: a zone is nobody's in a VM",
				value);
	return options_add(list, value, err);
}

static int options_set(struct options *opts, const struct option *o, const char *value,
		       struct err *err)
{
	void *field = (char *)opts + o->offset;
	int64_t bytes;
	uint64_t n;
	int r = 0;

	switch (o->kind) {
	case OPT_STRING:
		return options_set_string(field, value, err);
	case OPT_LIST:
	case OPT_POOLS:
		return options_add(field, value, err);
	case OPT_GATEWAYS:
		return options_add_gateway(field, value, err);
	case OPT_BOOL:
		*(bool *)field = str_bool(value);
		return 0;
	case OPT_LOG_LEVEL:
		r = log_level_parse(value, field);
		break;
	case OPT_ACCEL:
		r = options_parse_accel(value, field);
		break;
	case OPT_GC_CHECK:
		r = options_parse_gc_check(value, field);
		break;
	case OPT_MEMORY:
		r = str_size_bytes(value, &bytes);
		if (r == 0 && (bytes < (int64_t)MIB(128) || bytes > (int64_t)GIB(1024)))
			r = -ERANGE;
		if (r == 0)
			*(unsigned int *)field = (unsigned int)(bytes / (int64_t)MIB(1));
		break;
	case OPT_COUNT:
	case OPT_MTU:
	case OPT_SECONDS:
		r = str_u64(value, options_number_max(o->kind), &n);
		if (r == 0)
			*(unsigned int *)field = (unsigned int)n;
		break;
	}
	if (r < 0)
		return err_user(err, ERR_INVALID, "invalid value \"%s\" for option --%s", value,
				o->flag);
	return 0;
}

/* "-lVALUE", "-l VALUE", "--flag=VALUE", "--flag VALUE"; booleans take a value only with '='. */
static int options_parse_argv(struct options *opts, int argc, char **argv, bool *given,
			      struct err *err)
{
	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i], *value = NULL;
		const struct option *o = NULL;

		if (str_starts(arg, "--")) {
			const char *eq = strchr(arg, '=');

			o = options_by_flag(arg + 2, eq ? (size_t)(eq - arg - 2) : strlen(arg + 2));
			value = eq ? eq + 1 : NULL;
		} else if (arg[0] == '-' && arg[1]) {
			for (size_t k = 0; k < ARRAY_SIZE(options_table) && !o; k++) {
				if (options_table[k].letter == arg[1])
					o = &options_table[k];
			}
			if (arg[2])
				value = arg + 2 + (arg[2] == '=');
		} else {
			return err_user(err, ERR_INVALID, "arcad accepts no arguments: \"%s\"",
					arg);
		}
		if (!o)
			return err_user(err, ERR_INVALID, "unknown flag: %s", arg);
		if (!value && (o->kind == OPT_BOOL || o->kind == OPT_GC_CHECK))
			value = "true";
		if (!value && ++i == argc)
			return err_user(err, ERR_INVALID, "flag needs an argument: %s", arg);
		given[o - options_table] = true;
		if (options_set(opts, o, value ? value : argv[i], err) < 0)
			return -EINVAL;
	}
	return 0;
}

/* [{"base": "10.0.0.0/8", "size": 24}] */
static int options_apply_pools(struct options *opts, const struct option *o, json_t *value,
			       struct err *err)
{
	json_t *item;
	size_t i;

	json_array_foreach (value, i, item) {
		const char *base = json_string_value(json_object_get(item, "base"));
		json_t *size = json_object_get(item, "size");
		_cleanup_free_ char *text = NULL;
		int r;

		if (!base || !json_is_integer(size))
			return err_user(err, ERR_INVALID,
					"each of \"%s\" needs \"base\" and \"size\"", o->key);
		text = str_format("base=%s,size=%lld", base, (long long)json_integer_value(size));
		if (!text)
			return err_oom(err);
		r = options_set(opts, o, text, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int options_refuse_file(const struct options *opts, const char *why, struct err *err)
{
	return err_user(err, ERR_INVALID, "unable to configure arcad with file %s: %s",
			opts->config_file, why);
}

/* One of the list; "" and null are none. */
static int options_apply_gateway(struct options *opts, json_t *item, struct err *err)
{
	const char *value = json_string_value(item);
	_cleanup_free_ char *text = NULL;
	char why[IP_TEXT_WHY_MAX];

	if (json_is_null(item) || (value && !*value))
		return 0;
	if (!value)
		return err_user(err, ERR_INVALID,
				"the value of \"" KEY_GATEWAYS "\" has the wrong type");
	if (ip_text_check(value, why) == 0)
		return options_add_gateway(&opts->host_gateways, value, err);
	text = str_format("invalid JSON: %s", why);
	return text ? options_refuse_file(opts, text, err) : err_oom(err);
}

/* By the older key, which knows other words and takes no zone; an IPv4-mapped one is IPv4. */
static int options_apply_gateway_alone(struct options *opts, json_t *item, struct err *err)
{
	const char *value = json_string_value(item);
	_cleanup_free_ char *text = NULL;
	char why[IP_TEXT_WHY_MAX], four[INET_ADDRSTRLEN];
	struct in6_addr six;

	if (json_is_null(item) || (value && !*value))
		return 0;
	if (!value)
		return err_user(err, ERR_INVALID,
				"the value of \"" KEY_GATEWAY "\" has the wrong type");
	if (ip_text_check(value, why) < 0 || strchr(value, '%')) {
		text = str_format("invalid JSON: invalid IP address: %s", value);
		return text ? options_refuse_file(opts, text, err) : err_oom(err);
	}
	if (inet_pton(AF_INET6, value, &six) == 1 && IN6_IS_ADDR_V4MAPPED(&six))
		value = inet_ntop(AF_INET, six.s6_addr + 12, four, sizeof(four));
	return options_add_gateway(&opts->host_gateways, value, err);
}

static int options_apply_gateways(struct options *opts, const char *key, json_t *value,
				  struct err *err)
{
	json_t *item;
	size_t i;
	int r = 0;

	if (str_eq(key, KEY_GATEWAY))
		return options_apply_gateway_alone(opts, value, err);
	if (!json_is_array(value) && !json_is_null(value))
		return err_user(err, ERR_INVALID, "the value of \"%s\" has the wrong type", key);
	json_array_foreach (value, i, item) {
		r = options_apply_gateway(opts, item, err);
		if (r < 0)
			break;
	}
	return r;
}

static int options_apply_json(struct options *opts, const struct option *o, json_t *value,
			      struct err *err)
{
	char number[32];
	const char *key;
	json_t *item;
	size_t i;
	int r;

	if (json_is_array(value) && o->kind == OPT_POOLS)
		return options_apply_pools(opts, o, value, err);
	if (json_is_array(value) && o->kind == OPT_LIST) {
		json_array_foreach (value, i, item) {
			if (!json_is_string(item))
				goto bad;
			r = options_set(opts, o, json_string_value(item), err);
			if (r < 0)
				return r;
		}
		return 0;
	}
	if (json_is_object(value) && o->kind == OPT_LIST) {
		json_object_foreach (value, key, item) {
			_cleanup_free_ char *pair = NULL;

			if (!json_is_string(item))
				goto bad;
			pair = str_format("%s=%s", key, json_string_value(item));
			if (!pair)
				return err_oom(err);
			r = options_set(opts, o, pair, err);
			if (r < 0)
				return r;
		}
		return 0;
	}
	if (json_is_boolean(value) && o->kind == OPT_BOOL)
		return options_set(opts, o, json_is_true(value) ? "1" : "0", err);
	if (json_is_integer(value) && options_number_max(o->kind) > 0) {
		(void)snprintf(number, sizeof(number), "%lld", json_integer_value(value));
		return options_set(opts, o, number, err);
	}
	if (json_is_string(value) && o->kind != OPT_BOOL && o->kind != OPT_LIST &&
	    o->kind != OPT_POOLS)
		return options_set(opts, o, json_string_value(value), err);
bad:
	return err_user(err, ERR_INVALID, "the value of \"%s\" has the wrong type", o->key);
}

static bool options_key_ignored(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(options_ignored_keys); i++) {
		if (str_eq(key, options_ignored_keys[i]))
			return true;
	}
	return false;
}

static const struct option *options_by_key(const char *key)
{
	if (str_eq(key, KEY_GATEWAY))
		key = KEY_GATEWAYS;
	for (size_t i = 0; i < ARRAY_SIZE(options_table); i++) {
		if (options_table[i].key && str_eq(options_table[i].key, key))
			return &options_table[i];
	}
	return NULL;
}

static int options_apply_file(struct options *opts, json_t *file, const bool *given,
			      struct err *err)
{
	const char *key;
	json_t *value;

	json_object_foreach (file, key, value) {
		const struct option *o = options_by_key(key);
		int r;

		if (str_eq(key, "proxies") && json_is_object(value)) {
			r = options_apply_file(opts, value, given, err);
			if (r < 0)
				return r;
			continue;
		}
		if (!o && options_key_ignored(key)) {
			log_warn("daemon.json: \"%s\" has no effect in Arca", key);
			continue;
		}
		if (!o)
			return err_user(err, ERR_INVALID,
					"the following directives don't match any configuration "
					"option: %s",
					key);
		if (given[o - options_table])
			return err_user(
				err, ERR_INVALID,
				"the following directives are specified both as a flag and in "
				"the configuration file: %s",
				key);
		r = o->kind == OPT_GATEWAYS ? options_apply_gateways(opts, key, value, err)
					    : options_apply_json(opts, o, value, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int options_read_file(struct options *opts, const bool *given, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	json_error_t why;
	json_t *file;
	size_t len;
	int r;

	r = fs_read_file(opts->config_file, OPTIONS_CONFIG_MAX, &text, &len);
	if (r == -ENOENT && !opts->config_file_named)
		return 0;
	if (r < 0)
		return err_sys(err, r, "unable to configure arcad with file %s", opts->config_file);
	file = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(file)) {
		json_decref(file);
		return err_user(
			err, ERR_INVALID, "unable to configure arcad with file %s: line %d: %s",
			opts->config_file, file ? 1 : why.line, file ? "not an object" : why.text);
	}
	if (json_object_get(file, KEY_GATEWAY) && json_object_get(file, KEY_GATEWAYS))
		r = options_refuse_file(opts,
					KEY_GATEWAY
					" and " KEY_GATEWAYS
					" must not both be specified in the config file",
					err);
	else
		r = options_apply_file(opts, file, given, err);
	json_decref(file);
	return r;
}

static int options_default(char **field, const char *as_root, const char *as_user, struct err *err)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR"), *home = getenv("HOME");

	if (*field)
		return 0;
	if (geteuid() == 0) {
		*field = strdup(as_root);
	} else if (str_starts(as_user, "~/")) {
		*field = str_format("%s/%s", home ? home : "/tmp", as_user + 2);
	} else {
		*field = str_format("%s/%s", runtime ? runtime : "/tmp", as_user);
	}
	return *field ? 0 : err_oom(err);
}

static int options_check_gateways(const struct options *opts, struct err *err)
{
	unsigned int n[2] = {0}; /* IPv4, IPv6 */

	for (size_t i = 0; i < opts->host_gateways.n; i++) {
		bool six = strchr(opts->host_gateways.items[i], ':') != NULL;

		if (++n[six] > 1)
			return err_user(err, ERR_INVALID,
					"only one %s host gateway IP address can be specified",
					six ? "IPv6" : "IPv4");
	}
	return 0;
}

static int options_fill_defaults(struct options *opts, struct err *err)
{
	_cleanup_free_ char *socket = NULL, *host = NULL;
	int r;

	r = options_default(&opts->data_root, "/var/lib/arca", "~/.local/share/arca", err);
	if (r == 0)
		r = options_default(&opts->exec_root, "/run/arca", "arca", err);
	if (r == 0 && opts->hosts.n == 0) {
		r = options_default(&socket, "/run/arca/arca.sock", "arca/arca.sock", err);
		host = r == 0 ? str_format("unix://%s", socket) : NULL;
		r = host ? options_add(&opts->hosts, host, err) : -ENOMEM;
	}
	if (r == 0 && !opts->certs_dir)
		r = options_set_string(&opts->certs_dir, "/etc/docker/certs.d", err);
	if (r == 0 && !opts->log_driver)
		r = options_set_string(&opts->log_driver, "json-file", err);
	if (opts->tls_verify)
		opts->tls = true;
	if (opts->debug && opts->log_level > LOG_DEBUG)
		opts->log_level = LOG_DEBUG;
	return r;
}

/**
 * options_parse() - Read the command line, then daemon.json, then fill defaults
 * @opts: Filled; options_done() in any case
 * @argc: As main() got it
 * @argv: As main() got it
 * @err:  Filled on failure
 *
 * Return: 0, or negative errno for an option or file that cannot be used
 */
int options_parse(struct options *opts, int argc, char **argv, struct err *err)
{
	bool given[ARRAY_SIZE(options_table)] = {0};
	int r;

	*opts = (struct options){.log_level = LOG_INFO,
				 .vm_memory_mib = 512,
				 .vm_cpus = 1,
				 .vm_pool = 2,
				 .icc = true,
				 .key_rotation_s = 86400,
				 .shutdown_timeout_s = 15};
	r = options_parse_argv(opts, argc, argv, given, err);
	if (r < 0)
		return r;
	opts->config_file_named = opts->config_file != NULL;
	if (opts->show_help || opts->show_version)
		return 0;
	r = options_default(&opts->config_file, "/etc/arca/daemon.json",
			    "~/.config/arca/daemon.json", err);
	if (r == 0)
		r = options_read_file(opts, given, err);
	if (r == 0)
		r = options_check_gateways(opts, err);
	if (r < 0)
		return r;
	return options_fill_defaults(opts, err);
}

static void options_list_done(struct option_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->items[i]);
	list->n = 0;
}

/**
 * options_done() - Free what options_parse() filled
 * @opts: Options
 */
void options_done(struct options *opts)
{
	for (size_t i = 0; i < ARRAY_SIZE(options_table); i++) {
		void *field = (char *)opts + options_table[i].offset;

		if (options_table[i].kind == OPT_STRING)
			free(*(char **)field);
		else if (options_table[i].kind == OPT_LIST || options_table[i].kind == OPT_POOLS ||
			 options_table[i].kind == OPT_GATEWAYS)
			options_list_done(field);
	}
	*opts = (struct options){0};
}

/**
 * options_print_help() - The table, for people
 */
void options_print_help(void)
{
	puts("Usage: arcad [OPTIONS]\n\nA Docker Engine API server whose containers are virtual "
	     "machines.\n\nOptions:");
	for (size_t i = 0; i < ARRAY_SIZE(options_table); i++) {
		const struct option *o = &options_table[i];
		char letter[8] = "    ";

		if (o->letter)
			(void)snprintf(letter, sizeof(letter), "-%c, ", o->letter);
		printf("  %s--%-20s %s\n", letter, o->flag, o->help);
	}
}
