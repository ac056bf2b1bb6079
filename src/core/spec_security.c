/* SPDX-License-Identifier: Apache-2.0 */
/* spec_security.c - capabilities, seccomp and the rest of SecurityOpt */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "core/caps.h"
#include "core/jsonx.h"
#include "core/seccomp.h"
#include "core/spec.h"

/* "key=value" or the old "key:value"; a bare key has no value. */
static bool security_split(const char *option, const char *key, const char **ret_value)
{
	size_t len = strlen(key);

	if (strncmp(option, key, len) != 0)
		return false;
	if (option[len] && option[len] != '=' && option[len] != ':')
		return false;
	*ret_value = option[len] ? option + len + 1 : NULL;
	return true;
}

/* The last one given counts. */
static const char *security_value(const json_t *host, const char *key, bool *ret_given)
{
	const char *value = NULL, *v;
	json_t *item;
	size_t i;

	*ret_given = false;
	json_array_foreach (json_object_get(host, "SecurityOpt"), i, item) {
		if (security_split(json_string_value(item), key, &v)) {
			*ret_given = true;
			value = v;
		}
	}
	return value;
}

/**
 * spec_security_flag() - Whether SecurityOpt has key=value
 * @host_config: Normalised host config
 * @key:	 Key
 * @value:	 Value
 *
 * Return: the answer
 */
bool spec_security_flag(const json_t *host_config, const char *key, const char *value)
{
	bool given;
	const char *v = security_value(host_config, key, &given);

	return v && str_eq(v, value);
}

static int security_profile(const char *value, json_t **ret, struct err *err)
{
	json_error_t why;
	json_t *profile = json_loads(value, 0, &why);

	if (!json_is_object(profile)) {
		json_decref(profile);
		err_user(err, ERR_INVALID, "Decoding seccomp profile failed: %s", why.text);
		return -EINVAL;
	}
	*ret = profile;
	return 0;
}

/**
 * spec_security_validate() - Check SecurityOpt
 * @host_config: Normalised host config
 * @err:	 Filled on failure
 *
 * Return: 0 or -EINVAL
 */
int spec_security_validate(const json_t *host_config, struct err *err)
{
	/* no labels and no AppArmor in the guest: accepted as dockerd does without them */
	static const char *const known[] = {"seccomp", "no-new-privileges", "apparmor",
					    "label",   "systempaths",	    "writable-cgroups"};
	const char *value;
	json_t *item;
	size_t i, k;

	json_array_foreach (json_object_get(host_config, "SecurityOpt"), i, item) {
		const char *option = json_string_value(item);

		for (k = 0; k < ARRAY_SIZE(known); k++) {
			if (security_split(option, known[k], &value))
				break;
		}
		if (k == ARRAY_SIZE(known) || (k != 1 && !value)) {
			err_user(err, ERR_INVALID, "invalid --security-opt 2: \"%.200s\"", option);
			return -EINVAL;
		}
		if (k == 1 && value && !str_eq(value, "true") && !str_eq(value, "false")) {
			err_user(err, ERR_INVALID, "invalid --security-opt 2: \"%.200s\"", option);
			return -EINVAL;
		}
		if (k == 0 && !str_eq(value, "unconfined") && !str_eq(value, "builtin")) {
			_cleanup_json_ json_t *profile = NULL;
			_cleanup_free_ void *bpf = NULL;
			size_t len;
			int r = security_profile(value, &profile, err);

			if (r == 0)
				r = seccomp_profile_filter(profile, caps_default(), &bpf, &len,
							   err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int security_seccomp(const json_t *host, bool privileged, uint64_t caps,
			    Arca__V1__ProcessSpec *process, struct err *err)
{
	_cleanup_json_ json_t *profile = NULL;
	void *bpf = NULL;
	size_t len = 0;
	bool given;
	const char *value = security_value(host, "seccomp", &given);
	int r;

	if (privileged || (value && str_eq(value, "unconfined")))
		return 0;
	if (!value || str_eq(value, "builtin")) {
		r = seccomp_default_filter(caps, &bpf, &len, err);
	} else {
		r = security_profile(value, &profile, err);
		if (r == 0)
			r = seccomp_profile_filter(profile, caps, &bpf, &len, err);
	}
	if (r < 0)
		return r;
	process->seccomp_bpf.data = bpf;
	process->seccomp_bpf.len = len;
	return 0;
}

/**
 * spec_security() - Fill what a process may do
 * @host:	Complete host config
 * @privileged: exec --privileged; the container's own Privileged counts besides
 * @process:	Message
 * @err:	Filled on failure
 *
 * Nothing is ambient: a process that is not root has no capabilities but those its program's file
 * gives.
 *
 * Return: 0 or a negative errno
 */
int spec_security(const json_t *host, bool privileged, Arca__V1__ProcessSpec *process,
		  struct err *err)
{
	uint64_t caps;
	bool given;
	const char *nnp;
	int r;

	privileged |= jx_bool(host, "Privileged");
	r = caps_compute(json_object_get(host, "CapAdd"), json_object_get(host, "CapDrop"),
			 privileged, &caps, err);
	if (r < 0)
		return r;
	process->cap_bounding = caps;
	process->cap_effective = caps;
	nnp = security_value(host, "no-new-privileges", &given);
	process->no_new_privileges = given && (!nnp || str_eq(nnp, "true"));
	return security_seccomp(host, privileged, caps, process, err);
}
