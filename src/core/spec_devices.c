/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec_devices.c - --device: devices that exist in the guest
 *
 * A container sees the VM's devices, never the host's: a path is looked up in the table below. The
 * standard nodes (null, zero, tty ...) are there in any case.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/jsonx.h"
#include "core/spec.h"

static const struct {
	const char *path;
	char type;
	unsigned int major, minor, mode;
} guest_devices[] = {
	{"/dev/null", 'c', 1, 3, 0666},	      {"/dev/zero", 'c', 1, 5, 0666},
	{"/dev/full", 'c', 1, 7, 0666},	      {"/dev/random", 'c', 1, 8, 0666},
	{"/dev/urandom", 'c', 1, 9, 0666},    {"/dev/kmsg", 'c', 1, 11, 0600},
	{"/dev/mem", 'c', 1, 1, 0600},	      {"/dev/tty", 'c', 5, 0, 0666},
	{"/dev/ptmx", 'c', 5, 2, 0666},	      {"/dev/fuse", 'c', 10, 229, 0666},
	{"/dev/net/tun", 'c', 10, 200, 0666}, {"/dev/loop-control", 'c', 10, 237, 0600},
	{"/dev/rtc0", 'c', 251, 0, 0600},
};

static int device_find(const char *path, size_t *ret_index, unsigned int *ret_loop)
{
	uint64_t n;

	for (size_t i = 0; i < ARRAY_SIZE(guest_devices); i++) {
		if (str_eq(path, guest_devices[i].path)) {
			*ret_index = i;
			return 0;
		}
	}
	if (str_starts(path, "/dev/loop") && str_u64(path + 9, 255, &n) == 0) {
		*ret_loop = (unsigned int)n;
		return 1;
	}
	return -ENOENT;
}

static int spec_device(const json_t *item, Arca__V1__ContainerSpec *spec, struct err *err)
{
	const char *path = jx_str(item, "PathOnHost");
	const char *inside =
		jx_empty(item, "PathInContainer") ? path : jx_str(item, "PathInContainer");
	Arca__V1__Device *device;
	unsigned int loop = 0;
	size_t i = 0;
	int found = device_find(path, &i, &loop);

	if (found < 0 || *inside != '/') {
		err_user(err, ERR_INVALID,
			 "error gathering device information while adding custom device \"%s\": "
			 "no such device in the container's virtual machine",
			 path);
		return -ENOENT;
	}
	device = SPEC_ADD(spec, devices, Arca__V1__Device, arca__v1__device__init);
	if (!device || spec_put(&device->path, inside) ||
	    spec_put(&device->type, found || guest_devices[i].type == 'b' ? "b" : "c"))
		return err_oom(err);
	device->major = found ? 7 : guest_devices[i].major;
	device->minor = found ? loop : guest_devices[i].minor;
	device->mode = found ? 0660 : guest_devices[i].mode;
	return 0;
}

/**
 * spec_devices() - Fill the devices of a container
 * @host: Complete host config
 * @spec: Message
 * @err:  Filled on failure
 *
 * Return: 0 or a negative errno
 */
int spec_devices(const json_t *host, Arca__V1__ContainerSpec *spec, struct err *err)
{
	json_t *item;
	size_t i;
	int r;

	json_array_foreach (json_object_get(host, "Devices"), i, item) {
		if (i >= SPEC_ITEMS_MAX) {
			err_user(err, ERR_INVALID, "too many devices");
			return -E2BIG;
		}
		r = spec_device(item, spec, err);
		if (r < 0)
			return r;
	}
	return 0;
}
