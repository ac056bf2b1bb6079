/* SPDX-License-Identifier: Apache-2.0 */
/* spec_limits.c - ulimits, cgroup limits, and the VM's shape */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/str.h"
#include "core/core.h"
#include "core/jsonx.h"
#include "core/spec.h"

#define NANO_CPU_PERIOD_US 100000
/* What the guest's kernel and agent need besides the container's own memory. */
#define GUEST_OVERHEAD_MIB 64
/* What systemd gives a service, and with it a container of dockerd's. */
#define NOFILE_SOFT 1024
#define NOFILE_HARD 524288

static const struct {
	const char *name;
	unsigned int resource;
} rlimit_names[] = {
	{"as", RLIMIT_AS},
	{"core", RLIMIT_CORE},
	{"cpu", RLIMIT_CPU},
	{"data", RLIMIT_DATA},
	{"fsize", RLIMIT_FSIZE},
	{"locks", RLIMIT_LOCKS},
	{"memlock", RLIMIT_MEMLOCK},
	{"msgqueue", RLIMIT_MSGQUEUE},
	{"nice", RLIMIT_NICE},
	{"nofile", RLIMIT_NOFILE},
	{"nproc", RLIMIT_NPROC},
	{"rss", RLIMIT_RSS},
	{"rtprio", RLIMIT_RTPRIO},
	{"rttime", RLIMIT_RTTIME},
	{"sigpending", RLIMIT_SIGPENDING},
	{"stack", RLIMIT_STACK},
};

static int rlimit_add(Arca__V1__ProcessSpec *process, unsigned int resource, int64_t soft,
		      int64_t hard)
{
	Arca__V1__Rlimit *limit =
		SPEC_ADD(process, rlimits, Arca__V1__Rlimit, arca__v1__rlimit__init);

	if (!limit)
		return -ENOMEM;
	limit->resource = resource;
	limit->soft = soft < 0 ? RLIM_INFINITY : (uint64_t)soft; /* -1 says unlimited */
	limit->hard = hard < 0 ? RLIM_INFINITY : (uint64_t)hard;
	return 0;
}

static int rlimit_parse(const json_t *item, unsigned int *ret_resource, struct err *err)
{
	const char *name = jx_str(item, "Name");
	int64_t soft = jx_int(item, "Soft"), hard = jx_int(item, "Hard");

	for (size_t i = 0; i < ARRAY_SIZE(rlimit_names); i++) {
		if (!str_eq(name, rlimit_names[i].name))
			continue;
		if (hard >= 0 && (soft > hard || soft < 0)) {
			err_user(err, ERR_INVALID,
				 "ulimit soft limit must be less than or equal to hard limit: "
				 "%lld > %lld",
				 (long long)soft, (long long)hard);
			return -EINVAL;
		}
		*ret_resource = rlimit_names[i].resource;
		return 0;
	}
	err_user(err, ERR_INVALID, "invalid ulimit type: %s", name);
	return -EINVAL;
}

/**
 * spec_rlimits_validate() - Check Ulimits
 * @host_config: Normalised host config
 * @err:	 Filled on failure
 *
 * Return: 0 or -EINVAL
 */
int spec_rlimits_validate(const json_t *host_config, struct err *err)
{
	unsigned int resource;
	json_t *item;
	size_t i;
	int r;

	if (jx_len(host_config, "Ulimits") > SPEC_ITEMS_MAX) {
		err_user(err, ERR_INVALID, "too many ulimits");
		return -EINVAL;
	}
	json_array_foreach (json_object_get(host_config, "Ulimits"), i, item) {
		r = rlimit_parse(item, &resource, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/**
 * spec_rlimits() - Fill a process's resource limits
 * @host_config: Complete host config
 * @process:	 Message
 * @err:	 Filled on failure
 *
 * Return: 0 or a negative errno
 */
int spec_rlimits(const json_t *host_config, Arca__V1__ProcessSpec *process, struct err *err)
{
	bool nofile = false;
	unsigned int resource;
	json_t *item;
	size_t i;
	int r;

	json_array_foreach (json_object_get(host_config, "Ulimits"), i, item) {
		r = rlimit_parse(item, &resource, err);
		if (r < 0)
			return r;
		nofile |= resource == RLIMIT_NOFILE;
		if (rlimit_add(process, resource, jx_int(item, "Soft"), jx_int(item, "Hard")) < 0)
			return err_oom(err);
	}
	if (!nofile && rlimit_add(process, RLIMIT_NOFILE, NOFILE_SOFT, NOFILE_HARD) < 0)
		return err_oom(err);
	return 0;
}

/* cgroup v1 shares (2..262144) -> v2 weight (1..10000), as runc converts */
static uint64_t cpu_weight(int64_t shares)
{
	if (shares == 0)
		return 0;
	if (shares < 2)
		shares = 2;
	if (shares > 262144)
		shares = 262144;
	return 1 + (uint64_t)(shares - 2) * 9999 / 262142;
}

/**
 * spec_resources() - cgroup limits in the guest
 * @host: Complete host config
 * @ret:  New message
 * @err:  Filled on failure
 *
 * Return: 0 or -ENOMEM
 */
int spec_resources(const json_t *host, Arca__V1__Resources **ret, struct err *err)
{
	Arca__V1__Resources *res = calloc(1, sizeof(*res));
	int64_t memory = jx_int(host, "Memory"), swap = jx_int(host, "MemorySwap");
	int64_t nano = jx_int(host, "NanoCpus");

	if (!res)
		return err_oom(err);
	arca__v1__resources__init(res);
	res->memory_bytes = memory;
	if (swap < 0)
		res->memory_swap_bytes = -1;
	else if (memory > 0 && swap > memory)
		res->memory_swap_bytes = swap - memory;
	res->memory_reservation_bytes = jx_int(host, "MemoryReservation");
	res->cpu_quota_us = jx_int(host, "CpuQuota");
	res->cpu_period_us = (uint64_t)jx_int(host, "CpuPeriod");
	if (nano > 0) {
		res->cpu_period_us = NANO_CPU_PERIOD_US;
		res->cpu_quota_us = nano * NANO_CPU_PERIOD_US / 1000000000;
	}
	res->cpu_weight = cpu_weight(jx_int(host, "CpuShares"));
	res->pids_max = jx_int(host, "PidsLimit");
	res->oom_kill_disable = jx_bool(host, "OomKillDisable");
	if (spec_put(&res->cpuset_cpus, jx_str(host, "CpusetCpus")) ||
	    spec_put(&res->cpuset_mems, jx_str(host, "CpusetMems"))) {
		arca__v1__resources__free_unpacked(res, NULL);
		return err_oom(err);
	}
	*ret = res;
	return 0;
}

static unsigned int shape_vcpus(unsigned int normal, const json_t *host)
{
	int64_t nano = jx_int(host, "NanoCpus"), quota = jx_int(host, "CpuQuota");
	int64_t period = jx_int(host, "CpuPeriod");
	long host_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int64_t wanted = (nano + 999999999) / 1000000000;

	if (quota > 0) {
		period = period > 0 ? period : NANO_CPU_PERIOD_US;
		wanted = quota / period + (quota % period != 0);
	}
	if (wanted > host_cpus)
		wanted = host_cpus;
	return wanted > normal ? (unsigned int)wanted : normal;
}

/**
 * spec_shape() - The VM a container needs
 * @core: For the default shape
 * @host: Complete host config
 *
 * Smaller limits than the default shape's are the guest's cgroup's business, so that most
 * containers share one template.
 *
 * Return: shape
 */
struct vm_shape spec_shape(const struct core *core, const json_t *host)
{
	struct vm_shape shape = core->config.default_shape;
	long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
	uint64_t host_mib = (uint64_t)pages * (uint64_t)page_bytes >> 20;
	uint64_t mib = (uint64_t)jx_int(host, "Memory") >> 20, pick = 1;

	shape.vcpus = shape_vcpus(shape.vcpus, host);
	if (mib + GUEST_OVERHEAD_MIB <= shape.memory_mib || mib == 0)
		return shape;
	while (pick < mib + GUEST_OVERHEAD_MIB && pick < host_mib)
		pick *= 2;
	shape.memory_mib = pick > shape.memory_mib ? (unsigned int)pick : shape.memory_mib;
	return shape;
}
